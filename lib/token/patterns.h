/*
 * patterns - how byte-level tokenizers cut text into words, by name
 */
#ifndef TOKEN_PATTERNS_H
#define TOKEN_PATTERNS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "token/pretoken.h"
#include "token/scan.h"

/* All names, for messages. */
#define PATTERN_NAMES \
	"gpt2, digits, llama3, cl100k, qwen2, qwen3.5, o200k, tekken, deepseek or none"

struct pattern {
	enum scan	 scan;
	bool		 digits;	/* every digit is a word, before the rest is cut */
	const char	*regex;		/* in place of scan, or NULL: its matches are words */
};

/* The pattern with this name.  Return 0 or -1. */
int pattern_named(struct pattern *p, const char *name, struct err *err);

/* Append it as the pre_tokenizer of tokenizer.json. */
void pattern_text(struct buf *out, const struct pattern *p);

struct pretoken *pattern_compile(const struct pattern *p, struct err *err);

#endif
