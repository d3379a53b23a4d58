/*
 * normal - what is done to a text before it is cut: a normalizer of tokenizer.json
 *
 * NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace, Nmt,
 * BertNormalizer, ByteLevel, Precompiled, and Sequence of them, one after another.
 * Each takes time linear in the text.
 */
#ifndef TOKEN_NORMAL_H
#define TOKEN_NORMAL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "text/unicode.h"
#include "token/charsmap.h"
#include "token/onig.h"
#include "token/wordpiece.h"

#define NORMAL_STEPS 32

/* Immutable.  Zeroed it changes nothing. */
struct normal_step;
struct normal {
	struct normal_step *step;
	int		 n;
};

/* Append the value of normalizer.  A component that is not known is named. */
int normal_read(struct normal *n, const json_t *json, struct err *err);
void normal_free(struct normal *n);

/* Is it this form, BERT's or Precompiled, and nothing else?  NULL: no. */
bool normal_is_form(const struct normal *n, enum uni_form form);
const struct bert_form *normal_bert(const struct normal *n);
const struct charsmap *normal_charsmap(const struct normal *n);

/* A thread's memory; zeroed at first. */
struct normal_scratch {
	struct buf	 buf[2];
	struct searcher	*searcher;
	bool		 cut;	/* the last text has lost its first character */
};
void normal_scratch_free(struct normal_scratch *s);

/* Put *text, which is valid UTF-8, in normal form, maybe in s.  Return 0 or -1. */
int normal_text(const struct normal *n, struct normal_scratch *s, str *text, struct err *err);

#endif
