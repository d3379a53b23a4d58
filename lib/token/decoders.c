#include "token/decoders.h"

#include <stdlib.h>

#include "text/unicode.h"
#include "token/bytemap.h"
#include "token/onig.h"

#define MARK "\xe2\x96\x81"	/* U+2581 */

struct kind;

struct decoders_step {
	const struct kind *kind;
	struct buf	 from, to;	/* Replace, and what others cut off or put */
	struct onig	*pattern;	/* Replace: in place of from */
	int32_t		 one;
	int64_t		 start, stop;	/* Strip */
	bool		 on;		/* cleanup; Metaspace: a mark before the text goes */
};

/* One token on its way. */
struct on_way {
	struct decoders_scratch *s;
	str		 text;
	int		 where;
	int		 use;		/* the buf that text is not in */
	bool		 byte;		/* it has become one: nothing more is done to it */
};

struct kind {
	const char	*type;
	int		(*read)(struct decoders *, struct decoders_step *, const json_t *,
	    struct err *);
	int		(*run)(const struct decoders_step *, struct on_way *, struct err *);
};

static struct buf *
room(struct on_way *o)
{
	struct buf *b = &o->s->buf[o->use];

	buf_reset(b);
	return b;
}

static int
done(struct on_way *o, struct err *err)
{
	o->text = buf_str(&o->s->buf[o->use]);
	o->use = !o->use;
	return buf_ok(&o->s->buf[!o->use], err);
}

/* Put one string for another. */
static int
swap(struct on_way *o, str from, str to, struct err *err)
{
	str s = o->text;
	struct buf *b = NULL;
	const char *at;

	while (from.n > 0 && s.n > 0 &&
	    (at = memmem(s.p, (size_t)s.n, from.p, (size_t)from.n)) != NULL) {
		if (b == NULL)
			b = room(o);
		buf_add(b, (str){ s.p, at - s.p });
		buf_add(b, to);
		s = (str){ at + from.n, s.p + s.n - (at + from.n) };
	}
	if (b == NULL)
		return 0;
	buf_add(b, s);
	return done(o, err);
}

/* ---- reading ---- */

static int
member(struct buf *b, const json_t *json, const char *key, const char *otherwise, struct err *err)
{
	const json_t *v = json_object_get(json, key);

	if (json_is_string(v))
		buf_add(b, (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) });
	else if (otherwise != NULL)
		buf_add(b, str_of(otherwise));
	else
		return err_set(err, ERR_FORMAT, "decoder %s without %s",
		    json_string_value(json_object_get(json, "type")), key);
	return buf_ok(b, err);
}

static int
one_char(struct decoders_step *s, const json_t *json, const char *key, struct err *err)
{
	const char *p, *end;

	if (member(&s->from, json, key, NULL, err) < 0)
		return -1;
	p = s->from.p;
	end = p + s->from.n;
	if (s->from.n > 0)
		s->one = utf8_next(&p, end);
	return s->from.n > 0 && p == end ? 0 :
	    err_set(err, ERR_FORMAT, "%s of a decoder is not one character", key);
}

static int
read_replace(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	const json_t *pattern = json_object_get(json, "pattern");

	(void)d;
	if (json_is_string(json_object_get(pattern, "String"))) {
		if (member(&s->from, pattern, "String", NULL, err) < 0)
			return -1;
	} else if ((s->pattern = onig_read(pattern, "decoder Replace", err)) == NULL) {
		return -1;
	}
	return member(&s->to, json, "content", NULL, err);
}

static int
read_strip(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	const json_t *start = json_object_get(json, "start"), *stop = json_object_get(json, "stop");

	(void)d;
	s->start = json_integer_value(start);
	s->stop = json_integer_value(stop);
	if (!json_is_integer(start) || !json_is_integer(stop) || s->start < 0 || s->stop < 0)
		return err_set(err, ERR_FORMAT, "decoder Strip without start and stop");
	return one_char(s, json, "content", err);
}

static int
read_metaspace(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	const char *scheme = json_string_value(json_object_get(json, "prepend_scheme"));

	s->on = (scheme == NULL || strcmp(scheme, "never") != 0) &&
	    !json_is_false(json_object_get(json, "add_prefix_space"));
	d->first |= s->on;
	return one_char(s, json, "replacement", err);
}

static int
read_pieces(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	d->first = true;
	s->on = !json_is_false(json_object_get(json, "cleanup"));
	return member(&s->from, json, "prefix", "##", err);
}

static int
read_suffix(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	d->last = true;
	return member(&s->from, json, "suffix", "</w>", err);
}

static int
read_ctc(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	if (d->n > 1)
		return err_set(err, ERR_FORMAT, "decoder CTC after another is not supported");
	d->once = true;
	s->on = !json_is_false(json_object_get(json, "cleanup"));
	return member(&s->from, json, "pad_token", "<pad>", err) < 0 ? -1 :
	    member(&s->to, json, "word_delimiter_token", "|", err);
}

static int
read_join(struct decoders *d, struct decoders_step *s, const json_t *json, struct err *err)
{
	(void)s, (void)json, (void)err;
	d->first = true;
	return 0;
}

/* ---- running ---- */

static int
run_bytes(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	const char *p = o->text.p, *end = p + o->text.n;
	struct buf *b = room(o);
	int byte;

	(void)s;
	while (p < end) {
		if ((byte = bytemap_byte(utf8_next(&p, end))) < 0)
			return 0;
		buf_byte(b, (char)byte);
	}
	return done(o, err);
}

static int
run_replace(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	struct matches it = { .last = -1 };
	ptrdiff_t from = 0;
	struct buf *b;
	int got;

	if (s->pattern == NULL)
		return swap(o, buf_str(&s->from), buf_str(&s->to), err);
	if (o->s->searcher == NULL && (o->s->searcher = searcher_new(err)) == NULL)
		return -1;
	b = room(o);
	searcher_start(o->s->searcher, o->text.n);
	while ((got = onig_next(s->pattern, o->s->searcher, o->text, &it, err)) > 0) {
		buf_add(b, (str){ o->text.p + from, it.start - from });
		buf_add(b, buf_str(&s->to));
		from = it.end;
	}
	buf_add(b, (str){ o->text.p + from, o->text.n - from });
	return got < 0 ? -1 : done(o, err);
}

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
run_fallback(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	str t = o->text;
	int high, low;

	(void)s;
	if (t.n != 6 || !str_starts(t, S("<0x")) || t.p[5] != '>' || (high = hex(t.p[3])) < 0 ||
	    (low = hex(t.p[4])) < 0)
		return 0;
	buf_byte(room(o), (char)(high * 16 + low));
	o->byte = true;
	return done(o, err);
}

static int
run_strip(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	str one = buf_str(&s->from);

	(void)err;
	for (int64_t i = 0; i < s->start && str_starts(o->text, one); i++)
		o->text = (str){ o->text.p + one.n, o->text.n - one.n };
	for (int64_t i = 0; i < s->stop && str_ends(o->text, one); i++)
		o->text.n -= one.n;
	return 0;
}

static int
run_metaspace(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	bool none = s->on && (o->where & DECODERS_FIRST) != 0;

	return swap(o, buf_str(&s->from), none ? S("") : S(" "), err);
}

/* No space before marks that follow a word. */
static int
cleanup(struct on_way *o, struct err *err)
{
	static const char *const pair[][2] = {
		{ " .", "." }, { " ?", "?" }, { " !", "!" }, { " ,", "," }, { " ' ", "'" },
		{ " n't", "n't" }, { " 'm", "'m" }, { " do not", " don't" }, { " 's", "'s" },
		{ " 've", "'ve" }, { " 're", "'re" },
	};

	if (memchr(o->text.p, ' ', (size_t)o->text.n) == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(pair) / sizeof(*pair); i++)
		if (swap(o, str_of(pair[i][0]), str_of(pair[i][1]), err) < 0)
			return -1;
	return 0;
}

static int
run_join(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	struct buf *b;

	(void)s;
	if ((o->where & DECODERS_FIRST) != 0)
		return 0;
	b = room(o);
	buf_byte(b, ' ');
	buf_add(b, o->text);
	return done(o, err);
}

static int
run_pieces(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	if ((o->where & DECODERS_FIRST) == 0 && str_starts(o->text, buf_str(&s->from)))
		o->text = (str){ o->text.p + s->from.n, o->text.n - s->from.n };
	else if (run_join(s, o, err) < 0)
		return -1;
	return s->on && o->text.n > 0 ? cleanup(o, err) : 0;
}

static int
run_suffix(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	return swap(o, buf_str(&s->from), (o->where & DECODERS_LAST) != 0 ? S("") : S(" "), err);
}

static int
run_ctc(const struct decoders_step *s, struct on_way *o, struct err *err)
{
	if (swap(o, buf_str(&s->from), S(""), err) < 0)
		return -1;
	if (!s->on || o->text.n == 0)
		return 0;
	return cleanup(o, err) < 0 ? -1 : swap(o, buf_str(&s->to), S(" "), err);
}

static const struct kind kinds[] = {
	{ "ByteLevel", NULL, run_bytes },
	{ "Replace", read_replace, run_replace },
	{ "ByteFallback", NULL, run_fallback },
	{ "Strip", read_strip, run_strip },
	{ "Metaspace", read_metaspace, run_metaspace },
	{ "WordPiece", read_pieces, run_pieces },
	{ "BPEDecoder", read_suffix, run_suffix },
	{ "CTC", read_ctc, run_ctc },
	{ "", read_join, run_join },
};

/* ---- the whole ---- */

/* Behind Fuse: what does to the whole what it would do to each token. */
static int
whole_text(struct decoders *d, struct decoders_step *s, struct err *err)
{
	const char *p = s->from.p;

	if (s->kind->run == run_strip) {
		if (d->lead + d->tail > 0)
			return err_set(err, ERR_FORMAT, "decoder Strip twice is not supported");
		d->strip = s->one;
		d->lead = s->start;
		d->tail = s->stop;
		d->n--;
		buf_free(&s->from);
		return 0;
	}
	if (s->kind->run == run_replace && s->from.n > 0) {
		utf8_next(&p, p + s->from.n);
		if (p == s->from.p + s->from.n)
			return 0;
	}
	return err_set(err, ERR_FORMAT, "decoder %s after Fuse or ByteLevel is not supported",
	    s->kind->type);
}

static int
add_step(struct decoders *d, const char *type, const json_t *json, bool whole, struct err *err)
{
	struct decoders_step *s;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(type, kinds[i].type) != 0)
			continue;
		if (d->n == DECODERS_STEPS)
			return err_set(err, ERR_LIMIT, "more than %d decoders", DECODERS_STEPS);
		if (d->step == NULL &&
		    (d->step = calloc(DECODERS_STEPS, sizeof(*d->step))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s = &d->step[d->n++];
		*s = (struct decoders_step){ .kind = &kinds[i] };
		if (s->kind->read != NULL && s->kind->read(d, s, json, err) < 0)
			return -1;
		return whole ? whole_text(d, s, err) : 0;
	}
	return err_set(err, ERR_FORMAT, "decoder %.64s is not supported", type);
}

static int
read_at(struct decoders *d, const json_t *json, bool *whole, int depth, struct err *err)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	const json_t *list = json_object_get(json, "decoders"), *item;
	size_t i;

	if (type == NULL || *type == '\0')
		return err_set(err, ERR_FORMAT, "a decoder without a type");
	if (strcmp(type, "Sequence") == 0 && json_is_array(list) && depth < 4) {
		json_array_foreach(list, i, item)
			if (read_at(d, item, whole, depth + 1, err) < 0)
				return -1;
		return 0;
	}
	if (strcmp(type, "Fuse") == 0) {
		*whole = true;
		return 0;
	}
	if (add_step(d, type, json, *whole, err) < 0)
		return -1;
	*whole |= strcmp(type, "ByteLevel") == 0;
	return 0;
}

/* Is this a step that vocab.c has done to the tokens of SentencePiece? */
static bool
is_plain(const struct decoders_step *s)
{
	return s->kind->run == run_fallback || s->kind->run == run_metaspace ||
	    (s->kind->run == run_replace && str_eq(buf_str(&s->from), S(MARK)) &&
	    str_eq(buf_str(&s->to), S(" ")));
}

int
decoders_read(struct decoders *d, const json_t *json, struct err *err)
{
	bool whole = false;

	if (json_is_null(json) ? add_step(d, "", json, false, err) < 0 :
	    read_at(d, json, &whole, 0, err) < 0)
		return -1;
	d->bytes = d->n == 1 && d->step[0].kind->run == run_bytes;
	d->plain = d->n > 0;
	for (int i = 0; i < d->n; i++)
		d->plain &= is_plain(&d->step[i]);
	return 0;
}

void
decoders_free(struct decoders *d)
{
	for (int i = 0; i < d->n; i++) {
		buf_free(&d->step[i].from);
		buf_free(&d->step[i].to);
		onig_free(d->step[i].pattern);
	}
	free(d->step);
	*d = (struct decoders){ 0 };
}

void
decoders_scratch_free(struct decoders_scratch *s)
{
	buf_free(&s->buf[0]);
	buf_free(&s->buf[1]);
	searcher_free(s->searcher);
	*s = (struct decoders_scratch){ 0 };
}

int
decoders_token(const struct decoders *d, struct decoders_scratch *s, int where, str *text,
    struct err *err)
{
	struct on_way o = { .s = s, .text = *text, .where = where };

	for (int i = 0; i < d->n && !o.byte; i++)
		if (d->step[i].kind->run(&d->step[i], &o, err) < 0)
			return -1;
	*text = o.text;
	return 0;
}
