#include "dev/cuda/cuda.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALIGN = 256,
	SLAB = 32 << 20,	/* the least to ask the driver for */
	PAGE = 2 << 20,		/* of the driver's memory */
};

/* A piece of a slab.  Of a slab, they lie one after the other, the first of them marked. */
struct cuda_block {
	CUdeviceptr	at;
	int64_t		bytes;
	bool		first, used;
};

static int64_t
round_up(int64_t n, int64_t to)
{
	return (n + to - 1) / to * to;
}

/* Room in the list for so many more. */
static bool
room(struct cuda_memory *m, int more)
{
	struct cuda_block *p;

	if (m->n + more <= m->cap)
		return true;
	p = realloc(m->block, (size_t)(2 * m->cap + more) * sizeof(*p));
	if (p == NULL)
		return false;
	m->block = p;
	m->cap = 2 * m->cap + more;
	return true;
}

static void
insert(struct cuda_memory *m, int i, struct cuda_block b)
{
	memmove(m->block + i + 1, m->block + i, (size_t)(m->n++ - i) * sizeof(b));
	m->block[i] = b;
}

static void
drop(struct cuda_memory *m, int i)
{
	memmove(m->block + i, m->block + i + 1, (size_t)(--m->n - i) * sizeof(*m->block));
}

/* The first block at or behind an address. */
static int
place_of(const struct cuda_memory *m, CUdeviceptr at)
{
	int lo = 0, hi = m->n;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (m->block[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
begins_slab(const struct cuda_memory *m, int i)
{
	return i == m->n || m->block[i].first;
}

/* The smallest free block that takes as many bytes; -1: none. */
static int
best_block(const struct cuda_memory *m, int64_t bytes)
{
	int best = -1;

	for (int i = 0; i < m->n; i++)
		if (!m->block[i].used && m->block[i].bytes >= bytes &&
		    (best < 0 || m->block[i].bytes < m->block[best].bytes))
			best = i;
	return best;
}

/* Give slabs back that nothing is in; what is queued may still use them. */
static void
give_back(struct cuda *c)
{
	struct cuda_memory *m = &c->memory;
	bool waited = false;

	for (int i = m->n - 1; i >= 0; i--) {
		if (m->block[i].used || !m->block[i].first || !begins_slab(m, i + 1))
			continue;
		if (!waited && !CUDA_CALL(c, cuStreamSynchronize, c->stream))
			return;
		waited = true;
		CUDA_CALL(c, cuMemFree_v2, m->block[i].at);
		drop(m, i);
	}
}

/* One slab more, of as many bytes at least; its block, or -1: no memory, or a failure. */
static int
grow(struct cuda *c, int64_t bytes)
{
	int64_t size = c->strict ? bytes : bytes < SLAB ? SLAB : round_up(bytes, PAGE);
	CUdeviceptr p = 0;
	CUresult r = c->drv.cuMemAlloc_v2(&p, (size_t)size);
	int i;

	if (r == CUDA_ERROR_OUT_OF_MEMORY) {
		give_back(c);
		size = bytes;
		r = c->failed ? CUDA_SUCCESS : c->drv.cuMemAlloc_v2(&p, (size_t)size);
	}
	if (r == CUDA_ERROR_OUT_OF_MEMORY || !cuda_ok(c, r, "cuMemAlloc") || c->failed)
		return -1;
	i = place_of(&c->memory, p);
	insert(&c->memory, i, (struct cuda_block){ .at = p, .bytes = size, .first = true });
	return i;
}

CUdeviceptr
cuda_take(struct cuda *c, int64_t bytes)
{
	struct cuda_memory *m = &c->memory;
	int i;

	bytes = c->strict ? (bytes > 0 ? bytes : 1) : round_up(bytes > 0 ? bytes : 1, ALIGN);
	if (!room(m, 2))
		return 0;
	i = best_block(m, bytes);
	if (i < 0 && (i = grow(c, bytes)) < 0)
		return 0;
	if (m->block[i].bytes > bytes) {
		insert(m, i + 1, (struct cuda_block){ .at = m->block[i].at + (uint64_t)bytes,
		    .bytes = m->block[i].bytes - bytes });
		m->block[i].bytes = bytes;
	}
	m->block[i].used = true;
	return m->block[i].at;
}

/* Join a free block with the one behind it, if that is free and of the same slab. */
static void
join(struct cuda_memory *m, int i)
{
	if (i < 0 || begins_slab(m, i + 1) || m->block[i].used || m->block[i + 1].used)
		return;
	m->block[i].bytes += m->block[i + 1].bytes;
	drop(m, i + 1);
}

void
cuda_leave(struct cuda *c, CUdeviceptr p)
{
	struct cuda_memory *m = &c->memory;
	int i = place_of(m, p);

	assert(i < m->n && m->block[i].at == p && m->block[i].used);
	m->block[i].used = false;
	join(m, i);
	join(m, i - 1);
	if (c->strict)
		give_back(c);
}

void
cuda_memory_free(struct cuda *c)
{
	for (int i = 0; i < c->memory.n; i++)
		if (c->memory.block[i].first)
			c->drv.cuMemFree_v2(c->memory.block[i].at);
	free(c->memory.block);
	c->memory = (struct cuda_memory){ 0 };
}
