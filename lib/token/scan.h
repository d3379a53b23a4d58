/*
 * scan - the well-known pre-tokenizer patterns, by hand
 *
 * Cuts text as the regular expressions of scan_pattern() do, at memory speed:
 * 64 bytes at a time, by masks of one bit a byte; what is rare by decoding.
 * Any bytes are safe to scan; in bytes that are not UTF-8 each bad one counts
 * as a symbol of its own.
 */
#ifndef TOKEN_SCAN_H
#define TOKEN_SCAN_H

#include <stdint.h>

#include "base/str.h"

enum scan {
	SCAN_NONE,	/* the whole slice is one word */
	SCAN_GPT2,
	SCAN_LLAMA3,	/* also cl100k as Hugging Face writes it */
	SCAN_CL100K,	/* that of tiktoken: white space that ends a text is one word */
	SCAN_QWEN2,
	SCAN_QWEN35,	/* marks are letters */
	SCAN_O200K,	/* GPT-4o */
	SCAN_TEKKEN,	/* Mistral's from Nemo on */
	SCAN_DIGITS,	/* GPT-2's after numbers one by one: SmolLM, StarCoder */
	SCAN_DEEPSEEK,	/* three in a row: DeepSeek-V3 */
	SCAN_BERT,	/* no pattern: white space, punctuation one by one, and the rest */
};

#define SCAN_SPLITS	3	/* the most patterns in a row that one kind does */

/*
 * Pattern i of a kind: what it leaves is cut by the next one.  NULL: there is
 * none.  That of numbers before SCAN_DIGITS is no pattern but \p{N}.
 */
const char *scan_pattern(enum scan kind, int i);

/* The kind that these n patterns are, in a row; SCAN_NONE: not one of ours. */
enum scan scan_of(const str *pattern, int n);

/*
 * Cut words off [p, end), p < end: word i ends at p + cut[i].  Stops after max
 * words, or 1 GiB, or a little before.  Return how many, at least 1.  class is
 * from uclass_new().
 */
int scan_words(enum scan kind, const uint8_t *class, const char *p, const char *end,
    int32_t *cut, int max);

#endif
