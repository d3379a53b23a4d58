/* The Walsh-Hadamard transform of parts of rows: sums and differences, log2 n times. */
#include <math.h>

#include "dev/cpu/simd/simd.h"

static void
transform(float *x, int64_t n, float scale)
{
	/* Within a vector: the upper one of two lanes is subtracted. */
	for (int64_t i = 0; i < n; i += VW) {
		vf v = vload(x + i) * scale;

		UNROLL
		for (int h = 1; h < VW; h *= 2)
			v = vswap(v, h) + vsel((viota() & h) != 0, -v, v);
		vstore(x + i, v);
	}
	for (int64_t h = VW; h < n; h *= 2)
		for (int64_t i = 0; i < n; i += VW) {
			vf a, b;

			if (i & h)
				continue;
			a = vload(x + i);
			b = vload(x + i + h);
			vstore(x + i, a + b);
			vstore(x + i + h, a - b);
		}
}

static void
transform_short(float *x, int64_t n, float scale)
{
	for (int64_t i = 0; i < n; i++)
		x[i] *= scale;
	for (int64_t h = 1; h < n; h *= 2)
		for (int64_t i = 0; i < n; i++)
			if (!(i & h)) {
				float a = x[i], b = x[i + h];

				x[i] = a + b;
				x[i + h] = a - b;
			}
}

static void
hadamard_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_hadamard *a = job->args;
	int64_t size = dtype_size(a->type);
	float scale = 1 / sqrtf((float)a->n), x[HADAMARD_MAX];

	(void)member;
	for (int64_t i = cpu_from(job, task); i < cpu_to(job, task); i++) {
		OF_ISA(convert)(x, DTYPE_F32, (char *)cpu_ptr(a->x) + i * a->n * size, a->type,
		    a->n);
		(a->n < VW ? transform_short : transform)(x, a->n, scale);
		OF_ISA(convert)((char *)cpu_ptr(a->y) + i * a->n * size, a->type, x, DTYPE_F32,
		    a->n);
	}
}

void
OF_ISA(k_hadamard)(struct cpu *c, const union dev_args *args)
{
	const struct k_hadamard *a = &args->hadamard;
	int64_t rows = cpu_count(c, a->t);
	struct cpu_job job = { .c = c, .args = a, .n = rows * (a->c / a->n) };

	if (rows > 0)
		cpu_run(&job, a->n / VW * 8, hadamard_task);
}
