#include <stdlib.h>

#include "token/template_run_impl.h"

/* How a statement ends. */
enum { NEXT, BREAK, CONTINUE };

static int exec_body(struct run *r, const struct node *n);

/* Begin a frame over up; what it is put into is given back by leave(). */
static struct frame *
enter(struct run *r, struct frame *f, struct frame *up)
{
	struct frame *before = r->frame;

	*f = (struct frame){ .up = up };
	r->frame = f;
	return before;
}

/* ---- output ---- */

static int
write_out(struct run *r, const struct value *v)
{
	struct buf *b = r->capture > 0 ? &r->held : r->out;

	if (tpl_write(r, b, v) < 0)
		return -1;
	if (r->out->n - r->start > r->max_text)
		return tpl_fail(r, "more than %td bytes of text", r->max_text);
	return 0;
}

/* What a body writes in frame f. */
static int
captured(struct run *r, const struct node *body, struct frame *f, str *s)
{
	struct frame *before = r->frame;
	ptrdiff_t from = r->held.n;
	int ret;

	r->frame = f;
	r->capture++;
	ret = exec_body(r, body);
	r->capture--;
	r->frame = before;
	return ret < 0 ? -1 : tpl_held(r, from, s);
}

/* ---- assignment ---- */

static int
assign(struct run *r, const struct node *target, const struct value *v)
{
	struct value of, key;
	struct list *list;
	int64_t i = 0;
	int ret = 0;

	if (target->kind == E_NAME)
		return tpl_set(r, r->frame, target->text, v);
	if (target->kind == E_ATTR) {
		if (tpl_eval(r, target->a, &of) < 0)
			return -1;
		if (of.kind != V_NAMESPACE)
			return tpl_fail(r, "'%.*s' is no namespace", NAME_ARG(target->a->text));
		key = tpl_str_value(target->text);
		return tpl_dict_set(r, of.dict, &key, v);
	}
	if ((list = tpl_iterate(r, v)) == NULL || tpl_enter_value(r) < 0)
		return -1;
	for (const struct node *n = target->a; ret == 0 && n != NULL; n = n->next, i++)
		ret = i < list->n ? assign(r, n, &list->at[i]) : -2;
	r->depth--;
	if (ret == -2 || (ret == 0 && i != list->n))
		return tpl_fail(r, "%lld values for another number of names",
		    (long long)list->n);
	return ret;
}

/* ---- macros ---- */

static int
bind(struct run *r, const struct macro *m, const struct args *args, struct frame *f)
{
	int64_t i = 0, used = 0;

	for (const struct node *p = m->node->kind == N_MACRO ? m->node->a : m->node->b; p != NULL;
	    p = p->next, i++) {
		struct value v = { .kind = V_UNDEFINED, .s = p->text };
		bool given = i < args->n;

		if (given)
			v = args->at[i];
		for (int64_t k = 0; k < args->n_named; k++)
			if (str_eq(args->named[k].name, p->text)) {
				if (given)
					return tpl_fail(r, "'%.*s' is given twice",
					    NAME_ARG(p->text));
				v = args->named[k].value;
				given = true;
				used++;
			}
		if (!given && p->a != NULL && tpl_eval(r, p->a, &v) < 0)
			return -1;
		if (tpl_set(r, f, p->text, &v) < 0)
			return -1;
	}
	if (i < args->n || used < args->n_named)
		return tpl_fail(r, "more arguments than the macro '%.*s' takes",
		    NAME_ARG(m->node->text));
	return 0;
}

int
tpl_macro(struct run *r, const struct macro *m, const struct args *args, struct value *out)
{
	struct frame *f = tpl_alloc(r, 1, sizeof(*f)), *before;
	int line = r->line, ret;

	if (f == NULL || tpl_enter_value(r) < 0)
		return -1;
	before = enter(r, f, m->frame);
	ret = bind(r, m, args, f);
	if (ret == 0 && m->caller != NULL)
		ret = tpl_set(r, f, S("caller"), m->caller);
	*out = tpl_str_value(S(""));
	if (ret == 0)
		ret = captured(r, m->node->body, f, &out->s);
	r->frame = before;
	r->depth--;
	r->line = ret < 0 ? r->line : line;
	return ret;
}

static int
new_macro(struct run *r, const struct node *n, struct value *out)
{
	struct macro *m = tpl_alloc(r, 1, sizeof(*m));

	if (m == NULL)
		return -1;
	*m = (struct macro){ .node = n, .frame = r->frame };
	*out = (struct value){ .kind = V_MACRO, .macro = m };
	return 0;
}

/* {% call %}: the macro that is called has the block as caller(). */
static int
exec_call(struct run *r, const struct node *n)
{
	struct value f, result, *block = tpl_alloc(r, 1, sizeof(*block));
	struct macro with;

	if (block == NULL || new_macro(r, n, block) < 0 || tpl_eval(r, n->a->a, &f) < 0)
		return -1;
	if (f.kind != V_MACRO)
		return tpl_fail(r, "only a macro is called with a block");
	with = *f.macro;
	with.caller = block;
	f.macro = &with;
	return tpl_call_node(r, &f, n->a, &result) < 0 ? -1 : write_out(r, &result);
}

/* ---- loops ---- */

/* Those elements for which the condition holds, in a frame of its own. */
static struct list *
chosen(struct run *r, const struct node *n, struct list *all)
{
	struct list *some = tpl_list_new(r, all->n);
	struct frame *f = tpl_alloc(r, 1, sizeof(*f)), *before;
	struct value v;

	if (some == NULL || f == NULL)
		return NULL;
	some->n = 0;
	before = enter(r, f, r->frame);
	for (int64_t i = 0; i < all->n; i++) {
		if (assign(r, n->a, &all->at[i]) < 0 || tpl_eval(r, n->c, &v) < 0)
			return NULL;
		if (tpl_true(&v))
			some->at[some->n++] = all->at[i];
	}
	r->frame = before;
	return some;
}

static int
exec_for(struct run *r, const struct node *n)
{
	struct frame *f = tpl_alloc(r, 1, sizeof(*f)), *before;
	struct loop *loop = tpl_alloc(r, 1, sizeof(*loop));
	struct value over, v = { .kind = V_LOOP, .loop = loop };
	int ret = NEXT;

	if (f == NULL || loop == NULL || tpl_eval(r, n->b, &over) < 0)
		return -1;
	*loop = (struct loop){ .list = tpl_iterate(r, &over), .depth = ++r->loops };
	if (loop->list == NULL ||
	    (n->c != NULL && (loop->list = chosen(r, n, loop->list)) == NULL))
		return -1;
	before = enter(r, f, r->frame);
	for (; loop->i < loop->list->n && ret >= 0 && ret != BREAK; loop->i++) {
		f->names.n = 0;
		if (tpl_work(r, 0) < 0 || assign(r, n->a, &loop->list->at[loop->i]) < 0 ||
		    tpl_set(r, f, S("loop"), &v) < 0)
			return -1;
		ret = exec_body(r, n->body);
	}
	f->names.n = 0;
	if (ret >= 0 && loop->list->n == 0)
		ret = exec_body(r, n->other);
	else
		ret = ret < 0 ? ret : NEXT;
	r->frame = before;
	r->loops--;
	return ret;
}

/* ---- the other statements ---- */

static int
exec_if(struct run *r, const struct node *n)
{
	struct value v;

	for (; n != NULL; n = n->other) {
		r->line = n->line;
		if (n->a != NULL && tpl_eval(r, n->a, &v) < 0)
			return -1;
		if (n->a == NULL || tpl_true(&v))
			return exec_body(r, n->body);
	}
	return NEXT;
}

/* A body whose text is filtered or marked, or becomes a value. */
static int
exec_block(struct run *r, const struct node *n)
{
	struct frame *f = tpl_alloc(r, 1, sizeof(*f));
	struct value v = tpl_str_value(S(""));
	ptrdiff_t start = r->out->n - r->start;

	if (f == NULL)
		return -1;
	*f = (struct frame){ .up = r->frame };
	if (captured(r, n->body, f, &v.s) < 0 ||
	    (n->b != NULL && tpl_filter_chain(r, n->b, &v, &v) < 0))
		return -1;
	if (n->kind == N_SET_BLOCK)
		return assign(r, n->a, &v);
	if (n->kind == N_GENERATION && r->found != NULL &&
	    tpl_add_span(&r->found->answers, start, start + v.s.n, 0, r->err) < 0)
		return -1;
	return write_out(r, &v);
}

static int
exec_with(struct run *r, const struct node *n)
{
	struct frame *f = tpl_alloc(r, 1, sizeof(*f)), *before = r->frame;
	struct value v;
	int ret;

	if (f == NULL)
		return -1;
	*f = (struct frame){ .up = before };
	for (const struct node *set = n->a; set != NULL; set = set->next) {
		/* All values are those outside. */
		if (tpl_eval(r, set->b, &v) < 0)
			return -1;
		r->frame = f;
		ret = assign(r, set->a, &v);
		r->frame = before;
		if (ret < 0)
			return -1;
	}
	r->frame = f;
	ret = exec_body(r, n->body);
	r->frame = before;
	return ret;
}

static int
exec(struct run *r, const struct node *n)
{
	struct value v = tpl_str_value(n->text);

	r->line = n->line;
	switch (n->kind) {
	case N_TEXT:
		return write_out(r, &v);
	case N_OUT:
		return tpl_eval(r, n->a, &v) < 0 ? -1 : write_out(r, &v);
	case N_FOR:
		return exec_for(r, n);
	case N_IF:
		return exec_if(r, n);
	case N_SET:
		return tpl_eval(r, n->b, &v) < 0 ? -1 : assign(r, n->a, &v);
	case N_MACRO:
		return new_macro(r, n, &v) < 0 ? -1 : tpl_set(r, r->frame, n->text, &v);
	case N_CALL_BLOCK:
		return exec_call(r, n);
	case N_WITH:
		return exec_with(r, n);
	case N_BREAK:
		return BREAK;
	case N_CONTINUE:
		return CONTINUE;
	default:
		return exec_block(r, n);
	}
}

static int
exec_body(struct run *r, const struct node *n)
{
	int ret = NEXT;

	if (tpl_enter_value(r) < 0)
		return -1;
	for (; ret == NEXT && n != NULL; n = n->next)
		ret = exec(r, n);
	r->depth--;
	return ret;
}

/* ---- the whole ---- */

int
tpl_add_span(struct template_spans *s, ptrdiff_t start, ptrdiff_t end, int who, struct err *err)
{
	if (s->n == s->cap) {
		ptrdiff_t cap = s->cap > 0 ? 2 * s->cap : 8;
		struct template_span *more = realloc(s->at, (size_t)cap * sizeof(*more));

		if (more == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s->at = more;
		s->cap = cap;
	}
	s->at[s->n++] = (struct template_span){ start, end, who };
	return 0;
}

void
template_marks_free(struct template_marks *m)
{
	free(m->answers.at);
	free(m->said.at);
	*m = (struct template_marks){ 0 };
}

static int
variables(struct run *r, const struct template_input *in)
{
	const struct { str name; const json_t *json; } from[] = {
		{ S("messages"), in->messages }, { S("tools"), in->tools },
		{ S("documents"), in->documents },
	};
	const struct { str name, text; } token[] = {
		{ S("bos_token"), in->bos }, { S("eos_token"), in->eos },
	};
	struct value v = { .kind = V_BOOL, .b = in->prompt };
	const char *key;
	json_t *json;

	if (tpl_set(r, r->frame, S("add_generation_prompt"), &v) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(from) / sizeof(*from); i++) {
		if (tpl_from_json(r, S(""), from[i].json, &v) < 0 ||
		    tpl_set(r, r->frame, from[i].name, &v) < 0)
			return -1;
		r->who = TEMPLATE_OTHER;
	}
	for (size_t i = 0; i < sizeof(token) / sizeof(*token); i++) {
		v = tpl_str_value(token[i].text);
		if (v.s.p != NULL && tpl_set(r, r->frame, token[i].name, &v) < 0)
			return -1;
	}
	json_object_foreach((json_t *)in->more, key, json)
		if (tpl_from_json(r, S(""), json, &v) < 0 ||
		    tpl_set(r, r->frame, str_of(key), &v) < 0)
			return -1;
	return 0;
}

/* What a rendering may be given for: bytes of text, and 16 for each value. */
static int64_t
json_size(const json_t *j)
{
	int64_t n = 16 + (int64_t)json_string_length(j);
	const char *key;
	json_t *v;
	size_t i;

	json_array_foreach(j, i, v)
		n += json_size(v);
	json_object_foreach((json_t *)j, key, v)
		n += (int64_t)strlen(key) + json_size(v);
	return n;
}

/* The more is said, the more may be made of it. */
static void
set_limits(struct run *r, const struct template_input *in)
{
	int64_t n = json_size(in->messages) + json_size(in->tools) + json_size(in->documents) +
	    json_size(in->more);

	r->max_steps = TEMPLATE_STEPS + 64 * n;
	r->max_memory = TEMPLATE_MEMORY + 32 * n;
	r->max_text = r->held.limit = TEMPLATE_TEXT + 16 * n;
}

static int
render(struct run *r, const struct template *t, const struct template_input *in)
{
	struct frame given = { 0 }, own = { .up = &given };

	set_limits(r, in);
	if (arena_init(&r->arena, r->max_memory, r->err) < 0 ||
	    (r->found != NULL && arena_init(&r->marks, r->max_memory, r->err) < 0))
		return -1;
	r->frame = &given;
	if (variables(r, in) < 0)
		return -1;
	r->frame = &own;
	if (exec_body(r, t->body) < 0 || buf_ok(r->out, r->err) < 0)
		return -1;
	return r->found != NULL ? tpl_said_spans(r, &r->found->said) : 0;
}

int
template_render(const struct template *t, const struct template_input *in, struct buf *out,
    struct template_marks *marks, struct err *err)
{
	struct run r = { .out = out, .start = out->n, .found = marks, .now = in->now,
	    .messages = in->messages, .who = TEMPLATE_OTHER, .err = err };
	int ret = render(&r, t, in);

	if (ret < 0) {
		out->n = r.start;
		err_wrap(err, "chat template");
	}
	buf_free(&r.held);
	buf_free(&r.held_marks);
	buf_free(&r.out_marks);
	arena_free(&r.marks);
	arena_free(&r.arena);
	return ret;
}
