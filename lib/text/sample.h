/*
 * sample - which records are taken, as a function of their content
 *
 * A record's key is a hash of its id (or of its text) under a seed.  The
 * choice depends on the keys alone, so it is the same in any order, on any
 * number of threads and in any piece of the data.
 */
#ifndef TEXT_SAMPLE_H
#define TEXT_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Two records with one id still differ in line. */
struct sample_key {
	uint64_t	id, line;
};

static inline bool
sample_less(struct sample_key a, struct sample_key b)
{
	return a.id != b.id ? a.id < b.id : a.line < b.line;
}

/*
 * What the raw value of a record's id says: its text, or the value itself when it is no
 * string.  Without one, or an empty one, the text is what a record is known by.
 * Return 1, 0 without an id, -1.
 */
int sample_id(str value, struct buf *b, str *id, struct err *err);

/* The highest id that a rate in [0, 1] takes; false when it takes none. */
bool sample_limit(double rate, uint64_t *highest);

/* The n smallest of the keys that were added; all zero but n to begin with. */
struct smallest {
	int64_t		   n;		/* wanted, at least 1 */
	int64_t		   held, cap;
	struct sample_key *key;		/* a heap, the greatest first */
};

/* Return 0, or -1 when memory fails: 16 bytes a key held. */
int smallest_add(struct smallest *s, struct sample_key k, struct err *err);

/*
 * The greatest key held, and how many held keys equal it: records with the
 * same id and the same line, of which only so many are taken.
 */
struct sample_key smallest_last(const struct smallest *s, int64_t *equal);
void smallest_free(struct smallest *s);

#endif
