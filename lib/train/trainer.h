/*
 * trainer - one model, one optimizer, steps
 *
 * A step takes the next samples of the loader, in passes of at most micro
 * tokens whose gradients add up, and one AdamW update.  Of several ranks each
 * takes its part of the samples (train/share.h).  The loss is the sum over
 * target tokens divided by the number of targets of the whole step, however it
 * is cut.  The step's decisions (clipping, skipping a step that is not finite or
 * spikes, the loss scale of fp16) are made on the device.
 *
 * All state is in the model, the optimizer's moments and struct train_state,
 * so that a checkpoint resumes to the very bytes of an uninterrupted run.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "model/model.h"
#include "train/loader.h"
#include "train/schedule.h"

#define TRAIN_SKIPS 8		/* skipped steps in a row that end a run */

enum optimizer { OPTIMIZER_ADAMW, OPTIMIZER_MUON, OPTIMIZER_LION, OPTIMIZER_ADAFACTOR };

/* "adamw", "muon", "lion", "adafactor".  Return 0 or -1. */
int optimizer_parse(const char *name, enum optimizer *o, struct err *err);

/* "fp32", "bf16", "8bit" (DTYPE_U8). */
int moments_parse(const char *name, dtype *type, struct err *err);

/* "fp32", "bf16", "fp16": params.compute.  Return 0 or -1. */
int compute_parse(const char *name, dtype *type, struct err *err);

/* "none", "cheap", "block".  Return 0 or -1. */
int recompute_parse(const char *name, unsigned *recompute, struct err *err);

struct train_options {
	struct comm *comm;	/* of ranks that train together, borrowed; NULL: alone */
	enum optimizer optimizer;
	dtype	moments;	/* F32 (or NONE), BF16, U8; Adafactor's are small, and F32 */
	int64_t	batch;		/* tokens a step, a multiple of the row length */
	struct ramp ramp;	/* smaller ones, before */
	int64_t	micro;		/* tokens a pass; 0: at most 8192 */
	unsigned recompute;	/* TAPE_RECOMPUTE_*: the same results from less memory */
	struct schedule schedule;
	double	beta1, beta2, eps, decay;
	double	ema;		/* decay of a moving average of the weights; 0: none */
	double	z_loss;		/* of the mean over targets of the square of log-sum-exp */
	double	dropout;	/* where an architecture has it, after embeddings and layers */
	uint64_t seed;		/* of dropout */
	dtype	fake_quant;	/* train for weights in blocks of this type; NONE */
	double	clip;		/* global gradient norm; 0: none */
	double	spike;		/* deviations above the median that skip a step; 0: none */
	/* of experts (train/balance.h); negative: the config's factor, the family's rate */
	double	router_aux, router_z, balance_rate;
	double	ahead;		/* factor of losses ahead; negative: 0.1 where there are any */
};

/* Set betas that are negative to the optimizer's own; what it does not have is an error. */
int train_betas(struct train_options *o, struct err *err);

struct train_state {
	int64_t	step;		/* steps taken, skipped ones counted */
	int64_t	updates;	/* updates applied */
	int64_t	skipped;	/* skips in a row */
	int64_t	tokens;		/* trained on */
	double	best_loss;	/* lowest validation loss; 0: none yet */
	int64_t	best_step;
	int64_t	worse;		/* validations since then */
	double	loss_scale;	/* of fp16; 0: none */
	int64_t	good;		/* steps since it changed */
};

struct train_report {
	double	loss;		/* nats a target */
	double	norm;		/* of the gradient, before clipping */
	double	rate;
	double	flops;		/* of this rank, at full rows: 3 forward passes' worth */
	int64_t	tokens, targets;	/* of all ranks */
	int	skip;		/* 0, or why: enum skip */
	bool	routed;		/* there are experts, and these, a token's mean: nn/moe.h */
	double	balance, router_z;
	double	ahead;		/* loss of tokens further ahead; 0: none */
};

struct score_report {
	double	loss;		/* nats a target */
	double	bits_per_byte;	/* nats of all targets over UTF-8 bytes of the source */
	int64_t	tokens, targets, source_bytes;
};

struct trainer;

/* Borrows all three; valid may be NULL.  Allocates everything a step needs. */
struct trainer *trainer_new(struct model *model, struct loader *train, struct loader *valid,
    const struct train_options *o, struct err *err);
void trainer_free(struct trainer *t);

struct train_state *trainer_state(struct trainer *t);

/* FLOPs of one step of the full batch: 3 forward passes' worth. */
double trainer_flops(const struct trainer *t);

/* What the device can do at most, FLOP/s; 0 when it was not measured. */
double trainer_peak(const struct trainer *t);

/* Whether there are rows to validate on. */
bool trainer_valid(const struct trainer *t);

/* Whether there is a moving average of the weights. */
bool trainer_ema(const struct trainer *t);

/*
 * What a process that trains takes at most, its files' mappings not counted; of a
 * declared model, without allocating it.  Rows of valid_len tokens are validated
 * on; 0: none.
 */
struct train_memory {
	int64_t	parameters, gradients, optimizer;
	int64_t	activations;		/* of one pass, by the tape's plan */
	int64_t	validation;		/* the same, of a pass of validation */
	int64_t	kernels;		/* their scratch */
	int64_t	host;			/* batches, launches, the program itself */
	int64_t	total;
};

int train_memory(struct model *m, struct dev *dev, const struct train_options *o,
    int64_t row_len, int64_t valid_len, struct train_memory *r, struct err *err);

/* The same of a config, by llm-train's own options and rows as long as the context. */
int train_memory_usual(const struct config *c, struct dev *dev, struct train_memory *r,
    struct err *err);

int trainer_step(struct trainer *t, struct train_report *r, struct err *err);

/*
 * Before a step: its passes' gradients one by one, each a mean over its own
 * targets; the means over passes of their squared norms, and of 1 / targets.
 */
int trainer_norms(struct trainer *t, double *square, double *part, struct err *err);

/* *ema_loss is that of the moving average of the weights, NAN when there is none. */
int trainer_validate(struct trainer *t, struct score_report *r, double *ema_loss,
    struct err *err);

/*
 * Write model, optimizer.safetensors and state.json into dir, and the moving
 * average of the weights as a model directory TRAIN_EMA in it; read all but
 * the model, which model_load() has read.
 */
#define TRAIN_EMA "ema"
int trainer_save(struct trainer *t, const char *dir, struct err *err);
int trainer_restore(struct trainer *t, const char *dir, struct err *err);

#endif
