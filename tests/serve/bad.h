/*
 * bad - requests that no server should be hurt by, and what it may answer to each
 */
#ifndef SERVE_BAD_H
#define SERVE_BAD_H

#include "client.h"

int bad_count(void);
const char *bad_name(int which);

/* The request, and how it is sent. */
void bad_make(int which, struct exchange *e, const char *host, bool chat);

/* Is what came of it among what it may be?  Return 0, or -1: err says why not. */
int bad_check(int which, const struct exchange *e, struct err *err);

#endif
