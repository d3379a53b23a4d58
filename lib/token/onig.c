#define PCRE2_CODE_UNIT_WIDTH 8
#include "token/onig.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/buf.h"

#define PATTERN_MAX	((ptrdiff_t)64 << 10)
#define GROUPS		32		/* depth of groups in a pattern */
#define STEPS		20000		/* of a match: what may happen at any character, */
#define MORE_STEPS	20000000	/* and only now and then */

struct onig {
	pcre2_code	*code;
};

struct searcher {
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack	*stack;
	ptrdiff_t	 left;		/* matches that may take MORE_STEPS */
};

/* ---- from Oniguruma's syntax ---- */

#define SPACES	"\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}" \
		"\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORD	"\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define FRACTIONS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"	/* \w, outside classes only */
#define IN_WORD	"[" WORD FRACTIONS "]"

/* What is written otherwise there than PCRE2 means by it. */
static const struct {
	const char	*from;
	const char	*to, *in_class;		/* NULL: that has no translation */
} escapes[] = {
	{ "\\s", "[" SPACES "]", SPACES },	/* PCRE2 counts U+180E as space */
	{ "\\S", "[^" SPACES "]", NULL },
	{ "\\w", IN_WORD, WORD },
	{ "\\W", "[^" WORD FRACTIONS "]", NULL },
	{ "\\h", "[0-9a-fA-F]", "0-9a-fA-F" },
	{ "\\H", "[^0-9a-fA-F]", NULL },
	{ "\\b", "(?:(?<=" IN_WORD ")(?!" IN_WORD ")|(?<!" IN_WORD ")(?=" IN_WORD "))", "\\b" },
	{ "\\B", "(?:(?<=" IN_WORD ")(?=" IN_WORD ")|(?<!" IN_WORD ")(?!" IN_WORD "))", NULL },
	{ "\\K", NULL, NULL },
}, brackets[] = {
	{ "[:alpha:]", NULL, "\\p{Alphabetic}" }, { "[:alnum:]", NULL, "\\p{Alphabetic}\\p{Nd}" },
	{ "[:upper:]", NULL, "\\p{Uppercase}" }, { "[:lower:]", NULL, "\\p{Lowercase}" },
	{ "[:digit:]", NULL, "\\p{Nd}" }, { "[:xdigit:]", NULL, "0-9a-fA-F" },
	{ "[:punct:]", NULL, "\\p{P}\\p{S}" }, { "[:space:]", NULL, SPACES },
	{ "[:word:]", NULL, WORD }, { "[:cntrl:]", NULL, "\\p{Cc}" },
};

/* A pattern on its way. */
struct translation {
	struct buf	*out;
	str		 in;
	ptrdiff_t	 i;
	ptrdiff_t	 atom;		/* where what a quantifier refers to begins in out */
	ptrdiff_t	 group[GROUPS];
	int		 depth;
	bool		 class;
};

static str
rest(const struct translation *t)
{
	return (str){ t->in.p + t->i, t->in.n - t->i };
}

static int
put_escape(struct translation *t, struct err *err)
{
	str s = rest(t);
	const char *brace, *to;
	ptrdiff_t n = 2;

	if (s.n < 2)
		return err_set(err, ERR_FORMAT, "a pattern that ends in \\");
	for (size_t i = 0; i < sizeof(escapes) / sizeof(*escapes); i++) {
		if (!str_starts(s, str_of(escapes[i].from)))
			continue;
		to = t->class ? escapes[i].in_class : escapes[i].to;
		if (to == NULL)
			return err_set(err, ERR_FORMAT, "\\%c in a %s is not supported", s.p[1],
			    t->class ? "class" : "pattern");
		buf_add(t->out, str_of(to));
		t->i += 2;
		return 0;
	}
	if (strchr("pPx", s.p[1]) != NULL && s.n > 2 && s.p[2] == '{' &&
	    (brace = memchr(s.p, '}', (size_t)s.n)) != NULL)
		n = brace + 1 - s.p;
	buf_add(t->out, (str){ s.p, n });
	t->i += n;
	return 0;
}

/* {n,m}+ is no possessive quantifier there, but + of what is repeated. */
static bool
put_interval(struct translation *t)
{
	const char *p = t->in.p + t->i, *end = t->in.p + t->in.n, *q = p + 1;
	char *at;

	while (q < end && ((*q >= '0' && *q <= '9') || *q == ','))
		q++;
	if (q == p + 1 || q >= end || *q != '}')
		return false;
	q++;
	buf_add(t->out, (str){ p, q - p });
	t->i += q - p;
	if (q < end && *q == '+' && buf_room(t->out, 4) != NULL) {
		at = t->out->p + t->atom;
		memmove(at + 3, at, (size_t)(t->out->n - t->atom));
		memcpy(at, "(?:", 3);
		t->out->n += 3;
		buf_byte(t->out, ')');
	}
	return true;
}

/* A character of a class, or [:alpha:] and the like. */
static int
put_in_class(struct translation *t, struct err *err)
{
	str s = rest(t);
	char next = s.n > 1 ? s.p[1] : '\0';

	if (s.p[0] == '[' && next == ':')
		for (size_t i = 0; i < sizeof(brackets) / sizeof(*brackets); i++)
			if (str_starts(s, str_of(brackets[i].from))) {
				buf_add(t->out, str_of(brackets[i].in_class));
				t->i += (ptrdiff_t)strlen(brackets[i].from);
				return 0;
			}
	if (s.p[0] == '[' || (s.p[0] == '&' && next == '&'))
		return err_set(err, ERR_FORMAT, "%.*s in a class is not supported",
		    (int)(s.p[0] == '&' || s.n < 9 ? 2 : 9), s.p);
	t->class = s.p[0] != ']';
	buf_byte(t->out, s.p[0]);
	t->i++;
	return 0;
}

/* (?m) there lets a dot match a newline, which is (?s) here. */
static void
put_flags(struct translation *t)
{
	str s = rest(t);
	ptrdiff_t n = 2;

	while (n < s.n && strchr("imx-", s.p[n]) != NULL)
		n++;
	if (!str_starts(s, S("(?")) || n >= s.n || (s.p[n] != ')' && s.p[n] != ':'))
		n = 1;
	for (ptrdiff_t i = 0; i < n; i++)
		buf_byte(t->out, s.p[i] == 'm' ? 's' : s.p[i]);
	t->i += n;
}

static int
put_char(struct translation *t, struct err *err)
{
	char c = t->in.p[t->i];

	if (t->class)
		return put_in_class(t, err);
	if (c == '{' && put_interval(t))
		return 0;
	if (c == '(') {
		if (t->depth == GROUPS)
			return err_set(err, ERR_FORMAT,
			    "a pattern with groups %d deep", GROUPS + 1);
		t->group[t->depth++] = t->out->n;
		put_flags(t);
		return 0;
	}
	if (c == ')' && t->depth > 0) {
		t->atom = t->group[--t->depth];
	} else if (strchr("*+?", c) == NULL && ((uint8_t)c & 0xc0) != 0x80) {
		t->atom = t->out->n;
		t->class = c == '[';
	}
	buf_byte(t->out, c);
	t->i++;
	return 0;
}

static int
translate(struct buf *b, str regex, struct err *err)
{
	struct translation t = { .out = b, .in = regex };

	while (t.i < regex.n) {
		int ret;

		if (regex.p[t.i] == '\\') {
			if (!t.class)
				t.atom = b->n;
			ret = put_escape(&t, err);
		} else {
			ret = put_char(&t, err);
		}
		if (ret < 0)
			return -1;
	}
	return buf_ok(b, err);
}

/* ---- compiled ---- */

static pcre2_code *
compile(str regex, bool literal, struct err *err)
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;
	struct buf b = { 0 };
	pcre2_code *code = NULL;
	PCRE2_UCHAR why[160] = "";
	PCRE2_SIZE at;
	int error;

	if (literal) {
		options = PCRE2_UTF | PCRE2_LITERAL;
		buf_add(&b, regex);
	} else if (translate(&b, regex, err) < 0) {
		buf_free(&b);
		return NULL;
	}
	if (buf_ok(&b, err) == 0) {
		code = pcre2_compile((PCRE2_SPTR)b.p, (PCRE2_SIZE)b.n, options, &error, &at, NULL);
		if (code == NULL) {
			pcre2_get_error_message(error, why, sizeof(why));
			err_set(err, ERR_FORMAT, "pattern '%.*s': %s",
			    (int)(regex.n < 200 ? regex.n : 200), regex.p, (char *)why);
		}
	}
	buf_free(&b);
	return code;
}

struct onig *
onig_new(str regex, bool literal, struct err *err)
{
	struct onig *p;

	if (regex.n == 0 || regex.n > PATTERN_MAX) {
		err_set(err, ERR_FORMAT, "a pattern of %td bytes", regex.n);
		return NULL;
	}
	if ((p = calloc(1, sizeof(*p))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((p->code = compile(regex, literal, err)) == NULL) {
		onig_free(p);
		return NULL;
	}
	pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
	return p;
}

struct onig *
onig_read(const json_t *json, const char *what, struct err *err)
{
	const json_t *regex = json_object_get(json, "Regex");
	const json_t *v = regex != NULL ? regex : json_object_get(json, "String");
	struct onig *p;

	if (!json_is_string(v)) {
		err_set(err, ERR_FORMAT, "%s without a pattern", what);
		return NULL;
	}
	p = onig_new((str){ json_string_value(v), (ptrdiff_t)json_string_length(v) },
	    regex == NULL, err);
	if (p == NULL)
		err_wrap(err, "%s", what);
	return p;
}

void
onig_free(struct onig *p)
{
	if (p == NULL)
		return;
	pcre2_code_free(p->code);
	free(p);
}

/* ---- searching ---- */

struct searcher *
searcher_new(struct err *err)
{
	struct searcher *m = calloc(1, sizeof(*m));

	if (m == NULL)
		goto fail;
	m->match = pcre2_match_data_create(1, NULL);
	m->context = pcre2_match_context_create(NULL);
	m->stack = pcre2_jit_stack_create(32 << 10, 8 << 20, NULL);
	if (m->match == NULL || m->context == NULL || m->stack == NULL)
		goto fail;
	pcre2_jit_stack_assign(m->context, NULL, m->stack);
	return m;
fail:
	searcher_free(m);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

void
searcher_free(struct searcher *m)
{
	if (m == NULL)
		return;
	pcre2_match_data_free(m->match);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	free(m);
}

void
searcher_start(struct searcher *m, ptrdiff_t n)
{
	m->left = 16 + n / 4096;
}

static int
search(const struct onig *p, struct searcher *m, str text, ptrdiff_t at, uint32_t steps)
{
	pcre2_set_match_limit(m->context, steps);
	return pcre2_match(p->code, (PCRE2_SPTR)text.p, (PCRE2_SIZE)text.n, (PCRE2_SIZE)at,
	    PCRE2_NO_UTF_CHECK, m->match, m->context);
}

static int
find(const struct onig *p, struct searcher *m, str text, struct matches *it, struct err *err)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m->match);
	int got = search(p, m, text, it->at, STEPS);

	if (got == PCRE2_ERROR_MATCHLIMIT && m->left > 0) {
		m->left--;
		got = search(p, m, text, it->at, MORE_STEPS);
	}
	if (got == PCRE2_ERROR_NOMATCH)
		return 0;
	if (got < 0)
		return err_set(err, ERR_FORMAT, "a pattern of the tokenizer gives up on this text "
		    "(PCRE2 error %d)", got);
	it->start = (ptrdiff_t)v[0];
	it->end = (ptrdiff_t)v[1];
	return 1;
}

/* An empty match does not count right behind another one, as in the reference. */
int
onig_next(const struct onig *p, struct searcher *m, str text, struct matches *it,
    struct err *err)
{
	for (;;) {
		int got = it->at <= text.n ? find(p, m, text, it, err) : 0;

		if (got <= 0)
			return got;
		if (it->end > it->start || it->end != it->last)
			break;
		for (it->at = it->end + 1; it->at < text.n &&
		    ((uint8_t)text.p[it->at] & 0xc0) == 0x80; )
			it->at++;
	}
	it->at = it->last = it->end;
	return 1;
}
