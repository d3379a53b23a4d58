/* Elementwise work: fill, copy, cast, add, axpby, dropout. */
#include <string.h>

#include "base/rng.h"
#include "dev/cpu/simd/simd.h"

static void
fill_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_fill *a = job->args;
	int64_t from = cpu_from(job, task), n = cpu_to(job, task) - from;
	int64_t size = dtype_size(a->type);
	char *p = (char *)cpu_ptr(a->y) + from * size;
	int32_t value = (int32_t)a->value;

	(void)member;
	if (a->value == 0) {
		memset(p, 0, (size_t)(n * size));
		return;
	}
	if (a->type == DTYPE_I32)
		memcpy(p, &value, sizeof(value));
	else
		dtype_convert(p, a->type, &a->value, DTYPE_F64, 1);
	for (int64_t done = 1; done < n; done *= 2)
		memcpy(p + done * size, p, (size_t)((done < n - done ? done : n - done) * size));
}

void
OF_ISA(k_fill)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = a->fill.n, .step = 65536 };

	cpu_run(&job, 1, fill_task);
}

static void
copy_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_copy *a = job->args;
	int64_t from = cpu_from(job, task), n = cpu_to(job, task) - from;

	(void)member;
	memcpy((char *)cpu_ptr(a->y) + from, (char *)cpu_ptr(a->x) + from, (size_t)n);
}

void
OF_ISA(k_copy)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = a->copy.bytes, .step = 1 << 18 };

	cpu_run(&job, 1, copy_task);
}

INLINE void
convert_as(dtype to_type, dtype from_type, void *to, const void *from, int64_t n)
{
	for (int64_t i = 0; i < n; i += VW)
		vput(to_type, to, i, vget(from_type, from, i, n - i), n - i);
}

void
OF_ISA(convert)(void *to, dtype to_type, const void *from, dtype from_type, int64_t n)
{
	if (to_type == from_type || to_type == DTYPE_F64 || from_type == DTYPE_F64) {
		dtype_convert(to, to_type, from, from_type, n);
		return;
	}
#define FROM_BF16(to_type) convert_as(to_type, DTYPE_BF16, to, from, n)
#define FROM_F16(to_type) convert_as(to_type, DTYPE_F16, to, from, n)
#define FROM_F32(to_type) convert_as(to_type, DTYPE_F32, to, from, n)
	if (from_type == DTYPE_BF16)
		EACH_TYPE(to_type, FROM_BF16);
	else if (from_type == DTYPE_F16)
		EACH_TYPE(to_type, FROM_F16);
	else
		EACH_TYPE(to_type, FROM_F32);
#undef FROM_BF16
#undef FROM_F16
#undef FROM_F32
}

static void
cast_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_cast *a = job->args;
	int64_t from = cpu_from(job, task), n = cpu_to(job, task) - from;

	(void)member;
	OF_ISA(convert)((char *)cpu_ptr(a->y) + from * dtype_size(a->y_type), a->y_type,
	    (char *)cpu_ptr(a->x) + from * dtype_size(a->x_type), a->x_type, n);
}

void
OF_ISA(k_cast)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = a->cast.n, .step = 16384 };

	cpu_run(&job, 1, cast_task);
}

INLINE void
add_rows(dtype type, const struct k_add *a, int64_t from, int64_t to)
{
	const void *x = cpu_ptr(a->a), *b = cpu_ptr(a->b);
	void *y = cpu_ptr(a->y);
	int64_t c = a->c;

	if (!a->b_row) {
		for (int64_t i = from * c; i < to * c; i += VW)
			vput(type, y, i, vget(type, x, i, to * c - i) +
			    vget(type, b, i, to * c - i), to * c - i);
		return;
	}
	for (int64_t at = from * c; at < to * c; at += c)
		for (int64_t i = 0; i < c; i += VW)
			vput(type, y, at + i, vget(type, x, at + i, c - i) +
			    vget(DTYPE_F32, b, i, c - i), c - i);
}

static void
add_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_add *a = job->args;

	(void)member;
#define CALL(type) add_rows(type, a, cpu_from(job, task), cpu_to(job, task))
	EACH_TYPE(a->type, CALL);
#undef CALL
}

void
OF_ISA(k_add)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->add.t) };

	cpu_run(&job, a->add.c / VW, add_task);
}

INLINE void
axpby(dtype type, const struct k_axpby *a, int64_t from, int64_t to)
{
	const void *x = cpu_ptr(a->x);
	void *y = cpu_ptr(a->y);
	float alpha = (float)a->alpha, beta = (float)a->beta;

	for (int64_t i = from; i < to; i += VW) {
		vf r = alpha * vget(type, x, i, to - i);

		if (beta != 0)
			r += beta * vget(type, y, i, to - i);
		vput(type, y, i, r, to - i);
	}
}

static void
axpby_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_axpby *a = job->args;

	(void)member;
#define CALL(type) axpby(type, a, cpu_from(job, task), cpu_to(job, task))
	EACH_TYPE(a->type, CALL);
#undef CALL
}

void
OF_ISA(k_axpby)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = a->axpby.n, .step = 32768 };

	cpu_run(&job, 1, axpby_task);
}

/* dropout_bits() of i, i + 1 ... */
INLINE vi
keep_bits(uint64_t key, int64_t i)
{
	vu x = (vu)viota() + (uint32_t)i;

	for (int round = 0; round < 2; round++, key >>= 32) {
		x += (uint32_t)key;
		x = (x ^ x >> 16) * 0x7feb352du;
		x = (x ^ x >> 15) * 0x846ca68bu;
		x ^= x >> 16;
	}
	return (vi)(x >> 1);
}

INLINE void
dropout(dtype type, const struct k_dropout *a, uint64_t key, int64_t from, int64_t to)
{
	float scale = (float)(1 / (1 - a->p));
	double least = a->p * 0x1p31 < INT32_MAX ? a->p * 0x1p31 : INT32_MAX;
	/* Bits below it drop: rounded up, as a comparison with p 2^31 itself would. */
	int32_t limit = (int32_t)least + ((double)(int32_t)least < least);

	for (int64_t i = from; i < to; i += VW) {
		vf x = vget(type, cpu_ptr(a->x), i, to - i) * scale;

		x = vsel(keep_bits(key, i) >= limit, x, (vf){ 0 });
		if (a->add)
			x += vget(type, cpu_ptr(a->y), i, to - i);
		vput(type, cpu_ptr(a->y), i, x, to - i);
	}
}

static void
dropout_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_dropout *a = job->args;
	uint64_t key = rng_u64(a->seed, a->op, (uint64_t)*(const int64_t *)cpu_ptr(a->step));
	int64_t from = cpu_from(job, task) * a->c, to = cpu_to(job, task) * a->c;

	(void)member;
#define CALL(type) dropout(type, a, key, from, to)
	EACH_TYPE(a->type, CALL);
#undef CALL
}

void
OF_ISA(k_dropout)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->dropout.t) };

	cpu_run(&job, 4 * a->dropout.c / VW, dropout_task);
}
