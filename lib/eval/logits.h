/*
 * logits - all of a model's logits for some documents, to compare with others'
 *
 * They are held until they are saved: LOGITS_MAX bytes at most.
 */
#ifndef EVAL_LOGITS_H
#define EVAL_LOGITS_H

#include "model/model.h"

#define LOGITS_MAX ((int64_t)8 << 30)

struct logits;
struct logits *logits_new(struct model *model, struct err *err);

/* One document, no longer than the context. */
int logits_add(struct logits *l, const uint32_t *token, int64_t n, struct err *err);

/*
 * Write a safetensors file: logits (N, V) F32 of all N tokens, tokens (N) I32,
 * cu_seqlens (S + 1) I32, where each document begins.
 */
int logits_save(const struct logits *l, const char *path, struct err *err);
void logits_free(struct logits *l);

#endif
