/*
 * Cross-entropy of rows of logits, and its gradient.
 *
 * A row's maximum, then its sum of exponentials, in VW lanes; sums over a row
 * are kept in float lanes for at most SPAN elements and in double beyond, so
 * that a vocabulary of 150,000 loses nothing.
 */
#include <math.h>

#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/vmath.h"

enum { SPAN = 2048 };		/* a multiple of VW */

INLINE vf
load(const float *p, int64_t n, float pad)
{
	if (n >= VW)
		return vload(p);
	return vsel(viota() < (int32_t)n, vload_n(p, n), vset(pad));
}

INLINE vf
cap(vf x, float c)
{
	return c > 0 ? c * vtanh(x / c) : x;
}

/* The largest of a row, or a NaN when one is there. */
static float
row_max(const float *x, int64_t v)
{
	vf m = vset(-INFINITY);
	vi nan = { 0 };
	int32_t any = 0;

	for (int64_t i = 0; i < v; i += VW) {
		vf a = load(x + i, v - i, -INFINITY);

		m = vmax(a, m);
		nan |= (vi)(a != a);
	}
	for (int i = 0; i < VW; i++)
		any |= nan[i];
	return any ? NAN : vtop(m);
}

/* sum of e^d, d = x - top, and sum of d e^d where that is asked for */
static double
row_sum(const float *x, int64_t v, float top, float softcap, double *weighted)
{
	double sum = 0, wsum = 0;

	for (int64_t at = 0; at < v; at += SPAN) {
		int64_t to = at + SPAN < v ? at + SPAN : v, i = at;
		vf s = { 0 }, w = { 0 };

		for (; i + VW <= to; i += VW) {
			vf a = cap(vload(x + i), softcap) - top, e = vexp(a);

			s += e;
			if (weighted != NULL)
				w = vfma(a, e, w);
		}
		if (i < to) {
			vf a = cap(load(x + i, to - i, 0), softcap) - top;
			vf e = vsel(viota() < (int32_t)(to - i), vexp(a), (vf){ 0 });

			s += e;
			w = vfma(a, e, w);
		}
		sum += (double)vsum(s);
		wsum += (double)vsum(w);
	}
	if (weighted != NULL)
		*weighted = wsum;
	return sum;
}

static float
cap1(float x, float c)
{
	float t[VW];

	vstore(t, cap(vset(x), c));
	return t[0];
}

static void
xent_row(const struct k_xent *a, int64_t r, int64_t t)
{
	const float *x = cpu_f32(a->logits) + r * a->ld;
	float softcap = (float)a->softcap, top = cap1(row_max(x, a->v), softcap);
	int32_t target = a->target.at != 0 ? cpu_i32(a->target)[t] : -1;
	double weighted, sum, lse;

	/* Entropy from distances to the top: none of them is a large number. */
	sum = row_sum(x, a->v, top, softcap, a->entropy.at != 0 ? &weighted : NULL);
	lse = (double)top + log(sum);
	if (a->lse.at != 0)
		cpu_f32(a->lse)[t] = (float)lse;
	if (a->logp.at != 0)
		cpu_f32(a->logp)[t] = target < 0 ? 0 :
		    (float)((double)cap1(x[target], softcap) - lse);
	if (a->entropy.at != 0)
		cpu_f32(a->entropy)[t] = (float)(log(sum) - weighted / sum);
}

/* The rows of this chunk that there are, or -1. */
static int64_t
chunk_rows(struct cpu *c, const struct k_xent *a)
{
	int64_t n = cpu_count(c, a->t) - a->row0;

	return n < a->rows ? n : a->rows;
}

static void
xent_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_xent *a = job->args;

	(void)member;
	for (int64_t r = cpu_from(job, task); r < cpu_to(job, task); r++)
		xent_row(a, r, a->row0 + r);
}

static bool
targets_ok(struct cpu *c, const struct k_xent *a, int64_t rows)
{
	if (a->target.at == 0)
		return true;
	for (int64_t t = a->row0; t < a->row0 + rows; t++)
		if (cpu_i32(a->target)[t] >= a->v) {
			cpu_fail(c, ERR_ARG, "target %d at row %lld is outside 0..%lld",
			    cpu_i32(a->target)[t], (long long)t, (long long)a->v - 1);
			return false;
		}
	return true;
}

void
OF_ISA(k_xent)(struct cpu *c, const union dev_args *args)
{
	const struct k_xent *a = &args->xent;
	struct cpu_job job = { .c = c, .args = args, .n = chunk_rows(c, a) };

	if (job.n > 0 && targets_ok(c, a, job.n))
		cpu_run(&job, 8 * a->v / VW, xent_task);
}

/* p g of logits u, through the cap */
INLINE vf
share(vf u, float softcap, float lse, float g)
{
	vf s = cap(u, softcap), p = vexp(s - lse) * g;

	return softcap > 0 ? p * (1.0f - s * s / (softcap * softcap)) : p;
}

/* y = p (dlse - dlogp) and dlogp more at the target, through the cap; x is read before. */
INLINE void
xent_bwd_row(dtype type, const struct k_xent_bwd *a, int64_t r, int64_t t)
{
	const float *x = cpu_f32(a->f.logits) + r * a->f.ld;
	char *y = (char *)cpu_ptr(a->dlogits) + r * a->ld * dtype_size(type);
	float softcap = (float)a->f.softcap, lse = cpu_f32(a->f.lse)[t], slope = 1, g;
	int32_t target = a->f.target.at != 0 ? cpu_i32(a->f.target)[t] : -1;
	float dlogp = a->dlogp.at != 0 && target >= 0 ? cpu_f32(a->dlogp)[t] : 0;
	int64_t v = a->f.v;
	vf at = { 0 };

	g = (a->dlse.at != 0 ? cpu_f32(a->dlse)[t] : 0) - dlogp * (1 + 2 * (float)a->z * lse);
	if (target >= 0) {
		if (softcap > 0) {
			slope = cap1(x[target], softcap) / softcap;
			slope = 1 - slope * slope;
		}
		at = share(vset(x[target]), softcap, lse, g) + dlogp * slope;
	}
	for (int64_t i = 0; i < v; i += VW)
		vput(type, y, i, share(load(x + i, v - i, 0), softcap, lse, g), v - i);
	if (target >= 0)
		vput(type, y, target, at, 1);
}

#define BWD_ROW(type) xent_bwd_row(type, a, r, a->f.row0 + r)

static void
xent_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_xent_bwd *a = job->args;

	(void)member;
	for (int64_t r = cpu_from(job, task); r < cpu_to(job, task); r++)
		EACH_TYPE(a->type, BWD_ROW);
}

void
OF_ISA(k_xent_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_xent *a = &args->xent_bwd.f;
	struct cpu_job job = { .c = c, .args = args, .n = chunk_rows(c, a) };

	if (job.n > 0 && targets_ok(c, a, job.n))
		cpu_run(&job, 8 * a->v / VW, xent_bwd_task);
}
