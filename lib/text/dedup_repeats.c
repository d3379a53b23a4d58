/*
 * Passages that were there before: of words or bytes (substring), of lines,
 * paragraphs or sentences.  What text/repeats.h finds is cut, or told.
 */
#include <stdlib.h>

#include "text/dedup.h"
#include "text/repeats.h"
#include "text/unicode.h"

struct state {
	struct repeats	*repeats;
	enum unit_kind	 kind;
	int64_t		 length;
	struct buf	 text;
	int64_t		 spans, bytes, touched;	/* cut, or told */
};

static int
count_record(const void *ctx, void *scan, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	struct state *s = d->state;

	/* The counts are shared, and made for that. */
	return repeats_count(s->repeats, scan, r->text, err) < 0 ? RECORD_BAD : RECORD_KEEP;
}

static int
find_record(const void *ctx, void *scan, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	const struct state *s = d->state;
	struct repeats_found *f = arena_new(r->scratch, struct repeats_found, 1, err);

	if (f == NULL || repeats_find(s->repeats, scan, r->text, r->scratch, f, err) < 0)
		return RECORD_BAD;
	r->tag[0] = (uint64_t)(uintptr_t)f;
	return RECORD_KEEP;
}

static int
add_record(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	struct state *s = d->state;
	const struct repeats_found *f = (const struct repeats_found *)(uintptr_t)r->tag[0];

	return repeats_add(s->repeats, r->index, r->text, f, err);
}

static int
nothing(void *ctx, struct record *r, struct err *err)
{
	(void)ctx, (void)r, (void)err;
	return 0;
}

static int
settle(struct dedup *d, struct team *team, struct err *err)
{
	struct state *s = d->state;

	return repeats_settle(s->repeats, team, err);
}

static int
save(const struct dedup *d, dedup_put *put, void *ctx, struct err *err)
{
	const struct state *s = d->state;

	return repeats_save(s->repeats, put, ctx, err);
}

static int
load(struct dedup *d, int done, str piece, struct err *err)
{
	struct state *s = d->state;

	return repeats_load(s->repeats, done == d->method->nahead, piece, err);
}

/* The size of the table of pass 1 depends on the memory. */
static void
add_settings(const struct dedup *d, struct buf *b)
{
	const struct state *s = d->state;

	buf_fmt(b, ",\"unit\":%d,\"length\":%lld,\"memory\":%lld", (int)s->kind,
	    (long long)s->length, (long long)d->spill.memory);
}

/* [[from,to],...] in characters, as jq and Python count them. */
static int
tell(struct dedup *d, struct record *r, const struct span *span, ptrdiff_t n, struct err *err)
{
	struct buf *b = &((struct state *)d->state)->text;
	ptrdiff_t at = 0, chars = 0;

	buf_reset(b);
	buf_byte(b, '[');
	for (ptrdiff_t i = 0; i < n; i++) {
		chars += utf8_count((str){ r->text.p + at, span[i].from - at });
		buf_fmt(b, "%s[%td,", i > 0 ? "," : "", chars);
		chars += utf8_count((str){ r->text.p + span[i].from, span[i].to - span[i].from });
		buf_fmt(b, "%td]", chars);
		at = span[i].to;
	}
	buf_byte(b, ']');
	if (buf_ok(b, err) < 0 || record_set_raw(r, str_of(d->spans), buf_str(b), err) < 0)
		return RECORD_BAD;
	return RECORD_KEEP;
}

static int
cut_record(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	struct state *s = d->state;
	struct span *span;
	ptrdiff_t n = repeats_next(s->repeats, r->index, r->text, &span, err);

	if (n > 0)
		n = cut_align(r->text, span, n, d->at);
	if (n <= 0)
		return n < 0 ? RECORD_BAD : RECORD_KEEP;
	s->touched++;
	s->spans += n;
	for (ptrdiff_t i = 0; i < n; i++)
		s->bytes += span[i].to - span[i].from;
	if (d->spans != NULL)
		return tell(d, r, span, n, err);
	if (cut_text(&s->text, r->text, span, n, err) < 0)
		return RECORD_BAD;
	if (uni_trim(buf_str(&s->text)).n < (d->min_bytes > 0 ? d->min_bytes : 1))
		return RECORD_DROP;
	return record_set_text(r, d->field, buf_str(&s->text), err) < 0 ? RECORD_BAD : RECORD_KEEP;
}

static void
free_scan(void *scan)
{
	repeats_scan_free(scan);
}

static int
open_units(struct dedup *d, enum unit_kind kind, int64_t length, struct err *err)
{
	struct state *s = calloc(1, sizeof(*s));

	if ((d->state = s) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (d->length > 0)
		length = d->length;
	s->kind = kind;
	s->length = length;
	s->repeats = repeats_new(kind, length, d->spill.memory, d->bytes, d->spill.dir, err);
	return s->repeats != NULL ? 0 : -1;
}

static int
open_substring(struct dedup *d, struct err *err)
{
	return open_units(d, d->length_bytes ? UNIT_BYTE : UNIT_WORD, 50, err);
}

static int
open_line(struct dedup *d, struct err *err)
{
	return open_units(d, UNIT_LINE, 1, err);
}

static int
open_paragraph(struct dedup *d, struct err *err)
{
	return open_units(d, UNIT_PARAGRAPH, 1, err);
}

static int
open_sentence(struct dedup *d, struct err *err)
{
	return open_units(d, UNIT_SENTENCE, 3, err);
}

static void
add_stats(const struct dedup *d, void *to, void (*put)(void *, const char *, double))
{
	const struct state *s = d->state;
	struct repeats_stats r = repeats_stats(s->repeats);

	put(to, "spilled", (double)r.spilled);
	put(to, "windows", (double)r.windows);
	put(to, "candidates", (double)r.candidates);
	put(to, "repeated_windows", (double)r.repeats);
	put(to, "records_with_repeats", (double)s->touched);
	put(to, "repeats", (double)s->spans);
	put(to, "repeated_bytes", (double)s->bytes);
}

static void
close_units(struct dedup *d)
{
	struct state *s = d->state;

	if (s == NULL)
		return;
	repeats_free(s->repeats);
	buf_free(&s->text);
	free(s);
}

static const struct records_job ahead[] = {
	{ .field = { "text", 4 }, .map = count_record, .sink = nothing,
	  .state_size = sizeof(struct repeats_scan), .state_free = free_scan },
	{ .field = { "text", 4 }, .map = find_record, .sink = add_record,
	  .state_size = sizeof(struct repeats_scan), .state_free = free_scan },
};

#define METHOD(which, ...)							\
	const struct dedup_method dedup_##which = {				\
		.name = #which,							\
		.takes = (const char *const []){ __VA_ARGS__, NULL },		\
		.job = { .field = { "text", 4 }, .order = cut_record },		\
		.ahead = ahead, .nahead = 2, .settle = settle,			\
		.save = save, .load = load, .settings = add_settings,		\
		.open = open_##which, .stats = add_stats, .close = close_units,	\
	}

METHOD(substring, "min-length", "min-bytes", "spans", "boundary");
METHOD(line, "min-length", "min-bytes", "spans");
METHOD(paragraph, "min-length", "min-bytes", "spans");
METHOD(sentence, "min-length", "min-bytes", "spans");
