/*
 * bytemap - bytes as printable characters, as GPT-2 does it
 *
 * '!' to '~', U+00A1 to U+00AC and U+00AE to U+00FF stand for themselves; the
 * other 68 bytes, in order, are U+0100 and on.
 */
#ifndef TOKEN_BYTEMAP_H
#define TOKEN_BYTEMAP_H

#include <stdbool.h>
#include <stdint.h>

#define BYTEMAP_CHARS	0x144		/* all characters are below */

struct bytemap {
	uint16_t	to[256];	/* the character of a byte */
	int16_t		from[BYTEMAP_CHARS];	/* the byte of a character, or -1 */
	uint8_t		order[256];	/* bytes by ascending character */
};

static inline void
bytemap_init(struct bytemap *m)
{
	int extra = 0, n = 0;

	for (int c = 0; c < BYTEMAP_CHARS; c++)
		m->from[c] = -1;
	for (int b = 0; b < 256; b++) {
		bool same = (b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad);

		m->to[b] = (uint16_t)(same ? b : 0x100 + extra++);
		m->from[m->to[b]] = (int16_t)b;
	}
	for (int c = 0; c < BYTEMAP_CHARS; c++)
		if (m->from[c] >= 0)
			m->order[n++] = (uint8_t)m->from[c];
}

#endif
