/*
 * tokenizer - text to token ids and back, from Hugging Face's tokenizer.json
 *
 * Byte-level BPE and SentencePiece's, as generating models have it, Unigram, as
 * models of many languages do, and WordPiece, as encoders do.
 * Immutable once loaded; any number of threads encode with it, each with an
 * encoder of its own.  Special tokens in text are text: they are ids only
 * where the caller puts them (or asks with ENCODE_SPECIAL).  A component that
 * is not supported is an error that names it.
 */
#ifndef TOKEN_TOKENIZER_H
#define TOKEN_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct tokenizer;

#define TOKENIZER_FILE_MAX	((ptrdiff_t)256 << 20)	/* bytes of tokenizer.json */

/*
 * path: a tokenizer.json, plain or compressed, or a model directory with one.
 * What begins and ends a text is said by the files beside it, when a directory
 * is given; else by the template; else by the well-known names (known.h).
 */
struct tokenizer *tokenizer_load(const char *path, struct err *err);

/* From the bytes of tokenizer.json, which are needed no longer. */
struct tokenizer *tokenizer_parse(str file, struct err *err);
void tokenizer_free(struct tokenizer *t);

int32_t tokenizer_vocab(const struct tokenizer *t);	/* highest id + 1 */
hash128 tokenizer_fingerprint(const struct tokenizer *t);
int32_t tokenizer_bos(const struct tokenizer *t);	/* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);
int32_t tokenizer_unknown(const struct tokenizer *t);	/* what stands for odd words; -1: none */
bool tokenizer_adds_bos(const struct tokenizer *t);	/* its template puts one before a text */
bool tokenizer_adds_eos(const struct tokenizer *t);
int32_t tokenizer_id(const struct tokenizer *t, str token);	/* by content, or -1 */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);

/* The text of one token as decoded bytes (may be a part of a character). */
str tokenizer_bytes(const struct tokenizer *t, int32_t id);

struct ids {
	int32_t	*id;
	int64_t	 n, cap;
};
void ids_free(struct ids *ids);

/* Make room for n more.  Return 0 or -1. */
int ids_room(struct ids *ids, int64_t n, struct err *err);

enum {
	ENCODE_SPECIAL = 1,	/* special tokens in the text become their ids */
	ENCODE_CHECKED = 2,	/* the text is known to be UTF-8 */
};

/* A thread's scratch and cache: 10 MiB, and 28 bytes a byte of the longest word. */
struct encoder;
struct encoder *encoder_new(const struct tokenizer *t, struct err *err);
void encoder_free(struct encoder *e);

/*
 * Append the ids of text, without BOS or EOS.  Added tokens that are not
 * special are found in text always, as the reference does.  Return 0 or -1:
 * ERR_FORMAT when text is not UTF-8 or a byte of it has no token.
 */
int encode(struct encoder *e, str text, int flags, struct ids *ids, struct err *err);

/*
 * Decode a stream of ids without ever splitting a character: bytes of an
 * unfinished one wait in *d.  decode_end() flushes them as U+FFFD.
 */
struct decoder {
	char	wait[8];
	int	n;
	bool	started;	/* past the first token, which has no space before it */
	bool	skip_special;
};
int decode(const struct tokenizer *t, struct decoder *d, const int32_t *id, int64_t n,
    struct buf *text, struct err *err);
int decode_end(struct decoder *d, struct buf *text, struct err *err);

#endif
