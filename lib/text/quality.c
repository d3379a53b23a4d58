#include "text/quality.h"

#include <math.h>
#include <stdlib.h>

#include "text/quality_impl.h"

#define CHAR_SHARE "share of characters"

const struct quality_rule_info quality_rules[QUALITY_RULES] = {
	[GOPHER_MIN_WORDS] = { "gopher.min-words", 50, BOUND_LOWER, "words",
	    "words that are not symbols alone" },
	[GOPHER_MAX_WORDS] = { "gopher.max-words", 100000, BOUND_UPPER, "words",
	    "words that are not symbols alone" },
	[GOPHER_MIN_MEAN_LENGTH] = { "gopher.min-mean-word-length", 3, BOUND_LOWER, "characters",
	    "mean length of words that are not symbols alone" },
	[GOPHER_MAX_MEAN_LENGTH] = { "gopher.max-mean-word-length", 10, BOUND_UPPER, "characters",
	    "mean length of words that are not symbols alone" },
	[GOPHER_HASHES] = { "gopher.max-hashes", 0.1, BOUND_UPPER, "per word", "hash signs" },
	[GOPHER_ELLIPSES] = { "gopher.max-ellipses", 0.1, BOUND_UPPER, "per word", "ellipses" },
	[GOPHER_BULLET_LINES] = { "gopher.max-bullet-lines", 0.9, BOUND_UPPER, "share of lines",
	    "lines that start with a bullet or a dash" },
	[GOPHER_ELLIPSIS_LINES] = { "gopher.max-ellipsis-lines", 0.3, BOUND_UPPER,
	    "share of lines", "lines that end with an ellipsis" },
	[GOPHER_ALPHA_WORDS] = { "gopher.min-alpha-words", 0.8, BOUND_LOWER, "share of words",
	    "words with a letter" },
	[GOPHER_STOP_WORDS] = { "gopher.min-stop-words", 2, BOUND_LOWER, "words",
	    "different ones of: the be to of and that have with" },

	[REP_PARAGRAPHS] = { "gopher-rep.max-dup-paragraphs", 0.3, BOUND_UPPER,
	    "share of paragraphs", "paragraphs that were there before" },
	[REP_PARAGRAPH_CHARS] = { "gopher-rep.max-dup-paragraph-chars", 0.2, BOUND_UPPER,
	    CHAR_SHARE, "characters of paragraphs that were there before" },
	[REP_LINES] = { "gopher-rep.max-dup-lines", 0.3, BOUND_UPPER, "share of lines",
	    "lines that were there before" },
	[REP_LINE_CHARS] = { "gopher-rep.max-dup-line-chars", 0.2, BOUND_UPPER, CHAR_SHARE,
	    "characters of lines that were there before" },
	[REP_TOP_2GRAM] = { "gopher-rep.max-top-2gram", 0.20, BOUND_UPPER, CHAR_SHARE,
	    "characters of the most frequent 2-gram" },
	[REP_TOP_3GRAM] = { "gopher-rep.max-top-3gram", 0.18, BOUND_UPPER, CHAR_SHARE,
	    "characters of the most frequent 3-gram" },
	[REP_TOP_4GRAM] = { "gopher-rep.max-top-4gram", 0.16, BOUND_UPPER, CHAR_SHARE,
	    "characters of the most frequent 4-gram" },
	[REP_DUP_5GRAM] = { "gopher-rep.max-dup-5gram", 0.15, BOUND_UPPER, CHAR_SHARE,
	    "characters of repeated 5-grams" },
	[REP_DUP_6GRAM] = { "gopher-rep.max-dup-6gram", 0.14, BOUND_UPPER, CHAR_SHARE,
	    "characters of repeated 6-grams" },
	[REP_DUP_7GRAM] = { "gopher-rep.max-dup-7gram", 0.13, BOUND_UPPER, CHAR_SHARE,
	    "characters of repeated 7-grams" },
	[REP_DUP_8GRAM] = { "gopher-rep.max-dup-8gram", 0.12, BOUND_UPPER, CHAR_SHARE,
	    "characters of repeated 8-grams" },
	[REP_DUP_9GRAM] = { "gopher-rep.max-dup-9gram", 0.11, BOUND_UPPER, CHAR_SHARE,
	    "characters of repeated 9-grams" },
	[REP_DUP_10GRAM] = { "gopher-rep.max-dup-10gram", 0.10, BOUND_UPPER, CHAR_SHARE,
	    "characters of repeated 10-grams" },

	[C4_WORD_CHARS] = { "c4.max-word-chars", 1000, BOUND_LINE, "characters",
	    "remove lines with a longer word" },
	[C4_CITATIONS] = { "c4.citations", 0, BOUND_EDIT, "",
	    "remove [1], [edit], [citation needed]" },
	[C4_TERMINAL] = { "c4.terminal", 0, BOUND_LINE, "",
	    "remove lines that do not end with . ? ! \" ' or end with ..." },
	[C4_LINE_WORDS] = { "c4.min-line-words", 3, BOUND_LINE, "words",
	    "remove lines with fewer words" },
	[C4_LOREM_IPSUM] = { "c4.lorem-ipsum", 0, BOUND_UPPER, "lines",
	    "lines with lorem ipsum" },
	[C4_JAVASCRIPT] = { "c4.javascript", 0, BOUND_LINE, "", "remove lines with javascript" },
	[C4_CURLY_BRACKET] = { "c4.curly-bracket", 0, BOUND_UPPER, "lines", "lines with {" },
	[C4_POLICY] = { "c4.policy", 0, BOUND_LINE, "",
	    "remove lines about cookies, privacy policy, terms of use" },
	[C4_SENTENCES] = { "c4.min-sentences", 5, BOUND_LOWER, "sentences",
	    "sentences in the lines that are left" },

	[MC4_PARAGRAPHS] = { "mc4.min-paragraphs", 3, BOUND_LOWER, "lines",
	    "lines of at least mc4.paragraph-chars" },
	[MC4_PARAGRAPH_CHARS] = { "mc4.paragraph-chars", 200, BOUND_PARAMETER, "characters",
	    "length of a line that counts as a paragraph" },

	[FINEWEB_TERMINAL_LINES] = { "fineweb.min-terminal-lines", 0.12, BOUND_LOWER,
	    "share of lines", "lines that end with terminal punctuation" },
	[FINEWEB_SHORT_LINES] = { "fineweb.max-short-lines", 0.67, BOUND_UPPER, "share of lines",
	    "lines of at most fineweb.short-line-chars" },
	[FINEWEB_SHORT_LINE_CHARS] = { "fineweb.short-line-chars", 30, BOUND_PARAMETER,
	    "characters", "length of a short line" },
	[FINEWEB_DUP_LINE_CHARS] = { "fineweb.max-dup-line-chars", 0.01, BOUND_UPPER, CHAR_SHARE,
	    "characters of lines that were there before" },
	[FINEWEB_NEWLINES] = { "fineweb.max-newlines", 0.3, BOUND_UPPER, "per word",
	    "line ends" },
};

static const struct {
	const char *name;
	int (*judge)(struct quality_run *run, struct err *err);
} families[QUALITY_FAMILIES] = {
	[FAMILY_GOPHER] = { "gopher", quality_gopher },
	[FAMILY_REP] = { "gopher-rep", quality_repeat },
	[FAMILY_C4] = { "c4", quality_c4 },
	[FAMILY_MC4] = { "mc4", quality_mc4 },
	[FAMILY_FINEWEB] = { "fineweb", quality_fineweb },
};

int
quality_init(struct quality *q, struct err *err)
{
	*q = (struct quality){ 0 };
	for (int i = 0; i < QUALITY_RULES; i++)
		q->limit[i] = quality_rules[i].limit;
	if (quality_stop_words(q, err) < 0)
		return -1;
	q->words = english_new(err);
	return q->words == NULL ? -1 : 0;
}

void
quality_free(struct quality *q)
{
	english_free(q->words);
	q->words = NULL;
}

void
quality_state_free(struct quality_state *s)
{
	english_words_free(&s->words);
	buf_free(&s->text);
	buf_free(&s->items);
	buf_free(&s->table);
	buf_free(&s->grams);
	buf_free(&s->place[0]);
	buf_free(&s->place[1]);
	buf_free(&s->sums);
}

static int
family_of(int rule)
{
	str name = str_of(quality_rules[rule].name);
	str head = str_cut(&name, '.');

	for (int i = 0; i < QUALITY_FAMILIES; i++)
		if (str_eq(head, str_of(families[i].name)))
			return i;
	return -1;
}

/* Does name mean the rule?  "gopher" is both Gopher families. */
static bool
means(str name, int rule)
{
	str rest = str_of(quality_rules[rule].name), full = rest;
	str head = str_cut(&rest, '.');

	if (str_eq(name, full) || str_eq(name, head))
		return true;
	if (str_eq(name, S("gopher")) && str_eq(head, S("gopher-rep")))
		return true;
	return (str_starts(rest, S("min-")) || str_starts(rest, S("max-"))) &&
	    name.n == full.n - 4 && str_starts(name, (str){ head.p, head.n + 1 }) &&
	    str_ends(name, (str){ rest.p + 4, rest.n - 4 });
}

static void
add_family(struct quality *q, int family)
{
	for (int i = 0; i < q->nfamilies; i++)
		if (q->family[i] == family)
			return;
	q->family[q->nfamilies++] = family;
}

int
quality_select(struct quality *q, str names, struct err *err)
{
	while (names.p != NULL) {
		str name = str_cut(&names, ',');
		bool on = !str_starts(name, S("-")), found = false;

		if (!on)
			name = (str){ name.p + 1, name.n - 1 };
		for (int i = 0; i < QUALITY_RULES; i++) {
			if (!means(name, i) || quality_rules[i].bound == BOUND_PARAMETER)
				continue;
			found = true;
			q->on[i] = on;
			if (on)
				add_family(q, family_of(i));
		}
		if (!found)
			return err_set(err, ERR_ARG, "no rule '%.*s'", STR_ARG(name));
	}
	return 0;
}

int
quality_set(struct quality *q, str setting, struct err *err)
{
	str value = setting, name = str_cut(&value, '=');
	char number[64], *end;
	double x;

	if (value.p == NULL || value.n == 0 || value.n >= (ptrdiff_t)sizeof(number))
		return err_set(err, ERR_ARG, "'%.*s' is not rule=number", STR_ARG(setting));
	memcpy(number, value.p, (size_t)value.n);
	number[value.n] = '\0';
	x = strtod(number, &end);
	if (*end == '%' && end[1] == '\0')
		x /= 100;
	else if (*end != '\0')
		return err_set(err, ERR_ARG, "'%s' is no number", number);
	if (!isfinite(x) || x < 0)
		return err_set(err, ERR_ARG, "'%s' is no limit", number);
	for (int i = 0; i < QUALITY_RULES; i++)
		if (str_eq(name, str_of(quality_rules[i].name))) {
			if (quality_rules[i].unit[0] == '\0')
				return err_set(err, ERR_ARG, "rule '%.*s' has no limit",
				    STR_ARG(name));
			q->limit[i] = x;
			return 0;
		}
	return err_set(err, ERR_ARG, "no rule '%.*s' with a limit", STR_ARG(name));
}

int
quality_words(struct quality_run *run, struct err *err)
{
	if (run->have_words)
		return 0;
	if (english_split(run->q->words, run->text, &run->s->words, err) < 0)
		return -1;
	run->have_words = true;
	return 0;
}

ptrdiff_t
quality_chars(struct quality_run *run)
{
	if (run->chars < 0)
		run->chars = utf8_count(run->text);
	return run->chars;
}

/*
 * Is there a line end that is not \n, a sign that gopher counts, or something
 * of the phrases of c4: the
 * "vas" of javascript, "vac" of privacy, "kie" of cookie, "ms o" of terms of
 * use, "psu" of ipsum, a bracket?  n is a multiple of 64, four more bytes can be
 * read, and the loop has no branches so that the compiler vectorizes it.
 */
static int
look(const unsigned char *p, ptrdiff_t n)
{
	unsigned char other = 0, phrase = 0, sign = 0;

	for (ptrdiff_t i = 0; i < n; i += 64) {
		for (int k = 0; k < 64; k++) {
			unsigned char a = p[i + k], b = p[i + k + 1];

			other |= (unsigned char)((a < ' ') & (a != '\n') & (a != '\t'));
			other |= (unsigned char)((a == 0xc2) & (b == 0x85));
			other |= (unsigned char)((a == 0x80) & ((b == 0xa8) | (b == 0xa9)));
			sign |= (unsigned char)((a == '.') & (b == '.') & (p[i + k + 2] == '.'));
			sign |= (unsigned char)((a == '#') | ((a == 0x80) & (b == 0xa6)));
		}
		for (int k = 0; k < 64; k++) {
			unsigned char a = p[i + k] | 0x20, b = p[i + k + 1] | 0x20;
			unsigned char c = p[i + k + 2] | 0x20, d = p[i + k + 3] | 0x20;

			phrase |= (unsigned char)((a == 'v') & (b == 'a') &
			    ((c == 's') | (c == 'c')));
			phrase |= (unsigned char)((a == 'k') & (b == 'i') & (c == 'e'));
			phrase |= (unsigned char)((a == 'm') & (b == 's') & (c == ' ') &
			    (d == 'o'));
			phrase |= (unsigned char)((a == 'p') & (b == 's') & (c == 'u'));
			phrase |= a == '{';	/* [, too */
		}
	}
	return (other != 0 ? QUALITY_LINE_ENDS : 0) | (phrase != 0 ? QUALITY_PHRASES : 0) |
	    (sign != 0 ? QUALITY_SIGNS : 0);
}

struct quality_lines
quality_lines(struct quality_run *run)
{
	str text = run->text;
	struct quality_lines l = { text.p, text.p + text.n, false };

	if (run->seen < 0) {
		const unsigned char *p = (const unsigned char *)text.p;
		ptrdiff_t n = text.n >= 4 ? (text.n - 4) / 64 * 64 : 0;
		unsigned char tail[192] = { 0 };

		memset(tail, 'x', sizeof(tail));
		if (text.n > n)
			memcpy(tail, p + n, (size_t)(text.n - n));
		run->seen = look(p, n) | look(tail, 128);
	}
	l.plain = (run->seen & QUALITY_LINE_ENDS) == 0;
	return l;
}

bool
quality_line(struct quality_lines *l, str *line)
{
	const char *p = l->at, *q;

	if (p == l->end)
		return false;
	if (l->plain) {
		q = memchr(p, '\n', (size_t)(l->end - p));
		*line = (str){ p, (q != NULL ? q : l->end) - p };
		l->at = q != NULL ? q + 1 : l->end;
		return true;
	}
	for (q = p; q < l->end; q++) {
		unsigned char c = (unsigned char)*q;
		const char *next = q;

		if ((c >= ' ' && c != 0xc2 && c != 0xe2) || c == '\t')
			continue;
		if ((uni_class(utf8_next(&next, l->end)) & UNI_LINE) == 0)
			continue;
		*line = (str){ p, q - p };
		if (c == '\r' && next < l->end && *next == '\n')
			next++;
		l->at = next;
		return true;
	}
	*line = (str){ p, l->end - p };
	l->at = l->end;
	return true;
}

uint32_t *
quality_table(struct quality_state *s, ptrdiff_t n, uint64_t *mask, struct err *err)
{
	ptrdiff_t size = 64;
	void *p;

	while (size < 2 * n)
		size *= 2;
	buf_reset(&s->table);
	s->table.limit = PTRDIFF_MAX / 4;
	p = buf_room(&s->table, size * (ptrdiff_t)sizeof(uint32_t));
	if (p == NULL) {
		buf_ok(&s->table, err);
		return NULL;
	}
	memset(p, 0, (size_t)size * sizeof(uint32_t));
	*mask = (uint64_t)size - 1;
	return p;
}

int
quality_item_add(struct quality_state *s, str item, int64_t chars, struct err *err)
{
	struct quality_item *i = (void *)buf_room(&s->items, (ptrdiff_t)sizeof(*i));

	if (i == NULL)
		return buf_ok(&s->items, err);
	i->hash = hash64(item);
	i->chars = chars;
	s->items.n += (ptrdiff_t)sizeof(*i);
	return 0;
}

int
quality_items_end(struct quality_state *s, struct quality_repeats *r, struct err *err)
{
	const struct quality_item *item = (const void *)s->items.p;
	ptrdiff_t n = s->items.n / (ptrdiff_t)sizeof(*item);
	uint64_t mask;
	uint32_t *slot = quality_table(s, n, &mask, err);

	if (slot == NULL)
		return -1;
	*r = (struct quality_repeats){ .items = n };
	for (ptrdiff_t i = 0; i < n; i++) {
		uint64_t k = quality_slot(item[i].hash, mask);

		while (slot[k] != 0 && item[slot[k] - 1].hash != item[i].hash)
			k = (k + 1) & mask;
		if (slot[k] == 0) {
			slot[k] = (uint32_t)i + 1;
		} else {
			r->repeated++;
			r->chars += item[i].chars;
		}
	}
	buf_reset(&s->items);
	return 0;
}

int
quality_measure(const struct quality *q, struct quality_state *s, str text,
    double value[QUALITY_RULES], struct quality_verdict *v, struct err *err)
{
	struct quality_run run = { q, s, v, value, text, false, -1, -1 };

	*v = (struct quality_verdict){ .rule = -1, .text = text };
	for (int i = 0; i < q->nfamilies; i++) {
		int got = families[q->family[i]].judge(&run, err);

		if (got < 0)
			return -1;
		if (got > 0)
			break;
	}
	v->text = run.text;
	v->edited = !str_eq(run.text, text);
	return 0;
}

int
quality_judge(const struct quality *q, struct quality_state *s, str text,
    struct quality_verdict *v, struct err *err)
{
	return quality_measure(q, s, text, NULL, v, err);
}
