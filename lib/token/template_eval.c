#include "token/template_run_impl.h"

const struct builtin *
tpl_find(const struct builtin *table, str name)
{
	for (; table->name != NULL; table++)
		if (str_eq(name, str_of(table->name)))
			return table;
	return NULL;
}

int
tpl_set(struct run *r, struct frame *f, str name, const struct value *v)
{
	struct value key = tpl_str_value(name);

	return tpl_dict_set(r, &f->names, &key, v);
}

static int
variable(struct run *r, str name, struct value *out)
{
	struct value key = tpl_str_value(name);
	const struct value *v = NULL;
	const struct builtin *f;

	for (struct frame *at = r->frame; v == NULL && at != NULL; at = at->up) {
		if (tpl_work(r, 0) < 0)
			return -1;
		v = tpl_dict_get(r, &at->names, &key);
	}
	if (v != NULL) {
		*out = *v;
		return 0;
	}
	*out = (struct value){ .kind = V_UNDEFINED, .s = name };
	if ((f = tpl_find(tpl_functions, name)) != NULL) {
		*out = (struct value){ .kind = V_FUNCTION };
		out->builtin = f;
		out->of = NULL;
	}
	return 0;
}

/* ---- calls ---- */

/* The arguments of a call, evaluated. */
static int
arguments(struct run *r, const struct node *list, struct args *args)
{
	*args = (struct args){ 0 };
	for (const struct node *n = list; n != NULL; n = n->next)
		*(n->kind == E_KEYWORD ? &args->n_named : &args->n) += 1;
	if ((args->at = tpl_alloc(r, args->n, sizeof(*args->at))) == NULL ||
	    (args->named = tpl_alloc(r, args->n_named, sizeof(*args->named))) == NULL)
		return -1;
	args->n = args->n_named = 0;
	for (const struct node *n = list; n != NULL; n = n->next) {
		struct named *named = &args->named[args->n_named];

		if (n->kind != E_KEYWORD) {
			if (tpl_eval(r, n, &args->at[args->n++]) < 0)
				return -1;
			continue;
		}
		named->name = n->text;
		if (tpl_eval(r, n->a, &named->value) < 0)
			return -1;
		args->n_named++;
	}
	return 0;
}

/* Where the argument of this name goes, or -1. */
static int
parameter(const char *params, str name)
{
	str rest = str_of(params);

	for (int i = 0; rest.n > 0; i++)
		if (str_eq(str_cut(&rest, ' '), name))
			return i;
	return -1;
}

int
tpl_builtin(struct run *r, const struct builtin *f, const struct value *self,
    const struct args *args, struct value *out)
{
	struct value arg[PARAMS] = { { .kind = V_MISSING } }, none = { .kind = V_UNDEFINED };
	int most = f->params[0] != '\0';

	self = self != NULL ? self : &none;
	if (f->params[0] == '*')
		return f->fn(r, self, arg, args, out);
	for (const char *p = f->params; *p != '\0'; p++)
		most += *p == ' ';
	if (args->n > most)
		return tpl_fail(r, "%s takes at most %d arguments", f->name, most);
	for (int64_t i = 0; i < args->n; i++)
		arg[i] = args->at[i];
	for (int64_t i = 0; i < args->n_named; i++) {
		str name = args->named[i].name;
		int at = parameter(f->params, name);

		if (at < 0 || arg[at].kind != V_MISSING)
			return tpl_fail(r, "%s takes no argument '%.*s' there", f->name,
			    NAME_ARG(name));
		arg[at] = args->named[i].value;
	}
	for (int i = 0; i < f->must; i++)
		if (arg[i].kind == V_MISSING)
			return tpl_fail(r, "%s needs %d argument%s", f->name, f->must,
			    f->must > 1 ? "s" : "");
	return f->fn(r, self, arg, args, out);
}

int
tpl_call(struct run *r, const struct value *f, const struct args *args, struct value *out)
{
	if (f->kind == V_UNDEFINED)
		return tpl_undefined(r, f);
	if (f->kind == V_MACRO)
		return tpl_macro(r, f->macro, args, out);
	if (f->kind == V_LOOP)
		return tpl_fail(r, "recursive loops are not supported");
	if (f->kind != V_FUNCTION)
		return tpl_fail(r, "%s cannot be called", tpl_kind(f));
	return tpl_builtin(r, f->builtin, f->of, args, out);
}

/* f with the arguments that stand in the call n. */
int
tpl_call_node(struct run *r, const struct value *f, const struct node *n, struct value *out)
{
	struct args args;

	if (arguments(r, n->b, &args) < 0)
		return -1;
	r->line = n->line;
	return tpl_call(r, f, &args, out);
}

static int
call(struct run *r, const struct node *n, struct value *out)
{
	struct value f;

	return tpl_eval(r, n->a, &f) < 0 ? -1 : tpl_call_node(r, &f, n, out);
}

/* A filter or a test of a value. */
static int
apply(struct run *r, const struct node *n, const struct value *of, struct value *out)
{
	struct args args;

	if (n->builtin == NULL)
		return tpl_fail(r, "there is no %s '%.*s' here",
		    n->kind == E_TEST ? "test" : "filter", NAME_ARG(n->text));
	if (arguments(r, n->b, &args) < 0)
		return -1;
	r->line = n->line;
	return tpl_builtin(r, n->builtin, of, &args, out);
}

/* Filters whose first has no value of its own. */
int
tpl_filter_chain(struct run *r, const struct node *n, const struct value *of, struct value *out)
{
	struct value v = *of;
	int ret;

	if (n->a != NULL) {
		if (tpl_enter_value(r) < 0)
			return -1;
		ret = tpl_filter_chain(r, n->a, of, &v);
		r->depth--;
		if (ret < 0)
			return -1;
	}
	return apply(r, n, &v, out);
}

/* ---- expressions ---- */

static int
sequence(struct run *r, const struct node *n, struct value *out)
{
	struct list *l;
	int64_t count = 0;

	for (const struct node *e = n->a; e != NULL; e = e->next)
		count++;
	if ((l = tpl_list_new(r, count)) == NULL)
		return -1;
	count = 0;
	for (const struct node *e = n->a; e != NULL; e = e->next)
		if (tpl_eval(r, e, &l->at[count++]) < 0)
			return -1;
	*out = (struct value){ .kind = n->kind == E_LIST ? V_LIST : V_TUPLE, .list = l };
	return 0;
}

static int
dictionary(struct run *r, const struct node *n, struct value *out)
{
	struct dict *d = tpl_alloc(r, 1, sizeof(*d));
	struct value key, v;

	if (d == NULL)
		return -1;
	for (const struct node *e = n->a; e != NULL; e = e->next)
		if (tpl_eval(r, e->a, &key) < 0 || tpl_eval(r, e->b, &v) < 0 ||
		    tpl_dict_set(r, d, &key, &v) < 0)
			return -1;
	*out = (struct value){ .kind = V_DICT, .dict = d };
	return 0;
}

static int
slice(struct run *r, const struct node *n, struct value *out)
{
	const struct node *const at[] = { n->b, n->c, n->other };
	struct value of, part[3];

	if (tpl_eval(r, n->a, &of) < 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		part[i].kind = V_MISSING;
		if (at[i] != NULL && tpl_eval(r, at[i], &part[i]) < 0)
			return -1;
	}
	return tpl_slice(r, &of, part, out);
}

static int
concat(struct run *r, const struct node *n, struct value *out)
{
	ptrdiff_t from = r->held.n;
	struct value v;

	for (const struct node *e = n->a; e != NULL; e = e->next)
		if (tpl_eval(r, e, &v) < 0 || tpl_write(r, &r->held, &v) < 0)
			return -1;
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

/* 1, 0, or -1. */
static int
compare_two(struct run *r, int op, const struct value *a, const struct value *b)
{
	static const char *const name[] = { "<", "<=", ">", ">=" };
	int i = op == '<' ? 0 : op == T_LE ? 1 : op == '>' ? 2 : 3, order, same;

	if (op == T_EQ || op == T_NE) {
		same = tpl_equal(r, a, b);
		return same < 0 || op == T_EQ ? same : !same;
	}
	if (op == T_IN || op == T_NOTIN) {
		same = tpl_contains(r, b, a);
		return same < 0 || op == T_IN ? same : !same;
	}
	if (tpl_order(r, a, b, name[i], &order) < 0)
		return -1;
	if (tpl_is_number(a) && tpl_is_number(b) &&
	    (tpl_real(a) != tpl_real(a) || tpl_real(b) != tpl_real(b)))
		return 0;
	return i == 0 ? order < 0 : i == 1 ? order <= 0 : i == 2 ? order > 0 : order >= 0;
}

static int
compare(struct run *r, const struct node *n, struct value *out)
{
	struct value a, b;
	int ret = 1;

	if (tpl_eval(r, n->a, &a) < 0)
		return -1;
	for (const struct node *e = n->b; ret == 1 && e != NULL; e = e->next) {
		if (tpl_eval(r, e->a, &b) < 0)
			return -1;
		r->line = e->line;
		ret = compare_two(r, e->op, &a, &b);
		a = b;
	}
	*out = (struct value){ .kind = V_BOOL, .b = ret == 1 };
	return ret < 0 ? -1 : 0;
}

static int
eval_two(struct run *r, const struct node *n, struct value *out)
{
	struct value a, b;

	if (tpl_eval(r, n->a, &a) < 0)
		return -1;
	if (n->kind == E_AND || n->kind == E_OR) {
		if (tpl_true(&a) == (n->kind == E_AND))
			return tpl_eval(r, n->b, out);
		*out = a;
		return 0;
	}
	if (tpl_eval(r, n->b, &b) < 0)
		return -1;
	r->line = n->line;
	return n->kind == E_ITEM ? tpl_item(r, &a, &b, out) : tpl_binary(r, n->op, &a, &b, out);
}

static int
eval_one(struct run *r, const struct node *n, struct value *out)
{
	struct value a;

	if (tpl_eval(r, n->a, &a) < 0)
		return -1;
	r->line = n->line;
	switch (n->kind) {
	case E_ATTR:
		return tpl_attribute(r, &a, n->text, out);
	case E_FILTER: case E_TEST:
		return apply(r, n, &a, out);
	case E_NOT:
		*out = (struct value){ .kind = V_BOOL, .b = !tpl_true(&a) };
		return 0;
	case E_COND:
		if (tpl_true(&a))
			return tpl_eval(r, n->b, out);
		if (n->c != NULL)
			return tpl_eval(r, n->c, out);
		*out = (struct value){ .kind = V_UNDEFINED, .s = S("if without else") };
		return 0;
	default:
		return tpl_sign(r, n->kind == E_NEG, &a, out);
	}
}

static int
eval(struct run *r, const struct node *n, struct value *out)
{
	switch (n->kind) {
	case E_STR:
		*out = tpl_str_value(n->text);
		return 0;
	case E_INT:
		*out = (struct value){ .kind = V_INT, .i = n->i };
		return 0;
	case E_FLOAT:
		*out = (struct value){ .kind = V_FLOAT, .f = n->f };
		return 0;
	case E_BOOL:
		*out = (struct value){ .kind = V_BOOL, .b = n->i != 0 };
		return 0;
	case E_NONE:
		*out = (struct value){ .kind = V_NONE };
		return 0;
	case E_NAME:
		return variable(r, n->text, out);
	case E_LIST: case E_TUPLE:
		return sequence(r, n, out);
	case E_DICT:
		return dictionary(r, n, out);
	case E_SLICE:
		return slice(r, n, out);
	case E_CALL:
		return call(r, n, out);
	case E_CONCAT:
		return concat(r, n, out);
	case E_COMPARE:
		return compare(r, n, out);
	case E_ITEM: case E_BINARY: case E_AND: case E_OR:
		return eval_two(r, n, out);
	default:
		return eval_one(r, n, out);
	}
}

int
tpl_eval(struct run *r, const struct node *n, struct value *out)
{
	int ret;

	r->line = n->line;
	if (tpl_enter_value(r) < 0)
		return -1;
	ret = eval(r, n, out);
	r->depth--;
	return ret;
}
