#include "text/automaton.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/buf.h"
#include "text/unicode.h"

struct node {
	int32_t	fail;		/* the longest proper suffix that is a prefix of a pattern */
	int32_t	length;		/* of the pattern that ends here, or 0 */
	int32_t	next_end;	/* the nearest node on the way of fail where one ends; 0: none */
	int32_t	depth;		/* bytes from the root */
};

struct automaton {
	uint8_t		 column[256];
	int		 columns;	/* 0 is for bytes of no pattern */
	int32_t		 nodes, cap;
	int32_t		*go;		/* (nodes, columns) */
	struct node	*node;
};

static int
fold(int c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Forms of a pattern beyond ASCII. */
enum form { AS_IT_IS, LOWER, UPPER, TITLE, FORMS };

static bool
is_ascii(str s)
{
	return ascii_span(s) == s.n;
}

static void
write_form(struct buf *b, str pattern, enum form form)
{
	const char *p = pattern.p, *end = p + pattern.n;
	bool first = true;

	buf_reset(b);
	while (p < end) {
		int32_t c = utf8_next(&p, end);
		char utf8[4];

		if (form == UPPER || (form == TITLE && first))
			c = utf8proc_toupper(c);
		else if (form != AS_IT_IS)
			c = utf8proc_tolower(c);
		first = !uni_is_word(c);
		buf_add(b, (str){ utf8, utf8_put(utf8, c) });
	}
}

/* Columns: a bound of the nodes is the bytes of all forms, and it is the caller's. */
static void
number_bytes(struct automaton *a, str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++) {
		int c = fold((unsigned char)s.p[i]);

		if (a->column[c] == 0) {
			a->column[c] = (uint8_t)a->columns++;
			if (c >= 'a' && c <= 'z')
				a->column[c - 0x20] = a->column[c];
		}
	}
}

static int
grow(struct automaton *a, struct err *err)
{
	int64_t cap = a->cap * 2 + 64;
	int64_t row = a->columns * (int64_t)sizeof(*a->go);
	int32_t *go;
	struct node *node;

	if (cap * row > AUTOMATON_MAX)
		return err_set(err, ERR_LIMIT, "too many patterns: their automaton would be "
		    "larger than %d MiB", (int)(AUTOMATON_MAX >> 20));
	if ((go = realloc(a->go, (size_t)(cap * row))) != NULL)
		a->go = go;
	if ((node = realloc(a->node, (size_t)cap * sizeof(*node))) != NULL)
		a->node = node;
	if (go == NULL || node == NULL)
		return err_set(err, ERR_NOMEM, "no memory for an automaton");
	a->cap = (int32_t)cap;
	return 0;
}

static int32_t
new_node(struct automaton *a, struct err *err)
{
	if (a->nodes == a->cap && grow(a, err) < 0)
		return -1;
	a->node[a->nodes] = (struct node){ 0 };
	memset(a->go + (int64_t)a->nodes * a->columns, 0,
	    (size_t)a->columns * sizeof(*a->go));
	return a->nodes++;
}

static int
insert(struct automaton *a, str s, struct err *err)
{
	int32_t at = 0;

	for (ptrdiff_t i = 0; i < s.n; i++) {
		int64_t k = (int64_t)at * a->columns + a->column[(unsigned char)s.p[i]];

		if (a->go[k] == 0) {
			int32_t node = new_node(a, err);

			if (node < 0)
				return -1;
			a->go[k] = node;
			a->node[node].depth = a->node[at].depth + 1;
		}
		at = a->go[k];
	}
	if (s.n > 0)
		a->node[at].length = (int32_t)s.n;
	return 0;
}

/* Breadth first: a node's fail is nearer to the root, and its row is whole already. */
static int
link_nodes(struct automaton *a, struct err *err)
{
	int32_t *queue = malloc((size_t)a->nodes * sizeof(*queue));
	int32_t head = 0, tail = 0;

	if (queue == NULL)
		return err_set(err, ERR_NOMEM, "no memory for an automaton");
	queue[tail++] = 0;
	while (head < tail) {
		int32_t at = queue[head++];
		struct node *n = &a->node[at];
		int32_t *row = a->go + (int64_t)at * a->columns;
		const int32_t *other = a->go + (int64_t)n->fail * a->columns;

		n->next_end = a->node[n->fail].length > 0 ? n->fail : a->node[n->fail].next_end;
		for (int i = 0; i < a->columns; i++) {
			if (row[i] != 0) {
				a->node[row[i]].fail = at == 0 ? 0 : other[i];
				queue[tail++] = row[i];
			} else if (at != 0) {
				row[i] = other[i];
			}
		}
	}
	free(queue);
	return 0;
}

struct automaton *
automaton_new(const str *pattern, ptrdiff_t n, struct err *err)
{
	struct automaton *a = calloc(1, sizeof(*a));
	struct buf form = { 0 };
	bool good = a != NULL;

	if (a == NULL)
		err_set(err, ERR_NOMEM, "no memory for an automaton");
	else
		a->columns = 1;
	/* All bytes first, for they say how long a row is. */
	for (int pass = 0; pass < 2 && good; pass++) {
		good = pass == 0 || new_node(a, err) == 0;
		for (ptrdiff_t i = 0; i < n && good; i++) {
			int forms = is_ascii(pattern[i]) ? 1 : FORMS;

			for (int k = 0; k < forms && good; k++) {
				str s = pattern[i];

				if (forms > 1) {
					write_form(&form, s, k);
					good = buf_ok(&form, err) == 0;
					s = buf_str(&form);
				}
				if (pass == 0)
					number_bytes(a, s);
				else
					good = good && insert(a, s, err) == 0;
			}
		}
	}
	good = good && link_nodes(a, err) == 0;
	buf_free(&form);
	if (!good) {
		automaton_free(a);
		return NULL;
	}
	return a;
}

void
automaton_free(struct automaton *a)
{
	if (a == NULL)
		return;
	free(a->go);
	free(a->node);
	free(a);
}

static bool
is_word_by_itself(str text, const char *start, const char *end)
{
	const char *p = end, *stop = text.p + text.n;

	if (end < stop && uni_is_word(utf8_next(&p, stop)))
		return false;
	p = start;
	return start == text.p || !uni_is_word(utf8_prev(text.p, &p));
}

/* The node after this byte, and the first of the patterns that end there. */
static int32_t
step(const struct automaton *a, int32_t *at, char byte)
{
	*at = a->go[(int64_t)*at * a->columns + a->column[(unsigned char)byte]];
	return a->node[*at].length > 0 ? *at : a->node[*at].next_end;
}

int64_t
automaton_count(const struct automaton *a, str text, bool words, int64_t most)
{
	const char *p = text.p, *end = text.p + text.n;
	int64_t count = 0;
	int32_t at = 0;

	while (p < end && count < most) {
		int32_t k = step(a, &at, *p++);

		for (; k != 0; k = a->node[k].next_end)
			count += !words || is_word_by_itself(text, p - a->node[k].length, p);
	}
	return count < most ? count : most;
}

bool
automaton_next(const struct automaton *a, struct automaton_walk *w, str text, bool more,
    ptrdiff_t *start, ptrdiff_t *end)
{
	/* What ends with the text waits for the character after it. */
	while (!more || w->at < text.n || w->ends == 0) {
		while (w->ends != 0) {
			ptrdiff_t from = w->at - a->node[w->ends].length;

			w->ends = a->node[w->ends].next_end;
			if (is_word_by_itself(text, text.p + from, text.p + w->at)) {
				*start = from;
				*end = w->at;
				return true;
			}
		}
		if (w->at >= text.n)
			break;
		w->ends = step(a, &w->node, text.p[w->at++]);
	}
	w->safe = more ? w->at - a->node[w->node].depth : text.n;
	return false;
}
