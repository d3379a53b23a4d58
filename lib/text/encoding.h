/*
 * encoding - bytes of unknown encoding to UTF-8, or the verdict that they are no text
 *
 * In order: a byte order mark; bytes that are valid UTF-8, whatever they are
 * labelled; UTF-16 without a mark, by where its NULs are; what a server said;
 * what the document says of itself (XML declaration, <meta charset>), converted by iconv; UTF-8
 * with few faults, which become U+FFFD; CP1252, which holds Latin-1, when the
 * bytes look like words in it.  The rest is binary.
 */
#ifndef TEXT_ENCODING_H
#define TEXT_ENCODING_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Make *text the UTF-8 of bytes: a slice of them without the mark, or of b, which
 * is emptied first.  label: how its sender names the encoding, or empty; markup:
 * the document may declare it, which counts less.  Return 1, 0 when the bytes
 * are no text, -1 when memory fails.
 */
int encoding_to_utf8(str bytes, str label, bool markup, struct buf *b, str *text,
    struct err *err);

/* Does the start of a file look binary?  A quick and generous look. */
bool encoding_is_binary(str head);

#endif
