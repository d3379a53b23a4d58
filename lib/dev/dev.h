/*
 * dev - a device: memory that only kernels touch, a queue, a table of kernels
 *
 * A backend (cpu, cuda) fills struct dev_ops.  Everything above this layer
 * allocates, copies and computes through these functions alone.  Work is
 * queued in order and is done when dev_wait() returns; an error in queued work
 * is told there and sticks.
 *
 * Kernels and their arguments are in dev/kernels.h.  A launch's arguments are
 * plain data, taken when dev_launch() is called, so a list of launches can be
 * queued again as it is (dev_begin).
 *
 * Results depend on the arguments alone, bit for bit: never on the number of
 * threads, and a row's result never on the other rows.
 */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/team.h"

/* An address in device memory; 0 is none.  Never dereferenced above lib/dev. */
typedef struct {
	uint64_t	at;
} dptr;

static inline dptr
dptr_add(dptr p, int64_t bytes)
{
	return (dptr){ p.at + (uint64_t)bytes };
}

/* Rows of a launch: see dev/kernels.h. */
struct dim {
	int64_t	cap;
	dptr	n;		/* device int32, or 0: exactly cap */
	int64_t	each;		/* rows for each one counted by n, 0: 1 (heads of q/k norm) */
};

struct comm;
struct dev;
struct profile;
union dev_args;		/* dev/kernels.h, as is enum dev_kernel */


enum {
	/*
	 * Device memory is unreadable outside kernels and the queue runs only
	 * when waited for, so that a slip shows on the CPU already.  On a GPU each
	 * allocation is the driver's, so that its tools see what is beyond.
	 */
	DEV_STRICT = 1,
};

struct dev_info {
	char		name[64];	/* "cpu:avx2", "cuda:0" */
	int64_t		memory;		/* bytes a program may use */
	double		peak_f32;	/* FLOP/s of products, a GPU's nominal; 0: unknown */
	double		peak_bf16, peak_int8;	/* of instructions for these; 0: none */
	char		products[96];	/* once one was loose (dev/kernels.h): who makes those */
};

/*
 * name: "cpu", "cpu:base", "cpu:avx2", "cpu:avx512", "cpu:avx512bf16",
 * "cpu:amx", "cuda", "cuda:N", "auto": the first GPU if there is one to use, else the CPU.
 * The team is borrowed.  An instruction set or device that is not there is an
 * error that says what is.
 */
struct dev *dev_open(const char *name, struct team *team, unsigned flags, struct err *err);
void dev_close(struct dev *dev);
const struct dev_info *dev_info(struct dev *dev);	/* measures the peak on first use */

/* FLOP/s of products with weights of a type: of the instructions that they ask for. */
double dev_peak(struct dev *dev, dtype weights);

/*
 * The collectives of a communicator (dev/comm.h), which outlives the device, are
 * to run here.  All ranks do it.  Return 0 or -1.
 */
int dev_join(struct dev *dev, struct comm *comm, struct err *err);

/* Bytes a second that all threads read, write, and copy (both counted) beyond the caches. */
struct dev_bandwidth {
	double	read, write, copy;
};

/* Measured now, on memory of its own (some hundred MB).  Return 0 or -1. */
int dev_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err);

/* Zeroed memory aligned to 256, or 0 with err filled. */
dptr dev_alloc(struct dev *dev, int64_t bytes, struct err *err);
void dev_free(struct dev *dev, dptr p);

/* Host memory (a read-only mapping) as device memory: in place on a CPU. */
dptr dev_import(struct dev *dev, const void *p, int64_t bytes, struct err *err);

/*
 * Queue a copy.  Upload takes the bytes before it returns; download's are there
 * after dev_wait().
 */
void dev_upload(struct dev *dev, dptr to, const void *from, int64_t bytes);
void dev_download(struct dev *dev, void *to, dptr from, int64_t bytes);

/* Can this launch run here?  0, or -1 naming kernel, dtype or shape: asked at plan time. */
int dev_check(struct dev *dev, int kernel, const union dev_args *a, struct err *err);

/*
 * Bytes of memory of its own that the device needs for this launch at capacity,
 * whatever the addresses are.  A launch that was checked has them set aside, so
 * that running it allocates nothing.
 */
int64_t dev_scratch(struct dev *dev, int kernel, const union dev_args *a);

void dev_launch(struct dev *dev, int kernel, const union dev_args *a);

/*
 * Launches that come again and again, the same ones with the same arguments:
 *
 *	if (dev_begin(dev, &list)) {
 *		each dev_launch() of the list, and no other call
 *		dev_end(dev);
 *	}
 *
 * The list is NULL at first.  What a device makes of it (a CUDA graph) is queued
 * at once when dev_begin() returns false.  Forget it, queued or not, before
 * launches change or their memory is freed.
 */
struct dev_list;
bool dev_begin(struct dev *dev, struct dev_list **list);
void dev_end(struct dev *dev);
void dev_forget(struct dev *dev, struct dev_list *list);

/*
 * What follows is this phase ("forward"; the string stays) of this block, for a
 * profile (dev/profile.h).  Nothing without one.
 */
void dev_mark(struct dev *dev, const char *phase, const char *block);

/* Wait for all queued work.  Return 0, or -1 with the first error. */
int dev_wait(struct dev *dev, struct err *err);

/* ---- what a backend fills ---- */

struct dev_ops {
	const char *name;
	void	(*close)(struct dev *dev);
	void	(*measure)(struct dev *dev, struct dev_info *info);
	int	(*bandwidth)(struct dev *dev, struct dev_bandwidth *b, struct err *err);
	int	(*join)(struct dev *dev, struct comm *comm, struct err *err);	/* or NULL */
	dptr	(*alloc)(struct dev *dev, int64_t bytes, struct err *err);
	void	(*free)(struct dev *dev, dptr p);
	dptr	(*import)(struct dev *dev, const void *p, int64_t bytes, struct err *err);
	void	(*upload)(struct dev *dev, dptr to, const void *from, int64_t bytes);
	void	(*download)(struct dev *dev, void *to, dptr from, int64_t bytes);
	int	(*check)(struct dev *dev, int kernel, const union dev_args *a, struct err *err);
	int64_t	(*scratch)(struct dev *dev, int kernel, const union dev_args *a); /* or NULL: 0 */
	void	(*launch)(struct dev *dev, int kernel, const union dev_args *a);
	int	(*wait)(struct dev *dev, struct err *err);
	/* All three or none: each launch is queued by itself. */
	bool	(*begin)(struct dev *dev, struct dev_list **list);
	void	(*end)(struct dev *dev);
	void	(*forget)(struct dev *dev, struct dev_list *list);
};

/* The common head of every backend's own struct. */
struct dev {
	const struct dev_ops *ops;
	struct team	*team;
	struct dev_info	 info;
	bool		 measured;
	struct profile	*profile;	/* NULL: none */
};

/* dev/profile.h's side of launches. */
void dev_profile_mark(struct profile *p, const char *phase, const char *block);
void dev_profile_launch(struct profile *p, int kernel, const union dev_args *a);

#endif
