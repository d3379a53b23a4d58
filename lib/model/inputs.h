/*
 * inputs - what the matrices of a model are multiplied with, for some text
 *
 * A tape of the trunk that keeps the input of each matrix in the layers.  A
 * text runs through it in pieces; after each the inputs lie on the device until
 * the next.  Memory: that of a piece, all layers at once.
 */
#ifndef MODEL_INPUTS_H
#define MODEL_INPUTS_H

#include "model/model.h"

struct input {
	const struct param *param;
	struct tensor	*x;		/* (T, K); of experts (T, top K), rows sorted by them */
	int64_t		 experts, top;	/* 0, 1: one matrix */
	struct tensor	*offset;	/* of experts: rows [offset[e], offset[e + 1]) are e's */
	int64_t		 layer;		/* row of offset */
};

struct inputs;

/* Pieces of up to tokens; the model's inputs are its own until inputs_free(). */
struct inputs *inputs_new(struct model *m, int64_t tokens, struct err *err);
void inputs_free(struct inputs *in);

struct model *inputs_model(const struct inputs *in);
int inputs_count(const struct inputs *in);
const struct input *inputs_at(const struct inputs *in, int i);

/* Queue a piece; 0 or -1. */
int inputs_run(struct inputs *in, const uint32_t *token, int64_t n, struct err *err);

/*
 * Rows of the last piece that input i has, for matrix number e of its experts:
 * from *row on, *rows of them.
 */
int inputs_rows(struct inputs *in, int i, int64_t e, int64_t *row, int64_t *rows,
    struct err *err);

/* All rows of input i: rows of K, as many as were told. */
int inputs_read(struct inputs *in, int i, float *x, struct err *err);

/* Recording's side: x is what w is multiplied with; NULL r: all of its rows. */
struct op_routing;
void inputs_note(struct inputs *in, struct tape *t, struct tensor *x, const struct tensor *w,
    const struct op_routing *r);

#endif
