#include "text/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "text/records_impl.h"

#define SCRATCH	((ptrdiff_t)4 << 30)		/* address space of a batch's arena */

static int
set_value(struct record *r, str key, ptrdiff_t at, struct err *err)
{
	if (r->nset == RECORD_SETS)
		return err_set(err, ERR_ARG, "more than %d values set in one record",
		    RECORD_SETS);
	r->set[r->nset++] = (struct record_edit){ key, at, r->edits->n - at };
	return buf_ok(r->edits, err);
}

int
record_set_text(struct record *r, str key, str text, struct err *err)
{
	ptrdiff_t at = r->edits->n;

	json_quote(r->edits, text);
	if (str_eq(key, r->field))
		r->text_out = text.n;
	return set_value(r, key, at, err);
}

int
record_set_raw(struct record *r, str key, str json, struct err *err)
{
	ptrdiff_t at = r->edits->n;

	buf_add(r->edits, json);
	if (r->field.p != NULL && str_eq(key, r->field)) {
		struct buf b = { 0 };
		struct err ignored;
		str text = { NULL, 0 };

		if (json.p != NULL && json_text(json, &b, &text, &ignored) < 0)
			text.n = 0;
		r->text_out = text.n;
		buf_free(&b);
	}
	return set_value(r, key, at, err);
}

int
record_llm(struct buf *b, str llm, str key, str json, struct err *err)
{
	struct json_set set = { key, json };

	return json_splice(b, llm.p != NULL && llm.p[0] == '{' ? llm : S("{}"), &set, 1, err);
}

int
record_note(struct record *r, str llm, str key, str json, struct err *err)
{
	struct buf b = { 0 };
	int ret = record_llm(&b, llm, key, json, err);

	if (ret == 0)
		ret = record_set_raw(r, S("llm"), buf_str(&b), err);
	buf_free(&b);
	return ret;
}

static int
read_batch(void *ctx, void *item, struct err *err)
{
	return records_read(ctx, item, err);
}

/* ---- working ---- */

static struct entry *
entry_new(struct batch *b, struct err *err)
{
	if (b->n == b->cap) {
		ptrdiff_t cap = b->cap > 0 ? 2 * b->cap : 256;
		struct entry *p = realloc(b->entry, (size_t)cap * sizeof(*p));

		if (p == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return NULL;
		}
		b->entry = p;
		b->cap = cap;
	}
	b->entry[b->n] = (struct entry){ .verdict = RECORD_KEEP };
	return &b->entry[b->n++];
}

/* The field's text: a slice of the line, or unescaped into a buffer. */
static int
get_text(struct run *run, struct batch *b, struct buf *small, str value, str *text,
    struct err *err)
{
	str key = run->job->field, s;

	if (value.p == NULL) {
		if (run->job->optional)
			return 0;
		return err_set(err, ERR_FORMAT, "no key '%.*s'", STR_ARG(key));
	}
	if (value.p[0] != '"')
		return err_set(err, ERR_FORMAT, "key '%.*s' is not a string", STR_ARG(key));
	if (!run->later)
		return json_text(value, small, text, err);
	s = (str){ value.p + 1, value.n - 2 };
	*text = s;
	if (s.n > 0 && memchr(s.p, '\\', (size_t)s.n) != NULL) {
		/* There is room for all texts of the batch, so none moves. */
		char *to = b->text.p + b->text.n;

		*text = (str){ to, json_unescape(to, s) };
		b->text.n += text->n;
	}
	return 0;
}

/* The same of what is text alone. */
static int
take_text(const struct run *run, struct entry *e, struct member *m, struct err *err)
{
	ptrdiff_t bad = utf8_bad(e->line);

	memset(m->found, 0, (size_t)run->nkeys * sizeof(m->found[0]));
	e->text = e->line;
	return bad < 0 ? 0 : err_set(err, ERR_FORMAT, "not UTF-8 at offset %td", bad);
}

/* Write what was set into the line: at the end of to.  Return its length, 0 for no change, -1. */
static ptrdiff_t
apply(const struct record *r, str line, struct buf *to, struct err *err)
{
	struct json_set set[RECORD_SETS];
	ptrdiff_t at = to->n;

	for (int i = 0; i < r->nset; i++) {
		const struct record_edit *e = &r->set[i];

		set[i].key = e->key;
		set[i].value = (str){ e->n > 0 ? r->edits->p + e->at : NULL, e->n };
	}
	if (json_splice(to, line, set, r->nset, err) < 0)
		return -1;
	if (str_eq((str){ to->p + at, to->n - at }, line)) {
		to->n = at;
		return 0;
	}
	return to->n - at;
}

static struct record
record_of(const struct run *run, const struct batch *b, const struct entry *e)
{
	return (struct record){
		.line = e->line, .text = e->text, .file = b->file,
		.number = b->line + e->row, .index = run->io->first_index + run->count->read,
		.tag = { e->tag[0], e->tag[1] },
		.field = run->job->field, .text_out = e->text_out,
	};
}

/* Check one line and ask map() about it. */
static int
judge(struct run *run, struct batch *b, struct entry *e, struct member *m, struct err *err)
{
	const struct records_job *job = run->job;
	int skip = job->field.p != NULL;
	struct record r;
	ptrdiff_t n;

	if (e->line.n > RECORDS_MAX) {
		e->raw.n = 0;		/* nor is one that pass_over() saw among the bad */
		return err_set(err, run->io->keep_going ? ERR_FORMAT : ERR_LIMIT, TOO_LONG,
		    RECORDS_MAX);
	}
	if (run->io->text) {
		if (take_text(run, e, m, err) < 0)
			return RECORD_BAD;
	} else if (json_scan(e->line, run->key, run->nkeys, m->found, err) < 0 || (skip &&
	    get_text(run, b, &m->text, m->found[0].value, &e->text, err) < 0)) {
		return RECORD_BAD;
	}
	e->text_out = e->text.n;
	if (run->later && job->nkeys > 0) {
		e->member = b->member.n;
		buf_add(&b->member, (str){ (char *)&m->found[skip],
		    job->nkeys * (ptrdiff_t)sizeof(struct json_member) });
		if (buf_ok(&b->member, err) < 0)
			return RECORD_BAD;
	}
	if (job->map == NULL)
		return RECORD_KEEP;
	r = record_of(run, b, e);
	r.index = -1;
	r.member = &m->found[skip];
	r.scratch = &b->scratch;
	r.edits = &m->edits;
	buf_reset(&m->edits);
	e->verdict = job->map(job->ctx, m->state, &r, err);
	e->tag[0] = r.tag[0];
	e->tag[1] = r.tag[1];
	e->text_out = r.text_out;
	if (e->verdict != RECORD_BAD && r.nset > 0) {
		e->made = b->made.n;
		if ((n = apply(&r, e->line, &b->made, err)) < 0)
			return RECORD_BAD;
		e->made_n = n;
	}
	return e->verdict;
}

static int
ready(struct run *run, struct batch *b, struct err *err)
{
	ptrdiff_t used;

	buf_reset(&b->text);
	buf_reset(&b->made);
	buf_reset(&b->why);
	buf_reset(&b->member);
	if (run->later && !run->io->text && buf_room(&b->text, b->in.n) == NULL)
		return buf_ok(&b->text, err);
	if (run->job->map == NULL)
		return 0;
	if (b->scratch.base == NULL)
		return arena_init(&b->scratch, SCRATCH, err);
	/* A little is cleared faster than the system gives pages anew. */
	used = b->scratch.at - b->scratch.base;
	if (used > 16 * BATCH) {
		arena_reset(&b->scratch);
	} else {
		memset(b->scratch.base, 0, (size_t)used);
		b->scratch.at = b->scratch.base;
	}
	return 0;
}

/* Keep the message of a bad record until its turn to be written. */
static int
put_why(struct batch *b, struct entry *e, const struct err *fault, struct err *err)
{
	e->verdict = RECORD_BAD;
	e->code = fault->code;
	e->why = b->why.n;
	buf_add(&b->why, (str){ fault->msg, (ptrdiff_t)strlen(fault->msg) + 1 });
	return buf_ok(&b->why, err);
}

static int
work_batch(void *ctx, void *item, int member, struct err *err)
{
	struct run *run = ctx;
	struct batch *b = item;
	str rest = records_first(b);
	struct err fault = { 0 };
	struct entry *e;

	if (ready(run, b, err) < 0)
		return -1;
	if (b->too_long) {
		if ((e = entry_new(b, err)) == NULL)
			return -1;
		err_set(&fault, ERR_FORMAT, TOO_LONG, RECORDS_MAX);
		return put_why(b, e, &fault, err);
	}
	for (int64_t row = 0; rest.n > 0; row++) {
		str line, raw = records_cut(run, rest, &line);

		rest = (str){ rest.p + raw.n, rest.n - raw.n };
		if (line.n == 0)
			continue;
		if ((e = entry_new(b, err)) == NULL)
			return -1;
		e->raw = raw;
		e->line = line;
		e->row = row;
		e->verdict = judge(run, b, e, &run->member[member], &fault);
		if (e->verdict != RECORD_BAD)
			continue;
		if (put_why(b, e, &fault, err) < 0)
			return -1;
		if (!run->io->keep_going || e->code != ERR_FORMAT)
			break;
	}
	return 0;
}

/* ---- writing ---- */

static const char *
suffix(enum codec c)
{
	return c == CODEC_GZIP ? ".gz" : c == CODEC_ZSTD ? ".zst" : "";
}

/* Begin the next file of a split output. */
static int
next_part(struct run *run, struct err *err)
{
	char path[4096];
	struct stat st;
	size_t n = strlen(run->path);

	if (run->out != NULL) {
		struct out *out = run->out;

		run->out = NULL;
		if (out_commit(out, err) < 0)
			return -1;
	}
	if (snprintf(path, sizeof(path), "%s%s%05d.jsonl%s", run->path,
	    n > 0 && run->path[n - 1] == '/' ? "" : "/", run->part,
	    suffix(run->io->codec.codec)) >= (int)sizeof(path))
		return err_set(err, ERR_ARG, "%s: name too long", run->path);
	if (run->part == 0 && mkdir(run->path, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "%s", run->path);
	if (stat(path, &st) == 0)
		return err_set(err, ERR_ARG, "%s is already there", path);
	run->part++;
	run->part_bytes = 0;
	run->out = out_open(path, run->io->codec, err);
	return run->out == NULL ? -1 : 0;
}

static int
put(struct run *run, str bytes, struct err *err)
{
	if (bytes.n == 0)
		return 0;
	run->part_bytes += bytes.n;
	run->count->bytes_out += bytes.n;
	return out_write(run->out, bytes.p, bytes.n, err);
}

/* A line and what ended it in the input, or a newline when nothing did. */
static int
put_line(struct out *out, const struct entry *e, str line, int64_t *bytes, struct err *err)
{
	const char *after = e->line.p + e->line.n;
	str end = { after, e->raw.p + e->raw.n - after };

	if (end.n == 0 || end.p[end.n - 1] != '\n')
		end = S("\n");
	*bytes += line.n + end.n;
	if (out_write(out, line.p, line.n, err) < 0)
		return -1;
	return out_write(out, end.p, end.n, err);
}

static str
line_of(const struct batch *b, const struct entry *e)
{
	return e->made_n > 0 ? (str){ b->made.p + e->made, e->made_n } : e->line;
}

static int
put_kept(struct run *run, const struct entry *e, str line, struct err *err)
{
	int64_t n = 0;
	int ret;

	if (run->io->split > 0 && run->part_bytes > 0 &&
	    run->part_bytes + line.n + 1 > run->io->split && next_part(run, err) < 0)
		return -1;
	ret = put_line(run->out, e, line, &n, err);
	run->part_bytes += n;
	run->count->bytes_out += n;
	return ret;
}

/* Ask order().  Its changes leave the line in run->spliced. */
static int
put_in_order(struct run *run, struct batch *b, struct entry *e, str *line, struct err *err)
{
	const struct records_job *job = run->job;
	struct record r = record_of(run, b, e);
	ptrdiff_t n;

	r.line = *line;
	r.member = job->nkeys == 0 ? NULL :
	    (const struct json_member *)(const void *)(b->member.p + e->member);
	r.edits = &run->edits;
	if (job->order != NULL) {
		buf_reset(&run->edits);
		e->verdict = job->order(job->ctx, &r, err);
		if (e->verdict == RECORD_BAD)
			return RECORD_BAD;
		e->text_out = r.text_out;
	}
	if (r.nset > 0) {
		buf_reset(&run->spliced);
		if ((n = apply(&r, *line, &run->spliced, err)) < 0)
			return RECORD_BAD;
		if (n > 0) {
			*line = buf_str(&run->spliced);
			e->made_n = n;
		}
	}
	if (e->verdict == RECORD_KEEP && job->sink != NULL) {
		r.line = *line;
		r.nset = 0;
		if (job->sink(job->ctx, &r, err) < 0)
			return RECORD_BAD;
	}
	return e->verdict;
}

/* Count a bad record and go on, or fail. */
static int
put_bad(struct run *run, const struct batch *b, const struct entry *e, const struct err *fault,
    struct err *err)
{
	struct err message = *fault;
	int64_t n = 0;

	run->count->read++;
	run->count->bad++;
	err_wrap(&message, "%s:%lld", b->file, (long long)(b->line + e->row));
	if (!run->io->keep_going || fault->code != ERR_FORMAT) {
		*err = message;
		return -1;
	}
	if (run->io->complain != NULL)
		run->io->complain(run->io->ctx, message.msg);
	if (run->io->bad == NULL || e->raw.n == 0)
		return 0;
	return put_line(run->io->bad, e, e->line, &n, err);
}

/* One record in its turn.  Return its verdict, or -1 with *err when the run ends. */
static int
put_entry(struct run *run, struct batch *b, struct entry *e, str *line, struct err *err)
{
	struct records_count *c = run->count;
	struct err fault = { .code = e->code };

	*line = line_of(b, e);
	if (e->verdict == RECORD_BAD)
		snprintf(fault.msg, sizeof(fault.msg), "%s", b->why.p + e->why);
	else if (e->verdict == RECORD_KEEP && run->later)
		e->verdict = put_in_order(run, b, e, line, &fault);
	if (e->verdict == RECORD_BAD)
		return put_bad(run, b, e, &fault, err);
	c->read++;
	c->text_in += e->text.n;
	if (e->verdict == RECORD_KEEP) {
		c->kept++;
		c->changed += e->made_n > 0;
		c->text_out += e->text_out;
		return RECORD_KEEP;
	}
	c->dropped++;
	if (run->io->rest != NULL) {
		int64_t n = 0;

		return put_line(run->io->rest, e, *line, &n, err);
	}
	return RECORD_DROP;
}

static int
write_batch(void *ctx, void *item, struct err *err)
{
	struct run *run = ctx;
	struct batch *b = item;
	bool sink = run->job->sink != NULL;
	str todo = { NULL, 0 };		/* kept lines that lie together in the input */
	int ret = 0;

	for (ptrdiff_t i = 0; i < b->n && ret == 0; i++) {
		struct entry *e = &b->entry[i];
		str line;
		int verdict = put_entry(run, b, e, &line, err);

		if (verdict < 0)
			ret = -1;
		if (verdict != RECORD_KEEP || sink)
			continue;
		if (e->made_n == 0 && run->io->split == 0 && e->raw.p[e->raw.n - 1] == '\n') {
			if (todo.n > 0 && todo.p + todo.n == e->raw.p) {
				todo.n += e->raw.n;
				continue;
			}
			ret = put(run, todo, err);
			todo = e->raw;
			continue;
		}
		if (put(run, todo, err) < 0 || put_kept(run, e, line, err) < 0)
			ret = -1;
		todo.n = 0;
	}
	/* What came before a bad record is written, also when the run ends there. */
	if (todo.n > 0) {
		struct err ignored;

		if (put(run, todo, ret < 0 ? &ignored : err) < 0)
			ret = -1;
	}
	if (run->job->settle != NULL) {
		struct err ignored;

		if (run->job->settle(run->job->ctx, ret < 0 ? &ignored : err) < 0)
			ret = -1;
	}
	run->count->bytes_in += b->in.n;
	if (run->io->progress != NULL)
		run->io->progress(run->io->ctx, run->count->read, b->done, run->total);
	/* One huge record must not make every batch huge for ever. */
	if (b->in.cap > 8 * BATCH)
		buf_free(&b->in);
	if (b->text.cap > 8 * BATCH)
		buf_free(&b->text);
	if (b->made.cap > 8 * BATCH)
		buf_free(&b->made);
	return ret;
}

static void
done_batch(void *ctx, void *item)
{
	struct batch *b = item;

	(void)ctx;
	buf_free(&b->in);
	buf_free(&b->text);
	buf_free(&b->made);
	buf_free(&b->why);
	buf_free(&b->member);
	free(b->entry);
	arena_free(&b->scratch);
}

/* ---- the whole ---- */

static int
start_members(struct run *run, struct team *team, struct err *err)
{
	int n = team_size(team);

	run->member = aligned_alloc(64, (size_t)n * sizeof(*run->member));
	if (run->member == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memset(run->member, 0, (size_t)n * sizeof(*run->member));
	run->nmembers = n;
	for (int i = 0; i < n && run->job->state_size > 0; i++) {
		run->member[i].state = calloc(1, (size_t)run->job->state_size);
		if (run->member[i].state == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static void
end_members(struct run *run)
{
	for (int i = 0; i < run->nmembers; i++) {
		struct member *m = &run->member[i];

		if (m->state != NULL && run->job->state_free != NULL)
			run->job->state_free(m->state);
		free(m->state);
		buf_free(&m->text);
		buf_free(&m->edits);
	}
	free(run->member);
}

/* Bytes of all inputs, or -1 when one is no regular file. */
static int64_t
total_size(char *const *file, int n)
{
	int64_t total = 0;

	for (int i = 0; i < n; i++) {
		struct stat st;

		if (strcmp(file[i], "-") == 0 ? fstat(0, &st) < 0 : stat(file[i], &st) < 0)
			return -1;
		if (!S_ISREG(st.st_mode))
			return -1;
		total += st.st_size;
	}
	return total;
}

static int
open_output(struct run *run, struct err *err)
{
	if (run->job->sink != NULL)
		return 0;
	if (run->io->split > 0) {
		if (run->path == NULL || strcmp(run->path, "-") == 0)
			return err_set(err, ERR_ARG, "a split output needs a directory");
		return next_part(run, err);
	}
	run->out = out_open(run->path, run->io->codec, err);
	return run->out == NULL ? -1 : 0;
}

/* A pipe gets what there is even when the run failed; a file does not. */
static int
close_output(struct run *run, int ret, struct err *err)
{
	struct err ignored;

	if (run->out == NULL)
		return ret;
	if (ret == 0)
		return out_commit(run->out, err);
	if (run->path == NULL || strcmp(run->path, "-") == 0)
		out_commit(run->out, &ignored);
	else
		out_abort(run->out);
	return ret;
}

int
records_run(struct team *team, const struct records_job *job, const struct records_io *io,
    char *const *files, int n, const char *out, struct records_count *count, struct err *err)
{
	char dash[] = "-", *const standard[] = { dash };
	struct run run = { .job = job, .io = io, .count = count, .path = out };
	struct pipeline pipe = {
		.ctx = &run, .size = sizeof(struct batch), .read = read_batch,
		.work = work_batch, .write = write_batch, .done = done_batch,
	};
	int ret;

	*count = (struct records_count){ 0 };
	run.file = n > 0 ? files : standard;
	run.nfiles = n > 0 ? n : 1;
	run.total = total_size(run.file, run.nfiles);
	run.later = job->order != NULL || job->sink != NULL;
	if (job->nkeys + 1 > NKEYS)
		return err_set(err, ERR_ARG, "more than %d keys", NKEYS - 1);
	if (job->field.p != NULL)
		run.key[run.nkeys++] = job->field;
	for (int i = 0; i < job->nkeys; i++)
		run.key[run.nkeys++] = job->keys[i];
	ret = start_members(&run, team, err);
	if (ret == 0)
		ret = open_output(&run, err);
	if (ret == 0)
		ret = team_pipe(team, &pipe, err);
	if (ret == 0 && io->finish != NULL)
		ret = io->finish(io->ctx, err);
	ret = close_output(&run, ret, err);
	if (run.in != NULL)
		in_close(run.in);
	end_members(&run);
	buf_free(&run.carry);
	buf_free(&run.edits);
	buf_free(&run.spliced);
	return ret;
}
