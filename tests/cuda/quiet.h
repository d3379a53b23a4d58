/*
 * quiet - the accesses that nobody would report, inline
 *
 * Nearly all accesses are to memory that is there, aligned, written, and not raced for.
 * These functions do what shadow.c does for such a word, and return false or
 * NULL for any other, which is then looked at again by the long way.
 */
#ifndef QUIET_H
#define QUIET_H

#include "exec.h"

/* Is the access of this record before what the lane does now? */
static inline bool
rec_before(const struct warp *w, uint32_t rec, uint32_t lane)
{
	uint32_t warp = rec >> 11 & 31, by = rec >> 5 & 63;

	if (warp != w->id)
		return rec >> 16 <= w->clock[warp];
	return by == lane || by == ANY_LANE || rec >> 16 < w->clock[warp];
}

static inline bool
quiet_shared_read(const struct warp *w, struct word *x, uint32_t lane, unsigned bytes)
{
	uint32_t mine = w->clock[w->id] << 5 | w->id;

	if ((x->valid & x->init & bytes) != bytes || x->flight != 0 ||
	    (x->write != 0 && !rec_before(w, x->write, lane)))
		return false;
	for (int i = 0; i < 2; i++) {
		uint32_t by = x->read[i] >> 5 & 63;

		if (x->read[i] >> 11 == mine && (by == lane || by == ANY_LANE) &&
		    (x->read[i] & bytes) == bytes)
			return true;
	}
	shared_note(w, x, mine << 11 | lane << 5 | bytes);
	return true;
}

static inline bool
quiet_shared_write(const struct warp *w, struct word *x, uint32_t lane, unsigned bytes)
{
	uint32_t mine = w->clock[w->id] << 5 | w->id;

	if ((x->valid & bytes) != bytes || x->flight != 0 ||
	    (x->write != 0 && !rec_before(w, x->write, lane)) ||
	    (x->read[0] != 0 && !rec_before(w, x->read[0], lane)) ||
	    (x->read[1] != 0 && !rec_before(w, x->read[1], lane)) ||
	    (bytes != 15 && x->write >> 11 == mine))
		return false;
	x->write = mine << 11 | lane << 5 | bytes;
	x->read[0] = x->read[1] = 0;
	x->init |= (uint8_t)bytes;
	return true;
}

static inline uint8_t *
quiet_shared(struct warp *w, uint64_t addr, uint32_t size, uint32_t lane, bool write)
{
	struct block *b = w->b;
	uint32_t at, n = size < 4 ? 1 : size / 4;
	unsigned bytes = size < 4 ? ((1u << size) - 1) << (addr & 3) : 15;

	if (addr & (size - 1) || addr < SHARED_BASE)
		return NULL;
	if (addr >= DYNAMIC_BASE) {
		at = (uint32_t)addr - DYNAMIC_BASE;
		if (at >= b->l->dynamic || size > b->l->dynamic - at)
			return NULL;
		at += b->n_static * 4;
	} else {
		at = (uint32_t)addr - SHARED_BASE;
		if (at + size > b->n_static * 4)
			return NULL;
	}
	for (uint32_t i = at / 4; i < at / 4 + n; i++)
		if (!(write ? quiet_shared_write(w, &b->word[i], lane, bytes) :
		    quiet_shared_read(w, &b->word[i], lane, bytes)))
			return NULL;
	return b->shared + at;
}

/* Nobody's, this block's, or of an operation that was before this one. */
static inline bool
rec_calm(const struct block *b, uint64_t rec)
{
	return rec == 0 || (rec ^ b->mine) >> SHADOW_BLOCK == 0 ||
	    (rec >> SHADOW_EPOCH != b->l->epoch && launch_follows(b->l, rec >> SHADOW_EPOCH));
}

static inline bool
quiet_global_read(const struct block *b, struct area *a, uint64_t word, uint64_t rec)
{
	struct shadow *s = &a->shadow[word];
	uint64_t was = __atomic_load_n(&s->read, __ATOMIC_RELAXED), bytes = rec & 15;

	if ((a->init[word] & bytes) != bytes ||
	    !rec_calm(b, __atomic_load_n(&s->write, __ATOMIC_RELAXED)))
		return false;
	if (was >> SHADOW_EPOCH == b->l->epoch)
		return (was & bytes) == bytes && ((was ^ b->mine) >> SHADOW_BLOCK == 0 ||
		    (uint32_t)(was >> SHADOW_BLOCK) == SHADOW_MANY);
	__atomic_store_n(&s->read, rec, __ATOMIC_RELAXED);
	return true;
}

static inline bool
quiet_global_write(const struct block *b, struct area *a, uint64_t word, uint64_t rec)
{
	struct shadow *s = &a->shadow[word];
	uint64_t was = __atomic_load_n(&s->write, __ATOMIC_RELAXED), bytes = rec & 15;

	if (!rec_calm(b, was) || !rec_calm(b, __atomic_load_n(&s->read, __ATOMIC_RELAXED)))
		return false;
	if ((was ^ rec) >> SHADOW_BLOCK == 0)
		rec |= was & 15;
	__atomic_store_n(&s->write, rec, __ATOMIC_RELAXED);
	if ((a->init[word] & bytes) != bytes)
		__atomic_fetch_or(&a->init[word], (uint8_t)bytes, __ATOMIC_RELAXED);
	return true;
}

static inline uint8_t *
quiet_global(const struct warp *w, uint64_t addr, uint32_t size, uint32_t lane, bool write)
{
	const struct block *b = w->b;
	struct area *a = b->area;
	uint64_t rec = b->mine | (uint64_t)(w->id * LANES + lane) << SHADOW_THREAD, word;
	uint32_t n = size < 4 ? 1 : size / 4;

	if (a == NULL || addr < a->lo || addr >= a->hi || size > a->hi - addr || a->freed ||
	    addr & (size - 1))
		return NULL;
	rec |= size < 4 ? ((1u << size) - 1) << (addr & 3) : 15;
	word = (addr - a->lo) / 4;
	for (uint32_t i = 0; i < n; i++)
		if (!(write ? quiet_global_write(b, a, word + i, rec) :
		    quiet_global_read(b, a, word + i, rec)))
			return NULL;
	return a->data + (addr - a->lo);
}

/* A plain access of a lane to shared or global memory, or NULL. */
static inline uint8_t *
quiet(struct warp *w, int space, uint64_t addr, uint32_t size, int lane, bool write)
{
	if (space == SHARED)
		return quiet_shared(w, addr, size, (uint32_t)lane, write);
	if (space == GLOBAL || space == CONST)
		return quiet_global(w, addr, size, (uint32_t)lane, write);
	return NULL;
}

#endif
