/*
 * number - counts, shares and times as people write them
 *
 * Each takes a whole string and says in err what is wrong with it (ERR_ARG): 0 or -1.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdint.h>

#include "base/err.h"

/* "12", "1.5M", "1e6" with k M G T as powers of unit (1000 or 1024). */
int number_count(const char *arg, int unit, int64_t *n, struct err *err);

/* "2.5", "2%" for 0.02. */
int number_real(const char *arg, double *x, struct err *err);

/* Seconds: "90", "15m", "1h30m". */
int number_seconds(const char *arg, double *x, struct err *err);

#endif
