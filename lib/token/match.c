#include "token/match.h"

#include <stdlib.h>
#include <string.h>

#include "token/tokenizer_impl.h"

#define NODE_BITS	24		/* a node and a byte have 32 bits */
#define ID_BITS		22		/* what is left of 32 bits tells pairs apart */
#define ID_MASK		((1u << ID_BITS) - 1)
#define SHORT_WORD	63		/* whose places are the bits of one number */

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

static inline uint64_t
edge_hash(uint32_t key)
{
	return (key * 0x9e3779b97f4a7c15u) >> 32;
}

/* The node behind an edge, or -1. */
static inline int32_t
edge_find(const struct match *m, int32_t node, uint8_t c)
{
	uint32_t key = (uint32_t)node << 8 | c;
	uint64_t slot;

	/* No edge leads to node 2^32 - 1. */
	for (uint64_t i = edge_hash(key); (slot = m->edge[i & m->edge_mask]) != UINT64_MAX; i++)
		if (slot >> 32 == key)
			return (int32_t)(uint32_t)slot;
	return -1;
}

static void
edge_put(struct match *m, int32_t node, uint8_t c, int32_t to)
{
	uint32_t key = (uint32_t)node << 8 | c;
	uint64_t i = edge_hash(key);

	while (m->edge[i & m->edge_mask] != UINT64_MAX)
		i++;
	m->edge[i & m->edge_mask] = (uint64_t)key << 32 | (uint32_t)to;
}

/* The longest token that p begins with, n > 0; or -1. */
static inline int32_t
longest(const struct match *m, const uint8_t *p, int64_t n)
{
	int32_t best = m->one[p[0]], node;

	if (n < 2 || (node = m->two[p[0] << 8 | p[1]]) < 0)
		return best;
	for (int64_t i = 2; ; i++) {
		if (node < m->n)
			best = node;
		if (i == n || (node = edge_find(m, node, p[i])) < 0)
			return best;
	}
}

/* Those that are shorter are there before. */
static int
trie_put(struct match *m, int32_t id, str bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	int32_t *two, node, next;

	m->shorter[id] = -1;
	if (bytes.n == 1) {
		m->one[p[0]] = id;
		return 1;
	}
	m->shorter[id] = longest(m, p, bytes.n);
	two = &m->two[p[0] << 8 | p[1]];
	if (*two < 0)
		*two = bytes.n == 2 ? id : m->nodes++;
	node = *two;
	for (ptrdiff_t i = 2; i < bytes.n; i++, node = next)
		if ((next = edge_find(m, node, p[i])) < 0) {
			next = i + 1 == bytes.n ? id : m->nodes++;
			if (next >= 1 << NODE_BITS)
				return 0;
			edge_put(m, node, p[i], next);
		}
	return 1;
}

static int
build_trie(struct match *m, const str *bytes, struct err *err)
{
	int64_t edges = 0, slots = 64;
	ptrdiff_t longest_token = 0;
	int32_t *order, *first;

	for (int32_t i = 0; i < m->n; i++) {
		edges += m->part[i].len;
		if (m->part[i].len > longest_token)
			longest_token = m->part[i].len;
	}
	/* About half of all bytes are edges of their own. */
	while (slots < edges)
		slots *= 2;
	order = malloc((size_t)m->n * sizeof(*order));
	first = calloc((size_t)longest_token + 2, sizeof(*first));
	m->edge = slots > UINT32_MAX ? NULL : malloc((size_t)slots * sizeof(*m->edge));
	if (order == NULL || first == NULL || m->edge == NULL) {
		free(order);
		free(first);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	memset(m->edge, 0xff, (size_t)slots * sizeof(*m->edge));
	m->edge_mask = (uint32_t)(slots - 1);
	for (int32_t i = 0; i < m->n; i++)
		first[m->part[i].len + 1]++;
	for (ptrdiff_t i = 1; i <= longest_token; i++)
		first[i + 1] += first[i];
	for (int32_t i = 0; i < m->n; i++)
		order[first[m->part[i].len]++] = i;
	free(first);
	m->nodes = m->n;
	for (int32_t i = 0; i < m->n; i++)
		if (m->part[order[i]].len > 0 && trie_put(m, order[i], bytes[order[i]]) == 0) {
			free(order);
			return 0;
		}
	free(order);
	return 1;
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
	if ((order = calloc((size_t)n + 1, sizeof(*order))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < b->nslots; i++)
		if (b->slot[i].pair != UINT64_MAX)
			order[b->slot[i].rank] = &b->slot[i];
	for (int64_t i = 0; i < n; i++)
		if (order[i] != NULL)
			make(m, order[i], t->bytes);
	for (int64_t i = 0; i < n && good; i++)
		good = order[i] == NULL || is_orderly(m, t, order[i]);
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
	m->two = malloc(65536 * sizeof(*m->two));
	if (m->part == NULL || m->shorter == NULL || m->pair == NULL || m->two == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->pair_mask = slots - 1;
	memset(m->two, 0xff, 65536 * sizeof(*m->two));
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
	free(m->edge);
	free(m->two);
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
