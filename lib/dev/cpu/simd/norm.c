/*
 * RMS and layer norms, and sums over tokens.
 *
 * A row's sums run in VW lanes that are added at the end, so they depend on
 * the width alone.  Gradients of weights are summed over chunks of
 * CHUNK_ROWS rows and then over chunks, in order.
 */
#include <math.h>

#include "dev/cpu/simd/simd.h"

struct add_chunks {
	float		*out;
	const float	*part;
	int64_t		 chunks, c, ld;
};

enum { COLUMNS = 64 };

static void
add_chunks_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct add_chunks *a = job->args;
	int64_t from = cpu_from(job, task) * COLUMNS, to = cpu_to(job, task) * COLUMNS;

	(void)member;
	if (to > a->c)
		to = a->c;
	for (int64_t k = 0; k < a->chunks; k++)
		for (int64_t i = from; i < to; i++)
			a->out[i] += a->part[k * a->ld + i];
}

void
OF_ISA(add_chunks)(struct cpu *cpu, float *out, const float *part, int64_t chunks, int64_t c,
    int64_t ld)
{
	struct add_chunks a = { out, part, chunks, c, ld };
	struct cpu_job job = { .c = cpu, .args = &a, .n = (c + COLUMNS - 1) / COLUMNS };

	cpu_run(&job, chunks * COLUMNS / VW, add_chunks_task);
}

static int64_t
chunks_of(int64_t rows)
{
	return (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
}

INLINE void
bias_rows(dtype type, const struct k_bias_bwd *a, float *part, int64_t from, int64_t to)
{
	int64_t c = a->c;

	for (int64_t i = 0; i < c; i++)
		part[i] = 0;
	for (int64_t t = from; t < to; t++)
		for (int64_t i = 0; i < c; i += VW)
			vstore_to(part + i, vload_to(part + i, c - i) +
			    vget(type, cpu_ptr(a->dy), t * c + i, c - i), c - i);
}

static void
bias_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_bias_bwd *a = job->args;
	float *part = (float *)job->tmp + task * a->c;

	(void)member;
#define CALL(type) bias_rows(type, a, part, cpu_from(job, task), cpu_to(job, task))
	EACH_TYPE(a->type, CALL);
#undef CALL
}

void
OF_ISA(k_bias_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_bias_bwd *a = &args->bias_bwd;
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, a->t),
		.step = CHUNK_ROWS };
	int64_t chunks = chunks_of(job.n);

	if (job.n <= 0)
		return;
	job.tmp = cpu_scratch(c, chunks * a->c * (int64_t)sizeof(float));
	if (job.tmp == NULL)
		return;
	cpu_run(&job, a->c / VW, bias_task);
	OF_ISA(add_chunks)(c, cpu_f32(a->db), job.tmp, chunks, a->c, a->c);
}

/* ---- RMS norm ---- */

/* The sum over a row of its elements less mean, or of their squares. */
INLINE float
row_sum(dtype type, const void *x, int64_t at, int64_t c, float mean, bool square)
{
	vf sum[4] = { { 0 }, { 0 }, { 0 }, { 0 } };
	int64_t i = 0;

	for (; i + 4 * VW <= c; i += 4 * VW)
		UNROLL
		for (int j = 0; j < 4; j++) {
			vf v = vget(type, x, at + i + j * VW, VW) - mean;

			sum[j] = square ? vfma(v, v, sum[j]) : sum[j] + v;
		}
	for (; i < c; i += VW) {
		vf v = vget(type, x, at + i, c - i) - mean;

		if (i + VW > c)
			v = vsel(viota() < (int32_t)(c - i), v, (vf){ 0 });
		sum[0] = square ? vfma(v, v, sum[0]) : sum[0] + v;
	}
	return vsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

INLINE void
rms_row(dtype type, const struct k_rmsnorm *a, int64_t t)
{
	const void *x = cpu_ptr(a->x);
	const float *w = cpu_f32(a->w);
	float plus = (float)a->w_plus, rstd;
	int64_t c = a->c, at = t * c;

	rstd = 1.0f / sqrtf(row_sum(type, x, at, c, 0, true) / (float)c + (float)a->eps);
	if (a->rstd.at != 0)
		cpu_f32(a->rstd)[t] = rstd;
	for (int64_t i = 0; i < c; i += VW)
		vput(type, cpu_ptr(a->y), at + i, vget(type, x, at + i, c - i) * rstd *
		    (vload_to(w + i, c - i) + plus), c - i);
}

static void
rms_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_rmsnorm *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) rms_row(type, a, t)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_rmsnorm)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->rmsnorm.t) };

	cpu_run(&job, 2 * a->rmsnorm.c / VW, rms_task);
}

/* With h = x rstd and g = dy (w + plus): dx = rstd (g - h mean(g h)), dw = sum of dy h. */
INLINE void
rms_bwd_row(dtype type, const struct k_rmsnorm_bwd *a, int64_t t, float *dw)
{
	const void *x = cpu_ptr(a->x), *dy = cpu_ptr(a->dy);
	const float *w = cpu_f32(a->w);
	float rstd = cpu_f32(a->rstd)[t], plus = (float)a->w_plus, dot;
	int64_t c = a->c, at = t * c;
	vf sum = { 0 };

	for (int64_t i = 0; i < c; i += VW) {
		vf h = vget(type, x, at + i, c - i) * rstd, d = vget(type, dy, at + i, c - i);

		sum = vfma(d * (vload_to(w + i, c - i) + plus), h, sum);
		if (dw != NULL)
			vstore_to(dw + i, vfma(d, h, vload_to(dw + i, c - i)), c - i);
	}
	dot = vsum(sum) / (float)c;
	for (int64_t i = 0; i < c; i += VW) {
		vf h = vget(type, x, at + i, c - i) * rstd;
		vf g = vget(type, dy, at + i, c - i) * (vload_to(w + i, c - i) + plus);
		vf r = (g - h * dot) * rstd;

		if (a->add)
			r += vget(type, cpu_ptr(a->dx), at + i, c - i);
		vput(type, cpu_ptr(a->dx), at + i, r, c - i);
	}
}

static void
rms_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_rmsnorm_bwd *a = job->args;
	float *dw = job->tmp == NULL ? NULL : (float *)job->tmp + task * a->c;

	(void)member;
	for (int64_t i = 0; dw != NULL && i < a->c; i++)
		dw[i] = 0;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) rms_bwd_row(type, a, t, dw)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_rmsnorm_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_rmsnorm_bwd *a = &args->rmsnorm_bwd;
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, a->t),
		.step = CHUNK_ROWS };
	int64_t chunks = chunks_of(job.n);

	if (job.n <= 0)
		return;
	if (a->dw.at != 0) {
		job.tmp = cpu_scratch(c, chunks * a->c * (int64_t)sizeof(float));
		if (job.tmp == NULL)
			return;
	}
	cpu_run(&job, 4 * a->c / VW, rms_bwd_task);
	if (a->dw.at != 0)
		OF_ISA(add_chunks)(c, cpu_f32(a->dw), job.tmp, chunks, a->c, a->c);
}

/* ---- layer norm ---- */

INLINE void
layer_row(dtype type, const struct k_layernorm *a, int64_t t)
{
	const void *x = cpu_ptr(a->x);
	const float *w = cpu_f32(a->w), *b = cpu_f32(a->b);
	int64_t c = a->c, at = t * c;
	float mean = row_sum(type, x, at, c, 0, false) / (float)c, rstd;

	rstd = 1.0f / sqrtf(row_sum(type, x, at, c, mean, true) / (float)c + (float)a->eps);
	if (a->mean.at != 0)
		cpu_f32(a->mean)[t] = mean;
	if (a->rstd.at != 0)
		cpu_f32(a->rstd)[t] = rstd;
	for (int64_t i = 0; i < c; i += VW) {
		vf r = (vget(type, x, at + i, c - i) - mean) * rstd * vload_to(w + i, c - i);

		if (b != NULL)
			r += vload_to(b + i, c - i);
		vput(type, cpu_ptr(a->y), at + i, r, c - i);
	}
}

static void
layer_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_layernorm *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) layer_row(type, a, t)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_layernorm)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->layernorm.t) };

	cpu_run(&job, 3 * a->layernorm.c / VW, layer_task);
}

/*
 * With h = (x - mean) rstd and g = dy w: dx = rstd (g - mean(g) - h mean(g h)),
 * dw = sum of dy h, db = sum of dy.
 */
INLINE void
layer_bwd_row(dtype type, const struct k_layernorm_bwd *a, int64_t t, float *dw, float *db)
{
	const void *x = cpu_ptr(a->x), *dy = cpu_ptr(a->dy);
	const float *w = cpu_f32(a->w);
	float mean = cpu_f32(a->mean)[t], rstd = cpu_f32(a->rstd)[t], mg, mgh;
	int64_t c = a->c, at = t * c;
	vf sg = { 0 }, sgh = { 0 };

	for (int64_t i = 0; i < c; i += VW) {
		vf h = (vget(type, x, at + i, c - i) - mean) * rstd;
		vf d = vget(type, dy, at + i, c - i), g = d * vload_to(w + i, c - i);

		sg += g;
		sgh = vfma(g, h, sgh);
		vstore_to(dw + i, vfma(d, h, vload_to(dw + i, c - i)), c - i);
		vstore_to(db + i, d + vload_to(db + i, c - i), c - i);
	}
	mg = vsum(sg) / (float)c;
	mgh = vsum(sgh) / (float)c;
	for (int64_t i = 0; i < c; i += VW) {
		vf h = (vget(type, x, at + i, c - i) - mean) * rstd;
		vf g = vget(type, dy, at + i, c - i) * vload_to(w + i, c - i);
		vf r = (g - mg - h * mgh) * rstd;

		if (a->add)
			r += vget(type, cpu_ptr(a->dx), at + i, c - i);
		vput(type, cpu_ptr(a->dx), at + i, r, c - i);
	}
}

static void
layer_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_layernorm_bwd *a = job->args;
	float *dw = (float *)job->tmp + task * 2 * a->c, *db = dw + a->c;

	(void)member;
	for (int64_t i = 0; i < 2 * a->c; i++)
		dw[i] = 0;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) layer_bwd_row(type, a, t, dw, db)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_layernorm_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_layernorm_bwd *a = &args->layernorm_bwd;
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, a->t),
		.step = CHUNK_ROWS };
	int64_t chunks = chunks_of(job.n), ld = 2 * a->c;
	float *part;

	if (job.n <= 0)
		return;
	part = job.tmp = cpu_scratch(c, chunks * ld * (int64_t)sizeof(float));
	if (part == NULL)
		return;
	cpu_run(&job, 6 * a->c / VW, layer_bwd_task);
	if (a->dw.at != 0)
		OF_ISA(add_chunks)(c, cpu_f32(a->dw), part, chunks, a->c, ld);
	if (a->db.at != 0)
		OF_ISA(add_chunks)(c, cpu_f32(a->db), part + a->c, chunks, a->c, ld);
}
