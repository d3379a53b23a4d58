#include "token/scan.h"

#include <stddef.h>

#include "text/unicode.h"
#include "token/bertclass.h"
#include "token/uclass.h"

#define SCAN_SPAN	((ptrdiff_t)1 << 30)

static const char *const patterns[] = {
	[SCAN_GPT2] =
	    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
	[SCAN_LLAMA3] =
	    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
	    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
	[SCAN_QWEN2] =
	    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
	    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};

const char *
scan_pattern(enum scan kind)
{
	return patterns[kind];
}

enum scan
scan_of(str pattern)
{
	for (int i = SCAN_GPT2; i <= SCAN_QWEN2; i++)
		if (str_eq(pattern, str_of(patterns[i])))
			return (enum scan)i;
	return SCAN_NONE;
}

/* What is left to scan; class as above. */
struct text {
	const uint8_t	*class;
	const char	*end;
};

static inline unsigned
class_at(const struct text *t, const char *p, int *len)
{
	return uclass_at(t->class, p, t->end, len);
}

/* Past the characters from p on whose class has a bit of any. */
static inline const char *
run(const struct text *t, const char *p, unsigned any)
{
	int len;

	while (p < t->end && (class_at(t, p, &len) & any) != 0)
		p += len;
	return p;
}

/* Past the characters that are no letter, number or space. */
static inline const char *
run_other(const struct text *t, const char *p)
{
	int len;

	while (p < t->end && class_at(t, p, &len) == 0)
		p += len;
	return p;
}

/*
 * The length of 's 't 're 've 'm 'll 'd at p, where there is an apostrophe, or
 * 0.  Without case, U+017F (long s) is an s too.
 */
static int
contraction(const struct text *t, const char *p, bool fold)
{
	ptrdiff_t left = t->end - p;
	int lower = fold ? 0x20 : 0;
	int a, b;

	if (left < 2)
		return 0;
	a = p[1] | lower;
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return 2;
	if (left < 3)
		return 0;
	b = p[2] | lower;
	if ((b == 'e' && (a == 'r' || a == 'v')) || (b == 'l' && a == 'l'))
		return 3;
	return fold && memcmp(p + 1, "\xc5\xbf", 2) == 0 ? 3 : 0;
}

/*
 * White space from p on.  "\s+(?!\S)|\s+": a run of several leaves its last
 * character to the word that follows.  With lines, "\s*[\r\n]+" comes first.
 */
static const char *
space(const struct text *t, const char *p, bool lines)
{
	const char *q = p, *last = p, *line = NULL;
	unsigned class;
	int len;

	while (q < t->end && ((class = class_at(t, q, &len)) & UC_SPACE) != 0) {
		last = q;
		q += len;
		if ((class & UC_NL) != 0)
			line = q;
	}
	if (lines && line != NULL)
		return line;
	return q < t->end && last > p ? last : q;
}

static const char *
word_gpt2(const struct text *t, const char *p)
{
	const char *q = p;
	unsigned class;
	int len;

	if (*p == '\'' && (len = contraction(t, p, false)) > 0)
		return p + len;
	if (*p == ' ' && p + 1 < t->end)
		q++;
	class = class_at(t, q, &len);
	if ((class & UC_L) != 0)
		return run(t, q + len, UC_L);
	if ((class & UC_SPACE) != 0)
		return space(t, p, false);
	return class != 0 ? run(t, q + len, UC_N) : run_other(t, q + len);
}

/* digits: the most numbers in one word. */
static inline const char *
word_llama3(const struct text *t, const char *p, int digits)
{
	const char *q;
	unsigned class, next = UC_SPACE;
	int len, len2 = 0;

	class = class_at(t, p, &len);
	if ((class & UC_L) != 0)
		return run(t, p + len, UC_L);
	if (*p == '\'' && (len2 = contraction(t, p, true)) > 0)
		return p + len2;
	q = p + len;
	if ((class & UC_N) != 0) {
		while (--digits > 0 && q < t->end && (class_at(t, q, &len) & UC_N) != 0)
			q += len;
		return q;
	}
	if (q < t->end)
		next = class_at(t, q, &len2);
	if ((class & UC_NL) == 0 && (next & UC_L) != 0)
		return run(t, q + len2, UC_L);
	if (class == 0 || (*p == ' ' && next == 0))
		return run(t, run_other(t, q), UC_NL);
	return space(t, p, true);
}

/* Space and punctuation for BertPreTokenizer: 1, 2; 0 is what words are made of. */
static inline int
bert_kind(const struct text *t, const char *p, int *len)
{
	uint8_t c = (uint8_t)*p;
	const char *next = p;

	if ((class_at(t, p, len) & UC_SPACE) != 0)
		return 1;
	if (c < 0x80)
		return c > ' ' && c < 0x7f && class_at(t, p, len) == 0 ? 2 : 0;
	return (bert_class(utf8_next(&next, t->end)) & BERT_PUNCT) != 0 ? 2 : 0;
}

static const char *
word_bert(const struct text *t, const char *p)
{
	int len, kind = bert_kind(t, p, &len);

	p += len;
	while (kind != 2 && p < t->end && bert_kind(t, p, &len) == kind)
		p += len;
	return p;
}

int
scan_words(enum scan kind, const uint8_t *class, const char *p, const char *end,
    int32_t *cut, int max)
{
	const struct text t = { class, end };
	const char *at = p;
	int n = 0;

	while (at < end && n < max && at - p < SCAN_SPAN) {
		if (kind == SCAN_GPT2)
			at = word_gpt2(&t, at);
		else if (kind == SCAN_BERT)
			at = word_bert(&t, at);
		else if (kind == SCAN_NONE)
			at = end;
		else
			at = word_llama3(&t, at, kind == SCAN_LLAMA3 ? 3 : 1);
		cut[n++] = (int32_t)(at - p);
	}
	return n;
}
