#include "token/match_impl.h"

#include <string.h>

#include "text/unicode.h"

#define SHORT_WORD	63		/* whose places are the bits of one number */

int32_t
match_whole(const struct match *m, str word)
{
	uint32_t at = darts_root(&m->unmade);
	int32_t value = -1;

	for (ptrdiff_t i = 0; i < word.n; i++)
		if (!darts_step(&m->unmade, &at, label_of((uint8_t)word.p[i]), &value))
			return -1;
	return value < 0 ? -1 : value >> 1;
}

/* Does it begin with a strange token? */
static bool
begins_strange(const struct match *m, str s)
{
	uint32_t at = darts_root(&m->unmade);
	int32_t value;

	for (ptrdiff_t i = 0; i < s.n; i++) {
		if (!darts_step(&m->unmade, &at, label_of((uint8_t)s.p[i]), &value))
			return false;
		if (value >= 0 && (value & 1) != 0)
			return true;
	}
	return false;
}

static inline bool
strange_bit(const uint64_t *bits, const char *p)
{
	unsigned h = strange_hash(p);

	return (bits[h / 64] >> h % 64 & 1) != 0;
}

/* Has word the bytes of a strange token? */
static bool
has_strange(const struct match *m, str word)
{
	if (!m->any_strange)
		return false;
	for (ptrdiff_t i = 0; i + 1 < word.n; i++)
		if (strange_bit(m->strange, word.p + i) &&
		    begins_strange(m, (str){ word.p + i, word.n - i }))
			return true;
	return false;
}

/* The longest token that p begins with, n > 0, and its length; or -1. */
static inline int32_t
longest(const struct match *m, const uint8_t *p, int64_t n, int64_t *len)
{
	const uint32_t *unit = m->trie.unit;
	uint32_t at = darts_root(&m->trie), leaf = 0;

	*len = 1;
	for (int64_t i = 0; i < n; i++) {
		uint8_t label = label_of(p[i]);
		uint32_t u = unit[at ^ label];

		if ((u & (DARTS_VALUE | 0xff)) != label)
			break;
		at ^= label ^ darts_way(u);
		if ((u & DARTS_LEAF) != 0) {
			leaf = at;
			*len = i + 1;
		}
	}
	return leaf == 0 ? m->one[p[0]] : (int32_t)(unit[leaf] & ~DARTS_VALUE);
}

/* Bit i % 64 of bits[i / 64]: place i has been given up. */
static inline bool
given_up(const uint64_t *bits, int64_t i)
{
	return (bits[i >> 6] >> (i & 63) & 1) != 0;
}

/*
 * The ids from p on, up to its end or a character without a token; *at is moved
 * there.  Return how many, or -1 when there are none.
 */
static inline int64_t
match_run(const struct match *m, const uint8_t *p, int64_t n, int64_t *at, uint64_t *bits,
    int32_t *id)
{
	int64_t pos = *at, out = 0, len;
	int32_t t = longest(m, p + pos, n - pos, &len);

	while (t >= 0) {
		int64_t end = pos + len;

		if (!given_up(bits, end) && (out == 0 || pair_stays(m, id[out - 1], t))) {
			id[out++] = t;
			pos = end;
			if (pos == n)
				break;
			t = longest(m, p + pos, n - pos, &len);
			continue;
		}
		if ((t = token_shorter(m, t)) < 0) {
			if (out == 0)
				return -1;
			bits[pos >> 6] |= (uint64_t)1 << (pos & 63);
			t = id[--out];
			pos -= token_len(m, t);
		}
		len = token_len(m, t);
	}
	*at = pos;
	return out;
}

/* The bytes of the character at p, which has no token.  0: nor has one of these. */
static int64_t
put_bytes(const uint8_t *p, int64_t n, const int32_t byte_id[256], int32_t *id)
{
	const char *q = (const char *)p;

	utf8_next(&q, q + n);
	n = q - (const char *)p;
	for (int64_t i = 0; i < n; i++)
		if ((id[i] = byte_id[p[i]]) < 0)
			return 0;
	return n;
}

int64_t
match_word(const struct match *m, struct bpe_scratch *s, str word, const int32_t byte_id[256],
    int32_t *id, struct err *err)
{
	const uint8_t *p = (const uint8_t *)word.p;
	uint64_t few = 0, *bits = &few;
	int64_t at = 0, out = 0;

	if (has_strange(m, word))
		return 0;
	if (word.n > SHORT_WORD) {
		size_t size = (size_t)(word.n / 64 + 1) * sizeof(*bits);

		if ((bits = bpe_scratch(s, (int64_t)size, err)) == NULL)
			return -1;
		memset(bits, 0, size);
	}
	for (;;) {
		int64_t got = match_run(m, p, word.n, &at, bits, id + out);

		if (got < 0)
			return 0;
		out += got;
		if (at == word.n)
			return out;
		if ((got = put_bytes(p + at, word.n - at, byte_id, id + out)) == 0)
			return 0;
		out += got;
		at += got;
		if (at == word.n)
			return out;
	}
}
