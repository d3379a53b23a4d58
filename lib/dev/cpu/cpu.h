/*
 * cpu - the CPU backend: what lib/dev and its own kernels know of it
 *
 * Device memory is host memory.  Work runs when it is launched, or, in strict
 * mode, when it is waited for.  A kernel is a function of struct cpu and its
 * arguments; each is compiled once per instruction set (simd/) and the tables
 * are struct cpu_isa.
 */
#ifndef DEV_CPU_CPU_H
#define DEV_CPU_CPU_H

#include "dev/kernels.h"

struct cpu_queue;
struct cpu_region;

/*
 * What a product with quantized weights left in its scratch: the rows of its a,
 * rounded.  They serve the next one if there was no other work in between.
 */
struct cpu_rounded {
	int64_t		 work;		/* the product's number */
	int64_t		 rows, height;	/* height: of a strip of them */
	const void	*at;
	struct k_matmul	 of;
};

struct cpu {
	struct dev	 dev;		/* first: a struct dev * is one of these */
	const struct cpu_isa *isa;
	bool		 strict;
	bool		 failed;	/* sticks: later launches do nothing */
	struct err	 err;
	struct cpu_region *region;
	int64_t		 n_regions, cap_regions;
	struct cpu_queue *queue;	/* strict mode's */
	int64_t		 n_queued, cap_queue;
	char		*scratch;	/* of the kernel that runs; only grows */
	int64_t		 scratch_bytes;
	int64_t		 works;		/* counts all that may change memory or scratch */
	struct cpu_rounded rounded;
	bool		 measuring;	/* a kernel only says what scratch it wants */
	int64_t		 measured;
};

typedef void cpu_kernel(struct cpu *c, const union dev_args *a);

/* n rounds of nothing but arithmetic, so many operations each; or NULL. */
struct cpu_spin {
	double	(*run)(int64_t n);
	int64_t	 flops;
};

struct cpu_isa {
	const char	*name;
	cpu_kernel	*kernel[K_COUNT];
	struct cpu_spin	 f32, bf16, int8;	/* of floats, or of products of 2 bf16 or 4 bytes */
	double		(*read)(const float *x, int64_t n);	/* n floats, alone */
};

/* isa NULL: the best one here. */
struct dev *cpu_open(const char *isa, struct team *team, unsigned flags, struct err *err);

/* dev_info()'s and dev_bandwidth()'s parts. */
void cpu_measure(struct dev *dev, struct dev_info *info);
int cpu_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err);

/* ---- for kernels ---- */

/* Note the first failure; it is told by dev_wait(). */
void cpu_fail(struct cpu *c, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The count of rows of this launch, or -1 after a failure was noted. */
int64_t cpu_count(struct cpu *c, struct dim d);

/*
 * Scratch memory aligned to 64, good until the kernel ends, or NULL after noting
 * the failure.  While measuring it is NULL too, counts are capacities, and what a
 * kernel does before it asks must not touch device memory.
 */
void *cpu_scratch(struct cpu *c, int64_t bytes);

/*
 * Items [0, n) in tasks of step items, in parallel when that pays; cost is a
 * rough count of vector operations of one item.
 */
struct cpu_job {
	struct cpu	*c;
	const void	*args;
	void		*tmp;
	int64_t		 n, step;
};
void cpu_run(struct cpu_job *job, int64_t cost, void (*fn)(void *job, int64_t task, int member));

static inline int64_t
cpu_from(const struct cpu_job *job, int64_t task)
{
	return task * job->step;
}

static inline int64_t
cpu_to(const struct cpu_job *job, int64_t task)
{
	int64_t to = (task + 1) * job->step;

	return to < job->n ? to : job->n;
}

/* The host's view of device memory. */
static inline void *
cpu_ptr(dptr p)
{
	return (void *)(uintptr_t)p.at;
}

static inline float *
cpu_f32(dptr p)
{
	return cpu_ptr(p);
}

static inline int32_t *
cpu_i32(dptr p)
{
	return cpu_ptr(p);
}

#endif
