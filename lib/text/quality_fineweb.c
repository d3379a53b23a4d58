/*
 * FineWeb's rules of lines, and mC4's of paragraphs
 */
#include "text/quality_impl.h"

static bool
is_terminal(str line)
{
	const char *end = line.p + line.n;

	return line.n > 0 && (uni_class(utf8_prev(line.p, &end)) & UNI_TERMINAL) != 0;
}

int
quality_fineweb(struct quality_run *run, struct err *err)
{
	double short_chars = run->q->limit[FINEWEB_SHORT_LINE_CHARS];
	int64_t lines = 0, terminal = 0, shorts = 0, newlines;
	struct quality_repeats r;
	str rest = run->text;

	for (newlines = -1; rest.p != NULL; newlines++) {
		str line = str_cut(&rest, '\n');
		int64_t chars;

		if (uni_trim(line).n == 0)
			continue;
		chars = utf8_count(line);
		lines++;
		terminal += is_terminal(line);
		shorts += (double)chars <= short_chars;
		if (quality_item_add(run->s, line, chars, err) < 0)
			return -1;
	}
	if (quality_items_end(run->s, &r, err) < 0)
		return -1;
	if (fails(run, FINEWEB_TERMINAL_LINES, share(terminal, lines)) ||
	    fails(run, FINEWEB_SHORT_LINES, share(shorts, lines)) ||
	    fails(run, FINEWEB_DUP_LINE_CHARS, share(r.chars, quality_chars(run) - newlines)))
		return 1;
	if (!wanted(run, FINEWEB_NEWLINES))
		return 0;
	if (quality_words(run, err) < 0)
		return -1;
	return fails(run, FINEWEB_NEWLINES, share(newlines, run->s->words.n));
}

int
quality_mc4(struct quality_run *run, struct err *err)
{
	double least = run->q->limit[MC4_PARAGRAPH_CHARS];
	int64_t n = 0;
	str rest = run->text;

	(void)err;
	while (rest.p != NULL)
		n += (double)utf8_count(str_cut(&rest, '\n')) >= least;
	return fails(run, MC4_PARAGRAPHS, (double)n);
}
