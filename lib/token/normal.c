#include "token/normal.h"

#include <stdlib.h>

#include "token/bertclass.h"
#include "token/bytemap.h"

struct kind;

struct normal_step {
	const struct kind *kind;
	struct bert_form bert;
	bool		 left, right;	/* Strip */
	struct buf	 content;	/* Prepend, Replace */
	struct onig	*pattern;
	struct charsmap	 charsmap;
};

/* What goes through the steps. */
struct under_way {
	struct normal_scratch *scratch;
	str		 text;
	struct buf	*out;		/* empty; where text is not */
};

struct kind {
	const char	*type;
	enum uni_form	 form;
	int		(*read)(struct normal_step *, const json_t *, struct err *);
	/* Make u->text the new one; or leave it. */
	int		(*run)(const struct normal_step *, struct under_way *, struct err *);
};

/* ---- reading ---- */

static int
read_content(struct normal_step *s, const json_t *json, const char *key, struct err *err)
{
	const json_t *v = json_object_get(json, key);

	if (!json_is_string(v))
		return err_set(err, ERR_FORMAT, "normalizer %s without %s",
		    json_string_value(json_object_get(json, "type")), key);
	buf_add(&s->content, (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) });
	return buf_ok(&s->content, err);
}

static int
read_prepend(struct normal_step *s, const json_t *json, struct err *err)
{
	return read_content(s, json, "prepend", err);
}

static int
read_replace(struct normal_step *s, const json_t *json, struct err *err)
{
	s->pattern = onig_read(json_object_get(json, "pattern"), "Replace", err);
	return s->pattern == NULL ? -1 : read_content(s, json, "content", err);
}

static int
read_strip(struct normal_step *s, const json_t *json, struct err *err)
{
	(void)err;
	s->left = !json_is_false(json_object_get(json, "strip_left"));
	s->right = !json_is_false(json_object_get(json, "strip_right"));
	return 0;
}

/* What is not there is true, but for the accents, which go with the case. */
static int
read_bert(struct normal_step *s, const json_t *json, struct err *err)
{
	const json_t *strip = json_object_get(json, "strip_accents");

	(void)err;
	s->bert.clean = !json_is_false(json_object_get(json, "clean_text"));
	s->bert.chinese = !json_is_false(json_object_get(json, "handle_chinese_chars"));
	s->bert.lower = !json_is_false(json_object_get(json, "lowercase"));
	s->bert.strip = json_is_boolean(strip) ? json_is_true(strip) : s->bert.lower;
	return 0;
}

static int
read_charsmap(struct normal_step *s, const json_t *json, struct err *err)
{
	const json_t *map = json_object_get(json, "precompiled_charsmap");

	return charsmap_load64(&s->charsmap, (str){ json_string_value(map),
	    (ptrdiff_t)json_string_length(map) }, err);
}

/* ---- running ---- */

static int
done(struct under_way *u, struct err *err)
{
	u->text = buf_str(u->out);
	return buf_ok(u->out, err);
}

/* What the reference's forms do not know stays, and parts what is around it. */
static int
run_form(const struct normal_step *s, struct under_way *u, struct err *err)
{
	int changed = uni_normalize(u->out, u->text, s->kind->form, err);
	const char *p = u->text.p, *end = p + u->text.n, *from = p;

	if (changed <= 0)
		return changed;
	buf_reset(u->out);
	for (bool last = false; !last; ) {
		str piece;
		const char *at;

		at = p += ascii_span((str){ p, end - p });
		piece = (str){ from, p - from };
		last = p == end;
		if (!last && (bert_class(utf8_next(&p, end)) & BERT_NEW) == 0)
			continue;
		if ((changed = uni_normalize(u->out, piece, s->kind->form, err)) < 0)
			return -1;
		if (changed == 0)
			buf_add(u->out, piece);
		buf_add(u->out, (str){ at, p - at });
		from = p;
	}
	return done(u, err);
}

static int
run_lower(const struct normal_step *s, struct under_way *u, struct err *err)
{
	const struct bert_form form = { .lower = true };

	(void)s;
	return bert_normalize(u->out, u->text, &form, err) < 0 ? -1 : done(u, err);
}

static int
run_bert(const struct normal_step *s, struct under_way *u, struct err *err)
{
	const char *p = u->text.p, *end = p + u->text.n;
	int32_t c = p < end ? utf8_next(&p, end) : 'x';

	u->scratch->cut |= (bert_class(c) & ((s->bert.clean ? BERT_DROP : 0) |
	    (s->bert.strip ? BERT_MARK : 0))) != 0;
	return bert_normalize(u->out, u->text, &s->bert, err) < 0 ? -1 : done(u, err);
}

static int
run_strip(const struct normal_step *s, struct under_way *u, struct err *err)
{
	const char *p = u->text.p, *end = p + u->text.n, *q;

	(void)err;
	for (q = p; s->left && q < end && uni_is_white(utf8_next(&q, end)); p = q)
		;
	for (q = end; s->right && q > p && uni_is_white(utf8_prev(p, &q)); end = q)
		;
	u->scratch->cut |= p > u->text.p;
	u->text = (str){ p, end - p };
	return 0;
}

/*
 * Each character by what one of these says: to put in its place, or -1 to leave
 * it out.
 */
static int
run_map(struct under_way *u, int32_t (*map)(int32_t), struct err *err)
{
	const char *p = u->text.p, *end = p + u->text.n;

	while (p < end) {
		bool first = p == u->text.p;
		int32_t c = map(utf8_next(&p, end));
		char *to = buf_room(u->out, 4);

		u->scratch->cut |= first && c < 0;
		if (to != NULL && c >= 0)
			u->out->n += utf8_put(to, c);
	}
	return done(u, err);
}

static int32_t
no_mark(int32_t c)
{
	return (uni_class(c) & UNI_MARK) != 0 && (bert_class(c) & BERT_NEW) == 0 ? -1 : c;
}

static int
run_accents(const struct normal_step *s, struct under_way *u, struct err *err)
{
	(void)s;
	return run_map(u, no_mark, err);
}

static int32_t
nmt(int32_t c)
{
	if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f ||
	    c == 0x9f)
		return -1;
	if (c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
	    (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
	    c == 0xfeff || c == 0xfffd)
		return ' ';
	return c;
}

static int
run_nmt(const struct normal_step *s, struct under_way *u, struct err *err)
{
	(void)s;
	return run_map(u, nmt, err);
}

static int
run_prepend(const struct normal_step *s, struct under_way *u, struct err *err)
{
	if (u->text.n == 0)
		return 0;
	buf_add(u->out, buf_str(&s->content));
	buf_add(u->out, u->text);
	return done(u, err);
}

static int
run_replace(const struct normal_step *s, struct under_way *u, struct err *err)
{
	struct matches it = { .last = -1 };
	ptrdiff_t from = 0;
	int got;

	if (u->scratch->searcher == NULL && (u->scratch->searcher = searcher_new(err)) == NULL)
		return -1;
	searcher_start(u->scratch->searcher, u->text.n);
	while ((got = onig_next(s->pattern, u->scratch->searcher, u->text, &it, err)) > 0) {
		/* The reference takes what stands for several to begin at the last of them. */
		u->scratch->cut |= it.start == 0 && it.end > 0 && (s->content.n == 0 ||
		    utf8_count((str){ u->text.p, it.end }) > 1);
		buf_add(u->out, (str){ u->text.p + from, it.start - from });
		buf_add(u->out, buf_str(&s->content));
		from = it.end;
	}
	if (got < 0 || from == 0)
		return got;
	buf_add(u->out, (str){ u->text.p + from, u->text.n - from });
	return done(u, err);
}

static int
run_charsmap(const struct normal_step *s, struct under_way *u, struct err *err)
{
	if (charsmap_graphemes(&s->charsmap, u->text, u->out, err) < 0)
		return -1;
	return done(u, err);
}

static int
run_bytes(const struct normal_step *s, struct under_way *u, struct err *err)
{
	(void)s;
	bytemap_spell(u->out, u->text);
	return done(u, err);
}

static const struct kind kinds[] = {
	{ "NFC", UNI_NFC, NULL, run_form },
	{ "NFD", UNI_NFD, NULL, run_form },
	{ "NFKC", UNI_NFKC, NULL, run_form },
	{ "NFKD", UNI_NFKD, NULL, run_form },
	{ "Lowercase", UNI_NONE, NULL, run_lower },
	{ "Strip", UNI_NONE, read_strip, run_strip },
	{ "StripAccents", UNI_NONE, NULL, run_accents },
	{ "Prepend", UNI_NONE, read_prepend, run_prepend },
	{ "Replace", UNI_NONE, read_replace, run_replace },
	{ "Nmt", UNI_NONE, NULL, run_nmt },
	{ "BertNormalizer", UNI_NONE, read_bert, run_bert },
	{ "ByteLevel", UNI_NONE, NULL, run_bytes },
	{ "Precompiled", UNI_NONE, read_charsmap, run_charsmap },
};

/* ---- the whole ---- */

static int
add_step(struct normal *n, const char *type, const json_t *json, struct err *err)
{
	struct normal_step *s;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(type, kinds[i].type) != 0)
			continue;
		if (n->n == NORMAL_STEPS)
			return err_set(err, ERR_LIMIT, "more than %d normalizers", NORMAL_STEPS);
		if (n->step == NULL &&
		    (n->step = calloc(NORMAL_STEPS, sizeof(*n->step))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s = &n->step[n->n++];
		s->kind = &kinds[i];
		return s->kind->read != NULL ? s->kind->read(s, json, err) : 0;
	}
	return err_set(err, ERR_FORMAT, "normalizer %.64s is not supported", type);
}

static int
read_at(struct normal *n, const json_t *json, int depth, struct err *err)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	const json_t *list = json_object_get(json, "normalizers"), *item;
	size_t i;

	if (json_is_null(json))
		return 0;
	if (type == NULL)
		return err_set(err, ERR_FORMAT, "a normalizer without a type");
	if (strcmp(type, "Sequence") != 0 || !json_is_array(list) || depth == 4)
		return add_step(n, type, json, err);
	json_array_foreach(list, i, item)
		if (read_at(n, item, depth + 1, err) < 0)
			return -1;
	return 0;
}

int
normal_read(struct normal *n, const json_t *json, struct err *err)
{
	return read_at(n, json, 0, err);
}

void
normal_free(struct normal *n)
{
	for (int i = 0; i < n->n; i++) {
		buf_free(&n->step[i].content);
		onig_free(n->step[i].pattern);
		charsmap_free(&n->step[i].charsmap);
	}
	free(n->step);
	*n = (struct normal){ 0 };
}

bool
normal_is_form(const struct normal *n, enum uni_form form)
{
	return n->n == 1 && form != UNI_NONE && n->step[0].kind->form == form;
}

const struct bert_form *
normal_bert(const struct normal *n)
{
	return n->n == 1 && n->step[0].kind->run == run_bert ? &n->step[0].bert : NULL;
}

const struct charsmap *
normal_charsmap(const struct normal *n)
{
	return n->n == 1 && n->step[0].kind->run == run_charsmap ? &n->step[0].charsmap : NULL;
}

void
normal_scratch_free(struct normal_scratch *s)
{
	buf_free(&s->buf[0]);
	buf_free(&s->buf[1]);
	searcher_free(s->searcher);
	*s = (struct normal_scratch){ 0 };
}

int
normal_text(const struct normal *n, struct normal_scratch *s, str *text, struct err *err)
{
	struct under_way u = { .scratch = s, .text = *text, .out = &s->buf[0] };

	s->cut = false;
	for (int i = 0; i < n->n; i++) {
		buf_reset(u.out);
		if (n->step[i].kind->run(&n->step[i], &u, err) < 0)
			return -1;
		/* A text that has changed is there now, or a slice of it. */
		if (u.text.p == u.out->p)
			u.out = u.out == &s->buf[0] ? &s->buf[1] : &s->buf[0];
	}
	*text = u.text;
	return 0;
}
