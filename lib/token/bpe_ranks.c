/*
 * Merges of tokens that have ranks and no list of merges: two become the one that
 * has the bytes of both.  So it is with tiktoken's files and SentencePiece's.
 */
#include <stdlib.h>

#include "token/tokenizer_impl.h"

#define MADE_MAX	1024		/* bytes of a token that is made of others */

/* The token that has these bytes; of SentencePiece also that of a byte. */
static int32_t
part_of(const struct tokenizer *t, str bytes)
{
	int32_t id = strmap_find(&t->by_bytes, bytes);

	return id < 0 && bytes.n == 1 ? t->bpe.byte_id[(uint8_t)bytes.p[0]] : id;
}

/* Can a token end before this byte?  Those of SentencePiece are of whole characters. */
static inline bool
can_end(const struct tokenizer *t, char next)
{
	return !t->sentence.on || ((uint8_t)next & 0xc0) != 0x80;
}

/* All ways in which two tokens become a third, whose rank they have. */
static void
add_ways(struct tokenizer *t, int32_t id, uint32_t rank)
{
	str s = t->bytes[id];

	for (ptrdiff_t k = 1; k < s.n; k++)
		if (can_end(t, s.p[k])) {
			strmap_soon(&t->by_bytes, (str){ s.p, k });
			strmap_soon(&t->by_bytes, (str){ s.p + k, s.n - k });
		}
	for (ptrdiff_t k = 1; k < s.n; k++) {
		int32_t left, right;

		if (can_end(t, s.p[k]) && (left = part_of(t, (str){ s.p, k })) >= 0 &&
		    (right = part_of(t, (str){ s.p + k, s.n - k })) >= 0)
			bpe_add(&t->bpe, left, right, rank, id);
	}
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int
bpe_of_ranks(struct tokenizer *t, uint32_t *ranks, struct err *err)
{
	uint64_t *order = malloc(((size_t)t->n + 1) * sizeof(*order));
	int64_t n = 0, room = 0;
	uint32_t rank = 0;

	for (int32_t i = 0; order != NULL && i < t->n; i++) {
		if (ranks[i] == UINT32_MAX || t->bytes[i].n > MADE_MAX)
			continue;
		order[n++] = (uint64_t)ranks[i] << 32 | (uint32_t)i;
		room += t->bytes[i].n;
	}
	if (order == NULL || bpe_init(&t->bpe, room, err) < 0) {
		free(order);
		free(ranks);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	t->bpe.rank = ranks;
	qsort(order, (size_t)n, sizeof(*order), by_number);
	for (int64_t i = 0; i < n; i++) {
		if (i > 0 && order[i] >> 32 != order[i - 1] >> 32)
			rank++;
		add_ways(t, (int32_t)(uint32_t)order[i], rank);
	}
	free(order);
	return bpe_index(&t->bpe, err);
}
