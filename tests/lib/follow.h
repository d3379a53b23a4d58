/*
 * follow - walk a grammar along its masks, for fuzz targets
 *
 * Draws tokens of the toy tokenizer.  Aborts when a token that the mask allows
 * does not go on, or when nothing may follow a text that is not done.
 */
#ifndef TESTS_FOLLOW_H
#define TESTS_FOLLOW_H

#include <stdint.h>

#include "base/buf.h"
#include "infer/matcher.h"

/*
 * The text goes to text, if given.  Return 1 when it is a whole one; 0 when it
 * was not after that many tokens, or a limit was met.  g NULL: 0.
 */
int follow(const struct grammar *g, uint64_t seed, int steps, struct buf *text);

#endif
