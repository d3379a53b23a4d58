/*
 * gguf - the model files of llama.cpp, read by mapping
 *
 * A header of typed keys and tensors, then their data, all little-endian;
 * versions 2 and 3 (ggml's docs/gguf.md).  Untrusted input: every count,
 * length, type and offset is checked before it is used, so that what a struct
 * gguf hands out lies inside of the file.
 *
 * The gguf owns the mapping, keys and tensors; they go with gguf_close().  It
 * is immutable.  Limits: names of GGUF_NAME bytes, GGUF_DIMS dimensions, arrays
 * of plain values only.
 */
#ifndef FMT_GGUF_H
#define FMT_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/str.h"

#define GGUF_DIMS	4
#define GGUF_NAME	255

enum gguf_type {	/* of a value, as in files */
	GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL,
	GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64, GGUF_TYPES
};

struct gguf_value {
	const char	*key;
	enum gguf_type	 type;
	enum gguf_type	 elem;		/* of an array */
	int64_t		 n;		/* elements of an array, else 1 */
	str		 raw;		/* a string's text, an array's elements, or the number */
};

struct gguf_tensor {
	const char	*name;
	uint32_t	 type;		/* of gguf_block() */
	int		 ndim;
	int64_t		 shape[GGUF_DIMS];	/* rows first: files have them turned around */
	int64_t		 n, bytes;
	const void	*data;		/* in the mapping */
};

/* Bytes of a number; 0 for texts and arrays. */
int gguf_type_size(enum gguf_type type);

struct gguf;

/* Does a file begin as one? */
bool gguf_is(const char *path);

/* One file, or the first of a model in several, which are opened too. */
struct gguf *gguf_open(const char *path, struct err *err);

/* The bytes of a file, which stay the caller's and must outlive it. */
struct gguf *gguf_open_mem(str bytes, struct err *err);
void gguf_close(struct gguf *f);

int gguf_keys(const struct gguf *f);
const struct gguf_value *gguf_key(const struct gguf *f, int i);		/* sorted by key */
const struct gguf_value *gguf_find_key(const struct gguf *f, const char *key);	/* or NULL */

/* A value as what is wanted; false when it is NULL, of another kind or out of range. */
bool gguf_int(const struct gguf_value *v, int64_t *x);
bool gguf_real(const struct gguf_value *v, double *x);	/* any number */
bool gguf_bool(const struct gguf_value *v, bool *x);
bool gguf_text(const struct gguf_value *v, str *s);

/* The number that was meant by a float: 1e-05, not what fp32 makes of it. */
double gguf_as_written(float f);

/* Walk an array: *at starts at 0.  False at the end, and for another kind of array. */
bool gguf_next_text(const struct gguf_value *v, ptrdiff_t *at, str *s);
bool gguf_next_int(const struct gguf_value *v, ptrdiff_t *at, int64_t *x);

int gguf_count(const struct gguf *f);
const struct gguf_tensor *gguf_at(const struct gguf *f, int i);		/* sorted by name */
const struct gguf_tensor *gguf_find(const struct gguf *f, const char *name);	/* or NULL */

/*
 * How the elements of a tensor's type are stored: block of them in bytes.  type
 * is NONE for those that are not read here (the rarer quantized ones).
 */
struct gguf_block {
	const char	*name;
	int		 block, bytes;
	dtype		 type;
};

/* NULL for a type that does not exist. */
const struct gguf_block *gguf_block(uint32_t type);

/* The type of a tensor of this dtype, or -1. */
int gguf_type_of(dtype type);

/* All elements of a tensor as fp32.  Return 0, or -1 when its type is no float and not known. */
int gguf_decode(const struct gguf_tensor *t, float *y, struct err *err);

#endif
