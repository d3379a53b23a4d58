/*
 * parts - what each part of a changed model alone does to predictions
 *
 * Parts are the layers, what is outside of them (the embedding), and a head of
 * its own.  Each in turn takes the place of the reference's, whose other parts
 * stay, and is compared with it (divergence.h); the last is the whole model.
 * Time: a pass of the text for each part.  Memory: the logits of a piece, twice.
 */
#ifndef EVAL_PARTS_H
#define EVAL_PARTS_H

#include "eval/divergence.h"

/* The part of a model of so many layers that a tensor is in, by its name: GGUF's, or its own. */
int part_of(const char *name, int64_t layers);

/* "layer 0", "embedding", "head" or "all". */
void part_name(int part, int64_t layers, char name[NN_NAME]);

struct parts;

/* Models of the same parameters on one device, borrowed; context as in divergence.h. */
struct parts *parts_new(const struct model *m, struct model *reference, int64_t context,
    struct err *err);
int parts_add(struct parts *p, const uint32_t *token, int64_t n, struct err *err);

/* Of one of parts_count(): 1; 0 where the model has no such part; or -1. */
int parts_count(const struct parts *p);
int parts_end(struct parts *p, int part, struct divergence_report *r, struct err *err);
void parts_free(struct parts *p);

#endif
