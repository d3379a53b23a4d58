/*
 * Integers that other programs packed, as the blocks of kernels.  A group's scale
 * goes into each of its blocks; an integer less its zero is a level of the block.
 */
#include <stdlib.h>

#include "base/quant.h"
#include "fmt/safetensors.h"
#include "model/packing_impl.h"

enum { BLOCK = 32, ROWS = 64 };		/* rows that share lines of words down the columns */

struct blocks {
	const struct packed *w;
	dtype		 type;
	int		 lowest;	/* of an integer less its zero */
	int64_t		 size, row;	/* bytes of a block, and of a row */
	uint16_t	*scale;
	uint8_t		*to;
};

/* Is each group of columns whole blocks, one after the other? */
static bool
in_order(const struct packed *w)
{
	if (w->k % BLOCK != 0 || (w->block[1] % BLOCK != 0 && w->block[1] < w->k))
		return false;
	for (int64_t j = 0; w->order != NULL && j < w->k; j++)
		if (packed_group(w, j) != j / w->block[1])
			return false;
	return true;
}

/* Scales as fp16, if it has them all: finite, and to the last bit. */
static int
take_scales(struct blocks *b, struct err *err)
{
	const struct st_tensor *s = b->w->scale;
	int64_t n = s->bytes / dtype_size(s->type);
	float *x = malloc((size_t)n * sizeof(*x));
	bool same = true;

	b->scale = malloc((size_t)n * sizeof(*b->scale));
	if (x == NULL || b->scale == NULL) {
		free(x);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	dtype_convert(x, DTYPE_F32, s->data, s->type, n);
	for (int64_t i = 0; i < n && same; i++) {
		b->scale[i] = f32_to_f16(x[i]);
		same = f16_to_f32(b->scale[i]) == x[i] && x[i] - x[i] == 0;
	}
	free(x);
	return same;
}

/* What integers less their zeros can be, by those that there are. */
static void
choose_type(struct blocks *b)
{
	const struct packed *w = b->w;
	int middle = 1 << (w->bits - 1);
	bool plain = w->kind == PACKED_PLAIN, even = true;

	for (int64_t i = 0; i < w->n && even && w->zero != NULL; i++)
		for (int64_t g = 0; g < w->groups && even; g++)
			even = packed_zero(w, i, g) == (plain ? 0 : middle);
	if (plain || w->bits == 8)
		b->type = even ? DTYPE_Q8_0 : DTYPE_NONE;
	else if (w->bits == 4)
		b->type = even ? DTYPE_Q4_0 : DTYPE_Q5_0;
	b->lowest = b->type == DTYPE_Q8_0 ? -128 : b->type == DTYPE_Q5_0 ? -16 : -8;
}

static void
put_block(const struct blocks *b, int64_t i, int64_t j)
{
	const struct packed *w = b->w;
	int64_t g = j / w->block[1];
	int zero = packed_zero(w, i, g) + b->lowest;
	int q[BLOCK];
	uint8_t level[BLOCK], *to = b->to + i * b->row + j / BLOCK * b->size;

	packed_integers(w, i, j, BLOCK, q);
	for (int k = 0; k < BLOCK; k++)
		level[k] = (uint8_t)(q[k] - zero);
	memcpy(to, &b->scale[packed_scale(w, i, g)], sizeof(uint16_t));
	quant_pack(b->type, to, level, BLOCK);
}

static int
put_blocks(struct blocks *b, struct err *err)
{
	const struct packed *w = b->w;

	b->size = dtype_bytes(b->type, BLOCK);
	b->row = w->k / BLOCK * b->size;
	if ((b->to = malloc((size_t)(w->n * b->row))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < w->n; i += ROWS)
		for (int64_t j = 0; j < w->k; j += BLOCK)
			for (int64_t r = i; r < i + ROWS && r < w->n; r++)
				put_block(b, r, j);
	return 1;
}

int
packing_blocks(const struct packed *w, dtype *type, void **blocks, struct err *err)
{
	struct blocks b = { .w = w, .type = DTYPE_NONE };
	int got;

	if ((w->kind == PACKED_PLAIN && w->q->type != DTYPE_I8) || !in_order(w))
		return 0;
	choose_type(&b);
	got = b.type == DTYPE_NONE ? 0 : take_scales(&b, err);
	if (got > 0 && blocks != NULL)
		got = put_blocks(&b, err);
	free(b.scale);
	*type = b.type;
	if (blocks != NULL)
		*blocks = b.to;
	return got;
}
