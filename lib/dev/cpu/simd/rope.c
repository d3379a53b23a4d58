/* Rotary positions. */
#include <string.h>

#include "dev/cpu/simd/simd.h"

enum { ROPE_MOST = 1024 };	/* elements of a head, where they change places */

/* One head, at the elements `from' of x and `to' of y. */
INLINE void
turn_halves(dtype type, void *y, int64_t to, const void *x, int64_t from, const float *cs,
    float sign, int64_t half)
{
	for (int64_t i = 0; i < half; i += VW) {
		int64_t n = half - i;
		vf a = vget(type, x, from + i, n), b = vget(type, x, from + half + i, n);
		vf c = vload_to(cs + i, n), s = vload_to(cs + half + i, n) * sign;

		vput(type, y, to + i, a * c - b * s, n);
		vput(type, y, to + half + i, a * s + b * c, n);
	}
}

/* Pairs in two vectors become their first and their second elements; and back. */
#define SHUFFLE __builtin_shufflevector
#if VW == 16
#define FIRST 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define SECOND 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VW == 8
#define FIRST 0, 2, 4, 6, 8, 10, 12, 14
#define SECOND 1, 3, 5, 7, 9, 11, 13, 15
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define FIRST 0, 2, 4, 6
#define SECOND 1, 3, 5, 7
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif

INLINE void
turn_pairs(dtype type, void *y, int64_t to, const void *x, int64_t from, const float *cs,
    float sign, int64_t half)
{
	for (int64_t i = 0; i < half; i += VW) {
		int64_t n = half - i, more = 2 * n - VW;
		vf u = vget(type, x, from + 2 * i, 2 * n);
		vf v = more > 0 ? vget(type, x, from + 2 * i + VW, more) : (vf){ 0 };
		vf a = SHUFFLE(u, v, FIRST), b = SHUFFLE(u, v, SECOND);
		vf c = vload_to(cs + i, n), s = vload_to(cs + half + i, n) * sign;

		u = a * c - b * s;
		v = a * s + b * c;
		vput(type, y, to + 2 * i, SHUFFLE(u, v, LOW), 2 * n);
		if (more > 0)
			vput(type, y, to + 2 * i + VW, SHUFFLE(u, v, HIGH), more);
	}
}

/* From pairs to halves, or back; a head at once, for y may be x. */
INLINE void
turn_to_halves(dtype type, void *y, int64_t to, const void *x, int64_t from, const float *cs,
    float sign, int64_t half)
{
	float all[ROPE_MOST], first[ROPE_MOST / 2], second[ROPE_MOST / 2];
	bool back = sign < 0;

	for (int64_t i = 0; i < 2 * half; i += VW)
		vstore_to(all + i, vget(type, x, from + i, 2 * half - i), 2 * half - i);
	for (int64_t i = 0; i < half; i++) {
		first[i] = all[back ? i : 2 * i];
		second[i] = all[back ? half + i : 2 * i + 1];
	}
	for (int64_t i = 0; i < half; i += VW) {
		int64_t n = half - i;
		vf a = vload_to(first + i, n), b = vload_to(second + i, n);
		vf c = vload_to(cs + i, n), s = vload_to(cs + half + i, n) * sign;

		vstore_to(first + i, a * c - b * s, n);
		vstore_to(second + i, a * s + b * c, n);
	}
	for (int64_t i = 0; i < half; i++) {
		all[back ? 2 * i : i] = first[i];
		all[back ? 2 * i + 1 : half + i] = second[i];
	}
	for (int64_t i = 0; i < 2 * half; i += VW)
		vput(type, y, to + i, vload_to(all + i, 2 * half - i), 2 * half - i);
}

INLINE void
turn_row(dtype type, const struct k_rope *a, int64_t t)
{
	int64_t row = a->pos.at != 0 ? cpu_i32(a->pos)[t] : t;
	const float *cs = cpu_f32(a->table) + row * a->rot;
	const void *x = cpu_ptr(a->x);
	void *y = cpu_ptr(a->y);
	int64_t half = a->rot / 2, size = dtype_size(type);
	float sign = a->inverse ? -1 : 1;

	for (int64_t h = 0; h < a->heads; h++) {
		int64_t from = t * a->ldx + h * a->d, to = t * a->ldy + h * a->d;

		if (a->to_halves)
			turn_to_halves(type, y, to, x, from, cs, sign, half);
		else if (a->interleaved)
			turn_pairs(type, y, to, x, from, cs, sign, half);
		else
			turn_halves(type, y, to, x, from, cs, sign, half);
		if (y != x && a->rot < a->d)
			memcpy((char *)y + (to + a->rot) * size,
			    (const char *)x + (from + a->rot) * size,
			    (size_t)((a->d - a->rot) * size));
	}
}

static void
rope_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_rope *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(type) turn_row(type, a, t)
		EACH_TYPE(a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_rope)(struct cpu *c, const union dev_args *args)
{
	const struct k_rope *a = &args->rope;
	struct cpu_job job = { .c = c, .args = args, .n = cpu_count(c, a->t) };

	for (int64_t t = 0; t < job.n && a->pos.at != 0; t++)
		if (cpu_i32(a->pos)[t] < 0 || cpu_i32(a->pos)[t] >= a->positions) {
			cpu_fail(c, ERR_ARG, "position %d at row %lld is outside 0..%lld",
			    cpu_i32(a->pos)[t], (long long)t, (long long)a->positions - 1);
			return;
		}
	cpu_run(&job, 2 * a->heads * a->d / VW, rope_task);
}
