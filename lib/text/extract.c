#include "text/extract.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "text/encoding.h"
#include "text/extract_impl.h"
#include "text/kind.h"
#include "text/pdf.h"
#include "text/records.h"
#include "text/roff.h"

/* A large document is rare; its pages are better given back. */
#define LARGE		((ptrdiff_t)4 << 20)
#define LINES_BYTES	((ptrdiff_t)1 << 20)	/* of JSON lines at a time */

struct run {
	const struct extract_opts *o;
	struct files	*files;
	struct out	*out, *bad;
	struct extract_count *count;
	struct member	 member[TEAM_MAX];
	/* The reader's: JSON lines are taken in pieces. */
	bool		 in_lines;
	struct buf	 rest;		/* of the line that was cut */
	int64_t		 line;		/* lines read so far */
	struct buf	 label;
};

static void
item_reset(struct item *it)
{
	buf_reset(&it->bytes);
	buf_reset(&it->label);
	buf_reset(&it->name);
	buf_reset(&it->record);
	buf_reset(&it->bad);
	buf_reset(&it->say);
	it->nbad = it->records = it->text_bytes = 0;
	it->line = 0;
	it->outcome = OUTCOME_NONE;
	it->web = false;
}

void
item_fail(struct item *it, int64_t line, const struct err *why)
{
	struct buf source = { 0 };

	buf_add(&source, buf_str(&it->label));
	if (line > 0)
		buf_fmt(&source, ":%lld", (long long)line);
	buf_fmt(&it->say, "%.*s: %s", STR_ARG(buf_str(&source)), why->msg);
	buf_byte(&it->say, '\0');
	buf_add(&it->bad, S("{\"source\":"));
	json_quote(&it->bad, buf_str(&source));
	buf_add(&it->bad, S(",\"error\":"));
	json_quote(&it->bad, str_of(why->msg));
	buf_add(&it->bad, S("}\n"));
	if (it->nbad++ == 0)
		it->err = *why;
	buf_free(&source);
}

/* All of the file at hand.  Return 0, or -1 with ERR_LIMIT when it is too long. */
static int
slurp(struct run *r, struct item *it, struct err *err)
{
	ptrdiff_t got, want = FILES_HEAD;

	for (;;) {
		char *at = buf_room(&it->bytes, want);

		if (at == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if ((got = files_read(r->files, at, want, err)) < 0)
			return -1;
		if (got == 0)
			return 0;
		it->bytes.n += got;
		if (it->bytes.n > r->o->max_size)
			return err_set(err, ERR_LIMIT, "longer than %lld bytes (--max-size)",
			    (long long)r->o->max_size);
		want = it->bytes.n < 65536 ? 65536 : it->bytes.n;
		if (want > 1 << 20)
			want = 1 << 20;
	}
}

/* A piece of JSON lines, whole lines but for the last in the file. */
static int
read_lines(struct run *r, struct item *it, struct err *err)
{
	ptrdiff_t got = 1, n = 0;

	it->kind = KIND_LINES;
	it->line = r->line;
	buf_add(&it->label, buf_str(&r->label));
	buf_add(&it->bytes, buf_str(&r->rest));
	buf_reset(&r->rest);
	for (;;) {
		char *at = buf_room(&it->bytes, LINES_BYTES);
		char *nl;

		if (at == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if ((got = files_read(r->files, at, LINES_BYTES, err)) < 0)
			return -1;
		if (got == 0)
			break;
		it->bytes.n += got;
		/* In what is new alone, for a line may be long. */
		if ((nl = memrchr(at, '\n', (size_t)got)) != NULL)
			n = nl + 1 - it->bytes.p;
		if (it->bytes.n >= LINES_BYTES && n > 0) {
			nl = it->bytes.p + n - 1;
			buf_add(&r->rest, (str){ nl + 1, it->bytes.n - n });
			it->bytes.n = n;
			break;
		}
		if (it->bytes.n > RECORDS_MAX)
			return err_set(err, ERR_LIMIT, "a line of more than %td bytes",
			    RECORDS_MAX);
	}
	r->in_lines = got > 0;
	for (const char *p = it->bytes.p, *end = p + it->bytes.n; p < end && p != NULL; r->line++)
		if ((p = memchr(p, '\n', (size_t)(end - p))) != NULL)
			p++;
	return 0;
}

/* A record of a web archive: what it is turns out when its header is read. */
static int
begin_web(struct run *r, struct item *it, const struct file *file, struct err *err)
{
	const struct warc_record *w = file->record;
	struct buf *to[] = { &it->id, &it->url, &it->date, &it->type };
	const str from[] = { w->id, w->url, w->date, w->type };

	it->web = true;
	it->http = w->http;
	it->conversion = w->kind == WARC_CONVERSION;
	buf_add(&it->label, file->label);
	for (int i = 0; i < 4; i++) {
		buf_reset(to[i]);
		buf_add(to[i], from[i]);
		if (buf_ok(to[i], err) < 0)
			return -1;
	}
	return slurp(r, it, err) < 0 ? -1 : 1;
}

/* Begin with a file: 1 it is an item, 0 it is passed over, -1. */
static int
begin(struct run *r, struct item *it, const struct file *file, struct err *err)
{
	if (file->record != NULL)
		return begin_web(r, it, file, err);
	if (file->head.n == 0) {
		r->count->empty++;
		return 0;
	}
	it->kind = kind_of(file->name, file->head, r->o->field);
	if (it->kind == KIND_BINARY) {
		r->count->binary++;
		return 0;
	}
	if (it->kind == KIND_ASSET && !file->listed) {
		r->count->assets++;
		return 0;
	}
	if (it->kind == KIND_LINES) {
		r->count->lines++;
		r->line = 0;
		buf_reset(&r->rest);
		buf_reset(&r->label);
		buf_add(&r->label, file->label);
		return read_lines(r, it, err) < 0 ? -1 : 1;
	}
	buf_add(&it->label, file->label);
	buf_add(&it->name, file->name);
	return slurp(r, it, err) < 0 ? -1 : 1;
}

static int
read_item(void *ctx, void *item, struct err *err)
{
	struct run *r = ctx;
	struct item *it = item;
	struct file file;
	struct err why = { 0 };
	int got = 0;

	item_reset(it);
	if (r->in_lines) {
		if (read_lines(r, it, &why) < 0)
			r->in_lines = false;
		else if (it->bytes.n > 0)
			return 1;
		buf_reset(&it->label);
	}
	while (why.code == ERR_NONE && got == 0) {
		if ((got = files_next(r->files, &file, &why)) == 0)
			return 0;
		if (got > 0)
			got = begin(r, it, &file, &why);
	}
	if (got > 0)
		return 1;
	if (why.code == ERR_NOMEM) {
		*err = why;
		return -1;
	}
	/* Told in its turn, after the records before it. */
	buf_reset(&it->label);
	buf_add(&it->label, files_label(r->files));
	it->outcome = OUTCOME_FAILED;
	item_fail(it, 0, &why);
	return 1;
}

static int
member_init(struct member *m, double timeout, struct err *err)
{
	if (m->ready)
		return 0;
	if (arena_init(&m->arena, HTML_MEMORY, err) < 0 ||
	    guard_init(&m->guard, timeout, err) < 0)
		return -1;
	m->ready = true;
	return 0;
}

/* Spaces at line ends and empty lines at both ends go; the rest is the author's. */
static void
plain(str s, struct buf *out)
{
	while (s.p != NULL) {
		str line = str_cut(&s, '\n');

		while (line.n > 0 && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t' ||
		    line.p[line.n - 1] == '\r'))
			line.n--;
		if (line.n == 0 && out->n == 0)
			continue;
		buf_add(out, line);
		buf_byte(out, '\n');
	}
	while (out->n > 1 && out->p[out->n - 1] == '\n' && out->p[out->n - 2] == '\n')
		out->n--;
}

static void
put_key(struct buf *b, const char *key, str value)
{
	if (value.n == 0)
		return;
	buf_add(b, str_of(key));
	json_quote(b, value);
}

static void
put_record(struct item *it, const struct member *m)
{
	struct buf *b = &it->record;
	str text = buf_str(&m->text);
	char id[33];

	hash128_hex(hash128_of(text), id);
	put_key(b, "{\"id\":", it->web && it->id.n > 0 ? buf_str(&it->id) : str_of(id));
	put_key(b, ",\"text\":", text);
	put_key(b, ",\"source\":", buf_str(&it->label));
	put_key(b, ",\"title\":", buf_str(&m->about.title));
	put_key(b, ",\"url\":", buf_str(it->web && it->url.n > 0 ? &it->url : &m->about.url));
	put_key(b, ",\"date\":", it->web && it->date.n > 0 ? buf_str(&it->date) :
	    str_of(m->about.date));
	put_key(b, ",\"language\":", str_of(m->about.language));
	buf_add(b, S("}\n"));
	it->records = 1;
	it->text_bytes = text.n;
}

/* A PDF: what its program gives is text like any other. */
static int
from_pdf(const struct run *r, struct item *it, struct member *m, str *s, struct err *err)
{
	int got;

	buf_reset(&m->scratch);
	got = pdf_text(*s, r->o->max_size, r->o->timeout, &m->scratch, err);
	if (got == 0)
		it->outcome = OUTCOME_PDF;
	*s = buf_str(&m->scratch);
	return got;
}

/* The text of s into m->text.  Return 1, 0 with the outcome set, -1. */
static int
to_text(const struct run *r, struct item *it, struct member *m, str s, str charset,
    struct err *err)
{
	bool markup = it->kind == KIND_HTML || it->kind == KIND_XML;
	int got;

	if (it->kind == KIND_PDF && (got = from_pdf(r, it, m, &s, err)) < 1)
		return got;
	if ((got = encoding_to_utf8(s, charset, markup, &m->utf8, &s, err)) < 1) {
		it->outcome = OUTCOME_BINARY;
		return got;
	}
	if (markup) {
		if (html_extract(s, it->kind == KIND_XML, r->o->form, &m->text, &m->about,
		    m->arena, &m->guard, err) < 0)
			return -1;
	} else if (it->kind == KIND_MAN) {
		roff_extract(s, r->o->form, &m->text, &m->about.title);
	} else {
		plain(s, &m->text);
	}
	if (guard_over(&m->guard))
		return guard_fail(&m->guard, err);
	return buf_ok(&m->text, err) < 0 ? -1 : 1;
}

/* One document into it->record.  Return 0 or -1. */
static int
convert(const struct run *r, struct item *it, struct member *m, struct err *err)
{
	str s = buf_str(&it->bytes), charset = { NULL, 0 };
	int got;

	buf_reset(&m->text);
	html_about_reset(&m->about);
	if (it->web && (got = web_payload(it, m, r->o->max_size, &s, &charset, err)) < 1)
		return got;
	guard_start(&m->guard);
	got = to_text(r, it, m, s, charset, err);
	guard_stop(&m->guard);
	if (got < 1)
		return got;
	if (m->text.n <= 1 || m->text.n < r->o->min_bytes) {
		it->outcome = OUTCOME_EMPTY;
		return 0;
	}
	put_record(it, m);
	return buf_ok(&it->record, err);
}

static int
work_item(void *ctx, void *item, int index, struct err *err)
{
	struct run *r = ctx;
	struct item *it = item;
	struct member *m = &r->member[index];
	struct err why = { 0 };

	if (it->outcome == OUTCOME_FAILED)
		return 0;
	if (member_init(m, r->o->timeout, err) < 0)
		return -1;
	if (it->kind == KIND_LINES) {
		lines_convert(it, m, r->o->field, r->o->min_bytes, r->o->keep_going);
		if (buf_ok(&it->record, err) < 0)
			return -1;
	} else if (convert(r, it, m, &why) < 0) {
		if (why.code == ERR_NOMEM) {
			*err = why;
			return -1;
		}
		it->outcome = OUTCOME_FAILED;
		item_fail(it, 0, &why);
	}
	if (it->bytes.n > LARGE)
		arena_reset(&m->arena);
	return buf_ok(&it->bad, err);
}

static void
tally(struct extract_count *c, const struct item *it)
{
	c->records += it->records;
	c->text_bytes += it->text_bytes;
	c->bad += it->nbad;
	c->binary += it->outcome == OUTCOME_BINARY;
	c->empty += it->outcome == OUTCOME_EMPTY;
	c->status += it->outcome == OUTCOME_STATUS;
	c->types += it->outcome == OUTCOME_TYPE;
	c->unread += it->outcome == OUTCOME_PDF;
	if (it->outcome != OUTCOME_NONE)
		return;
	c->html += it->kind == KIND_HTML;
	c->xml += it->kind == KIND_XML;
	c->pdf += it->kind == KIND_PDF;
	c->man += it->kind == KIND_MAN;
	c->text += it->kind == KIND_TEXT || it->kind == KIND_ASSET;
}

static int
write_item(void *ctx, void *item, struct err *err)
{
	struct run *r = ctx;
	struct item *it = item;
	str say = buf_str(&it->say);

	if (out_write(r->out, it->record.p, it->record.n, err) < 0)
		return -1;
	r->count->bytes_out += it->record.n;
	tally(r->count, it);
	if (it->nbad > 0 && !r->o->keep_going) {
		*err = it->err;
		return err_set(err, it->err.code, "%s", it->say.p);
	}
	if (r->bad != NULL && it->bad.n > 0 && out_write(r->bad, it->bad.p, it->bad.n, err) < 0)
		return -1;
	while (say.n > 0 && r->o->complain != NULL) {
		str one = str_cut(&say, '\0');

		r->o->complain(r->o->ctx, one.p);
	}
	if (r->o->progress != NULL)
		r->o->progress(r->o->ctx, r->count->records, files_counts(r->files)->bytes_in,
		    files_total(r->files));
	if (it->bytes.n > LARGE) {
		buf_free(&it->bytes);
		buf_free(&it->record);
	}
	return 0;
}

static int64_t
item_bytes(const void *item)
{
	return ((const struct item *)item)->bytes.n;
}

static void
done_item(void *ctx, void *item)
{
	struct item *it = item;

	(void)ctx;
	buf_free(&it->bytes);
	buf_free(&it->label);
	buf_free(&it->name);
	buf_free(&it->id);
	buf_free(&it->url);
	buf_free(&it->date);
	buf_free(&it->type);
	buf_free(&it->record);
	buf_free(&it->bad);
	buf_free(&it->say);
}

int
extract_run(struct team *team, const struct extract_opts *o, char *const *paths, int n,
    struct out *out, struct out *bad, struct extract_count *count, struct err *err)
{
	struct run *r = calloc(1, sizeof(*r));
	struct pipeline p = {
		.size = sizeof(struct item), .read = read_item, .work = work_item,
		.write = write_item, .done = done_item,
		.bytes = item_bytes, .ctx = r,
	};
	int ret = -1;

	*count = (struct extract_count){ 0 };
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->o = o;
	r->out = out;
	r->bad = bad;
	r->count = count;
	if ((r->files = files_open(paths, n, &o->files, err)) != NULL) {
		ret = team_pipe(team, &p, err);
		count->files = *files_counts(r->files);
		files_close(r->files);
	}
	for (int i = 0; i < TEAM_MAX; i++) {
		struct member *m = &r->member[i];

		arena_free(&m->arena);
		guard_free(&m->guard);
		buf_free(&m->chunks);
		buf_free(&m->inflated);
		buf_free(&m->text);
		buf_free(&m->utf8);
		buf_free(&m->scratch);
		html_about_free(&m->about);
	}
	buf_free(&r->rest);
	buf_free(&r->label);
	free(r);
	return ret;
}
