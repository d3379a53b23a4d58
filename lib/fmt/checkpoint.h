/*
 * checkpoint - a run's directory of training states, each whole or not there
 *
 * A checkpoint is a model directory with state.json and optimizer.safetensors
 * in it (llm-checkpoint(5)).  Its files are written into a hidden directory,
 * synced and hashed; checksums.json lists them; then one rename makes it
 * run/step-00000100, and run/latest is swapped to it.  A process that is
 * killed at any point leaves the newest whole checkpoint findable.
 *
 * One process at a time writes a run: run_lock().  A checkpoint may hold
 * directories of files ("ema"), and these no others.
 */
#ifndef FMT_CHECKPOINT_H
#define FMT_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CHECKPOINT_PATH 4096	/* bytes that hold any path made here */

/*
 * Make directory run if need be and lock it for the life of the descriptor
 * that is returned (-1: another process has it, and err says which).
 */
int run_lock(const char *run, struct err *err);

struct checkpoint;

/*
 * Begin that of a step; half ones that a killed process left are removed.
 * The caller writes files into checkpoint_dir(), then commits or aborts, which
 * both free it.
 */
struct checkpoint *checkpoint_begin(const char *run, int64_t step, struct err *err);
const char *checkpoint_dir(const struct checkpoint *c);

/*
 * Sync, hash, rename, and point run/latest to it.  One of the same step that
 * is there is replaced.  Return 0 or -1.
 */
int checkpoint_commit(struct checkpoint *c, struct err *err);
void checkpoint_abort(struct checkpoint *c);		/* NULL is allowed */

/* Check every file's size and XXH3.  Return 0, or -1 and what is wrong. */
int checkpoint_verify(const char *dir, struct err *err);

/*
 * The newest that verifies: its path (CHECKPOINT_PATH bytes) and step.  Those
 * that are passed over for damage are told to complain(), which may be NULL.
 * Return 1, 0 when there is none, -1.
 */
int checkpoint_newest(const char *run, char *path, int64_t *step,
    void (*complain)(void *ctx, const char *message), void *ctx, struct err *err);

/* The path of a step's checkpoint, there or not. */
int checkpoint_path(const char *run, int64_t step, char *path, struct err *err);

/* Point the link run/name ("best") to a step's checkpoint, in one move. */
int checkpoint_link(const char *run, const char *name, int64_t step, struct err *err);

/* The step that link run/name points to, or -1. */
int64_t checkpoint_linked(const char *run, const char *name);

/* Remove all but the newest keep (at least 1) and those that a link points to. */
int checkpoint_prune(const char *run, int keep, struct err *err);

#endif
