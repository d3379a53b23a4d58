#include "fmt/chunk.h"

#include "base/hash.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these files are little-endian and used in place"
#endif

#define HEAD	64		/* bytes of a header */
#define HASHED	56		/* of which these are hashed */
#define PIECE	((int64_t)1 << 20)

static const char magic[8] = "\x8cllm?\r\n\x1a";
static const char zeros[CHUNK_ALIGN];

/* Bytes of zeros after a payload. */
static int64_t
padding(int64_t length)
{
	return -length & (CHUNK_ALIGN - 1);
}

static void
seal(char head[HEAD])
{
	uint64_t h = hash64((str){ head, HASHED });

	memcpy(head + HASHED, &h, sizeof(h));
}

static bool
sealed(const char head[HEAD])
{
	uint64_t h;

	memcpy(&h, head + HASHED, sizeof(h));
	return h == hash64((str){ head, HASHED });
}

int
chunk_begin(struct chunk_writer *w, struct out *out, char kind, int version, int oldest,
    struct err *err)
{
	char head[HEAD] = { 0 };
	uint16_t v[2] = { (uint16_t)version, (uint16_t)oldest };

	memcpy(head, magic, sizeof(magic));
	head[4] = kind;
	memcpy(head + 8, v, sizeof(v));
	seal(head);
	*w = (struct chunk_writer){ .out = out, .bytes = HEAD };
	w->chain = hash64((str){ head, HEAD });
	return out_write(out, head, HEAD, err);
}

int
chunk_put(struct chunk_writer *w, const char *id, const int64_t *arg, str payload,
    struct err *err)
{
	char head[HEAD] = { 0 };
	int64_t length = payload.n;
	uint64_t h = hash64(payload);

	if (length > CHUNK_MAX)
		return err_set(err, ERR_LIMIT, "a chunk of more than %lld bytes",
		    (long long)CHUNK_MAX);
	memcpy(head, id, 4);
	memcpy(head + 8, &length, sizeof(length));
	memcpy(head + 16, &h, sizeof(h));
	if (arg != NULL)
		memcpy(head + 24, arg, 4 * sizeof(*arg));
	seal(head);
	if (out_write(w->out, head, HEAD, err) != 0 ||
	    (length > 0 && out_write(w->out, payload.p, length, err) != 0) ||
	    out_write(w->out, zeros, padding(length), err) != 0)
		return -1;
	w->chain = hash64_seed((str){ head, HEAD }, w->chain);
	w->bytes += HEAD + length + padding(length);
	return 0;
}

int
chunk_finish(struct chunk_writer *w, struct err *err)
{
	int64_t arg[4] = { w->bytes, (int64_t)w->chain };

	return chunk_put(w, "end ", arg, (str){ "", 0 }, err);
}

/* Take n bytes.  Return how many there were, fewer at the end only, or -1. */
static int64_t
take(struct chunk_reader *r, void *p, int64_t n, struct err *err)
{
	int64_t all = 0, got;

	if (r->in == NULL) {
		all = r->map.n - r->at < n ? r->map.n - r->at : n;
		if (all > 0)
			memcpy(p, r->map.p + r->at, (size_t)all);
	}
	while (r->in != NULL && all < n) {
		got = in_read(r->in, (char *)p + all, n - all, err);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		all += got;
	}
	r->at += all;
	return all;
}

static int
cut(const struct chunk_reader *r, struct err *err)
{
	return err_set(err, ERR_FORMAT, "byte %lld: the file is cut short, there is no END chunk",
	    (long long)r->at);
}

static int
damaged(const struct chunk *c, struct err *err)
{
	return err_set(err, ERR_FORMAT, "byte %lld: chunk '%s' is damaged: its checksum does not "
	    "match", (long long)c->at, c->id);
}

/* Read the pending payload in pieces, for its hash alone. */
static int
read_past(struct chunk_reader *r, struct hasher *h, struct err *err)
{
	int64_t data = r->last.length;
	char piece[4096];

	while (r->pending > 0) {
		int64_t n = data > 0 ? data : r->pending, got;

		if (n > (int64_t)sizeof(piece))
			n = (int64_t)sizeof(piece);
		got = take(r, piece, n, err);
		if (got < 0)
			return -1;
		if (got < n)
			return cut(r, err);
		if (data > 0) {
			hasher_add(h, (str){ piece, n });
			data -= n;
		} else if (memcmp(piece, zeros, (size_t)n) != 0) {
			return damaged(&r->last, err);
		}
		r->pending -= n;
	}
	return hasher_end64(h) == r->last.hash ? 0 : damaged(&r->last, err);
}

/* Go past a payload that the caller did not take. */
static int
skip(struct chunk_reader *r, struct err *err)
{
	struct hasher *h;
	int rc;

	if (r->pending == 0)
		return 0;
	if (r->in == NULL) {
		if (r->pending > r->map.n - r->at) {
			r->at = r->map.n;
			return cut(r, err);
		}
		r->at += r->pending;
		r->pending = 0;
		return 0;
	}
	h = hasher_new(err);
	if (h == NULL)
		return -1;
	rc = read_past(r, h, err);
	hasher_free(h);
	return rc;
}

int
chunk_start(struct chunk_reader *r, struct err *err)
{
	char head[HEAD], want[8];
	uint16_t v[2];
	int64_t got;

	r->start = r->at;
	r->pending = 0;
	got = take(r, head, HEAD, err);
	if (got <= 0)
		return (int)got;
	memcpy(want, magic, sizeof(want));
	want[4] = r->kind;
	if (memcmp(head, want, got < 8 ? (size_t)got : 8) != 0) {
		if (r->start > 0)
			return err_set(err, ERR_FORMAT, "byte %lld: data after the END chunk",
			    (long long)r->start);
		if (got >= 8 && memcmp(head, want, 4) == 0 && memcmp(head + 5, want + 5, 3) == 0)
			return err_set(err, ERR_FORMAT, "not a %s but a file of kind '%c'",
			    r->name, head[4]);
		return err_set(err, ERR_FORMAT, "not a %s%s", r->name,
		    head[0] == '{' ? " but JSON" : "");
	}
	if (got < HEAD)
		return cut(r, err);
	if (!sealed(head))
		return err_set(err, ERR_FORMAT, "byte %lld: the header is damaged",
		    (long long)r->start);
	memcpy(v, head + 8, sizeof(v));
	r->written = v[0];
	if (v[1] > r->version)
		return err_set(err, ERR_FORMAT,
		    "format version %d, which needs a reader of version %d or newer; "
		    "this one is %d", v[0], v[1], r->version);
	r->chain = hash64((str){ head, HEAD });
	return 1;
}

static int
check_end(const struct chunk_reader *r, const struct chunk *c, struct err *err)
{
	if (c->length == 0 && c->arg[0] == c->at - r->start && (uint64_t)c->arg[1] == r->chain)
		return 0;
	return err_set(err, ERR_FORMAT,
	    "byte %lld: the END chunk does not match: chunks are missing or moved",
	    (long long)c->at);
}

int
chunk_next(struct chunk_reader *r, struct chunk *c, struct err *err)
{
	char head[HEAD];
	int64_t got;

	if (skip(r, err) != 0)
		return -1;
	*c = (struct chunk){ .at = r->at };
	got = take(r, head, HEAD, err);
	if (got < 0)
		return -1;
	if (got < HEAD)
		return cut(r, err);
	if (!sealed(head))
		return err_set(err, ERR_FORMAT, "byte %lld: a chunk's header is damaged",
		    (long long)c->at);
	memcpy(c->id, head, 4);
	memcpy(&c->flags, head + 4, sizeof(c->flags));
	memcpy(&c->length, head + 8, sizeof(c->length));
	memcpy(&c->hash, head + 16, sizeof(c->hash));
	memcpy(c->arg, head + 24, sizeof(c->arg));
	if (c->length < 0 || c->length > CHUNK_MAX)
		return err_set(err, ERR_FORMAT, "byte %lld: a chunk of %lld bytes",
		    (long long)c->at, (long long)c->length);
	if (c->flags != 0 && !(c->id[0] >= 'A' && c->id[0] <= 'Z'))
		return err_set(err, ERR_FORMAT, "byte %lld: chunk '%.4s' has flags 0x%x that this "
		    "program does not know", (long long)c->at, c->id, c->flags);
	r->pending = c->length + padding(c->length);
	r->last = *c;
	if (memcmp(c->id, "end ", 4) == 0)
		return check_end(r, c, err);
	r->chain = hash64_seed((str){ head, HEAD }, r->chain);
	return 1;
}

/* Grow with the bytes that are really there: a length is only a claim. */
static int
slurp(struct chunk_reader *r, struct buf *b, struct err *err)
{
	buf_reset(b);
	b->limit = CHUNK_MAX + CHUNK_ALIGN;
	while (r->pending > 0) {
		int64_t n = r->pending < PIECE ? r->pending : PIECE, got;
		char *p = buf_room(b, n);

		if (p == NULL)
			return buf_ok(b, err);
		got = take(r, p, n, err);
		if (got < 0)
			return -1;
		if (got < n)
			return cut(r, err);
		b->n += n;
		r->pending -= n;
	}
	return 0;
}

int
chunk_payload(struct chunk_reader *r, const struct chunk *c, bool check, struct buf *b,
    const void **p, struct err *err)
{
	const char *data;

	if (r->in != NULL) {
		if (slurp(r, b, err) != 0)
			return -1;
		data = b->n > 0 ? b->p : zeros;
		check = true;
	} else {
		data = r->map.p + r->at;
		if (skip(r, err) != 0)
			return -1;
	}
	if (check && (hash64((str){ data, c->length }) != c->hash ||
	    memcmp(data + c->length, zeros, (size_t)padding(c->length)) != 0))
		return damaged(c, err);
	*p = data;
	return 0;
}

int
chunk_unknown(const struct chunk_reader *r, const struct chunk *c, struct err *err)
{
	if (c->id[0] >= 'A' && c->id[0] <= 'Z')
		return 0;
	for (int i = 0; i < 4; i++)
		if (c->id[i] < ' ' || c->id[i] > '~')
			return err_set(err, ERR_FORMAT, "byte %lld: not a chunk id",
			    (long long)c->at);
	return err_set(err, ERR_FORMAT, "byte %lld: chunk '%s' is unknown here and may not be "
	    "skipped (the file is of version %d, this program reads version %d)",
	    (long long)c->at, c->id, r->written, r->version);
}
