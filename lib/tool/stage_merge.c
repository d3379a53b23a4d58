#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tool/stages_impl.h"

str
stage_name(const char *path)
{
	static const char *const suffix[] = { ".gz", ".zst", ".zstd", ".jsonl", ".signs" };
	const char *slash = strrchr(path, '/');
	str s = str_of(slash != NULL ? slash + 1 : path);

	for (size_t i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
		str end = str_of(suffix[i]);

		if (s.n > end.n && str_ends(s, end))
			s.n -= end.n;
	}
	return s;
}

const struct dedup_method *
stages_settings(const char *path, struct dedup *d, struct buf *field)
{
	const struct dedup_method *method = NULL;
	struct signs_reader r;
	struct err err = { 0 };
	const char *type, *name;
	json_t *j;

	if (signs_open(&r, path, &err) < 0 ||
	    (j = json_doc(buf_str(&r.settings), &err)) == NULL)
		tool_fail(NULL, &err);
	type = json_string_value(json_object_get(j, "type"));
	name = json_string_value(json_object_get(j, "field"));
	if (type != NULL && name != NULL)
		method = dedup_method_of(type);
	if (method == NULL || method->sign == NULL)
		tool_die("%s: signs of a type that is not known here", path);
	buf_add(field, str_of(name));
	if (buf_ok(field, &err) < 0)
		tool_fail(NULL, &err);
	d->field = buf_str(field);
	if (json_object_get(j, "jaccard") != NULL)
		d->jaccard = json_number_value(json_object_get(j, "jaccard"));
	json_decref(j);
	signs_close(&r);
	return method;
}

/* The first line of a list: what it is for. */
static int
put_head(struct out *out, const struct dedup *d, const struct merge_source *source,
    struct err *err)
{
	struct buf b = { 0 }, settings = { 0 };
	int ret = dedup_settings(d, &settings, err);

	buf_fmt(&b, "{\"records\":%lld,\"text_bytes\":%lld,\"first\":%lld,\"dropped\":%lld,"
	    "\"settings\":", (long long)source->sums.records, (long long)source->sums.text,
	    (long long)source->first, (long long)source->dropped);
	buf_add(&b, buf_str(&settings));
	buf_add(&b, S("}\n"));
	if (ret == 0)
		ret = buf_ok(&b, err);
	if (ret == 0)
		ret = out_write(out, b.p, b.n, err);
	buf_free(&b);
	buf_free(&settings);
	return ret;
}

/* One line for each record of the source that is dropped. */
static int
put_lines(struct dedup *d, struct merge *m, const struct merge_source *source, struct err *err)
{
	struct signs_reader r;
	struct judged v;
	struct sign s;
	int64_t number;
	str name;
	int got = -1;

	if (signs_open(&r, source->path, err) == 0)
		while ((got = signs_next(&r, &s, err)) > 0) {
			if ((got = merge_next(m, &v, err)) < 0)
				break;
			if (v.source == 0)
				continue;
			if ((got = merge_kept(m, &v, &name, &number, err)) < 0 ||
			    (got = dedup_tell(d, source->first + s.index, s.name, number, name,
			    v.jaccard, err)) < 0)
				break;
		}
	signs_close(&r);
	return got;
}

static int
put_list(struct stages *s, struct merge *m, const struct merge_source *source, const char *path,
    struct codec_spec codec, struct err *err)
{
	struct out *out = out_open(path, codec, err);
	int ret = out == NULL ? -1 : put_head(out, s->d, source, err);

	s->d->clusters = out;
	if (ret == 0)
		ret = put_lines(s->d, m, source, err);
	s->d->clusters = NULL;
	if (ret == 0)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}

/* The lists, into a directory or for one source into a file. */
static int
put_lists(struct stages *s, struct merge *m, struct merge_source *source, int n,
    struct err *err)
{
	struct codec_spec codec = filter_codec(s->io);
	const char *to = s->io->output;
	bool each = filter_each_file(s->io);
	char path[4096];
	int new = 0;

	if (each && mkdir(to, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "%s", to);
	for (int i = 0; i < n; i++)
		new += !source[i].old;
	if (!each && new > 1)
		return err_set(err, ERR_ARG, "lists for %d inputs need a directory: -o dir/", new);
	if (merge_first(m, err) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		if (source[i].old)
			continue;
		if (each && snprintf(path, sizeof(path), "%s/%.*s.drop", to,
		    STR_ARG(stage_name(source[i].path))) >= (int)sizeof(path))
			return err_set(err, ERR_ARG, "%s: name too long", to);
		if (put_list(s, m, &source[i], each ? path : to, codec, err) < 0)
			return -1;
	}
	return 0;
}

static void
write_stats(const struct stages *s, const struct merge *m, const struct merge_source *source,
    int n)
{
	int64_t records = 0, dropped = merge_dropped(m);
	struct err err;
	json_t *j;

	if (s->io->stats == NULL)
		return;
	for (int i = 0; i < n; i++)
		records += source[i].old ? 0 : source[i].sums.signs;
	j = json_pack("{s:s,s:s,s:I,s:I,s:I}", "tool", s->tool->name, "version", VERSION,
	    "records_in", (json_int_t)records, "records_out", (json_int_t)(records - dropped),
	    "dropped", (json_int_t)dropped);
	if (j == NULL)
		tool_die("out of memory");
	json_object_set_new(j, "passes", json_integer(s->d->passes));
	json_object_set_new(j, "memory", json_integer(s->d->spill.in_memory));
	if (json_doc_save(s->io->stats, j, &err) < 0)
		tool_fail(NULL, &err);
	json_decref(j);
}

struct merge_source *
stage_sources(const struct index *x, char **paths, int n)
{
	struct merge_source *all = calloc((size_t)(x->n + n + 1), sizeof(*all));

	if (all == NULL)
		tool_die("out of memory");
	if (x->n > 0)
		memcpy(all, x->source, (size_t)x->n * sizeof(*all));
	for (int i = 0; i < n; i++)
		all[x->n + i].path = paths[i];
	return all;
}

int
stage_merge(struct stages *s, char **files)
{
	struct index x = { .lock = -1 };
	struct merge_source *source;
	struct merge *m = NULL;
	struct err err;
	int n = 0;

	while (files[n] != NULL)
		n++;
	if (n == 0)
		tool_usage("--stage merge needs files of signs");
	if (s->index != NULL && index_open(&x, s->index, s->d, &err) < 0)
		tool_fail(NULL, &err);
	source = stage_sources(&x, files, n);
	n += x.n;
	if ((m = merge_new(s->d, source, n, tool_work(s->work), &err)) == NULL ||
	    merge_run(m, s->memory, &err) < 0 || put_lists(s, m, source, n, &err) < 0)
		tool_fail(NULL, &err);
	if (s->index != NULL && index_add(&x, s->d, m, source, n, &err) < 0)
		tool_fail(NULL, &err);
	write_stats(s, m, source, n);
	if (s->io->verbose)
		tool_warn("%lld records are dropped, %lld passes", (long long)merge_dropped(m),
		    (long long)s->d->passes);
	merge_free(m);
	index_close(&x);
	free(source);
	return tool_finish(0);
}
