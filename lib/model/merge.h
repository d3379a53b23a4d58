/*
 * merge - several models, or a model and adapters, made one
 */
#ifndef MODEL_MERGE_H
#define MODEL_MERGE_H

#include "model/model.h"

/*
 * Put weight times an adapter's change into a loaded model without one.  For
 * what is no plain LoRA the change depends on the matrix as it is then, so only
 * plain LoRA's are merged after another (adapter_adds()).
 */
int adapter_merge(struct model *m, const char *dir, double weight, struct err *err);

/* Whether an adapter's directory is one of plain LoRA, whose changes add up.  1, 0 or -1. */
int adapter_adds(const char *dir, struct err *err);

/* Every parameter: m = a m + b that of the model in dir, which has to have the same ones. */
int model_mix(struct model *m, double a, const char *dir, double b, struct err *err);

#endif
