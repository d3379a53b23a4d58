/*
 * The updates of AdamW and Lion, the moving average of weights.  A span at a
 * time, so that gradient, moments and parameter pass through the cache once.
 */
#include <math.h>

#include "dev/cpu/simd/moment.h"

enum { STEP = 64 * MOMENT_BLOCK };	/* elements of a task */

/* What is the same for every element of one update. */
struct update {
	float	scale, b1, b2, lr1, rsqrt_c2, eps, keep;
	struct moment_how first, second;
};

INLINE vf
adamw(const struct update *u, vf p, vf g, vf *m, vf *v)
{
	vf d = g * u->scale;

	*m = u->b1 * *m + (1 - u->b1) * d;
	*v = u->b2 * *v + (1 - u->b2) * d * d;
	return u->keep * p - u->lr1 * *m / (vsqrt(*v) * u->rsqrt_c2 + u->eps);
}

static void
adamw_span(const struct update *u, float *p, const float *g, float *m, float *v, int64_t n)
{
	for (int64_t i = 0; i < n; i += VW) {
		vf first = vload_to(m + i, n - i), second = vload_to(v + i, n - i);
		vf x = vload_to(p + i, n - i);

		vstore_to(p + i, adamw(u, x, vload_to(g + i, n - i), &first, &second), n - i);
		vstore_to(m + i, first, n - i);
		vstore_to(v + i, second, n - i);
	}
}

/* Moments in bf16 take no buffer, and one number rounds both; elements from `at' on. */
static void
adamw_bf16_span(const struct update *u, float *p, const float *g, uint16_t *m, uint16_t *v,
    int64_t at, int64_t n)
{
	for (int64_t i = 0; i < n; i += VW) {
		vf first = vget(DTYPE_BF16, m, i, n - i), second = vget(DTYPE_BF16, v, i, n - i);
		vf x = vload_to(p + i, n - i);
		vu noise = bf16_noise(u->first.key, at + i);

		vstore_to(p + i, adamw(u, x, vload_to(g + i, n - i), &first, &second), n - i);
		bf16_put(m + i, first, n - i, noise, FIRST);
		bf16_put(v + i, second, n - i, noise, SECOND);
	}
}

static void
adamw_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_adamw *a = job->args;
	const struct update *u = job->tmp;
	float m_buf[MOMENT_BLOCK], v_buf[MOMENT_BLOCK], *p = cpu_f32(a->p);
	const float *g = cpu_f32(a->g);
	int64_t to = cpu_to(job, task);

	(void)member;
	for (int64_t i = cpu_from(job, task); i < to; i += MOMENT_BLOCK) {
		int64_t n = to - i < MOMENT_BLOCK ? to - i : MOMENT_BLOCK;

		if (a->moments == DTYPE_BF16) {
			adamw_bf16_span(u, p + i, g + i, (uint16_t *)cpu_ptr(a->m.at) + i,
			    (uint16_t *)cpu_ptr(a->v.at) + i, i, n);
		} else {
			float *m = moment_get(&u->first, &a->m, i, n, m_buf);
			float *v = moment_get(&u->second, &a->v, i, n, v_buf);

			adamw_span(u, p + i, g + i, m, v, n);
			moment_put(&u->first, &a->m, i, n, m);
			moment_put(&u->second, &a->v, i, n, v);
		}
		copy_out(a->p_out, a->p_type, p, i, n);
	}
	vstream_end();
}

void
OF_ISA(k_adamw)(struct cpu *c, const union dev_args *args)
{
	const struct k_adamw *a = &args->adamw;
	const struct dev_step *s = cpu_ptr(a->step);
	double lr = s->lr * a->lr_scale, t = (double)s->step;
	struct update u = {
		.scale = (float)s->scale, .b1 = (float)a->beta1, .b2 = (float)a->beta2,
		.lr1 = (float)(lr / (1 - pow(a->beta1, t))),
		.rsqrt_c2 = (float)(1 / sqrt(1 - pow(a->beta2, t))),
		.eps = (float)a->eps, .keep = (float)(1 - lr * a->decay),
		.first = { a->moments, FIRST, moment_key(a->key, s->step) },
		.second = { a->moments, SECOND, moment_key(a->key, s->step) },
	};
	struct cpu_job job = { .c = c, .args = args, .tmp = &u, .n = a->n, .step = STEP };

	if (s->skip == 0)
		cpu_run(&job, 2, adamw_task);
}

static void
lion_span(const struct update *u, float *p, const float *g, float *m, int64_t n)
{
	const vi one = (vi)vset(1);

	for (int64_t i = 0; i < n; i += VW) {
		vf d = vload_to(g + i, n - i) * u->scale, was = vload_to(m + i, n - i);
		vf way = u->b1 * was + (1 - u->b1) * d;
		vf sign = (vf)((one | ((vi)way & INT32_MIN)) & (vi)(way != 0));

		vstore_to(m + i, u->b2 * was + (1 - u->b2) * d, n - i);
		vstore_to(p + i, u->keep * vload_to(p + i, n - i) - u->lr1 * sign, n - i);
	}
}

static void
lion_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_lion *a = job->args;
	const struct update *u = job->tmp;
	float buf[MOMENT_BLOCK], *p = cpu_f32(a->p);
	const float *g = cpu_f32(a->g);
	int64_t to = cpu_to(job, task);

	(void)member;
	for (int64_t i = cpu_from(job, task); i < to; i += MOMENT_BLOCK) {
		int64_t n = to - i < MOMENT_BLOCK ? to - i : MOMENT_BLOCK;
		float *m = moment_get(&u->first, &a->m, i, n, buf);

		lion_span(u, p + i, g + i, m, n);
		moment_put(&u->first, &a->m, i, n, m);
		copy_out(a->p_out, a->p_type, p, i, n);
	}
	vstream_end();
}

void
OF_ISA(k_lion)(struct cpu *c, const union dev_args *args)
{
	const struct k_lion *a = &args->lion;
	const struct dev_step *s = cpu_ptr(a->step);
	double lr = s->lr * a->lr_scale;
	struct update u = {
		.scale = (float)s->scale, .b1 = (float)a->beta1, .b2 = (float)a->beta2,
		.lr1 = (float)lr, .keep = (float)(1 - lr * a->decay),
		.first = { a->moments, FIRST, moment_key(a->key, s->step) },
	};
	struct cpu_job job = { .c = c, .args = args, .tmp = &u, .n = a->n, .step = STEP };

	if (s->skip == 0)
		cpu_run(&job, 2, lion_task);
}

static void
ema_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_ema *a = job->args;
	const struct dev_step *s = cpu_ptr(a->step);
	double t = (double)s->step;
	float d = (float)fmin(a->decay, (1 + t) / (10 + t)), *y = cpu_f32(a->y);
	const float *x = cpu_f32(a->x);
	int64_t to = cpu_to(job, task);

	(void)member;
	for (int64_t i = cpu_from(job, task); i < to; i += VW)
		vstore_to(y + i, d * vload_to(y + i, to - i) + (1 - d) * vload_to(x + i, to - i),
		    to - i);
}

void
OF_ISA(k_ema)(struct cpu *c, const union dev_args *args)
{
	const struct dev_step *s = cpu_ptr(args->ema.step);
	struct cpu_job job = { .c = c, .args = args, .n = args->ema.n, .step = STEP };

	if (s->skip == 0)
		cpu_run(&job, 1, ema_task);
}

static void
swap_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_swap *a = job->args;
	float *x = cpu_f32(a->a), *y = cpu_f32(a->b);
	int64_t from = cpu_from(job, task), to = cpu_to(job, task);

	(void)member;
	for (int64_t i = from; i < to; i++) {
		float was = x[i];

		x[i] = y[i];
		y[i] = was;
	}
	copy_out(a->p_out, a->p_type, x, from, to - from);
	vstream_end();
}

void
OF_ISA(k_swap)(struct cpu *c, const union dev_args *args)
{
	struct cpu_job job = { .c = c, .args = args, .n = args->swap.n, .step = STEP };

	cpu_run(&job, 1, swap_task);
}
