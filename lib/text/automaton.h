/*
 * automaton - all places of many strings in one pass
 *
 * Aho and Corasick, Efficient String Matching (CACM 18, 1975), as a table of a
 * row for each prefix and a column for each byte that a pattern has.  ASCII
 * letters are the same in both cases; of a pattern with others, its forms
 * Like This, LIKE THIS and like this are found too.  Time is a table's look-up
 * for each byte of the text, whatever the number of patterns.
 */
#ifndef TEXT_AUTOMATON_H
#define TEXT_AUTOMATON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define AUTOMATON_MAX	((ptrdiff_t)256 << 20)	/* bytes of its table */

struct automaton;

/* The patterns are needed no longer; empty ones are none.  NULL when it would be too large. */
struct automaton *automaton_new(const str *pattern, ptrdiff_t n, struct err *err);

/*
 * How many places of text have a pattern, at most most: it stops there.  A place
 * counts once for each pattern that ends there.  words: no letter, digit or other
 * word character may be beside it.
 */
int64_t automaton_count(const struct automaton *a, str text, bool words, int64_t most);

/* A walk along a text; zeros at its start. */
struct automaton_walk {
	ptrdiff_t	at, safe;	/* no place that is found later begins before safe */
	int32_t		node, ends;	/* private */
};

/*
 * The next place with a pattern as a word, in the order of their ends: true, or false when there is
 * none.  text is whole characters; with more it goes on behind text.n, and the next call has a
 * longer one.  When n bytes at its start are forgotten, at and safe are n less; the character
 * before safe must stay.
 */
bool automaton_next(const struct automaton *a, struct automaton_walk *walk, str text, bool more,
    ptrdiff_t *start, ptrdiff_t *end);
void automaton_free(struct automaton *a);

#endif
