/*
 * llm-redact - hide personal data and secrets
 *
 * Finds addresses, numbers, keys and passwords in each text and writes
 * something else in their place, or records where they are.  A record without
 * any keeps its bytes.
 *
 * Time is linear in the text whatever it is; memory is one batch of records a
 * thread.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/pii.h"
#include "text/unicode.h"
#include "tool/filter.h"

enum method { TAG, MASK, PSEUDONYM, DROP, KEEP };

static const char *const methods[] = { "tag", "mask", "pseudonym", "drop", "keep" };

struct redact {
	struct filter_opts io;
	const char	*names;		/* -r */
	const char	*method_name;	/* -t */
	const char	*key_file;	/* --key */
	const char	*spans;		/* --spans */
	int64_t		 max_spans;	/* --max-spans; -1: no limit */
	bool		 list;
	struct pii_rules rules;		/* --local is in it */
	str		 tag[PII_KINDS];	/* --tag */
	enum method	 method;
	struct pii_key	 key;
	str		 field;
	_Atomic int64_t	*found;		/* of each kind, by all threads */
};

/* A thread's: spans, the new text, and the value of --spans. */
struct state {
	struct buf spans, text, list;
};

static int
set_tag(void *into, const char *arg, struct err *err)
{
	struct redact *r = into;
	str rest = str_of(arg), name = str_cut(&rest, '=');

	if (rest.p == NULL)
		return err_set(err, ERR_ARG, "'%s' is not kind=text", arg);
	if (utf8_bad(rest) >= 0)
		return err_set(err, ERR_ARG, "the text is not UTF-8");
	for (int i = 0; i < PII_KINDS; i++)
		if (str_eq(name, str_of(pii_kinds[i].name))) {
			r->tag[i] = rest;
			return 0;
		}
	return err_set(err, ERR_ARG, "no kind '%.*s'", STR_ARG(name));
}

#define AT(field) offsetof(struct redact, field)

static const struct opt opts[] = {
	{ .letter = 'r', .name = "rules", .type = OPT_STR, .at = AT(names), .arg = "names",
	  .help = "kinds, comma-separated; -name takes one back (all)" },
	{ .letter = 't', .name = "type", .type = OPT_STR, .at = AT(method_name),
	  .arg = "tag|mask|pseudonym|drop|keep",
	  .help = "what to write in their place (tag)" },
	{ .name = "tag", .type = OPT_CALL, .arg = "kind=text", .call = set_tag,
	  .help = "the tag of a kind (<KIND>)" },
	{ .name = "key", .type = OPT_STR, .at = AT(key_file), .arg = "file",
	  .help = "secret key of the pseudonyms, 16 bytes or more" },
	{ .name = "local", .type = OPT_FLAG, .at = AT(rules.local),
	  .help = "IP addresses of private and reserved networks too" },
	{ .name = "spans", .type = OPT_STR, .at = AT(spans), .arg = "key",
	  .help = "record kind, start and end of each in this key" },
	{ .name = "max-spans", .type = OPT_I64, .at = AT(max_spans), .arg = "n",
	  .help = "drop records with more than so many" },
	{ .name = "list", .type = OPT_FLAG, .at = AT(list),
	  .help = "print the kinds and exit" },
	FILTER_OPTIONS(struct redact, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-redact",
	.synopsis = "[file ...]",
	.summary  = "hide personal data and secrets",
	.opts     = opts,
};

static int
list_kinds(void)
{
	printf("kind\twhat\n");
	for (int i = 0; i < PII_KINDS; i++)
		printf("%s\t%s\n", pii_kinds[i].name, pii_kinds[i].what);
	return tool_finish(0);
}

/* All spans of the text into s->spans; how many. */
static int64_t
find(const struct redact *r, struct state *s, str text)
{
	struct pii_scan scan = { .rules = &r->rules };
	struct pii_span span;
	int64_t n = 0;

	buf_reset(&s->spans);
	for (; pii_next(&scan, text, false, &span) > 0; n++)
		buf_add(&s->spans, (str){ (const char *)&span, sizeof(span) });
	return n;
}

static struct pii_span
span_at(const struct state *s, int64_t i)
{
	struct pii_span span;

	memcpy(&span, s->spans.p + i * (int64_t)sizeof(span), sizeof(span));
	return span;
}

static void
put_instead(const struct redact *r, enum method method, enum pii_kind kind, str value,
    struct buf *out)
{
	switch (method) {
	case TAG:
		if (r->tag[kind].p != NULL)
			buf_add(out, r->tag[kind]);
		else
			pii_tag(out, pii_kinds[kind].name);
		break;
	case MASK:
		buf_add(out, S("****"));
		break;
	case PSEUDONYM:
		pii_fake(&r->key, kind, value, out);
		break;
	case DROP:
		break;
	case KEEP:
		buf_add(out, value);
	}
}

/* The new text, and where in it the spans are, in characters. */
static int
rewrite(const struct redact *r, struct state *s, str text, int64_t n, enum method method,
    struct err *err)
{
	ptrdiff_t at = 0, chars = 0;

	buf_reset(&s->text);
	buf_reset(&s->list);
	buf_byte(&s->list, '[');
	for (int64_t i = 0; i < n; i++) {
		struct pii_span span = span_at(s, i);
		ptrdiff_t from, start;

		buf_add(&s->text, (str){ text.p + at, span.start - at });
		chars += utf8_count((str){ text.p + at, span.start - at });
		from = s->text.n;
		put_instead(r, method, span.kind,
		    (str){ text.p + span.start, span.end - span.start }, &s->text);
		if (buf_ok(&s->text, err) < 0)
			return -1;
		start = chars;
		chars += utf8_count((str){ s->text.p + from, s->text.n - from });
		at = span.end;
		buf_fmt(&s->list, "%s{\"kind\":\"%s\",\"start\":%td,\"end\":%td}", i > 0 ? "," : "",
		    pii_kinds[span.kind].name, start, chars);
	}
	buf_add(&s->text, (str){ text.p + at, text.n - at });
	buf_byte(&s->list, ']');
	return buf_ok(&s->text, err) < 0 || buf_ok(&s->list, err) < 0 ? -1 : 0;
}

static int
redact(const void *ctx, void *state, struct record *rec, struct err *err)
{
	const struct redact *r = ctx;
	struct state *s = state;
	int64_t n = find(r, s, rec->text);
	bool over = r->max_spans >= 0 && n > r->max_spans;
	enum method method = over ? KEEP : r->method;

	if (buf_ok(&s->spans, err) < 0)
		return RECORD_BAD;
	for (int64_t i = 0; i < n; i++)
		atomic_fetch_add_explicit(&r->found[span_at(s, i).kind], 1, memory_order_relaxed);
	if ((n > 0 || r->spans != NULL) && rewrite(r, s, rec->text, n, method, err) < 0)
		return RECORD_BAD;
	if (r->spans != NULL && record_set_raw(rec, str_of(r->spans), buf_str(&s->list), err) < 0)
		return RECORD_BAD;
	if (n > 0 && method != KEEP && record_set_text(rec, r->field, buf_str(&s->text), err) < 0)
		return RECORD_BAD;
	return over ? RECORD_DROP : RECORD_KEEP;
}

static void
state_free(void *state)
{
	struct state *s = state;

	buf_free(&s->spans);
	buf_free(&s->text);
	buf_free(&s->list);
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct redact *r = ctx;
	json_t *found = json_object();

	for (int i = 0; i < PII_KINDS; i++)
		json_object_set_new(found, pii_kinds[i].name,
		    json_integer((json_int_t)r->found[i]));
	json_object_set_new(stats, "found", found);
}

#define KEY_MAX ((ptrdiff_t)1 << 20)

static void
read_key(struct redact *r)
{
	struct arena a = { 0 };
	struct err err = { 0 };
	str bytes;

	if (r->key_file == NULL)
		tool_usage("-t pseudonym needs a secret: --key file");
	if (arena_init(&a, 2 * KEY_MAX, &err) < 0 ||
	    (bytes = file_slurp(&a, r->key_file, KEY_MAX, &err)).p == NULL)
		tool_fail(NULL, &err);
	if (pii_key_init(&r->key, bytes, &err) < 0)
		tool_fail(r->key_file, &err);
	arena_free(&a);
}

int
main(int argc, char **argv)
{
	_Atomic int64_t found[PII_KINDS] = { 0 };
	struct redact r = { .max_spans = -1, .found = found };
	struct records_job job = {
		.ctx = &r, .map = redact, .state_size = sizeof(struct state),
		.state_free = state_free,
	};
	struct err err = { 0 };
	char **files = tool_start(&tool, argc, argv, &r);
	int method = tool_choice(r.method_name, methods, sizeof(methods) / sizeof(methods[0]));

	if (r.list)
		return list_kinds();
	if (method < 0)
		tool_usage("-t: '%s' is none of tag, mask, pseudonym, drop, keep", r.method_name);
	r.method = (enum method)method;
	if (pii_select(&r.rules, r.names != NULL ? str_of(r.names) : S("all"), &err) < 0)
		tool_usage("-r: %s", err.msg);
	if (tool_given("max-spans") && r.max_spans < 0)
		tool_usage("--max-spans: not below 0");
	if (r.method == PSEUDONYM)
		read_key(&r);
	else if (r.key_file != NULL)
		tool_usage("--key is for -t pseudonym");
	r.field = job.field = filter_field(&r.io);
	r.io.more_stats = more_stats;
	r.io.ctx = &r;
	return filter_main(&tool, &r.io, files, &job);
}
