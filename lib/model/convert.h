/*
 * convert - a model in one format as one in another
 */
#ifndef MODEL_CONVERT_H
#define MODEL_CONVERT_H

#include "base/dtype.h"
#include "base/err.h"

/*
 * Write the model of a directory or GGUF file into dir, which exists, with its
 * tokenizer; type is that of the weights, NONE: each of its own, quantized ones
 * fp32.
 */
int convert_to_directory(const char *from, dtype type, const char *dir, struct err *err);

/* To one GGUF file; NONE: of the types that they have. */
int convert_to_gguf(const char *from, dtype type, const char *path, struct err *err);

#endif
