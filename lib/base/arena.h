/*
 * arena - memory that is given back all at once
 *
 * An arena is one reservation of address space with a stated limit; pages
 * cost nothing until they are touched.  Who calls arena_init() owns it and
 * calls arena_free().  A function that returns memory takes a pointer; one
 * that needs scratch space takes an arena by value, and what it allocated is
 * gone when it returns.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct arena {
	char	*at, *end;
	char	*base;
};

/* Reserve limit bytes.  Return 0 or -1. */
int arena_init(struct arena *a, ptrdiff_t limit, struct err *err);

/*
 * Return n * size zeroed bytes aligned to 64, or NULL when the limit would be
 * passed (ERR_LIMIT).  n and size may come from input.
 */
void *arena_alloc(struct arena *a, ptrdiff_t n, ptrdiff_t size, struct err *err);

#define arena_new(a, type, n, err) \
	((type *)arena_alloc((a), (n), (ptrdiff_t)sizeof(type), (err)))

/* A copy of s with a NUL after it, or one with p == NULL. */
str arena_str(struct arena *a, str s, struct err *err);

/* Forget all allocations; the pages go back to the system. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
