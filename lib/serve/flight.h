/*
 * flight - one generation for all who ask for the same
 *
 * What is being written, or read by somebody, is found by its key, and so is what was
 * kept of what is over.  A key is all of a request that its text is a function of
 * (serve/kept.h); the caller asks only for what would come out the same again.
 *
 * One thread's.
 */
#ifndef SERVE_FLIGHT_H
#define SERVE_FLIGHT_H

#include "serve/generation.h"
#include "serve/kept.h"

struct flights;
struct flight;

/* Append the members of a body that change a text, in an order that is always the same. */
int flights_parameters(str body, struct buf *out, struct err *err);

/* kept is borrowed; NULL: what is over is not kept. */
struct flights *flights_new(struct kept *kept, struct err *err);
void flights_free(struct flights *s);	/* nobody has a part in it; NULL: nothing */

/*
 * The generation of a key, held for the caller.  *part is one in what is being written,
 * to be given back, or NULL: it was kept.  NULL when there is none.
 */
struct generation *flights_find(struct flights *s, str key, struct flight **part);

/* A new one, which the caller has the first part in.  NULL when memory fails. */
struct flight *flights_add(struct flights *s, str key, struct generation *g, struct err *err);

/* The last one to leave a whole generation keeps it.  NULL: nothing. */
void flights_leave(struct flights *s, struct flight *part);

#endif
