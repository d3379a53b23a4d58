/*
 * kit - one kernel, the same arguments, on the reference and on real devices
 *
 * A case declares its buffers by index, and builds its arguments twice: once
 * with the reference's addresses and F64, once with the device's and the type
 * of activations.  Numbers are rounded to a buffer's type first, so that both
 * compute with the same ones.
 * Inputs beyond the valid rows are NaN, so that reading them shows; outputs
 * start as random numbers, so that writing too much or not adding shows.
 *
 * With KIT_GPU in the environment instruction sets are left out: tests of the CPU run
 * the same programs without it.
 */
#ifndef TESTS_KIT_H
#define TESTS_KIT_H

#include "dev/kernels.h"

enum { KIT_BUFS = 24 };

struct kit_buf {
	enum { KIT_FLOAT, KIT_INT, KIT_BYTES } kind;
	bool	 out;
	dtype	 type;		/* of KIT_FLOAT on the device */
	int64_t	 n;		/* elements, or bytes of KIT_BYTES */
	void	*from;		/* double, int32_t or bytes: what it starts as */
	void	*want;		/* what the reference made of it */
	dptr	 ref, dev;
};

struct kit {
	struct dev	*ref;
	struct dev	*gpu;		/* "cuda", or NULL: none here */
	bool		 alone;		/* is it all? */
	uint32_t	 cases[K_COUNT];	/* that it had */
	struct team	*team;		/* its own */
	uint64_t	 seed, drawn;
	struct kit_buf	 buf[KIT_BUFS];
	int		 n;
	bool		 on_ref;	/* whose addresses kit_at() gives */
	dtype		 act;		/* of activations on the device: the case's choice */
	dtype		 type;		/* F64 or act, to go with it */
	const void	*shape;		/* the case's own */
};

int kit_init(struct kit *k, uint64_t seed);
void kit_free(struct kit *k);

/* Forget the buffers, for the next case. */
void kit_reset(struct kit *k);

/* Draws, for shapes and values. */
int64_t kit_draw(struct kit *k, int64_t from, int64_t to);	/* both included */
double kit_normal(struct kit *k);

/*
 * Buffers; each returns its index.  valid elements are numbers, the rest NaN.
 * Of the activations' type, F32 whatever that is (wide), or as given.
 */
int kit_in(struct kit *k, int64_t n, int64_t valid, double std);
int kit_out(struct kit *k, int64_t n);
int kit_wide_in(struct kit *k, int64_t n, int64_t valid, double std);
int kit_wide_out(struct kit *k, int64_t n);
int kit_in_as(struct kit *k, dtype type, int64_t n, int64_t valid, double std);
int kit_out_as(struct kit *k, dtype type, int64_t n);
int kit_ints(struct kit *k, int64_t n, const int32_t *values);
int kit_ints_out(struct kit *k, int64_t n);		/* to be equal */
int kit_bytes(struct kit *k, int64_t bytes, const void *from, bool out);	/* of doubles */

dptr kit_at(const struct kit *k, int i);

/* What an argument that names a buffer's own type is to say: F64 on the reference. */
dtype kit_type_of(const struct kit *k, int i);

/*
 * Run it on the reference, and on every instruction set of this machine,
 * strict and not, with one thread and three.  Is every output within tol of
 * the reference (largest difference over largest magnitude; a buffer's type
 * adds its rounding, 2^-8 of BF16 and 2^-10 of F16), and the same bits for each
 * way on an instruction set?  Where the driver has a GPU, on that too, and of each
 * kernel every third case again, with the same bits; a kernel that it has not yet is left out.
 */
bool kit_agrees(struct kit *k, int kernel,
    void (*args)(struct kit *k, union dev_args *a), double tol);

/* Element i of a KIT_FLOAT buffer after the last run of the reference. */
double kit_want(const struct kit *k, int buf, int64_t i);

#endif
