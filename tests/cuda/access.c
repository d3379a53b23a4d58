/*
 * access - loads, stores, atomics and copies: every byte is looked up first
 */
#include <stdlib.h>
#include <string.h>

#include "lint.h"
#include "quiet.h"

static const char *const space_names[] = { "generic", "global", "shared", "local", "parameter",
	"constant" };

static uint64_t
address(const struct warp *w, const struct insn *in, int src, int64_t off, int lane)
{
	uint64_t a = lane_get(w, in, src, lane) + (uint64_t)off;

	return in->src_width[src] == 4 ? (uint32_t)a : a;
}

/* The space that a generic address is in; the address becomes one of that space. */
static int
space_of(int space, uint64_t *addr)
{
	if (space != GENERIC)
		return space;
	if (*addr - SHARED_WINDOW < WINDOW_SIZE) {
		*addr -= SHARED_WINDOW;
		return SHARED;
	}
	if (*addr - LOCAL_WINDOW < WINDOW_SIZE) {
		*addr -= LOCAL_WINDOW;
		return LOCAL;
	}
	if (*addr - PARAM_WINDOW < WINDOW_SIZE) {
		*addr -= PARAM_WINDOW;
		return PARAM;
	}
	return GLOBAL;
}

static uint8_t *
find_global(const struct touch *t, uint64_t addr, uint32_t size)
{
	struct block *b = t->w->b;
	struct area *a = memory_before(addr);
	const char *verb = t->write ? "writes" : "reads";

	if (a != NULL && !a->freed && addr < a->hi && size <= a->hi - addr) {
		b->area = a;
		return a->data + (addr - a->lo);
	}
	if (a != NULL && a->freed && addr < a->hi)
		stop(t->w, t->in, t->lane, F_FREED, "%s %s, which was freed", verb, a->name);
	else if (a != NULL && addr - a->hi < 1 << 20)
		stop(t->w, t->in, t->lane, F_BOUNDS,
		    "%s %u bytes, %llu past the end of %s, which has %llu", verb, size,
		    (unsigned long long)(addr + size - a->hi), a->name,
		    (unsigned long long)(a->hi - a->lo));
	else
		stop(t->w, t->in, t->lane, F_BOUNDS,
		    "%s %u bytes at %#llx, where nothing is allocated", verb, size,
		    (unsigned long long)addr);
	return NULL;
}

static uint8_t *
at_global(const struct touch *t, uint64_t addr, uint32_t size)
{
	struct block *b = t->w->b;
	struct area *a = b->area;
	uint8_t *p;
	uint64_t word;

	if (a != NULL && addr >= a->lo && addr < a->hi && size <= a->hi - addr && !a->freed) {
		p = a->data + (addr - a->lo);
	} else {
		p = find_global(t, addr, size);
		a = b->area;
	}
	if (p == NULL)
		return NULL;
	word = (addr - a->lo) / 4;
	if (size < 4) {
		global_touch(t, a, word, ((1u << size) - 1) << (addr & 3));
		return p;
	}
	for (uint32_t i = 0; i < size / 4; i++)
		global_touch(t, a, word + i, 15);
	return p;
}

static uint8_t *
at_shared(const struct touch *t, uint64_t addr, uint32_t size, const uint8_t *value)
{
	struct block *b = t->w->b;
	struct touch part = *t;
	uint32_t index;

	if (addr > UINT32_MAX || !shared_in(b, (uint32_t)addr, size, &index)) {
		stop(t->w, t->in, t->lane, F_BOUNDS, "%s %u bytes of shared memory at %#llx of the %s "
		    "part, which no variable has", t->write ? "writes" : "reads", size,
		    (unsigned long long)(addr - (addr >= DYNAMIC_BASE ? DYNAMIC_BASE : SHARED_BASE)),
		    addr >= DYNAMIC_BASE ? "dynamic" : "static");
		return NULL;
	}
	part.value = value;
	if (size < 4) {
		shared_touch(&part, index / 4, ((1u << size) - 1) << (index & 3));
		return b->shared + index;
	}
	for (uint32_t i = 0; i < size / 4; i++) {
		part.value = value == NULL ? NULL : value + 4 * i;
		shared_touch(&part, index / 4 + i, 15);
	}
	return b->shared + index;
}

static uint8_t *
at_local(const struct touch *t, uint64_t addr, uint32_t size)
{
	const struct kernel *k = t->w->b->k;
	size_t at = (size_t)t->lane * k->local + addr;

	for (int i = 0; i < k->n_var; i++) {
		if (k->var[i].space != LOCAL || addr < k->var[i].lo || addr + size > k->var[i].hi)
			continue;
		for (uint32_t j = 0; j < size; j++) {
			if (!t->write && t->w->local_state[at + j] == 0) {
				fault(t->w, t->in, t->lane, F_UNINIT, "reads local memory that nothing wrote");
				break;
			}
			t->w->local_state[at + j] = 1;
		}
		return t->w->local + at;
	}
	stop(t->w, t->in, t->lane, F_BOUNDS, "%s %u bytes of local memory at %llu, which no variable has",
	    t->write ? "writes" : "reads", size, (unsigned long long)addr);
	return NULL;
}

static uint8_t *
at_param(const struct touch *t, uint64_t addr, uint32_t size)
{
	const struct launch *l = t->w->b->l;

	if (!t->write && addr < l->k->param_bytes && size <= l->k->param_bytes - addr)
		return l->param + addr;
	stop(t->w, t->in, t->lane, F_BOUNDS, "%s %u bytes at %llu of %u bytes of parameters",
	    t->write ? "writes" : "reads", size, (unsigned long long)addr, l->k->param_bytes);
	return NULL;
}

/* The bytes of one lane's access, after all checks; NULL stops the block. */
static uint8_t *
locate(const struct touch *t, int space, uint64_t addr, uint32_t size, const uint8_t *value)
{
	space = space_of(space, &addr);
	if (addr & (size - 1)) {
		stop(t->w, t->in, t->lane, F_ALIGN, "%s %u bytes at %s address %#llx",
		    t->write ? "writes" : "reads", size, space_names[space], (unsigned long long)addr);
		return NULL;
	}
	switch (space) {
	case SHARED:	return at_shared(t, addr, size, value);
	case LOCAL:	return at_local(t, addr, size);
	case PARAM:	return at_param(t, addr, size);
	default:	return at_global(t, addr, size);
	}
}

/* For the account of what the kernel's accesses cost, where there is one. */
static void
count(const struct warp *w, const struct insn *in, uint32_t mask, int space, int src, int64_t off,
    uint32_t size)
{
	uint64_t addr[LANES];
	int in_space = space;

	if (w->b->k->account == NULL || mask == 0)
		return;
	for (uint32_t m = mask; m != 0; m &= m - 1) {
		int i = __builtin_ctz(m);

		addr[i] = address(w, in, src, off, i);
		in_space = space_of(space, &addr[i]);
	}
	lint_access(w, in, mask, in_space, addr, size);
}

/* In this order lanes of one instruction act. */
static int
lane_at(const struct warp *w, int i)
{
	const struct launch *l = w->b->l;

	return l->order == 1 ? LANES - 1 - i : l->order == 2 ? (i * 13 + (int)l->epoch) % LANES : i;
}

/* A narrow number in a wider register keeps its sign. */
#define LOAD(D, T) do {							\
	D *d = (D *)(w->reg + in->dst[j]);				\
	for (uint32_t m = mask; m != 0; m &= m - 1) {			\
		int i = __builtin_ctz(m);				\
		T v;							\
		memcpy(&v, at[i] + (size_t)j * sizeof(v), sizeof(v));	\
		d[i] = (D)v;						\
	}								\
} while (0)

#define LOAD_AS(T) do {							\
	if (in->dst_width[j] == 8)					\
		LOAD(uint64_t, T);					\
	else								\
		LOAD(uint32_t, T);					\
} while (0)

static void
put_loaded(struct warp *w, const struct insn *in, uint32_t mask, const uint8_t *const at[LANES])
{
	int size = type_size(in->type);
	bool sign = type_signed(in->type);

	for (int j = 0; j < in->part; j++)
		switch (sign ? -size : size) {
		case 1:		LOAD_AS(uint8_t); break;
		case -1:	LOAD_AS(int8_t); break;
		case 2:		LOAD_AS(uint16_t); break;
		case -2:	LOAD_AS(int16_t); break;
		case 4:		LOAD_AS(uint32_t); break;
		case -4:	LOAD_AS(int32_t); break;
		default:	LOAD(uint64_t, uint64_t);
		}
}

/* All lanes read the same parameter, or nearly always. */
static void
load_param(struct touch *t, uint32_t mask, uint32_t size)
{
	const uint8_t *at[LANES], *p = NULL;
	uint64_t last = 0;

	for (uint32_t m = mask; m != 0; m &= m - 1) {
		int i = __builtin_ctz(m);
		uint64_t addr = address(t->w, t->in, 0, t->in->imm, i);

		t->lane = i;
		if ((p == NULL || addr != last) && (p = locate(t, PARAM, addr, size, NULL)) == NULL)
			return;
		last = addr;
		at[i] = p;
	}
	put_loaded(t->w, t->in, mask, at);
}

void
access_load(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t size = (uint32_t)type_size(in->type) * in->part;
	struct touch t = { .w = w, .in = in, .sync = in->flags & MEM_SYNC };
	const uint8_t *at[LANES];

	if (in->space == PARAM) {
		load_param(&t, mask, size);
		return;
	}
	count(w, in, mask, in->space, 0, in->imm, size);
	for (uint32_t m = mask; m != 0; m &= m - 1) {
		int i = __builtin_ctz(m);
		uint64_t addr = address(w, in, 0, in->imm, i);

		t.lane = i;
		at[i] = in->flags != 0 ? NULL : quiet(w, in->space, addr, size, i, false);
		if (at[i] == NULL && (at[i] = locate(&t, in->space, addr, size, NULL)) == NULL)
			return;
	}
	put_loaded(w, in, mask, at);
	if (in->flags & MEM_ACQUIRE && w->b->seen != NULL)
		block_meets(w->b, address(w, in, 0, in->imm, __builtin_ctz(mask)), false);
}

/* What a lane stores. */
static void
take_stored(const struct warp *w, const struct insn *in, int lane, uint8_t *value)
{
	int size = type_size(in->type);

	for (int j = 0; j < in->part; j++) {
		uint64_t v = lane_get(w, in, j + 1, lane);

		switch (size) {
		case 1:		value[j] = (uint8_t)v; break;
		case 2:		memcpy(value + 2 * j, &v, 2); break;
		case 4:		memcpy(value + 4 * j, &v, 4); break;
		default:	memcpy(value + 8 * j, &v, 8);
		}
	}
}

static void
copy_few(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	switch (bytes) {
	case 1:		*to = *from; break;
	case 2:		memcpy(to, from, 2); break;
	case 4:		memcpy(to, from, 4); break;
	case 8:		memcpy(to, from, 8); break;
	default:	memcpy(to, from, bytes);
	}
}

void
access_store(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t bytes = (uint32_t)(type_size(in->type) * in->part);
	struct touch t = { .w = w, .in = in, .write = true, .sync = in->flags & MEM_SYNC };

	if (in->flags & MEM_RELEASE && w->b->seen != NULL)
		block_meets(w->b, address(w, in, 0, in->imm, __builtin_ctz(mask)), true);
	count(w, in, mask, in->space, 0, in->imm, bytes);
	for (int n = 0; n < LANES; n++) {
		int i = lane_at(w, n);
		uint64_t addr = address(w, in, 0, in->imm, i);
		uint8_t value[32], *p;

		if (!(mask >> i & 1))
			continue;
		take_stored(w, in, i, value);
		t.lane = i;
		p = in->flags != 0 ? NULL : quiet(w, in->space, addr, bytes, i, true);
		if (p == NULL && (p = locate(&t, in->space, addr, bytes, value)) == NULL)
			return;
		copy_few(p, value, bytes);
	}
}

static uint64_t
atomic_result(const struct insn *in, uint64_t old, uint64_t b, uint64_t c)
{
	static const uint8_t ops[] = { 0, ADD, MIN, MAX, AND, OR, XOR };
	struct insn one = *in;
	uint32_t x = (uint32_t)old, y = (uint32_t)b;
	int size = type_size(in->type);

	switch (in->sub) {
	case ATOM_EXCH:	return b;
	case ATOM_CAS:
		return (size == 8 ? old == b : size == 4 ? x == y : (uint16_t)x == (uint16_t)y) ? c : old;
	case ATOM_INC:	return x >= y ? 0 : x + 1;
	case ATOM_DEC:	return x == 0 || x > y ? y : x - 1;
	}
	one.op = ops[in->sub];
	one.n_src = 2;
	return alu_one(&one, old, b, 0, 0);
}

void
access_atomic(struct warp *w, const struct insn *in, uint32_t mask)
{
	static bool locks[64];		/* spun on: an atomic is short */
	uint32_t size = (uint32_t)type_size(in->type);
	struct touch t = { .w = w, .in = in, .write = true, .sync = true,
	    .update = in->sub != ATOM_EXCH };

	count(w, in, mask, in->space, 0, in->imm, size);
	for (int n = 0; n < LANES; n++) {
		int i = lane_at(w, n);
		uint64_t addr = address(w, in, 0, in->imm, i), old = 0, v;
		bool *lock = &locks[addr / 4 % 64];
		uint8_t *p;

		if (!(mask >> i & 1))
			continue;
		t.lane = i;
		while (__atomic_test_and_set(lock, __ATOMIC_ACQUIRE))
			;
		p = locate(&t, in->space, addr, size, NULL);
		if (p != NULL) {
			memcpy(&old, p, size);
			v = atomic_result(in, old, lane_get(w, in, 1, i),
			    in->n_src > 2 ? lane_get(w, in, 2, i) : 0);
			memcpy(p, &v, size);
			if (w->b->seen != NULL)
				block_meets(w->b, addr, w->b->fenced || in->flags & MEM_RELEASE);
		}
		__atomic_clear(lock, __ATOMIC_RELEASE);
		if (p == NULL)
			return;
		if (in->n_dst > 0)
			lane_put(w, in, 0, i, old);
	}
}

/* src: [0] from, [1] to, [2] bytes to copy of in->part; the rest becomes zeros. */
void
access_copy(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint32_t read = mask;

	for (int i = 0; i < LANES && in->n_src > 2; i++)
		if (lane_get(w, in, 2, i) == 0)
			read &= ~(1u << i);
	count(w, in, read, GLOBAL, 0, in->imm, in->part);
	count(w, in, mask, SHARED, 1, (int32_t)in->target, in->part);
	for (int i = 0; i < LANES; i++) {
		struct touch t = { .w = w, .in = in, .lane = i, .write = true };
		uint64_t from = address(w, in, 0, in->imm, i);
		uint32_t index, to = (uint32_t)address(w, in, 1, (int32_t)in->target, i);
		uint32_t bytes = in->n_src > 2 ? (uint32_t)lane_get(w, in, 2, i) : in->part;
		int c;

		if (!(mask >> i & 1))
			continue;
		if ((from | to) & (in->part - 1u)) {
			stop(w, in, i, F_ALIGN, "copies %u bytes from %#llx to %#x", in->part,
			    (unsigned long long)from, to);
			return;
		}
		if (bytes > in->part)
			stop(w, in, i, F_BOUNDS, "copies %u bytes in a cp.async of %u", bytes, in->part);
		if (!shared_in(w->b, to, in->part, &index)) {
			locate(&t, SHARED, to, in->part, NULL);
			return;
		}
		for (uint32_t j = index / 4; j < (index + in->part) / 4; j++) {
			if (!quiet_shared_write(w, &w->b->word[j], (uint32_t)i, 15))
				shared_touch(&t, j, 15);
			w->b->word[j].flight = 15;
		}
		memset(w->b->shared + index, 0xff, in->part);
		c = vec_more(&w->copy, &w->n_copy, sizeof(w->copy[0]));
		w->copy[c] = (struct copy){ from, index, in->part, bytes, w->commit[i], i, in };
	}
}

static bool
deliver(struct warp *w, const struct copy *c)
{
	struct touch t = { .w = w, .in = c->insn, .lane = c->lane };
	uint8_t value[16] = { 0 };
	uint32_t word = c->to / 4;

	const uint8_t *all = c->bytes < 4 ? NULL :
	    quiet(w, GLOBAL, c->from, c->bytes, c->lane, false);

	if (all != NULL) {
		memcpy(value, all, c->bytes);
	} else if (c->bytes != 0) {
		/* A copy that is cut short may end within a word, and starts aligned all the same. */
		for (uint32_t j = 0; j < c->bytes;) {
			uint32_t n = c->bytes - j >= 4 ? 4 : 1;
			const uint8_t *p = at_global(&t, c->from + j, n);

			if (p == NULL)
				return false;
			memcpy(value + j, p, n);
			j += n;
		}
	}
	t.write = true;
	for (uint32_t j = 0; j < c->size / 4; j++) {
		w->b->word[word + j].flight = 0;
		if (!quiet_shared_write(w, &w->b->word[word + j], (uint32_t)c->lane, 15))
			shared_touch(&t, word + j, 15);
	}
	memcpy(w->b->shared + c->to, value, c->size);
	return true;
}

/* Copies of all groups but the last imm arrive, and no sooner. */
void
access_copy_wait(struct warp *w, const struct insn *in, uint32_t mask)
{
	int kept = 0;

	for (int i = 0; i < w->n_copy; i++) {
		struct copy *c = &w->copy[i];
		bool due = mask >> c->lane & 1 &&
		    (in->sub || (int64_t)c->commit < (int64_t)w->commit[c->lane] - in->imm);

		if (!due)
			w->copy[kept++] = *c;
		else if (!deliver(w, c))
			break;
	}
	w->n_copy = kept;
}

static uint16_t
element(const uint8_t *row, int i)
{
	uint16_t v;

	memcpy(&v, row + 2 * i, 2);
	return v;
}

/* Rows of 16 bytes, whose addresses lanes 8m to 8m+7 have. */
void
access_matrix(struct warp *w, const struct insn *in, uint32_t mask)
{
	uint8_t row[32][16];
	bool load = in->op == LDMATRIX;
	struct touch t = { .w = w, .in = in, .write = !load };

	count(w, in, 8 * in->part == LANES ? ~0u : (1u << 8 * in->part) - 1, in->space, 0, in->imm, 16);
	for (int i = 0; !load && i < LANES; i++)
		for (int m = 0; m < in->part; m++) {
			uint32_t v = (uint32_t)lane_get(w, in, m + 1, i);

			for (int h = 0; h < 2; h++) {
				int r = in->trans ? 2 * (i % 4) + h : i / 4, c = in->trans ? i / 4 : 2 * (i % 4) + h;
				uint16_t x = (uint16_t)(v >> 16 * h);

				memcpy(row[8 * m + r] + 2 * c, &x, 2);
			}
		}
	for (int i = 0; i < 8 * in->part; i++) {
		uint64_t addr = address(w, in, 0, in->imm, i);
		uint8_t *p = quiet(w, in->space, addr, 16, i, !load);

		t.lane = i;
		if (p == NULL && (p = locate(&t, in->space, addr, 16, load ? NULL : row[i])) == NULL)
			return;
		memcpy(load ? row[i] : p, load ? p : row[i], 16);
	}
	for (int i = 0; load && i < LANES; i++)
		for (int m = 0; m < in->part; m++) {
			int g = i / 4, q = 2 * (i % 4);
			uint32_t lo = in->trans ? element(row[8 * m + q], g) : element(row[8 * m + g], q);
			uint32_t hi = in->trans ? element(row[8 * m + q + 1], g) : element(row[8 * m + g], q + 1);

			lane_put(w, in, m, i, lo | hi << 16);
		}
	(void)mask;
}

/* cvta and isspacep */
void
access_address(struct warp *w, const struct insn *in, uint32_t mask)
{
	static const uint64_t window[] = { [SHARED] = SHARED_WINDOW, [LOCAL] = LOCAL_WINDOW,
		[PARAM] = PARAM_WINDOW, [CONST] = 0 };

	for (int i = 0; i < LANES; i++) {
		uint64_t a;

		if (!(mask >> i & 1))
			continue;
		a = lane_get(w, in, 0, i);
		if (in->op == ISSPACE) {
			uint64_t copy = a;

			lane_put(w, in, 0, i, space_of(GENERIC, &copy) == in->space);
		} else {
			lane_put(w, in, 0, i, in->sub ? a - window[in->space] : a + window[in->space]);
		}
	}
}
