#include <stdlib.h>
#include <string.h>

#include "infer/grammar_impl.h"

/*
 * Which instructions reach something, backwards from those that have it at
 * hand: a worklist over who waits for whom.
 */
struct reach {
	struct grammar	*g;
	int32_t		*head, *next;	/* of x's and y's users; entry 2 * user + (is y) */
	int32_t		*todo;
	bool		*has;
	int32_t		 n;
	bool		 bytes;		/* may pass over bytes: does it end?  Else: without one? */
};

static bool
holds(const struct reach *r, const struct code *c)
{
	switch (c->op) {
	case OP_END:
		return true;
	case OP_BYTE:
		return r->bytes && r->has[c->x];
	case OP_SPLIT:
		return r->has[c->x] || r->has[c->y];
	case OP_CALL:
		return r->has[c->x] && r->has[c->y];
	case OP_REPEAT:
		return (c->min == 0 || r->has[c->x]) && r->has[c->y];
	default:
		return false;
	}
}

static void
visit(struct reach *r, int32_t at)
{
	if (r->has[at] || !holds(r, &r->g->code[at]))
		return;
	r->has[at] = true;
	r->todo[r->n++] = at;
}

static void
spread(struct reach *r, bool bytes)
{
	r->bytes = bytes;
	memset(r->has, 0, (size_t)r->g->n * sizeof(*r->has));
	r->n = 0;
	for (int32_t i = 0; i < r->g->n; i++)
		visit(r, i);
	while (r->n > 0) {
		int32_t at = r->todo[--r->n];

		for (int32_t e = r->head[at]; e >= 0; e = r->next[e])
			visit(r, e / 2);
	}
}

static void
add_user(struct reach *r, int32_t of, int32_t edge)
{
	r->next[edge] = r->head[of];
	r->head[of] = edge;
}

/*
 * Mark what may end without a byte, and replace what never ends, so that a
 * matcher that is alive can always come to an end.
 */
static int
prune(struct grammar *g, struct arena scratch, struct err *err)
{
	struct reach r = { .g = g };

	if ((r.head = arena_new(&scratch, int32_t, g->n, err)) == NULL ||
	    (r.next = arena_new(&scratch, int32_t, 2 * (ptrdiff_t)g->n, err)) == NULL ||
	    (r.todo = arena_new(&scratch, int32_t, g->n, err)) == NULL ||
	    (r.has = arena_new(&scratch, bool, g->n, err)) == NULL)
		return -1;
	for (int32_t i = 0; i < g->n; i++)
		r.head[i] = -1;
	for (int32_t i = 0; i < g->n; i++) {
		if (g->code[i].op == OP_END || g->code[i].op == OP_DEAD)
			continue;
		add_user(&r, g->code[i].x, 2 * i);
		if (g->code[i].op != OP_BYTE)
			add_user(&r, g->code[i].y, 2 * i + 1);
	}
	spread(&r, false);
	for (int32_t i = 0; i < g->n; i++)
		g->code[i].empty = r.has[i];
	/* Rounds without a byte are not counted, so as many of them as one likes are there. */
	for (int32_t i = 0; i < g->n; i++)
		if (g->code[i].op == OP_REPEAT && g->code[g->code[i].x].empty)
			g->code[i].min = 0;
	spread(&r, true);
	for (int32_t i = 0; i < g->n; i++)
		if (!r.has[i])
			g->code[i].op = OP_DEAD;
	return 0;
}

/* ---- left recursion ---- */

/* Which rules each rule may begin with, before any byte. */
struct begins {
	const struct grammar *g;
	int32_t		 n_rules;
	int32_t		*rule_at;	/* by instruction: the rule that starts there, or -1 */
	int32_t		*seen, *todo;	/* by instruction */
	int32_t		*first;		/* by rule: its first edge; one more at the end */
	int32_t		*edge, n, cap;
};

static int
explore(struct begins *w, int32_t rule, int32_t start)
{
	int32_t n = 0;

	w->todo[n++] = start;
	w->seen[start] = rule;
	while (n > 0) {
		const struct code *c = &w->g->code[w->todo[--n]];
		int32_t go[2] = { -1, -1 };

		if (c->op == OP_CALL) {
			if (w->n == w->cap)
				return -1;
			w->edge[w->n++] = w->rule_at[c->x];
			go[0] = w->g->code[c->x].empty ? c->y : -1;
		} else if (c->op == OP_SPLIT || c->op == OP_REPEAT) {
			go[0] = c->x;
			go[1] = c->op == OP_SPLIT || c->min == 0 ? c->y : -1;
		}
		for (int i = 0; i < 2; i++) {
			if (go[i] < 0 || w->seen[go[i]] == rule)
				continue;
			w->seen[go[i]] = rule;
			w->todo[n++] = go[i];
		}
	}
	return 0;
}

/* Name a rule that begins with itself: follow edges among those in a circle. */
static int
tell_circle(const struct begins *w, const struct rule *rule, const int32_t *open, struct err *err)
{
	int32_t at = 0, next;

	while (open[at] == 0)
		at++;
	for (int32_t i = 0; i <= w->n_rules; i++) {
		for (int32_t e = w->first[at]; e < w->first[at + 1]; e++)
			if (open[w->edge[e]] > 0) {
				at = w->edge[e];
				break;
			}
	}
	for (next = w->first[at]; open[w->edge[next]] == 0; next++)
		;
	next = w->edge[next];
	if (next == at)
		return err_set(err, ERR_FORMAT, "rule '%.*s' begins with itself: left recursion "
		    "has no end; write repetition with *", STR_ARG(rule[at].name));
	return err_set(err, ERR_FORMAT, "rule '%.*s' begins with itself, by way of '%.*s': left "
	    "recursion has no end; write repetition with *", STR_ARG(rule[at].name),
	    STR_ARG(rule[next].name));
}

/* Take rules away that begin with none that is left; what stays goes in circles. */
static int
find_circle(struct begins *w, const struct rule *rule, struct arena scratch, struct err *err)
{
	int32_t *open = arena_new(&scratch, int32_t, w->n_rules, err);
	int32_t *head = arena_new(&scratch, int32_t, w->n_rules, err);
	int32_t *next = arena_new(&scratch, int32_t, w->n, err);
	int32_t *from = arena_new(&scratch, int32_t, w->n, err);
	int32_t n = 0, left = w->n_rules;

	if (open == NULL || head == NULL || next == NULL || from == NULL)
		return -1;
	memset(head, 0xff, (size_t)w->n_rules * sizeof(*head));
	for (int32_t r = 0; r < w->n_rules; r++) {
		open[r] = w->first[r + 1] - w->first[r];
		for (int32_t e = w->first[r]; e < w->first[r + 1]; e++) {
			from[e] = r;
			next[e] = head[w->edge[e]];
			head[w->edge[e]] = e;
		}
		if (open[r] == 0)
			w->todo[n++] = r;
	}
	for (; n > 0; left--) {
		int32_t r = w->todo[--n];

		for (int32_t e = head[r]; e >= 0; e = next[e])
			if (--open[from[e]] == 0)
				w->todo[n++] = from[e];
	}
	return left == 0 ? 0 : tell_circle(w, rule, open, err);
}

static int
check_left(const struct grammar *g, const struct builder *b, const int32_t *start,
    struct arena scratch, struct err *err)
{
	struct begins w = { .g = g, .n_rules = b->n_rules, .cap = g->n };

	if ((w.rule_at = arena_new(&scratch, int32_t, g->n, err)) == NULL ||
	    (w.seen = arena_new(&scratch, int32_t, g->n, err)) == NULL ||
	    (w.todo = arena_new(&scratch, int32_t, g->n + GRAMMAR_RULES_MAX, err)) == NULL ||
	    (w.first = arena_new(&scratch, int32_t, b->n_rules + 1, err)) == NULL ||
	    (w.edge = arena_new(&scratch, int32_t, w.cap, err)) == NULL)
		return -1;
	memset(w.seen, 0xff, (size_t)g->n * sizeof(*w.seen));
	for (int32_t r = 0; r < b->n_rules; r++)
		w.rule_at[start[r]] = r;
	for (int32_t r = 0; r < b->n_rules; r++) {
		w.first[r] = w.n;
		if (explore(&w, r, start[r]) < 0)
			return err_set(err, ERR_LIMIT, "the grammar is too large");
	}
	w.first[b->n_rules] = w.n;
	return find_circle(&w, b->rule, scratch, err);
}

/* ---- classes of bytes ---- */

static void
classify(struct grammar *g)
{
	bool cut[257] = { true };

	for (int32_t i = 0; i < g->n; i++)
		if (g->code[i].op == OP_BYTE) {
			cut[g->code[i].lo] = true;
			cut[g->code[i].hi + 1] = true;
			g->tokens |= g->code[i].lo == TOKEN_MARK;
		}
	for (int i = 0; i < 256; i++) {
		if (cut[i])
			g->byte_of[g->n_classes++] = (uint8_t)i;
		g->class_of[i] = (uint8_t)(g->n_classes - 1);
	}
}

/* ---- all together ---- */

/*
 * Each rule begins at an instruction of its own, so that it is told by where it
 * begins: a split of what it is and nothing.
 */
static int
emit_rules(struct emitter *m, int32_t *start)
{
	struct builder *b = m->b;

	emit_code(m, (struct code){ .op = OP_END });
	emit_code(m, (struct code){ .op = OP_DEAD });
	for (int32_t r = 0; r < b->n_rules; r++)
		if ((start[r] = emit_split(m, emit(m, b->rule[r].body, CODE_END),
		    CODE_DEAD)) < 0)
			return -1;
	for (int32_t i = 0; i < m->n; i++)
		if (m->code[i].op == OP_CALL)
			m->code[i].x = start[m->code[i].x];
	return 0;
}

static int
finish(struct grammar *g, struct builder *b, bool none, struct arena scratch, struct err *err)
{
	int32_t *start = arena_new(&scratch, int32_t, b->n_rules, err);
	struct emitter m = { .b = b, .cap = GRAMMAR_SIZE_MAX };

	if (start == NULL ||
	    (m.code = arena_new(&scratch, struct code, m.cap, err)) == NULL ||
	    emit_rules(&m, start) < 0)
		return -1;
	g->code = m.code;
	g->n = m.n;
	if (prune(g, scratch, err) < 0 || check_left(g, b, start, scratch, err) < 0)
		return -1;
	g->start = start[0];
	if (g->code[g->start].op == OP_DEAD && !none)
		return err_set(err, ERR_FORMAT, "no text matches the grammar: '%.*s' has no end",
		    STR_ARG(b->rule[0].name));
	if ((g->code = arena_new(&g->arena, struct code, g->n, err)) == NULL)
		return -1;
	memcpy(g->code, m.code, (size_t)m.n * sizeof(*m.code));
	classify(g);
	return 0;
}

struct grammar *
grammar_compile(struct builder *b, bool none, struct err *err)
{
	struct grammar *g;
	struct arena scratch;

	if (b->failed)
		return NULL;
	if ((g = calloc(1, sizeof(*g))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (arena_init(&g->arena, (ptrdiff_t)GRAMMAR_SIZE_MAX * 24, err) < 0) {
		free(g);
		return NULL;
	}
	if (arena_init(&scratch, (ptrdiff_t)GRAMMAR_SIZE_MAX * 64, err) < 0) {
		grammar_free(g);
		return NULL;
	}
	if (finish(g, b, none, scratch, err) < 0) {
		grammar_free(g);
		g = NULL;
	}
	arena_free(&scratch);
	return g;
}

void
grammar_free(struct grammar *g)
{
	if (g == NULL)
		return;
	arena_free(&g->arena);
	free(g);
}
