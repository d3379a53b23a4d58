/* Rotary positions. */
#include <string.h>

#include "dev/cpu/simd/simd.h"

static void
turn_halves(float *y, const float *x, const float *cs, const float *sn, float sign, int64_t half)
{
	for (int64_t i = 0; i < half; i += VW) {
		int64_t n = half - i;
		vf a = vload_to(x + i, n), b = vload_to(x + half + i, n);
		vf c = vload_to(cs + i, n), s = vload_to(sn + i, n) * sign;

		vstore_to(y + i, a * c - b * s, n);
		vstore_to(y + half + i, a * s + b * c, n);
	}
}

static void
turn_pairs(float *y, const float *x, const float *cs, const float *sn, float sign, int64_t half)
{
	for (int64_t i = 0; i < half; i++) {
		float a = x[2 * i], b = x[2 * i + 1], s = sn[i] * sign;

		y[2 * i] = a * cs[i] - b * s;
		y[2 * i + 1] = a * s + b * cs[i];
	}
}

static void
rope_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_rope *a = job->args;
	int64_t half = a->rot / 2;
	float sign = a->inverse ? -1 : 1;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		const float *cs = cpu_f32(a->table) + cpu_i32(a->pos)[t] * a->rot;

		for (int64_t h = 0; h < a->heads; h++) {
			const float *x = cpu_f32(a->x) + t * a->ldx + h * a->d;
			float *y = cpu_f32(a->y) + t * a->ldy + h * a->d;

			if (a->interleaved)
				turn_pairs(y, x, cs, cs + half, sign, half);
			else
				turn_halves(y, x, cs, cs + half, sign, half);
			if (y != x && a->rot < a->d)
				memcpy(y + a->rot, x + a->rot,
				    (size_t)(a->d - a->rot) * sizeof(*y));
		}
	}
}

void
OF_ISA(k_rope)(struct cpu *c, const union dev_args *args)
{
	const struct k_rope *a = &args->rope;
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, a->t) };

	for (int64_t t = 0; t < job.n; t++)
		if (cpu_i32(a->pos)[t] < 0 || cpu_i32(a->pos)[t] >= a->positions) {
			cpu_fail(c, ERR_ARG, "position %d at row %lld is outside 0..%lld",
			    cpu_i32(a->pos)[t], (long long)t, (long long)a->positions - 1);
			return;
		}
	cpu_run(&job, 2 * a->heads * a->d / VW, rope_task);
}
