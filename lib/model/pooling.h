/*
 * pooling - how the vectors of a text's tokens become one
 */
#ifndef MODEL_POOLING_H
#define MODEL_POOLING_H

#include <stdbool.h>
#include <stdint.h>

enum pooling { POOL_AUTO, POOL_MEAN, POOL_CLS, POOL_LAST, POOL_NONE };

/* What a model was trained for. */
struct pooled {
	enum pooling	kind;		/* AUTO: nothing says */
	bool		normalize;	/* vectors are made of length 1 */
	int64_t		most;		/* tokens of a text; 0: nothing says */
};

/*
 * By what sentence-transformers has beside the model of a directory: 1_Pooling/config.json,
 * modules.json, sentence_bert_config.json; or by the key of a GGUF file, whose vectors
 * llama.cpp normalizes.
 */
struct pooled pooling_of(const char *path);

/* The key from those files, where they are; and the files in dir, by the files or the key. */
struct gguf_keys;
struct err;
void pooling_write(struct gguf_keys *k, const char *family, const char *dir);
int pooling_save(const char *path, int64_t width, const char *dir, struct err *err);

#endif
