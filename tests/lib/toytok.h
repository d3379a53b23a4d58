/*
 * toytok - a tokenizer for tests of grammars
 *
 * Every byte, then common and odd pieces of JSON and of characters, then
 * special tokens: <think>, </think> and, last, <eos>.
 */
#ifndef TESTS_TOYTOK_H
#define TESTS_TOYTOK_H

#include "token/tokenizer.h"

/* Bails out of the test when it cannot. */
struct tokenizer *toytok(void);

/* Append its tokenizer.json. */
void toytok_file(struct buf *b);

#endif
