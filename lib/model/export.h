/*
 * export - a model as the keys and tensors of a GGUF file, or as its own by their names
 *
 * Of a directory in Hugging Face's layout the architecture's own keys, names and
 * order of elements are made; of a GGUF file keys and tensors are its own, of
 * any architecture.  Nothing is in memory but what is read.  The export owns all.
 */
#ifndef MODEL_EXPORT_H
#define MODEL_EXPORT_H

#include "fmt/gguf_write.h"
#include "model/model.h"

struct export_from;		/* where a tensor comes from */

struct export {
	struct gguf_keys keys;		/* all but general.file_type */
	/* type is that of the source; fp32 is what GGUF does not have otherwise. */
	struct gguf_tensor *tensor;
	int		 n;
	int64_t		 most;		/* elements of the largest */
	struct export_from *from;
	struct gguf	*gguf;		/* the file; NULL: */
	struct model	 m;		/* the directory */
	bool		 own;		/* or any model's weights: export_open_own() */
};

/* *x is zeroed; export_close() it also after a failure. */
int export_open(struct export *x, const char *path, struct err *err);

/*
 * Of a directory or a GGUF file, for its weights to be saved as the model has
 * them: tensor i is weight i as it lies in its parameter, under GGUF's name for
 * that.  Free are linear layers that are not transposed; there are no keys.
 */
int export_open_own(struct export *x, const char *path, struct err *err);

/* Of the matrices that GGUF stacks under a tensor's name, how many all are, and its first. */
void export_mats(const struct export *x, int tensor, int64_t *all, int64_t *first);

/* What norms of own weights multiply with is this more than their elements. */
float export_plus(const struct export *x, int tensor);

/* What a tensor is called where it goes to. */
const char *export_called(const struct export *x, int tensor);
void export_close(struct export *x);

/* May a tensor be of another type than its own? */
bool export_free(const struct export *x, int tensor);

/* The name, where it comes from, of what is quantized of a tensor; or NULL. */
const char *export_quantized(const struct export *x, int tensor);

/* All elements of a tensor, into as many floats. */
int export_read(struct export *x, int tensor, float *y, struct err *err);

/*
 * Write a file of tensors of this float type, NONE: each of its own; those that
 * are not free stay as they are.
 */
int export_save(struct export *x, const char *path, dtype type, struct err *err);

#endif
