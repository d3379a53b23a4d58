#include "token/bpe.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD		16		/* slots that are on their way from memory */
#define SHORT_WORD	48	/* scanning wins up to about here */

int
bpe_init(struct bpe *b, int64_t n, struct err *err)
{
	b->nmerges = 0;
	if ((b->merge = malloc((size_t)(n + 1) * sizeof(*b->merge))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld merges", (long long)n);
	return 0;
}

void
bpe_free(struct bpe *b)
{
	free(b->slot);
	free(b->merge);
	free(b->rank);
	*b = (struct bpe){ 0 };
}

void
bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
	b->merge[b->nmerges++] = (struct bpe_merge){ (uint64_t)(uint32_t)left << 32 |
	    (uint32_t)right, rank, id };
}

int
bpe_index(struct bpe *b, struct err *err)
{
	b->nslots = 64;
	while (b->nslots < 2 * b->nmerges)
		b->nslots *= 2;
	if ((b->slot = calloc((size_t)b->nslots, sizeof(*b->slot))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld merges",
		    (long long)b->nmerges);
	for (int64_t k = 0; k < b->nmerges; k++) {
		uint64_t pair = b->merge[k].pair, i = bpe_slot(b, pair);

		if (k + AHEAD < b->nmerges)
			__builtin_prefetch(&b->slot[bpe_slot(b, b->merge[k + AHEAD].pair)], 1);
		while (b->slot[i] != 0 && b->merge[b->slot[i] - 1].pair != pair)
			i = (i + 1) & ((uint64_t)b->nslots - 1);
		if (b->slot[i] != 0)
			b->merge[b->slot[i] - 1].pair = UINT64_MAX;
		b->slot[i] = (uint32_t)k + 1;
	}
	return 0;
}

static struct bpe_merge
merge_of(const struct bpe *b, int32_t left, int32_t right)
{
	const struct bpe_merge *m = bpe_find(b, left, right);

	return m != NULL ? *m : (struct bpe_merge){ .rank = UINT32_MAX };
}

static uint32_t
rank_of(const struct bpe *b, int32_t left, int32_t right)
{
	return merge_of(b, left, right).rank;
}

/* id[] holds n symbols; merge them in place. */
static int64_t
merge_short(const struct bpe *b, int32_t *id, int64_t n)
{
	uint32_t rank[SHORT_WORD];

	for (int64_t i = 0; i + 1 < n; i++)
		rank[i] = rank_of(b, id[i], id[i + 1]);
	while (n > 1) {
		int64_t at = 0;

		for (int64_t i = 1; i + 1 < n; i++)
			if (rank[i] < rank[at])
				at = i;
		if (rank[at] == UINT32_MAX)
			break;
		id[at] = merge_of(b, id[at], id[at + 1]).id;
		n--;
		memmove(id + at + 1, id + at + 2, (size_t)(n - at - 1) * sizeof(*id));
		memmove(rank + at, rank + at + 1, (size_t)(n - at - 1) * sizeof(*rank));
		if (at + 1 < n)
			rank[at] = rank_of(b, id[at], id[at + 1]);
		if (at > 0)
			rank[at - 1] = rank_of(b, id[at - 1], id[at]);
	}
	return n;
}

/* A long word: symbols in a list, pairs that can merge in a heap. */
struct list {
	const struct bpe *b;
	uint64_t	*heap;		/* rank << 32 | position */
	int64_t		 nheap;
	int32_t		*sym;		/* by position; -1: merged away */
	int32_t		*prev, *next;	/* -1: none */
};

static void
heap_push(struct list *l, uint64_t x)
{
	int64_t i = l->nheap++;

	for (int64_t up; i > 0 && l->heap[up = (i - 1) / 2] > x; i = up)
		l->heap[i] = l->heap[up];
	l->heap[i] = x;
}

static uint64_t
heap_pop(struct list *l)
{
	uint64_t top = l->heap[0], x = l->heap[--l->nheap];
	int64_t i = 0, kid;

	while ((kid = 2 * i + 1) < l->nheap) {
		if (kid + 1 < l->nheap && l->heap[kid + 1] < l->heap[kid])
			kid++;
		if (l->heap[kid] >= x)
			break;
		l->heap[i] = l->heap[kid];
		i = kid;
	}
	l->heap[i] = x;
	return top;
}

static void
offer(struct list *l, int32_t at)
{
	int32_t right = at < 0 ? -1 : l->next[at];
	uint32_t rank;

	if (right < 0)
		return;
	rank = rank_of(l->b, l->sym[at], l->sym[right]);
	if (rank != UINT32_MAX)
		heap_push(l, (uint64_t)rank << 32 | (uint32_t)at);
}

static int
list_init(struct list *l, struct bpe_scratch *s, int64_t n, struct err *err)
{
	if ((l->heap = bpe_scratch(s, n * 28, err)) == NULL)
		return -1;
	/* Each merge takes one pair out and puts two in: never over 2 n. */
	l->sym = (int32_t *)(l->heap + 2 * n);
	l->prev = l->sym + n;
	l->next = l->prev + n;
	return 0;
}

static int64_t
merge_long(const struct bpe *b, struct bpe_scratch *s, int32_t *id, int64_t n,
    struct err *err)
{
	struct list l = { .b = b };
	int64_t out = 0;

	if (list_init(&l, s, n, err) < 0)
		return -1;
	memcpy(l.sym, id, (size_t)n * sizeof(*id));
	for (int32_t i = 0; i < n; i++) {
		l.prev[i] = i - 1;
		l.next[i] = i + 1 < n ? i + 1 : -1;
	}
	for (int32_t i = 0; i < n; i++)
		offer(&l, i);
	while (l.nheap > 0) {
		uint64_t top = heap_pop(&l);
		int32_t at = (int32_t)(uint32_t)top, right = l.next[at];
		struct bpe_merge m;

		if (l.sym[at] < 0 || right < 0)
			continue;
		m = merge_of(b, l.sym[at], l.sym[right]);
		if (m.rank == UINT32_MAX || m.rank != top >> 32)
			continue;	/* the pair it stood for is gone */
		l.sym[at] = m.id;
		l.sym[right] = -1;
		l.next[at] = l.next[right];
		if (l.next[at] >= 0)
			l.prev[l.next[at]] = at;
		offer(&l, l.prev[at]);
		offer(&l, at);
	}
	for (int32_t i = 0; i >= 0; i = l.next[i])
		id[out++] = l.sym[i];
	return out;
}

int64_t
bpe_merge_ids(const struct bpe *b, struct bpe_scratch *s, int32_t *id, int64_t n,
    struct err *err)
{
	return n <= SHORT_WORD ? merge_short(b, id, n) : merge_long(b, s, id, n, err);
}

int64_t
bpe_word(const struct bpe *b, struct bpe_scratch *s, str word, int32_t *id, struct err *err)
{
	for (ptrdiff_t i = 0; i < word.n; i++) {
		id[i] = b->byte_id[(uint8_t)word.p[i]];
		if (id[i] < 0)
			return err_set(err, ERR_FORMAT,
			    "the tokenizer has no token for byte 0x%02x",
			    (unsigned)(uint8_t)word.p[i]);
	}
	return bpe_merge_ids(b, s, id, word.n, err);
}

void *
bpe_scratch(struct bpe_scratch *s, int64_t size, struct err *err)
{
	void *p;

	if (size <= s->size)
		return s->p;
	if ((p = realloc(s->p, (size_t)(size + size / 2))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for a long word");
		return NULL;
	}
	s->size = size + size / 2;
	return s->p = p;
}

void
bpe_scratch_free(struct bpe_scratch *s)
{
	free(s->p);
	*s = (struct bpe_scratch){ 0 };
}
