#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "text/unicode.h"
#include "token/template_run_impl.h"

#define POOL	((ptrdiff_t)64 << 10)

int
tpl_fail(struct run *r, const char *fmt, ...)
{
	char why[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(r->err, ERR_FORMAT, "line %d: %s", r->line, why);
}

int
tpl_work(struct run *r, int64_t bytes)
{
	r->steps += 1 + bytes / 16;
	if (r->steps <= r->max_steps)
		return 0;
	return err_set(r->err, ERR_LIMIT, "line %d: more than %lld steps", r->line,
	    (long long)r->max_steps);
}

void *
tpl_alloc(struct run *r, int64_t n, ptrdiff_t size)
{
	ptrdiff_t bytes;
	char *p;

	if (n > r->max_memory || __builtin_mul_overflow(n, size, &bytes) ||
	    bytes > r->max_memory) {
		err_set(r->err, ERR_LIMIT, "line %d: out of memory: more than %td bytes needed",
		    r->line, r->max_memory);
		return NULL;
	}
	bytes = (bytes + 16) & -16;
	if (tpl_work(r, bytes) < 0)
		return NULL;
	if (bytes > r->pool_end - r->pool) {
		ptrdiff_t more = bytes > POOL ? bytes : POOL;

		if ((p = arena_alloc(&r->arena, more, 1, r->err)) == NULL) {
			err_wrap(r->err, "line %d", r->line);
			return NULL;
		}
		if (more > POOL)
			return p;
		r->pool = p;
		r->pool_end = p + more;
	}
	p = r->pool;
	r->pool += bytes;
	return p;
}

int
tpl_enter_value(struct run *r)
{
	if (r->depth >= TEMPLATE_DEPTH)
		return err_set(r->err, ERR_LIMIT, "line %d: nested more than %d deep", r->line,
		    TEMPLATE_DEPTH);
	r->depth++;
	return tpl_work(r, 0);
}

const char *
tpl_kind(const struct value *v)
{
	static const char *const name[] = {
		[V_MISSING] = "nothing", [V_UNDEFINED] = "undefined", [V_NONE] = "None",
		[V_BOOL] = "bool", [V_INT] = "int", [V_FLOAT] = "float", [V_STR] = "str",
		[V_LIST] = "list", [V_TUPLE] = "tuple", [V_DICT] = "dict",
		[V_NAMESPACE] = "namespace", [V_FUNCTION] = "function", [V_MACRO] = "macro",
		[V_LOOP] = "loop"
	};

	if (v->kind == V_LIST && v->list->is != LIST_WHOLE)
		return v->list->is == LIST_VIEW ? "view" : "iterator";
	return name[v->kind];
}

bool
tpl_is_number(const struct value *v)
{
	return v->kind == V_BOOL || v->kind == V_INT || v->kind == V_FLOAT;
}

bool
tpl_is_whole(const struct value *v)
{
	return v->kind == V_BOOL || v->kind == V_INT;
}

int64_t
tpl_whole(const struct value *v)
{
	return v->kind == V_BOOL ? v->b : v->i;
}

double
tpl_real(const struct value *v)
{
	return v->kind == V_FLOAT ? v->f : (double)tpl_whole(v);
}

bool
tpl_true(const struct value *v)
{
	switch (v->kind) {
	case V_MISSING: case V_UNDEFINED: case V_NONE:
		return false;
	case V_BOOL:
		return v->b;
	case V_INT:
		return v->i != 0;
	case V_FLOAT:
		return v->f != 0;
	case V_STR:
		return v->s.n > 0;
	case V_LIST: case V_TUPLE:
		return v->list->n > 0 || v->list->is == LIST_ONCE;
	case V_DICT:
		return v->dict->n > 0;
	case V_LOOP:
		return v->loop->list->n > 0;
	case V_NAMESPACE: case V_FUNCTION: case V_MACRO:
		break;
	}
	return true;
}

struct value
tpl_str_value(str s)
{
	return (struct value){ .kind = V_STR, .s = s };
}

struct value
tpl_list_value(struct list *l)
{
	return (struct value){ .kind = V_LIST, .list = l };
}

int
tpl_undefined(struct run *r, const struct value *v)
{
	if (v->attribute)
		return tpl_fail(r, "there is no attribute or item '%.*s'",
		    NAME_ARG(v->s));
	return tpl_fail(r, "'%.*s' is undefined", NAME_ARG(v->s));
}

/* ---- comparing ---- */

static int
equal_lists(struct run *r, const struct list *a, const struct list *b)
{
	int ret = a->n == b->n;

	if (tpl_enter_value(r) < 0)
		return -1;
	for (int64_t i = 0; ret == 1 && i < a->n; i++)
		ret = tpl_equal(r, &a->at[i], &b->at[i]);
	r->depth--;
	return ret;
}

static int
equal_dicts(struct run *r, const struct dict *a, const struct dict *b)
{
	int ret = a->n == b->n;

	if (tpl_enter_value(r) < 0)
		return -1;
	for (int64_t i = 0; ret == 1 && i < a->n; i++) {
		const struct value *other = tpl_dict_get(r, b, &a->at[i].key);

		if (tpl_work(r, 0) < 0)
			return -1;
		ret = other == NULL ? 0 : tpl_equal(r, &a->at[i].value, other);
	}
	r->depth--;
	return ret;
}

/* A whole number and a real one are compared as Python does: exactly. */
static int
order_numbers(const struct value *a, const struct value *b)
{
	if (a->kind != V_FLOAT && b->kind != V_FLOAT) {
		int64_t x = tpl_whole(a), y = tpl_whole(b);

		return (x > y) - (x < y);
	}
	if (a->kind == V_FLOAT && b->kind == V_FLOAT)
		return (a->f > b->f) - (a->f < b->f);
	if (a->kind == V_FLOAT)
		return -order_numbers(b, a);
	if (b->f >= 0x1p63)
		return -1;
	if (b->f < -0x1p63)
		return 1;
	if (tpl_whole(a) != (int64_t)b->f)
		return tpl_whole(a) > (int64_t)b->f ? 1 : -1;
	return (trunc(b->f) > b->f) - (trunc(b->f) < b->f);
}

static bool
is_nan(const struct value *v)
{
	return v->kind == V_FLOAT && isnan(v->f);
}

int
tpl_equal(struct run *r, const struct value *a, const struct value *b)
{
	if (tpl_is_number(a) && tpl_is_number(b))
		return !is_nan(a) && !is_nan(b) && order_numbers(a, b) == 0;
	if (a->kind != b->kind)
		return 0;
	switch (a->kind) {
	case V_STR:
		if (a->s.n == b->s.n && tpl_work(r, a->s.n) < 0)
			return -1;
		return str_eq(a->s, b->s);
	case V_LIST: case V_TUPLE:
		if (a->list == b->list)
			return 1;
		return a->list->is != LIST_WHOLE || b->list->is != LIST_WHOLE ? 0 :
		    equal_lists(r, a->list, b->list);
	case V_DICT:
		return equal_dicts(r, a->dict, b->dict);
	case V_NAMESPACE:
		return a->dict == b->dict;
	case V_MACRO:
		return a->macro == b->macro;
	case V_LOOP:
		return a->loop == b->loop;
	case V_FUNCTION:
		return a->builtin == b->builtin && a->of == b->of;
	default:
		return 1;
	}
}

static int
order_lists(struct run *r, const struct list *a, const struct list *b, const char *op, int *order)
{
	int64_t n = a->n < b->n ? a->n : b->n;
	int ret = 1;

	if (tpl_enter_value(r) < 0)
		return -1;
	*order = (a->n > b->n) - (a->n < b->n);
	for (int64_t i = 0; i < n; i++) {
		if ((ret = tpl_equal(r, &a->at[i], &b->at[i])) < 0)
			return -1;
		if (ret == 1)
			continue;
		if (tpl_order(r, &a->at[i], &b->at[i], op, order) < 0)
			return -1;
		break;
	}
	r->depth--;
	return 0;
}

/* The sign of a - b.  op is for the message. */
int
tpl_order(struct run *r, const struct value *a, const struct value *b, const char *op, int *order)
{
	if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
		return tpl_undefined(r, a->kind == V_UNDEFINED ? a : b);
	if (tpl_is_number(a) && tpl_is_number(b)) {
		*order = order_numbers(a, b);
		return 0;
	}
	if (a->kind == V_STR && b->kind == V_STR) {
		ptrdiff_t n = a->s.n < b->s.n ? a->s.n : b->s.n;
		int sign = n > 0 ? memcmp(a->s.p, b->s.p, (size_t)n) : 0;

		/* The order of UTF-8 is that of its characters. */
		*order = sign != 0 ? sign : (a->s.n > b->s.n) - (a->s.n < b->s.n);
		return tpl_work(r, n);
	}
	if ((a->kind == V_LIST || a->kind == V_TUPLE) && a->kind == b->kind)
		return order_lists(r, a->list, b->list, op, order);
	return tpl_fail(r, "'%s' is not between %s and %s", op, tpl_kind(a), tpl_kind(b));
}

int
tpl_contains(struct run *r, const struct value *in, const struct value *v)
{
	struct list *list;

	if (in->kind == V_STR) {
		if (v->kind == V_UNDEFINED)
			return tpl_undefined(r, v);
		if (v->kind != V_STR)
			return tpl_fail(r, "%s is not looked for in a str", tpl_kind(v));
		if (tpl_work(r, in->s.n) < 0)
			return -1;
		return tpl_find_text(in->s, v->s, 0) >= 0;
	}
	if (in->kind == V_DICT) {
		if (tpl_work(r, 0) < 0)
			return -1;
		return tpl_dict_get(r, in->dict, v) != NULL;
	}
	if ((list = tpl_iterate(r, in)) == NULL)
		return -1;
	for (int64_t i = 0; i < list->n; i++) {
		int same = tpl_equal(r, &list->at[i], v);

		if (same != 0 || tpl_work(r, 0) < 0)
			return same != 0 ? same : -1;
	}
	return 0;
}

/* ---- containers ---- */

int
tpl_length(struct run *r, const struct value *v, int64_t *n)
{
	*n = 0;
	switch (v->kind) {
	case V_UNDEFINED:
		return 0;
	case V_STR:
		*n = utf8_count(v->s);
		return tpl_work(r, v->s.n);
	case V_LIST: case V_TUPLE:
		if (v->list->is == LIST_ONCE)
			break;
		*n = v->list->n;
		return 0;
	case V_DICT:
		*n = v->dict->n;
		return 0;
	case V_LOOP:
		*n = v->loop->list->n;
		return 0;
	default:
		break;
	}
	return tpl_fail(r, "%s has no length", tpl_kind(v));
}

struct list *
tpl_list_new(struct run *r, int64_t n)
{
	struct list *l = tpl_alloc(r, 1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->n = n;
	l->at = tpl_alloc(r, n, sizeof(*l->at));
	return l->at != NULL ? l : NULL;
}

static struct list *
characters(struct run *r, str s)
{
	struct list *l = tpl_list_new(r, utf8_count(s));
	const char *p = s.p, *end = s.p + s.n;

	for (int64_t i = 0; l != NULL && i < l->n; i++) {
		const char *start = p;

		utf8_next(&p, end);
		l->at[i] = tpl_str_value((str){ start, p - start });
	}
	return l;
}

struct list *
tpl_iterate(struct run *r, const struct value *v)
{
	struct list *l;

	switch (v->kind) {
	case V_LIST: case V_TUPLE:
		if (v->list->is != LIST_ONCE)
			return v->list;
		if ((l = tpl_list_new(r, 0)) != NULL) {
			l->at = v->list->at;
			l->n = v->list->n;
			v->list->n = 0;
		}
		return l;
	case V_UNDEFINED:
		return tpl_list_new(r, 0);
	case V_STR:
		return characters(r, v->s);
	case V_DICT:
		l = tpl_list_new(r, v->dict->n);
		for (int64_t i = 0; l != NULL && i < l->n; i++)
			l->at[i] = v->dict->at[i].key;
		return l;
	default:
		tpl_fail(r, "%s cannot be walked through", tpl_kind(v));
		return NULL;
	}
}

static bool
is_key(const struct value *v)
{
	return v->kind == V_STR || v->kind == V_NONE || tpl_is_number(v);
}

/* NULL: not there.  The next tpl_work() tells when this took too many steps. */
const struct value *
tpl_dict_get(struct run *r, const struct dict *d, const struct value *key)
{
	r->steps += d->n / 4;
	for (int64_t i = 0; is_key(key) && i < d->n; i++) {
		const struct value *k = &d->at[i].key;

		if (k->kind == V_STR && key->kind == V_STR && k->s.n == key->s.n)
			r->steps += k->s.n / 16;
		if (k->kind == V_STR && key->kind == V_STR ? str_eq(k->s, key->s) :
		    tpl_equal(r, k, key) == 1)
			return &d->at[i].value;
	}
	return NULL;
}

int
tpl_dict_set(struct run *r, struct dict *d, const struct value *key, const struct value *v)
{
	struct value *there = (struct value *)tpl_dict_get(r, d, key);
	struct pair *more;

	if (!is_key(key))
		return tpl_fail(r, "%s is no key", tpl_kind(key));
	if (tpl_work(r, 0) < 0)
		return -1;
	if (there != NULL) {
		*there = *v;
		return 0;
	}
	if (d->n == d->cap) {
		int64_t cap = d->cap > 0 ? 2 * d->cap : 4;

		if ((more = tpl_alloc(r, cap, sizeof(*more))) == NULL)
			return -1;
		if (d->n > 0)
			memcpy(more, d->at, (size_t)d->n * sizeof(*more));
		d->at = more;
		d->cap = cap;
	}
	d->at[d->n++] = (struct pair){ *key, *v };
	return 0;
}

/* ---- parts of values ---- */

static int
loop_attribute(const struct loop *l, str name, struct value *out)
{
	const struct { const char *name; int64_t i; } number[] = {
		{ "index", l->i + 1 }, { "index0", l->i }, { "length", l->list->n },
		{ "revindex", l->list->n - l->i }, { "revindex0", l->list->n - l->i - 1 },
		{ "depth", l->depth }, { "depth0", l->depth - 1 },
	};

	for (size_t k = 0; k < sizeof(number) / sizeof(*number); k++)
		if (str_eq(name, str_of(number[k].name))) {
			*out = (struct value){ .kind = V_INT, .i = number[k].i };
			return 1;
		}
	if (str_eq(name, S("first")))
		*out = (struct value){ .kind = V_BOOL, .b = l->i == 0 };
	else if (str_eq(name, S("last")))
		*out = (struct value){ .kind = V_BOOL, .b = l->i == l->list->n - 1 };
	else if (str_eq(name, S("previtem")) && l->i > 0)
		*out = l->list->at[l->i - 1];
	else if (str_eq(name, S("nextitem")) && l->i + 1 < l->list->n)
		*out = l->list->at[l->i + 1];
	else
		return 0;
	return 1;
}

/* A method of this value; 0: it has none of this name. */
static int
method(struct run *r, const struct value *of, str name, struct value *out)
{
	const struct builtin *b = tpl_find_method(of, name);
	struct value *self;

	if (b == NULL)
		return 0;
	if (of->kind == V_STR && of->safe)
		return tpl_fail(r, "'%.*s' of text marked as safe is not supported",
		    NAME_ARG(name));
	if ((self = tpl_alloc(r, 1, sizeof(*self))) == NULL)
		return -1;
	*self = *of;
	*out = (struct value){ .kind = V_FUNCTION };
	out->builtin = b;
	out->of = self;
	return 1;
}

static void
nothing(str name, struct value *out)
{
	*out = (struct value){ .kind = V_UNDEFINED, .attribute = true, .s = name };
}

/* An element by a number; false: there is none. */
static int
element(struct run *r, const struct value *of, int64_t i, struct value *out)
{
	int64_t n;
	str c;

	if (of->kind == V_STR) {
		if (tpl_length(r, of, &n) < 0)
			return -1;
		i += i < 0 ? n : 0;
		if (i < 0 || i >= n || tpl_char(of->s, i, &c) == 0)
			return 0;
		*out = tpl_str_value(c);
		out->safe = of->safe;
		return 1;
	}
	if ((of->kind != V_LIST && of->kind != V_TUPLE) || of->list->is != LIST_WHOLE)
		return 0;
	i += i < 0 ? of->list->n : 0;
	if (i < 0 || i >= of->list->n)
		return 0;
	*out = of->list->at[i];
	return 1;
}

static int
lookup(struct run *r, const struct value *of, const struct value *key, struct value *out)
{
	const struct value *v = NULL;

	if (of->kind == V_DICT || of->kind == V_NAMESPACE) {
		if (tpl_work(r, 0) < 0)
			return -1;
		if ((v = tpl_dict_get(r, of->dict, key)) != NULL)
			*out = *v;
		return v != NULL;
	}
	return tpl_is_whole(key) ? element(r, of, tpl_whole(key), out) : 0;
}

int
tpl_attribute(struct run *r, const struct value *of, str name, struct value *out)
{
	struct value key = tpl_str_value(name), result;
	int found;

	if (of->kind == V_UNDEFINED)
		return tpl_undefined(r, of);
	found = method(r, of, name, &result);
	if (found == 0 && of->kind == V_LOOP)
		found = loop_attribute(of->loop, name, &result);
	if (found == 0)
		found = lookup(r, of, &key, &result);
	if (found == 0)
		nothing(name, &result);
	*out = result;
	return found < 0 ? -1 : 0;
}

int
tpl_item(struct run *r, const struct value *of, const struct value *key, struct value *out)
{
	struct value result;
	int found;

	if (of->kind == V_UNDEFINED)
		return tpl_undefined(r, of);
	found = lookup(r, of, key, &result);
	if (found == 0 && key->kind == V_STR)
		return tpl_attribute(r, of, key->s, out);
	if (found == 0)
		nothing(S("[...]"), &result);
	*out = result;
	return found < 0 ? -1 : 0;
}

/* ---- from JSON ---- */

static int
array_value(struct run *r, const json_t *j, struct value *out)
{
	struct list *l = tpl_list_new(r, (int64_t)json_array_size(j));

	if (l == NULL)
		return -1;
	for (int64_t i = 0; i < l->n; i++) {
		if (j == r->messages)
			r->who = (uint8_t)template_who(i);
		if (tpl_from_json(r, S(""), json_array_get(j, (size_t)i), &l->at[i]) < 0)
			return -1;
	}
	*out = tpl_list_value(l);
	return 0;
}

static int
object_value(struct run *r, const json_t *j, struct value *out)
{
	struct dict *d = tpl_alloc(r, 1, sizeof(*d));
	const char *key;
	json_t *v;

	if (d == NULL)
		return -1;
	d->cap = (int64_t)json_object_size(j);
	if ((d->at = tpl_alloc(r, d->cap, sizeof(*d->at))) == NULL)
		return -1;
	json_object_foreach((json_t *)j, key, v) {
		struct pair *p = &d->at[d->n++];

		if (tpl_said(r, S(""), str_of(key), &p->key) < 0 ||
		    tpl_from_json(r, p->key.s, v, &p->value) < 0)
			return -1;
	}
	*out = (struct value){ .kind = V_DICT, .dict = d };
	return 0;
}

/* NULL is none.  Strings stay where they are, unless they are marked. */
int
tpl_from_json(struct run *r, str key, const json_t *j, struct value *out)
{
	int ret;

	*out = (struct value){ .kind = V_NONE };
	if (j == NULL || json_is_null(j))
		return 0;
	if (json_is_boolean(j))
		*out = (struct value){ .kind = V_BOOL, .b = json_is_true(j) };
	else if (json_is_integer(j))
		*out = (struct value){ .kind = V_INT, .i = json_integer_value(j) };
	else if (json_is_real(j))
		*out = (struct value){ .kind = V_FLOAT, .f = json_real_value(j) };
	else if (json_is_string(j))
		return tpl_said(r, key, (str){ json_string_value(j),
		    (ptrdiff_t)json_string_length(j) }, out);
	else {
		if (tpl_enter_value(r) < 0)
			return -1;
		ret = json_is_array(j) ? array_value(r, j, out) : object_value(r, j, out);
		r->depth--;
		return ret;
	}
	return 0;
}
