/*
 * sources_impl - the files that the weights of a model are in, mapped
 *
 * Safetensors of a directory, or a GGUF file.  Each weight (model.h) has its
 * source: where its elements lie in the mapping, and how they are written
 * there.  It owns the mapping, and points into it.
 */
#ifndef MODEL_SOURCES_IMPL_H
#define MODEL_SOURCES_IMPL_H

#include "model/model_impl.h"
#include "model/packing_impl.h"

enum form {
	FORM_SAME,
	FORM_TURNED,		/* the transpose */
	FORM_HALVES,		/* rows of heads in halves, where the parameter has pairs */
	FORM_PLUS,		/* w + 1 */
	FORM_RATES,		/* -exp(w) */
	FORM_LATENT,		/* a head's keys transposed, and in other, its values */
	FORM_PACKED,		/* quantized, in several tensors */
};

struct source {
	enum form	 form;
	dtype		 type, other_type;
	const void	*data, *other;
	const struct packed *packed;
};

struct st_file;
struct gguf;

struct sources {
	struct st_file	*st;
	struct gguf	*gguf;
	struct source	*source;	/* one a weight, after sources_match() */
	struct packing	 packing;	/* of a directory's */
	struct packed	*packed;	/* one a weight, where it is */
	void		**blocks;	/* of those that kernels read */
	int		 n_blocks;
};

/* Open what is at path, and read the config: of a directory, or a GGUF file.  NULL or -1. */
struct sources *sources_open(const char *path, struct config *c, struct err *err);
void sources_close(struct sources *f);

/* Find the sources of a declared model's weights; what is no part of the model is an error. */
int sources_match(struct sources *f, struct model *m, struct err *err);

/* Of safetensors, and of GGUF: sources_match()'s halves. */
int st_match(struct sources *f, struct model *m, struct err *err);
int gguf_match(struct sources *f, struct model *m, struct err *err);

/* Is it quantized where it lies? */
bool source_quantized(const struct source *s);

/*
 * What a weight is in memory, where kernels can read it so: 1, 0 when they cannot, or -1.
 * data NULL: only its type is asked for.
 */
int sources_blocks(struct sources *f, int weight, dtype *type, const void **data,
    struct err *err);

/* All elements of a weight, as they lie in its parameter. */
int sources_read(const struct sources *f, const struct model *m, int weight, float *y,
    struct err *err);

/* Rows, of so many bytes, of heads: the two halves of each to pairs, or back. */
void rows_to_pairs(void *y, const void *x, int64_t rows, int64_t bytes, int64_t head_dim);
void rows_to_halves(void *y, const void *x, int64_t rows, int64_t bytes, int64_t head_dim);

/* y (n, k) = x (k, n) */
void rows_turned(float *y, const float *x, int64_t n, int64_t k);

#endif
