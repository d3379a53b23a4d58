#include "token/match_impl.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "token/tokenizer_impl.h"

#define AHEAD		16		/* merges that are on their way from memory */
#define NESTED_MAX	256		/* tokens that begin with each other: all may be tried */

/* ---- the trie of tokens ---- */

struct sortable {
	uint64_t	head;		/* the first 8 bytes */
	int32_t		id;
};

/* By the heads, DIGIT bits at a time; what has the same keeps its order. */
static struct sortable *
sort_heads(struct sortable *key, struct sortable *other, int64_t n)
{
	enum { DIGIT = 11, DIGITS = 6 };
	uint32_t first[DIGITS][(1 << DIGIT) + 1] = { { 0 } };

	for (int64_t i = 0; i < n; i++)
		for (int d = 0; d < DIGITS; d++)
			first[d][LOW(key[i].head >> d * DIGIT, DIGIT) + 1]++;
	for (int d = 0; d < DIGITS; d++) {
		struct sortable *swap = key;

		for (int i = 0; i < 1 << DIGIT; i++)
			first[d][i + 1] += first[d][i];
		for (int64_t i = 0; i < n; i++)
			other[first[d][LOW(key[i].head >> d * DIGIT, DIGIT)]++] = key[i];
		key = other;
		other = swap;
	}
	return key;
}

/* The tokens of several bytes; -1: one has a byte that the trie cannot have. */
static int64_t
list_heads(const struct match *m, const str *bytes, struct sortable *key)
{
	int64_t n = 0;

	for (int32_t i = 0; i < m->n; i++) {
		char head[8] = { 0 };

		if (token_len(m, i) < 2)
			continue;
		if (memchr(bytes[i].p, 0xff, (size_t)bytes[i].n) != NULL)
			return -1;
		for (ptrdiff_t k = 0; k < 8 && k < bytes[i].n; k++)
			head[k] = (char)label_of((uint8_t)bytes[i].p[k]);
		memcpy(&key[n].head, head, 8);
		key[n].head = be64toh(key[n].head);
		key[n++].id = i;
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

/* Keys in about the order that darts_build() likes, their text one behind the other. */
static void
list_keys(const str *bytes, const struct sortable *sorted, int64_t n, struct darts_key *list,
    char *text)
{
	for (int64_t i = 0; i < n; i++) {
		str s = bytes[sorted[i].id];
		uint64_t head = htobe64(sorted[i].head);

		list[i] = (struct darts_key){ .key = { text, s.n }, .value = sorted[i].id };
		memcpy(text, &head, 8);
		for (ptrdiff_t k = 8; k < s.n; k++)
			text[k] = (char)label_of((uint8_t)s.p[k]);
		text += s.n;
	}
	sort_tails(list, n);
}

static int
build_trie(struct match *m, const str *bytes, struct err *err)
{
	size_t room = (size_t)m->n + 1, size = 8;
	struct sortable *key = malloc(2 * room * sizeof(*key));
	struct darts_key *list = malloc(room * sizeof(*list));
	int64_t n = 0;
	char *text;
	int ret = 0;

	for (int32_t i = 0; i < m->n; i++) {
		size += (size_t)token_len(m, i);
		if (token_len(m, i) == 1)
			m->one[(uint8_t)bytes[i].p[0]] = i;
	}
	text = malloc(size);
	if (key == NULL || list == NULL || text == NULL) {
		ret = err_set(err, ERR_NOMEM, "out of memory");
	} else if ((n = list_heads(m, bytes, key)) > 0) {	/* none: nothing to match */
		list_keys(bytes, sort_heads(key, key + room, n), n, list, text);
		ret = darts_build(&m->trie, list, n, err) < 0 ? -1 : 1;
	}
	for (int64_t i = 0; ret > 0 && i < n; i++) {
		int32_t id = list[i].value, before = list[i].before;
		int32_t nested = before < 0 ? 1 : key[before].id + 1;

		/* From here on by token: how many are in each other. */
		key[id].id = nested;
		if (nested > NESTED_MAX)
			ret = 0;
		if (before < 0)
			before = m->one[(uint8_t)bytes[id].p[0]];
		m->token[id] |= (uint32_t)(before + 1) << LEN_BITS;
	}
	free(key);
	free(list);
	free(text);
	return ret;
}

/* ---- how tokens are made ---- */

/* What make() needs comes from memory while others are made. */
static void
make_soon(const struct match *m, const struct bpe_merge *g)
{
	int32_t left = (int32_t)(g->pair >> 32), right = (int32_t)(uint32_t)g->pair;
	uint64_t hash = pair_hash(pair_key(left, right));

	if (g->pair == UINT64_MAX)
		return;
	__builtin_prefetch(&m->token[g->id]);
	__builtin_prefetch(&m->token[left]);
	__builtin_prefetch(&m->token[right]);
	__builtin_prefetch(&m->made[left]);
	__builtin_prefetch(&m->made[right]);
	__builtin_prefetch(pair_some(m, hash));
	__builtin_prefetch(&m->pair[hash >> 32 & m->pair_mask]);
}

static void
make(struct match *m, const struct bpe_merge *g, const str *bytes)
{
	int32_t left = (int32_t)(g->pair >> 32), right = (int32_t)(uint32_t)g->pair;
	uint64_t key = pair_key(left, right), hash = pair_hash(key), i = hash >> 32;

	if (token_len(m, g->id) > 0 || token_len(m, left) == 0 || token_len(m, right) == 0 ||
	    !pair_stays(m, left, right))
		return;
	m->made[g->id] = key << RANK_BITS | (g->rank + 1);
	m->token[g->id] = (uint32_t)bytes[g->id].n;
	*pair_some(m, hash) |= pair_bit(hash);
	while (m->pair[i & m->pair_mask] != 0)
		i++;
	m->pair[i & m->pair_mask] = ((uint32_t)g->id + 1) << TAG_BITS | pair_tag(hash);
}

/*
 * Now that it is known what is made: might this merge make what is not?  One
 * that came before those that made its two was passed over.
 */
static bool
is_strange(const struct match *m, const struct bpe_merge *g)
{
	int32_t left = (int32_t)(g->pair >> 32), right = (int32_t)(uint32_t)g->pair;

	return token_len(m, g->id) == 0 && token_len(m, left) > 0 && token_len(m, right) > 0 &&
	    (made_rank(m->made[left]) > g->rank || made_rank(m->made[right]) > g->rank);
}

/* Bytes that stand for a character without a token are not to be merged. */
static bool
is_of_bytes(const struct tokenizer *t, const struct bpe_merge *g)
{
	return (t->kind[g->pair >> 32] & t->kind[(uint32_t)g->pair] & t->kind[g->id] &
	    TOKEN_BYTES) != 0;
}

/* Tokens of one rank: which is made first is a matter of places. */
static void
mark_ties(const struct bpe *b, uint8_t *strange)
{
	for (int64_t i = 1; i < b->nmerges; i++)
		if (b->merge[i].rank == b->merge[i - 1].rank &&
		    b->merge[i].id != b->merge[i - 1].id)
			strange[b->merge[i].id] = strange[b->merge[i - 1].id] = 1;
}

/*
 * What becomes of a part of a text that ends up as tokens of its own does not
 * depend on the rest: so a token is made in one way alone, and the first merge
 * whose two stay apart until then is the last step of it.  Tokens that might be
 * made in none of these ways are marked as strange.  Return 0 when some are not
 * of bytes.
 */
static int
make_all(struct match *m, const struct tokenizer *t, uint8_t *strange)
{
	const struct bpe *b = &t->bpe;

	mark_ties(b, strange);
	for (int64_t i = 0; i < b->nmerges; i++) {
		if (i + AHEAD < b->nmerges)
			make_soon(m, &b->merge[i + AHEAD]);
		if (b->merge[i].pair != UINT64_MAX && !strange[b->merge[i].id])
			make(m, &b->merge[i], t->bytes);
	}
	for (int64_t i = 0; i < b->nmerges; i++) {
		const struct bpe_merge *g = &b->merge[i];

		if (g->pair == UINT64_MAX)
			continue;
		if (!is_of_bytes(t, g))
			return 0;
		strange[g->id] |= is_strange(m, g);
	}
	return 1;
}

/* The trie of what is not made; 0: it has a byte that a trie cannot have. */
static int
build_unmade(struct match *m, const struct tokenizer *t, const uint8_t *strange, struct err *err)
{
	struct darts_key *key = malloc(((size_t)m->n + 1) * sizeof(*key));
	struct buf text = { 0 };
	int64_t n = 0;
	int ret = key == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 1;

	for (int32_t i = 0; ret > 0 && i < m->n; i++) {
		str s = t->bytes[i];

		if ((t->kind[i] & TOKEN_BYTES) == 0 || token_len(m, i) > 0 || s.n == 0)
			continue;
		if (memchr(s.p, 0xff, (size_t)s.n) != NULL)
			ret = 0;
		if (strange[i]) {
			unsigned h = strange_hash(s.p);

			m->strange[h / 64] |= (uint64_t)1 << h % 64;
			m->any_strange = true;
		}
		key[n++] = (struct darts_key){ .key = { NULL, s.n }, .value = 2 * i + strange[i] };
		for (ptrdiff_t k = 0; k < s.n; k++)
			buf_byte(&text, (char)label_of((uint8_t)s.p[k]));
	}
	if (ret > 0)
		ret = buf_ok(&text, err) < 0 ? -1 : 1;
	if (ret > 0 && n > 0) {
		const char *p = text.p;

		for (int64_t i = 0; i < n; p += key[i++].key.n)
			key[i].key.p = p;
		ret = darts_build(&m->unmade, key, n, err) < 0 ? -1 : 1;
	}
	buf_free(&text);
	free(key);
	return ret;
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
	uint8_t *strange;
	int good;

	while (slots < 2 * (uint32_t)m->n)
		slots *= 2;
	m->made = calloc((size_t)m->n + 1, sizeof(*m->made));
	m->token = calloc((size_t)m->n + 1, sizeof(*m->token));
	m->pair = calloc(slots, sizeof(*m->pair));
	m->some = calloc((size_t)1 << (SOME_BITS - 6), sizeof(*m->some));
	if (m->made == NULL || m->token == NULL || m->pair == NULL || m->some == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->pair_mask = slots - 1;
	memset(m->one, 0xff, sizeof(m->one));
	for (int32_t i = 0; i < m->n; i++) {
		if ((t->kind[i] & TOKEN_BYTES) == 0)
			continue;
		if (t->bytes[i].n >= 1 << LEN_BITS)
			return 0;
		if (is_base(t->bytes[i], t->sentence.on))
			m->token[i] = (uint32_t)t->bytes[i].n;
	}
	if ((strange = calloc((size_t)m->n, 1)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if ((good = make_all(m, t, strange)) > 0)
		good = build_unmade(m, t, strange, err);
	free(strange);
	return good <= 0 ? good : build_trie(m, t->bytes, err);
}

int
match_init(struct match *m, const struct tokenizer *t, struct err *err)
{
	int good = 0;

	*m = (struct match){ .n = t->n };
	if (t->n > 0 && t->n < 1 << ID_BITS && t->bpe.nslots > 0 &&
	    t->bpe.nmerges + 1 < 1 << RANK_BITS)
		good = build(m, t, err);
	if (good <= 0)
		match_free(m);
	return good;
}

void
match_free(struct match *m)
{
	free(m->made);
	free(m->token);
	free(m->pair);
	free(m->some);
	darts_free(&m->trie);
	darts_free(&m->unmade);
	*m = (struct match){ 0 };
}
