/*
 * Columns by numbers of their own.  The gradient of those is summed over chunks
 * of CHUNK_ROWS rows, and then over chunks, in order.
 */
#include "dev/cpu/simd/simd.h"

/* alpha w r of columns i and on */
INLINE vf
factor(const struct k_scale *a, int64_t i)
{
	vf f = vset((float)a->alpha);

	if (a->w.at != 0)
		f *= vload_to(cpu_f32(a->w) + i, a->c - i);
	if (a->r.at != 0)
		f *= vload_to(cpu_f32(a->r) + i, a->c - i);
	return f;
}

INLINE void
scale_row(dtype type, const struct k_scale *a, int64_t t)
{
	for (int64_t i = 0; i < a->c; i += VW) {
		vf y = vget(type, cpu_ptr(a->x), t * a->c + i, a->c - i) * factor(a, i);

		if (a->bias.at != 0)
			y += vload_to(cpu_f32(a->bias) + i, a->c - i);
		vput(type, cpu_ptr(a->y), t * a->c + i, y, a->c - i);
	}
}

static void
scale_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_scale *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) scale_row(type, a, t)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_scale)(struct cpu *c, const union dev_args *args)
{
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, args->scale.t) };

	cpu_run(&job, 2 * args->scale.c / VW, scale_task);
}

INLINE void
scale_bwd_row(dtype type, const struct k_scale_bwd *a, int64_t t, float *dw)
{
	const int64_t c = a->f.c;

	for (int64_t i = 0; i < c; i += VW) {
		vf dy = vget(type, cpu_ptr(a->dy), t * c + i, c - i);

		if (dw != NULL)
			vstore_to(dw + i, vfma(dy, vget(type, cpu_ptr(a->f.x), t * c + i, c - i),
			    vload_to(dw + i, c - i)), c - i);
		if (a->dx.at == 0)
			continue;
		dy *= factor(&a->f, i);
		if (a->add)
			dy += vget(type, cpu_ptr(a->dx), t * c + i, c - i);
		vput(type, cpu_ptr(a->dx), t * c + i, dy, c - i);
	}
}

static void
scale_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_scale_bwd *a = job->args;
	float *dw = job->tmp == NULL ? NULL : (float *)job->tmp + task * a->f.c;

	(void)member;
	for (int64_t i = 0; dw != NULL && i < a->f.c; i++)
		dw[i] = 0;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) scale_bwd_row(type, a, t, dw)
		EACH_TYPE(a->f.type, CALL);
#undef CALL
	}
	/* What is not of w is of each column's whole sum. */
	for (int64_t i = 0; dw != NULL && i < a->f.c; i++)
		dw[i] *= (float)a->f.alpha * (a->f.r.at != 0 ? cpu_f32(a->f.r)[i] : 1);
}

void
OF_ISA(k_scale_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_scale_bwd *a = &args->scale_bwd;
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, a->f.t),
		.step = CHUNK_ROWS };
	int64_t chunks = (job.n + CHUNK_ROWS - 1) / CHUNK_ROWS;

	if (job.n <= 0)
		return;
	if (a->dw.at != 0) {
		job.tmp = cpu_scratch(c, chunks * a->f.c * (int64_t)sizeof(float));
		if (job.tmp == NULL)
			return;
	}
	cpu_run(&job, 3 * a->f.c / VW, scale_bwd_task);
	if (a->dw.at != 0)
		OF_ISA(add_chunks)(c, cpu_f32(a->dw), job.tmp, chunks, a->f.c, a->f.c);
}
