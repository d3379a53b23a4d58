/*
 * gguf_write - the writer of GGUF version 3
 *
 * Keys are collected in memory, then the header and the tensors are written in
 * one pass, in the caller's order, tensors aligned to 32: the bytes are those
 * that llama.cpp's own package gguf writes.
 *
 * The gguf_keys owns its bytes.  Limits: keys of GGUF_NAME bytes, names of
 * tensors of GGUF_TENSOR_NAME, for llama.cpp reads no longer ones.
 */
#ifndef FMT_GGUF_WRITE_H
#define FMT_GGUF_WRITE_H

#include "base/buf.h"
#include "base/stream.h"
#include "fmt/gguf.h"

#define GGUF_TENSOR_NAME 63

/* Zeroed at first.  A failure sticks and is told by gguf_save(). */
struct gguf_keys {
	struct buf	buf;
	int64_t		n;
	bool		bad;		/* a key or value that cannot be written */
};

/* No key twice.  Sizes and ids of llama.cpp are u32, but where their type is given. */
void gguf_put_u32(struct gguf_keys *k, const char *key, int64_t x);
void gguf_put_f32(struct gguf_keys *k, const char *key, double x);
void gguf_put_bool(struct gguf_keys *k, const char *key, bool x);
void gguf_put_text(struct gguf_keys *k, const char *key, str s);
void gguf_put_texts(struct gguf_keys *k, const char *key, const str *s, int64_t n);

/* n numbers of type elem, as they lie in memory. */
void gguf_put_array(struct gguf_keys *k, const char *key, enum gguf_type elem, const void *x,
    int64_t n);

/* One that was read, of any type, but for general.alignment and split.*: the writer's own. */
void gguf_put_value(struct gguf_keys *k, const struct gguf_value *v);
void gguf_keys_free(struct gguf_keys *k);

/*
 * Of a tensor name, type, ndim and shape are taken, and data.  Where data is
 * NULL, fill() is asked for its bytes in order, a whole number of rows (of the
 * last dimension) at a time; tensor is its index.
 */
struct gguf_write {
	const struct gguf_keys *keys;
	const struct gguf_tensor *tensor;
	int		 n;
	int		(*fill)(void *ctx, int tensor, int64_t at, void *p, int64_t n,
			    struct err *err);
	void		*ctx;
};

/* Whole or not at all; 0 or -1. */
int gguf_save(const char *path, const struct gguf_write *w, struct err *err);

/* The same to an output, which it commits or aborts. */
int gguf_save_out(struct out *out, const struct gguf_write *w, struct err *err);

#endif
