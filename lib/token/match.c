#include "token/match.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "token/tokenizer_impl.h"

#define ID_BITS		22		/* what is left of 32 bits tells pairs apart */
#define ID_MASK		((1u << ID_BITS) - 1)
#define SOME_BITS	21		/* 256 KiB of bits stay in a near cache */
#define SHORT_WORD	63		/* whose places are the bits of one number */
#define AHEAD		16		/* merges that are on their way from memory */

/* How a token is made; 16 bytes, so that it is one access. */
struct match_part {
	int32_t		left, right;
	uint32_t	rank;		/* of the merge, from 1 on; 0: it is what words begin as */
	int32_t		len;		/* 0: never made */
};

/* ---- what two tokens become ---- */

static inline uint64_t
pair_hash(int32_t left, int32_t right)
{
	return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
}

/* The token, or -1. */
static inline int32_t
pair_find(const struct match *m, int32_t left, int32_t right)
{
	uint64_t hash = pair_hash(left, right);
	uint32_t tag = (uint32_t)hash & ~ID_MASK, slot;

	if ((m->some[hash >> (70 - SOME_BITS)] >> (hash >> (64 - SOME_BITS) & 63) & 1) == 0)
		return -1;
	for (uint64_t i = hash >> 32; (slot = m->pair[i & m->pair_mask]) != 0; i++) {
		int32_t id = (int32_t)(slot & ID_MASK) - 1;

		if ((slot & ~ID_MASK) == tag && m->part[id].left == left &&
		    m->part[id].right == right)
			return id;
	}
	return -1;
}

static void
pair_put(struct match *m, int32_t left, int32_t right, int32_t id)
{
	uint64_t hash = pair_hash(left, right), i = hash >> 32;

	m->some[hash >> (70 - SOME_BITS)] |= (uint64_t)1 << (hash >> (64 - SOME_BITS) & 63);
	while (m->pair[i & m->pair_mask] != 0)
		i++;
	m->pair[i & m->pair_mask] = ((uint32_t)hash & ~ID_MASK) | ((uint32_t)id + 1);
}

/* Do two tokens, joined, become themselves again? */
static inline bool
pair_stays(const struct match *m, int32_t left, int32_t right)
{
	const struct match_part *part = m->part;
	uint32_t before = UINT32_MAX;	/* a merge across that ranks so would have come */

	for (;;) {
		int32_t id = pair_find(m, left, right);
		uint32_t a = part[left].rank, b = part[right].rank;

		if (id >= 0 && part[id].rank < before)
			return false;
		/* The later of their merges; of equal ones the right one. */
		if (a > b) {
			before = a;
			left = part[left].right;
		} else if (b > 0) {
			before = b + 1;
			right = part[right].left;
		} else {
			return true;
		}
	}
}

/* ---- the trie of tokens ---- */

/* A trie's keys have no NUL; UTF-8 has no 0xff. */
static inline uint8_t
label_of(uint8_t c)
{
	return c == 0 ? 0xff : c;
}

/* The longest token that p begins with, n > 0; or -1. */
static inline int32_t
longest(const struct match *m, const uint8_t *p, int64_t n)
{
	const uint32_t *unit = m->trie.unit;
	uint32_t at = darts_root(&m->trie), leaf = 0;

	for (int64_t i = 0; i < n; i++) {
		uint8_t label = label_of(p[i]);
		uint32_t u = unit[at ^ label];

		if ((u & (DARTS_VALUE | 0xff)) != label)
			break;
		at ^= label ^ darts_way(u);
		if ((u & DARTS_LEAF) != 0)
			leaf = at;
	}
	return leaf == 0 ? m->one[p[0]] : (int32_t)(unit[leaf] & ~DARTS_VALUE);
}

struct sortable {
	uint64_t	head;		/* the first 8 bytes */
	int32_t		id;
};

/* By the heads, 16 bits at a time; what has the same keeps its order. */
static void
sort_heads(struct sortable *key, struct sortable *other, int64_t n, int64_t *first)
{
	for (int shift = 0; shift < 64; shift += 16) {
		struct sortable *swap = key;

		memset(first, 0, 65537 * sizeof(*first));
		for (int64_t i = 0; i < n; i++)
			first[(key[i].head >> shift & 0xffff) + 1]++;
		for (int i = 0; i < 65536; i++)
			first[i + 1] += first[i];
		for (int64_t i = 0; i < n; i++)
			other[first[key[i].head >> shift & 0xffff]++] = key[i];
		key = other;
		other = swap;
	}
}

/* The tokens of several bytes in about the order of keys, as darts_build() likes them. */
static int64_t
list_keys(const struct match *m, const str *bytes, struct sortable *key, char *copy)
{
	int64_t n = 0;

	for (int32_t i = 0; i < m->n; i++) {
		char head[8] = { 0 };

		if (m->part[i].len < 2)
			continue;
		if (memchr(bytes[i].p, 0xff, (size_t)bytes[i].n) != NULL)
			return -1;
		for (ptrdiff_t k = 0; k < bytes[i].n; k++)
			copy[k] = (char)label_of((uint8_t)bytes[i].p[k]);
		memcpy(head, copy, bytes[i].n < 8 ? (size_t)bytes[i].n : 8);
		memcpy(&key[n].head, head, 8);
		key[n].head = be64toh(key[n].head);
		key[n++].id = i;
		copy += bytes[i].n;
	}
	return n;
}

/* What has the same head into order; few have. */
static void
sort_tails(struct darts_key *list, int64_t n)
{
	for (int64_t i = 1; i < n; i++) {
		struct darts_key k = list[i];
		int64_t at = i;

		for (; at > 0; at--) {
			str a = list[at - 1].key;
			int order = memcmp(a.p, k.key.p, (size_t)(a.n < k.key.n ? a.n : k.key.n));

			if (order < 0 || (order == 0 && a.n < k.key.n))
				break;
			list[at] = list[at - 1];
		}
		list[at] = k;
	}
}

static int
build_trie(struct match *m, const str *bytes, struct err *err)
{
	size_t room = (size_t)m->n + 1, size = 1;
	struct sortable *key = malloc(2 * room * sizeof(*key));
	struct darts_key *list = malloc(room * sizeof(*list));
	int64_t *first = malloc(65537 * sizeof(*first)), n = 0;
	char *copy, **at;
	int ret = -1;

	for (int32_t i = 0; i < m->n; i++) {
		size += (size_t)m->part[i].len;
		if (m->part[i].len == 1)
			m->one[(uint8_t)bytes[i].p[0]] = i;
	}
	copy = malloc(size);
	at = malloc(room * sizeof(*at));
	if (key == NULL || list == NULL || first == NULL || copy == NULL || at == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else if ((n = list_keys(m, bytes, key, copy)) <= 0) {	/* none: nothing to match */
		ret = 0;
	} else {
		size = 0;
		for (int32_t i = 0; i < m->n; i++)
			if (m->part[i].len >= 2) {
				at[i] = copy + size;
				size += (size_t)m->part[i].len;
			}
		sort_heads(key, key + room, n, first);
		for (int64_t i = 0; i < n; i++)
			list[i] = (struct darts_key){ { at[key[i].id], m->part[key[i].id].len },
			    key[i].id };
		sort_tails(list, n);
		ret = darts_build(&m->trie, list, n, err) < 0 ? -1 : 1;
	}
	for (int32_t i = 0; ret > 0 && i < m->n; i++)
		m->shorter[i] = -1;
	/* In this order, for the trie's sake: neighbours begin alike. */
	for (int64_t i = 0; ret > 0 && i < n; i++) {
		str token = bytes[list[i].value];

		m->shorter[list[i].value] = longest(m, (const uint8_t *)token.p, token.n - 1);
	}
	free(key);
	free(list);
	free(first);
	free(copy);
	free(at);
	return ret;
}

/* ---- how tokens are made ---- */

static void
make(struct match *m, const struct bpe_merge *g, const str *bytes)
{
	int32_t left = (int32_t)(g->pair >> 32), right = (int32_t)(uint32_t)g->pair;

	if (m->part[g->id].len > 0 || m->part[left].len == 0 || m->part[right].len == 0 ||
	    !pair_stays(m, left, right))
		return;
	m->part[g->id] = (struct match_part){ left, right, g->rank + 1, (int32_t)bytes[g->id].n };
	pair_put(m, left, right, g->id);
}

/*
 * Now that it is known what is made: might this merge make what is not?  One
 * that came before those that made its two was passed over.
 */
static bool
is_orderly(const struct match *m, const struct tokenizer *t, const struct bpe_merge *g)
{
	int32_t left = (int32_t)(g->pair >> 32), right = (int32_t)(uint32_t)g->pair;
	const struct match_part *x = &m->part[left], *y = &m->part[right];

	/* Bytes that stand for a character without a token are not to be merged. */
	if (((t->kind[left] & t->kind[right] & t->kind[g->id]) & TOKEN_BYTES) == 0)
		return false;
	return m->part[g->id].len > 0 || x->len == 0 || y->len == 0 ||
	    (x->rank <= g->rank && y->rank <= g->rank);
}

/*
 * What becomes of a part of a text that ends up as tokens of its own does not
 * depend on the rest: so a token is made in one way alone, and the first merge
 * whose two stay apart until then is the last step of it.  Return 0 when a
 * token might be made in none of these ways.
 */
static int
make_all(struct match *m, const struct tokenizer *t, struct err *err)
{
	const struct bpe *b = &t->bpe;
	const struct bpe_merge **order;
	int64_t n = 0;
	int good = 1;

	for (int64_t i = 0; i < b->nslots; i++)
		if (b->slot[i].pair != UINT64_MAX && b->slot[i].rank >= n)
			n = (int64_t)b->slot[i].rank + 1;
	if (n > 4 * b->nslots)
		return 0;
	if ((order = calloc((size_t)n + AHEAD, sizeof(*order))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < b->nslots; i++)
		if (b->slot[i].pair != UINT64_MAX)
			order[b->slot[i].rank] = &b->slot[i];
	for (int64_t i = 0; i < n; i++) {
		__builtin_prefetch(order[i + AHEAD]);
		if (order[i] != NULL)
			make(m, order[i], t->bytes);
	}
	for (int64_t i = 0; i < n && good; i++) {
		__builtin_prefetch(order[i + AHEAD]);
		good = order[i] == NULL || is_orderly(m, t, order[i]);
	}
	free(order);
	return good;
}

/* Is it what words begin as? */
static bool
is_base(str bytes, bool chars)
{
	const char *p = bytes.p, *end = bytes.p + bytes.n;

	if (!chars || bytes.n <= 1)
		return bytes.n == 1;
	utf8_next(&p, end);
	return p == end;
}

static int
build(struct match *m, const struct tokenizer *t, struct err *err)
{
	uint32_t slots = 64;
	int good;

	while (slots < 2 * (uint32_t)m->n)
		slots *= 2;
	m->part = calloc((size_t)m->n + 1, sizeof(*m->part));
	m->shorter = malloc(((size_t)m->n + 1) * sizeof(*m->shorter));
	m->pair = calloc(slots, sizeof(*m->pair));
	m->some = calloc((size_t)1 << (SOME_BITS - 6), sizeof(*m->some));
	if (m->part == NULL || m->shorter == NULL || m->pair == NULL ||
	    m->some == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->pair_mask = slots - 1;
	memset(m->one, 0xff, sizeof(m->one));
	for (int32_t i = 0; i < m->n; i++)
		if ((t->kind[i] & TOKEN_BYTES) != 0 && is_base(t->bytes[i], t->sentence.on))
			m->part[i].len = (int32_t)t->bytes[i].n;
	if ((good = make_all(m, t, err)) <= 0)
		return good;
	for (int32_t i = 0; i < m->n; i++)
		m->unmade += (t->kind[i] & TOKEN_BYTES) != 0 && m->part[i].len == 0;
	return build_trie(m, t->bytes, err);
}

int
match_init(struct match *m, const struct tokenizer *t, struct err *err)
{
	int good = 0;

	*m = (struct match){ .n = t->n };
	if (t->n > 0 && t->n < 1 << ID_BITS && t->bpe.nslots > 0 && t->bpe.rank == NULL)
		good = build(m, t, err);
	if (good <= 0)
		match_free(m);
	return good;
}

void
match_free(struct match *m)
{
	free(m->part);
	free(m->shorter);
	free(m->pair);
	free(m->some);
	darts_free(&m->trie);
	*m = (struct match){ 0 };
}

/* ---- words ---- */

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
	int64_t pos = *at, out = 0;
	int32_t t = longest(m, p + pos, n - pos);

	while (t >= 0) {
		int64_t end = pos + m->part[t].len;

		if (!given_up(bits, end) && (out == 0 || pair_stays(m, id[out - 1], t))) {
			id[out++] = t;
			pos = end;
			if (pos == n)
				break;
			t = longest(m, p + pos, n - pos);
		} else if ((t = m->shorter[t]) < 0) {
			if (out == 0)
				return -1;
			bits[pos >> 6] |= (uint64_t)1 << (pos & 63);
			t = id[--out];
			pos -= m->part[t].len;
		}
	}
	*at = pos;
	return out;
}

/* The bytes of the character at p, for which there is no token. */
static int64_t
put_bytes(const uint8_t *p, int64_t n, const int32_t byte_id[256], int32_t *id, struct err *err)
{
	const char *q = (const char *)p;

	utf8_next(&q, q + n);
	n = q - (const char *)p;
	for (int64_t i = 0; i < n; i++)
		if ((id[i] = byte_id[p[i]]) < 0)
			return err_set(err, ERR_FORMAT, "the tokenizer has no token for "
			    "byte 0x%02x", (unsigned)p[i]);
	return n;
}

int64_t
match_word(const struct match *m, struct bpe_scratch *s, str word, const int32_t byte_id[256],
    int32_t *id, struct err *err)
{
	const uint8_t *p = (const uint8_t *)word.p;
	uint64_t few = 0, *bits = &few;
	int64_t at = 0, out = 0;

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
		if ((got = put_bytes(p + at, word.n - at, byte_id, id + out, err)) < 0)
			return -1;
		out += got;
		at += got;
		if (at == word.n)
			return out;
	}
}
