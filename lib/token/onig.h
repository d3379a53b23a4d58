/*
 * onig - regular expressions as Oniguruma has them, on PCRE2
 *
 * Those of tokenizer.json are such.  They are translated to what PCRE2 takes
 * for the same, and compiled by its JIT.  What \s, \w, \b, \h and [[:alpha:]]
 * match is that of Oniguruma, with the Unicode of the PCRE2 library.  What has no
 * translation is an error that names it; a search that takes too long is one too.
 */
#ifndef TOKEN_ONIG_H
#define TOKEN_ONIG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* Immutable. */
struct onig;
struct onig *onig_new(str regex, bool literal, struct err *err);
void onig_free(struct onig *p);

/* From {"Regex": ...} or {"String": ...}; what: of which component it is. */
struct onig *onig_read(const json_t *json, const char *what, struct err *err);

/* A thread's memory, and what the text under way may still cost. */
struct searcher;
struct searcher *searcher_new(struct err *err);
void searcher_free(struct searcher *m);
void searcher_start(struct searcher *m, ptrdiff_t n);	/* a text of n bytes */

/* A walk over the matches of a text; zeroed at first, but for last: -1. */
struct matches {
	ptrdiff_t	at;		/* where to go on */
	ptrdiff_t	last;		/* the end of the last match */
	ptrdiff_t	start, end;	/* the match, which may be empty */
};

/* The next match in valid UTF-8.  Return 1, 0 at the end, -1. */
int onig_next(const struct onig *p, struct searcher *m, str text, struct matches *it,
    struct err *err);

#endif
