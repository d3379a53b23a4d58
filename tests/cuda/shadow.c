/*
 * shadow - who read and wrote each word, and what of it is forbidden
 *
 * Shared memory: warps have vector clocks, joined at barriers; two accesses
 * by different warps are in order if the later one's warp knows the clock of
 * the earlier.  Lanes of one warp are in order after bar.warp.sync or a barrier.
 *
 * Global memory: blocks of one launch have no order, unless an atomic of one
 * saw that of another behind a fence.  Operations of different streams are in
 * order if the program made them so (stream.c).
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "quiet.h"

#define MOST_CLOCK 65000u
#define REC_ATOMIC 0x10u

static uint32_t
record(const struct touch *t, unsigned bytes)
{
	const struct warp *w = t->w;

	return w->clock[w->id] << 16 | w->id << 11 | (uint32_t)t->lane << 5 |
	    (t->sync ? REC_ATOMIC : 0) | bytes;
}

static bool
conflict(const struct touch *t, uint32_t rec, unsigned bytes)
{
	return rec != 0 && (rec & bytes) != 0 && !rec_before(t->w, rec, (uint32_t)t->lane) &&
	    !(t->sync && rec & REC_ATOMIC);
}

static void
race(const struct touch *t, uint32_t rec, const char *what)
{
	const struct launch *l = t->w->b->l;
	uint32_t lane = rec >> 5 & 63, n = (rec >> 11 & 31) * LANES + (lane == ANY_LANE ? 0 : lane);

	fault(t->w, t->in, t->lane, F_RACE,
	    "%s shared memory that thread (%u,%u,%u)%s %s, and no barrier is between",
	    t->write ? "writes" : "reads", n % l->block[0], n / l->block[0] % l->block[1],
	    n / l->block[0] / l->block[1], lane == ANY_LANE ? " or one of its warp" : "", what);
}

void
shared_note(const struct warp *w, struct word *x, uint32_t rec)
{
	uint32_t lane = rec >> 5 & 63;
	int slot = -1;

	for (int i = 0; i < 2 && slot < 0; i++)
		if (x->read[i] != 0 && (x->read[i] >> 11 & 31) == w->id)
			slot = i;
	if (slot >= 0 && x->read[slot] >> 16 == rec >> 16) {
		if ((x->read[slot] ^ rec) >> 5 & 63)
			rec = (rec & ~(63u << 5)) | ANY_LANE << 5;
		x->read[slot] = rec | (x->read[slot] & 15);
		return;
	}
	/* Two of other warps that no barrier came after do as well. */
	if (slot < 0 && x->read[0] != 0 && x->read[1] != 0 &&
	    !rec_before(w, x->read[0], lane) &&
	    !rec_before(w, x->read[1], lane))
		return;
	if (slot < 0)
		slot = x->read[0] == 0 || rec_before(w, x->read[0], lane) ? 0 : 1;
	x->read[slot] = rec;
}

static void
shared_read(const struct touch *t, struct word *x, unsigned bytes)
{
	if ((x->init & bytes) != bytes)
		fault(t->w, t->in, t->lane, F_UNINIT, "reads shared memory that nothing wrote");
	if (conflict(t, x->write, bytes))
		race(t, x->write, "wrote");
	shared_note(t->w, x, record(t, bytes));
}

static void
shared_write(const struct touch *t, struct word *x, uint32_t word, unsigned bytes)
{
	uint32_t rec = record(t, bytes);
	bool same_warp = (x->write >> 11 & 31) == t->w->id;

	if (conflict(t, x->write, bytes) && !(same_warp && t->value != NULL &&
	    memcmp(t->w->b->shared + word * 4 + __builtin_ctz(bytes), t->value,
	    (size_t)__builtin_popcount(bytes)) == 0))
		race(t, x->write, "wrote");
	for (int i = 0; i < 2; i++)
		if (conflict(t, x->read[i], bytes))
			race(t, x->read[i], "read");
	if (same_warp && x->write >> 16 == rec >> 16 && ((x->write ^ rec) >> 5 & 63) != 0)
		rec = (rec & ~(63u << 5)) | ANY_LANE << 5 | (x->write & 15);
	x->write = rec;
	x->read[0] = x->read[1] = 0;
	x->init |= (uint8_t)bytes;
}

void
shared_touch(const struct touch *t, uint32_t word, unsigned bytes)
{
	struct word *x = &t->w->b->word[word];

	if (x->flight & bytes)
		fault(t->w, t->in, t->lane, F_COPY, "%s where a cp.async writes, which was not waited for",
		    t->write ? "writes" : "reads");
	if (t->update && (x->init & bytes) != bytes)
		fault(t->w, t->in, t->lane, F_UNINIT, "updates shared memory that nothing wrote");
	if (t->write)
		shared_write(t, x, word, bytes);
	else
		shared_read(t, x, bytes);
}

/* The state of shared memory before a block begins: which bytes exist. */
void
shared_new(struct block *b)
{
	const struct kernel *k = b->k;
	uint32_t end = SHARED_BASE, bytes;

	for (int i = 0; i < k->n_var; i++)
		if (k->var[i].space == SHARED && k->var[i].hi > end)
			end = k->var[i].hi;
	b->n_static = (end - SHARED_BASE + 3) / 4;
	b->n_words = b->n_static + (b->l->dynamic + 3) / 4;
	bytes = b->n_words * 4;
	b->shared = aligned_alloc(64, (bytes / 64 + 1) * 64);
	b->word = calloc(b->n_words + 1, sizeof(b->word[0]));
	b->blank = calloc(b->n_words + 1, sizeof(b->word[0]));
	for (int i = 0; i < k->n_var; i++)
		for (uint32_t j = k->var[i].lo; k->var[i].space == SHARED && j < k->var[i].hi; j++)
			b->blank[(j - SHARED_BASE) / 4].valid |= (uint8_t)(1u << (j & 3));
	for (uint32_t j = 0; j < b->l->dynamic; j++)
		b->blank[b->n_static + j / 4].valid |= (uint8_t)(1u << (j & 3));
}

/* Index of the first byte, if all of them exist. */
bool
shared_in(struct block *b, uint32_t addr, uint32_t size, uint32_t *index)
{
	uint32_t at, left;

	if (addr >= DYNAMIC_BASE) {
		at = addr - DYNAMIC_BASE;
		left = b->l->dynamic;
		*index = b->n_static * 4 + at;
		return at < left && size <= left - at;
	}
	at = addr - SHARED_BASE;
	if (addr < SHARED_BASE || at >= b->n_static * 4 || size > b->n_static * 4 - at)
		return false;
	*index = at;
	for (uint32_t i = at / 4; i <= (at + size - 1) / 4; i++) {
		unsigned m = 15;

		if (size < 4)
			m = ((1u << size) - 1) << (at & 3);
		if ((b->word[i].valid & m) != m)
			return false;
	}
	return true;
}

static void
clocks_reset(struct block *b)
{
	for (uint32_t i = 0; i < b->n_words; i++)
		b->word[i].write = b->word[i].read[0] = b->word[i].read[1] = 0;
	for (int i = 0; i < b->n_warps; i++) {
		memset(b->warp[i].clock, 0, sizeof(b->warp[i].clock));
		b->warp[i].clock[i] = 1;
	}
}

void
warp_clock_tick(struct warp *w)
{
	if (++w->clock[w->id] >= MOST_CLOCK)
		clocks_reset(w->b);
}

/* A barrier: each knows what all of them did. */
void
clocks_join(struct block *b, uint32_t warps)
{
	uint32_t joint[MAX_WARPS] = { 0 };

	for (int i = 0; i < b->n_warps; i++)
		for (int j = 0; warps >> i & 1 && j < b->n_warps; j++)
			if (b->warp[i].clock[j] > joint[j])
				joint[j] = b->warp[i].clock[j];
	for (int i = 0; i < b->n_warps; i++) {
		if (!(warps >> i & 1))
			continue;
		memcpy(b->warp[i].clock, joint, sizeof(joint));
		warp_clock_tick(&b->warp[i]);
	}
}

struct meeting {
	struct met {
		struct met *next;
		uint64_t addr;
		uint64_t set[];
	} *bucket[256];
};

static pthread_mutex_t meetings_lock = PTHREAD_MUTEX_INITIALIZER;

/* An atomic at addr: this block may now read what those did that were here before. */
void
block_meets(struct block *b, uint64_t addr, bool release)
{
	struct launch *l = b->l;
	size_t words = l->n_blocks / 64 + 1;
	struct met *m;

	pthread_mutex_lock(&meetings_lock);
	if (l->meeting == NULL)
		l->meeting = calloc(1, sizeof(*l->meeting));
	for (m = l->meeting->bucket[addr / 4 % 256]; m != NULL && m->addr != addr; m = m->next)
		;
	if (m == NULL) {
		m = calloc(1, sizeof(*m) + words * 8);
		m->addr = addr;
		m->next = l->meeting->bucket[addr / 4 % 256];
		l->meeting->bucket[addr / 4 % 256] = m;
	}
	for (size_t i = 0; i < words; i++)
		b->seen[i] |= m->set[i];
	b->seen[b->number / 64] |= UINT64_C(1) << b->number % 64;
	for (size_t i = 0; release && i < words; i++)
		m->set[i] |= b->seen[i];
	pthread_mutex_unlock(&meetings_lock);
}

void
meetings_free(struct launch *l)
{
	for (int i = 0; l->meeting != NULL && i < 256; i++)
		for (struct met *m = l->meeting->bucket[i], *next; m != NULL; m = next) {
			next = m->next;
			free(m);
		}
	free(l->meeting);
	l->meeting = NULL;
}

static bool
block_seen(const struct block *b, uint64_t rec)
{
	uint32_t n = (uint32_t)(rec >> SHADOW_BLOCK), all = 0;

	if (b->seen == NULL)
		return false;
	if (n != SHADOW_MANY)
		return b->seen[n / 64] >> n % 64 & 1;
	for (uint32_t i = 0; i < b->l->n_blocks / 64 + 1; i++)
		all += (uint32_t)__builtin_popcountll(b->seen[i]);
	return all == b->l->n_blocks;
}

static void
judge_global(const struct touch *t, uint64_t rec, unsigned bytes, const char *what)
{
	const struct block *b = t->w->b;
	uint32_t block = (uint32_t)(rec >> SHADOW_BLOCK), epoch = (uint32_t)(rec >> SHADOW_EPOCH);
	const uint32_t *g = b->l->grid;

	if (rec == 0 || (rec & bytes) == 0 || (t->sync && rec & SHADOW_ATOMIC))
		return;
	if (epoch != b->l->epoch) {
		if (!launch_follows(b->l, epoch))
			fault(t->w, t->in, t->lane, F_SYNC,
			    "%s memory that an operation of another stream, or the host, %s with nothing "
			    "to order them", t->write ? "writes" : "reads", what);
		return;
	}
	if (block == b->number || block_seen(b, rec))
		return;
	if (block == SHADOW_MANY)
		fault(t->w, t->in, t->lane, F_RACE, "%s global memory that other blocks %s",
		    t->write ? "writes" : "reads", what);
	else
		fault(t->w, t->in, t->lane, F_RACE, "%s global memory that block (%u,%u,%u) %s",
		    t->write ? "writes" : "reads", block % g[0], block / g[0] % g[1],
		    block / g[0] / g[1], what);
}

void
global_touch(const struct touch *t, struct area *a, uint64_t word, unsigned bytes)
{
	const struct block *b = t->w->b;
	struct shadow *s = &a->shadow[word];
	uint64_t was = __atomic_load_n(&s->read, __ATOMIC_RELAXED);
	uint64_t rec = b->mine | (uint64_t)(t->w->id * LANES + (uint32_t)t->lane) << SHADOW_THREAD |
	    (t->sync ? SHADOW_ATOMIC : 0) | bytes;

	judge_global(t, __atomic_load_n(&s->write, __ATOMIC_RELAXED), bytes, "wrote");
	if ((!t->write || t->update) && (a->init[word] & bytes) != bytes)
		fault(t->w, t->in, t->lane, F_UNINIT, "%s memory of %s that nothing wrote",
		    t->write ? "updates" : "reads", a->name);
	if (t->write) {
		uint64_t old = __atomic_load_n(&s->write, __ATOMIC_RELAXED);

		judge_global(t, was, bytes, "read");
		if ((old ^ rec) >> SHADOW_BLOCK == 0)
			rec |= old & 15;
		__atomic_store_n(&s->write, rec, __ATOMIC_RELAXED);
		if ((a->init[word] & bytes) != bytes)
			__atomic_fetch_or(&a->init[word], (uint8_t)bytes, __ATOMIC_RELAXED);
		return;
	}
	/*
	 * What another block of this launch read too: whoever writes it, one of them differs.
	 * Of bytes that one alone read, the last is remembered.
	 */
	if (was >> SHADOW_EPOCH == b->l->epoch && (uint32_t)(was >> SHADOW_BLOCK) != b->number) {
		if ((uint32_t)(was >> SHADOW_BLOCK) == SHADOW_MANY)
			return;
		if ((was & bytes) != 0)
			rec = (rec & ~UINT64_C(15)) | (uint64_t)SHADOW_MANY << SHADOW_BLOCK | (was & bytes);
	}
	__atomic_store_n(&s->read, rec, __ATOMIC_RELAXED);
}
