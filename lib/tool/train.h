/*
 * train - what tools that train have in common: options, the run, its end
 *
 * Reads rows of tokens, trains a model on them, and leaves a run: a log, and
 * checkpoints that are model directories, or adapters' when there is an adapter
 * (its type is set).  Processes that a launcher started together (dev/ranks.h)
 * train one model, of which the first writes.  A tool is its table of options,
 * the group train_options among them, TRAIN_DEFAULTS, and train_main().
 */
#ifndef TOOL_TRAIN_H
#define TOOL_TRAIN_H

#include "base/progress.h"
#include "eval/sampling.h"
#include "model/adapter.h"
#include "tool/tool.h"
#include "train/run.h"

struct train {
	/* settings of the run, kept in run.json */
	const char	*model, *valid, *dtype, *optimizer, *moments, *schedule, *weights, *prompt;
	const char	*ramp, *fake_quant;
	int64_t		 steps, batch, micro, warmup, seed;
	double		 epochs, rate, floor, decay_part;
	double		 beta1, beta2, eps, decay, clip, spike, ema, z_loss, dropout;
	double		 router_aux, router_z, balance_rate, ahead;
	int64_t		 valid_every, save_every, sample_every, keep, patience;
	double		 save_time;
	bool		 no_shuffle;
	/* of this call only */
	const char	*output, *device, *profile, *recompute;
	int64_t		 threads;
	double		 max_time, wait;
	bool		 go_on, override, dry, quiet, verbose;
	/* of adapters, settings of the run too; type NULL: all of the model is trained */
	const char	*type, *targets, *rank_pattern, *alpha_pattern;
	int64_t		 rank;
	double		 alpha;
	bool		 rslora;
	/* what they become */
	const struct tool *tool;
	const char *const *kept;
	int64_t		 tokens;	/* of all steps */
	struct comm	*comm;		/* NULL: alone */
	int		 local;		/* this rank's number on its machine */
	struct run	 run;
	struct model	 m;
	struct progress	 progress;
	struct sampling	*sampling;	/* NULL: none */
};

extern const struct opt train_options[];

/* For the option table: TRAIN_OPTIONS(struct train) at its beginning. */
#define TRAIN_OPTIONS { .type = OPT_GROUP, .group = train_options }

#define TRAIN_DEFAULTS \
	.batch = 8192, .rate = 1e-3, .optimizer = "adamw", .moments = "fp32", \
	.dtype = "fp32", .recompute = "none", .schedule = "cosine", .warmup = -1, \
	.floor = 0.1, .decay_part = 0.2, .beta1 = -1, .beta2 = -1, .eps = 1e-8, \
	.decay = 0.1, .clip = 1, .spike = 20, .router_aux = -1, .balance_rate = -1, \
	.ahead = -1, .seed = 1, .save_time = 900, .keep = 3, .prompt = "", .wait = 300

/* Run the tool; kept: its own settings that a run keeps, or NULL.  The exit status. */
int train_main(const struct tool *tool, const char *const *kept, int argc, char **argv,
    struct train *o);

#endif
