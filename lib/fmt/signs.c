#include "fmt/signs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

#define BLOCK	((ptrdiff_t)1 << 20)
#define HEAD	16		/* bytes of a sign before its key */
#define SUMS	24		/* bytes of the last chunk but END */
#define KEY_MAX	4096

static const char zeros[8];

static int64_t
round8(int64_t n)
{
	return (n + 7) & ~(int64_t)7;
}

int
signs_begin(struct signs_writer *w, struct out *out, str settings, int64_t key_bytes,
    struct err *err)
{
	int64_t arg[4] = { key_bytes };

	*w = (struct signs_writer){ .key_bytes = key_bytes, .block.limit = CHUNK_MAX };
	if (chunk_begin(&w->chunk, out, SIGNS_KIND, SIGNS_VERSION, 1, err) < 0)
		return -1;
	return chunk_put(&w->chunk, "info", arg, settings, err);
}

static int
put_block(struct signs_writer *w, struct err *err)
{
	int64_t arg[4] = { w->in_block };

	if (buf_ok(&w->block, err) < 0 ||
	    chunk_put(&w->chunk, "sign", arg, buf_str(&w->block), err) < 0)
		return -1;
	buf_reset(&w->block);
	w->in_block = 0;
	return 0;
}

static void
put_padded(struct buf *b, const void *p, int64_t n)
{
	buf_add(b, (str){ p, n });
	buf_add(b, (str){ zeros, round8(n) - n });
}

int
signs_put(struct signs_writer *w, const struct sign *s, struct err *err)
{
	uint32_t n[2] = { (uint32_t)s->n, (uint32_t)s->name.n };

	if (s->n > UINT32_MAX || s->name.n > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "a sign of more than 2^32 shingles or bytes");
	buf_add(&w->block, (str){ (const char *)&s->index, 8 });
	buf_add(&w->block, (str){ (const char *)n, 8 });
	put_padded(&w->block, s->key, w->key_bytes);
	buf_add(&w->block, (str){ (const char *)s->set, s->n * 8 });
	put_padded(&w->block, s->name.p, s->name.n);
	w->in_block++;
	w->signs++;
	return w->block.n >= BLOCK || w->block.failed ? put_block(w, err) : 0;
}

int
signs_finish(struct signs_writer *w, int64_t records, int64_t text, struct err *err)
{
	int64_t sums[3] = { records, w->signs, text };

	if (w->in_block > 0 && put_block(w, err) < 0)
		return -1;
	if (chunk_put(&w->chunk, "sums", NULL, (str){ (const char *)sums, SUMS }, err) < 0)
		return -1;
	return chunk_finish(&w->chunk, err);
}

void
signs_writer_free(struct signs_writer *w)
{
	buf_free(&w->block);
}

static int
read_info(struct signs_reader *r, struct err *err)
{
	struct chunk c;
	const void *p;
	int got = chunk_start(&r->now.chunk, err);

	if (got == 0)
		return err_set(err, ERR_FORMAT, "an empty file is no file of signs");
	if (got < 0 || (got = chunk_next(&r->now.chunk, &c, err)) < 0)
		return -1;
	if (got == 0 || strcmp(c.id, "info") != 0)
		return err_set(err, ERR_FORMAT, "byte %lld: no chunk 'info'", (long long)c.at);
	if (c.arg[0] < 8 || c.arg[0] > KEY_MAX || c.length > KEY_MAX)
		return err_set(err, ERR_FORMAT, "byte %lld: keys of %lld bytes, settings of %lld",
		    (long long)c.at, (long long)c.arg[0], (long long)c.length);
	r->key_bytes = c.arg[0];
	if (chunk_payload(&r->now.chunk, &c, true, &r->bytes, &p, err) < 0)
		return -1;
	buf_add(&r->settings, (str){ p, c.length });
	return buf_ok(&r->settings, err);
}

/* Places in it must be places in the file. */
static int
check_plain(int fd, struct err *err)
{
	unsigned char first[4] = { 0 };

	if (pread(fd, first, sizeof(first), 0) < 0)
		return err_sys(err, "cannot read");
	if ((first[0] == 0x1f && first[1] == 0x8b) ||
	    (first[0] == 0x28 && first[1] == 0xb5 && first[2] == 0x2f && first[3] == 0xfd))
		return err_set(err, ERR_FORMAT, "signs may not be compressed");
	return 0;
}

int
signs_open(struct signs_reader *r, const char *path, struct err *err)
{
	*r = (struct signs_reader){ .path = path };
	r->now.chunk = (struct chunk_reader){
		.name = "file of signs", .kind = SIGNS_KIND, .version = SIGNS_VERSION,
	};
	r->now.last = -1;
	if ((r->fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return err_sys(err, "%s: cannot open", path);
	if (check_plain(r->fd, err) < 0 || (r->in = in_fd(r->fd, err)) == NULL)
		return err_wrap(err, "%s", path);
	r->now.chunk.in = r->in;
	if (read_info(r, err) < 0)
		return err_wrap(err, "%s", path);
	r->block = r->now;
	return 0;
}

static int
end_of_signs(struct signs_reader *r, const struct chunk *c, struct err *err)
{
	struct chunk_reader *chunk = &r->now.chunk;
	struct chunk end;
	const void *p;
	char after;
	int got;

	if (c->length != SUMS)
		return err_set(err, ERR_FORMAT, "byte %lld: 'sums' has %lld bytes",
		    (long long)c->at, (long long)c->length);
	if (chunk_payload(chunk, c, true, &r->bytes, &p, err) < 0)
		return -1;
	memcpy(&r->sums, p, SUMS);
	if (r->sums.signs != r->now.signs || r->sums.records <= r->now.last)
		return err_set(err, ERR_FORMAT, "byte %lld: %lld signs of %lld records, and there "
		    "were %lld up to record %lld", (long long)c->at, (long long)r->sums.signs,
		    (long long)r->sums.records, (long long)r->now.signs,
		    (long long)r->now.last);
	if ((got = chunk_next(chunk, &end, err)) > 0)
		return err_set(err, ERR_FORMAT, "byte %lld: a chunk after 'sums'",
		    (long long)end.at);
	if (got == 0 && in_read(r->in, &after, 1, err) != 0)
		return err_set(err, ERR_FORMAT, "byte %lld: data after the END chunk",
		    (long long)chunk->at);
	r->done = got == 0;
	return got;
}

/* Return 1 with a block, 0 at the end, -1. */
static int
next_block(struct signs_reader *r, struct err *err)
{
	struct chunk c;
	const void *p;
	int got;

	r->block = r->now;
	for (;;) {
		if ((got = chunk_next(&r->now.chunk, &c, err)) < 0)
			return -1;
		if (got == 0)
			return err_set(err, ERR_FORMAT, "byte %lld: no chunk 'sums'",
			    (long long)c.at);
		if (strcmp(c.id, "sums") == 0)
			return end_of_signs(r, &c, err);
		if (strcmp(c.id, "sign") == 0)
			break;
		if (chunk_unknown(&r->now.chunk, &c, err) < 0)
			return -1;
	}
	if (chunk_payload(&r->now.chunk, &c, true, &r->bytes, &p, err) < 0)
		return -1;
	r->now.signs += c.arg[0];
	r->p = p;
	r->end = r->p + c.length;
	r->p_at = c.at + CHUNK_ALIGN;
	r->taken = 0;
	return 1;
}

/* Take apart what begins at p; return its length, or 0 when it goes beyond n bytes. */
static int64_t
parse(const char *p, int64_t n, int64_t key_bytes, struct sign *s)
{
	uint32_t count[2];
	int64_t all;

	if (n < HEAD)
		return 0;
	memcpy(&s->index, p, 8);
	memcpy(count, p + 8, 8);
	s->n = count[0];
	all = HEAD + round8(key_bytes) + s->n * 8;
	s->key = p + HEAD;
	s->set = (const uint64_t *)(const void *)(p + HEAD + round8(key_bytes));
	s->name = (str){ p + all, count[1] };
	all += round8(count[1]);
	return all <= n ? all : 0;
}

int
signs_next(struct signs_reader *r, struct sign *s, struct err *err)
{
	int64_t n;
	int got;

	while (r->p == r->end) {
		if (r->done)
			return 0;
		if ((got = next_block(r, err)) <= 0)
			return got < 0 ? err_wrap(err, "%s", r->path) : 0;
	}
	n = parse(r->p, r->end - r->p, r->key_bytes, s);
	if (n == 0 || s->index <= r->now.last)
		return err_set(err, ERR_FORMAT, "%s: byte %lld: not a sign", r->path,
		    (long long)r->p_at);
	s->at = r->p_at;
	r->now.last = s->index;
	r->p += n;
	r->p_at += n;
	r->taken++;
	return 1;
}

int
signs_seek(struct signs_reader *r, const struct signs_mark *mark, int64_t taken,
    struct err *err)
{
	struct sign ignored;

	in_close(r->in);
	r->in = NULL;
	if (lseek(r->fd, mark->chunk.at, SEEK_SET) == -1)
		return err_sys(err, "%s: cannot seek", r->path);
	if ((r->in = in_fd(r->fd, err)) == NULL)
		return err_wrap(err, "%s", r->path);
	r->now = r->block = *mark;
	r->now.chunk.in = r->in;
	r->p = r->end = NULL;
	r->done = false;
	while (taken-- > 0)
		if (signs_next(r, &ignored, err) < 0)
			return -1;
	return 0;
}

void
signs_close(struct signs_reader *r)
{
	if (r->in != NULL)
		in_close(r->in);
	if (r->path != NULL && r->fd != -1)
		close(r->fd);
	buf_free(&r->bytes);
	buf_free(&r->settings);
	*r = (struct signs_reader){ .fd = -1 };
}

/* Fill n bytes from a place in a file. */
static int
read_at(int fd, const char *path, void *p, int64_t n, int64_t at, struct err *err)
{
	int64_t all = 0;

	while (all < n) {
		ssize_t got = pread(fd, (char *)p + all, (size_t)(n - all), at + all);

		if (got < 0)
			return err_sys(err, "%s: cannot read", path);
		if (got == 0)
			return err_set(err, ERR_FORMAT, "%s: the file is cut short", path);
		all += got;
	}
	return 0;
}

int
signs_count(const char *path, struct signs_sums *sums, struct err *err)
{
	char tail[3 * CHUNK_ALIGN];
	struct stat st;
	uint64_t h;
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;

	if (fd == -1)
		return err_sys(err, "%s: cannot open", path);
	if (fstat(fd, &st) == -1)
		ret = err_sys(err, "%s: cannot read", path);
	else if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(tail))
		ret = err_set(err, ERR_FORMAT, "%s: not a whole file of signs", path);
	else
		ret = read_at(fd, path, tail, sizeof(tail), st.st_size - (off_t)sizeof(tail), err);
	close(fd);
	if (ret < 0)
		return -1;
	memcpy(&h, tail + 16, sizeof(h));
	if (memcmp(tail, "sums", 4) != 0 || memcmp(tail + 2 * CHUNK_ALIGN, "end ", 4) != 0 ||
	    h != hash64((str){ tail + CHUNK_ALIGN, SUMS }))
		return err_set(err, ERR_FORMAT, "%s: not a whole file of signs", path);
	memcpy(sums, tail + CHUNK_ALIGN, SUMS);
	return 0;
}

int
signs_fetch(int fd, const char *path, int64_t at, int64_t key_bytes, struct sign *s,
    struct buf *b, struct err *err)
{
	const int64_t first = HEAD + round8(key_bytes);
	uint32_t count[2];
	int64_t n;
	char *p;

	buf_reset(b);
	b->limit = CHUNK_MAX;
	if ((p = buf_room(b, first)) == NULL)
		return buf_ok(b, err);
	if (read_at(fd, path, p, first, at, err) < 0)
		return -1;
	b->n = first;
	memcpy(count, p + 8, 8);
	n = (int64_t)count[0] * 8 + round8(count[1]);
	if ((p = buf_room(b, n)) == NULL)
		return buf_ok(b, err);
	if (read_at(fd, path, p, n, at + first, err) < 0)
		return -1;
	b->n += n;
	parse(b->p, b->n, key_bytes, s);
	s->at = at;
	return 0;
}
