/*
 * progress - how far a job is: what, how much, rate, time left
 *
 * Formats a line; who shows it (a tool, on stderr) is not its business.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	double	start, last;	/* seconds, from progress_now() */
	double	every;		/* seconds between lines */
};

double progress_now(void);	/* monotonic seconds */
void progress_start(struct progress *p, double every);

/* True when a line is due. */
bool progress_due(struct progress *p);

/*
 * "1.2M records, 340 MB of 1.0 GB (34%), 210 MB/s, 3 s left" into line.
 * total < 0: unknown.
 */
void progress_line(const struct progress *p, char *line, int size, int64_t count,
    const char *unit, int64_t done, int64_t total);

/* 1234567 -> "1.23M" (decimal) or "1.18 MiB" style for bytes. */
void human_count(char *s, int size, double n);
void human_bytes(char *s, int size, double n);

#endif
