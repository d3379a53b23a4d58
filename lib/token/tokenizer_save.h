/*
 * tokenizer_save - a tokenizer as Hugging Face's files
 */
#ifndef TOKEN_TOKENIZER_SAVE_H
#define TOKEN_TOKENIZER_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "token/scan.h"

struct spm_form;

/* What a tokenizer is made of; all of it borrowed. */
struct tokenizer_parts {
	int32_t	 n;			/* tokens, by id */
	const str *token;		/* p NULL: none has this id */
	const uint8_t *added;		/* of each: ADDED_*; those stand in text as they are */
	bool	 bytes;			/* the others are bytes, not the characters for them */
	const int32_t (*merge)[2];	/* nmerges pairs of ids, in order of rank */
	int64_t	 nmerges;
	const float *score;		/* of sentence, for tokenizer_make(): in place of merges */
	const double *logp;		/* of unigram, by id; NAN: added, and no piece */
	enum scan pattern;
	const char *regex;		/* in place of pattern, or NULL: patterns.h */
	bool	 digits;		/* every digit is a word, before the pattern cuts */
	bool	 nfc;			/* text is normalized */
	bool	 ignore_merges;		/* a word that is a token is that token */
	bool	 sentence;		/* SentencePiece's BPE, not of bytes: sentence.h */
	bool	 prefix;		/* a space comes before each text */
	bool	 unigram;		/* of sentence: pieces with probabilities, and no merges */
	bool	 fallback;		/* bytes stand for unknown characters of unigram */
	bool	 words;			/* of unigram: any white space is one space */
	str	 charsmap;		/* of unigram (charsmap.h); p NULL: none */
	struct spm_form *spm;		/* in its place, for tokenizer_make() to take */
	bool	 ranks;			/* ids are, for tokenizer_make(): in place of merges */
	bool	 wordpiece;		/* no merges, but BERT's words without case and accents */
	bool	 add_bos;		/* texts begin with bos; those of wordpiece end with eos */
	bool	 add_eos;		/* texts of unigram end with eos */
	str	 bos, eos, unk, pad;	/* p NULL: none */
	int32_t	 bos_id, eos_id;	/* numbers of bos and eos, where there are those */
	int32_t	 unk_id;		/* of unigram; -1: none */
	str	 chat_template;
};

enum { ADDED_NOT, ADDED_PLAIN, ADDED_SPECIAL };

/*
 * Write tokenizer.json, tokenizer_config.json and special_tokens_map.json into
 * dir, which is made when it is not there.  Return 0 or -1.
 */
int tokenizer_save(const struct tokenizer_parts *t, const char *dir, struct err *err);

/* tokenizer.json alone, as text. */
struct buf;
int tokenizer_text(const struct tokenizer_parts *t, struct buf *text, struct err *err);

/* What tokenizer_load() makes of what was saved, without the files.  NULL: failure. */
struct tokenizer;
struct tokenizer *tokenizer_make(const struct tokenizer_parts *t, struct err *err);

/*
 * The parts that a tokenizer was made of, but for the roles of tokens and the
 * template, in an arena; all of it lives as long as both.  An error when it has
 * something that there is no part for.
 */
struct arena;
int tokenizer_parts(const struct tokenizer *t, struct tokenizer_parts *parts, struct arena *a,
    struct err *err);

/* What two tokens become, or -1. */
int32_t tokenizer_merged(const struct tokenizer *t, const int32_t pair[2]);

#endif
