/*
 * http - requests in, answers out, over libmicrohttpd
 *
 * One thread reads requests and hands each over when it is whole.  It is answered
 * at once, or later: whoever has something for it wakes it from any thread, and all
 * else of a call happens in the one thread.  An answer goes out whole, or in pieces
 * as they come.
 *
 * Requests have limits: bytes of headers (32 KiB) and body, seconds until they are
 * whole, and connections at once.  A client that goes away, or closes its half, ends
 * its call at once, also while it only waits.
 */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include "base/err.h"
#include "base/str.h"

struct http;
struct http_call;

#define HTTP_SILENCE 15.0

struct http_options {
	const char	*host;		/* address or name to listen on */
	int		 port;		/* 0: a free one */
	const char	*path;		/* of a Unix socket, instead; or NULL */
	int64_t		 connections;
	int64_t		 body;		/* bytes */
	double		 patience;	/* seconds: for a request, for a reader to take some */
	/* A whole request: http_answer() it, http_stream() it, or let it http_wait(). */
	void		(*handle)(void *ctx, struct http_call *c);
	/* A call that was handled is over; whole: all of its answer went out. */
	void		(*over)(void *ctx, struct http_call *c, int status, double seconds,
			    bool whole);
	void		*ctx;
};

/* What is served is served until http_close(), which ends all calls. */
struct http *http_open(const struct http_options *o, struct err *err);
void http_close(struct http *h);

int http_port(const struct http *h);		/* 0 with a Unix socket */
void http_refuse(struct http *h);		/* no new connections */
int http_answering(struct http *h);		/* calls that are not answered whole */

/* Of a request; good until its call ends.  p is NULL where there is none. */
str http_method(const struct http_call *c);
str http_path(const struct http_call *c);
str http_body(const struct http_call *c);
str http_header(const struct http_call *c, const char *name);
const char *http_peer(const struct http_call *c);	/* an address; "unix" */

/* Of its answer; 0: there is none yet. */
int http_status(const struct http_call *c);

/* Something of the server's own that goes with a call; NULL at first. */
void http_note(struct http_call *c, void *note);
void *http_noted(const struct http_call *c);

/* What a call that waits is about. */
struct http_waiter {
	/* It was woken: answer it, or leave it waiting. */
	void		(*ready)(void *ctx, struct http_call *c);
	/*
	 * Of a stream: bytes written to, at most n; 0: none yet; -1: its end.  It is asked
	 * each HTTP_SILENCE seconds at least, for what keeps proxies from giving up.
	 */
	ptrdiff_t	(*read)(void *ctx, char *to, ptrdiff_t n);
	/* All went out, or not; called once, and ctx is not used again. */
	void		(*end)(void *ctx, bool whole);
};
void http_wait(struct http_call *c, const struct http_waiter *w, void *ctx);

/* From any thread, before its end() is called: ready() or read() is called soon. */
void http_wake(struct http_call *c);

/* Headers come before the answer; the body is copied. */
void http_set(struct http_call *c, const char *name, const char *value);
void http_answer(struct http_call *c, int status, const char *type, str body);

/* Answer a call that waits by what its read() gives. */
void http_stream(struct http_call *c, int status, const char *type);

#endif
