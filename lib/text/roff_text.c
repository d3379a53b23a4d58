#include "text/roff_impl.h"

#include "text/unicode.h"

static const struct {
	char	name[5];
	char	text[5];
} glyph[] = {
	{ "em", "—" }, { "en", "–" }, { "hy", "-" }, { "bu", "•" }, { "aq", "'" },
	{ "dq", "\"" }, { "lq", "“" }, { "rq", "”" }, { "oq", "‘" }, { "cq", "’" },
	{ "ga", "`" }, { "ha", "^" }, { "ti", "~" }, { "rs", "\\" }, { "co", "©" },
	{ "rg", "®" }, { "tm", "™" }, { "de", "°" }, { "mu", "×" }, { "<=", "≤" },
	{ ">=", "≥" }, { "!=", "≠" }, { "+-", "±" }, { "->", "→" }, { "<-", "←" },
	{ "mi", "−" }, { "sc", "§" }, { "Po", "£" }, { "Eu", "€" }, { "lB", "[" },
	{ "rB", "]" }, { "lC", "{" }, { "rC", "}" }, { "la", "⟨" }, { "ra", "⟩" },
	{ "at", "@" }, { "sh", "#" }, { "Do", "$" }, { "ba", "|" }, { "or", "|" },
	{ "sl", "/" }, { "ul", "_" }, { "Bq", "„" }, { "bq", "‚" }, { "Fo", "«" },
	{ "Fc", "»" }, { "12", "½" }, { "14", "¼" }, { "34", "¾" }, { "'e", "é" },
	{ ":o", "ö" }, { ":a", "ä" }, { ":u", "ü" }, { ":O", "Ö" }, { ":A", "Ä" },
	{ ":U", "Ü" }, { "ss", "ß" }, { "`e", "è" }, { ",c", "ç" }, { "~n", "ñ" },
	{ "'a", "á" }, { "'i", "í" }, { "'o", "ó" }, { "'u", "ú" }, { "/o", "ø" },
	{ "oa", "å" }, { "fm", "′" }, { "no", "¬" }, { "==", "≡" }, { "~~", "≈" },
	{ "if", "∞" }, { "*a", "α" }, { "*b", "β" }, { "*p", "π" }, { "*m", "μ" },
	/* strings of man(7), mdoc(7) and pod2man */
	{ "L\"", "“" }, { "R\"", "”" }, { "C`", "" }, { "C'", "" }, { "R", "®" },
	{ "Tm", "™" }, { "--", "—" }, { "PI", "π" }, { "Ba", "|" }, { "Ne", "≠" },
	{ "Ge", "≥" }, { "Le", "≤" }, { "Lq", "“" }, { "Rq", "”" }, { "q", "\"" },
	{ "Aq", "'" }, { "lp", "(" }, { "rp", ")" }, { "Am", "&" }, { "Pm", "±" }, { "If", "∞" },
};

static void
put_glyph(str name, bool string, struct buf *to)
{
	char c[4];
	int32_t u = 0;

	for (size_t i = 0; i < sizeof(glyph) / sizeof(glyph[0]); i++)
		if (str_eq(name, str_of(glyph[i].name))) {
			buf_add(to, str_of(glyph[i].text));
			return;
		}
	if (string || name.n < 5 || name.n > 7 || *name.p != 'u')
		return;
	for (ptrdiff_t i = 1; i < name.n; i++) {
		int d = name.p[i];

		u = u * 16 + (d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ?
		    (d | 32) - 'a' + 10 : 0);
	}
	if (u >= 32 && u < 0x110000 && (u < 0xd800 || u > 0xdfff))
		buf_add(to, (str){ c, utf8_put(c, u) });
}

/* The name after \(, \[ or alone; *s moves behind it. */
static str
take_name(str *s)
{
	str name = { s->p, 0 };
	const char *end;

	if (s->n == 0)
		return name;
	if (*s->p == '(') {
		name = (str){ s->p + 1, s->n < 3 ? s->n - 1 : 2 };
		end = name.p + name.n;
	} else if (*s->p == '[') {
		end = memchr(s->p, ']', (size_t)s->n);
		name.p++;
		name.n = (end == NULL ? s->p + s->n : end) - name.p;
		end = end == NULL ? name.p + name.n : end + 1;
	} else {
		name.n = 1;
		end = s->p + 1;
	}
	*s = (str){ end, s->p + s->n - end };
	return name;
}

/* \h'...' and the like: a delimiter, anything, the delimiter. */
static void
skip_quoted(str *s)
{
	const char *end;

	if (s->n < 2)
		return;
	end = memchr(s->p + 1, *s->p, (size_t)s->n - 1);
	if (end == NULL)
		return;
	*s = (str){ end + 1, s->p + s->n - end - 1 };
}

/* \s+1 \s-2 \s10 \s'..': the size goes. */
static void
skip_size(str *s)
{
	if (s->n > 0 && (*s->p == '+' || *s->p == '-')) {
		s->p++;
		s->n--;
	}
	if (s->n > 0 && (*s->p == '(' || *s->p == '[')) {
		take_name(s);
		return;
	}
	if (s->n > 0 && *s->p == '\'') {
		skip_quoted(s);
		return;
	}
	for (int i = 0; i < 2 && s->n > 0 && *s->p >= '0' && *s->p <= '9'; i++) {
		s->p++;
		s->n--;
		if (s->p[-1] > '3')
			break;
	}
}

/* The escape after a backslash; return false at one that ends the line. */
static bool
escape(struct roff *r, str *s, struct buf *to)
{
	char c;
	str at = *s;

	if (s->n == 0)
		return false;
	c = *s->p++;
	s->n--;
	switch (c) {
	case '"': case '#':
		return false;
	case '(': case '[':
		*s = at;
		put_glyph(take_name(s), false, to);
		break;
	case '*':
		put_glyph(take_name(s), true, to);
		break;
	case 'f': case 'F': case 'm': case 'M': case 'n': case 'g': case 'k': case 'Y':
		if (s->n > 0 && (*s->p == '+' || *s->p == '-')) {
			s->p++;
			s->n--;
		}
		take_name(s);
		break;
	case 's':
		skip_size(s);
		break;
	case 'h': case 'v': case 'w': case 'x': case 'b': case 'l': case 'L': case 'D':
	case 'X': case 'Z': case 'o': case 'B': case 'A': case 'S': case 'H': case 'R':
	case 'N':
		skip_quoted(s);
		break;
	case '-': case '\\': case '.': case '_':
		buf_byte(to, c);
		break;
	case '\'':
		buf_add(to, S("´"));
		break;
	case '`':
		buf_byte(to, '`');
		break;
	case 'e': case 'E':
		buf_byte(to, '\\');
		break;
	case ' ': case '~': case '0': case 't':
		buf_byte(to, ' ');
		break;
	case 'c':
		r->join = true;
		return false;
	default:
		/* \& \| \^ \/ \, \% \: \) \{ \} \d \u \p \z and the unknown: nothing. */
		if ((uint8_t)c >= 0x80)
			buf_byte(to, c);
		break;
	}
	return true;
}

void
roff_text(struct roff *r, str s, struct buf *to)
{
	while (s.n > 0) {
		const char *p = memchr(s.p, '\\', (size_t)s.n);
		ptrdiff_t n = p == NULL ? s.n : p - s.p;

		buf_add(to, (str){ s.p, n });
		if (p == NULL)
			return;
		s = (str){ p + 1, s.n - n - 1 };
		if (!escape(r, &s, to))
			return;
	}
}

int
roff_args(str s, str *arg, int max)
{
	int n = 0;

	while (n < max) {
		while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
			s.p++;
			s.n--;
		}
		if (s.n == 0 || (s.n > 1 && s.p[0] == '\\' && s.p[1] == '"'))
			return n;
		arg[n] = s;
		if (*s.p == '"') {
			ptrdiff_t i = 1;

			/* "" inside quotes is one: rare enough to leave it doubled. */
			while (i < s.n && (s.p[i] != '"' || (i + 1 < s.n && s.p[i + 1] == '"')))
				i += s.p[i] == '"' ? 2 : 1;
			if (i > s.n)
				i = s.n;
			arg[n++] = (str){ s.p + 1, i - 1 };
			i += i < s.n;
			s = (str){ s.p + i, s.n - i };
		} else {
			ptrdiff_t i = 0;

			while (i < s.n && *(s.p + i) != ' ' && s.p[i] != '\t')
				i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
			arg[n++].n = i;
			s = (str){ s.p + i, s.n - i };
		}
	}
	return n;
}
