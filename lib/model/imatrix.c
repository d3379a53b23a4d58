#include "model/imatrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/stream.h"
#include "fmt/gguf_write.h"

#define MEM_MAX		((ptrdiff_t)1 << 34)
#define ENTRIES_MAX	(1 << 16)
#define CHUNK		512	/* tokens, in which llama.cpp counts */

struct imatrix {
	struct arena	 mem;
	struct imatrix_entry *entry;	/* sorted by name */
	int		 n, cap;
};

struct imatrix *
imatrix_new(struct err *err)
{
	struct imatrix *im = calloc(1, sizeof(*im));

	if (im == NULL || arena_init(&im->mem, MEM_MAX, err) < 0) {
		if (im == NULL)
			err_set(err, ERR_NOMEM, "out of memory");
		free(im);
		return NULL;
	}
	return im;
}

void
imatrix_free(struct imatrix *im)
{
	if (im == NULL)
		return;
	arena_free(&im->mem);
	free(im->entry);
	free(im);
}

static struct imatrix_entry *
add(struct imatrix *im, str name, int64_t n, int64_t mats, struct err *err)
{
	struct imatrix_entry e = { .n = n, .mats = mats };
	int at;

	if (im->n == im->cap) {
		int cap = im->cap > 0 ? im->cap * 2 : 256;
		struct imatrix_entry *p = realloc(im->entry, (size_t)cap * sizeof(*p));

		if (p == NULL || cap > ENTRIES_MAX) {
			im->entry = p != NULL ? p : im->entry;
			err_set(err, ERR_LIMIT, "too many entries");
			return NULL;
		}
		im->entry = p;
		im->cap = cap;
	}
	if (n < 1 || mats < 1 || n % mats != 0) {
		err_set(err, ERR_FORMAT, "'%.*s': impossible size", STR_ARG(name));
		return NULL;
	}
	e.name = arena_str(&im->mem, name, err).p;
	e.sum = arena_new(&im->mem, float, n, err);
	e.most = arena_new(&im->mem, float, n, err);
	e.count = arena_new(&im->mem, float, mats, err);
	if (e.name == NULL || e.sum == NULL || e.most == NULL || e.count == NULL)
		return NULL;
	at = im->n++;
	for (; at > 0 && strcmp(im->entry[at - 1].name, e.name) > 0; at--)
		im->entry[at] = im->entry[at - 1];
	if (at > 0 && strcmp(im->entry[at - 1].name, e.name) == 0) {
		err_set(err, ERR_FORMAT, "'%.200s' is there twice", e.name);
		return NULL;
	}
	im->entry[at] = e;
	return &im->entry[at];
}

struct imatrix_entry *
imatrix_add(struct imatrix *im, const char *name, int64_t n, int64_t mats, struct err *err)
{
	return add(im, str_of(name), n, mats, err);
}

/* ---- reading ---- */

static int
check(const struct imatrix_entry *e, struct err *err)
{
	for (int64_t i = 0; i < e->n; i++)
		if (!(e->sum[i] >= 0) || !isfinite(e->sum[i]))
			return err_set(err, ERR_FORMAT, "'%.200s': sum %lld is no sum of squares",
			    e->name, (long long)i);
	for (int64_t i = 0; i < e->mats; i++)
		if (!(e->count[i] >= 0) || !isfinite(e->count[i]))
			return err_set(err, ERR_FORMAT, "'%.200s': count %lld is no count",
			    e->name, (long long)i);
	return 0;
}

static int
read_gguf(struct imatrix *im, const struct gguf *f, struct err *err)
{
	for (int i = 0; i < gguf_count(f); i++) {
		const struct gguf_tensor *sum = gguf_at(f, i), *count;
		char name[GGUF_NAME + 8];
		str base = str_of(sum->name);
		struct imatrix_entry *e;

		if (!str_ends(base, S(".in_sum2")))
			continue;
		base.n -= S(".in_sum2").n;
		snprintf(name, sizeof(name), "%.*s.counts", STR_ARG(base));
		count = gguf_find(f, name);
		if (count == NULL || count->n < 1 || sum->n % count->n != 0 ||
		    gguf_block(sum->type)->type != DTYPE_F32 ||
		    gguf_block(count->type)->type != DTYPE_F32)
			return err_set(err, ERR_FORMAT, "'%.*s': no fp32 sums and counts",
			    STR_ARG(base));
		if ((e = add(im, base, sum->n, count->n, err)) == NULL)
			return -1;
		memcpy(e->sum, sum->data, (size_t)sum->bytes);
		memcpy(e->count, count->data, (size_t)count->bytes);
		if (check(e, err) < 0)
			return -1;
	}
	return 0;
}

/* A number of the older form, which has nothing but those, names and sums. */
static int
take(str *bytes, void *to, int64_t n, struct err *err)
{
	if (n < 0 || bytes->n < n)
		return err_set(err, ERR_FORMAT, "cut short, or no importance matrix");
	if (to != NULL)
		memcpy(to, bytes->p, (size_t)n);
	bytes->p += n;
	bytes->n -= (ptrdiff_t)n;
	return 0;
}

static int
read_old(struct imatrix *im, str bytes, struct err *err)
{
	int32_t entries = 0, length = 0, calls = 0, n = 0;

	if (take(&bytes, &entries, 4, err) < 0)
		return -1;
	for (int32_t i = 0; i < entries; i++) {
		struct imatrix_entry *e;
		str name;

		if (take(&bytes, &length, 4, err) < 0)
			return -1;
		name = (str){ bytes.p, length };
		if (take(&bytes, NULL, length, err) < 0 || take(&bytes, &calls, 4, err) < 0 ||
		    take(&bytes, &n, 4, err) < 0)
			return -1;
		if (n < 1 || n > bytes.n / 4 || length < 1 || memchr(name.p, 0, (size_t)length))
			return err_set(err, ERR_FORMAT, "cut short, or no importance matrix");
		if ((e = add(im, name, n, 1, err)) == NULL)
			return -1;
		memcpy(e->sum, bytes.p, (size_t)n * 4);
		take(&bytes, NULL, (int64_t)n * 4, err);
		e->count[0] = (float)(calls > 0 ? calls : 1);
		if (check(e, err) < 0)
			return -1;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct imatrix_entry *)a)->name,
	    ((const struct imatrix_entry *)b)->name);
}

static int
read_any(struct imatrix *im, str bytes, struct err *err)
{
	int ret;

	if (str_starts(bytes, S("GGUF"))) {
		struct gguf *f = gguf_open_mem(bytes, err);

		if (f == NULL)
			return -1;
		ret = read_gguf(im, f, err);
		gguf_close(f);
	} else {
		ret = read_old(im, bytes, err);
	}
	if (ret < 0)
		return -1;
	if (im->n == 0)
		return err_set(err, ERR_FORMAT, "no importance matrix is in it");
	return 0;
}

struct imatrix *
imatrix_load_mem(str bytes, struct err *err)
{
	struct imatrix *im = imatrix_new(err);

	if (im == NULL || read_any(im, bytes, err) == 0)
		return im;
	imatrix_free(im);
	return NULL;
}

struct imatrix *
imatrix_load(const char *path, struct err *err)
{
	struct imatrix *im;
	str bytes;

	if (file_map(path, &bytes, err) < 0) {
		err_wrap(err, "%s", path);
		return NULL;
	}
	if ((im = imatrix_load_mem(bytes, err)) == NULL)
		err_wrap(err, "%s", path);
	file_unmap(bytes);
	return im;
}

/* ---- writing ---- */

int
imatrix_save(const struct imatrix *im, const char *path, const char *source, int64_t tokens,
    struct err *err)
{
	struct gguf_tensor *t = calloc((size_t)im->n * 2 + 1, sizeof(*t));
	char (*name)[GGUF_NAME + 1] = calloc((size_t)im->n * 2 + 1, sizeof(*name));
	struct gguf_keys k = { .n = 0 };
	struct gguf_write w = { .keys = &k, .tensor = t, .n = im->n * 2 };
	str text = str_of(source);
	int ret = -1;

	gguf_put_text(&k, "general.type", S("imatrix"));
	gguf_put_texts(&k, "imatrix.datasets", &text, 1);
	gguf_put_u32(&k, "imatrix.chunk_count", (tokens + CHUNK - 1) / CHUNK);
	gguf_put_u32(&k, "imatrix.chunk_size", CHUNK);
	for (int i = 0; i < im->n && t != NULL && name != NULL; i++) {
		const struct imatrix_entry *e = &im->entry[i];

		snprintf(name[2 * i], sizeof(*name), "%s.in_sum2", e->name);
		snprintf(name[2 * i + 1], sizeof(*name), "%s.counts", e->name);
		t[2 * i] = (struct gguf_tensor){ .name = name[2 * i], .ndim = 2,
		    .shape = { e->mats, e->n / e->mats }, .data = e->sum };
		t[2 * i + 1] = (struct gguf_tensor){ .name = name[2 * i + 1], .ndim = 2,
		    .shape = { e->mats, 1 }, .data = e->count };
	}
	if (t == NULL || name == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else
		ret = gguf_save(path, &w, err);
	gguf_keys_free(&k);
	free(t);
	free(name);
	return ret;
}

/* ---- asking ---- */

int
imatrix_count(const struct imatrix *im)
{
	return im->n;
}

const struct imatrix_entry *
imatrix_at(const struct imatrix *im, int i)
{
	return &im->entry[i];
}

const struct imatrix_entry *
imatrix_find(const struct imatrix *im, const char *name)
{
	struct imatrix_entry key = { .name = name };

	return im->n == 0 ? NULL : bsearch(&key, im->entry, (size_t)im->n, sizeof(key), by_name);
}

bool
imatrix_mean(const struct imatrix_entry *e, int64_t mat, int64_t mats, int64_t cols, float *w)
{
	/* One entry may be for all matrices, and the older form has one count for all. */
	int64_t from = e->n == cols ? 0 : mat * cols;
	float count = e->count[e->mats == mats ? mat : 0];

	if ((e->n != cols && e->n != cols * mats) || count <= 0)
		return false;
	for (int64_t i = 0; i < cols; i++)
		w[i] = e->sum[from + i] / count;
	return true;
}
