/*
 * rowtime - what a pass of so many rows takes, by the clock
 *
 * Means of those that had about as many rows: exact up to 8, four classes an octave
 * above.  Between classes that were measured it is a line; beyond them a pass takes as
 * if it had ROWTIME_BESIDE rows more than it has, and each the same.
 */
#ifndef INFER_ROWTIME_H
#define INFER_ROWTIME_H

#include <stdbool.h>
#include <stdint.h>

enum { ROWTIME_CLASSES = 48, ROWTIME_BESIDE = 8 };

/* Zeros at first. */
struct rowtime {
	struct {
		double	rows, seconds;	/* means */
		int	n;		/* passes, as far as they are counted */
	} of[ROWTIME_CLASSES];
};

/* A pass took so long.  One that says another thing than all before is believed in part. */
void rowtime_learn(struct rowtime *t, int64_t rows, double seconds);

/* Seconds; 0: nothing was measured. */
double rowtime_of(const struct rowtime *t, int64_t rows);

/* Were passes of about so many rows measured, more than once? */
bool rowtime_knows(const struct rowtime *t, int64_t rows);

#endif
