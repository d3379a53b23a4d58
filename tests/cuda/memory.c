/*
 * memory - areas of device memory, in order of their addresses
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"

#define RESERVED ((uint64_t)1 << 42)
#define ALIGN 512		/* what cuMemAlloc gives is at least 256 */
#define PINNED_ALIGN 4096

static struct {
	uint64_t base, next, used, total;
	struct area **area;
	int	n;
} mem;

static void *
map(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool
start(void)
{
	const char *s = getenv("CUDA_STANDIN_MEMORY");
	void *p;

	if (mem.base != 0)
		return true;
	p = mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	mem.base = (uint64_t)p;
	mem.next = mem.base + PINNED_ALIGN;
	mem.total = s != NULL ? strtoull(s, NULL, 0) : (uint64_t)16 << 30;
	return true;
}

/* A driver that is opened again and again reserves each time. */
__attribute__((destructor)) static void
finish(void)
{
	if (mem.base != 0)
		munmap((void *)mem.base, RESERVED);
}

uint64_t
memory_total(void)
{
	return start() ? mem.total : 0;
}

uint64_t
memory_used(void)
{
	return mem.used;
}

static void
unmap(struct area *a)
{
	uint64_t words = (a->hi - a->lo + 3) / 4;

	munmap(a->shadow, words * sizeof(*a->shadow));
	munmap(a->init, words);
	if (a->pinned)
		mmap(a->data, a->hi - a->lo, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	else
		munmap(a->data, a->hi - a->lo);
}

uint64_t
memory_new(uint64_t size, int flags, const char *name)
{
	bool pinned = flags & MEMORY_PINNED;
	uint64_t align = pinned ? PINNED_ALIGN : ALIGN, words = (size + 3) / 4;
	struct area *a;
	int i;

	if (!start() || size == 0 || size > RESERVED / 4 ||
	    (!pinned && mem.used + size > mem.total))
		return 0;
	mem.next = (mem.next + align - 1) / align * align;
	a = calloc(1, sizeof(*a));
	a->lo = mem.next;
	a->hi = mem.next + size;
	a->pinned = pinned;
	if (pinned)
		a->data = mmap((void *)a->lo, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	else
		a->data = map(size);
	a->shadow = map(words * sizeof(*a->shadow));
	a->init = map(words);
	a->name = strdup(name);
	mem.next = a->hi + (pinned ? PINNED_ALIGN : ALIGN);
	if (!pinned)
		mem.used += size;
	/* What nothing wrote reads as NaN, where nothing looks at the bits. */
	if (flags & (MEMORY_ZERO | MEMORY_PINNED))
		memset(a->init, 15, words);
	else
		memset(a->data, 0xff, size < (1 << 20) ? size : 1 << 20);
	i = vec_more(&mem.area, &mem.n, sizeof(mem.area[0]));
	mem.area[i] = a;
	return a->lo;
}

struct area *
memory_before(uint64_t addr)
{
	int lo = 0, hi = mem.n;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (mem.area[mid]->lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? NULL : mem.area[lo - 1];
}

struct area *
memory_find(uint64_t addr)
{
	struct area *a = memory_before(addr);

	return a != NULL && addr < a->hi && !a->freed ? a : NULL;
}

void *
memory_host(uint64_t addr)
{
	struct area *a = memory_find(addr);

	return a == NULL ? NULL : a->data + (addr - a->lo);
}

bool
memory_free(uint64_t addr)
{
	struct area *a = memory_find(addr);

	if (a == NULL || a->lo != addr)
		return false;
	unmap(a);
	a->freed = true;
	if (!a->pinned)
		mem.used -= a->hi - a->lo;
	return true;
}

/* Kernels write device memory alone: to pinned memory bytes are copied. */
static bool
is_saved(const struct area *a)
{
	return !a->freed && !a->pinned;
}

uint8_t *
memory_save(void)
{
	uint8_t *saved = malloc(mem.used + 1), *p = saved;

	for (int i = 0; i < mem.n && saved != NULL; i++) {
		const struct area *a = mem.area[i];

		if (is_saved(a))
			p = (uint8_t *)memcpy(p, a->data, a->hi - a->lo) + (a->hi - a->lo);
	}
	if (saved == NULL)
		abort();
	return saved;
}

void
memory_restore(const uint8_t *saved)
{
	for (int i = 0; i < mem.n; i++) {
		struct area *a = mem.area[i];

		if (!is_saved(a))
			continue;
		memcpy(a->data, saved, a->hi - a->lo);
		saved += a->hi - a->lo;
	}
}

const char *
memory_differs(const uint8_t *saved, uint64_t *byte)
{
	for (int i = 0; i < mem.n; i++) {
		const struct area *a = mem.area[i];

		if (!is_saved(a))
			continue;
		if (memcmp(a->data, saved, a->hi - a->lo) != 0) {
			for (*byte = 0; a->data[*byte] == saved[*byte]; ++*byte)
				;
			return a->name;
		}
		saved += a->hi - a->lo;
	}
	return NULL;
}

void
memory_new_epochs(void)
{
	for (int i = 0; i < mem.n; i++) {
		struct area *a = mem.area[i];

		if (!a->freed)
			madvise(a->shadow, (a->hi - a->lo + 3) / 4 * sizeof(*a->shadow), MADV_DONTNEED);
	}
}
