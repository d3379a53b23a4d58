/*
 * script - which script a character belongs to
 *
 * The Script property of Unicode, as PCRE2 has it, for the scripts in wide use;
 * all others are one.  A table of a byte for each code point; the caller owns it.
 */
#ifndef TEXT_SCRIPT_H
#define TEXT_SCRIPT_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
	SCRIPT_OTHER,		/* no other number is given by name */
	SCRIPT_COMMON,		/* digits, punctuation, spaces, symbols */
	SCRIPT_INHERITED,	/* marks that belong to any script */
	SCRIPT_LATIN,
	SCRIPT_HAN, SCRIPT_HIRAGANA, SCRIPT_KATAKANA,
	SCRIPT_MAX = 64
};

uint8_t *script_new(struct err *err);

/* Its name in Unicode, or NULL from the number of scripts on. */
const char *script_name(int script);

/*
 * The ISO 15924 code of the script that most letters of UTF-8 text are of: Latn,
 * Cyrl; Jpan for Han with kana, Hang for Hangul, Zyyy without a letter.
 */
const char *script_of_text(const uint8_t *table, str text);

#endif
