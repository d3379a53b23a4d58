/*
 * The words of one piece: what comes off its ends, what cuts it inside, and the pieces that are
 * cut in no other way than their own
 */
#include <stdlib.h>

#include "text/english_impl.h"

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

static bool
is_letter(unsigned char b)
{
	return (b | 0x20) >= 'a' && (b | 0x20) <= 'z';
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
	while (p < end && is_letter((unsigned char)*p))
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

static bool
is_stop(char c)
{
	return c == '.' || c == '!' || c == '?';
}

/* A word of which nothing is known. */
static void
walk_word(struct english_words *w, const char *text, const char *p, const char *end)
{
	unsigned flags = WORD_SYMBOL | WORD_PUNCT;
	ptrdiff_t chars = 0;
	const char *q = p;

	while (q < end) {
		unsigned char b = (unsigned char)*q;

		chars++;
		if (b >= 0x80) {
			int32_t c = utf8_next(&q, end);

			flags = flags_beyond_ascii(flags, c, chars == 1 && q == end);
			continue;
		}
		q++;
		if (is_letter(b)) {
			const char *letters = q;

			q = skip_letters(q, end);
			chars += q - letters;
			flags = (flags | WORD_ALPHA) & ~(WORD_SYMBOL | WORD_PUNCT);
		} else if (b >= '0' && b <= '9') {
			flags &= ~(WORD_SYMBOL | WORD_PUNCT);
		} else {
			if (is_no_punct(b))
				flags &= ~WORD_PUNCT;
			if (is_stop((char)b) && end - p == 1)
				flags |= WORD_TERMINAL;
		}
	}
	put(w, text, p, end, chars, flags);
}

/* A word of the piece x. */
static void
put_word(struct english_words *w, const char *text, const struct english_piece *x, const char *p,
    const char *end)
{
	uint64_t mine, alnum;
	unsigned flags = 0;

	if (!x->marked) {
		walk_word(w, text, p, end);
		return;
	}
	mine = (((uint64_t)1 << (end - p)) - 1) << (p - x->p);
	alnum = (x->letter | x->digit) & mine;
	if ((x->letter & mine) != 0)
		flags |= WORD_ALPHA;
	if (alnum == 0)
		flags |= WORD_SYMBOL;
	if ((alnum | (x->symbol & mine)) == 0)
		flags |= WORD_PUNCT;
	if (end - p == 1 && is_stop(*p))
		flags |= WORD_TERMINAL;
	put(w, text, p, end, end - p, flags);
}

static void
put_special(struct english_words *w, const char *text, const struct english_piece *x,
    const char *p, const struct special *s)
{
	const char *start = p;

	for (int i = 0; i < s->n; i++)
		if ((s->cuts >> i & 1) != 0) {
			put_word(w, text, x, start, p + i + 1);
			start = p + i + 1;
		}
}

/* The middle of a piece, when its affixes are off and it is no special. */
static void
put_core(struct english_words *w, const char *text, const struct english_piece *x,
    const char *p, const char *end)
{
	const char *at = p, *done = p, *cut;

	if ((x->marked && x->infix == 0) || affix_is_url(p, end)) {
		put_word(w, text, x, p, end);
		return;
	}
	while ((cut = affix_infix(x, p, end, &at)) != NULL) {
		if (cut == p)
			continue;
		if (cut > done)
			put_word(w, text, x, done, cut);
		put_word(w, text, x, cut, at);
		done = at;
	}
	if (end > done)
		put_word(w, text, x, done, end);
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
join_specials(const struct english *r, struct english_words *w, const char *text,
    const struct english_piece *x, ptrdiff_t first)
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
		put_special(w, text, x, text + w->word[i].at, s);
		memmove(w->word + to, w->word + end, (size_t)(w->n - end) * sizeof(*w->word));
		to += w->n - end;
		w->n = end;
		i = last + 1;
	}
	w->n = to;
}

/* Take affixes off [*start, *stop) until nothing comes off, or the rest is the special returned. */
static const struct special *
strip(const struct english *r, struct english_words *w, const char *text,
    const struct english_piece *x, const char **start, const char **stop)
{
	const char *p = *start, *end = *stop;
	const struct special *s = NULL;

	while (p < end && (s = special_find(r, p, end - p)) == NULL) {
		ptrdiff_t pre = affix_prefix(p, end), suf;

		if (pre > 0 && (s = special_find(r, p + pre, end - p - pre)) != NULL) {
			put_word(w, text, x, p, p + pre);
			p += pre;
			break;
		}
		suf = affix_suffix(p + pre, end);
		if (pre > 0 && suf > 0 && (s = special_find(r, p, end - suf - p)) != NULL) {
			push_tail(w, suf);
			end -= suf;
			break;
		}
		if (pre == 0 && suf == 0)
			break;
		if (pre > 0) {
			put_word(w, text, x, p, p + pre);
			p += pre;
		}
		if (suf > 0) {
			push_tail(w, suf);
			end -= suf;
		}
	}
	*start = p;
	*stop = end;
	return s;
}

/* Letters, and one sign behind them that is a word of its own? */
static inline bool
is_word_and_sign(const struct english *r, const char *p, const char *letters, const char *end)
{
	char c = *letters;

	if (letters + 1 != end || letters == p)
		return false;
	if (c == '.') {
		if (letters[-1] < 'a')
			return false;
	} else if (c != ',' && c != '?' && c != '!' && c != ';' && c != ':' && c != '"') {
		return false;
	}
	return special_find(r, p, end - p) == NULL && special_find(r, p, letters - p) == NULL;
}

/*
 * Look closer at a piece that is no plain word.  All infixes but stops need a letter or digit
 * before them, and one or another sign behind.
 */
static void
mark(struct english_piece *x)
{
	const struct english_bits *b = x->bits;
	uint64_t alnum, infix;

	x->digit = english_ahead(b[0].digit, b[1].digit, x->shift);
	x->symbol = english_ahead(b[0].symbol, b[1].symbol, x->shift);
	infix = english_ahead(b[0].infix, b[1].infix, x->shift);
	alnum = x->letter | x->digit;
	x->infix = english_ahead(b[0].stop, b[1].stop, x->shift) |
	    (infix & alnum << 1 & (alnum | infix) >> 1);
	x->infix &= ((uint64_t)1 << (x->end - x->p)) - 1;
}

/* The words of a piece of any kind. */
static void
cut_piece(const struct english *r, const char *text, struct english_piece *x,
    struct english_words *w)
{
	const char *p = x->p, *end = x->end;
	ptrdiff_t first = w->n;
	const struct special *s;

	if (x->marked)
		mark(x);
	w->ntail = 0;
	s = strip(r, w, text, x, &p, &end);
	if (s != NULL)
		put_special(w, text, x, p, s);
	else if (p < end)
		put_core(w, text, x, p, end);
	while (w->ntail > 0) {
		ptrdiff_t n = w->tail[--w->ntail];

		put_word(w, text, x, end, end + n);
		end += n;
	}
	if (r != NULL && w->n - first > 1 && !w->failed)
		join_specials(r, w, text, x, first);
}

int
english_piece(const struct english *r, const char *text, struct english_piece *x,
    struct english_words *w)
{
	const char *p = x->p, *end = x->end;
	const char *letters = x->marked ? p + __builtin_ctzll(~x->letter) : skip_letters(p, end);

	if (letters == end && special_find(r, p, end - p) == NULL) {
		put(w, text, p, end, end - p, WORD_ALPHA);
	} else if (letters < end && is_word_and_sign(r, p, letters, end)) {
		put(w, text, p, letters, letters - p, WORD_ALPHA);
		put(w, text, letters, end, 1, WORD_SYMBOL | WORD_PUNCT |
		    (is_stop(*letters) ? WORD_TERMINAL : 0));
	} else {
		cut_piece(r, text, x, w);
	}
	if (!w->failed)
		return 0;
	w->failed = false;
	return -1;
}
