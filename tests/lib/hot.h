/*
 * hot - the launches that a step of training or of writing spends its time in
 *
 * Each is one function that makes its buffers and its arguments, of a given size, on a
 * given device; with none it makes arguments for dev_cost() alone.
 */
#ifndef TESTS_HOT_H
#define TESTS_HOT_H

#include "dev/kernels.h"

enum { HOT_BUFS = 20 };

/* Tokens, width, hidden width, vocabulary, heads and their width, keys of a cache. */
struct hot_size {
	int64_t	t, c, f, v, heads, kv_heads, d, keys;
};

struct hot_buf {
	dptr	 at;
	dtype	 type;
	int64_t	 n;
	bool	 out;
};

struct hot {
	struct dev	*dev;		/* NULL: no memory, all addresses are alike */
	dtype		 type;		/* of activations */
	struct hot_buf	 buf[HOT_BUFS];
	int		 n;
};

extern const struct hot_case {
	const char *name;
	int	kernel;
	void	(*make)(struct hot *h, union dev_args *a, const struct hot_size *z);
	bool	typed;			/* in F32 and BF16, or as it is */
	double	tol;			/* of F32 beside the CPU; 0: 1e-5 of the largest */
} hot_cases[];
extern const int hot_case_count;

void hot_free(struct hot *h);

#endif
