/*
 * draw - numbers for tests that are the same on every run
 */
#ifndef TESTS_DRAW_H
#define TESTS_DRAW_H

#include <stdint.h>

static uint64_t draw_state = 1;		/* where they begin */

/* One of 0 to n - 1.  Knuth, MMIX. */
static inline uint32_t
draw(uint32_t n)
{
	draw_state = draw_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((draw_state >> 33) % n);
}

#endif
