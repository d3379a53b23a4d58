#include "text/html_build_impl.h"

#include "text/entities_impl.h"

#define OUTER	8		/* the adoption agency's limits */
#define INNER	3
#define SAME	3		/* formatting elements alike that stay active */

/* ---- memory ---- */

void *
build_take(struct build *b, ptrdiff_t n)
{
	char *at = b->arena->at + (-(uintptr_t)b->arena->at & 15);

	if (b->full || at > b->arena->end || n > b->arena->end - at) {
		b->full = true;
		return NULL;
	}
	b->arena->at = at + n;
	return at;
}

static bool
room(struct build *b, void **p, int32_t n, int32_t *cap, size_t size)
{
	int32_t more = *cap == 0 ? 4 * BUILD_NODES : *cap * 2;
	void *to;

	if (n + BUILD_NODES <= *cap)
		return true;
	if (*cap > INT32_MAX / 4 || (to = build_take(b, (ptrdiff_t)size * more)) == NULL) {
		b->full = true;
		return false;
	}
	if (n > 0)
		memcpy(to, *p, (size_t)n * size);
	*p = to;
	*cap = more;
	return true;
}

bool
build_grow(struct build *b)
{
	void *node = b->node, *open = b->open.p, *format = b->format.p;
	bool good = room(b, &node, b->n, &b->cap, sizeof(*b->node)) &&
	    room(b, &open, b->open.n, &b->open.cap, sizeof(*b->open.p)) &&
	    room(b, &format, b->format.n, &b->format.cap, sizeof(*b->format.p));

	b->node = node;
	b->open.p = open;
	b->format.p = format;
	return good;
}

str
build_read(struct build *b, str s, enum build_source source)
{
	const char *p = s.p, *end = p + s.n;
	char *out, *at;

	if (s.n == 0 || (!b->raw &&
	    (source == READ_PLAIN || memchr(p, '&', (size_t)s.n) == NULL)))
		return s;
	if ((out = at = build_take(b, s.n + s.n / 4 + ENTITY_BYTES)) == NULL)
		return (str){ "", 0 };
	while (p < end) {
		ptrdiff_t n = 0;
		int bytes;

		if (*p == '&' && source != READ_PLAIN &&
		    (n = entity_at(p, end, source == READ_VALUE, at, &bytes)) > 0) {
			at += bytes;
			p += n;
		} else if (*p == '\r') {
			*at++ = '\n';
			p += end - p > 1 && p[1] == '\n' ? 2 : 1;
		} else if (*p == '\0') {
			p++;
		} else {
			*at++ = *p++;
		}
	}
	b->arena->at = at;
	return (str){ out, at - out };
}

/* ---- nodes ---- */

static int32_t
node_new(struct build *b, int16_t tag)
{
	b->node[b->n] = (struct build_node){ .tag = tag };
	return b->n++;
}

static void
unlink_node(struct build *b, int32_t i)
{
	struct build_node *v = b->node, *n = &v[i], *up = &v[n->parent];

	if (n->parent == 0)
		return;
	*(n->prev != 0 ? &v[n->prev].next : &up->first) = n->next;
	*(n->next != 0 ? &v[n->next].prev : &up->last) = n->prev;
	n->parent = n->prev = n->next = 0;
}

void
build_begin(struct build *b, str page, struct arena *a)
{
	*b = (struct build){ .arena = a };
	b->raw = page.n > 0 && (memchr(page.p, '\r', (size_t)page.n) != NULL ||
	    memchr(page.p, '\0', (size_t)page.n) != NULL);
	if (build_room(b))
		node_new(b, TAG_NONE);
}

/* Where a node is inserted: below parent, before a child of it or at its end. */
struct place {
	int32_t		 parent, before;
};

static void
link_node(struct build *b, struct place at, int32_t i)
{
	struct build_node *v = b->node, *up = &v[at.parent], *n = &v[i];

	n->parent = at.parent;
	n->next = at.before;
	n->prev = at.before != 0 ? v[at.before].prev : up->last;
	*(n->prev != 0 ? &v[n->prev].next : &up->first) = i;
	*(n->next != 0 ? &v[n->next].prev : &up->last) = i;
}

/* The place in `target', or before the table where that is a part of one. */
static struct place
place_in(const struct build *b, int32_t target)
{
	if (b->foster && build_is(b, target, ROWS))
		for (int32_t i = b->open.n; i-- > 1; ) {
			int32_t table = b->open.p[i];

			if (b->node[table].tag != TAG_TABLE)
				continue;
			if (b->node[table].parent != 0)
				return (struct place){ b->node[table].parent, table };
			return (struct place){ b->open.p[i - 1], 0 };
		}
	return (struct place){ target, 0 };
}

void
build_append(struct build *b, struct build_bytes *to, str s)
{
	char *p;

	if (s.n > INT32_MAX / 2 - to->n) {
		b->full = true;
		return;
	}
	if (to->n == 0) {
		*to = (struct build_bytes){ .p = s.p, .n = (int32_t)s.n };
		return;
	}
	if (to->p + to->n != s.p) {
		if (to->n + s.n > to->cap) {
			int32_t cap = 2 * (to->n + (int32_t)s.n);

			if ((p = build_take(b, cap)) == NULL)
				return;
			memcpy(p, to->p, (size_t)to->n);
			to->p = p;
			to->cap = cap;
		}
		memcpy((char *)(uintptr_t)to->p + to->n, s.p, (size_t)s.n);
	}
	to->n += (int32_t)s.n;
}

void
build_text(struct build *b, str s)
{
	struct place at = place_in(b, build_top(b));
	int32_t i = at.before != 0 ? b->node[at.before].prev : b->node[at.parent].last;

	if (s.n == 0)
		return;
	if (i == 0 || b->node[i].tag != NODE_TEXT) {
		i = node_new(b, NODE_TEXT);
		link_node(b, at, i);
	}
	build_append(b, &b->node[i].text, s);
}

void
build_open(struct build *b, int32_t i)
{
	b->open.p[b->open.n++] = i;
	b->node[i].open = true;
}

static bool
has_attr(const struct build_node *n, enum html_name name)
{
	for (int32_t i = 0; i < n->nattr; i++)
		if (n->attr[i].name == name)
			return true;
	return false;
}

void
build_merge(struct build *b, int32_t i, const struct build_token *t)
{
	struct build_node *n = &b->node[i];
	struct html_attr *to;
	int fresh = 0;

	for (int k = 0; k < t->nattr; k++)
		fresh += !has_attr(n, t->attr[k].name);
	if (fresh == 0 || (to = build_take(b, (n->nattr + fresh) * (ptrdiff_t)sizeof(*to))) == NULL)
		return;
	if (n->nattr > 0)
		memcpy(to, n->attr, (size_t)n->nattr * sizeof(*to));
	n->attr = to;
	for (int k = 0; k < t->nattr; k++)
		if (!has_attr(n, t->attr[k].name))
			to[n->nattr++] = (struct html_attr){ t->attr[k].name,
			    build_read(b, t->attr[k].value, READ_VALUE) };
}

int32_t
build_insert(struct build *b, const struct build_token *t)
{
	struct place at = b->open.n > 0 ? place_in(b, build_top(b)) : (struct place){ 0 };
	int32_t i = node_new(b, (int16_t)t->tag);

	build_merge(b, i, t);
	link_node(b, at, i);
	build_open(b, i);
	return i;
}

int32_t
build_implied(struct build *b, enum html_tag tag)
{
	return build_insert(b, &(struct build_token){ .tag = tag });
}

/* ---- open elements ---- */

void
build_pop(struct build *b)
{
	b->node[b->open.p[--b->open.n]].open = false;
}

void
build_pop_to(struct build *b, uint64_t set)
{
	bool last;

	do {
		last = b->open.n == 1 || build_is(b, build_top(b), set);
		build_pop(b);
	} while (!last);
}

void
build_clear_to(struct build *b, uint64_t set)
{
	while (b->open.n > 1 && !build_is(b, build_top(b), set | BIT(HTML)))
		build_pop(b);
}

bool
build_in_scope(const struct build *b, uint64_t set, uint64_t scope)
{
	for (int32_t i = b->open.n; i-- > 0; )
		if (build_is(b, b->open.p[i], set))
			return true;
		else if (build_is(b, b->open.p[i], scope))
			return false;
	return false;
}

void
build_end_implied(struct build *b, uint64_t but)
{
	while (build_is(b, build_top(b), IMPLIED & ~but))
		build_pop(b);
}

/* ---- lists of nodes ---- */

static int32_t
list_find(const struct build_list *l, int32_t node)
{
	int32_t i = l->n;

	while (i-- > 0 && l->p[i] != node)
		;
	return i;
}

static void
list_remove(struct build_list *l, int32_t i)
{
	memmove(&l->p[i], &l->p[i + 1], (size_t)(l->n - i - 1) * sizeof(*l->p));
	l->n--;
}

static void
list_insert(struct build_list *l, int32_t i, int32_t node)
{
	memmove(&l->p[i + 1], &l->p[i], (size_t)(l->n - i) * sizeof(*l->p));
	l->p[i] = node;
	l->n++;
}

/* ---- formatting elements ---- */

static bool
alike(const struct build_node *a, const struct build_node *b)
{
	if (a->tag != b->tag || a->nattr != b->nattr)
		return false;
	for (int32_t i = 0; i < a->nattr; i++) {
		int32_t k = 0;

		while (k < b->nattr && (a->attr[i].name != b->attr[k].name ||
		    !str_eq(a->attr[i].value, b->attr[k].value)))
			k++;
		if (k == b->nattr)
			return false;
	}
	return true;
}

void
build_format(struct build *b, int32_t node)
{
	struct build_list *l = &b->format;
	int32_t same = 0, first = 0;

	for (int32_t i = l->n; i-- > 0 && l->p[i] != 0; )
		if (alike(&b->node[l->p[i]], &b->node[node])) {
			first = i;
			same++;
		}
	if (same >= SAME)
		list_remove(l, first);
	l->p[l->n++] = node;
}

void
build_mark(struct build *b)
{
	b->format.p[b->format.n++] = 0;
}

void
build_unmark(struct build *b)
{
	while (b->format.n > 0 && b->format.p[--b->format.n] != 0)
		;
}

int32_t
build_formatting(const struct build *b, enum html_tag tag)
{
	for (int32_t i = b->format.n; i-- > 0 && b->format.p[i] != 0; )
		if (b->node[b->format.p[i]].tag == (int16_t)tag)
			return b->format.p[i];
	return 0;
}

static int32_t
copy_of(struct build *b, int32_t node)
{
	int32_t i = node_new(b, b->node[node].tag);

	b->node[i].attr = b->node[node].attr;
	b->node[i].nattr = b->node[node].nattr;
	return i;
}

void
build_reopen(struct build *b)
{
	struct build_list *l = &b->format;
	int32_t i = l->n;

	while (i > 0 && l->p[i - 1] != 0 && !b->node[l->p[i - 1]].open)
		i--;
	for (; i < l->n; i++) {
		int32_t copy = copy_of(b, l->p[i]);

		link_node(b, place_in(b, build_top(b)), copy);
		build_open(b, copy);
		l->p[i] = copy;
	}
}

static void
close_node(struct build *b, int32_t node)
{
	if (!b->node[node].open)
		return;
	list_remove(&b->open, list_find(&b->open, node));
	b->node[node].open = false;
}

void
build_forget(struct build *b, int32_t node)
{
	int32_t i = list_find(&b->format, node);

	if (i >= 0)
		list_remove(&b->format, i);
	close_node(b, node);
}

/* The block that is open in an element and would be left behind by its end: its place in the
 * stack, or -1. */
static int32_t
furthest_block(const struct build *b, int32_t element)
{
	for (int32_t i = list_find(&b->open, element) + 1; i < b->open.n; i++)
		if (!build_is(b, b->open.p[i], PHRASES))
			return i;
	return -1;
}

/*
 * Copies of the formatting elements that are open between the block and the element take the
 * block, one in the other.  Return the outermost, and where in the list the element's own
 * copy belongs.
 */
static int32_t
wrap(struct build *b, int32_t element, int32_t at, int32_t *mark)
{
	int32_t block = b->open.p[at], last = block;

	for (int32_t inner = 1; b->open.p[--at] != element; inner++) {
		int32_t node = b->open.p[at], i = list_find(&b->format, node);

		if (i >= 0 && inner > INNER) {
			list_remove(&b->format, i);
			*mark -= i < *mark;
			i = -1;
		}
		if (i < 0) {
			close_node(b, node);
			continue;
		}
		b->node[node].open = false;
		node = copy_of(b, node);
		b->node[node].open = true;
		b->open.p[at] = b->format.p[i] = node;
		if (last == block)
			*mark = i + 1;
		unlink_node(b, last);
		link_node(b, (struct place){ node, 0 }, last);
		last = node;
	}
	return last;
}

bool
build_adopt(struct build *b, enum html_tag tag)
{
	int32_t element, block, at, mark, last, copy, child;

	if (b->node[build_top(b)].tag == (int16_t)tag && list_find(&b->format, build_top(b)) < 0) {
		build_pop(b);
		return true;
	}
	for (int outer = 0; outer < OUTER; outer++) {
		if ((element = build_formatting(b, tag)) == 0)
			return outer > 0;
		if (!b->node[element].open) {
			build_forget(b, element);
			return true;
		}
		for (at = b->open.n - 1; b->open.p[at] != element; at--)
			if (build_is(b, b->open.p[at], SCOPE))
				return true;
		if ((at = furthest_block(b, element)) < 0) {
			while (b->node[element].open)
				build_pop(b);
			build_forget(b, element);
			return true;
		}
		block = b->open.p[at];
		mark = list_find(&b->format, element);
		last = wrap(b, element, at, &mark);
		unlink_node(b, last);
		link_node(b, place_in(b, b->open.p[list_find(&b->open, element) - 1]), last);

		copy = copy_of(b, element);
		while ((child = b->node[block].first) != 0) {
			unlink_node(b, child);
			link_node(b, (struct place){ copy, 0 }, child);
		}
		link_node(b, (struct place){ block, 0 }, copy);
		at = list_find(&b->format, element);
		list_remove(&b->format, at);
		list_insert(&b->format, mark - (at < mark), copy);
		close_node(b, element);
		list_insert(&b->open, list_find(&b->open, block) + 1, copy);
		b->node[copy].open = true;
	}
	return true;
}

/* ---- the tree ---- */

void
build_tree(struct build *b, struct html_tree *t)
{
	int32_t i = b->node[0].first, up = -1;

	t->n = 0;
	t->node = build_take(b, b->n * (ptrdiff_t)sizeof(*t->node));
	while (t->node != NULL && i != 0) {
		const struct build_node *from = &b->node[i];
		struct html_node *to = &t->node[t->n++];

		*to = (struct html_node){ .tag = from->tag, .parent = up, .end = t->n };
		if (from->tag == NODE_TEXT) {
			to->text = (str){ from->text.p, from->text.n };
		} else {
			to->attr = from->attr;
			to->nattr = from->nattr;
			if (from->tag == TAG_A && has_attr(from, ATTR_HREF))
				to->flags |= NODE_LINK;
		}
		if (from->first != 0) {
			up = t->n - 1;
			i = from->first;
			continue;
		}
		for (; b->node[i].next == 0 && up >= 0; i = b->node[i].parent) {
			t->node[up].end = t->n;
			up = t->node[up].parent;
		}
		i = b->node[i].next;
	}
}

str
html_attr(const struct html_node *n, enum html_name name)
{
	for (int32_t i = 0; i < n->nattr; i++)
		if (n->attr[i].name == name)
			return n->attr[i].value;
	return (str){ NULL, 0 };
}
