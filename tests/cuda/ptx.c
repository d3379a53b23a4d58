/*
 * ptx - modules: declarations, functions and their statements
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "ptx_impl.h"

void
parse_fail(struct parse *c, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(c->msg, c->msg_size, "PTX line %u: ", c->line);

	va_start(ap, fmt);
	vsnprintf(c->msg + n, c->msg_size - (size_t)n, fmt, ap);
	va_end(ap);
	longjmp(c->fail, 1);
}

bool
slice_is(struct slice a, const char *s)
{
	return strncmp(a.s, s, (size_t)a.n) == 0 && s[a.n] == '\0';
}

int
type_named(struct slice s)
{
	static const char *const names[TYPES] = {
		"", "pred", "b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32",
		"s64", "f16", "f16x2", "bf16", "bf16x2", "f32", "f64", "tf32", "e4m3", "e5m2",
		"e4m3x2", "e5m2x2", "b128",
	};

	for (int t = 1; t < TYPES; t++)
		if (slice_is(s, names[t]))
			return t;
	return NOTYPE;
}

uint32_t
slot_new(struct kernel *k, int width)
{
	uint32_t at = k->reg_bytes;

	k->reg_bytes += width == 8 ? 8 * LANES : 4 * LANES;
	return at;
}

/* Blank out comments; lines stay where they are. */
static void
strip_comments(char *p)
{
	for (; *(p += strcspn(p, "/\t\r")) != '\0'; p++) {
		if (p[0] == '/' && p[1] == '/') {
			while (*p != '\0' && *p != '\n')
				*p++ = ' ';
			if (*p == '\0')
				return;
		} else if (p[0] == '/' && p[1] == '*') {
			for (; *p != '\0' && !(p[0] == '*' && p[1] == '/'); p++)
				if (*p != '\n')
					*p = ' ';
			if (*p != '\0')
				p[0] = p[1] = ' ';
		} else if (*p == '\t' || *p == '\r') {
			*p = ' ';
		}
	}
}

static void
skip_space(struct parse *c)
{
	for (; isspace((unsigned char)*c->p); c->p++)
		c->line += *c->p == '\n';
}

static bool
word_char(int ch)
{
	return isalnum(ch) || ch == '_' || ch == '$' || ch == '%';
}

static struct slice
word(struct parse *c)
{
	struct slice s;

	skip_space(c);
	s.s = c->p;
	if (*c->p == '.')
		c->p++;
	while (word_char((unsigned char)*c->p))
		c->p++;
	s.n = (int)(c->p - s.s);
	return s;
}

/* The next word, or nothing if it is another. */
static bool
take(struct parse *c, const char *what)
{
	char *p;
	uint32_t line = c->line;

	skip_space(c);
	p = c->p;
	if (slice_is(word(c), what))
		return true;
	c->p = p;
	c->line = line;
	return false;
}

static bool
take_char(struct parse *c, char ch)
{
	skip_space(c);
	if (*c->p != ch)
		return false;
	c->p++;
	return true;
}

static int64_t
number(struct parse *c)
{
	char *end;
	int64_t v;

	skip_space(c);
	v = *c->p == '-' ? strtoll(c->p, &end, 0) : (int64_t)strtoull(c->p, &end, 0);
	if (end == c->p)
		parse_fail(c, "a number is expected at '%.20s'", c->p);
	c->p = end;
	if (*c->p == 'U')
		c->p++;
	return v;
}

/* Labels, which there are many of, by all of the name; others, which have numbers, by its first. */
static unsigned
name_key(struct slice name)
{
	unsigned h = 0;

	if (name.s[0] != '$')
		return name.s[0] & 127;
	for (int i = 0; i < name.n; i++)
		h = h * 31 + (unsigned char)name.s[i];
	return 128 + (h & 127);
}

struct sym *
sym_find(struct parse *c, struct slice name)
{
	for (int i = c->last[name_key(name)]; i > 0; i = c->sym[i - 1].before) {
		struct sym *s = &c->sym[i - 1];
		int n = s->name.n, index = 0;

		if (n > name.n || memcmp(s->name.s, name.s, (size_t)n) != 0)
			continue;
		if (s->kind != SYM_REG || s->count < 0) {
			if (n == name.n)
				return s;
			continue;
		}
		if (n == name.n)
			continue;
		for (; n < name.n && isdigit((unsigned char)name.s[n]); n++)
			index = index * 10 + name.s[n] - '0';
		if (n == name.n && index < s->count)
			return s;
	}
	return NULL;
}

static struct sym *
sym_new(struct parse *c, struct slice name, int kind)
{
	int i = vec_more(&c->sym, &c->n_sym, sizeof(c->sym[0]));
	int *last = &c->last[name_key(name)];

	c->sym[i].name = name;
	c->sym[i].before = *last;
	*last = i + 1;
	c->sym[i].kind = kind;
	c->sym[i].depth = c->depth;
	c->sym[i].count = -1;
	return &c->sym[i];
}

static void
declare_registers(struct parse *c)
{
	int type = NOTYPE;
	struct slice t = word(c);

	t.s++, t.n--;
	type = type_named(t);
	if (type == NOTYPE || type == B128)
		parse_fail(c, "registers of type %.*s", t.n, t.s);
	do {
		struct slice name = word(c);
		struct sym *s = sym_new(c, name, SYM_REG);
		int n = 1;

		s->width = type == PRED ? 0 : type_size(type) == 8 ? 8 : 4;
		if (take_char(c, '<')) {
			n = s->count = (int)number(c);
			take_char(c, '>');
		}
		if (s->width == 0) {
			s->at = c->k->n_pred;
			c->k->n_pred += (uint32_t)n;
			continue;
		}
		s->at = c->k->reg_bytes;
		c->k->reg_bytes += (uint32_t)(n * s->width * LANES);
	} while (take_char(c, ','));
	take_char(c, ';');
}

struct decl {
	struct slice name;
	int	type;
	uint32_t align;
	int64_t	size;		/* -1 for [] */
};

/* .align 4 .b8 name[12] and the like, up to what follows. */
static struct decl
declarator(struct parse *c)
{
	struct decl d = { .align = 0 };
	struct slice w;

	for (w = word(c); w.n > 0 && *w.s == '.'; w = word(c)) {
		int t = type_named((struct slice){ w.s + 1, w.n - 1 });

		if (t != NOTYPE)
			d.type = t;
		else if (slice_is(w, ".align"))
			d.align = (uint32_t)number(c);
	}
	d.name = w;
	d.size = type_size(d.type);
	if (d.align == 0)
		d.align = (uint32_t)d.size;
	while (take_char(c, '[')) {
		if (take_char(c, ']')) {
			d.size = -1;
			continue;
		}
		d.size *= number(c);
		take_char(c, ']');
	}
	return d;
}

static uint32_t
round_up(uint32_t x, uint32_t to)
{
	return to == 0 ? x : (x + to - 1) / to * to;
}

/* Place a variable of a thread or a block. */
static void
declare_var(struct parse *c, int space)
{
	struct decl d = declarator(c);
	struct sym *s = sym_new(c, d.name, SYM_VAR);
	struct kernel *k = c->k;

	s->space = space;
	take_char(c, ';');
	if (space == SHARED && d.size < 0) {
		s->at = DYNAMIC_BASE;
		return;
	}
	int i = vec_more(&k->var, &k->n_var, sizeof(k->var[0]));
	uint32_t last = space == SHARED ? SHARED_BASE : LOCAL_BASE;

	for (int j = 0; j < i; j++)
		if (k->var[j].space == space && k->var[j].hi + GAP > last)
			last = k->var[j].hi + GAP;
	k->var[i].space = space;
	k->var[i].lo = round_up(last, d.align < 16 ? 16 : d.align);
	k->var[i].hi = k->var[i].lo + (uint32_t)d.size;
	s->at = k->var[i].lo;
	if (space == SHARED)
		k->shared = round_up(k->shared, d.align) + (uint32_t)d.size;
	else if (k->local < k->var[i].hi)
		k->local = k->var[i].hi;
}

static void
initialise(struct parse *c, const struct decl *d, uint64_t addr)
{
	int size = type_size(d->type);
	bool braces = take_char(c, '{');

	do {
		int64_t v;

		skip_space(c);
		if (!isdigit((unsigned char)*c->p) && *c->p != '-') {
			bool generic = take(c, "generic") && take_char(c, '(');
			struct slice w = word(c);
			struct sym *s = sym_find(c, w);

			if (s == NULL || s->kind != SYM_VAR)
				parse_fail(c, "initial value %.*s", w.n, w.s);
			v = (int64_t)s->at;
			if (generic)
				take_char(c, ')');
		} else if (c->p[0] == '0' && strchr("fFdD", c->p[1]) != NULL && c->p[1] != '\0') {
			v = (int64_t)strtoull(c->p + 2, &c->p, 16);
		} else {
			v = number(c);
		}
		memcpy(memory_host(addr), &v, (size_t)size);
		addr += (uint64_t)size;
	} while (take_char(c, ','));
	if (braces)
		take_char(c, '}');
}

/* .global and .const variables are allocations of the module. */
static void
declare_global(struct parse *c, int space, bool external)
{
	struct decl d = declarator(c);
	struct sym *s;
	struct var *v;
	char name[200];
	int i;

	if (external || d.size <= 0) {
		c->p += strcspn(c->p, ";");
		take_char(c, ';');
		return;
	}
	i = vec_more(&c->m->var, &c->m->n_var, sizeof(c->m->var[0]));
	v = &c->m->var[i];
	v->name = strndup(d.name.s, (size_t)d.name.n);
	snprintf(name, sizeof(name), "variable %s", v->name);
	v->addr = memory_new((uint64_t)d.size, MEMORY_ZERO, name);
	v->size = (uint64_t)d.size;
	v->space = space;
	s = sym_new(c, d.name, SYM_VAR);
	s->space = space;
	s->at = v->addr;
	if (take_char(c, '='))
		initialise(c, &d, v->addr);
	take_char(c, ';');
}

/* The place that another was inlined into: one of those just before. */
static uint32_t
outer(const struct parse *c, const struct loc *l)
{
	const struct loc *x = c->m->loc;

	for (int i = c->m->n_loc - 1; i > 0 && i > c->m->n_loc - 64 && l->at_line != 0; i--)
		if (x[i].file == l->at_file && x[i].line == l->at_line)
			return (uint32_t)i;
	return 0;
}

static void
line_directive(struct parse *c)
{
	struct loc l = { 0 };
	char *end = c->p + strcspn(c->p, "\n"), *at;

	l.file = (uint32_t)number(c);
	l.line = (uint32_t)number(c);
	at = strstr(c->p, "inlined_at");
	if (at != NULL && at < end) {
		c->p = at + strlen("inlined_at");
		l.at_file = (uint32_t)number(c);
		l.at_line = (uint32_t)number(c);
	}
	c->p = end;
	/* Line 0 is the compiler's: what is there belongs to the line before. */
	if (l.line == 0)
		return;
	l.outer = outer(c, &l);
	c->loc = (uint32_t)vec_more(&c->m->loc, &c->m->n_loc, sizeof(c->m->loc[0]));
	c->m->loc[c->loc] = l;
}

static void
file_directive(struct parse *c)
{
	int64_t i = number(c);
	char *q = strchr(c->p, '"'), *end = q == NULL ? NULL : strchr(q + 1, '"');

	if (end == NULL || i < 0 || i > 10000)
		parse_fail(c, "a .file without a name");
	while (c->m->n_file <= i)
		vec_more(&c->m->file, &c->m->n_file, sizeof(c->m->file[0]));
	free(c->m->file[i]);
	c->m->file[i] = strndup(q + 1, (size_t)(end - q - 1));
	c->p = end + strcspn(end, "\n");
}

/* Jumps to labels of the scope that ends. */
static void
close_scope(struct parse *c)
{
	int kept = 0;

	for (int i = 0; i < c->n_jump; i++) {
		struct jump *j = &c->jump[i];
		struct sym *s = sym_find(c, j->label);

		if (s != NULL && s->kind == SYM_LABEL && s->depth == c->depth) {
			if (j->insn >= 0)
				c->k->code[j->insn].target = (uint32_t)s->at;
			else
				c->k->target[j->target] = (uint32_t)s->at;
		} else {
			c->jump[kept++] = *j;
		}
	}
	c->n_jump = kept;
	if (c->depth == 1 && kept > 0)
		parse_fail(c, "no label %.*s", c->jump[0].label.n, c->jump[0].label.s);
	for (; c->n_sym > 0 && c->sym[c->n_sym - 1].depth >= c->depth; c->n_sym--)
		c->last[name_key(c->sym[c->n_sym - 1].name)] = c->sym[c->n_sym - 1].before;
	c->depth--;
}

static void
branch_targets(struct parse *c, struct slice name)
{
	struct sym *s = sym_new(c, name, SYM_TABLE);

	s->at = (uint64_t)c->k->n_target;
	do {
		int i = vec_more(&c->k->target, &c->k->n_target, sizeof(c->k->target[0]));
		int j = vec_more(&c->jump, &c->n_jump, sizeof(c->jump[0]));

		c->jump[j] = (struct jump){ word(c), -1, c->depth, i };
	} while (take_char(c, ','));
	take_char(c, ';');
}

static void
label_or_statement(struct parse *c)
{
	char *p = c->p, *end;

	while (word_char((unsigned char)*p))
		p++;
	if (p > c->p && *p == ':' && p[1] != ':') {
		struct slice name = { c->p, (int)(p - c->p) };

		c->p = p + 1;
		if (take(c, ".branchtargets")) {
			branch_targets(c, name);
			return;
		}
		sym_new(c, name, SYM_LABEL)->at = (uint64_t)c->k->n_code;
		return;
	}
	end = strchr(c->p, ';');
	if (end == NULL)
		parse_fail(c, "a statement without an end");
	*end = '\0';
	p = c->p;
	decode(c, p);
	for (; p < end; p++) {
		c->line += *p == '\n';
		if (*p == '\n')
			*p = ' ';
	}
	c->p = end + 1;
}

static void
body(struct parse *c)
{
	int outer = c->depth;

	do {
		skip_space(c);
		if (*c->p == '\0')
			parse_fail(c, "the end of the file in a function");
		if (take_char(c, '{'))
			c->depth++;
		else if (take_char(c, '}'))
			close_scope(c);
		else if (take(c, ".loc"))
			line_directive(c);
		else if (take(c, ".reg"))
			declare_registers(c);
		else if (take(c, ".shared"))
			declare_var(c, SHARED);
		else if (take(c, ".local") || take(c, ".param"))
			declare_var(c, LOCAL);
		else if (*c->p == '.')
			c->p += strcspn(c->p, ";") + 1;	/* .pragma and the like */
		else
			label_or_statement(c);
	} while (c->depth > outer);
}

static void
parameters(struct parse *c)
{
	struct kernel *k = c->k;

	if (!take_char(c, '('))
		return;
	while (!take_char(c, ')')) {
		struct decl d = { 0 };
		struct slice w;
		uint32_t align = 0;
		int i;

		/* .param .u64 .ptr .global .align 16 name: this alignment is the target's */
		for (w = word(c); w.n > 0 && *w.s == '.'; w = word(c)) {
			int t = type_named((struct slice){ w.s + 1, w.n - 1 });

			if (t != NOTYPE)
				d.type = t;
			if (slice_is(w, ".align"))
				align = (uint32_t)number(c);
		}
		d.size = type_size(d.type);
		if (take_char(c, '[')) {
			d.size *= number(c);
			take_char(c, ']');
		} else {
			align = (uint32_t)d.size;
		}
		i = vec_more(&k->param, &k->n_param, sizeof(k->param[0]));
		k->param[i].off = round_up(k->param_bytes, align);
		k->param[i].size = (uint32_t)d.size;
		k->param_bytes = k->param[i].off + (uint32_t)d.size;
		c->depth++;
		struct sym *s = sym_new(c, w, SYM_VAR);

		c->depth--;
		s->space = PARAM;
		s->at = k->param[i].off;
		take_char(c, ',');
	}
}

static void
decode_kernel(struct parse *c)
{
	struct kernel *k = c->k;
	char *p;
	uint32_t line;
	int i;

	c->loc = 0;
	c->p = k->text;
	c->line = k->line;
	parameters(c);
	while (!take_char(c, '{') && *c->p != '\0') {
		if (take(c, ".maxntid")) {
			k->max_threads = 1;
			do
				k->max_threads *= (uint32_t)number(c);
			while (take_char(c, ','));
		} else if (take(c, ".reqntid")) {
			for (i = 0; i < 3; i++)
				k->need[i] = i == 0 || take_char(c, ',') ? (uint32_t)number(c) : 1;
		} else {
			word(c);
			if (isdigit((unsigned char)*c->p) || c->p[0] == ' ')
				c->p += strspn(c->p, " 0123456789,");
		}
	}
	c->depth++;
	p = c->p;
	line = c->line;
	for (i = 0; i < c->n_shared; i++) {
		c->p = c->shared[i].p;
		c->line = c->shared[i].line;
		declare_var(c, SHARED);
	}
	c->p = p;
	c->line = line;
	c->depth--;
	c->p--;		/* the brace */
	body(c);
	if (k->shared > SHARED_ANYWAY)
		parse_fail(c, "%u bytes of static shared memory, at most %u", k->shared,
		    SHARED_ANYWAY);
	k->text = NULL;
}

/* Over { and }, or to a semicolon, whichever comes first. */
static void
skip_item(struct parse *c)
{
	int depth = 0;

	for (; *(c->p += strcspn(c->p, depth > 0 ? "\n{}" : "\n{};")) != '\0'; c->p++) {
		c->line += *c->p == '\n';
		if (*c->p == '{')
			depth++;
		if ((*c->p == '}' && --depth == 0) || (*c->p == ';' && depth == 0)) {
			c->p++;
			return;
		}
	}
}

/* What follows an entry's name is for later. */
static void
entry(struct parse *c)
{
	struct slice name = word(c);
	struct kernel *k = calloc(1, sizeof(*k));
	int i = vec_more(&c->m->kernel, &c->m->n_kernel, sizeof(k));

	c->m->kernel[i] = k;
	k->mod = c->m;
	k->name = strndup(name.s, (size_t)name.n);
	k->text = c->p;
	k->line = c->line;
	skip_item(c);
}

static void
skip_line(struct parse *c)
{
	c->p += strcspn(c->p, "\n");
}

static void
top(struct parse *c)
{
	bool external = false;

	for (skip_space(c); *c->p != '\0'; skip_space(c)) {
		struct slice w = word(c);

		if (slice_is(w, ".extern")) {
			external = true;
			continue;
		}
		if (slice_is(w, ".visible") || slice_is(w, ".weak"))
			continue;
		if (slice_is(w, ".target")) {
			skip_space(c);
			c->m->sm = (int)strtol(c->p + 3, NULL, 10);
			skip_line(c);
		} else if (slice_is(w, ".file")) {
			file_directive(c);
		} else if (slice_is(w, ".version") || slice_is(w, ".address_size")) {
			skip_line(c);
		} else if (slice_is(w, ".global") || slice_is(w, ".const")) {
			declare_global(c, slice_is(w, ".const") ? CONST : GLOBAL, external);
		} else if (slice_is(w, ".shared")) {
			int i = vec_more(&c->shared, &c->n_shared, sizeof(c->shared[0]));

			c->shared[i] = (struct late){ c->p, c->line };
			skip_item(c);
		} else if (slice_is(w, ".entry")) {
			entry(c);
		} else if (w.n > 0 && *w.s == '.') {
			skip_item(c);	/* .func, .section, .pragma */
		} else {
			parse_fail(c, "not understood: '%.30s'", c->p);
		}
		external = false;
	}
}

/* What parse() does, until it fails. */
static bool
succeeds(struct parse *c, void (*parse)(struct parse *))
{
	if (setjmp(c->fail) != 0)
		return false;
	parse(c);
	return true;
}

struct module *
ptx_load(char *text, char *msg, size_t n)
{
	struct module *m = calloc(1, sizeof(*m));
	struct parse *c = calloc(1, sizeof(*c));

	*c = (struct parse){ .m = m, .p = text, .line = 1, .msg = msg, .msg_size = n };
	m->text = text;
	m->parse = c;
	vec_more(&m->loc, &m->n_loc, sizeof(m->loc[0]));	/* 0 is no place */
	strip_comments(text);
	if (succeeds(c, top))
		return m;
	module_free(m);
	return NULL;
}

void
module_free(struct module *m)
{
	for (int i = 0; i < m->n_kernel; i++) {
		struct kernel *k = m->kernel[i];

		free(k->name);
		free(k->code);
		free(k->konst);
		free(k->param);
		free(k->var);
		free(k->target);
		free(k);
	}
	for (int i = 0; i < m->n_var; i++) {
		memory_free(m->var[i].addr);
		free(m->var[i].name);
	}
	for (int i = 0; i < m->n_file; i++)
		free(m->file[i]);
	free(m->parse->sym);
	free(m->parse->jump);
	free(m->parse->shared);
	free(m->parse);
	free(m->kernel);
	free(m->loc);
	free(m->file);
	free(m->var);
	free(m->text);
	free(m);
}

struct kernel *
module_kernel(struct module *m, const char *name, char *msg, size_t n)
{
	struct parse *c = m->parse;
	struct kernel *k = NULL;

	msg[0] = '\0';
	for (int i = 0; i < m->n_kernel && k == NULL; i++)
		if (strcmp(m->kernel[i]->name, name) == 0)
			k = m->kernel[i];
	if (k == NULL || k->text == NULL)
		return k;
	c->msg = msg;
	c->msg_size = n;
	c->k = k;
	return succeeds(c, decode_kernel) ? k : NULL;
}
