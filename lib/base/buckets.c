#include "base/buckets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/spill.h"

#define CHUNK_MIN	((int64_t)4 << 10)
#define CHUNK_MAX	((int64_t)64 << 10)

/* A full chunk: in memory, or with p NULL at a place of the file. */
struct chunk {
	char	*p;
	int64_t	 at;
};

struct bucket {
	char		*last;		/* the chunk that is being filled, or NULL */
	int64_t		 fill, items;
	struct chunk	*full;
	int64_t		 n, cap;
};

struct buckets {
	const char	*dir;
	int64_t		 size, chunk, memory;	/* memory: left for full chunks */
	int		 n, fd;
	int64_t		 end;		/* of the file */
	struct bucket	 bucket[];
};

struct buckets *
buckets_new(const char *dir, int n, int64_t size, int64_t memory, struct err *err)
{
	struct buckets *b = calloc(1, sizeof(*b) + (size_t)n * sizeof(struct bucket));
	int64_t chunk = memory / 2 / n;

	if (b == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	chunk = chunk < CHUNK_MIN ? CHUNK_MIN : chunk > CHUNK_MAX ? CHUNK_MAX : chunk;
	b->dir = dir;
	b->n = n;
	b->size = size;
	b->chunk = chunk / size * size;
	b->memory = memory - n * b->chunk;
	b->fd = -1;
	return b;
}

static int
write_all(struct buckets *b, const char *p, struct err *err)
{
	int64_t done = 0;

	if (b->fd == -1 && (b->fd = spill_file(b->dir, 0, err)) == -1)
		return -1;
	while (done < b->chunk) {
		ssize_t n = pwrite(b->fd, p + done, (size_t)(b->chunk - done), b->end + done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "%s: cannot spill", b->dir);
		done += n;
	}
	return 0;
}

/* Put a full chunk away: memory, while there is some, is given to it for good. */
static int
put_away(struct buckets *b, struct bucket *k, struct err *err)
{
	struct chunk *c;

	if (k->n == k->cap) {
		int64_t cap = k->cap > 0 ? 2 * k->cap : 16;

		if ((c = realloc(k->full, (size_t)cap * sizeof(*c))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		k->full = c;
		k->cap = cap;
	}
	c = &k->full[k->n];
	if (b->memory >= b->chunk) {
		*c = (struct chunk){ k->last, 0 };
		b->memory -= b->chunk;
		k->last = NULL;
	} else {
		if (write_all(b, k->last, err) < 0)
			return -1;
		*c = (struct chunk){ NULL, b->end };
		b->end += b->chunk;
	}
	k->n++;
	k->fill = 0;
	return 0;
}

int
buckets_add(struct buckets *b, int bucket, const void *item, struct err *err)
{
	struct bucket *k = &b->bucket[bucket];

	if (k->fill == b->chunk && put_away(b, k, err) < 0)
		return -1;
	if (k->last == NULL && (k->last = malloc((size_t)b->chunk)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(k->last + k->fill, item, (size_t)b->size);
	k->fill += b->size;
	k->items++;
	return 0;
}

int64_t
buckets_count(const struct buckets *b, int bucket)
{
	return b->bucket[bucket].items;
}

int64_t
buckets_spilled(const struct buckets *b)
{
	return b->end;
}

int64_t
buckets_chunk(const struct buckets *b)
{
	return b->chunk;
}

int64_t
buckets_read(const struct buckets *b, int bucket, int64_t at, void *room, const void **items,
    struct err *err)
{
	const struct bucket *k = &b->bucket[bucket];
	int64_t done = 0;

	if (at == k->n) {
		*items = k->last;
		return k->fill / b->size;
	}
	if (at > k->n)
		return 0;
	*items = k->full[at].p != NULL ? k->full[at].p : room;
	while (k->full[at].p == NULL && done < b->chunk) {
		ssize_t n = pread(b->fd, (char *)room + done, (size_t)(b->chunk - done),
		    k->full[at].at + done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "%s: cannot read what was spilled", b->dir);
		done += n;
	}
	return b->chunk / b->size;
}

void
buckets_empty(struct buckets *b, int bucket)
{
	struct bucket *k = &b->bucket[bucket];

	for (int64_t i = 0; i < k->n; i++)
		free(k->full[i].p);
	free(k->full);
	free(k->last);
	*k = (struct bucket){ 0 };
}

void
buckets_free(struct buckets *b)
{
	if (b == NULL)
		return;
	for (int i = 0; i < b->n; i++)
		buckets_empty(b, i);
	if (b->fd != -1)
		close(b->fd);
	free(b);
}
