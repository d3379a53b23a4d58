/* Sums to one double: partial sums of blocks of 4096, added in order. */
#include "dev/cpu/simd/simd.h"

enum { BLOCK = 4096, LANES = 16 };

struct sum {
	const float	*a, *b;		/* b NULL: the sum of a */
	double		*part;
	int64_t		 n;
};

/* In LANES lanes, which are added at the end. */
static double
block_sum(const float *a, const float *b, int64_t n)
{
	double lane[LANES] = { 0 }, sum = 0;
	int64_t i = 0;

	if (b == NULL) {
		for (; i + LANES <= n; i += LANES)
			for (int j = 0; j < LANES; j++)
				lane[j] += (double)a[i + j];
	} else {
		for (; i + LANES <= n; i += LANES)
			for (int j = 0; j < LANES; j++)
				lane[j] += (double)a[i + j] * (double)b[i + j];
	}
	for (int j = 0; i < n; i++, j++)
		lane[j] += (double)a[i] * (b == NULL ? 1 : (double)b[i]);
	for (int j = 0; j < LANES; j++)
		sum += lane[j];
	return sum;
}

static void
sum_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct sum *s = job->args;

	(void)member;
	for (int64_t k = cpu_from(job, task); k < cpu_to(job, task); k++) {
		int64_t at = k * BLOCK, n = s->n - at < BLOCK ? s->n - at : BLOCK;

		s->part[k] = block_sum(s->a + at, s->b == NULL ? NULL : s->b + at, n);
	}
}

static void
sum_into(struct cpu *c, struct sum *s, double *out, bool add)
{
	struct cpu_job job = { .c = c, .args = s, .n = (s->n + BLOCK - 1) / BLOCK };
	double total = add ? *out : 0;

	if (job.n > 0) {
		s->part = cpu_scratch(c, job.n * (int64_t)sizeof(double));
		if (s->part == NULL)
			return;
		cpu_run(&job, BLOCK / VW, sum_task);
		for (int64_t k = 0; k < job.n; k++)
			total += s->part[k];
	}
	*out = total;
}

void
OF_ISA(k_dot)(struct cpu *c, const union dev_args *args)
{
	const struct k_dot *a = &args->dot;
	struct sum s = { cpu_f32(a->a), cpu_f32(a->b), NULL, cpu_count(c, a->n) };

	if (s.n >= 0)
		sum_into(c, &s, cpu_ptr(a->out), a->add);
}

void
OF_ISA(k_sumsq)(struct cpu *c, const union dev_args *args)
{
	const struct k_sumsq *a = &args->sumsq;
	struct sum s = { cpu_f32(a->x), cpu_f32(a->x), NULL, a->n };

	sum_into(c, &s, cpu_ptr(a->out), true);
}
