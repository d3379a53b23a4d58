/*
 * tallies - what vocabularies make of texts: bytes a token, tokens a word
 *
 * In all, by language as the records name it, and by script.  A character's
 * bytes are those of its script; a token is that of its first character that
 * has a script of its own.  Where tokens do not spell the text (unknown
 * characters, normalizers), all of a text's are of the script that it has most
 * of.  A word ends at white space and is of its first such character's script.
 */
#ifndef TOKEN_TALLIES_H
#define TOKEN_TALLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "token/tokenizer.h"

#define TALLIES_MOST	16		/* tokenizers */
#define TALLIES_LANGUAGES 1024		/* names of languages; the others are one */

/* The counts of one thread. */
struct tallies;
struct tallies *tallies_new(const struct tokenizer *const *t, int n, struct err *err);
void tallies_free(struct tallies *r);

/* Count a text; script is from script_new(), language p NULL when it has none. */
int tallies_text(struct tallies *r, const uint8_t *script, str text, str language,
    struct err *err);

/* Add what another counted. */
int tallies_add(struct tallies *r, const struct tallies *from, struct err *err);

/* Append it as a table (TSV) or as one JSON object.  name: of each tokenizer. */
int tallies_write(struct tallies *r, const char *const *name, bool json, struct buf *out,
    struct err *err);

/*
 * Can the tokenizer write this token?  1, 0 when the merges or the cuts of words never
 * make it, -1 when there is no telling.  By encoding the token's own text by itself, at
 * the start of a line, and before and behind a letter; -2 on failure.
 */
int token_reachable(const struct tokenizer *t, struct encoder *e, int32_t id, struct ids *ids,
    struct err *err);

#endif
