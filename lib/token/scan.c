#include "token/scan_impl.h"

#include <stddef.h>

#include "text/unicode.h"
#include "token/bertclass.h"
#include "token/uclass.h"

#define SCAN_SPAN	((ptrdiff_t)1 << 30)

#define FOLD		"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES		"|\\s+(?!\\S)|\\s+"
#define LINES		"|\\s*[\\r\\n]+" SPACES
#define BEFORE		"[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER		"[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER		"[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define GPT2		"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+" SPACES

static const char *const patterns[SCAN_BERT][SCAN_SPLITS] = {
	[SCAN_GPT2] = { GPT2 },
	[SCAN_LLAMA3] = { FOLD "|" BEFORE "\\p{L}+|\\p{N}{1,3}"
	    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" LINES },
	[SCAN_CL100K] = { "'(?i:[sdmt]|ll|ve|re)|" BEFORE "+\\p{L}++|\\p{N}{1,3}"
	    "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s" },
	[SCAN_QWEN2] = { FOLD "|" BEFORE "\\p{L}+|\\p{N}"
	    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" LINES },
	[SCAN_QWEN35] = { FOLD "|" BEFORE "[\\p{L}\\p{M}]+|\\p{N}"
	    "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" LINES },
	[SCAN_O200K] = { BEFORE UPPER "*" LOWER "+" FOLD "?|" BEFORE UPPER "+" LOWER "*" FOLD "?"
	    "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" LINES },
	[SCAN_TEKKEN] = { BEFORE UPPER "*" LOWER "+|" BEFORE UPPER "+" LOWER "*"
	    "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" LINES },
	[SCAN_DIGITS] = { "\\p{N}", GPT2 },
	[SCAN_DEEPSEEK] = { "\\p{N}{1,3}",
	    "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+",
	    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
	    "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
	    "|\\s*[\r\n]+" SPACES },
};

const char *
scan_pattern(enum scan kind, int i)
{
	return kind < SCAN_BERT && i < SCAN_SPLITS ? patterns[kind][i] : NULL;
}

enum scan
scan_of(const str *pattern, int n)
{
	for (int kind = SCAN_GPT2; kind < SCAN_BERT; kind++) {
		int i = 0;

		while (i < n && scan_pattern((enum scan)kind, i) != NULL &&
		    str_eq(pattern[i], str_of(patterns[kind][i])))
			i++;
		if (i == n && scan_pattern((enum scan)kind, i) == NULL)
			return (enum scan)kind;
	}
	return SCAN_NONE;
}

/* ---- character by character ---- */

#define INLINE static inline __attribute__((always_inline))

#define CUT		0x100	/* with strict: what is cut off from the word */

/* What is left to scan. */
struct text {
	const uint8_t	*class;
	const char	*end;
	bool		 han;		/* the word is of ideographs or kana */
};

/* Ideographs and kana, as DeepSeek has them. */
INLINE bool
is_han(const char *p, int len)
{
	int32_t c = len == 3 ? (p[0] & 0xf) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f) : 0;

	return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x4e00 && c <= 0x9fa5);
}

INLINE unsigned
class_at(struct rule r, const struct text *t, const char *p, int *len)
{
	unsigned class = uclass_at(t->class, p, t->end, len);

	return r.strict && is_han(p, *len) != t->han ? CUT : class;
}

INLINE bool
is_letter(struct rule r, unsigned class)
{
	return (class & (r.marks ? UC_L | UC_M : UC_L)) != 0;
}

/* A symbol: what is nothing else, or with strict what is punctuation or the like. */
INLINE bool
is_other(struct rule r, unsigned class)
{
	return r.strict ? (class & UC_PS) != 0 :
	    !is_letter(r, class) && (class & (UC_N | UC_SPACE)) == 0;
}

enum what { LETTERS, UPPERS, LOWERS, OTHERS };

INLINE bool
is_in(struct rule r, unsigned class, enum what what)
{
	switch (what) {
	case LETTERS:	return is_letter(r, class);
	case UPPERS:	return (class & (UC_UPPER | UC_LO | UC_M)) != 0;
	case LOWERS:	return (class & (UC_LOWER | UC_LO | UC_M)) != 0;
	default:	return is_other(r, class);
	}
}

/* Past a run of characters. */
INLINE const char *
run(struct rule r, const struct text *t, const char *p, enum what what)
{
	int len;

	while (p < t->end && is_in(r, class_at(r, t, p, &len), what))
		p += len;
	return p;
}

/* Past the ends of lines, and slashes perhaps, behind symbols. */
INLINE const char *
run_lines(struct rule r, const struct text *t, const char *p)
{
	while (r.lines && !t->han && p < t->end &&
	    (*p == '\n' || *p == '\r' || (r.slash && *p == '/')))
		p++;
	return p;
}

/*
 * White space from p on.  "\s+(?!\S)|\s+": a run of several leaves its last
 * character to the word that follows.  With lines, "\s*[\r\n]+" comes first.
 */
INLINE const char *
space(struct rule r, const struct text *t, const char *p)
{
	const char *q = p, *last = p, *line = NULL;
	unsigned class = UC_N;
	int len;

	while (q < t->end && ((class = class_at(r, t, q, &len)) & UC_SPACE) != 0) {
		last = q;
		q += len;
		if ((class & UC_NL) != 0)
			line = q;
	}
	if (r.lines && line != NULL && !(r.tail && q == t->end))
		return line;
	if (q == t->end || (r.apart && (class & (UC_N | CUT)) != 0))
		return q;
	return last > p ? last : q;
}

/* UPPER* LOWER+ from p on, giving characters back as need be; or NULL. */
INLINE const char *
upper_lower(struct rule r, const struct text *t, const char *p)
{
	const char *q = p, *both = NULL, *end;
	unsigned class;
	int len;

	for (; q < t->end && is_in(r, class = class_at(r, t, q, &len), UPPERS); q += len)
		if (is_in(r, class, LOWERS))
			both = q + len;
	end = run(r, t, q, LOWERS);
	return end > q ? end : both;
}

/*
 * Letters of either case, by themselves at p or from after on, which is behind
 * the character at p when that may come before letters, else NULL.
 */
INLINE const char *
cased(struct rule r, const struct text *t, const char *p, const char *after)
{
	const char *q = NULL;
	int len;

	if (after != NULL)
		q = upper_lower(r, t, after);
	if (q == NULL)
		q = upper_lower(r, t, p);
	if (q == NULL && after != NULL && (q = run(r, t, after, UPPERS)) == after)
		q = NULL;
	if (q == NULL && (q = run(r, t, p, UPPERS)) == p)
		return NULL;
	if (r.contraction == CONTRACTION_LAST && q < t->end && *q == '\'' &&
	    (len = contraction(q, t->end - q, true)) > 0)
		q += len;
	return q;
}

/* Letters with what may come before them, or NULL. */
INLINE const char *
letters(struct rule r, const struct text *t, const char *p, unsigned class, const char *after)
{
	bool before = (class & (UC_NL | UC_L | UC_N)) == 0 &&
	    !(r.strict && (class & UC_PS) != 0);
	int len;

	if (r.space)
		before = *p == ' ';
	if (r.strict && (uint8_t)*p < 0x80 && (class & UC_PS) != 0 && after < t->end &&
	    (((*after | 0x20) >= 'a' && (*after | 0x20) <= 'z'))) {
		while (after < t->end && (*after | 0x20) >= 'a' && (*after | 0x20) <= 'z')
			after++;
		return after;
	}
	if (r.cased)
		return cased(r, t, p, before ? after : NULL);
	if (before && after < t->end && is_letter(r, class_at(r, t, after, &len)))
		return run(r, t, after, LETTERS);
	return is_letter(r, class) ? run(r, t, after, LETTERS) : NULL;
}

/* Past numbers from p on, which is behind the first. */
INLINE const char *
numbers(struct rule r, const struct text *t, const char *p)
{
	int len;

	for (int n = 1; (r.digits == 0 || n < r.digits) && p < t->end; n++) {
		if ((class_at(r, t, p, &len) & UC_N) == 0)
			break;
		p += len;
	}
	return p;
}

/* What strict has no pattern for, up to where one matches. */
INLINE const char *
between(struct rule r, const struct text *t, const char *p)
{
	int len;

	while (p < t->end) {
		unsigned class = class_at(r, t, p, &len);

		if (class != 0 || letters(r, t, p, class, p + len) != NULL)
			break;
		p += len;
	}
	return p;
}

/* The word at p. */
INLINE const char *
word(struct rule r, struct text *t, const char *p)
{
	const char *q, *after;
	unsigned class, next = UC_SPACE;
	int len, len2 = 0;

	class = uclass_at(t->class, p, t->end, &len);
	t->han = r.strict && is_han(p, len);
	after = p + len;
	if (*p == '\'' && (r.contraction == CONTRACTION_WORD ||
	    r.contraction == CONTRACTION_FOLD) &&
	    (len2 = contraction(p, t->end - p, r.contraction == CONTRACTION_FOLD)) > 0)
		return p + len2;
	if ((q = letters(r, t, p, class, after)) != NULL)
		return q;
	if ((class & UC_N) != 0)
		return numbers(r, t, after);
	if (after < t->end)
		next = class_at(r, t, after, &len2);
	if (r.space && !r.apart && *p == ' ' && (next & UC_N) != 0)
		return numbers(r, t, after + len2);
	if (is_other(r, class) || (*p == ' ' && is_other(r, next)))
		return run_lines(r, t, run(r, t, after, OTHERS));
	if (r.strict && class == 0)
		return between(r, t, after);
	return space(r, t, p);
}

/* Space and punctuation for BertPreTokenizer: 1, 2; 0 is what words are made of. */
static inline int
bert_kind(const struct text *t, const char *p, int *len)
{
	unsigned class = uclass_at(t->class, p, t->end, len);
	uint8_t c = (uint8_t)*p;
	const char *next = p;

	if ((class & UC_SPACE) != 0)
		return 1;
	if (c < 0x80)
		return (class & UC_PS) != 0 ? 2 : 0;
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

static const char *
word_of(enum scan kind, struct text *t, const char *p)
{
#define WORD(rule) return word(rule, t, p)
	SCAN_KINDS(kind, WORD)
	return kind == SCAN_BERT ? word_bert(t, p) : t->end;
}

/* Is the word at p likely to have what masks do not tell? */
static inline bool
is_odd(enum scan kind, const char *p, const char *end)
{
	return (kind == SCAN_BERT || scan_rules[kind].strict) &&
	    ((*p & 0x80) != 0 || (end - p > 1 && (p[1] & 0x80) != 0));
}

int
scan_words_by(const struct scan_simd *simd, enum scan kind, const uint8_t *class,
    const char *p, const char *end, int32_t *cut, int max)
{
	struct text t = { class, end, false };
	const char *at = p;
	int n = 0;

	while (at < end && n < max && at - p < SCAN_SPAN) {
		if (max >= SCAN_ROOM && !is_odd(kind, at, end)) {
			int got;

			if (max - n < SCAN_ROOM)
				break;
			got = simd->words(kind, class, p, (int32_t)(at - p), end, cut + n, max - n);
			if (got > 0) {
				n += got;
				at = p + cut[n - 1];
				continue;
			}
		}
		at = word_of(kind, &t, at);
		cut[n++] = (int32_t)(at - p);
	}
	return n;
}

int
scan_words(enum scan kind, const uint8_t *class, const char *p, const char *end,
    int32_t *cut, int max)
{
	return scan_words_by(scan_simd(), kind, class, p, end, cut, max);
}
