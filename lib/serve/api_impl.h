/*
 * api_impl - what the parts of the API share: private to lib/serve
 */
#ifndef SERVE_API_IMPL_H
#define SERVE_API_IMPL_H

#include <stdatomic.h>

#include "base/json.h"
#include "serve/api.h"
#include "serve/errand.h"
#include "serve/flight.h"

struct api {
	struct api_options o;
	struct flights	*flights;		/* what is being written */
	struct errands	*errands;	/* of a guard's programs, or NULL */
	pthread_mutex_t	 lock;		/* of what follows */
	struct guards	*guards;	/* of requests that come; NULL: none */
	atomic_bool	 ending;
	atomic_llong	 count;		/* of ids */
	uint64_t	 run;		/* random: ids of one run are not another's */
};

/* Errors as OpenAI has them; param is the key that is wrong, or NULL. */
void api_fail(struct http_call *c, int status, const char *type, const char *code,
    const char *param, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* 400, of a request that is wrong; one that names its "key 'x'" has that as param. */
void api_refuse(struct http_call *c, const struct err *why);
/* Its body, where a stream has begun and cannot have a status. */
void api_error_body(struct buf *b, const char *type, const char *code, const char *param,
    const char *message);
void api_ok(struct http_call *c, struct buf *json);	/* which it frees */

/*
 * The model of a raw JSON value, of those that write texts or make vectors: p NULL
 * names the first.  NULL, and it was answered: there is none.
 */
struct served *api_model(struct api *a, struct http_call *c, str value, bool vectors,
    int *adapter);
/* Of the two functions of tokens: any. */
const struct tokenizer *api_tokens(struct api *a, struct http_call *c, str value,
    struct served **of);

/* "chatcmpl-", a number of this run: at least 40 bytes. */
void api_id(struct api *a, const char *prefix, char *id, size_t n);

/* Append the ids of an array of numbers. */
int api_read_ids(const json_t *list, const struct tokenizer *tok, struct ids *ids, struct err *err);

/* Is there room for another request?  If not, it was answered. */
bool api_room(struct api *a, struct http_call *c);

/* The key that a call came with; NULL where none is needed. */
struct key *api_key(const struct http_call *c);

/* A request for texts, as the guard left it. */
struct text_asked {
	struct api	*api;
	struct http_call *call;
	bool		 chat;
	struct served	*model;
	int		 adapter;
	str		 body;
	struct guards	*guards;	/* of it and its answer, or NULL */
	str		 verdict;	/* the guard's, raw JSON; empty: none */
};

/* Does a reply wait now?  If not, it was answered. */
bool api_text(const struct text_asked *asked);

/* The routes. */
void api_chat(struct api *a, struct http_call *c);
void api_completions(struct api *a, struct http_call *c);
void api_embeddings(struct api *a, struct http_call *c);
void api_models(struct api *a, struct http_call *c);
void api_model_told(struct api *a, struct http_call *c, const struct served *s, int adapter);
void api_tokenize(struct api *a, struct http_call *c);
void api_detokenize(struct api *a, struct http_call *c);
void api_feedback(struct api *a, struct http_call *c);
void api_metrics(struct api *a, struct http_call *c);
void api_slots(struct api *a, struct http_call *c);

/* A page, if there is one at the path of the call. */
bool api_page(struct http_call *c);

#endif
