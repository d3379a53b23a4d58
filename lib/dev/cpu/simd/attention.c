/*
 * Attention forward: flash attention (arXiv 2205.14135) with queries in lanes.
 *
 * A task is a block of queries of one sequence and one key head, with all
 * query heads that read it.  For each block of keys, which is made float rows
 * once, and each panel of rows: scores, running maximum and sum, and the
 * weighted values added to what is there, scaled by how the maximum moved.
 *
 * A task of few rows (a token of each sequence, in generation) has keys in
 * lanes, and then values' elements: the same sums in the same order.
 */
#include <stdlib.h>
#include <string.h>

#include "dev/cpu/simd/attend.h"

enum {
	ROWS = 6 * LANES < 96 ? 96 : 6 * LANES,	/* of a task, about */
	FEW = 6,
	KEYS = BK / VW,				/* vectors of a block of keys */
	OUT = VW == 16 ? 4 : 8,			/* vectors of a piece of a row of values */
};

/* A launch, and where a member's scratch memory has what. */
struct forward {
	const struct k_attention *a;
	struct block { struct span span; int64_t from, to, keys; } *block;
	int64_t	n_blocks, group, bq, panels;
	float	*scratch;
	int64_t	keys, values, queries, acc, spare, top, sum, weights, each;	/* offsets, size */
	int64_t	q_floats, acc_floats, row_floats;	/* of a panel's, of a row of sums */
};

/* The row of k and v where key j of a sequence is. */
static inline int64_t
key_row(const struct k_attention *a, const struct span *s, int64_t j)
{
	const int32_t *table = cpu_i32(a->block_table);

	return table == NULL ? s->row + j :
	    (int64_t)table[s->seq * a->max_blocks + j / a->block_size] * a->block_size +
	    j % a->block_size;
}

/* to (n, d) = rows of the keys [j0, j0 + n) as floats. */
INLINE void
rows_of(dtype type, const struct k_attention *a, const struct span *s, float *to, const void *x,
    int64_t at, int64_t ld, int64_t d, int64_t j0, int64_t n)
{
	for (int64_t j = j0; j < j0 + n; j++, to += d) {
		int64_t row = key_row(a, s, j) * ld + at;

		for (int64_t e = 0; e < d; e += VW)
			vstore_to(to + e, vget(type, x, row + e, d - e), d - e);
	}
}

/* to (d, BK) = the same as columns; zeros beyond n. */
INLINE void
columns_of(dtype type, const struct k_attention *a, const struct span *s, float *to,
    const void *x, int64_t at, int64_t j0, int64_t n)
{
	for (int64_t j = 0; j < BK; j += VW) {
		int64_t row[VW];

		for (int64_t i = 0; i < VW; i++)
			row[i] = j + i < n ? key_row(a, s, j0 + j + i) * a->ldk + at : -1;
		for (int64_t e = 0; e < a->d_qk; e += VW) {
			vf t[VW];

			for (int64_t i = 0; i < VW; i++)
				t[i] = row[i] < 0 ? (vf){ 0 } :
				    vget(type, x, row[i] + e, a->d_qk - e);
			turn(t);
			for (int64_t i = 0; i < VW && e + i < a->d_qk; i++)
				vstore(to + (e + i) * BK + j, t[i]);
		}
	}
}

/* ---- many rows ---- */

/*
 * Weights of the keys [from, to) of the block at j0 for a panel, from their
 * rows k.  Return in less[] by how much what was summed before counts less.
 */
static void
weigh(const struct forward *f, const struct lanes *l, float *mine, int64_t p, int64_t j0,
    int64_t from, int64_t to, int64_t nk, vf less[2])
{
	const struct k_attention *a = f->a;
	const float *k = mine + f->keys, *q = mine + f->queries + p * f->q_floats;
	float *w = mine + f->weights, *top = mine + f->top + p * LANES;
	float *sum = mine + f->sum + p * LANES, scale = (float)a->scale, cap = (float)a->softcap;
	vf m[2] = { vload(top), vload(top + VW) }, base[2], total[2] = { { 0 }, { 0 } };

	for (int64_t j = from; j < to; j += KR) {
		bool whole = sees_all(a, l, j0 + j, nk);
		vf acc[KR][2] = { { { 0 }, { 0 } } };

		product(a->d_qk, k + j * a->d_qk, a->d_qk, 1, q, LANES, acc);
		for (int i = 0; i < KR; i++)
			for (int v = 0; v < 2; v++) {
				vf x = score(acc[i][v], scale, cap);

				if (!whole)
					x = vsel(seen(a, l->pos[v], j0 + j + i, nk), x,
					    vset(-INFINITY));
				m[v] = vmax(x, m[v]);
				vstore(w + (j + i) * LANES + v * VW, x);
			}
	}
	for (int v = 0; v < 2; v++) {
		base[v] = vsel(m[v] == -INFINITY, (vf){ 0 }, m[v]);
		less[v] = vexp(vload(top + v * VW) - base[v]);
		vstore(top + v * VW, m[v]);
	}
	for (int64_t j = from; j < to; j++)
		for (int v = 0; v < 2; v++) {
			vf x = vexp(vload(w + j * LANES + v * VW) - base[v]);

			total[v] += x;
			vstore(w + j * LANES + v * VW, x);
		}
	for (int v = 0; v < 2; v++)
		vstore(sum + v * VW, vload(sum + v * VW) * less[v] + total[v]);
}

/* Panel p of a block of queries against the block of keys at j0. */
static void
panel(const struct forward *f, const struct block *b, float *mine, int64_t p, int64_t j0)
{
	const struct k_attention *a = f->a;
	int64_t rows = (b->to - b->from) * f->group, n = min64(BK, b->span.nk - j0), from, to;
	struct lanes l = lanes_of(b->span.pos + b->from, p * LANES,
	    min64(LANES, rows - p * LANES), f->group);
	vf less[2];

	tiles_seen(a, &l, j0, n, &from, &to);
	if (from >= to)
		return;
	weigh(f, &l, mine, p, j0, from, to, b->span.nk, less);
	add_lanes(mine + f->acc + p * f->acc_floats, a->d_v, mine + f->values + from * a->d_v,
	    a->d_v, mine + f->weights + from * LANES, min64(to, n) - from, less);
}

/* o = acc / sum, lse = top + log sum. */
static void
finish(const struct forward *f, const struct block *b, const float *mine, int64_t kh, int64_t p)
{
	const struct k_attention *a = f->a;
	int64_t q0 = b->span.row + b->from, r = p * LANES;
	int64_t n = min64(LANES, (b->to - b->from) * f->group - r);
	const float *sum = mine + f->sum + r, *top = mine + f->top + r;
	struct rows out = { q0 * a->ldo + kh * f->group * a->d_v, a->ldo, a->d_v, f->group };
	vf inv[2];

	for (int v = 0; v < 2; v++) {
		vf s = vload(sum + v * VW);

		inv[v] = vsel(s == 0.0f, s, 1.0f / s);
	}
#define CALL(type) lanes_to_rows(type, cpu_ptr(a->o), &out, r, n,		\
	    mine + f->acc + p * f->acc_floats, inv, false)
	EACH_TYPE(a->type, CALL);
#undef CALL
	for (int64_t i = 0; a->lse.at != 0 && i < n; i++)
		cpu_f32(a->lse)[(q0 + (r + i) / f->group) * a->heads + kh * f->group +
		    (r + i) % f->group] = sum[i] == 0 ? -INFINITY : top[i] + logf(sum[i]);
}

static void
start(const struct forward *f, const struct block *b, float *mine, int64_t kh)
{
	const struct k_attention *a = f->a;
	struct rows in = { (b->span.row + b->from) * a->ldq + kh * f->group * a->d_qk, a->ldq,
		a->d_qk, f->group };
	int64_t rows = (b->to - b->from) * f->group;

	for (int64_t r = 0; r < rows; r += LANES) {
#define CALL(type) rows_to_lanes(type, mine + f->queries + r / LANES * f->q_floats,	\
		    cpu_ptr(a->q), &in, r, min64(LANES, rows - r))
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
	memset(mine + f->acc, 0, (size_t)(f->panels * f->acc_floats) * sizeof(*mine));
	for (int64_t r = 0; r < f->panels * LANES; r++) {
		mine[f->top + r] = -INFINITY;
		mine[f->sum + r] = 0;
	}
}

static void
many_rows(const struct forward *f, const struct block *b, float *mine, int64_t kh, int64_t j0,
    int64_t n)
{
	const struct k_attention *a = f->a;
	int64_t rows = (b->to - b->from) * f->group;

#define CALL(type) rows_of(type, a, &b->span, mine + f->keys, cpu_ptr(a->k), kh * a->d_qk,	\
	    a->ldk, a->d_qk, j0, n)
	EACH_TYPE(a->kv_type, CALL);
#undef CALL
	for (int64_t p = 0; p * LANES < rows; p++)
		panel(f, b, mine, p, j0);
}

/* ---- few rows ---- */

/* Weights of the keys of the block at j0 for row r at pos, which lies in a lane. */
static float
weigh_row(const struct forward *f, float *mine, int64_t r, int64_t pos, int64_t j0, int64_t nk)
{
	const struct k_attention *a = f->a;
	const float *k = mine + f->keys, *q = mine + f->queries + r;
	float *w = mine + f->weights, *top = mine + f->top + r, *sum = mine + f->sum + r;
	float scale = (float)a->scale, cap = (float)a->softcap, total = 0;
	vf acc[KEYS], m = vset(*top), base, less;

	for (int i = 0; i < KEYS; i++)
		acc[i] = (vf){ 0 };
	for (int64_t l = 0; l < a->d_qk; l++, k += BK)
		UNROLL
		for (int i = 0; i < KEYS; i++)
			acc[i] = vfma(vset(q[l * LANES]), vload(k + i * VW), acc[i]);
	for (int i = 0; i < KEYS; i++) {
		vi j = viota() + (int32_t)(j0 + i * VW), see = j < (int32_t)nk;

		if (a->causal)
			see &= j <= (int32_t)pos;
		if (a->window > 0)
			see &= ((int32_t)pos - j < (int32_t)a->window) | (j < (int32_t)a->sinks);
		acc[i] = vsel(see, score(acc[i], scale, cap), vset(-INFINITY));
		m = vmax(acc[i], m);
	}
	m = vset(vtop(m));
	base = vsel(m == -INFINITY, (vf){ 0 }, m);
	less = vexp(vset(*top) - base);
	for (int i = 0; i < KEYS; i++)
		vstore(w + i * VW, vexp(acc[i] - base));
	for (int j = 0; j < BK; j++)
		total += w[j];
	*top = m[0];
	*sum = (vset(*sum) * less + total)[0];
	return less[0];
}

static void
few_rows(const struct forward *f, const struct block *b, float *mine, int64_t kh, int64_t j0,
    int64_t n)
{
	const struct k_attention *a = f->a;
	const float *v = mine + f->values, *w = mine + f->weights;

#define CALL(type) columns_of(type, a, &b->span, mine + f->keys, cpu_ptr(a->k), kh * a->d_qk,	\
	    j0, n)
	EACH_TYPE(a->kv_type, CALL);
#undef CALL
	for (int64_t r = 0; r < (b->to - b->from) * f->group; r++) {
		int64_t pos = b->span.pos + b->from + r / f->group;
		float *out = mine + f->acc + r * f->row_floats;
		float less = weigh_row(f, mine, r, pos, j0, b->span.nk);

		for (int64_t e = 0; e < a->d_v; e += OUT * VW) {
			vf acc[OUT];

			for (int i = 0; i < OUT; i++)
				acc[i] = vload(out + e + i * VW) * less;
			for (int64_t j = 0; j < n; j++)
				UNROLL
				for (int i = 0; i < OUT; i++)
					acc[i] = vfma(vload(v + j * a->d_v + e + i * VW),
					    vset(w[j]), acc[i]);
			for (int i = 0; i < OUT; i++)
				vstore(out + e + i * VW, acc[i]);
		}
	}
}

/* Rows of sums become columns of the panel, as many rows leave them. */
static void
to_panel(const struct forward *f, float *mine, int64_t rows)
{
	const struct rows sums = { 0, f->row_floats, f->a->d_v, 1 };

	memcpy(mine + f->spare, mine + f->acc, (size_t)(rows * f->row_floats) * sizeof(*mine));
	rows_to_lanes(DTYPE_F32, mine + f->acc, mine + f->spare, &sums, 0, rows);
}

static void
attend_task(void *ctx, int64_t task, int member)
{
	const struct forward *f = ((struct cpu_job *)ctx)->args;
	const struct k_attention *a = f->a;
	const struct block *b = &f->block[task / a->kv_heads];
	const struct span *s = &b->span;
	int64_t kh = task % a->kv_heads, rows = (b->to - b->from) * f->group;
	float *mine = f->scratch + member * f->each;

	start(f, b, mine, kh);
	for (int64_t j0 = 0; j0 < b->keys; j0 += BK) {
		int64_t n = min64(BK, s->nk - j0);

		if (passed(a, s->pos + b->from, j0, n))
			continue;
#define CALL(type) rows_of(type, a, s, mine + f->values, cpu_ptr(a->v), kh * a->d_v, a->ldv,	\
		    a->d_v, j0, n)
		EACH_TYPE(a->kv_type, CALL);
#undef CALL
		(rows <= FEW ? few_rows : many_rows)(f, b, mine, kh, j0, n);
	}
	if (rows <= FEW)
		to_panel(f, mine, rows);
	for (int64_t p = 0; p * LANES < rows; p++)
		finish(f, b, mine, kh, p);
}

/* Lay out a member's scratch.  Tiles and pieces may reach beyond what is asked for. */
static void
layout(struct forward *f)
{
	const struct k_attention *a = f->a;
	int64_t at = 0;

	f->q_floats = a->d_qk * LANES;
	f->acc_floats = (a->d_v + KR) * LANES;
	f->row_floats = (a->d_v + OUT * VW - 1) / (OUT * VW) * OUT * VW;
#define TAKE(what, n) (f->what = at, at += ((n) + 15) / 16 * 16)
	TAKE(keys, (BK + KR) * a->d_qk);
	TAKE(values, BK * a->d_v + OUT * VW);
	TAKE(queries, f->panels * f->q_floats);
	TAKE(acc, f->panels * f->acc_floats + FEW * OUT * VW);
	TAKE(spare, FEW * f->row_floats);
	TAKE(top, f->panels * LANES);
	TAKE(sum, f->panels * LANES);
	TAKE(weights, BK * LANES);
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

void
OF_ISA(k_attention)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention *a = &args->attention;
	struct forward f = { .a = a, .group = a->heads / a->kv_heads };
	struct cpu_job job = { .c = c, .args = &f, .step = 1 };
	int64_t seqs = cpu_count(c, a->seqs), list_bytes, longest = 0;

	if (seqs <= 0)
		return;
	if (c->measuring)
		longest = a->t.cap;
	for (int64_t s = 0; s < seqs && !c->measuring; s++)
		longest = span_of(a, s).nq > longest ? span_of(a, s).nq : longest;
	f.bq = min64((ROWS + f.group - 1) / f.group, longest);
	f.panels = (f.bq * f.group + LANES - 1) / LANES;
	if (f.bq == 0)
		return;
	layout(&f);
	f.n_blocks = c->measuring ? a->t.cap / f.bq + seqs : list_blocks(&f, seqs, NULL);
	list_bytes = (f.n_blocks * (int64_t)sizeof(*f.block) + 63) / 64 * 64;
	f.block = cpu_scratch(c, list_bytes +
	    team_size(c->dev.team) * f.each * (int64_t)sizeof(float));
	if (f.block == NULL)
		return;
	f.scratch = (float *)(void *)((char *)f.block + list_bytes);
	list_blocks(&f, seqs, f.block);
	sort_blocks(f.block, f.n_blocks);
	job.n = f.n_blocks * a->kv_heads;
	cpu_run(&job, f.bq * f.group * a->d_qk * 8, attend_task);
}
