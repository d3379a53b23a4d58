/*
 * vocab_save - a trained vocabulary as Hugging Face's tokenizer files
 */
#ifndef TOKEN_VOCAB_SAVE_H
#define TOKEN_VOCAB_SAVE_H

#include "base/err.h"
#include "token/bpe_train.h"
#include "token/patterns.h"
#include "token/unigram_train.h"

/*
 * tokenizer_save() it.  The end-of-text token is the first special one with a
 * well-known name, else the first.  Return 0 or -1.
 */
int bpe_save(const struct bpe_model *m, const struct pattern *pattern, const char *dir,
    struct err *err);

/* The same of pieces, whose spaces are U+2581; a text has one before it. */
int unigram_save(const struct unigram_model *m, const char *dir, struct err *err);

#endif
