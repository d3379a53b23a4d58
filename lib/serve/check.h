/*
 * check - texts on their way through the guard, without holding up the HTTP thread
 *
 * Rules of our own look at once.  Where a program has to be asked, that is an errand,
 * and the call is woken when it is done.  Where memory fails, nothing passes.
 */
#ifndef SERVE_CHECK_H
#define SERVE_CHECK_H

#include "serve/errand.h"
#include "serve/guard.h"
#include "token/tokenizer.h"

/* An answer. */
struct check;

/* For a call; the thread is asked for when the guard holds answers back. */
struct check *check_new(struct guards *g, struct errands *thread, struct http_call *call,
    struct err *err);
void check_free(struct check *k);		/* NULL: nothing */

/* More of its text; last: it is whole. */
void check_add(struct check *k, str more, bool last);

/* What may be told so far; is it all?; was the rest blocked? */
str check_text(struct check *k);
bool check_over(struct check *k);
bool check_blocked(struct check *k);

/* Append what rules found, as guard_stream_verdict(), unless it is being looked at. */
void check_verdict(struct check *k, struct buf *b);

/*
 * The texts in a request's body, those of token ids too: append the body with what is
 * redacted, and the verdict.  0; 1 when it is blocked; -1.
 */
int check_body(struct guards *g, const struct tokenizer *tok, str body, struct buf *out,
    struct buf *verdict, struct err *err);

#endif
