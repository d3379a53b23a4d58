#include "text/html_modes_impl.h"

/*
 * A handler returns true when it is done with a token, and false when the mode that it
 * has changed to is to take it again.
 */
typedef bool handler(struct modes *m, const struct build_token *t);

static handler in_body, in_table;

static bool
one_of(const struct build_token *t, uint64_t set)
{
	return (t->kind == TOKEN_START || t->kind == TOKEN_END) && (set >> t->tag & 1) != 0;
}

static bool
starts(const struct build_token *t, uint64_t set)
{
	return t->kind == TOKEN_START && one_of(t, set);
}

static bool
ends(const struct build_token *t, uint64_t set)
{
	return t->kind == TOKEN_END && one_of(t, set);
}

/* An element that holds at most a text. */
static void
insert_void(struct modes *m, const struct build_token *t)
{
	build_insert(&m->build, t);
	build_text(&m->build, t->text);
	build_pop(&m->build);
}

/* ---- before the body ---- */

/* End tags that do nothing there. */
#define STRAY (~(BIT(HEAD) | BIT(BODY) | BIT(HTML) | BIT(BR)))

static bool
before_html(struct modes *m, const struct build_token *t)
{
	if (t->blank || ends(t, STRAY))
		return true;
	m->mode = BEFORE_HEAD;
	if (starts(t, BIT(HTML))) {
		build_insert(&m->build, t);
		return true;
	}
	build_implied(&m->build, TAG_HTML);
	return false;
}

static bool
before_head(struct modes *m, const struct build_token *t)
{
	if (t->blank || ends(t, STRAY))
		return true;
	if (starts(t, BIT(HTML)))
		return in_body(m, t);
	m->mode = IN_HEAD;
	if (starts(t, BIT(HEAD))) {
		m->head = build_insert(&m->build, t);
		return true;
	}
	m->head = build_implied(&m->build, TAG_HEAD);
	return false;
}

static bool
in_head(struct modes *m, const struct build_token *t)
{
	if (t->blank) {
		build_text(&m->build, t->text);
		return true;
	}
	if (starts(t, BIT(HTML) | BIT(LINK) | BIT(META) | BIT(TITLE)))
		return in_body(m, t);
	if (starts(t, BIT(HEAD)) || ends(t, STRAY))
		return true;
	build_pop(&m->build);
	m->mode = AFTER_HEAD;
	return ends(t, BIT(HEAD));
}

static bool
after_head(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;

	if (t->blank) {
		build_text(b, t->text);
		return true;
	}
	if (starts(t, BIT(HTML)))
		return in_body(m, t);
	if (starts(t, BIT(LINK) | BIT(META) | BIT(TITLE))) {
		build_open(b, m->head);
		in_body(m, t);
		build_pop(b);
		return true;
	}
	if (starts(t, BIT(HEAD)) || ends(t, ~(BIT(BODY) | BIT(HTML) | BIT(BR))))
		return true;
	m->mode = IN_BODY;
	if (starts(t, BIT(BODY))) {
		build_insert(b, t);
		return true;
	}
	build_implied(b, TAG_BODY);
	return false;
}

/* ---- in the body ---- */

/* The end of an element that may be open in a scope, of which `tags' are. */
static void
close_element(struct build *b, uint64_t tags, uint64_t scope, uint64_t but)
{
	if (!build_in_scope(b, tags, scope))
		return;
	build_end_implied(b, but);
	build_pop_to(b, tags);
}

static void
close_p(struct build *b)
{
	close_element(b, BIT(P), SCOPE, BIT(P));
}

/* An item of a list ends the one before it, if nothing but divisions and paragraphs is open. */
static void
item(struct build *b, const struct build_token *t, uint64_t kind)
{
	for (int32_t i = b->open.n; i-- > 0; ) {
		int32_t node = b->open.p[i];

		if (build_is(b, node, kind)) {
			build_end_implied(b, (uint64_t)1 << b->node[node].tag);
			build_pop_to(b, kind);
			break;
		}
		if (!build_is(b, node, PHRASES | BIT(DIV) | BIT(P)))
			break;
	}
	close_p(b);
	build_insert(b, t);
}

static void
start_a(struct build *b, const struct build_token *t)
{
	int32_t a = build_formatting(b, TAG_A);

	if (a != 0) {
		build_adopt(b, TAG_A);
		build_forget(b, a);
	}
	build_reopen(b);
	build_format(b, build_insert(b, t));
}

static void
start_in_body(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;

	switch (t->tag) {
	case TAG_HTML:
		build_merge(b, b->open.p[0], t);
		break;
	case TAG_BODY:
		if (b->open.n > 1 && build_is(b, b->open.p[1], BIT(BODY)))
			build_merge(b, b->open.p[1], t);
		break;
	case TAG_HEAD: case TAG_CAPTION: case TAG_TBODY: case TAG_TFOOT: case TAG_THEAD:
	case TAG_TR: case TAG_TD: case TAG_TH:
		break;
	case TAG_LINK: case TAG_META: case TAG_TITLE:
		insert_void(m, t);
		break;
	case TAG_LI:
		item(b, t, BIT(LI));
		break;
	case TAG_DD: case TAG_DT:
		item(b, t, BIT(DD) | BIT(DT));
		break;
	case TAG_A:
		start_a(b, t);
		break;
	case TAG_B: case TAG_CODE: case TAG_I:
		build_reopen(b);
		build_format(b, build_insert(b, t));
		break;
	case TAG_BR:
		build_reopen(b);
		insert_void(m, t);
		break;
	case TAG_HR:
		close_p(b);
		insert_void(m, t);
		break;
	case TAG_SPAN: case TAG_SUP: case TAG_SUB: case TAG_Q: case TAG_CITE: case TAG_TIME:
		build_reopen(b);
		build_insert(b, t);
		break;
	case TAG_TABLE:
		close_p(b);
		build_insert(b, t);
		m->mode = IN_TABLE;
		break;
	default:
		close_p(b);
		if (one_of(t, HEADINGS) && build_is(b, build_top(b), HEADINGS))
			build_pop(b);
		build_insert(b, t);
		m->newline = t->tag == TAG_PRE;
		break;
	}
}

static void
end_other(struct build *b, enum html_tag tag)
{
	uint64_t set = (uint64_t)1 << tag;

	for (int32_t i = b->open.n; i-- > 0; )
		if (build_is(b, b->open.p[i], set)) {
			build_end_implied(b, set);
			while (b->open.n > i)
				build_pop(b);
			return;
		} else if (!build_is(b, b->open.p[i], PHRASES)) {
			return;
		}
}

static bool
end_in_body(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;
	uint64_t tag = (uint64_t)1 << t->tag;

	switch (t->tag) {
	case TAG_BODY: case TAG_HTML:
		if (!build_in_scope(b, BIT(BODY), SCOPE))
			return true;
		m->mode = AFTER_BODY;
		return t->tag == TAG_BODY;
	case TAG_P:
		if (!build_in_scope(b, BIT(P), SCOPE))
			build_implied(b, TAG_P);
		close_p(b);
		return true;
	case TAG_LI:
		close_element(b, tag, SCOPE_LIST, tag);
		return true;
	case TAG_DD: case TAG_DT:
		close_element(b, tag, SCOPE, tag);
		return true;
	case TAG_BR:
		build_reopen(b);
		insert_void(m, &(struct build_token){ .tag = TAG_BR });
		return true;
	case TAG_A: case TAG_B: case TAG_CODE: case TAG_I:
		if (!build_adopt(b, t->tag))
			end_other(b, t->tag);
		return true;
	default:
		break;
	}
	if (one_of(t, HEADINGS))
		close_element(b, HEADINGS, SCOPE, 0);
	else if (one_of(t, BLOCKS))
		close_element(b, tag, SCOPE, 0);
	else
		end_other(b, t->tag);
	return true;
}

static bool
in_body(struct modes *m, const struct build_token *t)
{
	switch (t->kind) {
	case TOKEN_TEXT:
		build_reopen(&m->build);
		build_text(&m->build, t->text);
		return true;
	case TOKEN_START:
		start_in_body(m, t);
		return true;
	case TOKEN_END:
		return end_in_body(m, t);
	default:
		return true;
	}
}

static bool
after_body(struct modes *m, const struct build_token *t)
{
	if (t->blank || starts(t, BIT(HTML)))
		return in_body(m, t);
	if (t->kind == TOKEN_EOF || ends(t, BIT(HTML)))
		return true;
	m->mode = IN_BODY;
	return false;
}

/* ---- tables ---- */

static void
reset(struct modes *m)
{
	static const struct { uint64_t set; enum mode mode; } list[] = {
		{ BIT(TD) | BIT(TH), IN_CELL }, { BIT(TR), IN_ROW },
		{ SECTIONS, IN_TABLE_BODY },
		{ BIT(CAPTION), IN_CAPTION }, { BIT(TABLE), IN_TABLE },
	};

	m->mode = IN_BODY;
	for (int32_t i = m->build.open.n; i-- > 1; )
		for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++)
			if (build_is(&m->build, m->build.open.p[i], list[k].set)) {
				m->mode = list[k].mode;
				return;
			}
}

static bool
fostered(struct modes *m, const struct build_token *t)
{
	m->build.foster = true;
	in_body(m, t);
	m->build.foster = false;
	return true;
}

static bool
in_table(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;

	if (t->kind == TOKEN_TEXT && build_is(b, build_top(b), ROWS)) {
		build_append(b, &m->pending, t->text);
		return true;
	}
	if (starts(t, BIT(CAPTION))) {
		build_clear_to(b, BIT(TABLE));
		build_mark(b);
		build_insert(b, t);
		m->mode = IN_CAPTION;
		return true;
	}
	if (starts(t, SECTIONS)) {
		build_clear_to(b, BIT(TABLE));
		build_insert(b, t);
		m->mode = IN_TABLE_BODY;
		return true;
	}
	if (starts(t, BIT(TD) | BIT(TH) | BIT(TR))) {
		build_clear_to(b, BIT(TABLE));
		build_implied(b, TAG_TBODY);
		m->mode = IN_TABLE_BODY;
		return false;
	}
	if (one_of(t, BIT(TABLE))) {
		if (!build_in_scope(b, BIT(TABLE), SCOPE_TABLE))
			return true;
		build_pop_to(b, BIT(TABLE));
		reset(m);
		return t->kind == TOKEN_END;
	}
	if (ends(t, BIT(BODY) | BIT(HTML) | PARTS))
		return true;
	return fostered(m, t);
}

static bool
in_caption(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;

	if (ends(t, BIT(CAPTION) | BIT(TABLE)) || starts(t, PARTS)) {
		if (!build_in_scope(b, BIT(CAPTION), SCOPE_TABLE))
			return true;
		build_end_implied(b, 0);
		build_pop_to(b, BIT(CAPTION));
		build_unmark(b);
		m->mode = IN_TABLE;
		return ends(t, BIT(CAPTION));
	}
	if (ends(t, BIT(BODY) | BIT(HTML) | (PARTS & ~BIT(CAPTION))))
		return true;
	return in_body(m, t);
}

static bool
in_table_body(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;

	if (starts(t, BIT(TR) | BIT(TD) | BIT(TH))) {
		build_clear_to(b, SECTIONS);
		m->mode = IN_ROW;
		if (t->tag == TAG_TR) {
			build_insert(b, t);
			return true;
		}
		build_implied(b, TAG_TR);
		return false;
	}
	if (ends(t, SECTIONS | BIT(TABLE)) || starts(t, BIT(CAPTION) | SECTIONS)) {
		bool own = ends(t, SECTIONS);

		if (!build_in_scope(b, own ? (uint64_t)1 << t->tag : SECTIONS, SCOPE_TABLE))
			return true;
		build_clear_to(b, SECTIONS);
		build_pop(b);
		m->mode = IN_TABLE;
		return own;
	}
	if (ends(t, BIT(BODY) | BIT(CAPTION) | BIT(HTML) | BIT(TD) | BIT(TH) | BIT(TR)))
		return true;
	return in_table(m, t);
}

static bool
in_row(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;

	if (starts(t, BIT(TD) | BIT(TH))) {
		build_clear_to(b, BIT(TR));
		build_insert(b, t);
		build_mark(b);
		m->mode = IN_CELL;
		return true;
	}
	if (ends(t, SECTIONS) && !build_in_scope(b, (uint64_t)1 << t->tag, SCOPE_TABLE))
		return true;
	if (ends(t, BIT(TR) | BIT(TABLE) | SECTIONS) ||
	    starts(t, BIT(CAPTION) | SECTIONS | BIT(TR))) {
		if (!build_in_scope(b, BIT(TR), SCOPE_TABLE))
			return true;
		build_clear_to(b, BIT(TR));
		build_pop(b);
		m->mode = IN_TABLE_BODY;
		return ends(t, BIT(TR));
	}
	if (ends(t, BIT(BODY) | BIT(CAPTION) | BIT(HTML) | BIT(TD) | BIT(TH)))
		return true;
	return in_table(m, t);
}

static bool
in_cell(struct modes *m, const struct build_token *t)
{
	struct build *b = &m->build;
	bool own = ends(t, BIT(TD) | BIT(TH));

	if (ends(t, BIT(BODY) | BIT(CAPTION) | BIT(HTML)))
		return true;
	if (own || ends(t, BIT(TABLE) | SECTIONS | BIT(TR)) || starts(t, PARTS)) {
		uint64_t what = t->kind == TOKEN_END ? (uint64_t)1 << t->tag : BIT(TD) | BIT(TH);

		if (!build_in_scope(b, what, SCOPE_TABLE))
			return true;
		build_end_implied(b, 0);
		build_pop_to(b, own ? what : BIT(TD) | BIT(TH));
		build_unmark(b);
		m->mode = IN_ROW;
		return own;
	}
	return in_body(m, t);
}

/* ---- tokens ---- */

static void
process(struct modes *m, const struct build_token *t)
{
	static handler *const handlers[] = {
		[BEFORE_HTML] = before_html, [BEFORE_HEAD] = before_head, [IN_HEAD] = in_head,
		[AFTER_HEAD] = after_head, [IN_BODY] = in_body, [IN_TABLE] = in_table,
		[IN_CAPTION] = in_caption, [IN_TABLE_BODY] = in_table_body, [IN_ROW] = in_row,
		[IN_CELL] = in_cell, [AFTER_BODY] = after_body,
	};

	if (build_room(&m->build))
		while (!handlers[m->mode](m, t))
			;
}

/* The text of a table is there as a whole. */
static void
flush(struct modes *m)
{
	struct build_token t = { .kind = TOKEN_TEXT, .text = { m->pending.p, m->pending.n } };
	ptrdiff_t i = 0;

	if (t.text.n == 0 || !build_room(&m->build))
		return;
	m->pending.n = 0;
	while (i < t.text.n && html_is_space(t.text.p[i]))
		i++;
	if (i < t.text.n)
		fostered(m, &t);
	else
		build_text(&m->build, t.text);
}

void
modes_tag(struct modes *m, bool end, enum html_tag tag, const struct html_attr *attr, int nattr)
{
	flush(m);
	m->newline = false;
	process(m, &(struct build_token){ .kind = end ? TOKEN_END : TOKEN_START, .tag = tag,
	    .attr = attr, .nattr = end ? 0 : nattr });
}

void
modes_text(struct modes *m, str s, bool plain)
{
	struct build_token t = { .kind = TOKEN_TEXT };
	ptrdiff_t i = 0;

	s = build_read(&m->build, s, plain ? READ_PLAIN : READ_TEXT);
	if (m->newline && s.n > 0 && *s.p == '\n')
		s = (str){ s.p + 1, s.n - 1 };
	m->newline = m->newline && s.n == 0;
	/* Space is apart where it means something else. */
	if (m->mode < IN_BODY || m->mode == AFTER_BODY)
		while (i < s.n && html_is_space(s.p[i]))
			i++;
	if (i > 0) {
		t.text = (str){ s.p, i };
		t.blank = true;
		process(m, &t);
	}
	if (i < s.n) {
		t.text = (str){ s.p + i, s.n - i };
		t.blank = false;
		process(m, &t);
	}
}

void
modes_title(struct modes *m, str s)
{
	flush(m);
	m->newline = false;
	process(m, &(struct build_token){ .kind = TOKEN_START, .tag = TAG_TITLE,
	    .text = build_read(&m->build, s, READ_TEXT) });
}

void
modes_end(struct modes *m)
{
	flush(m);
	process(m, &(struct build_token){ .kind = TOKEN_EOF });
}
