#include <setjmp.h>

#include "text/html_impl.h"

/*
 * The parser's memory: taken from the arena and never given back singly, so
 * that tearing the tree down costs nothing and cannot recurse.  The parser
 * does not check for NULL, hence the jump.
 */
struct pool {
	char	*at, *end;
	jmp_buf	 full;
};

static void *
pool_take(void *ctx, size_t n)
{
	struct pool *p = ctx;
	char *at = p->at;

	n = (n + 15) & ~(size_t)15;
	if (n > (size_t)(p->end - at))
		longjmp(p->full, 1);
	p->at = at + n;
	return at;
}

static void
pool_give(void *ctx, void *p)
{
	(void)ctx;
	(void)p;
}

static const GumboNode *
parse(struct pool *p, str html)
{
	GumboOptions o = kGumboDefaultOptions;
	const GumboOutput *out;

	o.allocator = pool_take;
	o.deallocator = pool_give;
	o.userdata = p;
	o.max_errors = 0;
	if (setjmp(p->full) != 0)
		return NULL;
	out = gumbo_parse_with_options(&o, html.p, (size_t)html.n);
	return out->root;
}

struct frame {
	const GumboVector *children;
	unsigned	 next;
	int32_t		 node;
};

/* What the copy of the tree needs at most: counted without recursion too. */
struct walk {
	struct html_tree *t;
	int32_t		 cap, depth, depth_cap;
	struct frame	*frame;
	struct arena	*a;
};

static void *
grow(struct arena *a, const void *old, int32_t *cap, size_t size, struct err *err)
{
	int32_t more = *cap == 0 ? 256 : *cap < INT32_MAX / 2 ? *cap * 2 : INT32_MAX;
	void *p = more == *cap ? NULL : arena_alloc(a, more, (ptrdiff_t)size, err);

	if (p == NULL) {
		err_set(err, ERR_LIMIT, "a page of too many elements");
		return NULL;
	}
	if (*cap > 0)
		memcpy(p, old, (size_t)*cap * size);
	*cap = more;
	return p;
}

static struct html_node *
add(struct walk *w, struct err *err)
{
	struct html_tree *t = w->t;
	struct html_node *n;

	if (t->n == w->cap) {
		void *p = grow(w->a, t->node, &w->cap, sizeof(*n), err);

		if (p == NULL)
			return NULL;
		t->node = p;
	}
	n = &t->node[t->n++];
	*n = (struct html_node){ .parent = -1 };
	if (w->depth > 0)
		n->parent = w->frame[w->depth - 1].node;
	n->end = t->n;
	return n;
}

static int
enter(struct walk *w, const GumboNode *g, struct err *err)
{
	struct html_node *n = add(w, err);

	if (n == NULL)
		return -1;
	n->tag = (int16_t)g->v.element.tag;
	n->el = &g->v.element;
	if (n->tag == GUMBO_TAG_A && html_attr(n, "href").p != NULL)
		n->flags |= NODE_LINK;
	if (w->depth == w->depth_cap) {
		void *p = grow(w->a, w->frame, &w->depth_cap, sizeof(*w->frame), err);

		if (p == NULL)
			return -1;
		w->frame = p;
	}
	w->frame[w->depth++] = (struct frame){ &g->v.element.children, 0, w->t->n - 1 };
	return 0;
}

static int
copy(struct walk *w, const GumboNode *root, struct err *err)
{
	if (enter(w, root, err) < 0)
		return -1;
	while (w->depth > 0) {
		struct frame *f = &w->frame[w->depth - 1];
		const GumboNode *g;
		struct html_node *n;

		if (f->next == f->children->length) {
			w->t->node[f->node].end = w->t->n;
			w->depth--;
			continue;
		}
		g = f->children->data[f->next++];
		switch (g->type) {
		case GUMBO_NODE_ELEMENT:
		case GUMBO_NODE_TEMPLATE:
			if (enter(w, g, err) < 0)
				return -1;
			break;
		case GUMBO_NODE_TEXT:
		case GUMBO_NODE_CDATA:
		case GUMBO_NODE_WHITESPACE:
			if ((n = add(w, err)) == NULL)
				return -1;
			n->tag = NODE_TEXT;
			n->text = str_of(g->v.text.text);
			break;
		default:
			break;
		}
	}
	return 0;
}

int
html_tree(struct html_tree *t, str html, struct arena *a, struct err *err)
{
	struct pool pool = { .at = a->at + (-(uintptr_t)a->at & 15), .end = a->end };
	const GumboNode *root = parse(&pool, html);
	struct walk w = { .t = t, .a = a };

	if (root == NULL)
		return err_set(err, ERR_LIMIT, "a page that takes more than %td MiB to parse",
		    (a->end - a->base) >> 20);
	a->at = pool.at;
	*t = (struct html_tree){ 0 };
	return copy(&w, root, err);
}

str
html_attr(const struct html_node *n, const char *name)
{
	const GumboAttribute *at;

	if (n->el == NULL || n->el->attributes.length == 0 ||
	    (at = gumbo_get_attribute(&n->el->attributes, name)) == NULL)
		return (str){ NULL, 0 };
	return str_of(at->value);
}
