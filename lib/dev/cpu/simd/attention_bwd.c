/*
 * Attention backward.
 *
 * The pairs of queries and keys of a sequence are cut into squares of SQUARE
 * by SQUARE positions.  A task is one square and one key head, with all query
 * heads that read it.  Squares run in rounds: in round r those of block i of
 * keys and block i + r of queries, for all i.  No two of a round share rows,
 * so each adds to the gradients of its own, and the order of additions to a
 * row is that of the rounds, whatever the number of threads.
 *
 * Within a square, for each chunk of rows and each block of keys: weights and
 * their gradients, keys by lanes, as in forward; and from them three products
 * that add to dq, dv and dk.
 */
#include <string.h>

#include "dev/cpu/simd/attend.h"

enum {
	SQUARE = 8 * BK,
	PANELS = LANES < 16 ? 96 / LANES : 6,	/* of a chunk of rows */
};

struct square {
	struct span span;
	int64_t	k0, q0;
	bool	first;		/* of its rows: sums start here */
};

struct backward {
	const struct k_attention_bwd *b;
	const struct k_attention *a;
	int64_t	group, dq_width, dv_width;	/* d_qk, d_v rounded up to LANES */
	float	*dq, *dk, *dv;		/* sums: in place, or in scratch for halves */
	int64_t	lddq, lddk, lddv;
	struct square *list;
	float	*scratch;
	/* A member's: of the square; of a chunk; of a block of keys by a chunk. */
	int64_t	keys, values, dk_acc, dv_acc;
	int64_t	q_lanes, do_lanes, q_rows, do_rows, dq_acc, lse, delta;
	int64_t	weights, grads, each;
};

/* delta = sum of o d_o for each head of a row. */
INLINE void
delta_rows(dtype type, const struct k_attention_bwd *b, int64_t from, int64_t to)
{
	const struct k_attention *a = &b->f;

	for (int64_t t = from; t < to; t++)
		for (int64_t h = 0; h < a->heads; h++) {
			int64_t at = t * a->ldo + h * a->d_v;
			vf sum = { 0 };

			for (int64_t e = 0; e < a->d_v; e += VW)
				sum = vfma(vget(type, cpu_ptr(a->o), at + e, a->d_v - e),
				    vget(type, cpu_ptr(b->d_o), at + e, a->d_v - e), sum);
			cpu_f32(b->delta)[t * a->heads + h] = vsum(sum);
		}
}

static void
delta_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct backward *w = job->args;

	(void)member;
#define CALL(type) delta_rows(type, w->b, cpu_from(job, task), cpu_to(job, task))
	EACH_TYPE(w->a->type, CALL);
#undef CALL
}

/* ---- rows in and out ---- */

/* to (n, width) = n rows of d elements of x as floats. */
INLINE void
load_rows(dtype type, float *to, int64_t width, const void *x, const struct rows *w, int64_t r,
    int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		int64_t at = row_at(w, r + i);

		for (int64_t e = 0; e < w->d; e += VW)
			vstore_to(to + i * width + e, vget(type, x, at + e, w->d - e), w->d - e);
	}
}

static void
load_of(dtype type, float *to, int64_t width, dptr x, const struct rows *w, int64_t r, int64_t n)
{
#define CALL(type) load_rows(type, to, width, cpu_ptr(x), w, r, n)
	EACH_TYPE(type, CALL);
#undef CALL
}

static void
lanes_from(dtype type, float *to, dptr x, const struct rows *w, int64_t r, int64_t n)
{
#define CALL(type) rows_to_lanes(type, to, cpu_ptr(x), w, r, n)
	EACH_TYPE(type, CALL);
#undef CALL
}

/* Rows [.., n) of y [+]= from (n, width). */
static void
store_rows(float *y, int64_t ld, const float *from, int64_t width, int64_t d, int64_t n, bool add)
{
	for (int64_t j = 0; j < n; j++)
		for (int64_t e = 0; e < d; e += VW) {
			vf x = vload(from + j * width + e);

			if (add)
				x += vload_to(y + j * ld + e, d - e);
			vstore_to(y + j * ld + e, x, d - e);
		}
}

/* ---- one block of keys by one chunk of rows ---- */

/* The chunk at hand: its rows from r on, and each panel's lanes and tiles that are seen. */
struct chunk {
	int64_t	 r, n;
	struct lanes lanes[PANELS];
	int64_t	 from[PANELS], to[PANELS];
};

/* Weights and gradients of scores, of tile j of the square's keys for panel p. */
static void
grade(const struct backward *w, const struct square *s, float *mine, const struct lanes *l,
    int64_t p, int64_t j, float *weight, float *grad)
{
	const struct k_attention *a = w->a;
	const float *lse = mine + w->lse + p * LANES, *delta = mine + w->delta + p * LANES;
	float scale = (float)a->scale, cap = (float)a->softcap;
	bool whole = sees_all(a, l, s->k0 + j, s->span.nk);
	vf acc[KR][2] = { { { 0 }, { 0 } } }, rest[KR][2] = { { { 0 }, { 0 } } };

	product(a->d_qk, mine + w->keys + j * a->d_qk, a->d_qk, 1,
	    mine + w->q_lanes + p * a->d_qk * LANES, LANES, acc);
	for (int i = 0; i < KR; i++)
		for (int v = 0; v < 2; v++) {
			vf x = score(acc[i][v], scale, cap), y = vexp(x - vload(lse + v * VW));

			if (!whole)
				y = vsel(seen(a, l->pos[v], s->k0 + j + i, s->span.nk), y,
				    (vf){ 0 });
			vstore(weight + i * LANES + v * VW, y);
			y *= scale;
			if (cap > 0)
				y *= 1.0f - x * x / (cap * cap);
			vstore(grad + i * LANES + v * VW, y);
		}
	product(a->d_v, mine + w->values + j * a->d_v, a->d_v, 1,
	    mine + w->do_lanes + p * a->d_v * LANES, LANES, rest);
	for (int i = 0; i < KR; i++)
		for (int v = 0; v < 2; v++) {
			vf y = vload(grad + i * LANES + v * VW);

			y *= rest[i][v] - vload(delta + v * VW);
			if (!whole)
				y = vsel(seen(a, l->pos[v], s->k0 + j + i, s->span.nk), y,
				    (vf){ 0 });
			vstore(grad + i * LANES + v * VW, y);
		}
}

/* to (BK, width) += the sum over the chunk's rows of x (BK, rows), in panels, times its rows. */
static void
add_keys(const struct chunk *c, float *to, int64_t width, const float *x, const float *rows,
    int64_t n)
{
	for (int64_t j = 0; j < n; j += KR)
		for (int64_t e = 0; e < width; e += LANES) {
			float *out = to + j * width + e;
			vf acc[KR][2];

			UNROLL
			for (int i = 0; i < KR; i++)
				for (int v = 0; v < 2; v++)
					acc[i][v] = vload(out + i * width + v * VW);
			for (int64_t p = 0; p * LANES < c->n; p++)
				if (j >= c->from[p] && j < c->to[p])
					product(c->lanes[p].n, x + (p * BK + j) * LANES, LANES, 1,
					    rows + p * LANES * width + e, width, acc);
			UNROLL
			for (int i = 0; i < KR; i++)
				for (int v = 0; v < 2; v++)
					vstore(out + i * width + v * VW, acc[i][v]);
		}
}

/* The block of keys at j0 of the square. */
static void
key_block(const struct backward *w, const struct square *s, float *mine, struct chunk *c,
    int64_t j0)
{
	const struct k_attention *a = w->a;
	int64_t n = min64(BK, s->span.nk - s->k0 - j0);
	const vf one[2] = { vset(1), vset(1) };

	for (int64_t p = 0; p * LANES < c->n; p++) {
		float *weight = mine + w->weights + p * BK * LANES;
		float *grad = mine + w->grads + p * BK * LANES;
		int64_t from, to;

		tiles_seen(a, &c->lanes[p], s->k0 + j0, n, &from, &to);
		c->from[p] = from;
		c->to[p] = to;
		for (int64_t j = from; j < to; j += KR)
			grade(w, s, mine, &c->lanes[p], p, j0 + j, weight + j * LANES,
			    grad + j * LANES);
		if (from < to)
			add_lanes(mine + w->dq_acc + p * (a->d_qk + KR) * LANES, a->d_qk,
			    mine + w->keys + (j0 + from) * a->d_qk, a->d_qk,
			    grad + from * LANES, min64(to, n) - from, one);
	}
	add_keys(c, mine + w->dv_acc + j0 * w->dv_width, w->dv_width, mine + w->weights,
	    mine + w->do_rows, n);
	add_keys(c, mine + w->dk_acc + j0 * w->dq_width, w->dq_width, mine + w->grads,
	    mine + w->q_rows, n);
}

/* Rows [c->r, c->r + c->n) of the square's queries against all of its keys. */
static void
run_chunk(const struct backward *w, const struct square *s, float *mine, int64_t kh,
    struct chunk *c)
{
	const struct k_attention *a = w->a;
	int64_t row = s->span.row + s->q0, h = kh * w->group, dq_panel = (a->d_qk + KR) * LANES;
	struct rows q = { row * a->ldq + h * a->d_qk, a->ldq, a->d_qk, w->group };
	struct rows d_o = { row * a->ldo + h * a->d_v, a->ldo, a->d_v, w->group };
	struct rows dq = { row * w->lddq + h * a->d_qk, w->lddq, a->d_qk, w->group };
	struct rows each = { row * a->heads + h, a->heads, 1, w->group };
	int64_t keys = min64(SQUARE, s->span.nk - s->k0), last = 0;
	const vf one[2] = { vset(1), vset(1) };

	load_of(a->type, mine + w->q_rows, w->dq_width, a->q, &q, c->r, c->n);
	load_of(a->type, mine + w->do_rows, w->dv_width, w->b->d_o, &d_o, c->r, c->n);
	load_rows(DTYPE_F32, mine + w->lse, 1, cpu_ptr(a->lse), &each, c->r, c->n);
	load_rows(DTYPE_F32, mine + w->delta, 1, cpu_ptr(w->b->delta), &each, c->r, c->n);
	memset(mine + w->dq_acc, 0, (size_t)(PANELS * dq_panel) * sizeof(*mine));
	for (int64_t p = 0; p * LANES < c->n; p++) {
		int64_t r = c->r + p * LANES, n = min64(LANES, c->n - p * LANES);

		lanes_from(a->type, mine + w->q_lanes + p * a->d_qk * LANES, a->q, &q, r, n);
		lanes_from(a->type, mine + w->do_lanes + p * a->d_v * LANES, w->b->d_o, &d_o, r, n);
		c->lanes[p] = lanes_of(s->q0, r, n, w->group);
		last = c->lanes[p].hi;
	}
	if (a->causal)
		keys = min64(keys, last - s->k0 + 1);
	for (int64_t j0 = 0; j0 < keys; j0 += BK)
		if (!passed(a, c->lanes[0].lo, s->k0 + j0, BK))
			key_block(w, s, mine, c, j0);
	for (int64_t p = 0; p * LANES < c->n; p++)
		lanes_to_rows(DTYPE_F32, w->dq, &dq, c->r + p * LANES, c->lanes[p].n,
		    mine + w->dq_acc + p * dq_panel, one, !s->first);
}

static void
square_task(void *ctx, int64_t task, int member)
{
	const struct backward *w = ((struct cpu_job *)ctx)->args;
	const struct k_attention *a = w->a;
	const struct square *s = &w->list[task / a->kv_heads];
	float *mine = w->scratch + member * w->each;
	int64_t kh = task % a->kv_heads, row = s->span.row + s->k0;
	int64_t n = min64(SQUARE, s->span.nk - s->k0);
	int64_t rows = min64(SQUARE, s->span.nq - s->q0) * w->group;
	struct rows k = { row * a->ldk + kh * a->d_qk, a->ldk, a->d_qk, 1 };
	struct rows v = { row * a->ldv + kh * a->d_v, a->ldv, a->d_v, 1 };

	load_of(a->kv_type, mine + w->keys, a->d_qk, a->k, &k, 0, n);
	load_of(a->kv_type, mine + w->values, a->d_v, a->v, &v, 0, n);
	memset(mine + w->dk_acc, 0, (size_t)(n * w->dq_width) * sizeof(*mine));
	memset(mine + w->dv_acc, 0, (size_t)(n * w->dv_width) * sizeof(*mine));
	for (int64_t r = 0; r < rows; r += PANELS * LANES) {
		struct chunk c = { .r = r, .n = min64(PANELS * LANES, rows - r) };

		run_chunk(w, s, mine, kh, &c);
	}
	store_rows(w->dk + row * w->lddk + kh * a->d_qk, w->lddk, mine + w->dk_acc, w->dq_width,
	    a->d_qk, n, !s->first);
	store_rows(w->dv + row * w->lddv + kh * a->d_v, w->lddv, mine + w->dv_acc, w->dv_width,
	    a->d_v, n, !s->first);
}

/* ---- the launch ---- */

/* The squares of a round; returns how many, -1 when it and all that follow have none. */
static int64_t
list_round(const struct k_attention *a, int64_t seqs, int64_t round, struct square *list)
{
	int64_t n = 0;
	bool any = false;

	for (int64_t s = 0; s < seqs; s++) {
		struct span span = span_of(a, s);
		int64_t blocks = (span.nk + SQUARE - 1) / SQUARE;

		any |= round < blocks;
		for (int64_t i = 0; i < blocks && round < blocks; i++) {
			int64_t k0 = i * SQUARE, q0 = (i + round) % blocks * SQUARE;

			if ((a->causal && q0 < k0) || passed(a, q0, k0, SQUARE))
				continue;
			if (list != NULL)
				list[n] = (struct square){ span, k0, q0, round == 0 };
			n++;
		}
	}
	return any ? n : -1;
}

/* Sums in scratch to where they belong, rounded. */
struct round_off {
	dtype	type;
	char	*to;
	const float *from;
	int64_t	ld, d;
};

static void
round_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct round_off *r = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++)
		OF_ISA(convert)(r->to + t * r->ld * dtype_size(r->type), r->type,
		    r->from + t * r->d, DTYPE_F32, r->d);
}

static void
round_off(struct cpu *c, dtype type, dptr to, int64_t ld, const float *from, int64_t d, int64_t n)
{
	struct round_off r = { type, cpu_ptr(to), from, ld, d };
	struct cpu_job job = { .c = c, .args = &r, .n = n };

	if (type != DTYPE_F32)
		cpu_run(&job, d / VW, round_task);
}

/* Where a gradient of rows of d is summed up: in place, or at *at of the scratch memory. */
static int64_t
sums_of(dtype type, int64_t ld, int64_t d, int64_t rows, int64_t *at, int64_t *ld_out)
{
	int64_t here = *at;

	*ld_out = type == DTYPE_F32 ? ld : d;
	*at += type == DTYPE_F32 ? 0 : (rows * d + 15) / 16 * 16;
	return here;
}

static void
layout(struct backward *w)
{
	const struct k_attention *a = w->a;
	int64_t at = 0, chunk = PANELS * LANES;

#define TAKE(what, n) (w->what = at, at += ((n) + 15) / 16 * 16)
	TAKE(keys, (SQUARE + KR) * a->d_qk);
	TAKE(values, (SQUARE + KR) * a->d_v);
	TAKE(dk_acc, (SQUARE + KR) * w->dq_width);
	TAKE(dv_acc, (SQUARE + KR) * w->dv_width);
	TAKE(q_lanes, chunk * a->d_qk);
	TAKE(do_lanes, chunk * a->d_v);
	TAKE(q_rows, chunk * w->dq_width);
	TAKE(do_rows, chunk * w->dv_width);
	TAKE(dq_acc, chunk * (a->d_qk + KR));
	TAKE(lse, chunk);
	TAKE(delta, chunk);
	TAKE(weights, chunk * BK);
	TAKE(grads, chunk * BK);
#undef TAKE
	w->each = at;
}

/* All of the scratch memory: sums of halves, each member's own, the list of a round. */
static bool
take_scratch(struct cpu *c, struct backward *w, int64_t rows, int64_t squares)
{
	const struct k_attention *a = w->a;
	const struct k_attention_bwd *b = w->b;
	int64_t at = 0, dq, dk, dv, mine;
	float *base;

	layout(w);
	dq = sums_of(a->type, a->ldq, a->heads * a->d_qk, rows, &at, &w->lddq);
	dk = sums_of(a->kv_type, a->ldk, a->kv_heads * a->d_qk, rows, &at, &w->lddk);
	dv = sums_of(a->kv_type, a->ldv, a->kv_heads * a->d_v, rows, &at, &w->lddv);
	mine = at;
	at += team_size(c->dev.team) * w->each;
	base = cpu_scratch(c, at * (int64_t)sizeof(float) +
	    squares * (int64_t)sizeof(struct square));
	if (base == NULL)
		return false;
	w->dq = a->type == DTYPE_F32 ? cpu_f32(b->dq) : base + dq;
	w->dk = a->kv_type == DTYPE_F32 ? cpu_f32(b->dk) : base + dk;
	w->dv = a->kv_type == DTYPE_F32 ? cpu_f32(b->dv) : base + dv;
	w->scratch = base + mine;
	w->list = (struct square *)(void *)(base + at);
	return true;
}

static int64_t
up_to_lanes(int64_t n)
{
	return (n + LANES - 1) / LANES * LANES;
}

void
OF_ISA(k_attention_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention_bwd *b = &args->attention_bwd;
	const struct k_attention *a = &b->f;
	struct backward w = { .b = b, .a = a, .group = a->heads / a->kv_heads,
		.dq_width = up_to_lanes(a->d_qk), .dv_width = up_to_lanes(a->d_v) };
	int64_t rows = cpu_count(c, a->t), seqs = cpu_count(c, a->seqs), squares, n;
	struct cpu_job delta = { .c = c, .args = &w, .n = rows };

	if (seqs <= 0 || rows <= 0)
		return;
	/* Round 0 has most squares: one for each block of keys. */
	squares = c->measuring ? rows / SQUARE + seqs : list_round(a, seqs, 0, NULL);
	if (!take_scratch(c, &w, rows, squares))
		return;
	cpu_run(&delta, a->heads * a->d_v / VW, delta_task);
	for (int64_t round = 0; (n = list_round(a, seqs, round, w.list)) >= 0; round++) {
		struct cpu_job job = { .c = c, .args = &w, .n = n * a->kv_heads, .step = 1 };

		cpu_run(&job, SQUARE * a->d_qk * 8, square_task);
	}
	round_off(c, a->type, b->dq, a->ldq, w.dq, a->heads * a->d_qk, rows);
	round_off(c, a->kv_type, b->dk, a->ldk, w.dk, a->kv_heads * a->d_qk, rows);
	round_off(c, a->kv_type, b->dv, a->ldv, w.dv, a->kv_heads * a->d_v, rows);
}
