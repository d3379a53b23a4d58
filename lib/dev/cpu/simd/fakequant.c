/* Matrices as blocks give them back.  base/quant chooses its instruction set itself. */
#include "base/quant.h"
#include "dev/cpu/simd/simd.h"

static void
fake_quant_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_fake_quant *a = job->args;
	const int block = dtype_block(a->blocks);
	char stored[2 * QUANT_BLOCK_MAX];

	(void)member;
	for (int64_t i = cpu_from(job, task) * a->c; i < cpu_to(job, task) * a->c; i += block) {
		quant_encode(a->blocks, stored, cpu_f32(a->x) + i, block, NULL);
		quant_decode(a->blocks, cpu_f32(a->y) + i, stored, block);
	}
}

void
OF_ISA(k_fake_quant)(struct cpu *c, const union dev_args *args)
{
	struct cpu_job job = { .c = c, .args = args, .n = args->fake_quant.rows };

	cpu_run(&job, 16 * args->fake_quant.c / VW, fake_quant_task);
}
