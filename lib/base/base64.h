/*
 * base64 - bytes as text (RFC 4648)
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Append.  Padding may lack; anything that is no Base64 is an error: 0 or -1. */
int base64_decode(struct buf *out, str text, struct err *err);
void base64_encode(struct buf *out, str bytes);

#endif
