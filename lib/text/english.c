#include <stdlib.h>

#include "text/english_impl.h"

/* What a byte of text is to the scanner. */
enum { LETTER, DIGIT, OTHER, BLANK, HIGH };

#define L LETTER, LETTER, LETTER, LETTER, LETTER
#define O OTHER, OTHER, OTHER, OTHER, OTHER
#define D DIGIT, DIGIT, DIGIT, DIGIT, DIGIT
#define B BLANK, BLANK, BLANK, BLANK, BLANK
#define H HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH

static const uint8_t kind[256] = {
	/* 00 */ O, OTHER, OTHER, OTHER, OTHER, B,
	/* 0e */ O, O, OTHER, OTHER, OTHER, OTHER,
	/* 1c */ B, O, O, O,
	/* 30 */ D, D, O, OTHER, OTHER,
	/* 41 */ L, L, L, L, L, LETTER, O, OTHER,
	/* 61 */ L, L, L, L, L, LETTER, O,
	/* 80 */ H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
};

#undef L
#undef O
#undef D
#undef B
#undef H

struct english *
english_new(struct err *err)
{
	struct english *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(err, ERR_NOMEM, "no memory for the rules of words");
		return NULL;
	}
	if (english_specials(r, err) < 0) {
		english_free(r);
		return NULL;
	}
	return r;
}

void
english_free(struct english *r)
{
	free(r);
}

void
english_words_free(struct english_words *w)
{
	free(w->word);
	free(w->tail);
	*w = (struct english_words){ 0 };
}

static bool
grow(struct english_words *w)
{
	ptrdiff_t cap = w->cap + w->cap / 2 + 1024;
	struct english_word *p = realloc(w->word, (size_t)cap * sizeof(*p));

	if (p == NULL) {
		w->failed = true;
		return false;
	}
	w->word = p;
	w->cap = cap;
	return true;
}

static void
push_tail(struct english_words *w, ptrdiff_t n)
{
	if (w->ntail == w->tailcap) {
		ptrdiff_t cap = w->tailcap * 2 + 64;
		uint32_t *p = realloc(w->tail, (size_t)cap * sizeof(*p));

		if (p == NULL) {
			w->failed = true;
			return;
		}
		w->tail = p;
		w->tailcap = cap;
	}
	w->tail[w->ntail++] = (uint32_t)n;
}

/* Punctuation beyond ASCII that makes no word: datatrove's set. */
static bool
is_symbol(int32_t c)
{
	if (c >= 0x7f && c <= 0x9f)
		return true;
	switch (c) {
	case 0x2014: case 0x201d: case 0xff1a: case 0xff05: case 0xff11: case 0x3008:
	case 0xff08: case 0x3001: case 0x2501: case 0x3010: case 0x300c: case 0x300d:
	case 0xff0c: case 0x3011: case 0xff1b: case 0x201c: case 0x300a: case 0x201e:
	case 0x2019: case 0x2236: case 0xb4: case 0xff0e: case 0x2013: case 0xff1f:
	case 0xff01: case 0xff04: case 0xff5e: case 0xab: case 0x3009: case 0x300b:
	case 0xff09: case 0x3002: case 0x2026: case 0x25ba: case 0xbb:
		return true;
	}
	return c >= 0x589 && (uni_class_of(c) & UNI_TERMINAL) != 0;
}

/* Short words, nearly all, are hashed whole and without a call. */
static inline uint64_t
word_hash(const char *p, ptrdiff_t n, const char *limit)
{
	uint64_t x = 0;

	if (n > 8)
		return hash64((str){ p, n });
	if (limit - p >= 8) {
		memcpy(&x, p, 8);
		x &= UINT64_MAX >> (64 - 8 * n);
	} else {
		memcpy(&x, p, (size_t)n);
	}
	x = (x ^ (uint64_t)n << 56) * 0x9e3779b97f4a7c15u;
	return x ^ x >> 32;
}

uint64_t
english_hash(str word)
{
	return word.n > 0 ? word_hash(word.p, word.n, word.p + word.n) : 0;
}

static inline void
put(struct english_words *w, const char *text, const char *p, const char *end, ptrdiff_t chars,
    unsigned flags)
{
	if (w->n < w->cap || grow(w))
		w->word[w->n++] = (struct english_word){
			.hash = word_hash(p, end - p, w->limit),
			.at = (uint32_t)(p - text), .bytes = (uint32_t)(end - p),
			.chars = (uint32_t)chars, .flags = flags,
		};
}

/* The first byte at p or behind that is no ASCII letter: eight at a time. */
static inline const char *
skip_letters(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;

	while (end - p >= 8) {
		uint64_t x, low, other;

		memcpy(&x, p, 8);
		low = (x | 0x20 * ones) & ~high;
		other = (~(low + (0x80 - 'a') * ones) | (low + (0x7f - 'z') * ones) | x) & high;
		if (other != 0 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
			return p + __builtin_ctzll(other) / 8;
		if (other != 0)
			break;
		p += 8;
	}
	while (p < end && kind[(unsigned char)*p] == LETTER)
		p++;
	return p;
}

/* ASCII that is neither letter, digit nor punctuation: controls, space, $+<=>^`|~ and DEL. */
static inline bool
is_no_punct(unsigned char b)
{
	static const uint64_t bits[2] = { 0x70000811ffffffffu, 0xd000000140000000u };

	return (bits[b >> 6] >> (b & 63) & 1) != 0;
}

/* What a character leaves of a word's flags, or adds to them. */
static unsigned
flags_beyond_ascii(unsigned flags, int32_t c, bool alone)
{
	unsigned class = uni_class(c);

	if ((class & UNI_LETTER) != 0)
		flags |= WORD_ALPHA;
	if ((class & UNI_PUNCT) == 0)
		flags &= ~WORD_PUNCT;
	if (!is_symbol(c))
		flags &= ~WORD_SYMBOL;
	if ((class & UNI_TERMINAL) != 0 && alone)
		flags |= WORD_TERMINAL;
	return flags;
}

static void
put_word(struct english_words *w, const char *text, const char *p, const char *end)
{
	unsigned flags = WORD_SYMBOL | WORD_PUNCT;
	ptrdiff_t chars = 0;
	const char *q = p;

	while (q < end) {
		unsigned char b = (unsigned char)*q;

		chars++;
		if (kind[b] == HIGH) {
			int32_t c = utf8_next(&q, end);

			flags = flags_beyond_ascii(flags, c, chars == 1 && q == end);
			continue;
		}
		q++;
		if (kind[b] == LETTER) {
			const char *letters = q;

			q = skip_letters(q, end);
			chars += q - letters;
			flags = (flags | WORD_ALPHA) & ~(WORD_SYMBOL | WORD_PUNCT);
		} else if (kind[b] == DIGIT) {
			flags &= ~(WORD_SYMBOL | WORD_PUNCT);
		} else {
			if (is_no_punct(b))
				flags &= ~WORD_PUNCT;
			if ((b == '.' || b == '!' || b == '?') && end - p == 1)
				flags |= WORD_TERMINAL;
		}
	}
	put(w, text, p, end, chars, flags);
}

static void
put_special(struct english_words *w, const char *text, const char *p, const struct special *s)
{
	const char *start = p;

	for (int i = 0; i < s->n; i++)
		if ((s->cuts >> i & 1) != 0) {
			put_word(w, text, start, p + i + 1);
			start = p + i + 1;
		}
}

/* The middle of a piece, when its affixes are off. */
static void
put_core(const struct english *r, bool use, struct english_words *w, const char *text,
    const char *p, const char *end)
{
	const struct special *s = use ? special_find(r, p, end - p) : NULL;
	const char *at = p, *done = p, *cut;

	if (s != NULL) {
		put_special(w, text, p, s);
		return;
	}
	if (affix_is_url(p, end)) {
		put_word(w, text, p, end);
		return;
	}
	while ((cut = affix_infix(p, end, &at)) != NULL) {
		if (cut == p)
			continue;
		if (cut > done)
			put_word(w, text, done, cut);
		put_word(w, text, cut, at);
		done = at;
	}
	if (end > done)
		put_word(w, text, done, end);
}

/* Words from first on that together are a special with just these cuts. */
static const struct special *
find_joined(const struct english *r, const struct english_words *w, const char *text,
    ptrdiff_t first, ptrdiff_t *last)
{
	const struct english_word *a = &w->word[first];
	uint32_t lengths = r->joined[(unsigned char)text[a->at]], cuts = 0;
	const struct special *found = NULL;

	for (ptrdiff_t i = first; i < w->n; i++) {
		uint32_t n = w->word[i].at + w->word[i].bytes - a->at;
		const struct special *s;

		if (n > SPECIAL_MAX || lengths >> n == 0)
			break;
		cuts |= (uint32_t)1 << (n - 1);
		if (i == first || (lengths >> n & 1) == 0)
			continue;
		s = special_find(r, text + a->at, n);
		if (s != NULL && s->plain == cuts) {
			found = s;
			*last = i;
		}
	}
	return found;
}

static void
join_specials(const struct english *r, struct english_words *w, const char *text, ptrdiff_t first)
{
	ptrdiff_t end = w->n, to = first;

	for (ptrdiff_t i = first; i < end;) {
		ptrdiff_t last = i;
		const struct special *s = find_joined(r, w, text, i, &last);

		if (s == NULL) {
			if (to < i)
				w->word[to] = w->word[i];
			to++;
			i++;
			continue;
		}
		/* Its words are never more than those that they replace. */
		put_special(w, text, text + w->word[i].at, s);
		memmove(w->word + to, w->word + end, (size_t)(w->n - end) * sizeof(*w->word));
		to += w->n - end;
		w->n = end;
		i = last + 1;
	}
	w->n = to;
}

/* Take affixes off until nothing comes off or the rest is a special. */
static void
strip(const struct english *r, bool use, struct english_words *w, const char *text,
    const char **start, const char **stop)
{
	const char *p = *start, *end = *stop;

	while (p < end && !(use && special_find(r, p, end - p) != NULL)) {
		ptrdiff_t pre = affix_prefix(p, end), suf;

		if (pre > 0 && p + pre < end && use && special_find(r, p + pre, end - p - pre)) {
			put_word(w, text, p, p + pre);
			p += pre;
			break;
		}
		suf = affix_suffix(p + pre, end);
		if (suf > 0 && p < end - suf && use && special_find(r, p, end - suf - p)) {
			push_tail(w, suf);
			end -= suf;
			break;
		}
		if (pre == 0 && suf == 0)
			break;
		if (pre > 0) {
			put_word(w, text, p, p + pre);
			p += pre;
		}
		if (suf > 0) {
			push_tail(w, suf);
			end -= suf;
		}
	}
	*start = p;
	*stop = end;
}

int
english_piece(const struct english *r, bool use, const char *text, const char *p,
    const char *end, struct english_words *w)
{
	ptrdiff_t first = w->n;

	w->ntail = 0;
	strip(r, use, w, text, &p, &end);
	if (p < end)
		put_core(r, use, w, text, p, end);
	while (w->ntail > 0) {
		ptrdiff_t n = w->tail[--w->ntail];

		put_word(w, text, end, end + n);
		end += n;
	}
	if (use && w->n - first > 1 && !w->failed)
		join_specials(r, w, text, first);
	return w->failed ? -1 : 0;
}

/* Bytes of the white space beyond ASCII at p, or 0. */
static inline int
high_space(const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;

	if (c != 0xc2 && (c < 0xe1 || c > 0xe3))
		return 0;
	if (c == 0xe2 && end - p >= 3 && p[1] == '\x80' && (unsigned char)p[2] > 0x8a &&
	    (unsigned char)p[2] < 0xa8)
		return 0;	/* dashes and quotes */
	return (uni_class(utf8_next(&p, end)) & UNI_SPACE) == 0 ? 0 : c == 0xc2 ? 2 : 3;
}

/* The first byte at p or behind that is no ASCII above the space: eight at a time. */
static inline const char *
skip_solid(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;

	while (end - p >= 8) {
		uint64_t x, other;

		memcpy(&x, p, 8);
		other = (~((x & ~high) + (0x7f - ' ') * ones) | x) & high;
		if (other != 0 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
			return p + __builtin_ctzll(other) / 8;
		if (other != 0)
			break;
		p += 8;
	}
	while (p < end && (signed char)*p > ' ')
		p++;
	return p;
}

/* A piece of text without white space. */
struct piece {
	const char *p, *end;
	const char *letters;	/* where its first ASCII letters end */
	bool	    gap;	/* more than one space was before it */
};

/* Cut the next piece off [*at, end).  At the end of the text it is empty. */
static inline bool
next_piece(const char **at, const char *end, struct piece *x)
{
	const char *p = *at, *q, *start = p;
	int n;

	while (p < end) {
		if (kind[(unsigned char)*p] == BLANK)
			p++;
		else if (kind[(unsigned char)*p] == HIGH && (n = high_space(p, end)) > 0)
			p += n;
		else
			break;
	}
	x->gap = p - start > 1 || (p > start && *start != ' ');
	x->letters = q = skip_letters(p, end);
	while ((q = skip_solid(q, end)) < end && kind[(unsigned char)*q] != BLANK) {
		if (kind[(unsigned char)*q] == HIGH && high_space(q, end) > 0)
			break;
		q++;
	}
	x->p = p;
	x->end = *at = q;
	return p < q;
}

/* Letters, and one sign behind them that is a word of its own? */
static inline bool
is_word_and_sign(const struct english *r, const struct piece *x)
{
	char c = *x->letters;

	if (x->letters + 1 != x->end || x->letters == x->p)
		return false;
	if (c == '.') {
		if (x->letters[-1] < 'a')
			return false;
	} else if (c != ',' && c != '?' && c != '!' && c != ';' && c != ':' && c != '"') {
		return false;
	}
	return special_find(r, x->p, x->end - x->p) == NULL &&
	    special_find(r, x->p, x->letters - x->p) == NULL;
}

static int
take_piece(const struct english *r, struct english_words *w, const char *text,
    const struct piece *x, struct err *err)
{
	if (x->letters == x->end && special_find(r, x->p, x->end - x->p) == NULL) {
		put(w, text, x->p, x->end, x->end - x->p, WORD_ALPHA);
	} else if (x->letters < x->end && is_word_and_sign(r, x)) {
		char c = *x->letters;

		put(w, text, x->p, x->letters, x->letters - x->p, WORD_ALPHA);
		put(w, text, x->letters, x->end, 1, WORD_SYMBOL | WORD_PUNCT |
		    (c == '.' || c == '?' || c == '!' ? WORD_TERMINAL : 0));
	} else {
		english_piece(r, true, text, x->p, x->end, w);
	}
	if (!w->failed)
		return 0;
	w->failed = false;
	return err_set(err, ERR_NOMEM, "no memory for the words of a text");
}

int
english_split(const struct english *r, str text, struct english_words *w, struct err *err)
{
	const char *at = text.p, *end = text.p + text.n;
	struct piece x;

	w->n = 0;
	w->limit = end;
	if (text.n > INT32_MAX)
		return err_set(err, ERR_LIMIT, "a text of %td bytes is too long", text.n);
	while (next_piece(&at, end, &x))
		if (take_piece(r, w, text.p, &x, err) < 0)
			return -1;
	return 0;
}

int64_t
english_sentences(const struct english *r, str text, int64_t limit, struct english_words *w,
    struct err *err)
{
	const char *at = text.p, *end = text.p + text.n;
	struct piece x;
	bool ended = false;
	int64_t n = 1;

	w->limit = end;
	while (at < end && n < limit) {
		bool more = next_piece(&at, end, &x);

		if (x.gap && ended) {
			n++;		/* white space of its own starts a sentence */
			ended = false;
		}
		if (!more)
			break;
		w->n = 0;
		if (take_piece(r, w, text.p, &x, err) < 0)
			return -1;
		for (ptrdiff_t i = 0; i < w->n; i++) {
			unsigned flags = w->word[i].flags;

			if (ended && (flags & (WORD_PUNCT | WORD_TERMINAL)) == 0) {
				n++;
				ended = false;
			} else if ((flags & WORD_TERMINAL) != 0) {
				ended = true;
			}
		}
	}
	return n < limit ? n : limit;
}
