/*
 * pretoken - text into the words that are encoded each by itself
 *
 * A pre-tokenizer of tokenizer.json: Split, Digits, Punctuation, Whitespace,
 * WhitespaceSplit, CharDelimiterSplit, FixedLength, BertPreTokenizer, Metaspace,
 * ByteLevel and Sequence of them.  The patterns of scan.h are scanned by hand,
 * others run on PCRE2.  The time is linear in the text, but for what a pattern
 * takes, which is bounded (onig.h).
 */
#ifndef TOKEN_PRETOKEN_H
#define TOKEN_PRETOKEN_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "token/scan.h"

#define PRETOKEN_STAGES	16

/* Immutable; owns its patterns and its table of character classes. */
struct pretoken;

/* From the value of pre_tokenizer; null: text is one word.  What is not known is named. */
struct pretoken *pretoken_new(const json_t *json, struct err *err);
void pretoken_free(struct pretoken *p);

/* Are words the bytes of text, which stand in vocabularies as characters (bytemap.h)? */
bool pretoken_bytes(const struct pretoken *p);

/* Have words be those characters instead.  Return 0 or -1. */
int pretoken_spell(struct pretoken *p, struct err *err);

/* Is it BertPreTokenizer?  Then white space gives words too, from now on. */
bool pretoken_keep_space(struct pretoken *p);

/* The text gets a space before it, unless it begins with one. */
bool pretoken_prefix(const struct pretoken *p);

/*
 * Is it one of scan.h's patterns, perhaps after digits one by one?  False for
 * any other.
 */
bool pretoken_parts(const struct pretoken *p, enum scan *pattern, bool *digits);

/* Character classes (uclass.h). */
const uint8_t *pretoken_class(const struct pretoken *p);

/* A walk over one text; a thread's own, used again for the next text. */
struct pretoken_walk;
struct pretoken_walk *pretoken_walk_new(const struct pretoken *p, struct err *err);
void pretoken_walk_free(struct pretoken_walk *w);

/*
 * Begin; text is valid UTF-8 and outlives the walk.  first: it is what a whole
 * text begins with, and not what follows a token in one.  Return 0 or -1.
 */
int pretoken_start(struct pretoken_walk *w, str text, bool first, struct err *err);

/*
 * The next words, at most max: word i is [i > 0 ? cut[i - 1] : 0, cut[i]) from
 * *base on; what follows them may be read up to *end.  Return how many, 0 at the
 * end, -1 (a pattern that takes too long).
 */
int pretoken_next(struct pretoken_walk *w, const char **base, const char **end, int32_t *cut,
    int max, struct err *err);

#endif
