/*
 * fatbin - the PTX in what nvcc -fatbin makes
 *
 * A header of 16 bytes (magic, version, its size, size of what follows) and
 * entries: kind (1 PTX, 2 machine code), version, size of the entry's header,
 * padded size of the payload, its size when compressed, the architecture, flags and
 * the size that it has unpacked.  The layout is not documented; this is what nvcc 13
 * writes.  Compressed entries are zstd frames; older compilers' LZ4 is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "standin.h"

#define MAGIC 0xba55ed50u
#define WRAPPER 0x466243b1u	/* what nvcc puts around it in an object file */

struct entry {
	uint16_t kind, version;
	uint32_t header;
	uint64_t size;
	uint32_t packed;
	uint32_t options;
	uint16_t minor, major;
	uint32_t arch;
	uint64_t name;
	uint64_t flags;
	uint64_t unused;
	uint64_t unpacked;
};

#define COMPRESSED 0xf000	/* LZ4 0x2000, zstd 0x8000 */

static char *
text_of(const struct entry *e, char *msg, size_t n)
{
	const char *p = (const char *)e + e->header;
	size_t size = (size_t)e->size;
	char *text;

	if ((e->flags & COMPRESSED) == 0) {
		/* It is padded with blanks in front and zeros behind. */
		text = malloc(size + 1);
		memcpy(text, p, size);
		text[size] = '\0';
		return text;
	}
	text = malloc(e->unpacked + 1);
	size = ZSTD_decompress(text, e->unpacked, p, e->packed);
	if (ZSTD_isError(size)) {
		snprintf(msg, n, "a compressed fatbin that is not zstd: make it with nvcc -no-compress");
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

/* .target sm_90a */
static bool
one_only(const char *text)
{
	const char *p = strstr(text, ".target sm_");

	for (p = p == NULL ? "" : p + 11; *p >= '0' && *p <= '9'; p++)
		;
	return *p == 'a';
}

char *
fatbin_ptx(const void *image, int sm, char *msg, size_t n)
{
	const char *p = image, *end;
	char *best = NULL, *text;
	uint32_t magic, best_arch = 0;
	uint64_t size;
	int seen = 0;

	msg[0] = '\0';
	memcpy(&magic, p, 4);
	if (magic == WRAPPER) {
		memcpy(&p, p + 8, sizeof(p));
		memcpy(&magic, p, 4);
	}
	if (magic != MAGIC) {
		if (strstr(p, ".version") != NULL)
			return strdup(p);
		snprintf(msg, n, "neither a fatbin nor PTX");
		return NULL;
	}
	memcpy(&size, p + 8, 8);
	end = p + 16 + size;
	for (p += 16; p < end;) {
		const struct entry *e = (const struct entry *)p;

		if (e->header == 0)
			break;
		seen += e->kind == 1;
		p += e->header + e->size;
		if (e->kind != 1 || e->arch > (uint32_t)sm || (best != NULL && e->arch < best_arch))
			continue;
		if ((text = text_of(e, msg, n)) == NULL)
			break;
		/* That of sm_90a and the like runs on this one alone. */
		if (e->arch != (uint32_t)sm && one_only(text)) {
			free(text);
			continue;
		}
		free(best);
		best = text;
		best_arch = e->arch;
	}
	if (best == NULL && msg[0] == '\0')
		snprintf(msg, n, "%d PTX entries, none for sm_%d or below", seen, sm);
	return best;
}
