/*
 * Filters of lists and numbers, and those that give a value another kind.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/unicode.h"
#include "token/template_run_impl.h"

int
tpl_arg_str(struct run *r, const struct value *v, const char *what, str *s)
{
	if (v->kind == V_UNDEFINED)
		return tpl_undefined(r, v);
	if (v->kind != V_STR)
		return tpl_fail(r, "%s needs a str, not %s", what, tpl_kind(v));
	*s = v->s;
	return 0;
}

/* *i stays when v is missing. */
int
tpl_arg_int(struct run *r, const struct value *v, const char *what, int64_t *i)
{
	if (v->kind == V_MISSING)
		return 0;
	if (!tpl_is_whole(v))
		return tpl_fail(r, "%s needs a whole number, not %s", what, tpl_kind(v));
	*i = tpl_whole(v);
	return 0;
}

/* ---- elements by attribute ---- */

/* The value that "a.b.0" names in v. */
static int
get_path(struct run *r, const struct value *v, const struct value *path, struct value *out)
{
	struct value key;
	str rest = path->s;

	*out = *v;
	if (path->kind == V_MISSING || path->kind == V_NONE)
		return 0;
	if (path->kind != V_STR)
		return tpl_item(r, v, path, out);
	while (rest.p != NULL) {
		char *end, digits[24] = "";
		str part = str_cut(&rest, '.');

		if (part.n < (ptrdiff_t)sizeof(digits) && part.n > 0)
			memcpy(digits, part.p, (size_t)part.n);
		key = tpl_str_value(part);
		if (digits[0] >= '0' && digits[0] <= '9') {
			key = (struct value){ .kind = V_INT, .i = strtoll(digits, &end, 10) };
			if (*end != '\0')
				key = tpl_str_value(part);
		}
		if (tpl_item(r, out, &key, out) < 0)
			return -1;
	}
	return 0;
}

/* What text is sorted and made unique by: lower case, unless case matters. */
static int
fold(struct run *r, struct value *v, bool keep_case)
{
	if (v->kind == V_STR && !keep_case)
		return tpl_change_case(r, v->s, CASE_LOWER, &v->s);
	return 0;
}

static struct list *
keys_of(struct run *r, const struct list *l, const struct value *path, bool keep_case)
{
	struct list *keys = tpl_list_new(r, l->n);

	for (int64_t i = 0; keys != NULL && i < l->n; i++)
		if (get_path(r, &l->at[i], path, &keys->at[i]) < 0 ||
		    fold(r, &keys->at[i], keep_case) < 0)
			return NULL;
	return keys;
}

/* A merge sort of indices, from the bottom up. */
static int
merge(struct run *r, const struct list *key, bool reverse, const int64_t *from, int64_t *to,
    int64_t width)
{
	int64_t n = key->n;
	int order;

	for (int64_t start = 0; start < n; start += 2 * width) {
		int64_t middle = start + width < n ? start + width : n;
		int64_t end = middle + width < n ? middle + width : n;
		int64_t a = start, b = middle;

		for (int64_t i = start; i < end; i++) {
			bool right = a >= middle;

			if (a < middle && b < end) {
				const struct value *x = &key->at[from[b]], *y = &key->at[from[a]];

				if (tpl_order(r, x, y, "<", &order) < 0 || tpl_work(r, 0) < 0)
					return -1;
				right = reverse ? order > 0 : order < 0;
			}
			to[i] = right ? from[b++] : from[a++];
		}
	}
	return 0;
}

int
tpl_sort(struct run *r, struct list *l, const struct list *key, bool reverse)
{
	int64_t *from = tpl_alloc(r, l->n, sizeof(*from)), *to = tpl_alloc(r, l->n, sizeof(*to));
	struct list *copy = tpl_list_new(r, l->n);

	if (from == NULL || to == NULL || copy == NULL)
		return -1;
	for (int64_t i = 0; i < l->n; i++) {
		from[i] = i;
		copy->at[i] = l->at[i];
	}
	for (int64_t width = 1; width < l->n; width *= 2) {
		int64_t *swap = from;

		if (merge(r, key != NULL ? key : copy, reverse, from, to, width) < 0)
			return -1;
		from = to;
		to = swap;
	}
	for (int64_t i = 0; i < l->n; i++)
		l->at[i] = copy->at[from[i]];
	return 0;
}

/* A list of its own, with the same elements. */
static struct list *
copy_of(struct run *r, const struct value *v)
{
	struct list *l = tpl_iterate(r, v), *copy = l != NULL ? tpl_list_new(r, l->n) : NULL;

	for (int64_t i = 0; copy != NULL && i < l->n; i++)
		copy->at[i] = l->at[i];
	return copy;
}

static int
give_list(struct list *l, enum list_is is, struct value *out)
{
	if (l == NULL)
		return -1;
	l->is = is;
	*out = tpl_list_value(l);
	return 0;
}

BUILTIN(f_sort)	/* reverse, case_sensitive, attribute */
{
	struct list *l = copy_of(r, self);
	struct list *keys = l != NULL ? keys_of(r, l, &arg[2], tpl_true(&arg[1])) : NULL;

	if (keys == NULL || tpl_sort(r, l, keys, tpl_true(&arg[0])) < 0)
		return -1;
	return give_list(l, LIST_WHOLE, out);
}

BUILTIN(f_dictsort)	/* case_sensitive, by, reverse */
{
	struct value path = { .kind = V_INT }, items;
	struct list *l, *keys;

	if (self->kind != V_DICT)
		return tpl_fail(r, "dictsort of %s", tpl_kind(self));
	path.i = arg[1].kind == V_STR && str_eq(arg[1].s, S("value"));
	if (tpl_items(r, self->dict, LIST_WHOLE, &items) < 0)
		return -1;
	l = items.list;
	if ((keys = keys_of(r, l, &path, tpl_true(&arg[0]))) == NULL ||
	    tpl_sort(r, l, keys, tpl_true(&arg[2])) < 0)
		return -1;
	return give_list(l, LIST_WHOLE, out);
}

BUILTIN(f_unique)	/* case_sensitive, attribute */
{
	struct list *l = copy_of(r, self);
	struct list *keys = l != NULL ? keys_of(r, l, &arg[1], tpl_true(&arg[0])) : NULL;
	int64_t n = 0;

	if (keys == NULL)
		return -1;
	for (int64_t i = 0; i < l->n; i++) {
		struct list before = { .at = keys->at, .n = n };
		struct value seen = tpl_list_value(&before);
		int there = tpl_contains(r, &seen, &keys->at[i]);

		if (there < 0)
			return -1;
		if (there == 0) {
			keys->at[n] = keys->at[i];
			l->at[n++] = l->at[i];
		}
	}
	l->n = n;
	return give_list(l, LIST_ONCE, out);
}

BUILTIN(f_list)
{
	return give_list(copy_of(r, self), LIST_WHOLE, out);
}

BUILTIN(f_reverse)
{
	struct value every[3] = { { .kind = V_MISSING }, { .kind = V_MISSING },
	    { .kind = V_INT, .i = -1 } };
	struct list *l;

	if (self->kind == V_STR)
		return tpl_slice(r, self, every, out);
	if ((l = copy_of(r, self)) == NULL)
		return -1;
	for (int64_t i = 0; i < l->n / 2; i++) {
		struct value v = l->at[i];

		l->at[i] = l->at[l->n - 1 - i];
		l->at[l->n - 1 - i] = v;
	}
	return give_list(l, LIST_ONCE, out);
}

static int
end_of(struct run *r, const struct value *self, bool last, struct value *out)
{
	struct list *l = tpl_iterate(r, self);

	if (l == NULL)
		return -1;
	*out = (struct value){ .kind = V_UNDEFINED, .s = S("an element of nothing") };
	if (l->n > 0)
		*out = l->at[last ? l->n - 1 : 0];
	return 0;
}

BUILTIN(f_first)
{
	return end_of(r, self, false, out);
}

BUILTIN(f_last)
{
	return end_of(r, self, true, out);
}

BUILTIN(f_length)
{
	int64_t n;

	if (tpl_length(r, self, &n) < 0)
		return -1;
	*out = (struct value){ .kind = V_INT, .i = n };
	return 0;
}

BUILTIN(f_join)	/* d, attribute */
{
	struct list *l = tpl_iterate(r, self);
	ptrdiff_t from = r->held.n;
	struct value v;

	if (l == NULL)
		return -1;
	for (int64_t i = 0; i < l->n; i++) {
		if (i > 0 && tpl_write(r, &r->held, &arg[0]) < 0)
			return -1;
		if (get_path(r, &l->at[i], &arg[1], &v) < 0 || tpl_write(r, &r->held, &v) < 0)
			return -1;
	}
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

BUILTIN(f_items)
{
	if (self->kind == V_UNDEFINED)
		return give_list(tpl_list_new(r, 0), LIST_ONCE, out);
	if (self->kind != V_DICT)
		return tpl_fail(r, "items of %s", tpl_kind(self));
	return tpl_items(r, self->dict, LIST_ONCE, out);
}

BUILTIN(f_sum)	/* attribute, start */
{
	struct list *l = tpl_iterate(r, self);
	struct value v, total = { .kind = V_INT };

	if (arg[1].kind != V_MISSING)
		total = arg[1];
	for (int64_t i = 0; l != NULL && i < l->n; i++)
		if (get_path(r, &l->at[i], &arg[0], &v) < 0 ||
		    tpl_binary(r, '+', &total, &v, &total) < 0)
			return -1;
	*out = total;
	return l != NULL ? 0 : -1;
}

/* The least for sign 1, the greatest for -1; of equal ones the first. */
static int
extreme(struct run *r, const struct value *self, const struct value *arg, int sign,
    struct value *out)
{
	struct list *l = tpl_iterate(r, self), *keys;
	int64_t best = 0;
	int order;

	if (l == NULL || (keys = keys_of(r, l, &arg[1], tpl_true(&arg[0]))) == NULL)
		return -1;
	for (int64_t i = 1; i < l->n; i++) {
		if (tpl_order(r, &keys->at[i], &keys->at[best], "<", &order) < 0 ||
		    tpl_work(r, 0) < 0)
			return -1;
		best = order * sign < 0 ? i : best;
	}
	*out = (struct value){ .kind = V_UNDEFINED, .s = S("an element of nothing") };
	if (l->n > 0)
		*out = l->at[best];
	return 0;
}

BUILTIN(f_min)
{
	return extreme(r, self, arg, 1, out);
}

BUILTIN(f_max)
{
	return extreme(r, self, arg, -1, out);
}

/* ---- map, and what chooses ---- */

/* As copy_of(); what is not true has none. */
static struct list *
elements(struct run *r, const struct value *v)
{
	return tpl_true(v) ? copy_of(r, v) : tpl_list_new(r, 0);
}

static const struct value *
named_arg(const struct args *args, str name)
{
	for (int64_t i = 0; i < args->n_named; i++)
		if (str_eq(args->named[i].name, name))
			return &args->named[i].value;
	return NULL;
}

/* map(attribute=..., default=...), or map('filter', arguments of it). */
BUILTIN(f_map)
{
	const struct value *path = named_arg(all, S("attribute")),
	    *otherwise = named_arg(all, S("default"));
	struct list *l = elements(r, self);
	const struct builtin *f = NULL;
	struct args rest = *all;
	int ret = 0;
	str name;

	if (l == NULL)
		return -1;
	if (all->n > 0) {
		if (tpl_arg_str(r, &all->at[0], "map", &name) < 0)
			return -1;
		if ((f = tpl_find_filter(name)) == NULL)
			return tpl_fail(r, "there is no filter '%.*s' here",
			    NAME_ARG(name));
		rest.at++;
		rest.n--;
	} else if (path == NULL) {
		return tpl_fail(r, "map needs a filter or an attribute");
	}
	for (int64_t i = 0; ret == 0 && i < l->n; i++) {
		struct value *v = &l->at[i];

		ret = f != NULL ? tpl_builtin(r, f, v, &rest, v) : get_path(r, v, path, v);
		if (ret == 0 && f == NULL && v->kind == V_UNDEFINED && otherwise != NULL)
			*v = *otherwise;
	}
	return ret < 0 ? -1 : give_list(l, LIST_ONCE, out);
}

/* Elements for which a test, or truth, of them or of an attribute is what is wanted. */
static int
choose(struct run *r, const struct value *self, const struct args *all, bool attribute,
    bool wanted, struct value *out)
{
	struct value nothing = { .kind = V_MISSING }, v, yes;
	const struct value *path = attribute && all->n > 0 ? &all->at[0] : &nothing;
	struct list *l = elements(r, self);
	struct args rest = { .at = all->at + attribute, .n = all->n - attribute };
	const struct builtin *test = NULL;
	int64_t n = 0;
	str name;

	if (l == NULL)
		return -1;
	if (rest.n < 0)
		return tpl_fail(r, "no attribute to choose by");
	if (rest.n > 0) {
		if (tpl_arg_str(r, &rest.at[0], "the name of a test", &name) < 0)
			return -1;
		if ((test = tpl_find_test(name)) == NULL)
			return tpl_fail(r, "there is no test '%.*s' here",
			    NAME_ARG(name));
		rest.at++;
		rest.n--;
	}
	for (int64_t i = 0; i < l->n; i++) {
		if (get_path(r, &l->at[i], path, &v) < 0)
			return -1;
		yes = v;
		if (test != NULL && tpl_builtin(r, test, &v, &rest, &yes) < 0)
			return -1;
		if (tpl_true(&yes) == wanted)
			l->at[n++] = l->at[i];
	}
	l->n = n;
	return give_list(l, LIST_ONCE, out);
}

BUILTIN(f_select)
{
	return choose(r, self, all, false, true, out);
}

BUILTIN(f_reject)
{
	return choose(r, self, all, false, false, out);
}

BUILTIN(f_selectattr)
{
	return choose(r, self, all, true, true, out);
}

BUILTIN(f_rejectattr)
{
	return choose(r, self, all, true, false, out);
}

/* ---- single values ---- */

BUILTIN(f_default)	/* default_value, boolean */
{
	*out = *self;
	if (self->kind == V_UNDEFINED || (tpl_true(&arg[1]) && !tpl_true(self)))
		*out = arg[0].kind != V_MISSING ? arg[0] : tpl_str_value(S(""));
	return 0;
}

BUILTIN(f_attr)	/* name */
{
	str name;

	if (tpl_arg_str(r, &arg[0], "attr", &name) < 0)
		return -1;
	return tpl_attribute(r, self, name, out);
}

BUILTIN(f_abs)
{
	return tpl_sign(r, tpl_is_number(self) && tpl_real(self) < 0, self, out);
}

/* A number in text, all of it but space around; false: there is none. */
static bool
text_number(str s, int64_t base, bool whole, struct value *out)
{
	struct value space = { .kind = V_MISSING };
	char digits[128], *end;

	s = tpl_strip(s, &space, true, true);
	if (s.n == 0 || s.n >= (ptrdiff_t)sizeof(digits) || (base != 16 &&
	    (memchr(s.p, 'x', (size_t)s.n) != NULL || memchr(s.p, 'X', (size_t)s.n) != NULL)))
		return false;
	memcpy(digits, s.p, (size_t)s.n);
	digits[s.n] = '\0';
	errno = 0;
	if (whole)
		*out = (struct value){ .kind = V_INT, .i = strtoll(digits, &end, (int)base) };
	else
		*out = (struct value){ .kind = V_FLOAT, .f = strtod(digits, &end) };
	return end == digits + s.n && (errno == 0 || !whole);
}

BUILTIN(f_int)	/* default, base */
{
	struct value v = *self;
	int64_t base = 10;

	if (tpl_arg_int(r, &arg[1], "int", &base) < 0)
		return -1;
	if (base < 2 || base > 36)
		return tpl_fail(r, "int to base %lld", (long long)base);
	if (self->kind == V_UNDEFINED)
		return tpl_undefined(r, self);
	*out = arg[0].kind != V_MISSING ? arg[0] : (struct value){ .kind = V_INT };
	if (self->kind == V_STR && text_number(self->s, base, true, out))
		return 0;
	if (self->kind == V_STR && !text_number(self->s, base, false, &v))
		return 0;
	if (v.kind == V_FLOAT && fabs(v.f) < 0x1p63)
		*out = (struct value){ .kind = V_INT, .i = (int64_t)v.f };
	else if (tpl_is_whole(&v))
		*out = (struct value){ .kind = V_INT, .i = tpl_whole(&v) };
	return 0;
}

BUILTIN(f_float)	/* default */
{
	struct value v;

	if (self->kind == V_UNDEFINED)
		return tpl_undefined(r, self);
	*out = arg[0].kind != V_MISSING ? arg[0] : (struct value){ .kind = V_FLOAT };
	if (tpl_is_number(self))
		*out = (struct value){ .kind = V_FLOAT, .f = tpl_real(self) };
	else if (self->kind == V_STR && text_number(self->s, 10, false, &v))
		*out = v;
	return 0;
}

BUILTIN(f_round)	/* precision, method */
{
	str method = S("common");
	int64_t n = 0;
	double x, scale;
	char digits[400];

	if (!tpl_is_number(self))
		return tpl_fail(r, "round of %s", tpl_kind(self));
	if (tpl_arg_int(r, &arg[0], "round", &n) < 0 ||
	    (arg[1].kind != V_MISSING && tpl_arg_str(r, &arg[1], "round", &method) < 0))
		return -1;
	if (n < -15 || n > 15)
		return tpl_fail(r, "round to %lld digits", (long long)n);
	if (tpl_work(r, FLOAT_WORK) < 0)
		return -1;
	x = tpl_real(self);
	scale = pow(10, (double)n);
	if (str_eq(method, S("ceil")) || str_eq(method, S("floor"))) {
		x = (str_eq(method, S("ceil")) ? ceil(x * scale) : floor(x * scale)) / scale;
	} else if (!str_eq(method, S("common"))) {
		return tpl_fail(r, "round is common, ceil or floor");
	} else if (tpl_is_whole(self) && n >= 0) {
		*out = (struct value){ .kind = V_INT, .i = tpl_whole(self) };
		return 0;
	} else if (n >= 0) {
		snprintf(digits, sizeof(digits), "%.*f", (int)n, x);
		x = strtod(digits, NULL);
	} else {
		x = nearbyint(x * scale) / scale;
	}
	*out = (struct value){ .kind = V_FLOAT, .f = x };
	if (tpl_is_whole(self) && str_eq(method, S("common")))
		*out = (struct value){ .kind = V_INT, .i = (int64_t)x };
	return 0;
}

static const struct builtin filters[] = {
	{ "sort", f_sort, "reverse case_sensitive attribute", 0 },
	{ "dictsort", f_dictsort, "case_sensitive by reverse", 0 },
	{ "unique", f_unique, "case_sensitive attribute", 0 },
	{ "list", f_list, "", 0 },
	{ "reverse", f_reverse, "", 0 },
	{ "first", f_first, "", 0 },
	{ "last", f_last, "", 0 },
	{ "length", f_length, "", 0 },
	{ "count", f_length, "", 0 },
	{ "join", f_join, "d attribute", 0 },
	{ "items", f_items, "", 0 },
	{ "sum", f_sum, "attribute start", 0 },
	{ "min", f_min, "case_sensitive attribute", 0 },
	{ "max", f_max, "case_sensitive attribute", 0 },
	{ "map", f_map, "*", 0 },
	{ "select", f_select, "*", 0 },
	{ "reject", f_reject, "*", 0 },
	{ "selectattr", f_selectattr, "*", 0 },
	{ "rejectattr", f_rejectattr, "*", 0 },
	{ "default", f_default, "default_value boolean", 0 },
	{ "d", f_default, "default_value boolean", 0 },
	{ "attr", f_attr, "name", 1 },
	{ "abs", f_abs, "", 0 },
	{ "int", f_int, "default base", 0 },
	{ "float", f_float, "default", 0 },
	{ "round", f_round, "precision method", 0 },
	{ NULL, NULL, NULL, 0 }
};

const struct builtin *
tpl_find_filter(str name)
{
	const struct builtin *f = tpl_find(filters, name);

	return f != NULL ? f : tpl_find(tpl_text_filters, name);
}
