#include "text/roff_impl.h"

#include <stdio.h>

/* ---- output ---- */

static void
begin(struct roff *r)
{
	struct buf *out = r->out;
	int indent = r->indent < 0 ? 0 : r->indent > ROFF_DEEP ? ROFF_DEEP : r->indent;

	if (out->n > r->start) {
		if (out->p[out->n - 1] != '\n')
			buf_byte(out, '\n');
		if (r->gap > 1)
			buf_byte(out, '\n');
	}
	r->gap = 1;
	buf_add(out, (str){ "                                                                ",
	    indent });
	buf_add(out, str_of(r->marker));
	r->marker[0] = '\0';
}

void
roff_break(struct roff *r, int gap)
{
	if (r->para.n > 0) {
		begin(r);
		buf_add(r->out, buf_str(&r->para));
		buf_byte(r->out, '\n');
		buf_reset(&r->para);
	}
	r->join = false;
	if (r->gap < gap)
		r->gap = gap;
}

void
roff_word(struct roff *r, str s)
{
	if (s.n == 0)
		return;
	if (r->para.n > 0 && !r->join)
		buf_byte(&r->para, ' ');
	r->join = false;
	/* Sources often have two spaces after a sentence. */
	while (r->literal == 0 && s.n > 0) {
		str word = str_cut(&s, ' ');

		bool space = s.p != NULL;

		roff_text(r, word, &r->para);
		while (s.n > 0 && *s.p == ' ')
			s = (str){ s.p + 1, s.n - 1 };
		if (space)
			buf_byte(&r->para, ' ');
	}
	roff_text(r, s, &r->para);
}

void
roff_heading(struct roff *r, int level)
{
	struct buf line = { 0 };

	buf_add(&line, buf_str(&r->para));
	buf_reset(&r->para);
	r->base = r->indent = 0;
	r->gap = 2;
	if (r->md)
		snprintf(r->marker, sizeof(r->marker), "%.*s ", level + 1, "####");
	buf_add(&r->para, buf_str(&line));
	roff_break(r, 2);
	buf_free(&line);
}

void
roff_literal(struct roff *r, bool on)
{
	roff_break(r, 2);
	if (on && r->literal++ == 0 && r->md) {
		begin(r);
		buf_add(r->out, S("```\n"));
		r->fenced = true;
	} else if (!on && r->literal > 0 && --r->literal == 0 && r->fenced) {
		while (r->out->n > r->start + 1 && r->out->p[r->out->n - 1] == '\n' &&
		    r->out->p[r->out->n - 2] == '\n')
			r->out->n--;
		begin(r);
		buf_add(r->out, S("```\n"));
		r->fenced = false;
		r->gap = 2;
	}
}

/* A line of text outside macros. */
static void
text_line(struct roff *r, str s)
{
	if (r->literal > 0) {
		if (s.n == 0) {
			roff_break(r, 2);
			return;
		}
		roff_text(r, s, &r->para);
		roff_break(r, 1);
		return;
	}
	if (s.n == 0) {
		roff_break(r, 2);
		return;
	}
	if (*s.p == ' ')
		roff_break(r, 1);
	while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\r'))
		s.n--;
	roff_word(r, s);
}

/* ---- man(7) ---- */

static void
new_paragraph(struct roff *r)
{
	roff_break(r, 2);
	r->indent = r->base;
}

/* What was gathered is the tag of a list item; its body follows, indented. */
static void
end_tag(struct roff *r)
{
	str tag = buf_str(&r->para);

	r->want_tag = false;
	if (str_eq(tag, S("•")) || str_eq(tag, S("*")) || str_eq(tag, S("-")) ||
	    str_eq(tag, S("o")) || str_eq(tag, S("·"))) {
		buf_reset(&r->para);
		memcpy(r->marker, "- ", 3);
		return;
	}
	if (tag.n > 0 && tag.n < 5 && *tag.p >= '0' && *tag.p <= '9') {
		snprintf(r->marker, sizeof(r->marker), "%.*s ", STR_ARG(tag));
		buf_reset(&r->para);
		return;
	}
	roff_break(r, 1);
	r->indent = r->base + ROFF_INDENT;
}

static void
words(struct roff *r, const str *arg, int n)
{
	for (int i = 0; i < n; i++)
		roff_word(r, arg[i]);
}

/* .BR and the like: fonts in turn, without space between. */
static void
alternate(struct roff *r, const str *arg, int n)
{
	for (int i = 0; i < n; i++) {
		roff_word(r, arg[i]);
		r->join = i < n - 1;
	}
	if (r->literal > 0)
		roff_break(r, 1);
}

static void
set_title(struct roff *r, const str *arg, int n)
{
	if (n == 0 || r->title->n > 0)
		return;
	roff_text(r, arg[0], r->title);
	if (n > 1) {
		buf_byte(r->title, '(');
		roff_text(r, arg[1], r->title);
		buf_byte(r->title, ')');
	}
}

enum action {
	A_NONE, A_TITLE, A_SECTION, A_SUBSECTION, A_PARAGRAPH, A_TAG, A_INDENT, A_WORDS,
	A_ALTERNATE, A_LITERAL, A_FILL, A_IN, A_OUT, A_BREAK, A_SPACE, A_LINK, A_END_LINK,
	A_SYNOPSIS, A_OPTION,
};

static const struct {
	char	name[4];
	uint8_t	action;
} man[] = {
	{ "TH", A_TITLE }, { "SH", A_SECTION }, { "SS", A_SUBSECTION }, { "PP", A_PARAGRAPH },
	{ "P", A_PARAGRAPH }, { "LP", A_PARAGRAPH }, { "HP", A_PARAGRAPH },
	{ "TP", A_TAG }, { "TQ", A_TAG }, { "IP", A_INDENT }, { "B", A_WORDS },
	{ "I", A_WORDS }, { "R", A_WORDS }, { "SM", A_WORDS }, { "SB", A_WORDS },
	{ "BR", A_ALTERNATE }, { "RB", A_ALTERNATE }, { "BI", A_ALTERNATE },
	{ "IB", A_ALTERNATE }, { "IR", A_ALTERNATE }, { "RI", A_ALTERNATE },
	{ "nf", A_LITERAL }, { "EX", A_LITERAL }, { "Vb", A_LITERAL }, { "TS", A_LITERAL },
	{ "fi", A_FILL }, { "EE", A_FILL }, { "Ve", A_FILL }, { "TE", A_FILL },
	{ "RS", A_IN }, { "RE", A_OUT }, { "br", A_BREAK }, { "sp", A_SPACE },
	{ "Sp", A_SPACE }, { "UR", A_LINK }, { "MT", A_LINK }, { "UE", A_END_LINK },
	{ "ME", A_END_LINK }, { "SY", A_SYNOPSIS }, { "YS", A_PARAGRAPH }, { "OP", A_OPTION },
	{ "MR", A_ALTERNATE },
};

static void
indent_paragraph(struct roff *r, const str *arg, int n)
{
	roff_break(r, 2);
	if (n > 0 && arg[0].n > 0) {
		r->indent = r->base;
		roff_word(r, arg[0]);
		end_tag(r);
	} else if (r->indent == r->base) {
		r->indent = r->base + ROFF_INDENT;
	}
}

static void
man_macro(struct roff *r, int action, const str *arg, int n)
{
	switch (action) {
	case A_TITLE:
		set_title(r, arg, n);
		break;
	case A_SECTION: case A_SUBSECTION:
		while (r->literal > 0)
			roff_literal(r, false);
		roff_break(r, 2);
		words(r, arg, n);
		if (n > 0)
			roff_heading(r, action == A_SECTION ? 1 : 2);
		else
			r->heading = action == A_SECTION ? 1 : 2;
		break;
	case A_PARAGRAPH:
		new_paragraph(r);
		break;
	case A_TAG:
		new_paragraph(r);
		r->want_tag = true;
		break;
	case A_INDENT:
		indent_paragraph(r, arg, n);
		break;
	case A_WORDS:
		words(r, arg, n);
		if (r->literal > 0)
			roff_break(r, 1);
		break;
	case A_ALTERNATE:
		alternate(r, arg, n);
		break;
	case A_LITERAL: case A_FILL:
		roff_literal(r, action == A_LITERAL);
		break;
	case A_IN:
		roff_break(r, 1);
		r->base += ROFF_INDENT;
		r->indent = r->base;
		break;
	case A_OUT:
		roff_break(r, 2);
		r->base = r->base >= ROFF_INDENT ? r->base - ROFF_INDENT : 0;
		r->indent = r->base;
		break;
	case A_BREAK:
		roff_break(r, 1);
		break;
	case A_SPACE:
		roff_break(r, 2);
		break;
	case A_LINK:
		if (n > 0)
			roff_word(r, arg[0]);
		break;
	case A_END_LINK:
		r->join = false;
		if (n > 0) {
			r->join = true;
			roff_word(r, arg[0]);
		}
		break;
	case A_SYNOPSIS:
		roff_break(r, 1);
		words(r, arg, n);
		break;
	case A_OPTION:
		roff_word(r, S("["));
		for (int i = 0; i < n; i++) {
			r->join = i == 0;
			roff_word(r, arg[i]);
		}
		r->join = true;
		roff_word(r, S("]"));
		break;
	default:
		break;
	}
}

/* ---- requests, conditions, lines ---- */

static int
count_braces(str s)
{
	int n = 0;

	for (ptrdiff_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == '\\') {
			n += s.p[i + 1] == '{';
			n -= s.p[i + 1] == '}';
			i++;
		}
	return n;
}

static void line(struct roff *r, str s, int depth);

/*
 * .if, .ie, .el: we are a formatter for terminals (n), and every other question
 * is answered no, but for the groff register that pages ask by habit.
 */
static void
condition(struct roff *r, str name, str s, int depth)
{
	bool yes = false, no_test = name.p[0] == 'e';
	ptrdiff_t i = 0;

	if (no_test) {
		yes = !r->else_of;
	} else {
		bool negate = s.n > 0 && *s.p == '!';

		i = negate;
		if (i < s.n && (s.p[i] == 'n' || s.p[i] == 't') &&
		    (i + 1 == s.n || s.p[i + 1] == ' ' || s.p[i + 1] == '\\'))
			yes = s.p[i] == 'n';
		else if (s.n - i >= 5 && memcmp(s.p + i, "\\n(.g", 5) == 0)
			yes = true;
		yes ^= negate;
		while (i < s.n && s.p[i] != ' ' && (s.p[i] != '\\' || i + 1 == s.n ||
		    s.p[i + 1] != '{'))
			i++;
		if (name.p[1] == 'e')
			r->else_of = yes;
	}
	s = (str){ s.p + i, s.n - i };
	if (!yes) {
		r->braces = count_braces(s);
		r->skip = r->braces > 0;
		return;
	}
	while (s.n > 0 && (*s.p == ' ' || (s.n > 1 && s.p[0] == '\\' && s.p[1] == '{'))) {
		ptrdiff_t cut = *s.p == ' ' ? 1 : 2;

		s = (str){ s.p + cut, s.n - cut };
	}
	/* "\\{\\" at the end of a line opens a block that starts on the next. */
	if (s.n > 0 && !str_eq(s, S("\\")))
		line(r, s, depth + 1);
}

static bool
begins_definition(str name)
{
	return str_eq(name, S("de")) || str_eq(name, S("am")) || str_eq(name, S("ig")) ||
	    str_eq(name, S("de1")) || str_eq(name, S("am1"));
}

static void
macro(struct roff *r, str s, int depth)
{
	str name = { s.p, 0 }, rest, arg[ROFF_ARGS];
	int n;

	while (name.n < s.n && s.p[name.n] != ' ' && s.p[name.n] != '\t' && s.p[name.n] != '\\')
		name.n++;
	rest = (str){ s.p + name.n, s.n - name.n };
	while (rest.n > 0 && (*rest.p == ' ' || *rest.p == '\t')) {
		rest.p++;
		rest.n--;
	}
	if (name.n == 0)
		return;
	if (begins_definition(name)) {
		r->skip = true;
		r->braces = -1;
		return;
	}
	if (str_eq(name, S("if")) || str_eq(name, S("ie")) || str_eq(name, S("el"))) {
		if (depth < 8)
			condition(r, name, rest, depth);
		return;
	}
	for (size_t i = 0; i < sizeof(man) / sizeof(man[0]); i++)
		if (str_eq(name, str_of(man[i].name))) {
			n = roff_args(rest, arg, ROFF_ARGS);
			man_macro(r, man[i].action, arg, n);
			return;
		}
	roff_mdoc(r, name, rest);
}

static void
line(struct roff *r, str s, int depth)
{
	bool tag = r->want_tag;
	int heading = r->heading;

	if (r->skip) {
		if (r->braces < 0)
			r->skip = !(s.n >= 2 && s.p[0] == '.' && s.p[1] == '.');
		else if ((r->braces += count_braces(s)) <= 0)
			r->skip = false;
		return;
	}
	if (s.n > 0 && (*s.p == '.' || *s.p == '\'')) {
		str m = { s.p + 1, s.n - 1 };

		while (m.n > 0 && (*m.p == ' ' || *m.p == '\t')) {
			m.p++;
			m.n--;
		}
		macro(r, m, depth);
	} else {
		text_line(r, s);
	}
	if (heading > 0 && r->para.n > 0) {
		r->heading = 0;
		roff_heading(r, heading);
	} else if (tag && r->want_tag && r->para.n > 0) {
		end_tag(r);
	}
}

static str
uncommented(str s)
{
	for (ptrdiff_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == '\\' && s.p[++i] == '"')
			return (str){ s.p, i - 1 };
	return s;
}

void
roff_extract(str page, enum html_form form, struct buf *out, struct buf *title)
{
	struct roff r = {
		.out = out, .title = title, .md = form == HTML_MARKDOWN, .start = out->n,
	};

	while (page.p != NULL) {
		line(&r, uncommented(str_cut(&page, '\n')), 0);
	}
	roff_break(&r, 1);
	while (r.literal > 0)
		roff_literal(&r, false);
	out->failed |= r.para.failed || r.name.failed || title->failed;
	buf_free(&r.para);
	buf_free(&r.name);
}
