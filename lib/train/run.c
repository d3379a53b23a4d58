#include "train/run.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/stream.h"
#include "fmt/checkpoint.h"

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

int
run_open(struct run *r, const char *dir, const json_t *given, const json_t *all,
    bool complete, unsigned flags, void (*complain)(void *ctx, const char *message),
    struct err *err)
{
	char path[4096];
	bool old;
	int found;

	*r = (struct run){ .lock = -1 };
	if (snprintf(r->dir, sizeof(r->dir), "%s", dir) >= (int)sizeof(r->dir))
		return err_set(err, ERR_ARG, "the name of the run is too long");
	snprintf(path, sizeof(path), "%s/run.json", dir);
	old = access(path, F_OK) == 0;
	if (old && !(flags & RUN_CONTINUE))
		return err_set(err, ERR_ARG, "%s: a run is there; --continue goes on with it",
		    dir);
	if (!old && !complete)
		return err_set(err, ERR_ARG, flags & RUN_CONTINUE ?
		    "%s: no run is there to go on with, and no model and shards to start one" :
		    "%s: a model and shards are needed to start a run", dir);
	if ((r->lock = run_lock(dir, err)) < 0)
		return -1;
	if (old) {
		if (read_old(r, path, given, flags, err) < 0)
			return -1;
	} else if ((r->settings = json_deep_copy(all)) == NULL) {
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	found = checkpoint_newest(dir, r->from, &r->step, complain, NULL, err);
	if (found < 0)
		return -1;
	if (found == 0) {
		r->from[0] = '\0';
		r->step = 0;
	}
	return open_log(r, err);
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

static json_t *
hash_model(const char *dir, struct err *err)
{
	char path[4096], hex[33];
	str bytes;

	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	if (file_map(path, &bytes, err) < 0)
		return NULL;
	hash128_hex(hash128_of(bytes), hex);
	file_unmap(bytes);
	return json_string(hex);
}

static int
write_run(const struct run *r, struct err *err)
{
	char path[4096];
	json_t *doc = json_pack("{ss sO sO}", "version", VERSION, "settings", r->settings,
	    "inputs", r->inputs);
	int ret;

	if (doc == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	snprintf(path, sizeof(path), "%s/run.json", r->dir);
	ret = json_doc_save(path, doc, err);
	json_decref(doc);
	return ret;
}

int
run_inputs(struct run *r, const struct loader *rows, const struct loader *valid,
    const char *model, bool override, struct err *err)
{
	json_t *now = json_object(), *v;
	const char *name;
	int ret = 0;

	if (now == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	json_object_set_new(now, "shards", describe(rows));
	if (valid != NULL)
		json_object_set_new(now, "valid", describe(valid));
	if (r->from[0] == '\0') {
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

		if (ret == 0 && was != NULL && !json_equal(v, was) && !override)
			ret = err_set(err, ERR_ARG, "%s: not the %s that the run was started "
			    "with (--override takes it)", r->dir, name);
	}
	if (ret == 0 && json_object_update(r->inputs, now) < 0)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	json_decref(now);
	return ret < 0 ? -1 : write_run(r, err);
}

void
run_close(struct run *r)
{
	if (r->log != NULL)
		fclose(r->log);
	if (r->lock >= 0)
		close(r->lock);
	json_decref(r->settings);
	json_decref(r->inputs);
	*r = (struct run){ .lock = -1 };
}

int
run_log(struct run *r, json_t *line, struct err *err)
{
	int bad = line == NULL;

	if (bad)
		return err_set(err, ERR_NOMEM, "out of memory");
	bad = json_dumpf(line, r->log, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0 ||
	    fputc('\n', r->log) == EOF || fflush(r->log) != 0;
	json_decref(line);
	if (bad)
		return err_sys(err, "%s/log.jsonl: cannot write", r->dir);
	return 0;
}

json_t *
run_paths(char *const *path, struct err *err)
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

int
run_real_path(json_t *settings, const char *key, struct err *err)
{
	const char *path = json_string_value(json_object_get(settings, key));
	char real[PATH_MAX];

	if (path == NULL)
		return 0;
	if (realpath(path, real) == NULL)
		return err_sys(err, "%s", path);
	if (json_object_set_new(settings, key, json_string(real)) < 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
run_weights(const char *s, int n, double *weight, struct err *err)
{
	char *end;
	int i = 0;

	for (; i < n; i++, s = end + 1) {
		weight[i] = strtod(s, &end);
		if (end == s || !(weight[i] > 0) || !isfinite(weight[i]))
			return err_set(err, ERR_ARG, "'%s' does not begin with a positive number",
			    s);
		if (*end != (i < n - 1 ? ',' : '\0'))
			return err_set(err, ERR_ARG, "%d weights are needed, one a shard", n);
	}
	return 0;
}
