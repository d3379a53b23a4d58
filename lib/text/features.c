#include "text/features.h"

#include <stdlib.h>

#define PRIME	0x9e3779b97f4a7c15u
#define FNV	0x100000001b3u
#define START	0xcbf29ce484222325u

/* What a byte is: of the last two kinds each character is a token. */
enum kind { WORD, SPACE, LINE, OTHER, WIDE };

/* Sixteen bytes of a row; What is from U+2000 on is wide. */
#define ROW(k)	k, k, k, k, k, k, k, k, k, k, k, k, k, k, k, k
static const unsigned char kind[256] = {
	OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, SPACE, LINE, SPACE,
	SPACE, LINE, OTHER, OTHER, ROW(OTHER),
	SPACE, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER,
	OTHER, OTHER, OTHER, OTHER,
	WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, OTHER, OTHER, OTHER, OTHER,
	OTHER, OTHER,
	OTHER, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD,
	WORD, WORD,
	WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, OTHER, OTHER, OTHER,
	OTHER, OTHER,
	OTHER, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD,
	WORD, WORD,
	WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, OTHER, OTHER, OTHER,
	OTHER, OTHER,
	ROW(WORD), ROW(WORD), ROW(WORD), ROW(WORD), ROW(WORD), ROW(WORD),
	WORD, WORD, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE, WIDE,
	WIDE, ROW(WIDE),
};

static inline bool
continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The bits that a hash of a byte at a time leaves alike are at its top. */
static inline uint32_t
id_of(const struct features_opts *o, uint64_t h)
{
	h ^= h >> 29;
	return (uint32_t)(h * PRIME >> (64 - o->bits));
}

static inline char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int
room(struct features *f, int64_t n, struct err *err)
{
	int64_t cap = f->cap > 0 ? f->cap : 1024;
	uint32_t *p;

	if (n <= f->cap - f->n)
		return 0;
	while (cap < f->n + n)
		cap *= 2;
	if ((p = realloc(f->id, (size_t)cap * sizeof(*p))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->id = p;
	f->cap = cap;
	return 0;
}

/* The characters of a token from at on, up to so many of them, between "<" and ">". */
static int
add_chars(const struct features_opts *o, str s, struct features *f, struct err *err)
{
	/* -1 stands before the token, s.n behind it. */
	for (ptrdiff_t at = -1; at < s.n; at++) {
		uint64_t h = START ^ 1;
		ptrdiff_t i = at;

		if (at >= 0 && continues(s.p[at]))
			continue;
		if (room(f, o->chars_max, err) < 0)
			return -1;
		for (int n = 1; n <= o->chars_max && i <= s.n; n++) {
			char c = i < 0 ? '<' : i == s.n ? '>' : lower(s.p[i]);

			h = (h ^ (unsigned char)c) * FNV;
			for (i++; i > 0 && i < s.n && continues(s.p[i]); i++)
				h = (h ^ (unsigned char)s.p[i]) * FNV;
			if (n >= o->chars_min && i - at > 1)
				f->id[f->n++] = id_of(o, h);
		}
	}
	return 0;
}

/* The token at p: its end, and its hash. */
static inline const char *
token(const char *p, const char *end, uint64_t *hash)
{
	enum kind k = kind[(unsigned char)*p];
	uint64_t h = START;

	if (k == LINE) {
		while (p < end && kind[(unsigned char)*p] >= SPACE &&
		    kind[(unsigned char)*p] <= LINE)
			p++;
		h = (h ^ '\n') * FNV;
	} else if (k == WORD) {
		for (; p < end && kind[(unsigned char)*p] == WORD; p++)
			h = (h ^ (unsigned char)lower(*p)) * FNV;
	} else {
		do
			h = (h ^ (unsigned char)*p++) * FNV;
		while (p < end && continues(*p));
	}
	*hash = h;
	return p;
}

int
features_of(const struct features_opts *o, str text, struct features *f, struct err *err)
{
	uint64_t last[FEATURES_WORDS] = { 0 };	/* hashes of what ends at the token before */
	const char *p = text.p, *end = p + text.n;
	int n = 0;

	f->n = 0;
	while (p < end) {
		const char *from = p;
		uint64_t h;

		if (kind[(unsigned char)*p] == SPACE) {
			p++;
			continue;
		}
		p = token(p, end, &h);
		if (room(f, o->words, err) < 0)
			return -1;
		/* From i + 1 tokens before on: the longest first. */
		if (n < o->words)
			n++;
		for (int i = n - 1; i > 0; i--) {
			last[i] = (last[i - 1] ^ h >> 7) * PRIME + h;
			f->id[f->n++] = id_of(o, last[i]);
		}
		last[0] = h;
		f->id[f->n++] = id_of(o, h);
		if (o->chars_max > 0 && add_chars(o, (str){ from, p - from }, f, err) < 0)
			return -1;
	}
	return 0;
}

void
features_free(struct features *f)
{
	free(f->id);
	*f = (struct features){ 0 };
}
