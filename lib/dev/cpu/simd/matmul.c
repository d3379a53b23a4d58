/* Matrix products: one chain of multiply-adds for each element, in order of k. */
#include "dev/cpu/simd/simd.h"

static void
matmul_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_matmul *a = job->args;
	int64_t k = *(int64_t *)job->tmp;
	const float *x = cpu_f32(a->a), *y = cpu_f32(a->b), *bias = cpu_f32(a->bias);

	(void)member;
	for (int64_t i = cpu_from(job, task); i < cpu_to(job, task); i++)
		for (int64_t j = 0; j < a->n; j++) {
			float *c = cpu_f32(a->c) + i * a->ldc + j, s = 0;

			for (int64_t l = 0; l < k; l++)
				s += (a->ta ? x[l * a->lda + i] : x[i * a->lda + l]) *
				    (a->tb ? y[j * a->ldb + l] : y[l * a->ldb + j]);
			s *= (float)a->alpha;
			*c = s + (a->add ? *c : 0) + (bias != NULL ? bias[j] : 0);
		}
}

void
OF_ISA(k_matmul)(struct cpu *c, const union dev_args *args)
{
	const struct k_matmul *a = &args->matmul;
	int64_t k = cpu_count(c, a->k);
	struct cpu_job job = { .c = c, .args = args, .tmp = &k, .n = cpu_count(c, a->m) };

	if (k >= 0)
		cpu_run(&job, a->n * k, matmul_task);
}
