/*
 * solo - whether one thread is faster than all of them
 *
 * A token takes hundreds of short regions, each of which waits for its last
 * thread.  Where another program has one of the processors, that thread is off
 * for milliseconds at a time, and one thread alone is faster.  It is found by
 * the clock: now and then some passes are tried the other way.
 */
#ifndef INFER_SOLO_H
#define INFER_SOLO_H

#include <stdbool.h>

enum { SOLO_FIRST = 8, SOLO_TRY = 4, SOLO_ALL = 256, SOLO_ALONE = 32 };	/* passes */

struct solo {
	bool	alone, trying;
	int	left;			/* passes until it is tried, or judged */
	struct {
		double	sum, most;
		int	n;
	} took[2];			/* seconds of passes, by all and alone */
};

/* Zeroed is how it starts.  Is the next pass for one thread? */
bool solo_next(const struct solo *s);
void solo_took(struct solo *s, double seconds);

#endif
