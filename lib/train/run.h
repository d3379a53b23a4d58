/*
 * run - a training run's directory: made for cron and requeued batch jobs
 *
 *	run.json		settings and inputs, written before step 1
 *	log.jsonl		a line a step, a validation, an event
 *	step-00000100/		checkpoints (llm-checkpoint(5))
 *	latest, best		links to two of them
 *	lock			held while a process trains
 *
 * Starting and going on are one call: what the directory holds decides.
 */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include <stdio.h>

#include "base/json.h"
#include "fmt/checkpoint.h"
#include "train/trainer.h"

struct run {
	char	 dir[3072];
	json_t	*settings;		/* the run's own, after opening */
	json_t	*shards;		/* names of its shards */
	json_t	*inputs;		/* hashes or sizes of what it was started with */
	int64_t	 step;			/* of the checkpoint to go on from; 0: none */
	char	 from[CHECKPOINT_PATH];	/* its directory, later the newest's, or "" */
	unsigned flags;
	int	 lock;
	FILE	*log;
	struct loader *rows, *valid;	/* run_data(); valid NULL: none */
};

enum {
	RUN_CONTINUE = 1,		/* go on when it exists */
	RUN_OVERRIDE = 2,		/* take changed settings */
	RUN_BASE = 4,			/* its model is needed to go on, too */
	RUN_LOOK = 8,			/* nothing is written: another rank does it, or nobody */
};

/*
 * given: settings that were asked for; all: the same with defaults; shards:
 * names, ended by NULL.  "model" and "valid" are names too, and are kept
 * absolute, so that a run goes on from any directory.  A new run takes all
 * settings, and needs a model and shards.  An old one keeps its own, and given
 * ones that differ are an error without RUN_OVERRIDE.  Damaged checkpoints
 * that are passed over go to complain().  Returns 0 or -1; run_close() in both
 * cases.
 */
int run_open(struct run *r, const char *dir, const json_t *given, const json_t *all,
    char *const *shards, unsigned flags, void (*complain)(void *ctx, const char *message),
    struct err *err);

/*
 * Open the shards, "3,1" of them by weights or NULL, and the rows to validate
 * on.  What tells them and the model from others must be what the run was
 * started with (or RUN_OVERRIDE); it and the settings go to run.json.
 */
int run_data(struct run *r, uint64_t seed, bool shuffle, const char *weights, struct err *err);
void run_close(struct run *r);

/* Append a line to log.jsonl, or nothing with RUN_LOOK; takes the reference. */
int run_log(struct run *r, json_t *line, struct err *err);

#define RUN_SHARDS 4096			/* shards of one run, at most */

/*
 * What stops or saves a run from outside; the tool's signal handlers know.  The
 * strongest wish of all ranks counts: RUN_ENOUGH is that max_seconds are over.
 */
enum run_wish { RUN_GO, RUN_SAVE, RUN_ENOUGH, RUN_STOP };

struct run_options {
	struct comm *comm;		/* the trainer's; only rank 0 writes */
	int64_t	steps;
	int64_t	valid_every, save_every, sample_every;	/* steps; 0: at the end only, never */
	double	save_seconds, max_seconds;		/* 0: no such limit */
	int64_t	keep;			/* newest checkpoints that stay; 0: all */
	int64_t	patience;		/* validations without gain that stop; 0: none */
	/* Called between steps. */
	enum run_wish (*wish)(void *ctx);
	/* A text written by the model at this step goes into the log; NULL on failure. */
	json_t	*(*sample)(void *ctx, int64_t step, struct err *err);
	/* Copy what else a checkpoint holds (tokenizer files) into dir. */
	int	(*extra)(void *ctx, const char *dir, struct err *err);
	void	(*progress)(void *ctx, int64_t step, const struct train_report *r, double rate);
	void	*ctx;
};

enum run_end { RUN_DONE, RUN_EARLY, RUN_TIME, RUN_STOPPED };

/* Train to the end, or until something ends it; saves before it returns. */
int run_train(struct run *r, struct trainer *t, const struct run_options *o,
    enum run_end *end, struct err *err);

#endif
