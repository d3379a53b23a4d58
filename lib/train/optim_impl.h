/* optim_impl - what the optimizers share: private to lib/train */
#ifndef TRAIN_OPTIM_IMPL_H
#define TRAIN_OPTIM_IMPL_H

#include "train/optim.h"

/* A list of launches that grows; a failure to grow sticks. */
struct launches {
	struct launch {
		int		kernel;
		union dev_args	args;
	}	*list;
	int	 n, cap;
	bool	 failed;
	struct dev_list *again;
};

void launches_add(struct launches *l, int kernel, const union dev_args *args);
int launches_check(const struct launches *l, struct dev *dev, struct err *err);
/* Queue; phase: of a profile. */
void launches_run(const struct launches *l, struct dev *dev, const char *phase);

/* What the optimizer remembers of one parameter; addresses are 0 where there is none. */
struct slot {
	dtype		type;		/* of m and v */
	struct moment	m, v;
	dptr		row, col;	/* Adafactor's (matrices, rows), (matrices, columns), f32 */
	dptr		ema;		/* f32 */
};

struct optim {
	struct params	*params;
	struct dev	*dev;
	struct train_options o;
	struct slot	*slot;		/* one a parameter */
	dptr		 memory, step, history, loss;
	struct launches	 update, swap;
	struct muon	*muon;		/* NULL: none */
};

/* Is this parameter's update Muon's? */
bool optim_by_muon(const struct train_options *o, const struct param *p);

/* A parameter as matrices: vectors are (1, n, 1). */
struct stack { int64_t n, rows, cols; };
struct stack param_stack(const struct param *p);

/* Where kernels that update a parameter put its copy for compute, or 0. */
dptr param_copy(const struct param *p);

#endif
