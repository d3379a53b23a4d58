/*
 * provenance - what a file was made by and from
 *
 * A JSON object: tool, version, options that change the result (seed among
 * them), and of each input its hash and its own provenance.  Never threads,
 * devices, paths or times: equal runs make equal bytes.
 */
#ifndef FMT_PROVENANCE_H
#define FMT_PROVENANCE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define PROVENANCE_NESTED 65536		/* bytes of an input's own that are kept */

/* NULL when memory is short; the caller decrefs it. */
json_t *provenance_new(const char *tool, const char *version, struct err *err);

/* The object of options, borrowed. */
json_t *provenance_options(json_t *p);

/* Add an input by its hash; its own provenance, or p NULL. */
int provenance_input(json_t *p, uint64_t hash, str own, struct err *err);

/* As text: put into b, which is emptied first. */
int provenance_text(const json_t *p, struct buf *b, struct err *err);

#endif
