/*
 * imatrix - how much the columns of a model's matrices matter
 *
 * For each matrix the sums of the squares of its inputs over some text, by
 * column, and by expert where there are several; names are GGUF's.  Files are
 * llama.cpp's: GGUF with NAME.in_sum2 and NAME.counts, and, read only, its older
 * form.  Untrusted: counts and sizes are checked, values are finite and >= 0.
 */
#ifndef MODEL_IMATRIX_H
#define MODEL_IMATRIX_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct imatrix_entry {
	const char	*name;		/* of the matrix: "blk.0.attn_q.weight" */
	int64_t		 n, mats;	/* sums, of all; counts */
	float		*sum, *count;
	float		*most;		/* n: the largest inputs; 0 in what was loaded */
};

struct imatrix;

struct imatrix *imatrix_new(struct err *err);
struct imatrix *imatrix_load(const char *path, struct err *err);
struct imatrix *imatrix_load_mem(str bytes, struct err *err);
void imatrix_free(struct imatrix *im);

/* Add an entry of zeros, or NULL; pointers to others end. */
struct imatrix_entry *imatrix_add(struct imatrix *im, const char *name, int64_t n, int64_t mats,
    struct err *err);

/* source is what the text was called, tokens how many it had in all. */
int imatrix_save(const struct imatrix *im, const char *path, const char *source, int64_t tokens,
    struct err *err);

int imatrix_count(const struct imatrix *im);
const struct imatrix_entry *imatrix_at(const struct imatrix *im, int i);	/* sorted by name */
const struct imatrix_entry *imatrix_find(const struct imatrix *im, const char *name);

/* Add what lies on the device after inputs_run(); err names what GGUF has no name for. */
struct inputs;
int imatrix_collect(struct imatrix *im, struct inputs *in, struct err *err);

/*
 * Mean squares of the cols inputs of matrix number mat of mats into w; false
 * when the entry is of another size, or nothing was seen of it.
 */
bool imatrix_mean(const struct imatrix_entry *e, int64_t mat, int64_t mats, int64_t cols,
    float *w);

#endif
