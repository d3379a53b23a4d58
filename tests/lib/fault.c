/*
 * fault - calls that fail on demand: an LD_PRELOAD shim for the tests
 *
 * FAULT_MALLOC=7 fails the seventh allocation after the program's start,
 * FAULT_MALLOC=7+ that one and all after it.  So do FAULT_READ (EIO),
 * FAULT_WRITE (ENOSPC), FAULT_FSYNC (EIO), FAULT_MMAP (ENOMEM), FAULT_OPEN
 * (EMFILE) and FAULT_THREAD (EAGAIN).  FAULT_SHORT=5 lets every read and
 * write move five bytes at most.  FAULT_TMPFILE=1 refuses files without a
 * name, as some file systems do.  What libarchive allocates never fails, for it
 * crashes or ends the program then.  FAULT_COUNT=file gets the number of calls
 * of each kind when the program ends.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum kind { MALLOC, READ, WRITE, FSYNC, MMAP, OPEN, THREAD, KINDS };

static const char *const names[KINDS] = {
	"MALLOC", "READ", "WRITE", "FSYNC", "MMAP", "OPEN", "THREAD"
};

static struct {
	long		at[KINDS];	/* the call that fails, 0 for none */
	int		on[KINDS];	/* and all after it */
	long		at_most;	/* bytes of a read or write, 0 for all */
	int		tmpfile;
	atomic_long	calls[KINDS];
	atomic_int	ready;
	uintptr_t	spared, spared_end;	/* libarchive's code */
} fault;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static int
spare(struct dl_phdr_info *lib, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	if (lib->dlpi_name == NULL || strstr(lib->dlpi_name, "/libarchive.so") == NULL)
		return 0;
	for (int i = 0; i < lib->dlpi_phnum; i++) {
		uintptr_t at = lib->dlpi_addr + lib->dlpi_phdr[i].p_vaddr;

		if (lib->dlpi_phdr[i].p_type != PT_LOAD ||
		    (lib->dlpi_phdr[i].p_flags & PF_X) == 0)
			continue;
		fault.spared = at;
		fault.spared_end = at + lib->dlpi_phdr[i].p_memsz;
	}
	return 1;
}

static void __attribute__((constructor))
start(void)
{
	char name[32];

	dl_iterate_phdr(spare, NULL);
	for (int k = 0; k < KINDS; k++) {
		const char *s;
		char *end;

		snprintf(name, sizeof(name), "FAULT_%s", names[k]);
		if ((s = getenv(name)) == NULL)
			continue;
		fault.at[k] = strtol(s, &end, 10);
		fault.on[k] = *end == '+';
	}
	fault.at_most = getenv("FAULT_SHORT") != NULL ? strtol(getenv("FAULT_SHORT"), NULL, 10) : 0;
	fault.tmpfile = getenv("FAULT_TMPFILE") != NULL;
	fault.ready = 1;
}

static void __attribute__((destructor))
count(void)
{
	const char *path = getenv("FAULT_COUNT");
	FILE *fp;

	fault.ready = 0;
	if (path == NULL || (fp = fopen(path, "w")) == NULL)
		return;
	for (int k = 0; k < KINDS; k++)
		fprintf(fp, "%s %ld\n", names[k], atomic_load(&fault.calls[k]));
	fclose(fp);
}

/* Count a call, and tell whether it is to fail. */
static int
fails(enum kind k, int with)
{
	long n;

	if (!fault.ready)
		return 0;
	n = atomic_fetch_add(&fault.calls[k], 1) + 1;
	if (fault.at[k] == 0 || n < fault.at[k] || (n > fault.at[k] && !fault.on[k]))
		return 0;
	errno = with;
	return 1;
}

/* Is an allocation that returns to this address to fail? */
static int
starves(void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	return (at < fault.spared || at >= fault.spared_end) && fails(MALLOC, ENOMEM);
}

static size_t
clip(size_t n)
{
	return fault.at_most > 0 && n > (size_t)fault.at_most ? (size_t)fault.at_most : n;
}

#define NEXT(name) (__extension__ (__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *
malloc(size_t n)
{
	return starves(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return starves(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return starves(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	return starves(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}

int
posix_memalign(void **p, size_t align, size_t n)
{
	if (starves(__builtin_return_address(0)) || (*p = __libc_memalign(align, n)) == NULL)
		return ENOMEM;
	return 0;
}

ssize_t
read(int fd, void *p, size_t n)
{
	return fails(READ, EIO) ? -1 : NEXT(read)(fd, p, clip(n));
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
	return fails(READ, EIO) ? -1 : NEXT(pread)(fd, p, clip(n), at);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	/* Messages are to be seen. */
	if (fd != STDERR_FILENO && fails(WRITE, ENOSPC))
		return -1;
	return NEXT(write)(fd, p, clip(n));
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails(WRITE, ENOSPC) ? -1 : NEXT(pwrite)(fd, p, clip(n), at);
}

int
fsync(int fd)
{
	return fails(FSYNC, EIO) ? -1 : NEXT(fsync)(fd);
}

void *
mmap(void *p, size_t n, int prot, int flags, int fd, off_t at)
{
	return fails(MMAP, ENOMEM) ? MAP_FAILED : NEXT(mmap)(p, n, prot, flags, fd, at);
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0;
	va_end(ap);
	if (fault.tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return fails(OPEN, EMFILE) ? -1 : NEXT(open)(path, flags, mode);
}

int
pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return fails(THREAD, EAGAIN) ? EAGAIN : NEXT(pthread_create)(t, attr, fn, arg);
}
