/*
 * server - all that serves, opened in one go and ended in the right order
 */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include "serve/api.h"
#include "serve/http.h"

struct server_options {
	struct http_options http;	/* but for its functions */
	struct api_options api;		/* models and how they are asked; its parts are ours */
	struct house_options house;	/* but for its models and metrics: ours */
	struct audit_options audit;	/* nothing is written down without a path */
	const char	*key_file;	/* NULL: none are needed */
	const char	*rules;		/* of guards (guard.h); NULL: none */
	int64_t		 keep_answers;	/* bytes of answers that are given again; 0: none are */
	double		 keep_for;	/* seconds */
	const char	*device;	/* as it is told in counts */
	/* A device failed, told once from the engine's thread: it is to be closed. */
	void		(*failed)(void *ctx, const struct err *err);
	void		*ctx;
};

struct server;

/* What is borrowed is good until server_close(). */
struct server *server_open(const struct server_options *o, struct err *err);
int server_port(const struct server *s);

/*
 * Read keys and rules again, and models and adapters that changed; reopen logs.  What is
 * wrong with each is told, and it is as it was.
 */
void server_reread(struct server *s, void (*warn)(void *ctx, const char *line), void *ctx);

/* No new requests; how many are not over. */
void server_refuse(struct server *s);
int server_left(struct server *s);

/* What is left is broken off. */
void server_close(struct server *s);

#endif
