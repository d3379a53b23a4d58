/* The reader of GGUF: one pass over the header, which checks all of it. */
#include "fmt/gguf.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/quant.h"
#include "base/stream.h"

#define MEM_MAX		((ptrdiff_t)1 << 34)	/* address space for names, keys, tensors */
#define KEY_BYTES	13	/* the least that a key and its value take, */
#define TENSOR_BYTES	33	/* and a tensor's line */
#define ALIGNMENT_MAX	((int64_t)1 << 20)
#define PARTS_MAX	1024

struct gguf {
	struct arena	 mem;
	str		 map;		/* p NULL: the bytes are the caller's */
	struct gguf_value *key;		/* sorted */
	int64_t		 nkeys;
	struct gguf_tensor *tensor;	/* sorted by name */
	int64_t		 ntensors;
	struct gguf	**part;		/* the others of a model in several files */
	int64_t		 nparts;
};

/* A place in the bytes of a file.  What does not fit in is cut short. */
struct cursor {
	str		 bytes;
	ptrdiff_t	 at;
	struct err	*err;
};

static const uint8_t type_size[GGUF_TYPES] = {
	[GGUF_U8] = 1, [GGUF_I8] = 1, [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4,
	[GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8,
	[GGUF_F64] = 8,
};

int
gguf_type_size(enum gguf_type type)
{
	return type_size[type];
}

/* ---- pieces ---- */

static int64_t
left(const struct cursor *c)
{
	return c->bytes.n - c->at;
}

static int
cut_short(struct cursor *c)
{
	err_set(c->err, ERR_FORMAT, "cut short: the header goes on at byte %td, the end of the "
	    "file", c->bytes.n);
	return -1;
}

static int
take(struct cursor *c, void *to, int64_t n)
{
	if (left(c) < n)
		return cut_short(c);
	memcpy(to, c->bytes.p + c->at, (size_t)n);
	c->at += n;
	return 0;
}

/* A count or a length: no more than what is left can hold. */
static int
take_count(struct cursor *c, const char *what, int64_t each, int64_t *n)
{
	uint64_t x;

	if (take(c, &x, sizeof(x)) < 0)
		return -1;
	if (x > (uint64_t)left(c) / (uint64_t)each)
		return err_set(c->err, ERR_FORMAT, "byte %td: %" PRIu64 " %s, more than the "
		    "%" PRId64 " bytes after it can hold", c->at - 8, x, what, left(c));
	*n = (int64_t)x;
	return 0;
}

static int
take_str(struct cursor *c, str *s)
{
	int64_t n;

	if (take_count(c, "bytes of a string", 1, &n) < 0)
		return -1;
	*s = (str){ c->bytes.p + c->at, n };
	c->at += n;
	return 0;
}

/* A name that can be printed and be a C string. */
static int
take_name(struct cursor *c, struct arena *a, const char *what, const char **name)
{
	ptrdiff_t from = c->at;
	bool bad = false;
	str s;

	if (take_str(c, &s) < 0)
		return -1;
	for (ptrdiff_t i = 0; i < s.n && i < GGUF_NAME; i++)
		bad |= (uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f;
	if (s.n == 0 || s.n > GGUF_NAME || bad || utf8_bad(s) >= 0)
		return err_set(c->err, ERR_FORMAT, "byte %td: the name of a %s is empty, longer "
		    "than %d bytes, or no text", from, what, GGUF_NAME);
	s = arena_str(a, s, c->err);
	*name = s.p;
	return s.p == NULL ? -1 : 0;
}

/* ---- keys ---- */

static int
take_array(struct cursor *c, struct gguf_value *v)
{
	uint32_t elem;
	ptrdiff_t from;
	str s;

	if (take(c, &elem, sizeof(elem)) < 0)
		return -1;
	if (elem >= GGUF_TYPES || elem == GGUF_ARRAY)
		return err_set(c->err, ERR_FORMAT, "key '%s': an array of type %" PRIu32
		    " is not supported", v->key, elem);
	v->elem = (enum gguf_type)elem;
	if (take_count(c, "elements", elem == GGUF_STRING ? 8 : type_size[elem], &v->n) < 0)
		return err_wrap(c->err, "key '%s'", v->key);
	from = c->at;
	if (elem == GGUF_STRING) {
		for (int64_t i = 0; i < v->n; i++)
			if (take_str(c, &s) < 0)
				return err_wrap(c->err, "key '%s', element %" PRId64, v->key, i);
	} else {
		c->at += v->n * type_size[elem];
	}
	v->raw = (str){ c->bytes.p + from, c->at - from };
	return 0;
}

static int
take_value(struct cursor *c, struct gguf_value *v)
{
	uint32_t type;

	if (take(c, &type, sizeof(type)) < 0)
		return -1;
	if (type >= GGUF_TYPES)
		return err_set(c->err, ERR_FORMAT, "key '%s': type %" PRIu32 " is not known",
		    v->key, type);
	v->type = (enum gguf_type)type;
	v->n = 1;
	if (type == GGUF_ARRAY)
		return take_array(c, v);
	if (type == GGUF_STRING)
		return take_str(c, &v->raw) < 0 ? err_wrap(c->err, "key '%s'", v->key) : 0;
	if (left(c) < type_size[type])
		return cut_short(c);
	v->raw = (str){ c->bytes.p + c->at, type_size[type] };
	c->at += type_size[type];
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct gguf_value *)a)->key, ((const struct gguf_value *)b)->key);
}

static int
take_keys(struct gguf *f, struct cursor *c)
{
	if ((f->key = arena_new(&f->mem, struct gguf_value, f->nkeys, c->err)) == NULL)
		return -1;
	for (int64_t i = 0; i < f->nkeys; i++)
		if (take_name(c, &f->mem, "key", &f->key[i].key) < 0 ||
		    take_value(c, &f->key[i]) < 0)
			return -1;
	if (f->nkeys > 0)
		qsort(f->key, (size_t)f->nkeys, sizeof(*f->key), by_key);
	for (int64_t i = 1; i < f->nkeys; i++)
		if (strcmp(f->key[i - 1].key, f->key[i].key) == 0)
			return err_set(c->err, ERR_FORMAT, "key '%s' is there twice",
			    f->key[i].key);
	return 0;
}

/* ---- tensors ---- */

/* The shape of a tensor, and how many elements and bytes it has. */
static int
take_shape(struct cursor *c, struct gguf_tensor *t)
{
	const struct gguf_block *b;
	uint32_t ndim;
	uint64_t ne[GGUF_DIMS] = { 0 };

	if (take(c, &ndim, sizeof(ndim)) < 0)
		return -1;
	if (ndim < 1 || ndim > GGUF_DIMS)
		return err_set(c->err, ERR_FORMAT, "tensor '%s': %" PRIu32 " dimensions, not 1 "
		    "to %d", t->name, ndim, GGUF_DIMS);
	if (take(c, ne, 8 * (int64_t)ndim) < 0 || take(c, &t->type, sizeof(t->type)) < 0)
		return -1;
	if ((b = gguf_block(t->type)) == NULL)
		return err_set(c->err, ERR_FORMAT, "tensor '%s': type %" PRIu32 " is not known",
		    t->name, t->type);
	t->ndim = (int)ndim;
	t->n = 1;
	for (uint32_t i = 0; i < ndim; i++) {
		t->shape[ndim - 1 - i] = (int64_t)ne[i];
		if (ne[i] > INT64_MAX || __builtin_mul_overflow(t->n, (int64_t)ne[i], &t->n))
			return err_set(c->err, ERR_FORMAT, "tensor '%s': the shape overflows",
			    t->name);
	}
	if (ne[0] % (uint64_t)b->block != 0)
		return err_set(c->err, ERR_FORMAT, "tensor '%s': rows of %" PRIu64 " elements, "
		    "but %s has blocks of %d", t->name, ne[0], b->name, b->block);
	if (__builtin_mul_overflow(t->n / b->block, b->bytes, &t->bytes))
		return err_set(c->err, ERR_FORMAT, "tensor '%s': the shape overflows", t->name);
	return 0;
}

/* Tensors lie one after the other, each at the next aligned place. */
static int
take_tensors(struct gguf *f, struct cursor *c, int64_t alignment)
{
	uint64_t at;
	int64_t next = 0, start;

	f->tensor = arena_new(&f->mem, struct gguf_tensor, f->ntensors, c->err);
	if (f->tensor == NULL)
		return -1;
	for (int64_t i = 0; i < f->ntensors; i++) {
		struct gguf_tensor *t = &f->tensor[i];

		if (take_name(c, &f->mem, "tensor", &t->name) < 0 || take_shape(c, t) < 0 ||
		    take(c, &at, sizeof(at)) < 0)
			return -1;
		if (at != (uint64_t)next)
			return err_set(c->err, ERR_FORMAT, "tensor '%s': its data begins at "
			    "%" PRIu64 ", where %" PRId64 " must be", t->name, at, next);
		if (t->bytes > c->bytes.n - next)
			return err_set(c->err, ERR_FORMAT, "tensor '%s': %" PRId64 " bytes of data "
			    "at %" PRId64 ", outside of the file", t->name, t->bytes, next);
		t->data = (const void *)(uintptr_t)next;
		next = (next + t->bytes + alignment - 1) / alignment * alignment;
	}
	start = (c->at + alignment - 1) / alignment * alignment;
	for (int64_t i = 0; i < f->ntensors; i++) {
		struct gguf_tensor *t = &f->tensor[i];
		int64_t from = start + (int64_t)(uintptr_t)t->data;

		if (from + t->bytes > c->bytes.n)
			return err_set(c->err, ERR_FORMAT, "tensor '%s': %" PRId64 " bytes of data "
			    "at %" PRId64 ", but the file has %td", t->name, t->bytes, from,
			    c->bytes.n);
		t->data = c->bytes.p + from;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct gguf_tensor *)a)->name,
	    ((const struct gguf_tensor *)b)->name);
}

static int
sort_tensors(struct gguf *f, struct err *err)
{
	if (f->ntensors > 0)
		qsort(f->tensor, (size_t)f->ntensors, sizeof(*f->tensor), by_name);
	for (int64_t i = 1; i < f->ntensors; i++)
		if (strcmp(f->tensor[i - 1].name, f->tensor[i].name) == 0)
			return err_set(err, ERR_FORMAT, "tensor '%s' is there twice",
			    f->tensor[i].name);
	return 0;
}

/* ---- the whole ---- */

static int
check_version(struct cursor *c)
{
	char magic[4];
	uint32_t version;

	if (c->bytes.n < 24)
		return err_set(c->err, ERR_FORMAT, "%td bytes are too few for GGUF", c->bytes.n);
	if (take(c, magic, 4) < 0 || take(c, &version, sizeof(version)) < 0)
		return -1;
	if (memcmp(magic, "GGUF", 4) != 0)
		return err_set(c->err, ERR_FORMAT, "not GGUF");
	if (version >= 1 << 16)
		return err_set(c->err, ERR_FORMAT, "GGUF in big-endian order is not supported");
	if (version < 2 || version > 3)
		return err_set(c->err, ERR_FORMAT, "GGUF version %" PRIu32 ": only 2 and 3 are "
		    "supported", version);
	return 0;
}

static int
read_file(struct gguf *f, str bytes, struct err *err)
{
	struct cursor c = { bytes, 0, err };
	const struct gguf_value *v;
	int64_t alignment = 32;

	if (check_version(&c) < 0 ||
	    take_count(&c, "tensors", TENSOR_BYTES, &f->ntensors) < 0 ||
	    take_count(&c, "keys", KEY_BYTES, &f->nkeys) < 0)
		return -1;
	if (f->ntensors > INT32_MAX || f->nkeys > INT32_MAX)
		return err_set(err, ERR_LIMIT, "too many tensors or keys");
	if (take_keys(f, &c) < 0)
		return -1;
	v = gguf_find_key(f, "general.alignment");
	if (v != NULL && (!gguf_int(v, &alignment) || alignment < 8 ||
	    alignment > ALIGNMENT_MAX || (alignment & (alignment - 1)) != 0))
		return err_set(err, ERR_FORMAT, "general.alignment is no power of two from 8 up "
		    "to %" PRId64, ALIGNMENT_MAX);
	if (take_tensors(f, &c, alignment) < 0)
		return -1;
	return sort_tensors(f, err);
}

struct gguf *
gguf_open_mem(str bytes, struct err *err)
{
	struct gguf *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (arena_init(&f->mem, MEM_MAX, err) == 0 && read_file(f, bytes, err) == 0)
		return f;
	gguf_close(f);
	return NULL;
}

/* Without memory: what this says must not change when there is none. */
bool
gguf_is(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char magic[4] = "";
	bool is = fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "GGUF", 4) == 0;

	if (fd >= 0)
		close(fd);
	return is;
}

static struct gguf *
open_one(const char *path, struct err *err)
{
	struct gguf *f;
	str bytes;

	if (file_map(path, &bytes, err) < 0)
		return NULL;
	if ((f = gguf_open_mem(bytes, err)) == NULL) {
		err_wrap(err, "%s", path);
		file_unmap(bytes);
		return NULL;
	}
	f->map = bytes;
	return f;
}

/* ---- a model in several files: NAME-00001-of-00003.gguf and so on ---- */

/* Which part of how many a file is; false when it is the whole. */
static bool
is_part(const struct gguf *f, int64_t *no, int64_t *count)
{
	return gguf_int(gguf_find_key(f, "split.count"), count) && *count > 1 &&
	    gguf_int(gguf_find_key(f, "split.no"), no);
}

/* Open part i beside the first. */
static struct gguf *
open_part(const char *first, int64_t i, int64_t count, struct err *err)
{
	char end[32], path[4096];
	int64_t no, of;
	struct gguf *g;
	str name = str_of(first);

	snprintf(end, sizeof(end), "-%05d-of-%05d.gguf", 1, (int)count);
	if (!str_ends(name, str_of(end)) || name.n >= (ptrdiff_t)sizeof(path)) {
		err_set(err, ERR_FORMAT, "%s: the first of %" PRId64 " files is not named so: "
		    "NAME%s", first, count, end);
		return NULL;
	}
	snprintf(path, sizeof(path), "%.*s-%05d-of-%05d.gguf",
	    (int)(name.n - (ptrdiff_t)strlen(end)), first, (int)i + 1, (int)count);
	if ((g = open_one(path, err)) == NULL)
		return NULL;
	if (is_part(g, &no, &of) && no == i && of == count)
		return g;
	err_set(err, ERR_FORMAT, "%s: not part %" PRId64 " of %" PRId64, path, i + 1, count);
	gguf_close(g);
	return NULL;
}

/* All tensors of all parts in one list. */
static int
join_tensors(struct gguf *f, struct err *err)
{
	struct gguf_tensor *all;
	int64_t n = f->ntensors;

	for (int64_t i = 0; i < f->nparts; i++)
		n += f->part[i]->ntensors;
	if (n > INT32_MAX || (all = arena_new(&f->mem, struct gguf_tensor, n, err)) == NULL)
		return n > INT32_MAX ? err_set(err, ERR_LIMIT, "too many tensors") : -1;
	memcpy(all, f->tensor, (size_t)f->ntensors * sizeof(*all));
	n = f->ntensors;
	for (int64_t i = 0; i < f->nparts; i++) {
		memcpy(all + n, f->part[i]->tensor,
		    (size_t)f->part[i]->ntensors * sizeof(*all));
		n += f->part[i]->ntensors;
	}
	f->tensor = all;
	f->ntensors = n;
	return sort_tensors(f, err);
}

static int
open_parts(struct gguf *f, const char *path, struct err *err)
{
	int64_t no, count;

	if (!is_part(f, &no, &count))
		return 0;
	if (no != 0 || count > PARTS_MAX)
		return err_set(err, ERR_FORMAT, "%s: part %" PRId64 " of %" PRId64 ": the first "
		    "is to be opened, of at most %d", path, no + 1, count, PARTS_MAX);
	if ((f->part = calloc((size_t)count, sizeof(*f->part))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 1; i < count; i++)
		if ((f->part[f->nparts++] = open_part(path, i, count, err)) == NULL)
			return -1;
	return join_tensors(f, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

struct gguf *
gguf_open(const char *path, struct err *err)
{
	struct gguf *f = open_one(path, err);

	if (f == NULL || open_parts(f, path, err) == 0)
		return f;
	gguf_close(f);
	return NULL;
}

void
gguf_close(struct gguf *f)
{
	if (f == NULL)
		return;
	for (int64_t i = 0; i < f->nparts; i++)
		gguf_close(f->part[i]);
	free(f->part);
	arena_free(&f->mem);
	if (f->map.p != NULL)
		file_unmap(f->map);
	free(f);
}

int
gguf_keys(const struct gguf *f)
{
	return (int)f->nkeys;
}

const struct gguf_value *
gguf_key(const struct gguf *f, int i)
{
	return &f->key[i];
}

const struct gguf_value *
gguf_find_key(const struct gguf *f, const char *key)
{
	struct gguf_value want = { .key = key };

	return f->nkeys == 0 ? NULL :
	    bsearch(&want, f->key, (size_t)f->nkeys, sizeof(want), by_key);
}

int
gguf_count(const struct gguf *f)
{
	return (int)f->ntensors;
}

const struct gguf_tensor *
gguf_at(const struct gguf *f, int i)
{
	return &f->tensor[i];
}

const struct gguf_tensor *
gguf_find(const struct gguf *f, const char *name)
{
	struct gguf_tensor want = { .name = name };

	return f->ntensors == 0 ? NULL :
	    bsearch(&want, f->tensor, (size_t)f->ntensors, sizeof(want), by_name);
}

/* ---- values ---- */

#define NUMBER(type) do {			\
	type x_;				\
	memcpy(&x_, p, sizeof(x_));		\
	*x = (int64_t)x_;			\
	return true;				\
} while (0)

static bool
int_at(enum gguf_type type, const char *p, int64_t *x)
{
	uint64_t u;

	switch (type) {
	case GGUF_U8: NUMBER(uint8_t);
	case GGUF_I8: NUMBER(int8_t);
	case GGUF_U16: NUMBER(uint16_t);
	case GGUF_I16: NUMBER(int16_t);
	case GGUF_U32: NUMBER(uint32_t);
	case GGUF_I32: NUMBER(int32_t);
	case GGUF_I64: NUMBER(int64_t);
	case GGUF_U64:
		memcpy(&u, p, sizeof(u));
		*x = (int64_t)u;
		return u <= INT64_MAX;
	default:
		return false;
	}
}

bool
gguf_int(const struct gguf_value *v, int64_t *x)
{
	return v != NULL && int_at(v->type, v->raw.p, x);
}

double
gguf_as_written(float f)
{
	char text[32];

	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)f);
		if (strtof(text, NULL) == f)
			return strtod(text, NULL);
	}
	return (double)f;
}

bool
gguf_real(const struct gguf_value *v, double *x)
{
	int64_t i;
	float f;

	if (v == NULL)
		return false;
	if (v->type == GGUF_F64) {
		memcpy(x, v->raw.p, sizeof(*x));
		return true;
	}
	if (v->type == GGUF_F32) {
		memcpy(&f, v->raw.p, sizeof(f));
		*x = gguf_as_written(f);
		return true;
	}
	if (!gguf_int(v, &i))
		return false;
	*x = (double)i;
	return true;
}

bool
gguf_bool(const struct gguf_value *v, bool *x)
{
	if (v == NULL || v->type != GGUF_BOOL)
		return false;
	*x = v->raw.p[0] != 0;
	return true;
}

bool
gguf_text(const struct gguf_value *v, str *s)
{
	if (v == NULL || v->type != GGUF_STRING)
		return false;
	*s = v->raw;
	return true;
}

bool
gguf_next_text(const struct gguf_value *v, ptrdiff_t *at, str *s)
{
	uint64_t n;

	if (v == NULL || v->type != GGUF_ARRAY || v->elem != GGUF_STRING || *at >= v->raw.n)
		return false;
	memcpy(&n, v->raw.p + *at, sizeof(n));
	*s = (str){ v->raw.p + *at + 8, (ptrdiff_t)n };
	*at += 8 + (ptrdiff_t)n;
	return true;
}

bool
gguf_next_int(const struct gguf_value *v, ptrdiff_t *at, int64_t *x)
{
	if (v == NULL || v->type != GGUF_ARRAY || *at >= v->raw.n ||
	    !int_at(v->elem, v->raw.p + *at, x))
		return false;
	*at += type_size[v->elem];
	return true;
}

int
gguf_decode(const struct gguf_tensor *t, float *y, struct err *err)
{
	const struct gguf_block *b = gguf_block(t->type);

	switch (b->type) {
	case DTYPE_F64: case DTYPE_F32: case DTYPE_F16: case DTYPE_BF16:
		dtype_convert(y, DTYPE_F32, t->data, b->type, t->n);
		return 0;
	default:
		if (dtype_block(b->type) == 1)
			return err_set(err, ERR_FORMAT, "tensor '%s': %s is not read", t->name,
			    b->name);
		quant_decode(b->type, y, t->data, t->n);
		return 0;
	}
}
