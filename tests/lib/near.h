/* How far numbers are from those that were expected. */
#ifndef TESTS_NEAR_H
#define TESTS_NEAR_H

#include <math.h>
#include <stdint.h>

/* The root of the differences' squares over those of b; NULL is infinitely far. */
static inline double
relative(const float *a, const float *b, int64_t n)
{
	double d = 0, all = 0;

	for (int64_t i = 0; a != NULL && b != NULL && i < n; i++) {
		d += pow((double)a[i] - (double)b[i], 2);
		all += pow((double)b[i], 2);
	}
	return all > 0 ? sqrt(d / all) : (double)INFINITY;
}

#endif
