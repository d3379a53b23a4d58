#include <stdio.h>

#include "text/roff_impl.h"

enum {
	M_NONE,
	M_WORDS,	/* its arguments, as they are */
	M_FLAG,		/* each argument after a dash */
	M_NAME,		/* .Nm */
	M_ENCLOSE,	/* the rest of the line between two marks */
	M_OPEN,		/* one mark, until its closing macro */
	M_CLOSE,
	M_XREF,		/* name(section) */
	M_FUNCTION,
	M_ARGUMENT,	/* .Fa: with a comma where several follow */
	M_APART,	/* .Ns: no space */
	M_CONST,	/* a word of its own */
	M_SKIP,
};

static const struct macro {
	char	name[4];
	uint8_t	action;
	char	open[10], close[5];
} macro[] = {
	{ "Ar", M_WORDS, "", "" }, { "Cm", M_WORDS, "", "" }, { "Ic", M_WORDS, "", "" },
	{ "Pa", M_WORDS, "", "" }, { "Va", M_WORDS, "", "" }, { "Vt", M_WORDS, "", "" },
	{ "Em", M_WORDS, "", "" }, { "Sy", M_WORDS, "", "" }, { "Li", M_WORDS, "", "" },
	{ "Ev", M_WORDS, "", "" }, { "Er", M_WORDS, "", "" }, { "Dv", M_WORDS, "", "" },
	{ "Ad", M_WORDS, "", "" }, { "An", M_WORDS, "", "" }, { "Cd", M_WORDS, "", "" },
	{ "Ft", M_WORDS, "", "" }, { "Lk", M_WORDS, "", "" }, { "Mt", M_WORDS, "", "" },
	{ "Ms", M_WORDS, "", "" }, { "No", M_WORDS, "", "" }, { "Sx", M_WORDS, "", "" },
	{ "Tn", M_WORDS, "", "" }, { "Ap", M_APART, "'", "" }, { "Nd", M_WORDS, "", "" },
	{ "In", M_ENCLOSE, "<", ">" }, { "Fl", M_FLAG, "-", "" }, { "Nm", M_NAME, "", "" },
	{ "Op", M_ENCLOSE, "[", "]" }, { "Ql", M_ENCLOSE, "'", "'" },
	{ "Qq", M_ENCLOSE, "\"", "\"" }, { "Dq", M_ENCLOSE, "“", "”" },
	{ "Sq", M_ENCLOSE, "‘", "’" }, { "Pq", M_ENCLOSE, "(", ")" },
	{ "Bq", M_ENCLOSE, "[", "]" }, { "Brq", M_ENCLOSE, "{", "}" },
	{ "Aq", M_ENCLOSE, "<", ">" }, { "Oo", M_OPEN, "[", "" }, { "Oc", M_CLOSE, "]", "" },
	{ "Po", M_OPEN, "(", "" }, { "Pc", M_CLOSE, ")", "" }, { "Bo", M_OPEN, "[", "" },
	{ "Bc", M_CLOSE, "]", "" }, { "Bro", M_OPEN, "{", "" }, { "Brc", M_CLOSE, "}", "" },
	{ "Do", M_OPEN, "“", "" }, { "Dc", M_CLOSE, "”", "" }, { "So", M_OPEN, "‘", "" },
	{ "Sc", M_CLOSE, "’", "" }, { "Qo", M_OPEN, "\"", "" }, { "Qc", M_CLOSE, "\"", "" },
	{ "Ao", M_OPEN, "<", "" }, { "Ac", M_CLOSE, ">", "" }, { "Xr", M_XREF, "", "" },
	{ "Fn", M_FUNCTION, "", "" }, { "Fa", M_ARGUMENT, "", "" }, { "Ns", M_APART, "", "" },
	{ "Pf", M_WORDS, "", "" }, { "Ux", M_CONST, "UNIX", "" }, { "Bx", M_CONST, "BSD", "" },
	{ "Nx", M_CONST, "NetBSD", "" }, { "Ox", M_CONST, "OpenBSD", "" },
	{ "Fx", M_CONST, "FreeBSD", "" }, { "Dx", M_CONST, "DragonFly", "" },
	{ "At", M_CONST, "AT&T", "" }, { "St", M_WORDS, "", "" }, { "Xo", M_NONE, "", "" },
	{ "Xc", M_NONE, "", "" }, { "Fo", M_WORDS, "", "" }, { "Fc", M_CLOSE, ")", "" },
	{ "%A", M_WORDS, "", "" }, { "%T", M_WORDS, "", "" }, { "%B", M_WORDS, "", "" },
	{ "%D", M_WORDS, "", "" }, { "%J", M_WORDS, "", "" }, { "%U", M_WORDS, "", "" },
	{ "%R", M_WORDS, "", "" }, { "%N", M_WORDS, "", "" }, { "%V", M_WORDS, "", "" },
	{ "%P", M_WORDS, "", "" }, { "%Q", M_WORDS, "", "" }, { "%I", M_WORDS, "", "" },
	{ "%O", M_WORDS, "", "" }, { "Dd", M_SKIP, "", "" }, { "Os", M_SKIP, "", "" },
	{ "Sm", M_SKIP, "", "" }, { "Bk", M_SKIP, "", "" }, { "Ek", M_SKIP, "", "" },
	{ "Rs", M_SKIP, "", "" }, { "Re", M_SKIP, "", "" }, { "Db", M_SKIP, "", "" },
	{ "Tg", M_SKIP, "", "" },
};

static const struct macro *
find(str name)
{
	if (name.n < 2 || name.n > 3)
		return NULL;
	for (size_t i = 0; i < sizeof(macro) / sizeof(macro[0]); i++)
		if (str_eq(name, str_of(macro[i].name)))
			return &macro[i];
	return NULL;
}

static bool
is_closing(str s)
{
	return s.n == 1 && memchr(".,;:)]?!", *s.p, 8) != NULL;
}

static void
put(struct roff *r, str s)
{
	if (is_closing(s))
		r->join = r->para.n > 0;
	roff_word(r, s);
	if (s.n == 1 && (*s.p == '(' || *s.p == '['))
		r->join = true;
}

/* What a macro wrote before its first argument. */
static void
put_lead(struct roff *r, const struct macro *m)
{
	roff_word(r, str_of(m->open));
	r->join = true;
}

/* Marks still open at the end of the line. */
struct closers {
	const char	*mark[8];
	int		 n;
};

static void
open_macro(struct roff *r, const struct macro *m, struct closers *c, bool last)
{
	switch (m->action) {
	case M_ENCLOSE:
		put_lead(r, m);
		if (c->n < 8)
			c->mark[c->n++] = m->close;
		break;
	case M_OPEN:
		put_lead(r, m);
		break;
	case M_CLOSE:
		r->join = r->para.n > 0;
		roff_word(r, str_of(m->open));
		break;
	case M_APART:
		r->join = true;
		if (m->open[0] != '\0') {
			roff_word(r, str_of(m->open));
			r->join = true;
		}
		break;
	case M_CONST:
		roff_word(r, str_of(m->open));
		break;
	case M_NAME:
		if (last && r->name.n > 0)
			roff_word(r, buf_str(&r->name));
		break;
	case M_FLAG:
		if (last)
			roff_word(r, S("-"));
		break;
	default:
		break;
	}
}

/* One argument of the macro in force; k counts them. */
static void
argument(struct roff *r, const struct macro *m, str s, int k)
{
	if (is_closing(s)) {
		put(r, s);
		return;
	}
	switch (m->action) {
	case M_FLAG:
		roff_word(r, S("-"));
		r->join = true;
		roff_word(r, s);
		break;
	case M_XREF:
		if (k == 1) {
			r->join = true;
			roff_word(r, S("("));
			r->join = true;
			roff_word(r, s);
			r->join = true;
			roff_word(r, S(")"));
		} else {
			put(r, s);
		}
		break;
	case M_NAME:
		if (r->name.n == 0)
			roff_text(r, s, &r->name);
		put(r, s);
		break;
	case M_FUNCTION:
		if (k > 0) {
			r->join = true;
			roff_word(r, k == 1 ? S("(") : S(", "));
			r->join = true;
		}
		roff_word(r, s);
		break;
	default:
		put(r, s);
		break;
	}
}

/* Macros in a line call one another: walk its words. */
static void
inline_line(struct roff *r, const struct macro *m, str rest)
{
	str arg[ROFF_ARGS];
	int n = roff_args(rest, arg, ROFF_ARGS), k = 0;
	struct closers c = { .n = 0 };

	open_macro(r, m, &c, n == 0 || (m->action == M_NAME && is_closing(arg[0])));
	for (int i = 0; i < n; i++) {
		const struct macro *next = find(arg[i]);

		if (next != NULL && next->action != M_SKIP) {
			if (m->action == M_FUNCTION && k > 0) {
				r->join = true;
				roff_word(r, k == 1 ? S("()") : S(")"));
			}
			m = next;
			k = 0;
			open_macro(r, m, &c, i == n - 1 || is_closing(arg[i + 1]));
			continue;
		}
		if (is_closing(arg[i]) && i == n - 1)
			break;
		argument(r, m, arg[i], k++);
		if (m->action == M_NONE && i == 0)
			r->join = false;
	}
	if (m->action == M_FUNCTION && k > 0) {
		r->join = true;
		roff_word(r, k == 1 ? S("()") : S(")"));
	}
	while (c.n > 0) {
		r->join = true;
		roff_word(r, str_of(c.mark[--c.n]));
	}
	if (n > 0 && is_closing(arg[n - 1]))
		put(r, arg[n - 1]);
}

static void
begin_list(struct roff *r, str rest)
{
	str arg[ROFF_ARGS];
	int n = roff_args(rest, arg, ROFF_ARGS);
	enum list kind = LIST_TAG;

	for (int i = 0; i < n; i++) {
		if (str_eq(arg[i], S("-bullet")) || str_eq(arg[i], S("-dash")) ||
		    str_eq(arg[i], S("-hyphen")))
			kind = LIST_ITEM;
		else if (str_eq(arg[i], S("-enum")))
			kind = LIST_NUMBER;
		else if (str_eq(arg[i], S("-item")))
			kind = LIST_PLAIN;
		else if (str_eq(arg[i], S("-column")))
			kind = LIST_COLUMN;
	}
	roff_break(r, 2);
	if (r->nlists == ROFF_LISTS)
		return;
	r->list[r->nlists].kind = kind;
	r->list[r->nlists].number = 0;
	r->list[r->nlists].base = r->base;
	for (int i = 0; i < n; i++)
		r->list[r->nlists].compact = i > 0 && str_eq(arg[i], S("-compact"));
	r->nlists++;
}

static void
end_list(struct roff *r)
{
	roff_break(r, 2);
	if (r->nlists > 0)
		r->base = r->list[--r->nlists].base;
	r->indent = r->base;
}

static void
list_item(struct roff *r, str rest)
{
	static const struct macro plain = { .action = M_WORDS };
	int i = r->nlists - 1;

	roff_break(r, i >= 0 && r->list[i].kind == LIST_TAG && !r->list[i].compact ? 2 : 1);
	if (i < 0)
		return;
	r->base = r->indent = r->list[i].base;
	switch (r->list[i].kind) {
	case LIST_ITEM:
		memcpy(r->marker, "- ", 3);
		break;
	case LIST_NUMBER:
		snprintf(r->marker, sizeof(r->marker), "%d. ", ++r->list[i].number);
		break;
	case LIST_TAG:
		inline_line(r, &plain, rest);
		roff_break(r, 1);
		r->base += ROFF_INDENT;
		r->indent = r->base;
		break;
	default:
		inline_line(r, &plain, rest);
		break;
	}
}

static bool
block(struct roff *r, str name, str rest)
{
	str arg[ROFF_ARGS];
	int n;

	if (str_eq(name, S("Sh")) || str_eq(name, S("Ss"))) {
		while (r->literal > 0)
			roff_literal(r, false);
		roff_break(r, 2);
		n = roff_args(rest, arg, ROFF_ARGS);
		for (int i = 0; i < n; i++)
			roff_word(r, arg[i]);
		r->nlists = 0;
		roff_heading(r, name.p[1] == 'h' ? 1 : 2);
	} else if (str_eq(name, S("Pp")) || str_eq(name, S("Lp"))) {
		roff_break(r, 2);
	} else if (str_eq(name, S("Bl"))) {
		begin_list(r, rest);
	} else if (str_eq(name, S("El"))) {
		end_list(r);
	} else if (str_eq(name, S("It"))) {
		list_item(r, rest);
	} else if (str_eq(name, S("Bd"))) {
		if (memmem(rest.p, (size_t)rest.n, "-literal", 8) != NULL ||
		    memmem(rest.p, (size_t)rest.n, "-unfilled", 9) != NULL)
			roff_literal(r, true);
		else
			roff_break(r, 2);
	} else if (str_eq(name, S("Ed"))) {
		if (r->literal > 0)
			roff_literal(r, false);
		else
			roff_break(r, 2);
	} else if (str_eq(name, S("Dt"))) {
		n = roff_args(rest, arg, ROFF_ARGS);
		if (n > 1 && r->title->n == 0) {
			roff_text(r, arg[0], r->title);
			buf_fmt(r->title, "(%.*s)", STR_ARG(arg[1]));
		}
	} else if (str_eq(name, S("Ex")) || str_eq(name, S("Rv"))) {
		roff_word(r, S("The"));
		roff_word(r, r->name.n > 0 ? buf_str(&r->name) : S("utility"));
		roff_word(r, S("utility exits 0 on success, and >0 if an error occurs."));
	} else {
		return false;
	}
	return true;
}

bool
roff_mdoc(struct roff *r, str name, str rest)
{
	static const struct macro plain = { .action = M_WORDS };
	const struct macro *m;

	if (block(r, name, rest))
		return true;
	if (str_eq(name, S("D1")) || str_eq(name, S("Dl"))) {
		roff_break(r, 2);
		r->indent = r->base + ROFF_INDENT;
		inline_line(r, &plain, rest);
		roff_break(r, 2);
		r->indent = r->base;
		return true;
	}
	if ((m = find(name)) == NULL)
		return false;
	if (m->action == M_SKIP)
		return true;
	if (str_eq(name, S("Nd")))
		roff_word(r, S("—"));
	inline_line(r, m, rest);
	if (r->literal > 0)
		roff_break(r, 1);
	return true;
}
