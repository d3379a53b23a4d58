#include <stdlib.h>

#include "infer/matcher_impl.h"

#define MASKS_BYTES	((ptrdiff_t)64 << 20)	/* bits and open nodes */
#define BASES_MAX	65536
#define MARGIN		64	/* rules that begin and end without a byte */

static int64_t
words(const struct constraint *c)
{
	return ((int64_t)c->trie->vocab + 63) / 64;
}

int
mask_init(struct constraint *c, struct err *err)
{
	if (c->masks.base != NULL)
		arena_reset(&c->masks);
	else if (arena_init(&c->masks, MASKS_BYTES + 4 * words(c) * 8, err) < 0)
		return -1;
	c->n_bases = 0;
	c->base = arena_new(&c->masks, struct base, BASES_MAX, err);
	if (c->stack == NULL) {
		c->stack = arena_new(&c->scratch, int32_t, c->trie->longest + 1, err);
		c->open = arena_new(&c->scratch, int32_t, c->trie->n, err);
	}
	return c->base == NULL || c->stack == NULL || c->open == NULL ? -1 : 0;
}

static void
set_bits(const struct token_trie *t, int32_t node, uint64_t *bits)
{
	for (int32_t i = t->node[node].tokens; i < t->node[node + 1].tokens; i++)
		bits[t->id[i] >> 6] |= (uint64_t)1 << (t->id[i] & 63);
}

/*
 * Judge the nodes from first to end, which lie below one that a set stands at;
 * depth is that one's.  Those below where the floor was reached go to open, if
 * given.  Return their number; *deep rises to the deepest stack.
 */
static int32_t
walk(struct constraint *c, int32_t first, int32_t end, int depth, int32_t set, uint64_t *bits,
    int32_t *open, int32_t *deep, struct err *err)
{
	const struct token_node *node = c->trie->node;
	int32_t n_open = 0;

	c->stack[depth] = set;
	for (int32_t at = first; at < end;) {
		int32_t next = set_next(c, c->stack[node[at].depth - 1], node[at].byte, err);

		if (next < 0)
			return -1;
		if (next == SET_DEAD) {
			at = node[at].next;
			continue;
		}
		set_bits(c->trie, at, bits);
		for (int32_t v = at + 1; open != NULL && c->s.set[next].open && v < node[at].next;
		    v = node[v].next)
			open[n_open++] = v;
		if (c->s.set[next].depth > *deep)
			*deep = c->s.set[next].depth;
		c->stack[node[at].depth] = next;
		at++;
	}
	return n_open;
}

/* ---- a group of configurations on one stack ---- */

/*
 * A count that bounds the same tokens and is the same for as many counts as
 * can be: what is further off than the longest token does not matter.
 */
static int32_t
clamp(const struct code *i, int32_t count, int32_t far)
{
	if (count < i->min)
		return i->min - count > far ? 0 : count;
	return i->max == INT32_MAX || i->max - count > far ? i->min : count;
}

/*
 * The stack as far as the first call, which is taken for the floor: *call is its
 * frame, or FRAME_BOTTOM.  Repetitions above it stay, with their counts clamped.
 */
static int32_t
cut(struct constraint *c, int32_t frame, int32_t *call, struct err *err)
{
	int32_t chain[MATCHER_DEPTH + 1], n = 0, top;

	for (; frame >= FRAMES_FIXED && c->g->code[c->s.frame[frame].code].op == OP_REPEAT;
	    frame = c->s.frame[frame].parent)
		chain[n++] = frame;
	*call = frame;
	top = frame == FRAME_BOTTOM ? FRAME_BOTTOM : FRAME_FLOOR;
	while (n > 0 && top >= 0) {
		struct frame f = c->s.frame[chain[--n]];
		int32_t count = clamp(&c->g->code[f.code], f.count, c->trie->longest + 1);

		top = frame_of(c, top, f.code, count, err);
	}
	return top;
}

/* Nodes in the order of their bytes, for what goes on there takes few of those. */
static void
sort_open(const struct token_node *node, const int32_t *open, int32_t n, struct base *b)
{
	int32_t at[256], *first = b->first;

	for (int32_t i = 0; i < n; i++)
		first[node[open[i]].byte + 1]++;
	for (int i = 0; i < 256; i++) {
		first[i + 1] += first[i];
		at[i] = first[i];
	}
	for (int32_t i = 0; i < n; i++)
		b->open[at[node[open[i]].byte]++] = open[i];
}

/* The mask of a set that stands on the floor, made when it is first asked for. */
static const struct base *
base_of(struct constraint *c, int32_t set, struct err *err)
{
	struct base b = { 0 };
	int32_t n;

	if (c->s.set[set].base > 0)
		return &c->base[c->s.set[set].base - 1];
	if (c->n_bases == BASES_MAX) {
		err_set(err, ERR_LIMIT, "the grammar has too many states");
		return NULL;
	}
	if ((b.bits = arena_new(&c->masks, uint64_t, words(c), err)) == NULL ||
	    (n = walk(c, 0, c->trie->n, 0, set, b.bits, c->open, &b.depth, err)) < 0)
		return NULL;
	if ((b.open = arena_new(&c->masks, int32_t, n, err)) == NULL ||
	    (b.first = arena_new(&c->masks, int32_t, 257, err)) == NULL)
		return NULL;
	sort_open(c->trie->node, c->open, n, &b);
	c->base[c->n_bases] = b;
	c->s.set[set].base = ++c->n_bases;
	return &c->base[c->n_bases - 1];
}

/* Where the group came to the floor, what lies below it goes on. */
static int
go_below(struct constraint *c, const struct base *b, int32_t call, uint64_t *mask, struct err *err)
{
	struct frame f = c->s.frame[call];
	int32_t set = set_at(c, c->g->code[f.code].y, f.parent, err), deep = 0;

	if (set < 0)
		return -1;
	for (int byte = 0; byte < 256; byte++) {
		int32_t next = SET_DEAD;

		if (b->first[byte] < b->first[byte + 1] &&
		    (next = set_next(c, set, (uint8_t)byte, err)) < 0)
			return -1;
		for (int32_t i = b->first[byte]; next != SET_DEAD && i < b->first[byte + 1]; i++) {
			const struct token_node *v = &c->trie->node[b->open[i]];

			set_bits(c->trie, b->open[i], mask);
			if (walk(c, b->open[i] + 1, v->next, v->depth, next, mask, NULL, &deep,
			    err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Tokens that n configurations with one frame allow. */
static int
add_group(struct constraint *c, const place *group, int32_t n, uint64_t *mask, struct err *err)
{
	place *at = c->closure.out;
	int32_t frame = place_frame(group[0]), call, top, set, deep = 0;
	const struct base *b;

	if ((top = cut(c, frame, &call, err)) < 0)
		return -1;
	for (int32_t i = 0; i < n; i++)
		at[i] = place_of(place_code(group[i]), top);
	if ((set = set_of(c, at, n, false, false, err)) < 0 || (b = base_of(c, set, err)) == NULL)
		return -1;
	if (c->s.frame[frame].depth + b->depth + MARGIN > MATCHER_DEPTH) {
		/* So deep that a token may meet the limit: no short cut. */
		memcpy(at, group, (size_t)n * sizeof(*at));
		set = set_of(c, at, n, false, false, err);
		return set < 0 ? -1 : walk(c, 0, c->trie->n, 0, set, mask, NULL, &deep, err);
	}
	for (int64_t i = 0; i < words(c); i++)
		mask[i] |= b->bits[i];
	return b->first[256] == 0 ? 0 : go_below(c, b, call, mask, err);
}

int
matcher_mask(struct matcher *m, uint64_t *mask, int64_t n, struct err *err)
{
	struct constraint *c = m->c;
	const struct token_trie *t = c->trie;
	struct set s;

	if (n < t->vocab)
		return err_set(err, ERR_ARG, "a mask of %lld tokens for a vocabulary of %d",
		    (long long)n, (int)t->vocab);
	memset(mask, 0, (size_t)((n + 63) / 64) * sizeof(*mask));
	if (constraint_collect(c, err) < 0)
		return -1;
	s = c->s.set[m->set];
	for (int32_t i = s.first, end; i < s.first + s.n; i = end) {
		for (end = i + 1; end < s.first + s.n &&
		    place_frame(c->s.config[end]) == place_frame(c->s.config[i]); end++)
			;
		if (add_group(c, c->s.config + i, end - i, mask, err) < 0)
			return -1;
	}
	for (int32_t i = 0; i < t->n_eos; i++) {
		uint64_t bit = (uint64_t)1 << (t->eos[i] & 63), *word = &mask[t->eos[i] >> 6];

		*word = s.done ? *word | bit : *word & ~bit;
	}
	for (int64_t i = 0; i < (n + 63) / 64; i++)
		if (mask[i] != 0)
			return 1;
	return 0;
}
