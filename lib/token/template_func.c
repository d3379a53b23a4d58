/*
 * Tests, functions, and the methods of lists, dictionaries and loops.
 */
#include <stdio.h>

#include "token/template_run_impl.h"

static int
give_bool(bool b, struct value *out)
{
	*out = (struct value){ .kind = V_BOOL, .b = b };
	return 0;
}

/* ---- tests ---- */

BUILTIN(t_defined)
{
	return give_bool(self->kind != V_UNDEFINED, out);
}

BUILTIN(t_undefined)
{
	return give_bool(self->kind == V_UNDEFINED, out);
}

BUILTIN(t_none)
{
	return give_bool(self->kind == V_NONE, out);
}

BUILTIN(t_boolean)
{
	return give_bool(self->kind == V_BOOL, out);
}

BUILTIN(t_true)
{
	return give_bool(self->kind == V_BOOL && self->b, out);
}

BUILTIN(t_false)
{
	return give_bool(self->kind == V_BOOL && !self->b, out);
}

BUILTIN(t_integer)
{
	return give_bool(self->kind == V_INT, out);
}

BUILTIN(t_float)
{
	return give_bool(self->kind == V_FLOAT, out);
}

BUILTIN(t_number)
{
	return give_bool(tpl_is_number(self), out);
}

BUILTIN(t_string)
{
	return give_bool(self->kind == V_STR, out);
}

BUILTIN(t_mapping)
{
	return give_bool(self->kind == V_DICT, out);
}

BUILTIN(t_iterable)
{
	return give_bool(self->kind == V_STR || self->kind == V_LIST || self->kind == V_TUPLE ||
	    self->kind == V_DICT || self->kind == V_UNDEFINED, out);
}

BUILTIN(t_sequence)
{
	return give_bool(self->kind == V_STR || self->kind == V_TUPLE || self->kind == V_DICT ||
	    self->kind == V_UNDEFINED ||
	    (self->kind == V_LIST && self->list->is == LIST_WHOLE), out);
}

BUILTIN(t_callable)
{
	return give_bool(self->kind == V_FUNCTION || self->kind == V_MACRO, out);
}

/* Is the remainder by a number what it should be? */
static int
remainder_is(struct run *r, const struct value *self, const struct value *by, int64_t want,
    struct value *out)
{
	struct value v;

	if (tpl_binary(r, '%', self, by, &v) < 0)
		return -1;
	return give_bool(tpl_is_number(&v) && tpl_real(&v) == (double)want, out);
}

BUILTIN(t_even)
{
	return remainder_is(r, self, &(struct value){ .kind = V_INT, .i = 2 }, 0, out);
}

BUILTIN(t_odd)
{
	return remainder_is(r, self, &(struct value){ .kind = V_INT, .i = 2 }, 1, out);
}

BUILTIN(t_divisibleby)
{
	return remainder_is(r, self, &arg[0], 0, out);
}

static int
give_answer(int answer, struct value *out)
{
	return answer < 0 ? -1 : give_bool(answer, out);
}

BUILTIN(t_eq)
{
	return give_answer(tpl_equal(r, self, &arg[0]), out);
}

BUILTIN(t_ne)
{
	int same = tpl_equal(r, self, &arg[0]);

	return give_answer(same < 0 ? same : !same, out);
}

BUILTIN(t_in)
{
	return give_answer(tpl_contains(r, &arg[0], self), out);
}

BUILTIN(t_lt)
{
	int order;

	return tpl_order(r, self, &arg[0], "<", &order) < 0 ? -1 : give_bool(order < 0, out);
}

BUILTIN(t_le)
{
	int order;

	return tpl_order(r, self, &arg[0], "<=", &order) < 0 ? -1 : give_bool(order <= 0, out);
}

BUILTIN(t_gt)
{
	int order;

	return tpl_order(r, self, &arg[0], ">", &order) < 0 ? -1 : give_bool(order > 0, out);
}

BUILTIN(t_ge)
{
	int order;

	return tpl_order(r, self, &arg[0], ">=", &order) < 0 ? -1 : give_bool(order >= 0, out);
}

/* Python's `is': of the values that there is one of, and of containers. */
BUILTIN(t_sameas)
{
	if (self->kind != arg[0].kind)
		return give_bool(false, out);
	if (self->kind == V_LIST || self->kind == V_TUPLE)
		return give_bool(self->list == arg[0].list, out);
	if (self->kind == V_DICT)
		return give_bool(self->dict == arg[0].dict, out);
	return give_answer(tpl_equal(r, self, &arg[0]), out);
}

BUILTIN(t_filter)
{
	str name;

	if (tpl_arg_str(r, self, "a filter's name", &name) < 0)
		return -1;
	return give_bool(tpl_find_filter(name) != NULL, out);
}

BUILTIN(t_test)
{
	str name;

	if (tpl_arg_str(r, self, "a test's name", &name) < 0)
		return -1;
	return give_bool(tpl_find_test(name) != NULL, out);
}

static const struct builtin tests[] = {
	{ "defined", t_defined, "", 0 }, { "undefined", t_undefined, "", 0 },
	{ "none", t_none, "", 0 }, { "boolean", t_boolean, "", 0 }, { "true", t_true, "", 0 },
	{ "false", t_false, "", 0 }, { "integer", t_integer, "", 0 },
	{ "float", t_float, "", 0 }, { "number", t_number, "", 0 },
	{ "string", t_string, "", 0 }, { "mapping", t_mapping, "", 0 },
	{ "iterable", t_iterable, "", 0 }, { "sequence", t_sequence, "", 0 },
	{ "callable", t_callable, "", 0 }, { "even", t_even, "", 0 }, { "odd", t_odd, "", 0 },
	{ "divisibleby", t_divisibleby, "num", 1 }, { "eq", t_eq, "other", 1 },
	{ "equalto", t_eq, "other", 1 }, { "==", t_eq, "other", 1 }, { "ne", t_ne, "other", 1 },
	{ "!=", t_ne, "other", 1 }, { "in", t_in, "seq", 1 }, { "lt", t_lt, "other", 1 },
	{ "lessthan", t_lt, "other", 1 }, { "<", t_lt, "other", 1 }, { "le", t_le, "other", 1 },
	{ "<=", t_le, "other", 1 }, { "gt", t_gt, "other", 1 },
	{ "greaterthan", t_gt, "other", 1 }, { ">", t_gt, "other", 1 },
	{ "ge", t_ge, "other", 1 }, { ">=", t_ge, "other", 1 },
	{ "sameas", t_sameas, "other", 1 }, { "filter", t_filter, "", 0 },
	{ "test", t_test, "", 0 }, { NULL, NULL, NULL, 0 }
};

const struct builtin *
tpl_find_test(str name)
{
	const struct builtin *f = tpl_find(tests, name);

	return f != NULL ? f : tpl_find(tpl_case_tests, name);
}

/* ---- functions ---- */

BUILTIN(raise_exception)
{
	str s;

	return tpl_str(r, &arg[0], &s) < 0 ? -1 :
	    tpl_fail(r, "%.*s", (int)(s.n < 300 ? s.n : 300), s.p);
}

BUILTIN(strftime_now)
{
	char format[256], text[1024];
	str s;

	if (tpl_arg_str(r, &arg[0], "strftime_now", &s) < 0)
		return -1;
	if (r->now == NULL)
		return tpl_fail(r, "there is no time for strftime_now");
	if (s.n >= (ptrdiff_t)sizeof(format) || memchr(s.p, '\0', (size_t)s.n) != NULL)
		return tpl_fail(r, "a format of time that is too long");
	if (s.n > 0)
		memcpy(format, s.p, (size_t)s.n);
	format[s.n] = '\0';
	s.n = (ptrdiff_t)strftime(text, sizeof(text), format, r->now);
	*out = tpl_str_value(S(""));
	s.p = text;
	buf_add(&r->held, s);
	return tpl_held(r, r->held.n - s.n, &out->s);
}

BUILTIN(range)
{
	const int64_t most = 100000, far = (int64_t)1 << 60;
	int64_t part[3] = { 0, 0, 1 }, n;
	struct list *l;

	if (all->n < 1 || all->n > 3 || all->n_named > 0)
		return tpl_fail(r, "range takes one to three numbers");
	for (int64_t i = 0; i < all->n; i++)
		if (tpl_arg_int(r, &all->at[i], "range", &part[all->n == 1 ? 1 : i]) < 0)
			return -1;
	for (int i = 0; i < 3; i++)
		if (part[i] > far || part[i] < -far || part[2] == 0)
			return tpl_fail(r, "a range that cannot be walked through");
	n = (part[1] - part[0] + part[2] - (part[2] > 0 ? 1 : -1)) / part[2];
	if (n > most)
		return tpl_fail(r, "a range of more than %lld numbers", (long long)most);
	if ((l = tpl_list_new(r, n > 0 ? n : 0)) == NULL)
		return -1;
	for (int64_t i = 0; i < l->n; i++)
		l->at[i] = (struct value){ .kind = V_INT, .i = part[0] + i * part[2] };
	*out = tpl_list_value(l);
	return 0;
}

/* dict(other, name=value) and namespace(). */
static int
new_dict(struct run *r, const struct args *all, enum value_kind kind, struct value *out)
{
	struct dict *d = tpl_alloc(r, 1, sizeof(*d));

	if (d == NULL)
		return -1;
	if (all->n > 1 || (all->n == 1 && all->at[0].kind != V_DICT))
		return tpl_fail(r, "%s is made of one dict and names", kind == V_DICT ? "dict" :
		    "namespace");
	*d = (struct dict){ 0 };
	for (int64_t i = 0; all->n == 1 && i < all->at[0].dict->n; i++)
		if (tpl_dict_set(r, d, &all->at[0].dict->at[i].key,
		    &all->at[0].dict->at[i].value) < 0)
			return -1;
	for (int64_t i = 0; i < all->n_named; i++) {
		struct value key = tpl_str_value(all->named[i].name);

		if (tpl_dict_set(r, d, &key, &all->named[i].value) < 0)
			return -1;
	}
	*out = (struct value){ .kind = kind, .dict = d };
	return 0;
}

BUILTIN(dict)
{
	return new_dict(r, all, V_DICT, out);
}

BUILTIN(namespace)
{
	return new_dict(r, all, V_NAMESPACE, out);
}

const struct builtin tpl_functions[] = {
	{ "raise_exception", raise_exception, "message", 1 },
	{ "strftime_now", strftime_now, "format", 1 }, { "range", range, "*", 0 },
	{ "dict", dict, "*", 0 }, { "namespace", namespace, "*", 0 }, { NULL, NULL, NULL, 0 }
};

/* ---- methods ---- */

static int
give_view(struct list *l, struct value *out)
{
	if (l == NULL)
		return -1;
	l->is = LIST_VIEW;
	*out = tpl_list_value(l);
	return 0;
}

/* Tuples of a key and its value. */
int
tpl_items(struct run *r, const struct dict *d, enum list_is is, struct value *out)
{
	struct list *l = tpl_list_new(r, d->n);

	for (int64_t i = 0; l != NULL && i < d->n; i++) {
		struct list *two = tpl_list_new(r, 2);

		if (two == NULL)
			return -1;
		two->at[0] = d->at[i].key;
		two->at[1] = d->at[i].value;
		l->at[i] = (struct value){ .kind = V_TUPLE, .list = two };
	}
	if (l == NULL)
		return -1;
	l->is = is;
	*out = tpl_list_value(l);
	return 0;
}

BUILTIN(d_items)
{
	return tpl_items(r, self->dict, LIST_VIEW, out);
}

BUILTIN(d_keys)
{
	return give_view(tpl_iterate(r, self), out);
}

BUILTIN(d_values)
{
	struct list *l = tpl_list_new(r, self->dict->n);

	for (int64_t i = 0; l != NULL && i < l->n; i++)
		l->at[i] = self->dict->at[i].value;
	return give_view(l, out);
}

BUILTIN(d_get)	/* key, default */
{
	const struct value *v = tpl_dict_get(r, self->dict, &arg[0]);

	*out = v != NULL ? *v : arg[1];
	if (out->kind == V_MISSING)
		out->kind = V_NONE;
	return tpl_work(r, 0);
}

BUILTIN(same)
{
	*out = *self;
	return 0;
}

BUILTIN(l_index)
{
	for (int64_t i = 0; i < self->list->n; i++) {
		int equal = tpl_equal(r, &self->list->at[i], &arg[0]);

		if (equal < 0 || tpl_work(r, 0) < 0)
			return -1;
		if (equal == 1) {
			*out = (struct value){ .kind = V_INT, .i = i };
			return 0;
		}
	}
	return tpl_fail(r, "index of what is not in the list");
}

BUILTIN(l_count)
{
	int64_t n = 0;

	for (int64_t i = 0; i < self->list->n; i++) {
		int equal = tpl_equal(r, &self->list->at[i], &arg[0]);

		if (equal < 0 || tpl_work(r, 0) < 0)
			return -1;
		n += equal;
	}
	*out = (struct value){ .kind = V_INT, .i = n };
	return 0;
}

BUILTIN(loop_cycle)
{
	if (all->n == 0)
		return tpl_fail(r, "cycle needs values");
	*out = all->at[self->loop->i % all->n];
	return 0;
}

/* Another value than at the last call? */
BUILTIN(loop_changed)
{
	struct loop *loop = self->loop;
	struct list *now = tpl_list_new(r, all->n);
	struct value v = tpl_list_value(now);
	int same = 0;

	if (now == NULL)
		return -1;
	for (int64_t i = 0; i < all->n; i++)
		now->at[i] = all->at[i];
	if (loop->changed.kind == V_LIST && (same = tpl_equal(r, &loop->changed, &v)) < 0)
		return -1;
	loop->changed = v;
	return give_bool(!same, out);
}

/* Methods that would change a value are not here. */
static const struct builtin dict_methods[] = {
	{ "items", d_items, "", 0 }, { "keys", d_keys, "", 0 }, { "values", d_values, "", 0 },
	{ "get", d_get, "key default", 1 }, { "copy", same, "", 0 }, { NULL, NULL, NULL, 0 }
};

static const struct builtin list_methods[] = {
	{ "index", l_index, "value", 1 }, { "count", l_count, "value", 1 },
	{ "copy", same, "", 0 }, { NULL, NULL, NULL, 0 }
};

static const struct builtin loop_methods[] = {
	{ "cycle", loop_cycle, "*", 0 }, { "changed", loop_changed, "*", 0 },
	{ NULL, NULL, NULL, 0 }
};

const struct builtin *
tpl_find_method(const struct value *of, str name)
{
	switch (of->kind) {
	case V_STR:
		return tpl_find(tpl_str_methods, name);
	case V_DICT:
		return tpl_find(dict_methods, name);
	case V_LIST: case V_TUPLE:
		return of->list->is == LIST_WHOLE ? tpl_find(list_methods, name) : NULL;
	case V_LOOP:
		return tpl_find(loop_methods, name);
	default:
		return NULL;
	}
}
