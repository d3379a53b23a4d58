#include "dev/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the machine can do at most, with all threads of the team. */

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { SPIN_ROUNDS = 20000 };

static void
spin_task(void *ctx, int64_t task, int member)
{
	const struct cpu_spin *spin = ctx;
	volatile double sink;

	(void)task;
	(void)member;
	sink = spin->run(SPIN_ROUNDS);
	(void)sink;
}

/* As fast as all threads go, best of a few short runs. */
static double
spin_rate(struct dev *dev, struct cpu_spin spin)
{
	int64_t tasks = team_size(dev->team) * 4;
	double best = 0;

	for (int run = 0; run < 8 && spin.run != NULL; run++) {
		double t = seconds(), rate;

		team_run(dev->team, tasks, spin_task, &spin);
		t = seconds() - t;
		rate = (double)(tasks * SPIN_ROUNDS * spin.flops) / t;
		best = rate > best ? rate : best;
	}
	return best;
}

void
cpu_measure(struct dev *dev, struct dev_info *info)
{
	const struct cpu_isa *isa = ((struct cpu *)dev)->isa;

	info->peak_f32 = spin_rate(dev, isa->f32);
	info->peak_bf16 = spin_rate(dev, isa->bf16);
	info->peak_int8 = spin_rate(dev, isa->int8);
}

/* Far more than caches hold; tasks of some pages. */
enum { MEMORY = 256 << 20, PART = 1 << 20 };

struct memory {
	const struct cpu *c;
	char	*p;
	int	 how;
};

/* Reading takes all of the memory, writing too; copying one half to the other. */
static void
memory_task(void *ctx, int64_t task, int member)
{
	struct memory *m = ctx;
	char *at = m->p + task * PART;
	volatile double sink;

	(void)member;
	switch (m->how) {
	case 0:
		sink = m->c->isa->read((const float *)(const void *)at, PART / 4);
		(void)sink;
		break;
	case 1:
		memset(at, 1, PART);
		break;
	default:
		memcpy(at, at + MEMORY / 2, PART);
	}
}

int
cpu_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err)
{
	struct memory m = { .c = (struct cpu *)dev, .p = aligned_alloc(4096, MEMORY) };
	double *rate[] = { &b->read, &b->write, &b->copy };

	if (m.p == NULL)
		return err_set(err, ERR_NOMEM, "no memory to measure its speed");
	memset(m.p, 1, MEMORY);
	*b = (struct dev_bandwidth){ 0 };
	for (m.how = 0; m.how < 3; m.how++)
		for (int run = 0; run < 5; run++) {
			double t = seconds();

			team_run(dev->team, MEMORY / PART / (m.how == 2 ? 2 : 1), memory_task, &m);
			t = MEMORY / (seconds() - t);
			if (t > *rate[m.how])
				*rate[m.how] = t;
		}
	free(m.p);
	return 0;
}
