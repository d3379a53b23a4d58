/*
 * tokenizer - text to token ids and back
 *
 * From Hugging Face's tokenizer.json, SentencePiece's models (spm.h), tiktoken's
 * ranks (tiktoken.h) and, in the layer of models, from GGUF.
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
struct template_span;

#define TOKENIZER_FILE_MAX	((ptrdiff_t)256 << 20)	/* bytes of tokenizer.json */

/*
 * path: a tokenizer.json or one of the other files, plain or compressed; "NAME=FILE",
 * ranks of a known name; or a model directory that has one of them.
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

/* A thread's scratch and cache: 12 MiB, and 28 bytes a byte of the longest word. */
struct encoder;
struct encoder *encoder_new(const struct tokenizer *t, struct err *err);
void encoder_free(struct encoder *e);

/*
 * Append the ids of text, without BOS or EOS.  Added tokens that are not
 * special are found in text always, as the reference does.  Return 0 or -1:
 * ERR_FORMAT when text is not UTF-8 or a byte of it has no token.
 */
int encode(struct encoder *e, str text, int flags, struct ids *ids, struct err *err);

/* A thread's encoder, made for its first text, and the ids of its last.  Zeroed at first. */
struct encoded {
	struct encoder	*encoder;
	struct ids	 ids;
};

/* The ids of a text that is known to be UTF-8, in e->ids.  Return their number or -1. */
int64_t encode_text(struct encoded *e, const struct tokenizer *t, str text, struct err *err);
void encoded_free(struct encoded *e);

/*
 * A text of which others said some parts: special tokens are found where no byte of
 * them was said, and are text elsewhere.  Of special tokens that are looked for in
 * normalized text, which is rare, no byte of all that is around may be.
 */
struct encode_parts {
	str		 text;		/* UTF-8 */
	const struct template_span *said;	/* nsaid, in order (template.h) */
	ptrdiff_t	 nsaid;
	struct buf	 cuts;		/* out: struct encode_cut, in order; the caller's to free */
};

/* What is from byte at on is ids from id on; at the start, and around tokens as they stand. */
struct encode_cut {
	ptrdiff_t	at;
	int64_t		id;
};
int encode_parts(struct encoder *e, struct encode_parts *parts, struct ids *ids, struct err *err);

/* As encode(), for text from a cut on, which ends before the next. */
int encode_piece(struct encoder *e, const struct encode_parts *parts, ptrdiff_t start,
    ptrdiff_t end, struct ids *ids, struct err *err);

/*
 * Decode a stream of ids without ever splitting a character: bytes of an
 * unfinished one wait in *d.  decode_end() flushes them as U+FFFD.
 */
struct decoder {
	char	wait[8];
	int	n;
	bool	started;	/* past the first token, which has no space before it */
	bool	skip_special;
	const struct tokenizer *of;
	int32_t	held, previous;	/* ids + 1: one that waits for the next, the last one */
	int64_t	lead, tail;	/* characters taken off the start, kept back at the end */
};
int decode(const struct tokenizer *t, struct decoder *d, const int32_t *id, int64_t n,
    struct buf *text, struct err *err);
int decode_end(struct decoder *d, struct buf *text, struct err *err);

#endif
