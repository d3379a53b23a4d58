/*
 * bytemap - bytes as printable characters, as GPT-2 does it
 *
 * '!' to '~', U+00A1 to U+00AC and U+00AE to U+00FF stand for themselves; the
 * other 68 bytes, in order, are U+0100 and on.
 */
#ifndef TOKEN_BYTEMAP_H
#define TOKEN_BYTEMAP_H

#include <stdint.h>

#include "base/buf.h"
#include "text/unicode.h"

#define BYTEMAP_CHARS	0x144		/* all characters are below */

struct bytemap {
	uint16_t	to[256];	/* the character of a byte */
	int16_t		from[BYTEMAP_CHARS];	/* the byte of a character, or -1 */
	uint8_t		order[256];	/* bytes by ascending character */
};

static inline int32_t
bytemap_char(uint8_t b)
{
	if ((b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad))
		return b;
	return 0x100 + (b <= ' ' ? b : b == 0xad ? 67 : b - 0x7f + 33);
}

/* The byte that a character stands for, or -1. */
static inline int
bytemap_byte(int32_t c)
{
	if (c >= 0x100 && c < BYTEMAP_CHARS)
		return c <= 0x120 ? c - 0x100 : c == 0x143 ? 0xad : c - 0x121 + 0x7f;
	return c >= 0 && c < 0x100 && bytemap_char((uint8_t)c) == c ? (int)c : -1;
}

/* Append the characters of bytes. */
static inline void
bytemap_spell(struct buf *out, str bytes)
{
	char *to = buf_room(out, 2 * bytes.n);

	for (ptrdiff_t i = 0; to != NULL && i < bytes.n; i++) {
		int n = utf8_put(to, bytemap_char((uint8_t)bytes.p[i]));

		to += n;
		out->n += n;
	}
}

static inline void
bytemap_init(struct bytemap *m)
{
	int n = 0;

	for (int c = 0; c < BYTEMAP_CHARS; c++)
		m->from[c] = -1;
	for (int b = 0; b < 256; b++) {
		m->to[b] = (uint16_t)bytemap_char((uint8_t)b);
		m->from[m->to[b]] = (int16_t)b;
	}
	for (int c = 0; c < BYTEMAP_CHARS; c++)
		if (m->from[c] >= 0)
			m->order[n++] = (uint8_t)m->from[c];
}

#endif
