/*
 * Attention forward: flash attention (arXiv 2205.14135) on tiles.
 *
 * A task is a block of queries of one sequence and one key head, with all
 * query heads that read it.  For each block of keys: pack keys and values
 * once; then, for panels of MR queries, scores, running maximum and sum, and
 * the weighted values added to what is there, scaled by how the maximum moved.
 */
#include <string.h>

#include "dev/cpu/simd/attend.h"

enum { ROWS = 96 };		/* of queries times heads in a task, about */

/* A launch, and where a member's scratch memory has what. */
struct forward {
	const struct k_attention *a;
	struct block { struct span span; int64_t from, to; } *block;
	int64_t	n_blocks, group, bq;
	int64_t	dv, rows;			/* d_v rounded up; of acc */
	float	*scratch;
	int64_t	keys, values, gather, acc, top, sum, tile, each;	/* offsets, size */
};

/* Rows of the keys [j0, j0 + n) where they lie scattered, put together. */
static const float *
rows_of(const struct k_attention *a, const struct span *s, const float *base, int64_t ld,
    int64_t d, int64_t j0, int64_t n, float *gather, int64_t *ld_out)
{
	const int32_t *table = cpu_i32(a->block_table);

	if (table == NULL) {
		*ld_out = ld;
		return base + (s->row + j0) * ld;
	}
	for (int64_t j = j0; j < j0 + n; j++) {
		int64_t row = (int64_t)table[s->seq * a->max_blocks + j / a->block_size] *
		    a->block_size + j % a->block_size;

		memcpy(gather + (j - j0) * d, base + row * ld, (size_t)d * sizeof(float));
	}
	*ld_out = d;
	return gather;
}

/*
 * Scores s (cols) of a query at pos, capped and masked; then weights, with the
 * running top and sum.  Return by how much what was summed before counts less.
 */
static float
weigh(const struct k_attention *a, float *s, int64_t cols, int64_t pos, int64_t j0, int64_t nk,
    float *top, float *sum)
{
	vf m = vset(-INFINITY), total = { 0 };
	float cap = (float)a->softcap, now, less[VW];
	bool whole = sees_all(a, pos, j0, cols, nk);

	for (int64_t c = 0; c < cols; c += VW) {
		vf x = vload(s + c);

		if (cap > 0)
			x = cap * vtanh(x / cap);
		if (!whole)
			x = vsel(seen(a, pos, viota() + (int32_t)(j0 + c), nk), x,
			    vset(-INFINITY));
		m = vmax(x, m);
		vstore(s + c, x);
	}
	now = vtop(m);
	now = now > *top ? now : *top;
	if (now == -INFINITY) {
		memset(s, 0, (size_t)cols * sizeof(*s));
		return 1;
	}
	for (int64_t c = 0; c < cols; c += VW) {
		vf p = vexp(vload(s + c) - now);

		total += p;
		vstore(s + c, p);
	}
	vstore(less, vexp(vset(*top - now)));
	*top = now;
	*sum = *sum * less[0] + vsum(total);
	return less[0];
}

/* MR or fewer queries from i on, of head h, against the packed block of keys at j0. */
static void
panel(const struct forward *f, const struct block *b, float *mine, int64_t h, int64_t i,
    int64_t j0)
{
	const struct k_attention *a = f->a;
	const struct span *s = &b->span;
	int64_t rows = min64(MR, b->to - i), pos = s->pos + i;
	int64_t at = (h % f->group) * f->bq + i - b->from;
	int64_t vis = reach(a, pos + rows - 1, j0, min64(BK, s->nk - j0)), cols = round_nr(vis);
	float *tile = mine + f->tile, less[MR];
	struct tile t = {
		.k = a->d_qk, .rs = a->ldq, .cs = 1, .ldb = NR, .ldc = BK, .n = NR,
		.a = cpu_f32(a->q) + (s->row + i) * a->ldq + h * a->d_qk,
		.alpha = (float)a->scale,
	};

	if (vis == 0 || passed(a, pos, j0, vis))
		return;
	for (int64_t j = 0; j < cols; j += NR) {
		t.b = mine + f->keys + j * a->d_qk;
		t.c = tile + j;
		OF_ISA(tile_run)(&t, rows);
	}
	for (int64_t r = 0; r < rows; r++)
		less[r] = weigh(a, tile + r * BK, cols, pos + r, j0, s->nk,
		    mine + f->top + at + r, mine + f->sum + at + r);
	t = (struct tile){
		.k = vis, .rs = BK, .cs = 1, .ldb = NR, .ldc = f->dv, .n = NR, .a = tile,
		.row_scale = less, .alpha = 1, .load = true,
	};
	for (int64_t e = 0; e < f->dv; e += NR) {
		t.b = mine + f->values + e * BK;
		t.c = mine + f->acc + at * f->dv + e;
		OF_ISA(tile_run)(&t, rows);
	}
}

/* o = acc / sum, lse = top + log sum. */
static void
finish(const struct forward *f, const struct block *b, const float *mine, int64_t h)
{
	const struct k_attention *a = f->a;
	int64_t at = (h % f->group) * f->bq;

	for (int64_t i = b->from; i < b->to; i++, at++) {
		int64_t row = b->span.row + i;
		float *o = cpu_f32(a->o) + row * a->ldo + h * a->d_v;
		float sum = mine[f->sum + at], inv = sum == 0 ? 0 : 1 / sum;

		/* Adding 0 turns -0 to 0: no bit may tell which blocks were skipped. */
		for (int64_t e = 0; e < a->d_v; e += VW)
			vstore_to(o + e, vload(mine + f->acc + at * f->dv + e) * inv + 0.0f,
			    a->d_v - e);
		if (a->lse.at != 0)
			cpu_f32(a->lse)[row * a->heads + h] = sum == 0 ? -INFINITY :
			    mine[f->top + at] + logf(sum);
	}
}

static void
attend_task(void *ctx, int64_t task, int member)
{
	const struct forward *f = ((struct cpu_job *)ctx)->args;
	const struct k_attention *a = f->a;
	const struct block *b = &f->block[task / a->kv_heads];
	const struct span *s = &b->span;
	int64_t kh = task % a->kv_heads;
	int64_t end = reach(a, s->pos + b->to - 1, 0, s->nk);
	float *mine = f->scratch + member * f->each;

	memset(mine + f->acc, 0, (size_t)(f->rows * f->dv) * sizeof(*mine));
	for (int64_t r = 0; r < f->rows; r++) {
		mine[f->top + r] = -INFINITY;
		mine[f->sum + r] = 0;
	}
	for (int64_t j0 = 0; j0 < end; j0 += BK) {
		int64_t n = min64(BK, s->nk - j0), ld;
		const float *p;

		if (passed(a, s->pos + b->from, j0, n))
			continue;
		p = rows_of(a, s, cpu_f32(a->k) + kh * a->d_qk, a->ldk, a->d_qk, j0, n,
		    mine + f->gather, &ld);
		pack_block_columns(mine + f->keys, p, ld, n, a->d_qk);
		p = rows_of(a, s, cpu_f32(a->v) + kh * a->d_v, a->ldv, a->d_v, j0, n,
		    mine + f->gather, &ld);
		pack_block_rows(mine + f->values, BK * NR, p, ld, n, a->d_v);
		for (int64_t h = kh * f->group; h < (kh + 1) * f->group; h++)
			for (int64_t i = b->from; i < b->to; i += MR)
				panel(f, b, mine, h, i, j0);
	}
	for (int64_t h = kh * f->group; h < (kh + 1) * f->group; h++)
		finish(f, b, mine, h);
}

/* Lay out a member's scratch. */
static void
layout(struct forward *f)
{
	const struct k_attention *a = f->a;
	int64_t at = 0, d = a->d_qk > a->d_v ? a->d_qk : a->d_v;

#define TAKE(what, n) (f->what = at, at += ((n) + 15) / 16 * 16)
	TAKE(keys, BK * a->d_qk);
	TAKE(values, BK * f->dv);
	TAKE(gather, a->block_table.at != 0 ? BK * d : 0);
	TAKE(acc, f->rows * f->dv);
	TAKE(top, f->rows);
	TAKE(sum, f->rows);
	TAKE(tile, MR * BK);
#undef TAKE
	f->each = at;
}

/* All blocks of queries, in order; NULL to count them. */
static int64_t
list_blocks(const struct forward *f, int64_t seqs, struct block *list)
{
	int64_t n = 0;

	for (int64_t s = 0; s < seqs; s++) {
		struct span span = span_of(f->a, s);

		for (int64_t from = 0; from < span.nq; from += f->bq, n++)
			if (list != NULL)
				list[n] = (struct block){ span, from,
				    min64(from + f->bq, span.nq) };
	}
	return n;
}

void
OF_ISA(k_attention)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention *a = &args->attention;
	struct forward f = { .a = a, .group = a->heads / a->kv_heads, .dv = round_nr(a->d_v) };
	struct cpu_job job = { .c = c, .args = &f, .step = 1 };
	int64_t seqs = cpu_count(c, a->seqs), list_bytes, longest = 0;

	if (seqs <= 0)
		return;
	f.bq = f.group >= ROWS / MR ? MR : ROWS / f.group / MR * MR;
	for (int64_t s = 0; s < seqs; s++)
		longest = span_of(a, s).nq > longest ? span_of(a, s).nq : longest;
	f.bq = min64(f.bq, longest);
	f.rows = f.bq * f.group;
	if (f.bq == 0)
		return;
	layout(&f);
	f.n_blocks = list_blocks(&f, seqs, NULL);
	list_bytes = (f.n_blocks * (int64_t)sizeof(*f.block) + 63) / 64 * 64;
	f.block = cpu_scratch(c, list_bytes +
	    team_size(c->dev.team) * f.each * (int64_t)sizeof(float));
	if (f.block == NULL)
		return;
	f.scratch = (float *)(void *)((char *)f.block + list_bytes);
	list_blocks(&f, seqs, f.block);
	job.n = f.n_blocks * a->kv_heads;
	cpu_run(&job, f.rows * a->d_qk * 8, attend_task);
}
