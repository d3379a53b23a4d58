#include <stdlib.h>

#include "text/lang.h"

static bool
is_any(const struct lang_keep *k)
{
	return str_eq(k->range, S("*"));
}

static bool
has_languages(str range)
{
	for (int i = 0; i < LANG_NUMBERS; i++)
		if (lang_code(i) != NULL && lang_within(lang_code(i), range))
			return true;
	return str_eq(range, S(LANG_UNKNOWN));
}

static int
read_score(str s, double *score, struct err *err)
{
	char text[32] = "", *end;

	if (s.n < (ptrdiff_t)sizeof(text))
		memcpy(text, s.p, (size_t)s.n);
	*score = strtod(text, &end);
	if (s.n == 0 || end != text + s.n || !(*score >= 0 && *score <= 1))
		return err_set(err, ERR_ARG, "'%.*s' is no score from 0 to 1", STR_ARG(s));
	return 0;
}

int
lang_keeps_read(struct lang_keeps *k, str list, struct err *err)
{
	k->n = 0;
	while (list.p != NULL) {
		str score = str_cut(&list, ','), range = str_cut(&score, ':');
		double min = 0;

		if (k->n == LANG_KEEPS)
			return err_set(err, ERR_LIMIT, "more than %d languages", LANG_KEEPS);
		if (range.n == 0 || !has_languages(range))
			return err_set(err, ERR_ARG, "no language '%.*s' (--list names them)",
			    STR_ARG(range));
		if (score.p != NULL && read_score(score, &min, err) < 0)
			return -1;
		k->of[k->n++] = (struct lang_keep){ range, min };
	}
	return 0;
}

const struct lang_keep *
lang_keeps_find(const struct lang_keeps *k, const char *code)
{
	const struct lang_keep *best = NULL;

	for (const struct lang_keep *i = k->of; i < k->of + k->n; i++)
		if (lang_within(code, i->range) && (best == NULL || is_any(best) ||
		    (!is_any(i) && i->range.n > best->range.n)))
			best = i;
	return best;
}

/* The number of a line's language; LANG_NONE where it has no letters. */
static int
judge_line(str line, int whole, int *number, struct err *err)
{
	struct lang_found f;

	if (lang_detect(line, false, whole, &f, err) < 0)
		return -1;
	*number = f.top[0].number;
	if (!f.reliable || f.letters < LANG_LINE || lang_alike(*number, whole))
		*number = f.letters > 0 ? whole : LANG_NONE;
	return 0;
}

static bool
is_named(const struct lang_keeps *keep, const char *code)
{
	const struct lang_keep *k = lang_keeps_find(keep, code);

	return k != NULL && !is_any(k);
}

static void
add_run(struct buf *b, int64_t from, int64_t to, int number)
{
	const char *code = lang_code(number);

	buf_fmt(b, "%s[%lld,%lld,\"%s\"]", from > 1 ? "," : "[", (long long)from,
	    (long long)to, code != NULL ? code : LANG_UNKNOWN);
}

int64_t
lang_lines(str text, int whole, const struct lang_keeps *keep, struct buf *runs,
    struct buf *left, struct err *err)
{
	int64_t n = 0, from = 1, cut = 0;
	int now = LANG_NONE;

	while (text.p != NULL) {
		str line = str_cut(&text, '\n');
		int number;

		if (judge_line(line, whole, &number, err) < 0)
			return -1;
		if (number == LANG_NONE)
			number = now;
		if (++n > 1 && number != now && now != LANG_NONE) {
			add_run(runs, from, n - 1, now);
			from = n;
		}
		now = number;
		if (whole != LANG_NONE && number != LANG_NONE && number != whole &&
		    !is_named(keep, lang_code(number))) {
			cut++;
			continue;
		}
		buf_add(left, line);
		if (text.p != NULL)
			buf_byte(left, '\n');
	}
	add_run(runs, from, n, now);
	buf_byte(runs, ']');
	return buf_ok(runs, err) < 0 || buf_ok(left, err) < 0 ? -1 : cut;
}
