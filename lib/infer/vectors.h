/*
 * vectors - records in, their embeddings out, many at a time
 *
 * Texts wait until there are enough of them for a model to be busy, and are
 * written in order: as a key of each record, as bare floats, or as one array,
 * for which all vectors are held (VECTORS_MAX bytes at most).
 */
#ifndef INFER_VECTORS_H
#define INFER_VECTORS_H

#include "base/stream.h"
#include "infer/embed.h"

#define VECTORS_MAX	((ptrdiff_t)16 << 30)

enum vectors_format { VECTORS_JSONL, VECTORS_F32, VECTORS_NPY, VECTORS_SAFETENSORS };

struct vectors;
struct vectors *vectors_new(struct embedder *e, enum vectors_format format, const char *key,
    struct err *err);
void vectors_free(struct vectors *v);

/* An output; path NULL: standard output, which safetensors cannot go to. */
int vectors_begin(struct vectors *v, const char *path, struct codec_spec codec, struct err *err);

/* A record and its n ids, which are copied. */
int vectors_add(struct vectors *v, str line, const int32_t *id, int64_t n, struct err *err);

/* What waits, now. */
int vectors_settle(struct vectors *v, struct err *err);

/* The output is whole, or with failed thrown away. */
int vectors_end(struct vectors *v, bool failed, struct err *err);

int64_t vectors_texts(const struct vectors *v);		/* of all outputs */
int64_t vectors_tokens(const struct vectors *v);

#endif
