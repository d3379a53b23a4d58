/* Sums to one double: partial sums of blocks of 4096, added in order. */
#include "dev/cpu/simd/simd.h"

enum { BLOCK = 4096, WAYS = 16 / VW };

struct sum {
	const void	*a, *b;		/* b NULL: the sum of a */
	dtype		 type;
	double		*part;
	int64_t		 n;
};

/* Elements [from, to), in 16 lanes that are added at the end. */
INLINE double
block_sum(dtype type, const void *a, const void *b, int64_t from, int64_t to)
{
	vd lane[WAYS][2] = { { { 0 }, { 0 } } };
	double sum = 0;
	int64_t i = from;

	for (; i + VW * WAYS <= to; i += VW * WAYS)
		UNROLL
		for (int w = 0; w < WAYS; w++) {
			vf x = vget(type, a, i + w * VW, VW);
			vf y = b == NULL ? vset(1) : vget(type, b, i + w * VW, VW);

			lane[w][0] += vlow(x) * vlow(y);
			lane[w][1] += vhigh(x) * vhigh(y);
		}
	for (int w = 0; i < to; i += VW, w++) {
		vf x = vget(type, a, i, to - i);
		vf y = b == NULL ? vset(1) : vget(type, b, i, to - i);

		lane[w][0] += vlow(x) * vlow(y);
		lane[w][1] += vhigh(x) * vhigh(y);
	}
	for (int w = 0; w < WAYS; w++)
		for (int j = 0; j < VW; j++)
			sum += lane[w][j / (VW / 2)][j % (VW / 2)];
	return sum;
}

static void
sum_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct sum *s = job->args;

	(void)member;
	for (int64_t k = cpu_from(job, task); k < cpu_to(job, task); k++) {
		int64_t from = k * BLOCK, to = from + BLOCK < s->n ? from + BLOCK : s->n;

#define ALONE(type) s->part[k] = block_sum(type, s->a, NULL, from, to)
#define SQUARES(type) s->part[k] = block_sum(type, s->a, s->a, from, to)
#define PAIRS(type) s->part[k] = block_sum(type, s->a, s->b, from, to)
		if (s->b == NULL)
			EACH_TYPE(s->type, ALONE);
		else if (s->b == s->a)
			EACH_TYPE(s->type, SQUARES);
		else
			EACH_TYPE(s->type, PAIRS);
#undef ALONE
#undef SQUARES
#undef PAIRS
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
	struct sum s = { cpu_ptr(a->a), cpu_ptr(a->b), a->type, NULL, cpu_count(c, a->n) };

	if (s.n >= 0)
		sum_into(c, &s, cpu_ptr(a->out), a->add);
}

void
OF_ISA(k_sumsq)(struct cpu *c, const union dev_args *args)
{
	const struct k_sumsq *a = &args->sumsq;
	struct sum s = { cpu_ptr(a->x), cpu_ptr(a->x), a->type, NULL, a->n };

	sum_into(c, &s, cpu_ptr(a->out), true);
}
