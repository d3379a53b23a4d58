/*
 * house - which models are in memory: a model is there, coming, going, or away
 *
 * Texts enter a model and leave it.  One that is asked for and away is loaded when there is
 * room for it; for that the model that was idle for the longest time goes.  Where all are
 * busy, the one that was idle longest ago is shut: who comes now waits, its last text
 * leaves, it goes.  So the model that was asked for first comes first, and none waits for
 * ever; and one that came stays open as long at least as its loading took, so that half of
 * the time is work.  Nothing goes while a text is in it.
 *
 * One thread of the house loads and unloads, one model at a time, and holds nobody up who
 * asks, computes or speaks HTTP.  Who enters is one thread, the engine's; what is told
 * here is told to any.
 */
#ifndef SERVE_HOUSE_H
#define SERVE_HOUSE_H

#include "serve/metrics.h"
#include "serve/served.h"

struct house_options {
	struct served	*const *model;	/* borrowed, and not loaded */
	int		 n_models;
	int64_t		 memory;	/* bytes of those in memory; 0: all are loaded, and stay */
	double		 unload_after;	/* seconds that one is idle; 0: it stays */
	struct metrics	*metrics;
	void		(*log)(void *ctx, const char *line);	/* what comes and goes; or NULL */
	void		(*warn)(void *ctx, const char *line);	/* what fails */
	void		*log_ctx;
};

struct house;

/* NULL when a model is beyond the memory; or, where all are loaded, that fails. */
struct house *house_new(const struct house_options *o, struct err *err);
void house_free(struct house *h);	/* all are unloaded, nobody is in them; NULL: nothing */

/* Called of any thread when those who wait may get in, or will not; ask again. */
void house_watch(struct house *h, void (*changed)(void *ctx), void *ctx);

/*
 * A text is to be written.  IN: it may be, until it leaves.  WAITS: ask again, with
 * waited set, or give up.  FAILED: it cannot be loaded; the next one to ask tries again.
 */
enum house_answer { HOUSE_IN, HOUSE_WAITS, HOUSE_FAILED };
enum house_answer house_enter(struct house *h, const struct served *s, bool waited,
    struct err *why);
void house_give_up(struct house *h, const struct served *s);
void house_leave(struct house *h, const struct served *s, int n);	/* n that were in it */

/*
 * Models whose files, or whose adapters' files, are others now: texts that are in them end
 * as they began, and then the models are loaded anew.  0, or -1 with the first that would
 * not be loaded, which stays as it is.
 */
int house_reread(struct house *h, struct err *err);

/* Is it in memory now? */
bool house_has(struct house *h, const struct served *s);

/* Append what all take, and of how many there is room for at once. */
int house_describe(struct served *const *model, int n, int64_t memory, struct buf *b,
    struct err *err);

#endif
