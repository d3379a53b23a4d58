/*
 * Attention forward: flash attention (arXiv 2205.14135) with queries in lanes.
 *
 * A task is a block of queries of one sequence and one key head, with all
 * query heads that read it, or some of them where they are many.  For each
 * block of keys, which is made float rows once, and each panel of rows: scores,
 * running maximum and sum, and the weighted values added to what is there,
 * scaled by how the maximum moved.
 * Each SEGMENT of keys has sums of its own, which are added up in order: so
 * where there are few tasks the segments of long contexts may be tasks too.
 *
 * A task of few rows (a token of each sequence, in generation) has keys in
 * lanes, and then values' elements: the same sums in the same order.
 */
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/simd/attend.h"
#include "dev/cpu/simd/cached.h"

enum {
	ROWS = 6 * LANES < 96 ? 96 : 6 * LANES,	/* of a task, about */
	SEGMENT = 16 * BK,
	PARTS = 8 << 20,			/* numbers of all sums of segments, at most */
	FEW = VW > 8 ? VW : 8,
	KEYS = 3,				/* vectors of keys of a tile of few rows */
	TALL = 4,				/* and its rows */
	PAD = 8 * VW > 64 ? 64 : 8 * VW,	/* rows of values are pieces of at most this */
};

/* A launch, and where a member's scratch memory has what. */
struct forward {
	const struct k_attention *a;
	struct block { struct span span; int64_t from, to, keys; } *block;
	int64_t	n_blocks, bq, panels;
	int64_t	group, units, sharing;	/* heads of a task, tasks of a block, those of a key head */
	bool	split;			/* segments are tasks */
	int64_t	segments;		/* of the longest sequence */
	float	*scratch, *parts;	/* parts: a state for each task, when they are */
	int64_t	keys, values, queries, weights, rows, bias, state, each;	/* offsets, size */
	int64_t	acc, top, sum, state_floats;	/* of a state: offsets, size */
	int64_t	q_floats, acc_floats, row_floats;	/* of a panel's, of a row of sums */
};

/* A task's place: queries, key head, and scratch memory. */
struct place {
	const struct forward *f;
	const struct block *b;
	int64_t	kh, head, rows;		/* key head, first query head */
	float	*mine;
};

/* Keys that lie evenly: n rows, step elements apart, from at on; -1: they are nowhere. */
struct stretch {
	int64_t	at, step, n;
};

/* The first of the n keys from j on, in k or v, of ld. */
static inline struct stretch
stretch_of(const struct place *p, int64_t ld, int64_t d, int64_t j, int64_t n)
{
	const struct k_attention *a = p->f->a;
	const struct span *s = &p->b->span;
	const int32_t *table = cpu_i32(a->block_table);
	int64_t block, in, step;

	if (table == NULL)
		return (struct stretch){ (s->row + j) * ld + p->kh * d, ld, n };
	block = table[s->seq * a->max_blocks + j / a->block_size];
	in = j % a->block_size;
	step = ld / a->kv_heads;
	return (struct stretch){ block < 0 ? -1 :
	    ((block * a->kv_heads + p->kh) * a->block_size + in) * step, step,
	    min64(n, a->block_size - in) };
}

/* to (n, d) = rows of the keys [j0, j0 + n) as floats. */
INLINE void
rows_of(dtype type, const struct place *p, float *to, const void *x, int64_t ld, int64_t d,
    int64_t j0, int64_t n)
{
	for (int64_t j = 0; j < n;) {
		struct stretch r = stretch_of(p, ld, d, j0 + j, n - j);

		j += r.n;
		if (r.at < 0) {
			memset(to, 0, (size_t)(r.n * d) * sizeof(*to));
			to += r.n * d;
			continue;
		}
		for (int64_t i = 0; i < r.n; i++, to += d, r.at += r.step) {
			int64_t e = 0;

			for (; e + VW <= d; e += VW)
				vstore(to + e, cget(type, x, r.at + e, VW));
			if (e < d)
				vstore_n(to + e, cget(type, x, r.at + e, d - e), d - e);
		}
	}
}

/* to (d, BK) = VW keys, at these places, as columns; zeros where there are none. */
INLINE void
turn_keys(dtype type, float *to, const void *x, const int64_t at[VW], int64_t d)
{
	bool all = d % VW == 0;

	for (int i = 0; i < VW; i++)
		all &= at[i] >= 0;
	for (int64_t e = 0; e < d; e += VW, to += VW * BK) {
		vf t[VW];

		if (all) {
			UNROLL
			for (int i = 0; i < VW; i++)
				t[i] = cget(type, x, at[i] + e, VW);
			turn(t);
			UNROLL
			for (int i = 0; i < VW; i++)
				vstore(to + i * BK, t[i]);
			continue;
		}
		for (int i = 0; i < VW; i++)
			t[i] = at[i] < 0 ? (vf){ 0 } : cget(type, x, at[i] + e, d - e);
		turn(t);
		for (int i = 0; i < VW && e + i < d; i++)
			vstore(to + i * BK, t[i]);
	}
}

/* to (d, BK) = keys as columns; zeros beyond n. */
INLINE void
columns_of(dtype type, const struct place *p, float *to, int64_t j0, int64_t n)
{
	const struct k_attention *a = p->f->a;

	for (int64_t j = 0; j < BK; j += VW) {
		int64_t at[VW], i = 0;

		while (i < VW && j + i < n) {
			struct stretch r = stretch_of(p, a->ldk, a->d_qk, j0 + j + i,
			    min64(VW - i, n - j - i));

			for (int64_t l = 0; l < r.n; l++)
				at[i++] = r.at < 0 ? -1 : r.at + l * r.step;
		}
		while (i < VW)
			at[i++] = -1;
		turn_keys(type, to + j, cpu_ptr(a->k), at, a->d_qk);
	}
}

/* What is added to the scores of the keys [j0, j0 + n), or NULL. */
static const float *
bias_of(const struct place *p, int64_t j0, int64_t n)
{
	float *to = p->mine + p->f->bias;

	if (p->f->a->bias.at == 0)
		return NULL;
	memset(to, 0, BK * sizeof(*to));
	/* As if rows had one element a head. */
	rows_of(DTYPE_F32, p, to, cpu_ptr(p->f->a->bias), p->f->a->kv_heads, 1, j0, n);
	return to;
}

/* ---- many rows ---- */

/* The sum of each lane's weights: VW partial sums, then halves, as vsum() of few rows' vectors. */
static vf
sum_weights(const float *w)
{
	vf t[VW];

	UNROLL
	for (int i = 0; i < VW; i++) {
		t[i] = vload(w + i * LANES);
		for (int j = i + VW; j < BK; j += VW)
			t[i] += vload(w + j * LANES);
	}
	UNROLL
	for (int h = VW / 2; h > 0; h /= 2)
		UNROLL
		for (int i = 0; i < h; i++)
			t[i] += t[i + h];
	return t[0];
}

/*
 * Weights of the keys [from, to) of the block at j0 for panel i, from their
 * rows.  Return in less[] by how much what was summed before counts less.
 */
static void
weigh(const struct place *p, const struct lanes *l, float *state, int64_t i, int64_t j0,
    int64_t from, int64_t to, const float *bias, vf less[2])
{
	const struct forward *f = p->f;
	const struct k_attention *a = f->a;
	const float *k = p->mine + f->keys, *q = p->mine + f->queries + i * f->q_floats;
	float *w = p->mine + f->weights, *top = state + f->top + i * LANES;
	float *sum = state + f->sum + i * LANES, scale = (float)a->scale, cap = (float)a->softcap;
	int64_t nk = p->b->span.nk;
	vf m[2] = { vload(top), vload(top + VW) }, base[2];

	memset(w, 0, (size_t)(from * LANES) * sizeof(*w));
	for (int64_t j = from; j < to; j += KR) {
		bool whole = sees_all(a, l, j0 + j, nk);
		vf acc[KR][2] = { { { 0 }, { 0 } } };

		product(a->d_qk, k + j * a->d_qk, a->d_qk, 1, q, LANES, acc);
		for (int r = 0; r < KR; r++)
			for (int v = 0; v < 2; v++) {
				vf x = score(acc[r][v], scale, cap);

				if (bias != NULL)
					x += bias[j + r];
				if (!whole)
					x = vsel(seen(a, l->pos[v], j0 + j + r, nk), x,
					    vset(-INFINITY));
				m[v] = vmax(x, m[v]);
				vstore(w + (j + r) * LANES + v * VW, x);
			}
	}
	for (int v = 0; v < 2; v++) {
		base[v] = vsel(m[v] == -INFINITY, (vf){ 0 }, m[v]);
		less[v] = vexp(vload(top + v * VW) - base[v]);
		vstore(top + v * VW, m[v]);
	}
	for (int64_t j = from; j < to; j++)
		for (int v = 0; v < 2; v++)
			vstore(w + j * LANES + v * VW,
			    vexp(vload(w + j * LANES + v * VW) - base[v]));
	memset(w + to * LANES, 0, (size_t)((BK - to) * LANES) * sizeof(*w));
	for (int v = 0; v < 2; v++)
		vstore(sum + v * VW, vfma(vload(sum + v * VW), less[v], sum_weights(w + v * VW)));
}

/* Do values begin where keys do, so that rows of these are rows of those? */
static inline bool
is_shared(const struct k_attention *a)
{
	return a->v.at == a->k.at && a->ldv == a->ldk;
}

/* The n keys at j0, whose values are rows already, or the same rows. */
static void
many_rows(const struct place *p, float *state, int64_t j0, int64_t n, const float *bias)
{
	const struct forward *f = p->f;
	const struct k_attention *a = f->a;
	const float *v = p->mine + (is_shared(a) ? f->keys : f->values);
	int64_t ld = is_shared(a) ? a->d_qk : a->d_v;

#define CALL(type) rows_of(type, p, p->mine + f->keys, cpu_ptr(a->k), a->ldk, a->d_qk, j0, n)
	EACH_CACHED(a->kv_type, CALL);
#undef CALL
	for (int64_t i = 0; i * LANES < p->rows; i++) {
		struct lanes l = lanes_of(p->b->span.pos + p->b->from, i * LANES,
		    min64(LANES, p->rows - i * LANES), f->group);
		int64_t from, to;
		vf less[2];

		tiles_seen(a, &l, j0, n, &from, &to);
		if (from >= to)
			continue;
		weigh(p, &l, state, i, j0, from, to, bias, less);
		add_lanes(state + f->acc + i * f->acc_floats, a->d_v, v + from * ld, ld,
		    p->mine + f->weights + from * LANES, min64(to, n) - from, less);
	}
}

/* ---- few rows ---- */

/* Scores (rows, KEYS vectors), BK apart, of queries in lanes and keys in columns. */
INLINE void
scores(int rows, int64_t d, const float *q, const float *k, float *w)
{
	vf acc[TALL][KEYS];

	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
		for (int i = 0; i < KEYS; i++)
			acc[r][i] = (vf){ 0 };
	for (int64_t l = 0; l < d; l++, k += BK, q += LANES) {
		vf x[KEYS];

		UNROLL
		for (int i = 0; i < KEYS; i++)
			x[i] = vload(k + i * VW);
		UNROLL
		for (int r = 0; r < rows; r++)
			UNROLL
			for (int i = 0; i < KEYS; i++)
				acc[r][i] = vfma(vset(q[r]), x[i], acc[r][i]);
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
		for (int i = 0; i < KEYS; i++)
			vstore(w + r * BK + i * VW, acc[r][i]);
}

/* out (rows, n vectors), ld apart, = less * out + weights (rows, BK) of values (keys, d). */
INLINE void
add_rows(int rows, int n, float *out, int64_t ld, const float *v, int64_t d, const float *w,
    int64_t keys, const float *less)
{
	vf acc[TALL][4];

	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
		for (int i = 0; i < n; i++)
			acc[r][i] = vload(out + r * ld + i * VW) * less[r];
	for (int64_t j = 0; j < keys; j++, v += d) {
		vf x[4];

		UNROLL
		for (int i = 0; i < n; i++)
			x[i] = vload(v + i * VW);
		UNROLL
		for (int r = 0; r < rows; r++)
			UNROLL
			for (int i = 0; i < n; i++)
				acc[r][i] = vfma(x[i], vset(w[r * BK + j]), acc[r][i]);
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
		for (int i = 0; i < n; i++)
			vstore(out + r * ld + i * VW, acc[r][i]);
}

/* Scores of row r become weights; return by how much what was summed before counts less. */
static float
weigh_row(const struct place *p, float *state, int64_t r, int64_t j0, const float *bias)
{
	const struct k_attention *a = p->f->a;
	int32_t pos = (int32_t)(p->b->span.pos + p->b->from + r / p->f->group);
	float *w = p->mine + p->f->weights + r * BK, *top = state + p->f->top + r;
	float *sum = state + p->f->sum + r;
	vf x[BK / VW], m = vset(*top), base, less, total = { 0 };

	UNROLL
	for (int i = 0; i < BK / VW; i++) {
		vi j = viota() + (int32_t)(j0 + i * VW), see = j < (int32_t)p->b->span.nk;

		if (a->causal)
			see &= j <= pos;
		if (a->window > 0)
			see &= (pos - j < (int32_t)a->window) | (j < (int32_t)a->sinks);
		x[i] = score(vload(w + i * VW), (float)a->scale, (float)a->softcap);
		if (bias != NULL)
			x[i] += vload(bias + i * VW);
		x[i] = vsel(see, x[i], vset(-INFINITY));
		m = vmax(x[i], m);
	}
	m = vset(vtop(m));
	base = vsel(m == -INFINITY, (vf){ 0 }, m);
	less = vexp(vset(*top) - base);
	UNROLL
	for (int i = 0; i < BK / VW; i++) {
		x[i] = vexp(x[i] - base);
		vstore(w + i * VW, x[i]);
		total += x[i];
	}
	*top = m[0];
	*sum = vfma(vset(*sum), less, vset(vsum(total)))[0];
	return less[0];
}

/* Call call(rows, ...) with rows, from 1 to TALL, a constant. */
#define EACH_HEIGHT(rows, call) do {					\
	switch (rows) {							\
	case 1:		call(1); break;					\
	case 2:		call(2); break;					\
	case 3:		call(3); break;					\
	default:	call(TALL); break;				\
	}								\
} while (0)

/* Vectors of a piece of values: as many accumulators as there are registers for. */
#define PIECE(rows) (VW == 16 || (rows) <= 2 ? 4 : 2)

static void
few_rows(const struct place *p, float *state, int64_t j0, int64_t n, const float *bias)
{
	const struct forward *f = p->f;
	const struct k_attention *a = f->a;
	const float *k = p->mine + f->keys, *q = p->mine + f->queries;
	float *w = p->mine + f->weights, *rows = p->mine + f->rows, less[FEW];

#define CALL(type) columns_of(type, p, p->mine + f->keys, j0, n)
	EACH_CACHED(a->kv_type, CALL);
#undef CALL
	for (int64_t r = 0; r < p->rows; r += TALL)
		for (int64_t j = 0; j < BK; j += KEYS * VW) {
#define CALL(height) scores(height, a->d_qk, q + r, k + j, w + r * BK + j)
			EACH_HEIGHT(min64(p->rows - r, TALL), CALL);
#undef CALL
		}
	for (int64_t r = 0; r < p->rows; r++)
		less[r] = weigh_row(p, state, r, j0, bias);
	for (int64_t r = 0; r < p->rows; r += TALL) {
		const float *v = p->mine + f->values;
		float *out = rows + r * f->row_floats;

#define CALL(height)								\
		for (int64_t e = 0; e < a->d_v; e += PIECE(height) * VW)	\
			add_rows(height, PIECE(height), out + e, f->row_floats,	\
			    v + e, a->d_v, w + r * BK, n, less + r)
		EACH_HEIGHT(min64(p->rows - r, TALL), CALL);
#undef CALL
	}
}

/* ---- segments ---- */

/* Sums of nothing. */
static void
clear(const struct forward *f, float *state)
{
	memset(state + f->acc, 0, (size_t)(f->panels * f->acc_floats) * sizeof(*state));
	for (int64_t r = 0; r < f->panels * LANES; r++) {
		state[f->top + r] = -INFINITY;
		state[f->sum + r] = 0;
	}
}

/* Fetch keys and values from j on, which the next block is: heads lie apart in a cache. */
static void
fetch(const struct place *p, dptr x, int64_t ld, int64_t d, int64_t j, int64_t n)
{
	while (n > 0) {
		struct stretch r = stretch_of(p, ld, d, j, n);
		const char *from = (char *)cpu_ptr(x) + dtype_bytes(p->f->a->kv_type, r.at);

		for (int64_t b = 0; r.at >= 0 && b < dtype_bytes(p->f->a->kv_type, r.n * r.step);
		    b += 64)
			__builtin_prefetch(from + b, 0, 2);
		j += r.n;
		n -= r.n;
	}
}

/* state = the sums over the keys [j, to). */
static void
attend_keys(const struct place *p, float *state, int64_t j, int64_t to)
{
	const struct forward *f = p->f;
	const struct k_attention *a = f->a;
	const struct span *s = &p->b->span;
	const struct rows sums = { 0, f->row_floats, a->d_v, 1 };
	bool few = p->rows <= FEW;

	clear(f, state);
	if (few)
		memset(p->mine + f->rows, 0, (size_t)(p->rows * f->row_floats) * sizeof(float));
	for (; j < to; j += BK) {
		int64_t n = min64(BK, s->nk - j);
		const float *bias;

		if (passed(a, s->pos + p->b->from, j, n))
			continue;
		if (few && a->block_table.at != 0 && j + BK < s->nk) {
			fetch(p, a->k, a->ldk, a->d_qk, j + BK, min64(BK, s->nk - j - BK));
			if (!is_shared(a))
				fetch(p, a->v, a->ldv, a->d_v, j + BK,
				    min64(BK, s->nk - j - BK));
		}
		bias = bias_of(p, j, n);
#define CALL(type) rows_of(type, p, p->mine + f->values, cpu_ptr(a->v), a->ldv, a->d_v, j, n)
		if (few || !is_shared(a))
			EACH_CACHED(a->kv_type, CALL);
#undef CALL
		(few ? few_rows : many_rows)(p, state, j, n, bias);
	}
	if (few)
		rows_to_lanes(DTYPE_F32, state + f->acc, p->mine + f->rows, &sums, 0, p->rows);
}

/* Add the sums of a segment to those of the ones before it. */
static void
merge(const struct forward *f, float *to, const float *from)
{
	for (int64_t i = 0; i < f->panels * LANES; i += VW) {
		vf a = vload(to + f->top + i), b = vload(from + f->top + i), m = vmax(a, b);
		vf base = vsel(m == -INFINITY, (vf){ 0 }, m);
		int64_t at = f->acc + i / LANES * f->acc_floats + i % LANES;

		a = vexp(a - base);
		b = vexp(b - base);
		vstore(to + f->top + i, m);
		vstore(to + f->sum + i, vfma(vload(from + f->sum + i), b,
		    vload(to + f->sum + i) * a));
		for (int64_t e = 0; e < f->a->d_v; e++, at += LANES)
			vstore(to + at, vfma(vload(from + at), b, vload(to + at) * a));
	}
}

/* o = acc / sum, lse = top + log sum, of panel i. */
static void
finish(const struct place *p, const float *state, int64_t i)
{
	const struct forward *f = p->f;
	const struct k_attention *a = f->a;
	int64_t q0 = p->b->span.row + p->b->from, r = i * LANES;
	int64_t n = min64(LANES, p->rows - r);
	const float *sum = state + f->sum + r, *top = state + f->top + r;
	struct rows out = { q0 * a->ldo + p->head * a->d_v, a->ldo, a->d_v, f->group };
	vf inv[2];

	for (int v = 0; v < 2; v++) {
		vf s = vload(sum + v * VW);

		inv[v] = vsel(s == 0.0f, s, 1.0f / s);
	}
#define CALL(type) lanes_to_rows(type, cpu_ptr(a->o), &out, r, n,		\
	    state + f->acc + i * f->acc_floats, inv, false)
	EACH_TYPE(a->type, CALL);
#undef CALL
	for (int64_t l = 0; a->lse.at != 0 && l < n; l++)
		cpu_f32(a->lse)[(q0 + (r + l) / f->group) * a->heads + p->head +
		    (r + l) % f->group] = sum[l] == 0 ? -INFINITY : top[l] + logf(sum[l]);
}

/* ---- tasks ---- */

static struct place
place_of(const struct forward *f, int64_t task, int member)
{
	struct place p = { .f = f, .b = &f->block[task / f->units],
	    .kh = task % f->units / f->sharing, .head = task % f->units * f->group,
	    .mine = f->scratch + member * f->each };

	p.rows = (p.b->to - p.b->from) * f->group;
	return p;
}

/* Queries as columns. */
static void
start(const struct place *p)
{
	const struct forward *f = p->f;
	const struct k_attention *a = f->a;
	struct rows in = { (p->b->span.row + p->b->from) * a->ldq + p->head * a->d_qk, a->ldq,
		a->d_qk, f->group };

	for (int64_t r = 0; r < p->rows; r += LANES) {
#define CALL(type) rows_to_lanes(type, p->mine + f->queries + r / LANES * f->q_floats,	\
		    cpu_ptr(a->q), &in, r, min64(LANES, p->rows - r))
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

static void
attend_task(void *ctx, int64_t task, int member)
{
	const struct forward *f = ((struct cpu_job *)ctx)->args;
	struct place p = place_of(f, task, member);
	float *state = p.mine + f->state;

	start(&p);
	attend_keys(&p, state, 0, min64(SEGMENT, p.b->keys));
	for (int64_t j = SEGMENT; j < p.b->keys; j += SEGMENT) {
		attend_keys(&p, state + f->state_floats, j, min64(j + SEGMENT, p.b->keys));
		merge(f, state, state + f->state_floats);
	}
	for (int64_t i = 0; i * LANES < p.rows; i++)
		finish(&p, state, i);
}

static void
segment_task(void *ctx, int64_t task, int member)
{
	const struct forward *f = ((struct cpu_job *)ctx)->args;
	struct place p = place_of(f, task / f->segments, member);
	int64_t j = task % f->segments * SEGMENT;

	if (j >= p.b->keys && j > 0)
		return;
	start(&p);
	attend_keys(&p, f->parts + task * f->state_floats, j, min64(j + SEGMENT, p.b->keys));
}

static void
merge_task(void *ctx, int64_t task, int member)
{
	const struct forward *f = ((struct cpu_job *)ctx)->args;
	struct place p = place_of(f, task, member);
	float *state = f->parts + task * f->segments * f->state_floats;

	for (int64_t i = 1; i * SEGMENT < p.b->keys; i++)
		merge(f, state, state + i * f->state_floats);
	for (int64_t i = 0; i * LANES < p.rows; i++)
		finish(&p, state, i);
}

/* Lay out a member's scratch.  Tiles and pieces may reach beyond what is asked for. */
static void
layout(struct forward *f)
{
	const struct k_attention *a = f->a;
	int64_t at = 0;

	f->q_floats = a->d_qk * LANES;
	f->acc_floats = (a->d_v + KR) * LANES;
	f->row_floats = (a->d_v + PAD - 1) / PAD * PAD;
#define TAKE(what, n) (f->what = at, at += ((n) + 15) / 16 * 16)
	TAKE(acc, f->panels * f->acc_floats);
	TAKE(top, f->panels * LANES);
	TAKE(sum, f->panels * LANES);
	f->state_floats = at;
	at = 0;
	TAKE(keys, (BK + KR) * a->d_qk);
	TAKE(values, BK * a->d_v + PAD);
	TAKE(queries, f->panels * f->q_floats);
	TAKE(weights, (BK + KR) * LANES);
	TAKE(rows, FEW * f->row_floats);
	TAKE(bias, BK + KR);
	TAKE(state, 2 * f->state_floats);
#undef TAKE
	f->each = at;
}

/* All blocks of queries; NULL to count them. */
static int64_t
list_blocks(const struct forward *f, int64_t seqs, struct block *list)
{
	int64_t n = 0;

	for (int64_t s = 0; s < seqs; s++) {
		struct span span = span_of(f->a, s);

		for (int64_t from = 0; from < span.nq; from += f->bq, n++) {
			int64_t to = min64(from + f->bq, span.nq);

			if (list != NULL)
				list[n] = (struct block){ span, from, to, f->a->causal ?
				    min64(span.nk, span.pos + to) : span.nk };
		}
	}
	return n;
}

/* Those with most keys first, so that none is left for the end; ties in order. */
static bool
is_before(const struct block *x, const struct block *y)
{
	return x->keys != y->keys ? x->keys > y->keys :
	    x->span.row + x->from < y->span.row + y->from;
}

/* A shell sort: the C library's qsort() may allocate. */
static void
sort_blocks(struct block *b, int64_t n)
{
	int64_t gap = 1;

	while (gap < n / 3)
		gap = 3 * gap + 1;
	for (; gap > 0; gap /= 3)
		for (int64_t i = gap; i < n; i++) {
			struct block v = b[i];
			int64_t j = i;

			for (; j >= gap && is_before(&v, &b[j - gap]); j -= gap)
				b[j] = b[j - gap];
			b[j] = v;
		}
}

/* Of all blocks of queries: how many there are, and the most keys of one. */
struct extent {
	int64_t	blocks, keys;
};

/* What this launch has, or at most could have. */
static struct extent
extent_of(struct forward *f, struct cpu *c, int64_t seqs)
{
	const struct k_attention *a = f->a;
	struct extent x = { 0 };
	int64_t longest = 0;

	for (int64_t s = 0; s < seqs && !c->measuring; s++) {
		struct span span = span_of(a, s);

		longest = span.nq > longest ? span.nq : longest;
		x.keys = span.nq > 0 && span.nk > x.keys ? span.nk : x.keys;
	}
	if (c->measuring) {
		longest = a->t.cap;
		x.keys = a->max_blocks > 0 ? a->max_blocks * a->block_size : longest;
	}
	f->bq = min64((ROWS + f->group - 1) / f->group, longest);
	f->panels = (f->bq * f->group + LANES - 1) / LANES;
	if (f->bq > 0)
		x.blocks = c->measuring ? a->t.cap / f->bq + seqs : list_blocks(f, seqs, NULL);
	return x;
}

/*
 * Whether segments are tasks changes no bit: they are when other tasks are
 * too few for the threads, and their sums are not too large.
 */
static void
run(struct forward *f, struct cpu *c, int64_t seqs, struct extent x)
{
	int members = team_size(c->dev.team);
	int64_t list = (f->n_blocks * (int64_t)sizeof(*f->block) + 63) / 64 * 64;
	int64_t cost = f->bq * f->group * (f->a->d_qk + f->a->d_v) / VW;
	int64_t tasks = f->n_blocks * f->units, parts;
	struct cpu_job job = { .c = c, .args = f, .step = 1 };

	f->segments = (x.keys + SEGMENT - 1) / SEGMENT;
	parts = tasks * f->segments * f->state_floats;
	f->split = f->segments > 1 && members > 1 && tasks < 4 * members && parts <= PARTS;
	parts = f->split ? parts : 0;
	f->block = cpu_scratch(c, list + (parts + members * f->each) * (int64_t)sizeof(float));
	if (f->block == NULL)
		return;
	f->parts = (float *)(void *)((char *)f->block + list);
	f->scratch = f->parts + parts;
	list_blocks(f, seqs, f->block);
	sort_blocks(f->block, f->n_blocks);
	job.n = tasks * (f->split ? f->segments : 1);
	cpu_run(&job, cost * min64(x.keys, f->split ? SEGMENT : x.keys),
	    f->split ? segment_task : attend_task);
	job.n = tasks;
	if (f->split)
		cpu_run(&job, cost * f->segments, merge_task);
}

void
OF_ISA(k_attention)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention *a = &args->attention;
	struct forward f = { .a = a, .sharing = 1 };
	int64_t seqs = cpu_count(c, a->seqs), group = a->heads / a->kv_heads;
	struct extent x;

	if (seqs <= 0)
		return;
	/* The heads of a latent are many panels: not all of them one task. */
	for (int64_t n = group / LANES; n > 1 && f.sharing == 1 && n <= 2 * group / LANES; n++)
		f.sharing = group % n == 0 ? n : 1;
	f.group = group / f.sharing;
	f.units = a->kv_heads * f.sharing;
	x = extent_of(&f, c, seqs);
	f.n_blocks = x.blocks;
	if (f.n_blocks == 0)
		return;
	layout(&f);
	run(&f, c, seqs, x);
	/* What few rows of a long cache may need instead. */
	if (c->measuring) {
		f.bq = 1;
		f.panels = (f.group + LANES - 1) / LANES;
		f.n_blocks = min64(seqs, 4 * team_size(c->dev.team));
		layout(&f);
		run(&f, c, seqs, x);
	}
}
