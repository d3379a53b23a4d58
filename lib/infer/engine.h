/*
 * engine - sequences over one model, with a paged cache of keys and values
 *
 * A sequence is its tokens and the cache blocks of CACHE_BLOCK rows that hold
 * what was computed of them.  engine_run() computes what is pending, however
 * many tokens and sequences that is, in passes of bounded size; how it is cut
 * into passes, and what runs beside it, never changes a bit of a result.
 *
 * Layers that attend to a window of the model's keep that, a pass, and a little
 * for tokens that are taken back, where this is less than all.  Who takes back
 * more has all computed again.
 *
 * With a window (StreamingLLM, arXiv 2309.17453) a sequence has no end: a token
 * sees the first tokens, the sinks, and at least the window before it.  What is
 * between is dropped an eighth of the window at once, and positions close the
 * gap: those after it go on, and the sinks are computed again right before them,
 * with the first token that sees less.  So passes end there, whatever their size.
 */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include "model/model.h"

enum { CACHE_BLOCK = 16 };

struct engine_options {
	int64_t	pass;		/* tokens a pass; 0: 512 */
	int64_t	seqs;		/* sequences at once; 0: 1 */
	int64_t	rows;		/* tokens of a run whose logits are wanted; 0: one a sequence */
	int64_t	cache;		/* tokens the cache holds in all; 0: a context a sequence */
	int64_t	early;		/* layers of engine_guess(); 0: it is not used */
	int64_t	window, sinks;	/* tokens, rounded up to whole blocks; window 0: none is dropped */
	dtype	kv;		/* of the cache (model.h); NONE: that of activations */
	bool	keep;		/* blocks that others may find: seq_find() */
	/* with keep, bytes for blocks beyond the cache: of memory, of a file in a directory */
	int64_t	spill, spill_disk;	/* 0: none */
	const char *spill_dir;		/* borrowed */
	void	(*warn)(void *ctx, const struct err *err);	/* the first fault there; or NULL */
	void	*warn_ctx;
	bool	plain;		/* with Q8_0 and Q4_0: heads are not turned, to compare */
};

struct engine;
struct seq;

struct engine *engine_new(struct model *model, const struct engine_options *o, struct err *err);
const struct config *engine_config(const struct engine *e);
const struct engine_options *engine_settings(const struct engine *e);	/* without zeros */
/* Tokens that a sequence may have, and those of it that are in the cache at most. */
int64_t engine_context(const struct engine *e);
int64_t engine_holds(const struct engine *e);
/* Tokens of the whole cache; those no sequence has; those of them that may be found again. */
int64_t engine_cache(const struct engine *e);
int64_t engine_unused(const struct engine *e);
int64_t engine_kept(const struct engine *e);
/* What is kept beyond the cache, blocks but for the first; 0: nothing is. */
struct engine_offloaded {
	int64_t	block_bytes;
	int64_t	memory, disk;		/* that there is room for */
	int64_t	in_memory, on_disk;
	/* since it was asked for last: that came back; for want of room; faults, of both ways */
	int64_t	from_memory, from_disk, lost, faults;
};
void engine_offloaded(struct engine *e, struct engine_offloaded *s);
/* Seconds that a token of a prompt takes: what takes longer to read is computed. */
void engine_pace(struct engine *e, double token_seconds);
/* Can it have a window?  0, or -1 with the reason. */
int engine_window_check(const struct config *c, struct err *err);
/* The largest window that lies with these sinks in the model's context; 0: none. */
int64_t engine_window_most(const struct config *c, int64_t sinks);
/* What engine_new() takes of a declared model's device and host, bytes; -1: a failure. */
int64_t engine_bytes(struct model *model, const struct engine_options *o, struct err *err);
/* And what there will be room for beyond the cache: 0, or -1. */
int engine_spill(struct model *model, const struct engine_options *o,
    struct engine_offloaded *s, struct err *err);

void engine_free(struct engine *e);		/* after its sequences */

struct seq *seq_new(struct engine *e, struct err *err);
void seq_free(struct seq *s);

/*
 * Another sequence with the same tokens, and what was computed of them: cache
 * blocks are shared as long as both have the same tokens in them.
 */
struct seq *seq_fork(const struct seq *s, struct err *err);

/*
 * A sequence and what was computed of it to a file, llm-cache(5), and another
 * one from it: of the same model and type of cache, or it is ERR_FORMAT.  Of
 * one beyond the model's context, or of which a window dropped something, the
 * file is of an empty sequence.
 */
int seq_save(const struct seq *s, const char *path, struct err *err);
struct seq *seq_load(struct engine *e, const char *path, struct err *err);
struct in;
struct seq *seq_read(struct engine *e, struct in *in, struct err *err);	/* from any bytes */

/* Append tokens; ERR_LIMIT when engine_context() would be passed. */
int seq_push(struct seq *s, const int32_t *token, int64_t n, struct err *err);

/* Forget all but the first n tokens; or all from the first other one on: how many are left. */
void seq_truncate(struct seq *s, int64_t n);
int64_t seq_keep(struct seq *s, const int32_t *token, int64_t n);
int64_t seq_length(const struct seq *s);
int64_t seq_computed(const struct seq *s);	/* tokens that need not be again */
/* How many more tokens can be computed and taken back, and all before them need not be. */
int64_t seq_steady(const struct seq *s);
const int32_t *seq_tokens(const struct seq *s);		/* good until the next push */

/* The adapter (adapters.h) that it is computed with; 0: none, as at first.  Another forgets all. */
void seq_adapt(struct seq *s, int adapter);

/*
 * Go on with what was computed for others, or before, as far as it is token[0, n) and
 * but for the last one: whole blocks behind all that s has, which is the beginning of
 * it.  Return how many tokens s has then, or -1.  What is computed later has the same
 * bits as without.  Only sequences of the same adapter and the same salt (0 at first;
 * another forgets all) find what one has.
 *
 * For this an engine with keep leaves blocks of the cache as they are when a
 * sequence ends, and gives up the one that was not used for the longest time when
 * there is none else.  Layers with a window keep all then, as others do.  With a
 * window of the engine, or states, blocks are not all that goes on: keep is off.
 *
 * With spill what is given up goes on to memory and a disk, and comes back here, with
 * the same bits.  seq_coming(): more of it does, and will be found soon; engine_await()
 * waits for some of it, or a moment.
 */
int64_t seq_find(struct seq *s, const int32_t *token, int64_t n, struct err *err);
bool seq_coming(const struct seq *s);
void engine_await(struct engine *e);
void seq_salt(struct seq *s, uint64_t salt);

/* Of how many of its last tokens the following runs are to give logits; 1 at first. */
void seq_want(struct seq *s, int64_t rows);

/*
 * Compute the pending tokens of n different sequences, at most as many as the
 * engine is for.  Then seq_logits() of each is V floats for the token after its
 * last, good until the next run or its truncation; NULL of an empty sequence.
 * Before it lie those of the other tokens wanted, each V further back.
 * A full cache is ERR_LIMIT, and nothing was computed.
 */
int engine_run(struct engine *e, struct seq *const *seq, int n, struct err *err);
const float *seq_logits(const struct seq *s);

/*
 * Guess the logits after the last token by the model's first layers alone.  Its
 * tokens stay pending, and no result depends on a guess.  With a window all that
 * are pending see the same tokens: seq_steady().
 */
int engine_guess(struct engine *e, struct seq *s, struct err *err);

#endif
