/*
 * nn_impl - how ops talk to the tape: private to lib/nn
 *
 * An op's function checks shapes, makes its output, adds launches and an op
 * record.  At tape_plan() the records are walked backwards and each kind's
 * backward() adds launches.  Addresses are not known then: a launch's pointer
 * fields are bound to a struct mem, and tape_plan() fills them in.  The order
 * of launches is the order of time, so what is alive when is simply the first
 * and last launch that uses a slot.
 */
#ifndef NN_NN_IMPL_H
#define NN_NN_IMPL_H

#include "base/arena.h"
#include "nn/ops.h"

/* A place in memory: a slot of the tape's plan, a parameter (or its gradient), or a tensor
 * that is not the tape's. */
struct mem {
	int		 slot;		/* -1: none */
	struct param	*param;
	const struct tensor *other;
	bool		 grad;
	int64_t		 at;		/* bytes from there */
};

struct op;
struct op_kind {
	const char	*name;
	/* Add the launches that turn gradients of out[] into those of in[]. */
	void		(*backward)(struct tape *t, struct op *op);
	bool		cheap;		/* to compute again, rather than to keep */
	bool		once;		/* its forward launches are never repeated */
};

#define OP_IN 8

struct op {
	const struct op_kind *kind;
	struct op	*prev;		/* recorded before this one */
	int		 block;
	struct tensor	*in[OP_IN], *out[3];
	struct mem	 kept[2];	/* statistics of the forward pass */
	union dev_args	 f;		/* forward's arguments, without addresses */
	double		 z_loss;	/* head's */
	double		 flops, bytes, flops_backward;
};

/* The tape is in a sticky failure: ops return tape_none() at once. */
bool tape_failed(const struct tape *t);
struct tensor *tape_none(struct tape *t);
struct tensor *tape_fail(struct tape *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "(16, 32)" for messages. */
struct shape_text { char s[96]; };
struct shape_text shape_text(const struct tensor *x);


bool tape_wants(const struct tape *t, const struct tensor *x);	/* a gradient */
bool is_matrix(const struct tensor *x);		/* 2-D */
bool same_rows(const struct tensor *a, const struct tensor *b);

/* x can be an op's input of activations: on a tape of low precision no parameter can. */
bool is_activation(const struct tape *t, const struct tensor *x);

/* A new (rows like, width) activation, the same wide, and one wide value a row. */
struct tensor *tape_rows_like(struct tape *t, const struct tensor *like, int64_t width);
struct tensor *tape_rows_wide(struct tape *t, const struct tensor *like, int64_t width);
struct tensor *tape_row_values(struct tape *t, const struct tensor *like);
struct tensor *tape_scalar(struct tape *t, dtype type);
/* A tensor of any type and shape. */
struct tensor *tape_new_tensor(struct tape *t, dtype type, enum rows rows, int ndim,
    const int64_t *shape);
struct op *tape_op(struct tape *t, const struct op_kind *kind);

/* ---- launches: bind fields right after tape_launch(), before the next ---- */

union dev_args *tape_launch(struct tape *t, int kernel);
void tape_bind(struct tape *t, size_t field, struct mem m);
void tape_bind_seqs(struct tape *t, size_t field);
void tape_bind_dim(struct tape *t, size_t field, const struct tensor *rows, int64_t row0,
    int64_t cap, int64_t times);

#define BIND(t, field, m) tape_bind((t), offsetof(union dev_args, field), (m))
/* A struct dim that counts the rows of x. */
#define BIND_ROWS(t, field, x) \
	tape_bind_dim((t), offsetof(union dev_args, field), (x), 0, (x)->shape[0], 1)

struct mem mem_of(const struct tensor *x);		/* its data; NULL gives none */
struct mem mem_at(struct mem m, int64_t bytes);
struct mem mem_scratch(struct tape *t, int64_t bytes);
struct mem mem_rows(struct tape *t, const struct tensor *like, int64_t width);	/* scratch */
struct mem mem_wide(struct tape *t, const struct tensor *like, int64_t width);	/* the same, wide */
int64_t tape_bytes(const struct tape *t, int64_t elements);	/* of activation type */

/* ---- gradients; each may add a launch, so call them before tape_launch() ---- */

/* The gradient of an op's output, or a none when nothing flowed into it. */
struct mem grad_of(struct tape *t, const struct tensor *y);

/* Where a kernel that can add puts x's gradient: *add says whether it must. */
struct mem grad_add(struct tape *t, struct tensor *x, bool *add);

/* Where one that cannot add writes it; end() adds it up when it went to scratch. */
struct mem grad_begin(struct tape *t, struct tensor *x);
void grad_end(struct tape *t, struct tensor *x, struct mem m);

/* dbias += the sum of y's gradient over rows, where there is a bias that wants it. */
void grad_bias(struct tape *t, struct tensor *bias, const struct tensor *y);

/* dx += dy, without a copy when dx has nothing yet. */
void grad_pass(struct tape *t, struct tensor *x, const struct tensor *y);

#endif
