/*
 * added - find tokens that stand in text as they are
 *
 * A trie in one hash table.  The match that starts first wins, of those the
 * longest, as in the reference.
 */
#ifndef TOKEN_ADDED_H
#define TOKEN_ADDED_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct added {
	uint64_t	*slot;		/* (node << 8 | byte) << 32 | child; 0: empty */
	int64_t		 nslots, used;
	int32_t		*id;		/* of each node: its token, or -1 */
	int64_t		 nodes, cap;
	bool		 first[256];	/* some token begins with this byte, */
	int		 firsts;	/* of which there are so many */
	char		 only;		/* that one, where there is one */
};

/* Zeroed at first.  Return 0 or -1. */
int added_put(struct added *a, str token, int32_t id, struct err *err);
void added_free(struct added *a);

/* The first token in [p, end): *start, *stop and its id, or -1. */
int32_t added_find(const struct added *a, const char *p, const char *end,
    const char **start, const char **stop);

#endif
