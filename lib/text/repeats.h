/*
 * repeats - every passage of n units or more that was there before, exactly
 *
 * A window is n units in a row of one text.  It is a repeat when an earlier
 * window, of any text or of the same one, has the same units; passages are what
 * repeated windows cover.  So all repeats of at least n units are found, the
 * first occurrence of each is none, and none reaches over the end of a text.
 *
 * That is what a suffix array with common prefixes tells, which takes 5 to 9
 * bytes a byte of text in memory, or a merge of arrays by random reads.  As n is
 * known beforehand, there is a way in bounded memory that only reads and writes
 * in sequence:
 *
 * 1. Of the k-grams in a window, k about n / 2, one with the least hash stands
 *    for it (winnowing; Schleimer, Wilkerson and Aiken 2003): equal windows
 *    choose equally, and windows beside each other mostly choose the same one.
 *    A table of two bits a cell counts those as none, one or more.
 * 2. The texts are read again.  A window whose k-gram is not there twice is no
 *    repeat.  The others are hashed by two polynomials modulo 2^61 - 1 and go,
 *    with their place, into buckets by hash; in a file when there are many.
 * 3. Each bucket is a set: who is in it before is the first, the others are
 *    repeats.  Their places are sorted by ranges, and make the list of passages.
 * 4. The texts are read once more, along that list.
 *
 * A collision in the table costs time, not exactness; two windows are taken
 * for equal by mistake with probability about 2^-120.  Passes 1 and 2 read
 * texts on any threads; the result depends on neither threads nor memory.
 */
#ifndef TEXT_REPEATS_H
#define TEXT_REPEATS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/team.h"
#include "text/cut.h"
#include "text/units.h"

#define REPEATS_MOST	65536			/* units of a window */
#define REPEATS_MEMORY	((int64_t)16 << 20)	/* the least that is used */

struct repeats;

/*
 * memory: all that the passes may take together.  bytes: about so many will be
 * read, for the size of the table.  dir, of files without a name, is borrowed.
 */
struct repeats *repeats_new(enum unit_kind kind, int64_t n, int64_t memory, int64_t bytes,
    const char *dir, struct err *err);
void repeats_free(struct repeats *x);		/* NULL is allowed */

/* A thread's room for passes 1 and 2.  Zeroed at first. */
struct repeats_scan {
	struct units	 units;
	uint64_t	*room;
};
void repeats_scan_free(struct repeats_scan *s);

/* Pass 1, a text; any thread.  Return 0 or -1. */
int repeats_count(struct repeats *x, struct repeats_scan *s, str text, struct err *err);

/* Pass 2: the windows of a text that may be repeats; any thread.  In arena. */
struct repeats_found {
	int64_t	windows;
	struct repeats_run {
		uint32_t	first, last;	/* windows */
		uint32_t	at;		/* byte where the first begins */
	}	*run;
	int64_t	n;
};
int repeats_find(const struct repeats *x, struct repeats_scan *s, str text,
    struct arena *arena, struct repeats_found *found, struct err *err);

/*
 * Then the same text, with the number that pass 4 will know it by; in order,
 * one thread.  Numbers rise.
 */
int repeats_add(struct repeats *x, int64_t number, str text, const struct repeats_found *found,
    struct err *err);

/* Pass 3. */
int repeats_settle(struct repeats *x, struct team *team, struct err *err);

/*
 * Pass 4, in order of numbers, one thread: the passages of this text that are
 * repeats, in *span until the next call.  Return how many, or -1; ERR_FORMAT
 * when the text is not the one that was read before.
 */
ptrdiff_t repeats_next(struct repeats *x, int64_t number, str text, struct span **span,
    struct err *err);

/*
 * What pass 1, or passes 1 to 3, found, in pieces; and piece by piece into one that
 * was made with the same arguments.  settled: it is that of pass 3.
 */
typedef int repeats_put(void *ctx, str piece, struct err *err);
int repeats_save(const struct repeats *x, repeats_put *put, void *ctx, struct err *err);
int repeats_load(struct repeats *x, bool settled, str piece, struct err *err);

/* For reports: windows read, candidates of pass 2, repeats, bytes written to files. */
struct repeats_stats {
	int64_t	windows, candidates, repeats, spilled;
};
struct repeats_stats repeats_stats(const struct repeats *x);

#endif
