/*
 * Attention backward.
 *
 * A task is one sequence and one key head, with all query heads that read it,
 * so its dk and dv are its own.  For each block of keys: the weights and
 * their gradients of a block of queries, as two tiles (BQ, BK), and from them
 * three products that add to dv, dk and dq, in order of blocks.
 */
#include <string.h>

#include "dev/cpu/simd/attend.h"

enum { BQ = 48 };		/* queries of a block: part of the result */

struct backward {
	const struct k_attention_bwd *b;
	const struct k_attention *a;
	int64_t	group, dq, dv;			/* d_qk, d_v rounded up */
	float	*scratch;
	int64_t	keys, keys_t, values_t, queries, grads, p, ds, dk_acc, dv_acc, each;
};

/* delta = sum of o d_o for each head of a row; dq, dk and dv start as zeros. */
static void
start_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_attention_bwd *b = job->args;
	const struct k_attention *a = &b->f;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		memset(cpu_f32(b->dq) + t * a->ldq, 0, (size_t)(a->heads * a->d_qk) * 4);
		memset(cpu_f32(b->dk) + t * a->ldk, 0, (size_t)(a->kv_heads * a->d_qk) * 4);
		memset(cpu_f32(b->dv) + t * a->ldv, 0, (size_t)(a->kv_heads * a->d_v) * 4);
		for (int64_t h = 0; h < a->heads; h++) {
			int64_t at = t * a->ldo + h * a->d_v;
			vf sum = { 0 };

			for (int64_t e = 0; e < a->d_v; e += VW)
				sum = vfma(vload_to(cpu_f32(a->o) + at + e, a->d_v - e),
				    vload_to(cpu_f32(b->d_o) + at + e, a->d_v - e), sum);
			cpu_f32(b->delta)[t * a->heads + h] = vsum(sum);
		}
	}
}

/* From a row of scores and of d loss / d weight: weights p, and gradients of raw scores ds. */
static void
grade(const struct k_attention *a, float *p, float *ds, int64_t cols, int64_t pos, int64_t j0,
    int64_t nk, float lse, float delta)
{
	float cap = (float)a->softcap, scale = (float)a->scale;
	bool whole = sees_all(a, pos, j0, cols, nk);

	for (int64_t c = 0; c < cols; c += VW) {
		vf s = vload(p + c), w, g;

		if (cap > 0)
			s = cap * vtanh(s / cap);
		w = vexp(s - lse);
		g = w * (vload(ds + c) - delta) * scale;
		if (cap > 0)
			g *= 1.0f - s * s / (cap * cap);
		if (!whole) {
			vi m = seen(a, pos, viota() + (int32_t)(j0 + c), nk);

			w = vsel(m, w, (vf){ 0 });
			g = vsel(m, g, (vf){ 0 });
		}
		vstore(p + c, w);
		vstore(ds + c, g);
	}
	memset(p + cols, 0, (size_t)(BK - cols) * sizeof(*p));
	memset(ds + cols, 0, (size_t)(BK - cols) * sizeof(*ds));
}

/* Weights and gradients of scores for rows [i, i + rows) of a block of queries at i0. */
static void
score_panel(const struct backward *w, const struct span *s, float *mine, int64_t h, int64_t i0,
    int64_t i, int64_t rows, int64_t j0)
{
	const struct k_attention *a = w->a;
	int64_t pos = s->pos + i0 + i, row = s->row + i0 + i;
	int64_t vis = reach(a, pos + rows - 1, j0, min64(BK, s->nk - j0)), cols = round_nr(vis);
	float *p = mine + w->p + i * BK, *ds = mine + w->ds + i * BK;
	struct tile score = {
		.k = a->d_qk, .rs = a->ldq, .cs = 1, .ldb = NR, .ldc = BK, .n = NR,
		.a = cpu_f32(a->q) + row * a->ldq + h * a->d_qk, .alpha = (float)a->scale,
	};
	struct tile grad = {
		.k = a->d_v, .rs = a->ldo, .cs = 1, .ldb = NR, .ldc = BK, .n = NR,
		.a = cpu_f32(w->b->d_o) + row * a->ldo + h * a->d_v, .alpha = 1,
	};

	for (int64_t j = 0; j < cols; j += NR) {
		score.b = mine + w->keys_t + j * a->d_qk;
		score.c = p + j;
		OF_ISA(tile_run)(&score, rows);
		grad.b = mine + w->values_t + j * a->d_v;
		grad.c = ds + j;
		OF_ISA(tile_run)(&grad, rows);
	}
	for (int64_t r = 0; r < rows; r++)
		grade(a, p + r * BK, ds + r * BK, cols, pos + r, j0, s->nk,
		    cpu_f32(a->lse)[(row + r) * a->heads + h],
		    cpu_f32(w->b->delta)[(row + r) * a->heads + h]);
}

/* to (nk, width) += from^T (nk, nq) x (nq, width), x packed as rows. */
static void
add_transposed(float *to, int64_t width, const float *from, const float *x, int64_t nq,
    int64_t nk)
{
	for (int64_t e = 0; e < width; e += NR)
		for (int64_t j = 0; j < nk; j += MR) {
			struct tile t = {
				.k = nq, .rs = 1, .cs = BK, .ldb = NR, .ldc = width, .n = NR,
				.a = from + j, .b = x + e * BQ, .c = to + j * width + e,
				.alpha = 1, .load = true,
			};

			OF_ISA(tile_run)(&t, min64(MR, nk - j));
		}
}

/* One block of queries at i0 of head h against the packed block of keys at j0. */
static void
block(const struct backward *w, const struct span *s, float *mine, int64_t h, int64_t i0,
    int64_t j0)
{
	const struct k_attention *a = w->a;
	int64_t nq = min64(BQ, s->nq - i0), nk = min64(BK, s->nk - j0), row = s->row + i0;

	pack_block_rows(mine + w->queries, BQ * NR, cpu_f32(a->q) + row * a->ldq + h * a->d_qk,
	    a->ldq, nq, a->d_qk);
	pack_block_rows(mine + w->grads, BQ * NR, cpu_f32(w->b->d_o) + row * a->ldo + h * a->d_v,
	    a->ldo, nq, a->d_v);
	for (int64_t i = 0; i < nq; i += MR)
		score_panel(w, s, mine, h, i0, i, min64(MR, nq - i), j0);
	add_transposed(mine + w->dv_acc, w->dv, mine + w->p, mine + w->grads, nq, nk);
	add_transposed(mine + w->dk_acc, w->dq, mine + w->ds, mine + w->queries, nq, nk);
	for (int64_t e = 0; e < a->d_qk; e += NR)
		for (int64_t i = 0; i < nq; i += MR) {
			int64_t rows = min64(MR, nq - i);
			struct tile t = {
				.k = reach(a, s->pos + i0 + i + rows - 1, j0, nk),
				.rs = BK, .cs = 1, .ldb = NR, .ldc = a->ldq,
				.n = min64(NR, a->d_qk - e), .a = mine + w->ds + i * BK,
				.b = mine + w->keys + e * BK, .alpha = 1, .load = true,
				.c = cpu_f32(w->b->dq) + (row + i) * a->ldq + h * a->d_qk + e,
			};

			if (t.k > 0)
				OF_ISA(tile_run)(&t, rows);
		}
}

static void
copy_out(float *to, int64_t ld, const float *from, int64_t width, int64_t n, int64_t d)
{
	for (int64_t j = 0; j < n; j++)
		memcpy(to + j * ld, from + j * width, (size_t)d * sizeof(*to));
}

/* The block of keys at j0: dk and dv of its rows, and its part of dq. */
static void
key_block(const struct backward *w, const struct span *s, float *mine, int64_t kh, int64_t j0)
{
	const struct k_attention *a = w->a;
	int64_t n = min64(BK, s->nk - j0), row = s->row + j0;
	const float *k = cpu_f32(a->k) + row * a->ldk + kh * a->d_qk;
	int64_t first = a->causal && j0 > s->pos ? (j0 - s->pos) / BQ * BQ : 0;

	pack_block_columns(mine + w->keys_t, k, a->ldk, n, a->d_qk);
	pack_block_rows(mine + w->keys, BK * NR, k, a->ldk, n, a->d_qk);
	pack_block_columns(mine + w->values_t, cpu_f32(a->v) + row * a->ldv + kh * a->d_v,
	    a->ldv, n, a->d_v);
	memset(mine + w->dk_acc, 0, (size_t)(BK * w->dq) * sizeof(*mine));
	memset(mine + w->dv_acc, 0, (size_t)(BK * w->dv) * sizeof(*mine));
	for (int64_t h = kh * w->group; h < (kh + 1) * w->group; h++)
		for (int64_t i = first; i < s->nq; i += BQ) {
			if (passed(a, s->pos + i, j0, n))
				break;
			block(w, s, mine, h, i, j0);
		}
	copy_out(cpu_f32(w->b->dk) + row * a->ldk + kh * a->d_qk, a->ldk, mine + w->dk_acc,
	    w->dq, n, a->d_qk);
	copy_out(cpu_f32(w->b->dv) + row * a->ldv + kh * a->d_v, a->ldv, mine + w->dv_acc,
	    w->dv, n, a->d_v);
}

static void
backward_task(void *ctx, int64_t task, int member)
{
	const struct backward *w = ((struct cpu_job *)ctx)->args;
	struct span s = span_of(w->a, task / w->a->kv_heads);
	float *mine = w->scratch + member * w->each;

	for (int64_t j0 = 0; j0 < s.nk; j0 += BK)
		key_block(w, &s, mine, task % w->a->kv_heads, j0);
}

static void
layout(struct backward *w)
{
	int64_t at = 0;

#define TAKE(what, n) (w->what = at, at += ((n) + 15) / 16 * 16)
	TAKE(keys, BK * w->dq);
	TAKE(keys_t, BK * w->a->d_qk);
	TAKE(values_t, BK * w->a->d_v);
	TAKE(queries, BQ * w->dq);
	TAKE(grads, BQ * w->dv);
	TAKE(p, BQ * BK);
	TAKE(ds, BQ * BK);
	TAKE(dk_acc, BK * w->dq);
	TAKE(dv_acc, BK * w->dv);
#undef TAKE
	w->each = at;
}

void
OF_ISA(k_attention_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention_bwd *b = &args->attention_bwd;
	const struct k_attention *a = &b->f;
	struct backward w = { .b = b, .a = a, .group = a->heads / a->kv_heads,
		.dq = round_nr(a->d_qk), .dv = round_nr(a->d_v) };
	struct cpu_job start = { .c = c, .args = b, .n = cpu_count(c, a->t) };
	struct cpu_job job = { .c = c, .args = &w, .step = 1 };
	int64_t seqs = cpu_count(c, a->seqs);

	if (seqs <= 0 || start.n <= 0)
		return;
	layout(&w);
	w.scratch = cpu_scratch(c, team_size(c->dev.team) * w.each * (int64_t)sizeof(float));
	if (w.scratch == NULL)
		return;
	cpu_run(&start, a->heads * (a->d_v + 2 * a->d_qk) / VW, start_task);
	job.n = seqs * a->kv_heads;
	cpu_run(&job, start.n / seqs * a->d_qk * 8, backward_task);
}
