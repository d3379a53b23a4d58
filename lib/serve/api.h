/*
 * api - OpenAI's interface, and what goes beside it, over HTTP
 *
 * Names, shapes and errors are those that OpenAI's clients know.
 */
#ifndef SERVE_API_H
#define SERVE_API_H

#include "serve/audit.h"
#include "serve/guard.h"
#include "serve/http.h"
#include "serve/kept.h"
#include "serve/keys.h"
#include "serve/metrics.h"
#include "serve/served.h"
#include "serve/worker.h"

struct api_options {
	struct served	*const *model;	/* the first one answers who names none */
	int		 n_models;
	struct house	*house;		/* of the models */
	struct worker	*worker;
	struct metrics	*metrics;
	struct keys	*keys;		/* who may ask; NULL: all */
	struct guards	*guards;	/* what may go in and come out, at first; NULL: all */
	struct kept	*kept;		/* answers to be given again; NULL: none */
	struct audit	*audit;		/* where answers are written down; NULL: nowhere */
	/* Of each call that is over, a line; or NULL. */
	void		(*log)(void *ctx, const char *line);
	void		*log_ctx;
	bool		 seeded;	/* texts without a seed have that of the options */
	const char	*host;		/* that we listen on */
	bool		 local;		/* only this machine's names are ours */
	const char	*const *names;	/* more names that are ours, ended by NULL */
	const char	*cors;		/* another origin that may ask, "*": any; NULL: none */
	int64_t		 waiting;	/* requests that may wait at once */
	int64_t		 count;		/* tokens where none are said; 0: OpenAI's rule */
};

struct api;

/* All is borrowed until api_free(), which is called after http_close(). */
struct api *api_new(const struct api_options *o, struct err *err);
void api_free(struct api *a);

/* For http_options, with the api as ctx. */
void api_handle(void *ctx, struct http_call *c);
void api_over(void *ctx, struct http_call *c, int status, double seconds, bool whole);

/* Other rules than those it had, for requests that come from now on; any thread. */
void api_guard(struct api *a, struct guards *g);

/* From now on new requests are refused: the server ends. */
void api_end(struct api *a);

#endif
