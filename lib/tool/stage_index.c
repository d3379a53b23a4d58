#include "tool/stages_impl.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fmt/checkpoint.h"

#define VERSION_OF_INDEX 1

static int
path_in(char to[4096], const char *dir, const char *name, struct err *err)
{
	if (snprintf(to, 4096, "%s/%s", dir, name) >= 4096)
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	return 0;
}

static json_t *
settings_of(const struct dedup *d, struct err *err)
{
	struct buf b = { 0 };
	json_t *j = dedup_settings(d, &b, err) == 0 ? json_doc(buf_str(&b), err) : NULL;

	buf_free(&b);
	return j;
}

static bool
is_segment(const char *name)
{
	size_t n = strlen(name);

	return n == 12 && strspn(name, "0123456789") == 6 && strcmp(name + 6, ".signs") == 0;
}

static int
add_segment(struct index *x, const json_t *entry, struct err *err)
{
	const char *name = json_string_value(json_object_get(entry, "name"));
	struct merge_source *p;
	char path[4096];
	int64_t number;

	if (name == NULL || !is_segment(name))
		return err_set(err, ERR_FORMAT, "%s/index.json: a segment without a name", x->dir);
	if (path_in(path, x->dir, name, err) < 0)
		return -1;
	p = realloc(x->source, (size_t)(x->n + 1) * sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->source = p;
	x->source[x->n] = (struct merge_source){ .path = strdup(path), .old = true };
	if (x->source[x->n++].path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (signs_count(path, &p[x->n - 1].sums, err) < 0)
		return -1;
	if (p[x->n - 1].sums.signs != json_integer_value(json_object_get(entry, "records")))
		return err_set(err, ERR_FORMAT, "%s: it has %lld records, and index.json says "
		    "other", path, (long long)p[x->n - 1].sums.signs);
	if ((number = strtoll(name, NULL, 10)) >= x->next)
		x->next = number + 1;
	return 0;
}

/* Read what is there and compare its settings. */
static int
load(struct index *x, const char *path, const json_t *want, struct err *err)
{
	const json_t *segments, *is;
	int64_t version;

	if ((x->doc = json_doc_load(path, err)) == NULL)
		return -1;
	version = json_integer_value(json_object_get(x->doc, "version"));
	if (version < 1 || version > VERSION_OF_INDEX)
		return err_set(err, ERR_FORMAT, "%s: version %lld, and this program reads %d",
		    path, (long long)version, VERSION_OF_INDEX);
	is = json_object_get(x->doc, "settings");
	if (!json_equal(is, want)) {
		char *a = json_dumps(is, JSON_COMPACT | JSON_REAL_PRECISION(6));
		char *b = json_dumps(want, JSON_COMPACT | JSON_REAL_PRECISION(6));

		err_set(err, ERR_ARG, "%s: the index was made with %s, not with %s", x->dir,
		    a != NULL ? a : "others", b != NULL ? b : "these");
		free(a);
		free(b);
		return -1;
	}
	segments = json_object_get(x->doc, "segments");
	for (size_t i = 0; i < json_array_size(segments); i++)
		if (add_segment(x, json_array_get(segments, i), err) < 0)
			return -1;
	return 0;
}

/* What a run that was killed left: segments that the index does not know. */
static void
sweep(const struct index *x)
{
	DIR *dir = opendir(x->dir);
	const struct dirent *e;
	char path[4096];
	struct err err;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		bool known = !is_segment(e->d_name);

		for (int i = 0; i < x->n && !known; i++)
			known = strcmp(strrchr(x->source[i].path, '/') + 1, e->d_name) == 0;
		if (!known && path_in(path, x->dir, e->d_name, &err) == 0)
			unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
}

int
index_open(struct index *x, const char *dir, const struct dedup *d, struct err *err)
{
	json_t *want = settings_of(d, err);
	char path[4096];
	int ret;

	*x = (struct index){ .lock = -1, .next = 1 };
	if (want == NULL)
		return -1;
	ret = snprintf(x->dir, sizeof(x->dir), "%s", dir) < (int)sizeof(x->dir) ? 0 :
	    err_set(err, ERR_ARG, "%s: name too long", dir);
	if (ret == 0)
		ret = path_in(path, dir, "index.json", err);
	if (ret == 0 && (x->lock = run_lock(dir, err)) == -1)
		ret = -1;
	if (ret == 0 && access(path, F_OK) == 0)
		ret = load(x, path, want, err);
	else if (ret == 0 && (x->doc = json_pack("{s:i,s:O,s:[]}", "version",
	    VERSION_OF_INDEX, "settings", want, "segments")) == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	json_decref(want);
	if (ret == 0) {
		sweep(x);
		return 0;
	}
	index_close(x);
	return -1;
}

/* Copy the signs of one source that are kept. */
static int
copy_kept(struct signs_writer *w, struct merge *m, const struct merge_source *source,
    struct err *err)
{
	struct signs_reader r;
	struct judged v;
	struct sign s;
	int got = -1;

	if (signs_open(&r, source->path, err) == 0)
		while ((got = signs_next(&r, &s, err)) > 0) {
			if ((got = merge_next(m, &v, err)) < 0)
				break;
			s.index = w->signs;
			if (v.source == 0 && (got = signs_put(w, &s, err)) < 0)
				break;
		}
	signs_close(&r);
	return got;
}

static int
write_segment(const struct dedup *d, struct merge *m, const struct merge_source *source, int n,
    const char *path, int64_t *signs, struct err *err)
{
	struct signs_writer w = { 0 };
	struct buf settings = { 0 };
	struct out *out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);
	int ret = out == NULL ? -1 : dedup_settings(d, &settings, err);

	if (ret == 0)
		ret = signs_begin(&w, out, buf_str(&settings), d->method->key_bytes(d), err);
	if (ret == 0)
		ret = merge_first(m, err);
	for (int i = 0; i < n && ret == 0; i++)
		if (!source[i].old)
			ret = copy_kept(&w, m, &source[i], err);
	if (ret == 0)
		ret = signs_finish(&w, w.signs, 0, err);
	*signs = w.signs;
	signs_writer_free(&w);
	buf_free(&settings);
	if (ret == 0)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}

int
index_add(struct index *x, const struct dedup *d, struct merge *m,
    const struct merge_source *source, int n, struct err *err)
{
	char name[32], path[4096];
	int64_t signs;
	json_t *entry;

	if (x->next > 999999)
		return err_set(err, ERR_LIMIT, "%s: more than 999999 segments", x->dir);
	snprintf(name, sizeof(name), "%06d.signs", (int)x->next);
	if (path_in(path, x->dir, name, err) < 0 ||
	    write_segment(d, m, source, n, path, &signs, err) < 0)
		return -1;
	if (signs == 0)
		unlink(path);
	entry = json_pack("{s:s,s:I}", "name", name, "records", (json_int_t)signs);
	if (entry == NULL || (signs > 0 &&
	    json_array_append(json_object_get(x->doc, "segments"), entry) < 0)) {
		json_decref(entry);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	json_decref(entry);
	return path_in(path, x->dir, "index.json", err) < 0 ? -1 :
	    json_doc_save(path, x->doc, err);
}

void
index_close(struct index *x)
{
	for (int i = 0; i < x->n; i++)
		free((char *)(uintptr_t)x->source[i].path);
	free(x->source);
	json_decref(x->doc);
	if (x->lock != -1)
		close(x->lock);
	*x = (struct index){ .lock = -1 };
}
