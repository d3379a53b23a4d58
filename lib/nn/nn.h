/*
 * nn - tensors, a tape, and ops: forward and backward once, for every backend
 *
 * A tape is recorded once, at a capacity of tokens and sequences, in named
 * blocks (one a layer).  Recording builds a list of launches (dev/kernels.h)
 * for the forward and one for the backward of each block; tape_plan() lays
 * out all memory in one allocation.  A step then replays the lists and
 * allocates nothing.  What varies from step to step (token counts, lengths,
 * ids) is device data, so a replay never differs in shape.
 *
 * Ops return a tensor.  A failure (shape, memory, missing kernel) sticks in
 * the tape and is told by tape_plan(), so a model reads like its equations.
 * Tensors belong to the tape, parameters to struct params.
 */
#ifndef NN_NN_H
#define NN_NN_H

#include "dev/kernels.h"

#define NN_NAME 96

/* What shape[0] is: a number, or a capacity whose count is set before a step. */
enum rows { ROWS_FIXED, ROWS_TOKENS, ROWS_WANTED };

/*
 * What ops take and give.  One that is neither a tape's nor a parameter's (a
 * cache, say) is filled in by its owner, with data set before tape_plan().
 */
struct tensor {
	char		 name[NN_NAME];
	dtype		 type;
	int		 ndim;
	int64_t		 shape[4];
	enum rows	 rows;
	bool		 needs_grad;
	dptr		 data, grad;	/* after tape_plan(); grad 0 without */
	struct param	*param;		/* of a parameter, else NULL */
	void		*priv;		/* the tape's */
};

/* ---- parameters ---- */

/*
 * Kernels read matrices in the compute type, and vectors (norms, biases) in the
 * wide one: F32, or F64 on a reference device.  A matrix of another type that
 * is trained has a wide master too, which is what the optimizer updates.
 * Gradients are wide, and only trainable parameters have any.
 *
 * A frozen matrix may be of another type, of blocks (base/quant.h) too.  Its
 * bytes are its owner's, who sets data before params_place(), or maps it: they
 * are read only.
 */
enum init_kind {
	INIT_ZEROS, INIT_ONES, INIT_NORMAL,
	INIT_LOGS,		/* ln 1, ln 2 ... along the last dimension */
	INIT_STEPS,		/* softplus of it is log-uniform in [0.001, 0.1] */
};

struct param {
	char		 name[NN_NAME];	/* logical name, as in its checkpoint file */
	dtype		 type;		/* of data */
	int		 ndim;
	int64_t		 shape[4];
	int64_t		 n;		/* elements */
	enum init_kind	 init;
	double		 std;
	bool		 trainable;	/* false: frozen */
	bool		 mapped;	/* data is the owner's, of any type */
	bool		 decay;		/* weight decay applies (matrices) */
	bool		 hidden;	/* a matrix between hidden layers: what Muon is for */
	dptr		 data;		/* what kernels read */
	dptr		 master;	/* wide: data, or what data is rounded from; 0: none */
	dptr		 grad;		/* wide; 0: none */
	/* Elements into params' arrays; -1: none. */
	int64_t		 wide_at, low_at, grad_at;
	struct tensor	 t;		/* what ops take */
};

struct params {
	struct dev	*dev;
	dtype		 compute;	/* of matrices; NONE is F32, F64 for a reference device */
	struct param	*p;
	int		 n, cap;
	/* One allocation each, parameters padded to 64 elements; padding is 0. */
	dptr		 wide, low, grad;	/* grad 0 for inference */
	int64_t		 wide_n, low_n, grad_n;	/* elements */
};

/* F32, or F64 for a reference device. */
dtype params_wide(const struct params *ps);

/*
 * Declare a parameter; NULL on failure.  Pointers to parameters stay good once
 * the last one was added.  Until params_seal() or params_place() its type and
 * trainable may be set otherwise.
 */
struct param *params_add(struct params *ps, const char *name, int ndim, const int64_t *shape,
    enum init_kind init, double std, bool decay, struct err *err);

/*
 * A declared matrix, frozen from now on, lies in host memory (a mapping), which
 * outlives the parameters: it is used there where the device can.  Before
 * params_place().
 */
int param_map(struct params *ps, struct param *p, struct dev *dev, const void *data,
    dtype type, struct err *err);

/* Allocate the others on the device, zeroed, with gradients or without. */
int params_place(struct params *ps, struct dev *dev, bool grads, struct err *err);

/* Good for recording and tape_layout(), without memory: what a plan would need. */
int params_seal(struct params *ps, struct err *err);

/* What params_place() takes of a sealed list, bytes. */
int64_t params_bytes(const struct params *ps, bool grads);

/* Fill by their init: a function of (seed, name, index). */
int params_init(struct params *ps, uint64_t seed, struct err *err);

/*
 * Elements [at, at + n) of a parameter from host memory of any float type, or
 * to it: the master where there is one.  Download waits for the device, and
 * of a type of blocks takes whole ones.
 */
int param_upload(struct params *ps, const struct param *p, int64_t at, int64_t n,
    const void *from, dtype type, struct err *err);
int param_download(struct params *ps, const struct param *p, int64_t at, int64_t n,
    void *to, dtype type, struct err *err);
struct param *params_find(struct params *ps, const char *name);
void params_free(struct params *ps);

/* ---- the tape ---- */

struct tape;

enum {
	TAPE_GRAD = 1,		/* record backward too */
	/* Activations and their gradients; F32 without one of these. */
	TAPE_F64 = 2,		/* for a reference device */
	TAPE_BF16 = 4, TAPE_F16 = 8,
	/*
	 * Keep less from forward to backward: cheap ops (norms, activations) are
	 * computed again, or all of a block but what it takes from others.  The
	 * results are the same bits.
	 */
	TAPE_RECOMPUTE_CHEAP = 16, TAPE_RECOMPUTE_BLOCK = 32,
};

/* The flag of tapes over these parameters. */
unsigned params_tape(const struct params *ps);

/* dev may be NULL for a tape that is laid out and never run. */
struct tape *tape_new(struct dev *dev, int64_t max_tokens, int64_t max_seqs, unsigned flags,
    struct err *err);
void tape_free(struct tape *t);		/* after dev_wait(): queued work uses its memory */

int64_t tape_tokens(const struct tape *t);	/* capacities */
int64_t tape_seqs(const struct tape *t);
dtype tape_type(const struct tape *t);		/* of activations */
/* Of statistics, values a token, logits of the head, gradients of parameters: F32 or F64. */
dtype tape_wide(const struct tape *t);
bool tape_backward_on(const struct tape *t);	/* TAPE_GRAD */

/*
 * Counts of this step, device data; a new tape has them at capacity.  Rows
 * beyond are untouched.  wanted counts the rows of ROWS_WANTED tensors.
 */
void tape_set_counts(struct tape *t, int32_t tokens, int32_t seqs);
void tape_set_wanted(struct tape *t, int32_t wanted);

/* Inputs: filled by tape_upload() before each forward; kept until written again. */
struct tensor *tape_input(struct tape *t, const char *name, dtype type, enum rows rows,
    int ndim, const int64_t *shape);
void tape_upload(struct tape *t, struct tensor *x, const void *from, int64_t elements);
void tape_download(struct tape *t, const struct tensor *x, void *to, int64_t elements);

/* A constant table, uploaded once at tape_plan(); from is copied. */
struct tensor *tape_const(struct tape *t, const char *name, dtype type, int ndim,
    const int64_t *shape, const void *from);

/* What follows belongs to a new block.  Return its number. */
int tape_block(struct tape *t, const char *name);

/* Keep this tensor's data (and gradient) until the end of the step. */
void tape_output(struct tape *t, struct tensor *x);

/* Keep it from step to step: what a launch adds to it stays until it is zeroed. */
void tape_keep(struct tape *t, struct tensor *x);

/*
 * The caller writes this tensor's gradient before each backward pass, with
 * tape_upload_grad() or a launch; what its consumers contribute is added.
 */
void tape_seed(struct tape *t, struct tensor *x);
void tape_upload_grad(struct tape *t, struct tensor *x, const void *from, int64_t elements);

/* Queue zeroing all of a tensor's data. */
void tape_zero(struct tape *t, struct tensor *x);

/* Lay out memory.  0, or -1 with the first failure of recording. */
int tape_plan(struct tape *t, struct err *err);

/* Only count it, for tape_cost(): nothing is allocated and no kernel asked for. */
int tape_layout(struct tape *t, struct err *err);

struct tape_cost {
	double	flops, bytes;		/* forward, for all of the capacity */
	double	flops_backward;
	int64_t	memory;			/* activations and scratch, bytes: one allocation */
	int64_t	records;		/* of the host: launches, tensors and their places */
	int	blocks, launches;
};
void tape_cost(const struct tape *t, struct tape_cost *cost);

/* What a device needs beside, for one launch at a time: dev_scratch(). */
int64_t tape_scratch(const struct tape *t, struct dev *dev);

/*
 * Queue blocks [from, to) forward, or to-1 down to from backward; to < 0: to
 * the end.  A forward block may be run again as long as no block behind it
 * ran backward; a head with dlogp (ops.h) adds to gradients each time.
 */
void tape_forward(struct tape *t, int from, int to);
void tape_backward(struct tape *t, int from, int to);

/*
 * Queue: the gradients of parameters that the tape adds to become zero.  Soon:
 * a forward and a backward pass follow, whose first products overwrite
 * gradients, which are neither cleared nor read for it.
 */
void tape_zero_grads(struct tape *t, bool soon);

/*
 * A forward and a backward pass follow that also add to out[0] (f64) the sum of
 * squares of the parameters' gradients as they leave them: of all that the tape
 * adds to.
 */
void tape_measure_grads(struct tape *t, dptr out);

#endif
