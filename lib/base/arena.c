#include "base/arena.h"

#include <stdint.h>
#include <sys/mman.h>

int
arena_init(struct arena *a, ptrdiff_t limit, struct err *err)
{
	void *p = mmap(NULL, (size_t)limit, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return err_set(err, ERR_NOMEM, "cannot reserve %td bytes", limit);
	a->base = a->at = p;
	a->end = a->base + limit;
	return 0;
}

void *
arena_alloc(struct arena *a, ptrdiff_t n, ptrdiff_t size, struct err *err)
{
	char *at = a->at + (-(uintptr_t)a->at & 63);
	ptrdiff_t bytes;

	if (n < 0 || size < 0 || __builtin_mul_overflow(n, size, &bytes) ||
	    at > a->end || bytes > a->end - at) {
		err_set(err, ERR_LIMIT, "out of memory: more than %td bytes needed",
		    a->end - a->base);
		return NULL;
	}
	a->at = at + bytes;
	return at;
}

str
arena_str(struct arena *a, str s, struct err *err)
{
	char *p = arena_alloc(a, s.n + 1, 1, err);

	if (p == NULL)
		return (str){ NULL, 0 };
	if (s.n > 0)
		memcpy(p, s.p, (size_t)s.n);
	p[s.n] = '\0';
	return (str){ p, s.n };
}

void
arena_reset(struct arena *a)
{
	if (a->base == NULL)
		return;
	madvise(a->base, (size_t)(a->end - a->base), MADV_DONTNEED);
	a->at = a->base;
}

void
arena_free(struct arena *a)
{
	if (a->base != NULL)
		munmap(a->base, (size_t)(a->end - a->base));
	*a = (struct arena){ 0 };
}
