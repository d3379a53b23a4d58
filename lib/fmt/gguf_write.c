/* The writer of GGUF: header from memory, then the data. */
#include "fmt/gguf_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define PIECE		((int64_t)1 << 20)	/* bytes asked of fill(), but for long rows */
#define ALIGNMENT	32

/* ---- keys ---- */

static void
put(struct buf *b, const void *p, int64_t n)
{
	buf_add(b, (str){ p, (ptrdiff_t)n });
}

static void
put_str(struct buf *b, str s)
{
	uint64_t n = (uint64_t)s.n;

	put(b, &n, sizeof(n));
	buf_add(b, s);
}

static void
put_u32(struct buf *b, uint32_t x)
{
	put(b, &x, sizeof(x));
}

static void
begin(struct gguf_keys *k, const char *key, enum gguf_type type)
{
	str name = str_of(key);

	k->bad |= name.n == 0 || name.n > GGUF_NAME;
	k->n++;
	put_str(&k->buf, name);
	put_u32(&k->buf, type);
}

void
gguf_put_u32(struct gguf_keys *k, const char *key, int64_t x)
{
	k->bad |= x < 0 || x > UINT32_MAX;
	begin(k, key, GGUF_U32);
	put_u32(&k->buf, (uint32_t)x);
}

void
gguf_put_f32(struct gguf_keys *k, const char *key, double x)
{
	float f = (float)x;

	begin(k, key, GGUF_F32);
	put(&k->buf, &f, sizeof(f));
}

void
gguf_put_bool(struct gguf_keys *k, const char *key, bool x)
{
	begin(k, key, GGUF_BOOL);
	buf_byte(&k->buf, x);
}

void
gguf_put_text(struct gguf_keys *k, const char *key, str s)
{
	begin(k, key, GGUF_STRING);
	put_str(&k->buf, s);
}

static void
begin_array(struct gguf_keys *k, const char *key, enum gguf_type elem, int64_t n)
{
	uint64_t count = (uint64_t)n;

	begin(k, key, GGUF_ARRAY);
	put_u32(&k->buf, elem);
	put(&k->buf, &count, sizeof(count));
}

void
gguf_put_texts(struct gguf_keys *k, const char *key, const str *s, int64_t n)
{
	begin_array(k, key, GGUF_STRING, n);
	for (int64_t i = 0; i < n; i++)
		put_str(&k->buf, s[i]);
}

void
gguf_put_array(struct gguf_keys *k, const char *key, enum gguf_type elem, const void *x, int64_t n)
{
	begin_array(k, key, elem, n);
	put(&k->buf, x, n * gguf_type_size(elem));
}

void
gguf_put_value(struct gguf_keys *k, const struct gguf_value *v)
{
	if (strcmp(v->key, "general.alignment") == 0 || str_starts(str_of(v->key), S("split.")))
		return;
	if (v->type == GGUF_STRING) {
		gguf_put_text(k, v->key, v->raw);
		return;
	}
	if (v->type == GGUF_ARRAY)
		begin_array(k, v->key, v->elem, v->n);
	else
		begin(k, v->key, v->type);
	buf_add(&k->buf, v->raw);
}

void
gguf_keys_free(struct gguf_keys *k)
{
	buf_free(&k->buf);
	*k = (struct gguf_keys){ .n = 0 };
}

/* ---- tensors ---- */

static int64_t
padding(int64_t n)
{
	return -n & (ALIGNMENT - 1);
}

/* Elements of a row, and of the whole: in bytes, or -1 when it cannot be written. */
static int64_t
bytes_of(const struct gguf_tensor *t, int64_t *row)
{
	const struct gguf_block *b = gguf_block(t->type);
	int64_t n = 1, bytes;

	if (b == NULL || t->ndim < 1 || t->ndim > GGUF_DIMS || strlen(t->name) == 0 ||
	    strlen(t->name) > GGUF_TENSOR_NAME || t->shape[t->ndim - 1] % b->block != 0)
		return -1;
	for (int i = 0; i < t->ndim; i++)
		if (t->shape[i] < 0 || __builtin_mul_overflow(n, t->shape[i], &n))
			return -1;
	*row = t->shape[t->ndim - 1] / b->block * b->bytes;
	return __builtin_mul_overflow(n / b->block, b->bytes, &bytes) ? -1 : bytes;
}

static int
put_tensor(struct buf *b, const struct gguf_tensor *t, int64_t *at, struct err *err)
{
	int64_t row, bytes = bytes_of(t, &row), offset = *at;

	if (bytes < 0 || __builtin_add_overflow(*at, bytes + padding(bytes), at))
		return err_set(err, ERR_ARG, "tensor '%.200s': impossible name, type or shape",
		    t->name);
	put_str(b, str_of(t->name));
	put_u32(b, (uint32_t)t->ndim);
	for (int i = t->ndim - 1; i >= 0; i--)
		put(b, &t->shape[i], sizeof(t->shape[i]));
	put_u32(b, t->type);
	put(b, &offset, sizeof(offset));
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
check_names(const struct gguf_write *w, struct err *err)
{
	const char **name = malloc(((size_t)w->n + 1) * sizeof(*name));
	int ret = 0;

	if (name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < w->n; i++)
		name[i] = w->tensor[i].name;
	qsort(name, (size_t)w->n, sizeof(*name), by_name);
	for (int i = 1; i < w->n && ret == 0; i++)
		if (strcmp(name[i - 1], name[i]) == 0)
			ret = err_set(err, ERR_ARG, "tensor '%.200s' is there twice", name[i]);
	free(name);
	return ret;
}

/* All before the data, padded. */
static int
make_header(struct buf *b, const struct gguf_write *w, struct err *err)
{
	const struct gguf_keys *k = w->keys;
	uint64_t count[2] = { (uint64_t)w->n, (uint64_t)k->n };
	int64_t at = 0;

	if (k->bad)
		return err_set(err, ERR_ARG, "a key or its value cannot be written to GGUF");
	if (buf_ok(&k->buf, err) < 0 || check_names(w, err) < 0)
		return -1;
	buf_add(b, S("GGUF"));
	put_u32(b, 3);
	put(b, count, sizeof(count));
	buf_add(b, buf_str(&k->buf));
	for (int i = 0; i < w->n; i++)
		if (put_tensor(b, &w->tensor[i], &at, err) < 0)
			return -1;
	for (int64_t n = padding(b->n); n > 0; n--)
		buf_byte(b, 0);
	return buf_ok(b, err);
}

/* ---- writing ---- */

static int
write_filled(struct out *out, const struct gguf_write *w, int i, int64_t row, int64_t bytes,
    struct err *err)
{
	int64_t most = row >= PIECE || row == 0 ? row : PIECE / row * row;
	char *piece = malloc((size_t)most + 1);
	int ret = 0;

	if (piece == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t at = 0; at < bytes && ret == 0; at += most) {
		int64_t n = bytes - at < most ? bytes - at : most;

		ret = w->fill(w->ctx, i, at, piece, n, err);
		if (ret == 0)
			ret = out_write(out, piece, n, err);
	}
	free(piece);
	return ret;
}

static int
write_tensor(struct out *out, const struct gguf_write *w, int i, struct err *err)
{
	static const char zero[ALIGNMENT];
	const struct gguf_tensor *t = &w->tensor[i];
	int64_t row, bytes = bytes_of(t, &row);
	int ret = t->data != NULL ? out_write(out, t->data, bytes, err) :
	    write_filled(out, w, i, row, bytes, err);

	return ret < 0 ? -1 : out_write(out, zero, padding(bytes), err);
}

int
gguf_save_out(struct out *out, const struct gguf_write *w, struct err *err)
{
	struct buf head = { .n = 0 };
	int ret = make_header(&head, w, err);

	if (ret == 0)
		ret = out_write(out, head.p, head.n, err);
	buf_free(&head);
	for (int i = 0; i < w->n && ret == 0; i++)
		ret = write_tensor(out, w, i, err);
	if (ret == 0)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}

int
gguf_save(const char *path, const struct gguf_write *w, struct err *err)
{
	struct out *out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);

	return out == NULL ? -1 : gguf_save_out(out, w, err);
}
