/*
 * scan - the well-known pre-tokenizer patterns, by hand
 *
 * Cuts text as the regular expressions below do, at memory speed: ASCII by
 * table, the rest by decoding.  Any bytes are safe to scan; in bytes that are
 * not UTF-8 each bad one counts as a symbol of its own.
 */
#ifndef TOKEN_SCAN_H
#define TOKEN_SCAN_H

#include <stdint.h>

#include "base/str.h"

enum scan {
	SCAN_NONE,	/* the whole slice is one word */
	SCAN_GPT2,
	SCAN_LLAMA3,	/* also cl100k as Hugging Face writes it */
	SCAN_QWEN2,
	SCAN_BERT,	/* no pattern: white space, punctuation one by one, and the rest */
};

/* The pattern of a kind, and the kind of a pattern (SCAN_NONE: not one of ours). */
const char *scan_pattern(enum scan kind);
enum scan scan_of(str pattern);

/*
 * Cut words off [p, end), p < end: word i ends at p + cut[i].  Stops after max
 * words, or 1 GiB.  Return how many, at least 1.  class is from uclass_new().
 */
int scan_words(enum scan kind, const uint8_t *class, const char *p, const char *end,
    int32_t *cut, int max);

#endif
