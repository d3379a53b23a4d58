/*
 * safetensors - Hugging Face's tensor files, read by mapping, written whole
 *
 * Untrusted input: every count, offset and name is checked (safetensors'
 * README) before it is used.  A model may be sharded over several files by
 * model.safetensors.index.json; st_open() takes the file, or the directory.
 */
#ifndef FMT_SAFETENSORS_H
#define FMT_SAFETENSORS_H

#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/str.h"

#define ST_DIMS 8

struct st_tensor {
	const char	*name;
	dtype		 type;
	int		 ndim;
	int64_t		 shape[ST_DIMS];
	int64_t		 bytes;
	const void	*data;		/* in the mapping; NULL when writing by st_put */
};

struct st_file;

/* A .safetensors file, or a directory that has model.safetensors[.index.json]. */
struct st_file *st_open(const char *path, struct err *err);
int st_count(const struct st_file *f);
const struct st_tensor *st_at(const struct st_file *f, int i);	/* sorted by name */
const struct st_tensor *st_find(const struct st_file *f, const char *name);
const char *st_meta(const struct st_file *f, const char *key);	/* or NULL */
void st_close(struct st_file *f);

/*
 * Write tensors to path atomically, in the reference writer's order.  meta is
 * n_meta pairs of strings; {"format":"pt"} is always there.  When a tensor's
 * data is NULL, fill() is asked for its bytes, piece by piece.
 */
struct st_write {
	const struct st_tensor *tensor;
	int		 n;
	const char *const (*meta)[2];
	int		 n_meta;
	int		(*fill)(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err);
	void		*ctx;
};
int st_save(const char *path, const struct st_write *w, struct err *err);

#endif
