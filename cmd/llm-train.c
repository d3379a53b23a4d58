/*
 * llm-train - train a model on packed shards
 *
 * Reads rows of tokens (llm-pack), trains a model directory (llm-init) on
 * them with AdamW, and leaves a run: a log, and checkpoints that are model
 * directories themselves.  Made for cron and requeued batch jobs: with
 * --continue the same command starts a run or goes on with it, and however
 * often it is stopped, the last checkpoint has the bytes of a run that never
 * was.  Memory: 16 bytes a parameter and the activations of one pass.
 */
#include "tool/train.h"

static const struct opt opts[] = { TRAIN_OPTIONS, { 0 } };

static const struct tool tool = {
	.name = "llm-train", .synopsis = "-m DIR -o RUN shard ...",
	.summary = "train a model on packed shards", .opts = opts,
};

int
main(int argc, char **argv)
{
	struct train o = { TRAIN_DEFAULTS };

	return train_main(&tool, NULL, argc, argv, &o);
}
