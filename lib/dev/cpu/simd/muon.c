/* What Muon needs beside matrix products: momentum, scaling to norm one, the update. */
#include <math.h>

#include "dev/cpu/simd/moment.h"

enum { STEP = 64 * MOMENT_BLOCK };

static void
momentum_span(const struct k_momentum *a, float scale, float *y, const float *g, float *m,
    int64_t n)
{
	float beta = (float)a->beta;

	for (int64_t i = 0; i < n; i += VW) {
		vf d = vload_to(g + i, n - i) * scale;
		vf mean = beta * vload_to(m + i, n - i) + (1 - beta) * d;

		vstore_to(m + i, mean, n - i);
		vstore_to(y + i, beta * mean + (1 - beta) * d, n - i);
	}
}

static void
momentum_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_momentum *a = job->args;
	const struct dev_step *s = cpu_ptr(a->step);
	struct moment_how how = { a->moments, FIRST, moment_key(a->key, s->step) };
	const float *g = cpu_f32(a->g);
	float buf[MOMENT_BLOCK], *y = cpu_f32(a->y);
	int64_t from = cpu_from(job, task), to = cpu_to(job, task);

	(void)member;
	if (s->skip != 0) {
		memset(y + from, 0, (size_t)(to - from) * sizeof(*y));
		return;
	}
	for (int64_t i = from; i < to; i += MOMENT_BLOCK) {
		int64_t n = to - i < MOMENT_BLOCK ? to - i : MOMENT_BLOCK;
		float *m = moment_get(&how, &a->m, i, n, buf);

		momentum_span(a, (float)s->scale, y + i, g + i, m, n);
		moment_put(&how, &a->m, i, n, m);
	}
}

void
OF_ISA(k_momentum)(struct cpu *c, const union dev_args *args)
{
	struct cpu_job job = { .c = c, .args = args, .n = args->momentum.n, .step = STEP };

	cpu_run(&job, 1, momentum_task);
}

static void
normalize_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_normalize *a = job->args;
	const double *sumsq = cpu_ptr(a->sumsq);
	const float *x = cpu_f32(a->x);
	float *y = cpu_f32(a->y), scale = (float)(1 / (sqrt(*sumsq) + a->eps));
	int64_t to = cpu_to(job, task);

	(void)member;
	for (int64_t i = cpu_from(job, task); i < to; i += VW)
		vstore_to(y + i, vload_to(x + i, to - i) * scale, to - i);
}

void
OF_ISA(k_normalize)(struct cpu *c, const union dev_args *args)
{
	struct cpu_job job = { .c = c, .args = args, .n = args->normalize.n, .step = STEP };

	cpu_run(&job, 1, normalize_task);
}

static void
update_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_update *a = job->args;
	const struct dev_step *s = cpu_ptr(a->step);
	const float *x = cpu_f32(a->x);
	float *p = cpu_f32(a->p);
	float keep = (float)(1 - s->lr * a->decay), rate = (float)(s->lr * a->lr_scale);
	int64_t from = cpu_from(job, task), to = cpu_to(job, task);

	(void)member;
	for (int64_t i = from; i < to; i += VW)
		vstore_to(p + i, keep * vload_to(p + i, to - i) - rate * vload_to(x + i, to - i),
		    to - i);
	copy_out(a->p_out, a->p_type, p, from, to - from);
	vstream_end();
}

void
OF_ISA(k_update)(struct cpu *c, const union dev_args *args)
{
	const struct dev_step *s = cpu_ptr(args->update.step);
	struct cpu_job job = { .c = c, .args = args, .n = args->update.n, .step = STEP };

	if (s->skip == 0)
		cpu_run(&job, 1, update_task);
}
