/*
 * convert - models of other formats as model directories
 *
 * GGUF is read for the Llama architecture: its keys become config.json, its
 * tensors (quantized or not) those of model.safetensors, and its byte-level
 * tokenizer the files of Hugging Face.  What is not known, or changes what is
 * computed and cannot be said there, is an error that names it.
 */
#ifndef MODEL_CONVERT_H
#define MODEL_CONVERT_H

#include "base/dtype.h"
#include "base/json.h"
#include "fmt/gguf.h"

/* Write all files into dir, which exists; type is that of the weights. */
int convert_gguf(const struct gguf *f, dtype type, const char *dir, struct err *err);

/* The parts of it: config.json as a document, and the tokenizer's files. */
json_t *convert_gguf_config(const struct gguf *f, dtype type, struct err *err);
int convert_gguf_tokenizer(const struct gguf *f, const char *dir, struct err *err);

#endif
