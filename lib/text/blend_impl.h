/*
 * blend_impl - what the parts of a mix share
 */
#ifndef TEXT_BLEND_IMPL_H
#define TEXT_BLEND_IMPL_H

#include "text/blend.h"

#define BLEND_PIECE	((int64_t)1 << 13)	/* entries of an index in one piece */
#define BLEND_SKIP	UINT32_MAX		/* the size of a bad record */
#define BLEND_SIZE_MAX	((int64_t)1 << 31)

static inline struct blend_entry
blend_entry(const struct blend_source *s, int64_t i)
{
	return s->entry[i / BLEND_PIECE][i % BLEND_PIECE];
}

static inline const char *
blend_unit_name(enum blend_unit u)
{
	return u == BLEND_BYTES ? "bytes" : u == BLEND_RECORDS ? "records" : "tokens";
}

#endif
