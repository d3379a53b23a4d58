/*
 * tokenizer_impl - what the files of tokenizer share
 */
#ifndef TOKEN_TOKENIZER_IMPL_H
#define TOKEN_TOKENIZER_IMPL_H

#include "base/json.h"
#include "text/unicode.h"
#include "token/added.h"
#include "token/bpe.h"
#include "token/bytemap.h"
#include "token/decoders.h"
#include "token/match.h"
#include "token/names.h"
#include "token/normal.h"
#include "token/pretoken.h"
#include "token/sentence.h"
#include "token/spm.h"
#include "token/strmap.h"
#include "token/tokenizer.h"
#include "token/unigram.h"
#include "token/wordpiece.h"

/* Bits of tokenizer.kind; none: there is no token with this id. */
enum {
	TOKEN_BYTES = 1,	/* in the vocabulary, and stands for bytes, maybe its name */
	TOKEN_ODD = 2,		/* in the vocabulary, but no byte-level string */
	TOKEN_ADDED = 4,
	TOKEN_SPECIAL = 8,
	TOKEN_LSTRIP = 16, TOKEN_RSTRIP = 32, TOKEN_WORD = 64,
	TOKEN_NORMALIZED = 128
};

#define IDS_MAX		((int32_t)1 << 22)
#define POOL_SLACK	16	/* readers of tokens may go so far past their ends */

struct tokenizer {
	int32_t		 n;		/* highest id + 1 */
	uint8_t		*kind;		/* by id */
	str		*name;		/* as written in tokenizer.json */
	str		*bytes;		/* what it stands for */
	str		*text;		/* what it decodes to; NULL: that */
	char		*pool;		/* the bytes of these, and POOL_SLACK */
	struct buf	 decoded;
	struct strmap	 by_bytes;	/* TOKEN_BYTES */
	struct strmap	 by_name;	/* all others */
	struct bpe	 bpe;
	struct match	 match;		/* the same without merging, when its part is there */
	bool		 ignore_merges;
	struct wordpiece wordpiece;	/* in place of bpe */
	struct unigram	 unigram;	/* likewise */
	struct spm_form	 spm;		/* in place of other normal forms */
	struct sentence	 sentence;	/* how bpe begins, and spaces */
	struct sentence_cuts *cuts;	/* and words then */
	struct names	 names;		/* otherwise: neither that nor bytes */
	struct normal	 normalizer;
	struct pretoken	*pre;
	struct decoders	 decoders;
	struct added	 raw, normal;	/* added tokens to be found in text, before and after */
	bool		 plain_raw, plain_normal;	/* some are not special */
	int32_t		 bos, eos;
	bool		 add_bos, add_eos;
	hash128		 fingerprint;
};

/*
 * vocab.c: write the bytes that a name stands for in this vocabulary, at most as
 * many as it has; return their number, or -1 when it stands for none.
 */
ptrdiff_t vocab_bytes(const struct tokenizer *t, str name, char *to);

/* What the value of model has. */
enum {
	MODEL_TYPE, MODEL_VOCAB, MODEL_MERGES, MODEL_IGNORE, MODEL_UNKNOWN, MODEL_FUSE,
	MODEL_PREFIX, MODEL_SUFFIX, MODEL_LONGEST, MODEL_FALLBACK, MODEL_DROPOUT,
	MODEL_UNK_ID, MODEL_MEMBERS
};
enum model_kind { MODEL_BPE, MODEL_WORDPIECE, MODEL_WORDLEVEL, MODEL_UNIGRAM };
struct model {
	enum model_kind	kind;
	struct json_member m[MODEL_MEMBERS];
};
/* vocab_model.c: when the members of text have been found, what kind it is. */
struct hasher;
int vocab_kind(struct model *model, str text, struct err *err);
bool vocab_has(const struct model *model, int member);	/* and not null, false, 0 or "" */

/* What it says beside the vocabulary; and, when that is there, the unknown token. */
int vocab_model(struct tokenizer *t, const struct model *model, struct hasher *hash,
    struct err *err);
int vocab_unknown(struct tokenizer *t, const struct model *model, struct hasher *hash,
    struct err *err);

/* vocab.c: fill the above from it and added_tokens. */
int vocab_load(struct tokenizer *t, const struct model *model, str added_tokens,
    struct hasher *hash, struct err *err);

/* The same from parts. */
struct tokenizer_parts;
int vocab_take(struct tokenizer *t, const struct tokenizer_parts *p, struct hasher *hash,
    struct err *err);

/*
 * Make the merges of tokens that have ranks; UINT32_MAX: never made.  byte_id is
 * there.  The ranks are t's then.
 */
int bpe_of_ranks(struct tokenizer *t, uint32_t *ranks, struct err *err);

/* tokenizer_read.c: all of it from a file; vocabulary and merges from parts, if there. */
int tokenizer_read(struct tokenizer *t, str file, const struct tokenizer_parts *from,
    struct err *err);

/* tokenizer_ends.c: what begins and ends a text, as post_processor says, */
int ends_read(struct tokenizer *t, const json_t *post, struct err *err);

/* or else the files in dir, when there is one, or the well-known names. */
int ends_find(struct tokenizer *t, const char *dir, struct err *err);

#endif
