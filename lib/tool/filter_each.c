/*
 * File to file.  An output is done when DIR/.llm-done/NAME.json says that it
 * was made by the same tool, version and options from an input of the same
 * size and time, and when its bytes still have the hash that stands there.
 * The note is written after the output, so a run that is killed in between
 * makes the output once more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "tool/filter_impl.h"

struct paths {
	char	out[4096], rest[4096], bad[4096], note[4096];
};

/* dir/name.suffix into to; dies when it is too long. */
static void
join(char to[4096], const char *dir, const char *middle, str name, const char *suffix)
{
	size_t n = strlen(dir);

	if (snprintf(to, 4096, "%s%s%s%.*s%s", dir, n > 0 && dir[n - 1] != '/' ? "/" : "",
	    middle, STR_ARG(name), suffix) >= 4096)
		tool_die("%s: name too long", dir);
}

static void
make_directory(const char *path)
{
	struct err err = { 0 };

	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		return;
	err_sys(&err, "%s", path);
	tool_fail(NULL, &err);
}

/* The name of an input without directories and compression suffix. */
static str
plain_name(const char *path)
{
	static const char *const suffix[] = { ".gz", ".zst", ".zstd" };
	const char *slash = strrchr(path, '/');
	str s = str_of(slash != NULL ? slash + 1 : path);

	for (size_t i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
		str end = str_of(suffix[i]);

		if (s.n > end.n && str_ends(s, end)) {
			s.n -= end.n;
			break;
		}
	}
	return s;
}

static void
find_paths(const struct filter *f, const char *file, struct paths *p)
{
	const char *suffix = f->codec.codec == CODEC_GZIP ? ".gz" :
	    f->codec.codec == CODEC_ZSTD ? ".zst" : "";
	str name = plain_name(file), product = name;

	if (f->o->suffix != NULL && str_ends(name, S(".jsonl")))
		product.n -= 6;
	join(p->out, f->o->output, "", product, f->o->suffix != NULL ? f->o->suffix : suffix);
	join(p->note, f->o->output, ".llm-done/", name, ".json");
	if (f->o->rest != NULL)
		join(p->rest, f->o->rest, "", name, suffix);
	if (f->o->bad != NULL)
		join(p->bad, f->o->bad, "", name, suffix);
}

/* A file that an option names changes the result as well. */
static json_t *
file_state(const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return json_null();
	return json_pack("{s:I,s:I,s:I}", "bytes", (json_int_t)st.st_size,
	    "seconds", (json_int_t)st.st_mtim.tv_sec,
	    "nanoseconds", (json_int_t)st.st_mtim.tv_nsec);
}

static json_t *
option_value(const struct opt *o, const char *at)
{
	switch (o->type) {
	case OPT_FLAG:
		return json_boolean(*(const bool *)at);
	case OPT_STR: {
		const char *s = *(const char *const *)(const void *)at;

		return json_pack("[s?,o]", s, file_state(s));
	}
	case OPT_I64:
	case OPT_BYTES:
		return json_integer(*(const int64_t *)(const void *)at);
	case OPT_F64:
	case OPT_TIME:
		return json_real(*(const double *)(const void *)at);
	case OPT_CALL: {
		const char *s = tool_arg(o->name);

		return json_pack("[s?,o]", s, file_state(s));
	}
	case OPT_END:
	case OPT_GROUP:
		break;
	}
	return json_null();
}

/* Do the options in filter_options leave the records alone?  All but these. */
static bool
changes_result(const struct opt *o)
{
	return strcmp(o->name, "field") == 0 || strcmp(o->name, "compress") == 0 ||
	    strcmp(o->name, "rest") == 0 || strcmp(o->name, "bad") == 0 ||
	    strcmp(o->name, "text") == 0 || strcmp(o->name, "separator") == 0;
}

static bool
is_shared(const struct opt *table)
{
	return table == filter_options || table == filter_input_options ||
	    table == filter_record_options || table == filter_text_options;
}

static void
add_table(json_t *to, const struct opt *table, const char *at)
{
	for (const struct opt *o = table; o->type != OPT_END; o++) {
		if (o->type == OPT_GROUP)
			add_table(to, o->group, at + o->at);
		else if (!is_shared(table) || changes_result(o))
			json_object_set_new(to, o->name, option_value(o, at + o->at));
	}
}

/* Where the tool's own struct begins: its table says where ours is in it. */
static const char *
whole_struct(const struct filter *f)
{
	for (const struct opt *o = f->tool->opts; o->type != OPT_END; o++)
		if (o->type == OPT_GROUP && is_shared(o->group))
			return (const char *)f->o - o->at;
	return NULL;
}

static json_t *
describe(const struct filter *f, const char *file)
{
	const char *into = whole_struct(f);
	json_t *options = json_object(), *d;

	if (into != NULL)
		add_table(options, f->tool->opts, into);
	d = json_pack("{s:s,s:s,s:o,s:o}", "tool", f->tool->name, "version", VERSION,
	    "options", options, "input", file_state(file));
	if (d == NULL)
		tool_die("out of memory");
	return d;
}

/* Size and hash of a file as it is now, or NULL. */
static json_t *
fingerprint(const char *path)
{
	struct err err = { 0 };
	struct stat st;
	char hex[33];
	str bytes = { "", 0 };

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	if (st.st_size > 0 && file_map(path, &bytes, &err) < 0)
		return NULL;
	hash128_hex(hash128_of(bytes), hex);
	if (st.st_size > 0)
		file_unmap(bytes);
	return json_pack("{s:I,s:s}", "bytes", (json_int_t)bytes.n, "xxh128", hex);
}

static json_t *
fingerprints(const struct filter *f, const struct paths *p)
{
	json_t *all = json_pack("{s:o?}", "out", fingerprint(p->out));

	if (f->o->rest != NULL)
		json_object_set_new(all, "rest", fingerprint(p->rest));
	if (f->o->bad != NULL)
		json_object_set_new(all, "bad", fingerprint(p->bad));
	return all;
}

static int64_t
number(const json_t *counts, const char *key)
{
	return json_integer_value(json_object_get(counts, key));
}

static struct records_count
counts_of(const json_t *c)
{
	return (struct records_count){
		.read = number(c, "records_in"), .kept = number(c, "records_out"),
		.changed = number(c, "changed"), .dropped = number(c, "dropped"),
		.bad = number(c, "bad"), .bytes_in = number(c, "bytes_in"),
		.bytes_out = number(c, "bytes_out"), .text_in = number(c, "text_bytes_in"),
		.text_out = number(c, "text_bytes_out"),
	};
}

/* Is the output of this file done?  Then count what it was made of. */
static bool
is_done(struct filter *f, const struct paths *p, const json_t *made)
{
	struct err err = { 0 };
	json_t *note = json_doc_load(p->note, &err), *now;
	struct records_count c;
	bool done;

	if (note == NULL)
		return false;
	done = json_equal(json_object_get(note, "made"), made);
	if (done) {
		now = fingerprints(f, p);
		done = json_equal(json_object_get(note, "outputs"), now);
		json_decref(now);
	}
	if (done) {
		c = counts_of(json_object_get(note, "counts"));
		filter_count(&f->count, &c);
	}
	json_decref(note);
	return done;
}

static void
do_file(struct filter *f, char *file, const struct paths *p, json_t *made)
{
	struct records_count c;
	struct err err = { 0 };
	json_t *note;

	filter_once(f, &file, 1, p->out, f->o->rest != NULL ? p->rest : NULL,
	    f->o->bad != NULL ? p->bad : NULL, &c);
	note = json_pack("{s:O,s:o,s:o}", "made", made, "outputs", fingerprints(f, p),
	    "counts", filter_counts(&c));
	if (note == NULL)
		tool_die("out of memory");
	if (json_doc_save(p->note, note, &err) < 0)
		tool_fail(NULL, &err);
	json_decref(note);
}

/* Two inputs must not have one output; and all must be files. */
static void
check_names(char **files, int n)
{
	json_t *seen = json_object();

	if (n == 0)
		tool_usage("-o with a directory needs files to read");
	for (int i = 0; i < n; i++) {
		str name = plain_name(files[i]);
		char key[4096];

		if (strcmp(files[i], "-") == 0)
			tool_usage("-o with a directory cannot read the standard input");
		snprintf(key, sizeof(key), "%.*s", STR_ARG(name));
		if (json_object_get(seen, key) != NULL)
			tool_usage("%s: another input has this name", files[i]);
		json_object_set_new(seen, key, json_true());
	}
	json_decref(seen);
}

/* Written over, an input would be another one the next time. */
static void
check_output(const char *file, const char *out)
{
	struct stat a, b;

	if (stat(file, &a) == 0 && stat(out, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		tool_usage("%s: its output would take its place", file);
}

void
filter_each(struct filter *f, char **files, int n)
{
	struct paths *p = malloc(sizeof(*p));

	if (p == NULL)
		tool_die("out of memory");
	check_names(files, n);
	make_directory(f->o->output);
	join(p->note, f->o->output, ".llm-done", S(""), "");
	make_directory(p->note);
	if (f->o->rest != NULL)
		make_directory(f->o->rest);
	if (f->o->bad != NULL)
		make_directory(f->o->bad);
	f->files = n;
	for (int i = 0; i < n; i++) {
		json_t *made = describe(f, files[i]);

		f->last = i == n - 1;
		find_paths(f, files[i], p);
		check_output(files[i], p->out);
		if (!f->o->across && is_done(f, p, made))
			f->skipped++;
		else
			do_file(f, files[i], p, made);
		json_decref(made);
	}
	free(p);
}
