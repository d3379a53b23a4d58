/* Rows of experts back to tokens, and columns of rows. */
#include "dev/cpu/simd/simd.h"

static bool
rows_ok(struct cpu *c, const int32_t *row, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (row[i] < 0 || row[i] >= n) {
			cpu_fail(c, ERR_ARG, "row %d of assignment %lld is outside 0..%lld",
			    row[i], (long long)i, (long long)n - 1);
			return false;
		}
	return true;
}

INLINE void
combine_row(dtype type, const struct k_combine *a, int64_t t)
{
	const int32_t *row = cpu_i32(a->row) + t * a->top;
	const float *w = a->weight.at != 0 ? cpu_f32(a->weight) + t * a->top : NULL;
	const void *x = cpu_ptr(a->x);
	void *y = cpu_ptr(a->y);
	int64_t c = a->c;

	for (int64_t i = 0; i < c; i += VW) {
		vf s = { 0 };

		for (int64_t j = 0; j < a->top; j++)
			s = vfma(vset(w != NULL ? w[j] : 1), vget(type, x, row[j] * c + i, c - i),
			    s);
		if (a->add)
			s += vget(type, y, t * c + i, c - i);
		vput(type, y, t * c + i, s, c - i);
	}
}

static void
combine_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_combine *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) combine_row(type, a, t)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_combine)(struct cpu *c, const union dev_args *args)
{
	const struct k_combine *a = &args->combine;
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->t) };

	if (job.n > 0 && rows_ok(c, cpu_i32(a->row), job.n * a->top))
		cpu_run(&job, a->top * a->c / VW, combine_task);
}

INLINE void
combine_bwd_row(dtype type, const struct k_combine_bwd *a, int64_t at)
{
	int64_t c = a->c, dy = at / a->top * c, row = cpu_i32(a->row)[at] * c;
	float w = cpu_f32(a->weight)[at];
	vf s = { 0 };

	for (int64_t i = 0; i < c; i += VW) {
		vf d = vget(type, cpu_ptr(a->dy), dy + i, c - i);

		s = vfma(d, vget(type, cpu_ptr(a->x), row + i, c - i), s);
		vput(type, cpu_ptr(a->dx), row + i, d * w, c - i);
	}
	if (a->dweight.at != 0)
		cpu_f32(a->dweight)[at] = vsum(s);
}

static void
combine_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_combine_bwd *a = job->args;

	(void)member;
	for (int64_t at = cpu_from(job, task) * a->top; at < cpu_to(job, task) * a->top; at++) {
#define CALL(type) combine_bwd_row(type, a, at)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_combine_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_combine_bwd *a = &args->combine_bwd;
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->t) };

	if (job.n > 0 && rows_ok(c, cpu_i32(a->row), job.n * a->top))
		cpu_run(&job, 2 * a->top * a->c / VW, combine_bwd_task);
}

/* Head h of token t; where heads add up, all of them. */
INLINE void
slice_head(dtype type, const struct k_slice *a, int64_t t, int64_t h)
{
	int64_t x = t * a->ldx + h * a->stepx, y = t * a->ldy + h * a->stepy;
	int64_t sum = a->stepy == 0 ? a->heads : 1;

	for (int64_t i = 0; i < a->c; i += VW) {
		vf v = vget(type, cpu_ptr(a->x), x + i, a->c - i);

		for (int64_t k = 1; k < sum; k++)
			v += vget(type, cpu_ptr(a->x), x + k * a->stepx + i, a->c - i);
		if (a->add)
			v += vget(type, cpu_ptr(a->y), y + i, a->c - i);
		vput(type, cpu_ptr(a->y), y + i, v, a->c - i);
	}
}

static void
slice_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_slice *a = job->args;
	int64_t heads = a->stepy == 0 ? 1 : a->heads;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++)
		for (int64_t h = 0; h < heads; h++) {
#define CALL(type) slice_head(type, a, t, h)
			EACH_TYPE(a->type, CALL);
#undef CALL
		}
}

void
OF_ISA(k_slice)(struct cpu *c, const union dev_args *args)
{
	const struct k_slice *a = &args->slice;
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->t) };

	cpu_run(&job, a->heads * (1 + a->c / VW), slice_task);
}
