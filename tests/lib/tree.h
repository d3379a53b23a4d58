/* Trees of pages: is one whole, and not too deep? */
#ifndef TESTS_TREE_H
#define TESTS_TREE_H

#include "text/html_impl.h"

static inline bool
tree_is_whole(const struct html_tree *t)
{
	int depth = 1;

	for (int32_t i = 1, up = 0; i < t->n; i++) {
		const struct html_node *n = &t->node[i];

		for (; up >= 0 && up != n->parent; depth--)
			up = t->node[up].parent;
		if (up < 0 || n->end <= i || n->end > t->node[up].end || ++depth > 2 * HTML_DEPTH)
			return false;
		up = i;
	}
	return t->n > 0 && t->node[0].end == t->n && t->node[0].parent == -1;
}

#endif
