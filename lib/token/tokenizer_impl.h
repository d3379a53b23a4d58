/*
 * tokenizer_impl - what the files of tokenizer share
 */
#ifndef TOKEN_TOKENIZER_IMPL_H
#define TOKEN_TOKENIZER_IMPL_H

#include "text/unicode.h"
#include "token/added.h"
#include "token/bpe.h"
#include "token/bytemap.h"
#include "token/charsmap.h"
#include "token/match.h"
#include "token/pretoken.h"
#include "token/sentence.h"
#include "token/strmap.h"
#include "token/tokenizer.h"
#include "token/unigram.h"
#include "token/wordpiece.h"

/* Bits of tokenizer.kind; none: there is no token with this id. */
enum {
	TOKEN_BYTES = 1,	/* in the vocabulary, and stands for bytes */
	TOKEN_ODD = 2,		/* in the vocabulary, but no byte-level string */
	TOKEN_ADDED = 4,
	TOKEN_SPECIAL = 8,
	TOKEN_LSTRIP = 16, TOKEN_RSTRIP = 32, TOKEN_WORD = 64,
	TOKEN_NORMALIZED = 128
};

#define POOL_SLACK	16	/* readers of tokens may go so far past their ends */

struct tokenizer {
	int32_t		 n;		/* highest id + 1 */
	uint8_t		*kind;		/* by id */
	str		*name;		/* as written in tokenizer.json */
	str		*bytes;		/* what it decodes to */
	char		*pool;		/* the text of both, and POOL_SLACK bytes */
	struct strmap	 by_bytes;	/* TOKEN_BYTES */
	struct strmap	 by_name;	/* all others */
	struct bpe	 bpe;
	struct match	 match;		/* the same without merging, when its part is there */
	bool		 ignore_merges;
	struct wordpiece wordpiece;	/* in place of bpe */
	struct unigram	 unigram;	/* likewise */
	struct charsmap	 charsmap;
	struct sentence	 sentence;	/* how bpe begins, and spaces */
	enum uni_form	 form;
	struct bert_form bert;
	struct pretoken	*pre;
	struct added	 raw, normal;	/* added tokens to be found in text, before and after */
	bool		 plain_raw, plain_normal;	/* some are not special */
	int32_t		 bos, eos;
	bool		 add_bos, add_eos;
	hash128		 fingerprint;
};

/* vocab.c: fill the above from the checked value of model and of added_tokens. */
struct hasher;
int vocab_load(struct tokenizer *t, str model, str added_tokens, struct hasher *hash,
    struct err *err);

/* The same from parts. */
struct tokenizer_parts;
int vocab_take(struct tokenizer *t, const struct tokenizer_parts *p, struct hasher *hash,
    struct err *err);

#endif
