#include <assert.h>
#include <stdlib.h>

#include "base/json.h"
#include "serve/guard_impl.h"

#define TRIM	16384	/* bytes that are done, before they are forgotten */

/* Of one rule: how often it was found, and what went wrong. */
struct tally {
	int64_t found;
	char *error;
};

struct guard_stream {
	struct guards *g;
	enum guard_side side;
	struct buf text; /* whole characters */
	char tail[4]; /* the beginning of one */
	int ntail;
	struct guard_scan *scan; /* (rules) */
	struct tally *tally; /* (rules) */
	struct guard_matcher matcher;
	struct buf found; /* struct guard_found, of text from done on */
	ptrdiff_t done; /* text before it is handed on */
	ptrdiff_t hidden; /* end of what is redacted */
	struct buf held; /* what programs wait for */
	int blocked; /* the rule, or -1 */
	bool ended, hold;
};

const char *const guard_action_name[] = {
	[GUARD_FLAG] = "flag", [GUARD_BLOCK] = "block", [GUARD_REDACT] = "redact",
};

static bool
is_on(const struct guard_rule *r, enum guard_side side)
{
	return r->sides >> side & 1;
}

bool
guards_any(const struct guards *g, enum guard_side side)
{
	for (int i = 0; i < g->n; i++)
		if (is_on(&g->rule[i], side))
			return true;
	return false;
}

bool
guards_hold(const struct guards *g, enum guard_side side)
{
	for (int i = 0; i < g->n; i++)
		if (is_on(&g->rule[i], side) && g->rule[i].kind == GUARD_PROGRAM)
			return true;
	return false;
}

/* ---- a text ---- */

struct guard_stream *
guard_stream_new(struct guards *g, enum guard_side side, struct err *err)
{
	struct guard_stream *s = calloc(1, sizeof(*s));
	size_t n = (size_t)g->n + 1;

	if (s != NULL) {
		s->g = guards_share(g);
		s->side = side;
		s->blocked = -1;
		s->hold = guards_hold(g, side);
		s->held.limit = GUARD_TEXT;
		s->scan = calloc(n, sizeof(*s->scan));
		s->tally = calloc(n, sizeof(*s->tally));
	}
	if (s == NULL || s->scan == NULL || s->tally == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		guard_stream_free(s);
		return NULL;
	}
	if (guard_matcher_init(&s->matcher, err) < 0) {
		guard_stream_free(s);
		return NULL;
	}
	return s;
}

void
guard_stream_free(struct guard_stream *s)
{
	if (s == NULL)
		return;
	for (int i = 0; s->tally != NULL && i < s->g->n; i++)
		free(s->tally[i].error);
	free(s->scan);
	free(s->tally);
	guard_matcher_free(&s->matcher);
	buf_free(&s->text);
	buf_free(&s->found);
	buf_free(&s->held);
	guards_free(s->g);
	free(s);
}

static void
note_error(struct guard_stream *s, int rule, const char *what)
{
	if (s->tally[rule].error == NULL)
		s->tally[rule].error = strdup(what);
}

/* Bytes at the end of s that begin a character and are not all of it. */
static ptrdiff_t
open_character(str s)
{
	for (ptrdiff_t n = 1; n <= 3 && n <= s.n; n++) {
		unsigned char c = (unsigned char)s.p[s.n - n];

		if ((c & 0xc0) == 0x80)
			continue;
		return (c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1) > n ? n : 0;
	}
	return 0;
}

/* Add whole characters of a piece; what is none becomes U+FFFD, byte by byte. */
static void
take_text(struct guard_stream *s, str piece, bool more)
{
	ptrdiff_t from = s->text.n, tail, bad;
	str rest;

	buf_add(&s->text, (str){ s->tail, s->ntail });
	buf_add(&s->text, piece);
	s->ntail = 0;
	if (s->text.failed)
		return;
	rest = (str){ s->text.p + from, s->text.n - from };
	tail = more ? open_character(rest) : 0;
	rest.n -= tail;
	memcpy(s->tail, rest.p + rest.n, (size_t)tail);
	s->text.n -= tail;
	if ((bad = utf8_bad(rest)) >= 0) {
		struct buf mended = { 0 };

		for (; bad >= 0; bad = utf8_bad(rest)) {
			buf_add(&mended, (str){ rest.p, bad });
			buf_add(&mended, S("\xef\xbf\xbd"));
			rest = (str){ rest.p + bad + 1, rest.n - bad - 1 };
		}
		buf_add(&mended, rest);
		s->text.n = from;
		buf_add(&s->text, buf_str(&mended));
		s->text.failed |= mended.failed;
		buf_free(&mended);
	}
	s->ntail = (int)tail;
}

/* ---- what is handed on ---- */

static int
in_order(const void *a, const void *b, void *ctx)
{
	const struct guard_found *x = a, *y = b;
	const struct guard_rule *rule = ctx;
	int i = (int)rule[x->rule].action, j = (int)rule[y->rule].action;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (i != j)
		return i - j;
	return x->end != y->end ? (x->end > y->end ? -1 : 1) : x->rule - y->rule;
}

/* The text up to end that is not hidden. */
static void
hand_on(struct guard_stream *s, ptrdiff_t end, struct buf *out)
{
	ptrdiff_t from = s->done > s->hidden ? s->done : s->hidden;

	if (end > from)
		buf_add(out, (str){ s->text.p + from, end - from });
	if (end > s->done)
		s->done = end;
}

/* Take what was found before safe, where all that will be found is known. */
static void
settle(struct guard_stream *s, ptrdiff_t safe, struct buf *out)
{
	struct guard_found *f = (void *)s->found.p;
	ptrdiff_t n = s->found.n / (ptrdiff_t)sizeof(*f), i = 0;

	if (n > 0)
		qsort_r(f, (size_t)n, sizeof(*f), in_order, s->g->rule);
	for (; i < n && f[i].start < safe && s->blocked < 0; i++) {
		const struct guard_rule *r = &s->g->rule[f[i].rule];

		s->tally[f[i].rule].found++;
		if (r->action == GUARD_FLAG)
			continue;
		hand_on(s, f[i].start, out);
		if (r->action == GUARD_BLOCK || s->scan[f[i].rule].failed) {
			s->blocked = f[i].rule;
		} else {
			if (f[i].start >= s->hidden)
				pii_tag(out, r->kind == GUARD_PII_KINDS ?
				    pii_kinds[f[i].kind].name : r->name);
			if (f[i].end > s->hidden)
				s->hidden = f[i].end;
		}
	}
	if (s->blocked >= 0)
		return;
	hand_on(s, safe, out);
	if (i > 0)
		memmove(f, f + i, (size_t)(n - i) * sizeof(*f));
	s->found.n = (n - i) * (ptrdiff_t)sizeof(*f);
}

static void
forget(struct guard_stream *s)
{
	ptrdiff_t n = s->done - GUARD_BEHIND;

	if (n < TRIM || n < s->text.n / 2)
		return;
	while (((unsigned char)s->text.p[n] & 0xc0) == 0x80)
		n--;
	for (int i = 0; i < s->g->n; i++)
		if (is_on(&s->g->rule[i], s->side))
			guard_forget(&s->g->rule[i], &s->scan[i], n);
	for (ptrdiff_t at = 0; at < s->found.n; at += (ptrdiff_t)sizeof(struct guard_found)) {
		struct guard_found *f = (void *)(s->found.p + at);

		f->start -= n;
		f->end -= n;
	}
	s->text.n -= n;
	memmove(s->text.p, s->text.p + n, (size_t)s->text.n);
	s->done -= n;
	s->hidden -= s->hidden > n ? n : s->hidden;
}

/* Let all rules look.  A rule that takes too long blocks where it stopped. */
static void
look(struct guard_stream *s, bool more, struct buf *out)
{
	ptrdiff_t safe = s->text.n;

	for (int i = 0; i < s->g->n; i++) {
		struct guard_rule *r = &s->g->rule[i];
		struct guard_scan *scan = &s->scan[i];

		if (!is_on(r, s->side))
			continue;
		if (guard_find(r, i, &s->matcher, scan, buf_str(&s->text), more, &s->found) < 0) {
			struct guard_found f = { scan->safe, scan->safe + 1, i, 0 };

			note_error(s, i, "takes too many steps");
			if (r->action != GUARD_FLAG)
				buf_add(&s->found, (str){ (const char *)&f, sizeof(f) });
			scan->safe = s->text.n;
		}
		if (scan->safe < safe)
			safe = scan->safe;
	}
	if (!s->found.failed)
		settle(s, safe, out);
}

static int
feed(struct guard_stream *s, str piece, bool more, struct buf *out, struct err *err)
{
	if (s->blocked >= 0 || s->ended)
		return s->blocked >= 0;
	s->ended = !more;
	take_text(s, piece, more);
	if (buf_ok(&s->text, err) < 0)
		return -1;
	look(s, more, out);
	if (buf_ok(&s->found, err) < 0 || buf_ok(out, err) < 0)
		return -1;
	if (s->blocked < 0)
		forget(s);
	return s->blocked >= 0;
}

/* ---- programs ---- */

/* Ask one about what is held.  Return 0, 1 when it blocks, or -1. */
static int
ask(struct guard_stream *s, int i, struct err *err)
{
	const struct guard_rule *r = &s->g->rule[i];
	struct buf other = { .limit = GUARD_TEXT };
	struct err why;
	int answer = guard_program_ask(r->program, s->side, buf_str(&s->held), &other, &why);
	int ret = 0;

	if (answer < 0) {
		note_error(s, i, why.msg);
		ret = !r->program->pass && r->action != GUARD_FLAG;
	} else if (answer != GUARD_PASS) {
		s->tally[i].found++;
		ret = r->action == GUARD_BLOCK ||
		    (r->action == GUARD_REDACT && answer == GUARD_STOP);
		if (r->action == GUARD_REDACT && answer == GUARD_REPLACE) {
			buf_reset(&s->held);
			buf_add(&s->held, buf_str(&other));
			ret = buf_ok(&s->held, err);
		}
	}
	buf_free(&other);
	if (ret > 0)
		s->blocked = i;
	return ret;
}

static int
ask_all(struct guard_stream *s, struct buf *out, struct err *err)
{
	int ret = 0;

	for (int i = 0; i < s->g->n && ret == 0; i++)
		if (is_on(&s->g->rule[i], s->side) && s->g->rule[i].program != NULL)
			ret = ask(s, i, err);
	if (ret == 0) {
		buf_add(out, buf_str(&s->held));
		ret = buf_ok(out, err);
	}
	return ret;
}

int
guard_stream_write(struct guard_stream *s, str piece, struct buf *out, struct err *err)
{
	return feed(s, piece, true, s->hold ? &s->held : out, err);
}

int
guard_stream_end(struct guard_stream *s, struct buf *out, struct err *err)
{
	bool ended = s->ended;
	int ret = feed(s, (str){ NULL, 0 }, false, s->hold ? &s->held : out, err);

	return ret == 0 && s->hold && !ended ? ask_all(s, out, err) : ret;
}

/* ---- the verdict ---- */

const char *
guard_stream_blocked(const struct guard_stream *s)
{
	return s->blocked < 0 ? NULL : s->g->rule[s->blocked].name;
}

void
guard_stream_verdict(const struct guard_stream *s, struct buf *b)
{
	const char *comma = "";

	buf_byte(b, '[');
	for (int i = 0; i < s->g->n; i++) {
		const struct guard_rule *r = &s->g->rule[i];
		const struct tally *t = &s->tally[i];

		if (t->found == 0 && t->error == NULL)
			continue;
		buf_fmt(b, "%s{\"rule\":", comma);
		json_quote(b, str_of(r->name));
		buf_fmt(b, ",\"action\":\"%s\",\"count\":%lld", guard_action_name[r->action],
		    (long long)t->found);
		if (t->error != NULL) {
			buf_add(b, S(",\"error\":"));
			json_quote(b, str_of(t->error));
		}
		if (s->blocked == i)
			buf_add(b, S(",\"blocked\":true"));
		buf_byte(b, '}');
		comma = ",";
	}
	buf_byte(b, ']');
}

int
guard_text(struct guards *g, enum guard_side side, str text, struct buf *out,
    struct buf *verdict, struct err *err)
{
	struct guard_stream *s = guard_stream_new(g, side, err);
	int ret;

	if (s == NULL)
		return -1;
	ret = guard_stream_write(s, text, out, err);
	if (ret == 0)
		ret = guard_stream_end(s, out, err);
	if (ret >= 0 && verdict != NULL) {
		guard_stream_verdict(s, verdict);
		ret = buf_ok(verdict, err) < 0 ? -1 : ret;
	}
	guard_stream_free(s);
	return ret;
}
