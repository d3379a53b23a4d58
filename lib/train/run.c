#include "train/run.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/stream.h"
#include "fmt/checkpoint.h"
#include "fmt/gguf.h"
#include "fmt/safetensors.h"

/* The settings of an old run, with what was asked for now laid over them. */
static int
merge(struct run *r, const json_t *given, unsigned flags, struct err *err)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)given, name, v) {
		const json_t *was = json_object_get(r->settings, name);

		if (was != NULL && json_equal(was, v))
			continue;
		if (!(flags & RUN_OVERRIDE)) {
			char *a = was != NULL ? json_dumps(was, JSON_ENCODE_ANY) : NULL;
			char *b = json_dumps(v, JSON_ENCODE_ANY);

			err_set(err, ERR_ARG, "%s: the run was started with --%s %s, not %s "
			    "(--override changes it)", r->dir, name, a != NULL ? a : "unset",
			    b != NULL ? b : "?");
			free(a);
			free(b);
			return -1;
		}
		if (json_object_set(r->settings, name, v) < 0)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static int
read_old(struct run *r, const char *path, const json_t *given, unsigned flags, struct err *err)
{
	json_t *doc = json_doc_load(path, err);
	json_t *settings, *inputs;

	if (doc == NULL)
		return -1;
	settings = json_object_get(doc, "settings");
	inputs = json_object_get(doc, "inputs");
	if (!json_is_object(settings) || !json_is_object(inputs)) {
		json_decref(doc);
		return err_set(err, ERR_FORMAT, "%s: no 'settings' or no 'inputs'", path);
	}
	r->settings = json_deep_copy(settings);
	r->inputs = json_deep_copy(inputs);
	json_decref(doc);
	if (r->settings == NULL || r->inputs == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return merge(r, given, flags, err);
}

/*
 * Drop what was logged after the checkpoint that the run goes on from: those
 * steps are taken again.
 */
static int
cut_log(const struct run *r, const char *path, struct err *err)
{
	struct arena a;
	struct buf kept = { 0 };
	str rest, line;
	int ret;

	if (access(path, F_OK) != 0)
		return 0;
	if (arena_init(&a, (ptrdiff_t)4 << 30, err) < 0)
		return -1;
	rest = file_slurp(&a, path, (ptrdiff_t)2 << 30, err);
	ret = rest.p == NULL ? -1 : 0;
	while (ret == 0 && rest.n > 0) {
		const str key = S("step");
		struct json_member m;
		struct err ignored;
		double step = 0;

		line = str_cut(&rest, '\n');
		/* A line that was cut off by a crash is no JSON, and goes too. */
		if (json_scan(line, &key, 1, &m, &ignored) < 0 ||
		    (m.value.p != NULL && (json_number(m.value, &step, &ignored) < 0 ||
		    step > (double)r->step)))
			continue;
		buf_add(&kept, line);
		buf_byte(&kept, '\n');
	}
	if (ret == 0)
		ret = buf_ok(&kept, err);
	if (ret == 0)
		ret = file_write(path, buf_str(&kept), err);
	buf_free(&kept);
	arena_free(&a);
	return ret;
}

static int
open_log(struct run *r, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/log.jsonl", r->dir);
	if (cut_log(r, path, err) < 0)
		return -1;
	if ((r->log = fopen(path, "a")) == NULL)
		return err_sys(err, "%s: cannot open", path);
	return 0;
}

/* A copy of settings in which names of files are absolute. */
static json_t *
absolute(const json_t *settings, json_t *shards, struct err *err)
{
	static const char *const key[] = { "model", "valid" };
	json_t *s = json_deep_copy(settings);
	char real[PATH_MAX];

	for (int i = 0; s != NULL && i < 2; i++) {
		const char *path = json_string_value(json_object_get(s, key[i]));

		if (path == NULL)
			continue;
		if (realpath(path, real) == NULL) {
			err_sys(err, "%s", path);
			json_decref(s);
			return NULL;
		}
		json_object_set_new(s, key[i], json_string(real));
	}
	if (s == NULL ||
	    (json_array_size(shards) > 0 && json_object_set(s, "shards", shards) < 0)) {
		json_decref(s);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return s;
}

static json_t *
absolute_shards(char *const *path, struct err *err)
{
	json_t *list = json_array();
	char real[PATH_MAX];

	for (int n = 0; list != NULL && path[n] != NULL; n++) {
		if (n == RUN_SHARDS)
			err_set(err, ERR_LIMIT, "more than %d shards", RUN_SHARDS);
		else if (realpath(path[n], real) == NULL)
			err_sys(err, "%s", path[n]);
		else if (json_array_append_new(list, json_string(real)) == 0)
			continue;
		else
			err_set(err, ERR_NOMEM, "out of memory");
		json_decref(list);
		return NULL;
	}
	return list;
}

/* What the run holds says whether it starts or goes on. */
static int
start_or_go_on(struct run *r, const json_t *given, const json_t *all, struct err *err)
{
	char path[4096];
	bool old;

	snprintf(path, sizeof(path), "%s/run.json", r->dir);
	old = access(path, F_OK) == 0;
	if (old && !(r->flags & RUN_CONTINUE))
		return err_set(err, ERR_ARG, "%s: a run is there; --continue goes on with it",
		    r->dir);
	if (!old && (json_object_get(all, "model") == NULL ||
	    json_object_get(all, "shards") == NULL))
		return err_set(err, ERR_ARG, "%s: no run to go on with, and no model and shards "
		    "to start one", r->dir);
	if (!(r->flags & RUN_LOOK) && (r->lock = run_lock(r->dir, err)) < 0)
		return -1;
	if (old)
		return read_old(r, path, given, r->flags, err);
	if ((r->settings = json_deep_copy(all)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
run_open(struct run *r, const char *dir, const json_t *given, const json_t *all,
    char *const *shards, unsigned flags, void (*complain)(void *ctx, const char *message),
    struct err *err)
{
	json_t *names, *own_given = NULL, *own_all = NULL;
	int found = -1;

	*r = (struct run){ .lock = -1, .flags = flags };
	if (snprintf(r->dir, sizeof(r->dir), "%s", dir) >= (int)sizeof(r->dir))
		return err_set(err, ERR_ARG, "the name of the run is too long");
	if ((names = absolute_shards(shards, err)) != NULL &&
	    (own_given = absolute(given, names, err)) != NULL &&
	    (own_all = absolute(all, names, err)) != NULL &&
	    start_or_go_on(r, own_given, own_all, err) == 0)
		found = (flags & RUN_LOOK) && access(dir, F_OK) < 0 ? 0 :
		    checkpoint_newest(dir, r->from, &r->step, complain, NULL, err);
	json_decref(names);
	json_decref(own_given);
	json_decref(own_all);
	if (found < 0)
		return -1;
	if (found == 0) {
		r->from[0] = '\0';
		r->step = 0;
	}
	r->shards = json_incref(json_object_get(r->settings, "shards"));
	json_object_del(r->settings, "shards");
	return flags & RUN_LOOK ? 0 : open_log(r, err);
}

/* What tells one set of rows from another, cheaply. */
static json_t *
describe(const struct loader *l)
{
	const struct shard_info *info = loader_info(l);
	char hex[33];

	hash128_hex(info->tokenizer, hex);
	return json_pack("{sI sI sI si ss}", "rows", (json_int_t)info->rows,
	    "tokens", (json_int_t)info->tokens, "source_bytes", (json_int_t)info->source_bytes,
	    "row_len", info->row_len, "tokenizer", hex);
}

/* All weights by name, however many files hold them. */
static int
hash_directory(struct hasher *hash, const char *dir, struct err *err)
{
	struct st_file *f = st_open(dir, err);

	if (f == NULL)
		return -1;
	for (int i = 0; i < st_count(f); i++) {
		const struct st_tensor *t = st_at(f, i);

		hasher_add(hash, str_of(t->name));
		hasher_add(hash, (str){ t->data, t->bytes });
	}
	st_close(f);
	return 0;
}

static int
hash_gguf(struct hasher *hash, const char *path, struct err *err)
{
	struct gguf *f = gguf_open(path, err);

	if (f == NULL)
		return -1;
	for (int i = 0; i < gguf_count(f); i++) {
		const struct gguf_tensor *t = gguf_at(f, i);

		hasher_add(hash, str_of(t->name));
		hasher_add(hash, (str){ t->data, t->bytes });
	}
	gguf_close(f);
	return 0;
}

static json_t *
hash_model(const char *path, struct err *err)
{
	struct hasher *hash = hasher_new(err);
	json_t *v = NULL;
	char hex[33];

	if (hash != NULL && (gguf_is(path) ? hash_gguf(hash, path, err) :
	    hash_directory(hash, path, err)) == 0) {
		hash128_hex(hasher_end(hash), hex);
		if ((v = json_string(hex)) == NULL)
			err_set(err, ERR_NOMEM, "out of memory");
	}
	hasher_free(hash);
	return v;
}

static int
write_run(const struct run *r, struct err *err)
{
	char path[4096];
	json_t *settings = json_copy(r->settings), *doc;
	int ret;

	if (settings == NULL || json_object_set(settings, "shards", r->shards) < 0 ||
	    (doc = json_pack("{ss sO sO}", "version", VERSION, "settings", settings,
	    "inputs", r->inputs)) == NULL) {
		json_decref(settings);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	json_decref(settings);
	snprintf(path, sizeof(path), "%s/run.json", r->dir);
	ret = json_doc_save(path, doc, err);
	json_decref(doc);
	return ret;
}

/* Compare what the run reads with what it was started with, or keep it. */
static int
compare_inputs(struct run *r, const char *model, struct err *err)
{
	json_t *now = json_object(), *v;
	const char *name;
	int ret = 0;

	if (now == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	json_object_set_new(now, "shards", describe(r->rows));
	if (r->valid != NULL)
		json_object_set_new(now, "valid", describe(r->valid));
	/* A run that has a checkpoint no longer needs its first model, but for adapters. */
	if (r->from[0] == '\0' || (r->flags & RUN_BASE) != 0) {
		if ((v = hash_model(model, err)) == NULL) {
			json_decref(now);
			return -1;
		}
		json_object_set_new(now, "model", v);
	}
	if (r->inputs == NULL && (r->inputs = json_object()) == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	json_object_foreach(now, name, v) {
		const json_t *was = json_object_get(r->inputs, name);

		if (ret == 0 && was != NULL && !json_equal(v, was) && !(r->flags & RUN_OVERRIDE))
			ret = err_set(err, ERR_ARG, "%s: not the %s that the run was started "
			    "with (--override takes it)", r->dir, name);
	}
	if (ret == 0 && json_object_update(r->inputs, now) < 0)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	json_decref(now);
	return ret;
}

static int
parse_weights(const char *s, int n, double *weight, struct err *err)
{
	char *end;

	for (int i = 0; i < n; i++, s = end + 1) {
		weight[i] = strtod(s, &end);
		if (end == s || !(weight[i] > 0) || !isfinite(weight[i]))
			return err_set(err, ERR_ARG, "weights: '%s' does not begin with a "
			    "positive number", s);
		if (*end != (i < n - 1 ? ',' : '\0'))
			return err_set(err, ERR_ARG, "weights: %d are needed, one a shard", n);
	}
	return 0;
}

int
run_data(struct run *r, uint64_t seed, bool shuffle, const char *weights, struct err *err)
{
	struct loader_options o = { .seed = seed, .shuffle = shuffle };
	char *valid = (char *)json_string_value(json_object_get(r->settings, "valid"));
	const char *model = json_string_value(json_object_get(r->settings, "model"));
	char *path[RUN_SHARDS];
	double weight[RUN_SHARDS];
	int n = (int)json_array_size(r->shards);

	if (n > RUN_SHARDS)
		return err_set(err, ERR_LIMIT, "more than %d shards", RUN_SHARDS);
	for (int i = 0; i < n; i++)
		path[i] = (char *)json_string_value(json_array_get(r->shards, (size_t)i));
	if (weights != NULL) {
		if (parse_weights(weights, n, weight, err) < 0)
			return -1;
		o.weight = weight;
	}
	if ((r->rows = loader_open(path, n, &o, err)) == NULL)
		return -1;
	o = (struct loader_options){ 0 };
	if (valid != NULL && (r->valid = loader_open(&valid, 1, &o, err)) == NULL)
		return -1;
	if (compare_inputs(r, model, err) < 0)
		return -1;
	return r->flags & RUN_LOOK ? 0 : write_run(r, err);
}

void
run_close(struct run *r)
{
	if (r->log != NULL)
		fclose(r->log);
	if (r->lock >= 0)
		close(r->lock);
	loader_close(r->rows);
	loader_close(r->valid);
	json_decref(r->settings);
	json_decref(r->shards);
	json_decref(r->inputs);
	*r = (struct run){ .lock = -1 };
}

int
run_log(struct run *r, json_t *line, struct err *err)
{
	int bad = line == NULL;

	if (bad)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (r->log == NULL) {
		json_decref(line);
		return 0;
	}
	bad = json_dumpf(line, r->log, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0 ||
	    fputc('\n', r->log) == EOF || fflush(r->log) != 0;
	json_decref(line);
	if (bad)
		return err_sys(err, "%s/log.jsonl: cannot write", r->dir);
	return 0;
}
