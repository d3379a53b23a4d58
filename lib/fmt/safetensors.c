/* The reader.  The header is JSON, parsed by jansson, and then not trusted. */
#include "fmt/safetensors.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"

#define FILES_MAX	4096
#define NAMES_MAX	((ptrdiff_t)1 << 34)	/* address space for names and tensors */
#define INDEX_MAX	((ptrdiff_t)256 << 20)	/* bytes of an index file */

struct st_file {
	struct arena	 mem;
	str		*map;		/* nmaps mappings, ours to unmap */
	int		 nmaps;
	struct st_tensor *tensor;	/* sorted by name */
	int		 n;
	json_t		*meta;		/* of the first file, or NULL */
};

/* A tensor with the place of its data, to check that ranges fill the file. */
struct range {
	int64_t	from, to;
	int	tensor;
};

int64_t
st_bytes(dtype type, int ndim, const int64_t *shape)
{
	int64_t n = dtype_size(type);

	if (ndim < 0 || ndim > ST_DIMS)
		return -1;
	for (int i = 0; i < ndim; i++)
		if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n))
			return -1;
	return n;
}

/* The integer v, at least 0 and no more than most; or -1. */
static int64_t
natural(const json_t *v, int64_t most)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
		return -1;
	return json_integer_value(v);
}

static int
parse_tensor(struct st_file *f, const char *name, const json_t *v, str data,
    struct st_tensor *t, struct range *r, struct err *err)
{
	const json_t *type = json_object_get(v, "dtype"), *shape = json_object_get(v, "shape");
	const json_t *at = json_object_get(v, "data_offsets");
	str s;

	if (!json_is_string(type) || !json_is_array(shape) || json_array_size(at) != 2 ||
	    json_object_size(v) != 3)
		return err_set(err, ERR_FORMAT, "tensor '%.200s': not a dtype, a shape and "
		    "two data_offsets", name);
	*t = (struct st_tensor){ .type = dtype_of(str_of(json_string_value(type))) };
	if (dtype_size(t->type) == 0)
		return err_set(err, ERR_FORMAT, "tensor '%.200s': dtype '%.20s' is not "
		    "supported", name, json_string_value(type));
	if (json_array_size(shape) > ST_DIMS)
		return err_set(err, ERR_LIMIT, "tensor '%.200s': %zu dimensions, more than %d",
		    name, json_array_size(shape), ST_DIMS);
	t->ndim = (int)json_array_size(shape);
	for (int i = 0; i < t->ndim; i++)
		if ((t->shape[i] = natural(json_array_get(shape, (size_t)i), INT64_MAX)) < 0)
			return err_set(err, ERR_FORMAT, "tensor '%.200s': bad shape", name);
	t->bytes = st_bytes(t->type, t->ndim, t->shape);
	if (t->bytes < 0)
		return err_set(err, ERR_FORMAT, "tensor '%.200s': the shape overflows", name);
	r->from = natural(json_array_get(at, 0), data.n);
	r->to = natural(json_array_get(at, 1), data.n);
	if (r->from < 0 || r->to < r->from)
		return err_set(err, ERR_FORMAT, "tensor '%.200s': data_offsets are outside of "
		    "the %td bytes of data", name, data.n);
	if (r->to - r->from != t->bytes)
		return err_set(err, ERR_FORMAT, "tensor '%.200s': %lld bytes of data, but its "
		    "shape needs %lld", name, (long long)(r->to - r->from), (long long)t->bytes);
	t->data = data.p + r->from;
	s = arena_str(&f->mem, str_of(name), err);
	t->name = s.p;
	return s.p == NULL ? -1 : 0;
}

static int
by_range(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct st_tensor *)a)->name, ((const struct st_tensor *)b)->name);
}

/* Ranges must cover the data exactly: no hole, no overlap, nothing after. */
static int
check_ranges(const struct st_tensor *t, struct range *r, int n, int64_t end, struct err *err)
{
	int64_t at = 0;

	if (n > 0)
		qsort(r, (size_t)n, sizeof(*r), by_range);
	for (int i = 0; i < n; i++) {
		if (r[i].from != at)
			return err_set(err, ERR_FORMAT, "tensor '%.200s': its data begins at "
			    "%lld, where %lld must be: a hole or an overlap",
			    t[r[i].tensor].name, (long long)r[i].from, (long long)at);
		at = r[i].to;
	}
	if (at != end)
		return err_set(err, ERR_FORMAT, "%lld bytes of data belong to no tensor",
		    (long long)(end - at));
	return 0;
}

static int
take_meta(struct st_file *f, json_t *meta, struct err *err)
{
	const char *key;
	json_t *v;

	if (!json_is_object(meta))
		return err_set(err, ERR_FORMAT, "__metadata__ is not an object");
	json_object_foreach(meta, key, v)
		if (!json_is_string(v))
			return err_set(err, ERR_FORMAT, "__metadata__ '%.200s' is not a string",
			    key);
	if (f->meta == NULL)
		f->meta = json_incref(meta);
	return 0;
}

/* All tensors of a header into f, unsorted, as they come. */
static int
add_tensors(struct st_file *f, json_t *head, str data, struct err *err)
{
	int room = (int)json_object_size(head), n = 0;
	struct st_tensor *t;
	struct range *r;
	const char *name;
	json_t *v;

	t = arena_new(&f->mem, struct st_tensor, (ptrdiff_t)f->n + room, err);
	r = arena_new(&f->mem, struct range, room, err);
	if (t == NULL || r == NULL)
		return -1;
	json_object_foreach(head, name, v) {
		if (strcmp(name, "__metadata__") == 0) {
			if (take_meta(f, v, err) != 0)
				return -1;
			continue;
		}
		if (parse_tensor(f, name, v, data, &t[n], &r[n], err) != 0)
			return -1;
		r[n].tensor = n;
		n++;
	}
	if (check_ranges(t, r, n, data.n, err) != 0)
		return -1;
	if (f->n > 0)
		memcpy(t + n, f->tensor, (size_t)f->n * sizeof(*t));
	f->tensor = t;
	f->n += n;
	return 0;
}

/* One file's bytes: the length of the header, the header, the data. */
static int
add_file(struct st_file *f, str bytes, struct err *err)
{
	json_error_t why;
	uint64_t n;
	json_t *head;
	int rc;

	if (bytes.n < 8)
		return err_set(err, ERR_FORMAT, "%td bytes are too few for safetensors",
		    bytes.n);
	memcpy(&n, bytes.p, sizeof(n));
	if (n > ST_HEADER_MAX)
		return err_set(err, ERR_FORMAT, "not safetensors, or a header of %llu bytes, "
		    "more than %d", (unsigned long long)n, ST_HEADER_MAX);
	if ((int64_t)n > bytes.n - 8)
		return err_set(err, ERR_FORMAT, "cut short: the header has %llu bytes, the file "
		    "%td after its length", (unsigned long long)n, bytes.n - 8);
	if (n == 0 || bytes.p[8] != '{')
		return err_set(err, ERR_FORMAT, "the header does not begin with '{'");
	head = json_loadb(bytes.p + 8, (size_t)n, JSON_REJECT_DUPLICATES, &why);
	if (head == NULL)
		return err_set(err, ERR_FORMAT, "header, byte %d: %s", why.position, why.text);
	rc = json_object_size(head) > INT32_MAX / 2 ?
	    err_set(err, ERR_LIMIT, "too many tensors") :
	    add_tensors(f, head, (str){ bytes.p + 8 + n, bytes.n - 8 - (int64_t)n }, err);
	json_decref(head);
	return rc;
}

static struct st_file *
st_new(struct err *err)
{
	struct st_file *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (arena_init(&f->mem, NAMES_MAX, err) != 0) {
		free(f);
		return NULL;
	}
	return f;
}

static void
sort_tensors(struct st_file *f)
{
	if (f->n > 0)
		qsort(f->tensor, (size_t)f->n, sizeof(*f->tensor), by_name);
}

struct st_file *
st_open_mem(str bytes, struct err *err)
{
	struct st_file *f = st_new(err);

	if (f != NULL && add_file(f, bytes, err) != 0) {
		st_close(f);
		return NULL;
	}
	if (f != NULL)
		sort_tensors(f);
	return f;
}

static int
add_path(struct st_file *f, const char *path, struct err *err)
{
	if (file_map(path, &f->map[f->nmaps], err) != 0)
		return -1;
	f->nmaps++;
	if (add_file(f, f->map[f->nmaps - 1], err) != 0)
		return err_wrap(err, "%s", path);
	return 0;
}

/* A name that stays in its directory. */
static bool
plain_name(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && name[0] != '.' &&
	    strlen(name) < 256;
}

/*
 * The files that an index names, each once.  Index files are written by many
 * programs, so files come in the order of their first tensor.
 */
static int
index_files(const json_t *weights, const char **file, int *n, struct err *err)
{
	json_t *seen = json_object(), *v;
	const char *tensor;
	int rc = 0;

	json_object_foreach((json_t *)(uintptr_t)weights, tensor, v) {
		const char *name = json_string_value(v);

		if (name == NULL || !plain_name(name)) {
			rc = err_set(err, ERR_FORMAT, "tensor '%.200s': '%.100s' is no file "
			    "beside the index", tensor, name == NULL ? "" : name);
			break;
		}
		if (json_object_get(seen, name) != NULL)
			continue;
		if (*n == FILES_MAX || json_object_set_new(seen, name, json_true()) != 0) {
			rc = err_set(err, ERR_LIMIT, "more than %d files", FILES_MAX);
			break;
		}
		file[(*n)++] = name;
	}
	json_decref(seen);
	return rc;
}

/* Every tensor of the index is there once, and nothing else is. */
static int
check_index(const struct st_file *f, const json_t *weights, struct err *err)
{
	for (int i = 0; i < f->n; i++) {
		if (i > 0 && strcmp(f->tensor[i - 1].name, f->tensor[i].name) == 0)
			return err_set(err, ERR_FORMAT, "tensor '%.200s' is in two files",
			    f->tensor[i].name);
		if (json_object_get(weights, f->tensor[i].name) == NULL)
			return err_set(err, ERR_FORMAT, "tensor '%.200s' is not in the index",
			    f->tensor[i].name);
	}
	if ((size_t)f->n == json_object_size(weights))
		return 0;
	return err_set(err, ERR_FORMAT, "the index names %zu tensors, the files have %d",
	    json_object_size(weights), f->n);
}

static int
add_sharded(struct st_file *f, const char *dir, const json_t *weights, struct err *err)
{
	const char **file;
	char path[4096];
	int n = 0;

	file = arena_new(&f->mem, const char *, FILES_MAX, err);
	f->map = arena_new(&f->mem, str, FILES_MAX, err);
	if (file == NULL || f->map == NULL)
		return -1;
	if (index_files(weights, file, &n, err) != 0)
		return err_wrap(err, "%s", dir);
	for (int i = 0; i < n; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, file[i]) >= (int)sizeof(path))
			return err_set(err, ERR_LIMIT, "the name of the directory is too long");
		if (add_path(f, path, err) != 0)
			return -1;
	}
	sort_tensors(f);
	return check_index(f, weights, err) == 0 ? 0 : err_wrap(err, "%s", dir);
}

static int
open_index(struct st_file *f, const char *dir, const char *path, struct err *err)
{
	json_error_t why;
	json_t *doc;
	str text = file_slurp(&f->mem, path, INDEX_MAX, err);
	int rc;

	if (text.p == NULL)
		return -1;
	doc = json_loadb(text.p, (size_t)text.n, JSON_REJECT_DUPLICATES, &why);
	if (doc == NULL)
		return err_set(err, ERR_FORMAT, "%s:%d: %s", path, why.line, why.text);
	if (json_is_object(json_object_get(doc, "weight_map")))
		rc = add_sharded(f, dir, json_object_get(doc, "weight_map"), err);
	else
		rc = err_set(err, ERR_FORMAT, "%s: no weight_map", path);
	json_decref(doc);
	return rc;
}

/* What other programs keep weights in, and this one does not read. */
static const char *const other_weights[] = {
	"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth",
	"tf_model.h5", "flax_model.msgpack", NULL
};

static int
no_weights(const char *dir, struct err *err)
{
	const char *other = file_first(dir, other_weights);

	errno = ENOENT;
	if (other == NULL)
		return err_sys(err, "%s/model.safetensors", dir);
	return err_sys(err, "%s: %s is not read, safetensors are needed: model.safetensors", dir,
	    other);
}

/* As transformers does: one file, or else several. */
static int
open_dir(struct st_file *f, const char *dir, struct err *err)
{
	static const char *const names[] = {
		"model.safetensors", "model.safetensors.index.json", NULL
	};
	const char *name = file_first(dir, names);
	char path[4096];

	if (name == NULL)
		return no_weights(dir, err);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (name == names[1])
		return open_index(f, dir, path, err);
	f->map = arena_new(&f->mem, str, 1, err);
	return f->map == NULL ? -1 : add_path(f, path, err);
}

static int
open_path(struct st_file *f, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_sys(err, "%s: cannot open", path);
	if (S_ISDIR(st.st_mode)) {
		if (open_dir(f, path, err) != 0)
			return -1;
	} else {
		f->map = arena_new(&f->mem, str, 1, err);
		if (f->map == NULL || add_path(f, path, err) != 0)
			return -1;
	}
	sort_tensors(f);
	return 0;
}

struct st_file *
st_open(const char *path, struct err *err)
{
	struct st_file *f = st_new(err);

	if (f != NULL && open_path(f, path, err) != 0) {
		st_close(f);
		return NULL;
	}
	return f;
}

int
st_count(const struct st_file *f)
{
	return f->n;
}

const struct st_tensor *
st_at(const struct st_file *f, int i)
{
	return &f->tensor[i];
}

const struct st_tensor *
st_find(const struct st_file *f, const char *name)
{
	struct st_tensor key = { .name = name };

	return f->n == 0 ? NULL : bsearch(&key, f->tensor, (size_t)f->n, sizeof(key), by_name);
}

const char *
st_meta(const struct st_file *f, const char *key)
{
	return json_string_value(json_object_get(f->meta, key));
}

void
st_close(struct st_file *f)
{
	if (f == NULL)
		return;
	for (int i = 0; i < f->nmaps; i++)
		file_unmap(f->map[i]);
	json_decref(f->meta);
	arena_free(&f->mem);
	free(f);
}
