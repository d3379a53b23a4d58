#include "text/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "text/unicode.h"

static const char *const op_name[] = {
	[OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">=", [OP_EQ] = "==",
	[OP_NE] = "!=",
};
#define OPS ((int)(sizeof(op_name) / sizeof(op_name[0])))

static bool
is_sign(char c)
{
	return c == '<' || c == '>' || c == '=' || c == '!';
}

/* Cut the next word off *rest: blanks and a change to or from signs end it. */
static str
next_word(str *rest)
{
	str s = uni_trim(*rest);
	ptrdiff_t n = 0;

	while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t' && is_sign(s.p[n]) == is_sign(s.p[0]))
		n++;
	*rest = (str){ s.p + n, s.n - n };
	return (str){ s.p, n };
}

static int
parse_number(str s, double *x, struct err *err)
{
	bool percent = str_ends(s, S("%"));

	if (json_number((str){ s.p, s.n - percent }, x, err) < 0 || !isfinite(*x))
		return err_set(err, ERR_FORMAT, "'%.*s' is no number", STR_ARG(s));
	if (percent)
		*x /= 100;
	return 0;
}

static int
parse_condition(const struct quality *q, struct rules_line *l, str *rest, struct err *err)
{
	struct rules_condition *c = &l->condition[l->n];
	str name = next_word(rest), op = next_word(rest), number = next_word(rest);
	int k = 0;

	if (name.n == 0)
		return err_set(err, ERR_FORMAT, "a condition is missing");
	if ((c->rule = quality_value_find(q, name)) < 0)
		return err_set(err, ERR_FORMAT, "no signal '%.*s'", STR_ARG(name));
	while (k < OPS && !str_eq(op, str_of(op_name[k])))
		k++;
	if (k == OPS)
		return err_set(err, ERR_FORMAT, "'%.*s' is none of < <= > >= == !=",
		    STR_ARG(op));
	c->op = k;
	l->n++;
	return parse_number(number, &c->limit, err);
}

static int
parse_conditions(const struct quality *q, struct rules_line *l, str rest, struct err *err)
{
	do {
		str word;

		if (l->n == RULES_CONDITIONS)
			return err_set(err, ERR_LIMIT, "more than %d conditions",
			    RULES_CONDITIONS);
		if (parse_condition(q, l, &rest, err) < 0)
			return -1;
		word = next_word(&rest);
		if (word.n == 0)
			return 0;
		if (!str_eq(word, S("and")))
			return err_set(err, ERR_FORMAT, "'%.*s' is not 'and'", STR_ARG(word));
	} while (true);
}

static int
parse_tag(struct rules_line *l, str *rest, struct err *err)
{
	str tag = next_word(rest);

	if (tag.n == 0)
		return err_set(err, ERR_FORMAT, "the name of the tag is missing");
	if (tag.n > RULES_TAG_MAX)
		return err_set(err, ERR_LIMIT, "a tag of more than %d bytes", RULES_TAG_MAX);
	for (ptrdiff_t i = 0; i < tag.n; i++)
		if (memchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
		    tag.p[i], 65) == NULL)
			return err_set(err, ERR_FORMAT, "a tag is of letters, digits and . _ -");
	memcpy(l->tag, tag.p, (size_t)tag.n);
	return 0;
}

static int
add_line(struct rules *r, const struct rules_line *l, struct err *err)
{
	if (r->n == RULES_LINES)
		return err_set(err, ERR_LIMIT, "more than %d rules", RULES_LINES);
	if (r->n == r->cap) {
		int cap = r->cap * 2 + 16;
		struct rules_line *p = realloc(r->line, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "no memory for rules");
		r->line = p;
		r->cap = cap;
	}
	r->line[r->n++] = *l;
	return 0;
}

/* "set NAME = LIMIT", with blanks or without. */
static int
parse_set(struct quality *q, str rest, struct err *err)
{
	str name = next_word(&rest), equals = next_word(&rest), number = next_word(&rest);
	char setting[128];
	int n;

	if (!str_eq(equals, S("=")) || number.n == 0 || uni_trim(rest).n > 0)
		return err_set(err, ERR_FORMAT, "set takes RULE = LIMIT");
	n = snprintf(setting, sizeof(setting), "%.*s=%.*s", STR_ARG(name), STR_ARG(number));
	if (n >= (int)sizeof(setting))
		return err_set(err, ERR_FORMAT, "no rule has a name that long");
	return quality_set(q, (str){ setting, n }, err);
}

static int
parse_line(struct rules *r, struct quality *q, str line, int number, struct err *err)
{
	struct rules_line l = { .number = number };
	str rest = line, verb = next_word(&rest);

	if (str_eq(verb, S("use"))) {
		str names = next_word(&rest);

		if (names.n == 0 || uni_trim(rest).n > 0)
			return err_set(err, ERR_FORMAT, "use takes names with commas and no "
			    "blanks between them");
		return quality_select(q, names, err);
	}
	if (str_eq(verb, S("set")))
		return parse_set(q, rest, err);
	if (str_eq(verb, S("drop")))
		l.action = RULES_DROP;
	else if (str_eq(verb, S("keep")))
		l.action = RULES_KEEP;
	else if (str_eq(verb, S("tag")))
		l.action = RULES_TAG;
	else
		return err_set(err, ERR_FORMAT, "'%.*s' is none of use, set, keep, drop, tag",
		    STR_ARG(verb));
	if (l.action == RULES_TAG && parse_tag(&l, &rest, err) < 0)
		return -1;
	if (parse_conditions(q, &l, rest, err) < 0)
		return -1;
	return add_line(r, &l, err);
}

int
rules_parse(struct rules *r, struct quality *q, str file, const char *name, struct err *err)
{
	if (utf8_bad(file) >= 0)
		return err_set(err, ERR_FORMAT, "%s: no UTF-8 at byte %td", name, utf8_bad(file));
	for (int number = 1; file.p != NULL; number++) {
		str line = str_cut(&file, '\n');

		line = uni_trim(str_cut(&line, '#'));
		if (line.n > 0 && parse_line(r, q, line, number, err) < 0)
			return err_wrap(err, "%s:%d", name, number);
	}
	return 0;
}

void
rules_free(struct rules *r)
{
	free(r->line);
	*r = (struct rules){ 0 };
}

unsigned
rules_families(const struct rules *r)
{
	unsigned families = 0;

	for (int i = 0; i < r->n; i++)
		for (int k = 0; k < r->line[i].n; k++)
			families |= 1u << quality_family_of(r->line[i].condition[k].rule);
	return families;
}

bool
rules_ask(const struct rules *r, int rule)
{
	for (int i = 0; i < r->n; i++)
		for (int k = 0; k < r->line[i].n; k++)
			if (r->line[i].condition[k].rule == rule)
				return true;
	return false;
}

static bool
holds(const struct rules_condition *c, double x)
{
	if (isnan(x))
		return false;
	switch (c->op) {
	case OP_LT:
		return x < c->limit;
	case OP_LE:
		return x <= c->limit;
	case OP_GT:
		return x > c->limit;
	case OP_GE:
		return x >= c->limit;
	case OP_EQ:
		return x == c->limit;
	case OP_NE:
		return x != c->limit;
	}
	return false;
}

const struct rules_line *
rules_next(const struct rules *r, int *at, const double value[QUALITY_RULES])
{
	while (*at < r->n) {
		const struct rules_line *l = &r->line[(*at)++];
		int k = 0;

		while (k < l->n && holds(&l->condition[k], value[l->condition[k].rule]))
			k++;
		if (k == l->n)
			return l;
	}
	return NULL;
}
