/*
 * template_run_impl - values and the state of a rendering
 *
 * Values are small and passed by copy; what they point to lies in the arena of
 * the rendering (or in the template, or in the caller's JSON) and is never
 * changed, but for namespaces.  A function that fails has called tpl_fail() and
 * returns -1.
 */
#ifndef TOKEN_TEMPLATE_RUN_IMPL_H
#define TOKEN_TEMPLATE_RUN_IMPL_H

#include "token/template_impl.h"

enum value_kind {
	V_MISSING,	/* an argument that was not given */
	V_UNDEFINED,	/* s: the name of what is not there */
	V_NONE, V_BOOL, V_INT, V_FLOAT, V_STR, V_LIST, V_TUPLE, V_DICT, V_NAMESPACE,
	V_FUNCTION,	/* builtin; of: the value whose method it is, or NULL */
	V_MACRO, V_LOOP
};

struct value {
	enum value_kind	kind;
	bool		attribute;	/* V_UNDEFINED: of something, no variable */
	bool		safe;		/* V_STR: it escapes what is added to it */
	union {
		bool		 b;
		int64_t		 i;
		double		 f;
		str		 s;
		struct list	*list;
		struct dict	*dict;		/* of a namespace too */
		struct macro	*macro;
		struct loop	*loop;
		struct {
			const struct builtin	*builtin;
			const struct value	*of;
		};
	};
};

/*
 * Python's lists, and what is like one: a view of a dictionary, which has a length
 * but no index, and an iterator, which is true, has no length and ends once.
 */
enum list_is { LIST_WHOLE, LIST_VIEW, LIST_ONCE };

struct list {
	struct value	*at;
	int64_t		 n;
	enum list_is	 is;
};

struct pair {
	struct value	key, value;
};

struct dict {		/* in the order of insertion */
	struct pair	*at;
	int64_t		 n, cap;
};

struct frame {		/* names that end with a block */
	struct frame	*up;
	struct dict	 names;
};

struct macro {
	const struct node *node;
	struct frame	*frame;		/* where it was defined */
	const struct value *caller;	/* block of the call that runs, or NULL */
};

struct loop {
	struct list	*list;
	int64_t		 i;
	int		 depth;
	struct value	 changed;	/* the last argument of loop.changed() */
};

struct run {
	struct arena	 arena;
	struct arena	 marks;		/* of each byte in arena; none: nobody asked */
	char		*pool, *pool_end;	/* for small pieces */
	int64_t		 steps, max_steps;
	ptrdiff_t	 max_memory, max_text;
	int		 depth, line, loops;
	struct frame	*frame;
	struct buf	*out;
	ptrdiff_t	 start;		/* of our text in out */
	struct buf	 held;		/* what blocks write that are captured */
	struct buf	 out_marks, held_marks;	/* may lag behind: the rest is zero */
	const json_t	*messages;
	uint8_t		 who;		/* the mark of what is read from JSON */
	int		 capture;
	struct template_marks *found;
	const struct tm	*now;
	struct err	*err;
};

#define FLOAT_WORK 12288	/* bytes of text that a number's digits are worth, in time */
#define PARAMS 4		/* of a builtin, at most */

struct args {
	struct value	*at;
	int64_t		 n;
	struct named	{ str name; struct value value; } *named;
	int64_t		 n_named;
};

/*
 * Filters, tests, methods and functions.  self is what stands before the bar or the
 * dot.  arg has a value for each name in params, V_MISSING where it was not given;
 * with params "*" the arguments are in all, as they are.
 */
typedef int builtin_fn(struct run *r, const struct value *self, const struct value *arg,
    const struct args *all, struct value *out);
struct builtin {
	const char	*name;
	builtin_fn	*fn;
	const char	*params;	/* names with a space between */
	int		 must;		/* so many have to be given */
};

const struct builtin *tpl_find(const struct builtin *table, str name);	/* ends with a NULL name */
const struct builtin *tpl_find_filter(str name);
const struct builtin *tpl_find_test(str name);
const struct builtin *tpl_find_method(const struct value *of, str name);
extern const struct builtin tpl_functions[], tpl_text_filters[], tpl_str_methods[],
    tpl_case_tests[];	/* end with a NULL name */

/* The head of a builtin's function, most of which need some of these only. */
#define SPARE __attribute__((unused))
#define BUILTIN(name)							\
	static int							\
	name(struct run *r SPARE, const struct value *self SPARE,	\
	    const struct value *arg SPARE, const struct args *all SPARE,	\
	    struct value *out SPARE)

/* For "%.*s" of a name in a message. */
#define NAME_ARG(s) (int)((s).n < 64 ? (s).n : 64), (s).p

/* template_value.c */
int tpl_fail(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int tpl_work(struct run *r, int64_t bytes);	/* count the steps of looking at so many bytes */
void *tpl_alloc(struct run *r, int64_t n, ptrdiff_t size);
int tpl_enter_value(struct run *r);		/* one level of a value deeper; -1: too deep */
const char *tpl_kind(const struct value *v);	/* Python's name */
bool tpl_is_number(const struct value *v);	/* a truth value too */
bool tpl_is_whole(const struct value *v);
int64_t tpl_whole(const struct value *v);
double tpl_real(const struct value *v);
bool tpl_true(const struct value *v);
int tpl_equal(struct run *r, const struct value *a, const struct value *b);	/* 1, 0, -1 */
int tpl_order(struct run *r, const struct value *a, const struct value *b, const char *op,
    int *order);
int tpl_contains(struct run *r, const struct value *in, const struct value *v);	/* 1, 0, -1 */
int tpl_length(struct run *r, const struct value *v, int64_t *n);
struct list *tpl_list_new(struct run *r, int64_t n);
struct list *tpl_iterate(struct run *r, const struct value *v);	/* its elements, or NULL */
struct value tpl_str_value(str s);
struct value tpl_list_value(struct list *l);
int tpl_undefined(struct run *r, const struct value *v);	/* fails: it was used */
const struct value *tpl_dict_get(struct run *r, const struct dict *d, const struct value *key);
int tpl_dict_set(struct run *r, struct dict *d, const struct value *key, const struct value *v);
int tpl_attribute(struct run *r, const struct value *of, str name, struct value *out);
int tpl_item(struct run *r, const struct value *of, const struct value *key, struct value *out);
int tpl_from_json(struct run *r, str key, const json_t *j, struct value *out);

/* template_said.c */
void tpl_add(struct run *r, struct buf *b, str s);	/* with its marks */
void tpl_copy(struct run *r, char *to, str s);
/* Mark what was added from a byte on as like is. */
void tpl_add_as(struct run *r, struct buf *b, ptrdiff_t from, str like);
void tpl_take_marks(struct run *r, ptrdiff_t from, ptrdiff_t n, char *p);
int tpl_said(struct run *r, str key, str s, struct value *out);	/* of JSON, under this key */
int tpl_said_spans(struct run *r, struct template_spans *said);

/* template_text.c */
int tpl_write(struct run *r, struct buf *b, const struct value *v);	/* as str() */
int tpl_str(struct run *r, const struct value *v, str *s);
int tpl_held(struct run *r, ptrdiff_t from, str *s);	/* what r->held has gathered, taken out */
int tpl_json(struct run *r, struct buf *b, const struct value *v, const struct value *arg);
str tpl_strip(str s, const struct value *set, bool left, bool right);
int tpl_char(str s, int64_t i, str *c);		/* character i >= 0; 0: not so many */
int64_t tpl_find_text(str in, str what, ptrdiff_t from);	/* bytes; -1: not there */
int tpl_format(struct run *r, str format, const struct value *v, struct value *out);
int tpl_slice(struct run *r, const struct value *of, const struct value part[3],
    struct value *out);

enum letter_case { CASE_LOWER, CASE_UPPER, CASE_CAPITAL, CASE_TITLE, CASE_TITLE_FILTER };
int tpl_change_case(struct run *r, str s, enum letter_case how, str *out);
int tpl_escape(struct run *r, const struct value *v, struct value *out);	/* safe then */
int tpl_items(struct run *r, const struct dict *d, enum list_is is, struct value *out);

/* template_filter.c: by key, unless NULL; stable */
int tpl_sort(struct run *r, struct list *l, const struct list *key, bool reverse);

/* template_math.c */
int tpl_binary(struct run *r, int op, const struct value *a, const struct value *b,
    struct value *out);
int tpl_sign(struct run *r, bool minus, const struct value *v, struct value *out);

/* template_eval.c */
int tpl_eval(struct run *r, const struct node *n, struct value *out);
int tpl_call(struct run *r, const struct value *f, const struct args *args, struct value *out);
int tpl_builtin(struct run *r, const struct builtin *f, const struct value *self,
    const struct args *args, struct value *out);
int tpl_set(struct run *r, struct frame *f, str name, const struct value *v);
int tpl_filter_chain(struct run *r, const struct node *n, const struct value *of,
    struct value *out);

int tpl_call_node(struct run *r, const struct value *f, const struct node *n, struct value *out);

/* template_run.c */
int tpl_add_span(struct template_spans *s, ptrdiff_t start, ptrdiff_t end, int who,
    struct err *err);
int tpl_macro(struct run *r, const struct macro *m, const struct args *args, struct value *out);

/* Arguments of builtins; `what' names it in a message. */
int tpl_arg_str(struct run *r, const struct value *v, const char *what, str *s);
int tpl_arg_int(struct run *r, const struct value *v, const char *what, int64_t *i);

#endif
