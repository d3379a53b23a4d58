#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEGMENT	((int64_t)8 << 20)	/* spill_bytes() asks for this much at once */
#define HUGE	((int64_t)2 << 20)

void
spill_init(struct spill *s, const char *dir, int64_t memory)
{
	*s = (struct spill){ .dir = dir, .memory = memory };
}

/* Open a file without a name; where the file system has none, one that loses its name. */
static int
unnamed(const char *dir, struct err *err)
{
	char path[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd != -1)
		return fd;
	if (snprintf(path, sizeof(path), "%s/llm-spill.XXXXXX", dir) >= (int)sizeof(path))
		return err_set(err, ERR_ARG, "%s: name too long", dir);
	if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
		return err_sys(err, "%s: cannot create", path);
	unlink(path);
	return fd;
}

int
spill_file(const char *dir, int64_t bytes, struct err *err)
{
	int fd = unnamed(dir, err), why;

	if (fd == -1)
		return -1;
	if (bytes > 0 && (why = posix_fallocate(fd, 0, bytes)) != 0) {
		close(fd);
		errno = why;
		return err_sys(err, "%s: cannot spill %lld bytes", dir, (long long)bytes);
	}
	return fd;
}

static void *
map_file(const char *dir, int64_t bytes, struct err *err)
{
	int fd = spill_file(dir, bytes, err);
	void *p;

	if (fd == -1)
		return MAP_FAILED;
	p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		err_sys(err, "%s: cannot map", dir);
	close(fd);
	return p;
}

static void *
map_memory(int64_t bytes, struct err *err)
{
	void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err_sys(err, "cannot get %lld bytes", (long long)bytes);
	else if (bytes >= HUGE)
		madvise(p, (size_t)bytes, MADV_HUGEPAGE);
	return p;
}

struct piece *
spill_map(struct spill *s, int64_t bytes, struct err *err)
{
	struct piece *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->bytes = (bytes + 4095) & ~(int64_t)4095;
	p->file = p->bytes > s->memory;
	p->p = p->file ? map_file(s->dir, p->bytes, err) : map_memory(p->bytes, err);
	if (p->p == MAP_FAILED) {
		free(p);
		return NULL;
	}
	if (p->file) {
		s->in_files += p->bytes;
	} else {
		s->memory -= p->bytes;
		s->in_memory += p->bytes;
	}
	p->next = s->first;
	p->at = &s->first;
	if (p->next != NULL)
		p->next->at = &p->next;
	s->first = p;
	return p;
}

void
spill_unmap(struct spill *s, struct piece *p)
{
	if (p == NULL)
		return;
	munmap(p->p, (size_t)p->bytes);
	if (p->file) {
		s->in_files -= p->bytes;
	} else {
		s->memory += p->bytes;
		s->in_memory -= p->bytes;
	}
	*p->at = p->next;
	if (p->next != NULL)
		p->next->at = p->at;
	free(p);
}

void *
spill_bytes(struct spill *s, int64_t n, struct err *err)
{
	void *at;

	n = (n + 7) & ~(int64_t)7;
	if (n > s->bump_end - s->bump) {
		struct piece *p = spill_map(s, n > SEGMENT ? n : SEGMENT, err);

		if (p == NULL)
			return NULL;
		s->bump = p->p;
		s->bump_end = s->bump + p->bytes;
	}
	at = s->bump;
	s->bump += n;
	return at;
}

void
spill_free(struct spill *s)
{
	while (s->first != NULL)
		spill_unmap(s, s->first);
	s->bump = s->bump_end = NULL;
}
