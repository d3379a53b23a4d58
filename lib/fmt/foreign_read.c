/* Importing: other programs' files are mapped, and nothing in them is trusted. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "fmt/foreign_impl.h"
#include "fmt/provenance.h"
#include "fmt/shard_convert.h"

/* Where a Megatron index keeps things, after its header. */
struct index {
	const char	*len;		/* i32[nseq] */
	const char	*at;		/* i64[nseq], in bytes of the .bin */
	const char	*doc;		/* i64[ndoc], in sequences */
	int64_t		 nseq, ndoc;
};

struct foreign_file {
	enum foreign	 kind;
	str		 map, index_map;
	const char	*ids;
	int64_t		 n;		/* ids in the file */
	int		 size;		/* bytes of one */
	struct index	 index;
	char		 name[FOREIGN_PATH];
};

enum foreign
foreign_of(const char *name)
{
	if (strcmp(name, "nanogpt") == 0)
		return FOREIGN_NANOGPT;
	if (strcmp(name, "llmc") == 0)
		return FOREIGN_LLMC;
	return strcmp(name, "megatron") == 0 ? FOREIGN_MEGATRON : FOREIGN_NONE;
}

static int64_t
get_i64(const char *p, int64_t i)
{
	int64_t x;

	memcpy(&x, p + i * 8, sizeof(x));
	return x;
}

static int32_t
get_i32(const char *p, int64_t i)
{
	int32_t x;

	memcpy(&x, p + i * 4, sizeof(x));
	return x;
}

/* Id i, as a number that may be out of range. */
static int64_t
get_id(const struct foreign_file *f, int64_t i)
{
	uint16_t u16;

	switch (f->size) {
	case 1:
		return (unsigned char)f->ids[i];
	case 2:
		memcpy(&u16, f->ids + i * 2, sizeof(u16));
		return u16;
	case 4:
		return get_i32(f->ids, i);
	default:
		return get_i64(f->ids, i);
	}
}

static int
whole_ids(struct foreign_file *f, int64_t bytes, struct err *err)
{
	f->n = bytes / f->size;
	if (bytes % f->size != 0)
		return err_set(err, ERR_FORMAT, "%s: %lld bytes are not a whole number of "
		    "%d-bit ids", f->name, (long long)bytes, f->size * 8);
	return 0;
}

static int
open_llmc(struct foreign_file *f, struct err *err)
{
	int32_t magic, version, n;

	if (f->map.n < LLMC_HEADER)
		return err_set(err, ERR_FORMAT, "%s: too short for llm.c's header", f->name);
	magic = get_i32(f->map.p, 0);
	version = get_i32(f->map.p, 1);
	n = get_i32(f->map.p, 2);
	if (magic == LLMC_MAGIC16 && version == LLMC_VERSION16)
		f->size = 2;
	else if (magic == LLMC_MAGIC32 && version == LLMC_VERSION32)
		f->size = 4;
	else
		return err_set(err, ERR_FORMAT, "%s: magic %d, version %d is no token file of "
		    "llm.c", f->name, magic, version);
	f->ids = f->map.p + LLMC_HEADER;
	if (whole_ids(f, f->map.n - LLMC_HEADER, err) != 0)
		return -1;
	if (n != f->n)
		return err_set(err, ERR_FORMAT, "%s: the header says %d tokens, there are %lld",
		    f->name, n, (long long)f->n);
	return 0;
}

/* Bytes of an id by Megatron's code of a type; 0: not one of ids. */
static int
megatron_size(int code)
{
	static const int size[] = { [1] = 1, [4] = 4, [5] = 8, [8] = 2 };

	return code > 0 && code < (int)(sizeof(size) / sizeof(*size)) ? size[code] : 0;
}

static int
check_index(const struct foreign_file *f, struct err *err)
{
	const struct index *x = &f->index;

	for (int64_t i = 0; i < x->nseq; i++) {
		int64_t n = get_i32(x->len, i), at = get_i64(x->at, i);

		if (n < 0 || at < 0 || at % f->size != 0 || at / f->size > f->n ||
		    n > f->n - at / f->size)
			return err_set(err, ERR_FORMAT, "%s.idx: sequence %lld is not in the "
			    ".bin", f->name, (long long)i);
	}
	for (int64_t i = 0; i < x->ndoc; i++) {
		int64_t at = get_i64(x->doc, i), last = i == 0 ? 0 : get_i64(x->doc, i - 1);

		if (at < last || at > x->nseq || (i == 0 && at != 0))
			return err_set(err, ERR_FORMAT, "%s.idx: document %lld is wrong",
			    f->name, (long long)i);
	}
	if (x->ndoc > 0 && get_i64(x->doc, x->ndoc - 1) != x->nseq)
		return err_set(err, ERR_FORMAT, "%s.idx: sequences belong to no document",
		    f->name);
	return 0;
}

static int
open_index(struct foreign_file *f, struct err *err)
{
	str m = f->index_map;
	struct index *x = &f->index;
	int64_t room = m.n - MEGATRON_HEADER;
	const char *p = m.p;

	if (room < 0 || memcmp(p, MEGATRON_MAGIC, 9) != 0)
		return err_set(err, ERR_FORMAT, "%s.idx: not an index of Megatron", f->name);
	if (get_i64(p + 9, 0) != 1)
		return err_set(err, ERR_FORMAT, "%s.idx: version %lld, not 1", f->name,
		    (long long)get_i64(p + 9, 0));
	f->size = megatron_size(p[17]);
	if (f->size == 0)
		return err_set(err, ERR_FORMAT, "%s.idx: type %d is none of token ids", f->name,
		    p[17]);
	x->nseq = get_i64(p + 18, 0);
	x->ndoc = get_i64(p + 18, 1);
	if (x->nseq < 0 || x->ndoc < 0 || x->nseq > room / 12 ||
	    x->ndoc > (room - x->nseq * 12) / 8 || x->nseq * 12 + x->ndoc * 8 != room)
		return err_set(err, ERR_FORMAT, "%s.idx: %lld sequences and %lld document "
		    "bounds do not fill the file", f->name, (long long)x->nseq,
		    (long long)x->ndoc);
	x->len = p + MEGATRON_HEADER;
	x->at = x->len + x->nseq * 4;
	x->doc = x->at + x->nseq * 8;
	if (whole_ids(f, f->map.n, err) != 0)
		return -1;
	return check_index(f, err);
}

static int
open_megatron(struct foreign_file *f, struct err *err)
{
	char path[FOREIGN_PATH + 8];
	size_t n = strlen(f->name);

	if (n > 4 && (strcmp(f->name + n - 4, ".bin") == 0 ||
	    strcmp(f->name + n - 4, ".idx") == 0))
		f->name[n - 4] = '\0';
	snprintf(path, sizeof(path), "%s.idx", f->name);
	if (file_map(path, &f->index_map, err) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s.bin", f->name);
	if (file_map(path, &f->map, err) != 0)
		return -1;
	f->ids = f->map.p;
	return open_index(f, err);
}

static int
open_kind(struct foreign_file *f, struct err *err)
{
	if (f->kind == FOREIGN_MEGATRON)
		return open_megatron(f, err);
	if (file_map(f->name, &f->map, err) != 0)
		return -1;
	if (f->kind == FOREIGN_LLMC)
		return open_llmc(f, err);
	f->ids = f->map.p;
	f->size = 2;
	return whole_ids(f, f->map.n, err);
}

struct foreign_file *
foreign_open(enum foreign kind, const char *path, struct err *err)
{
	struct foreign_file *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	f->kind = kind;
	if (snprintf(f->name, sizeof(f->name), "%s", path) >= (int)sizeof(f->name)) {
		err_set(err, ERR_LIMIT, "%.200s...: the name is too long", path);
		free(f);
		return NULL;
	}
	if (open_kind(f, err) != 0) {
		foreign_close(f);
		return NULL;
	}
	return f;
}

int
foreign_vocab(const struct foreign_file *f, int32_t *vocab, struct err *err)
{
	int64_t most = 0;

	if (f->size <= 2) {
		*vocab = f->size == 2 ? 65536 : 256;
		return 0;
	}
	for (int64_t i = 0; i < f->n; i++) {
		int64_t id = get_id(f, i);

		most = id > most ? id : most;
	}
	if (most >= INT32_MAX)
		return err_set(err, ERR_FORMAT, "%s: token id %lld", f->name, (long long)most);
	*vocab = (int32_t)most + 1;
	return 0;
}

/* Append n ids to b.  Ids of 2^31 and more become one that no vocabulary has. */
static int
widen(const struct foreign_file *f, int64_t at, int64_t n, struct buf *b, struct err *err)
{
	uint32_t *to = (uint32_t *)(void *)buf_room(b, n * 4);

	if (to == NULL)
		return buf_ok(b, err);
	for (int64_t i = 0; i < n; i++) {
		int64_t id = get_id(f, at + i);

		to[i] = id < 0 || id > INT32_MAX ? UINT32_MAX : (uint32_t)id;
	}
	b->n += n * 4;
	return 0;
}

static int
put(const struct foreign_file *f, struct buf *b, struct shard_writer *to, struct err *err)
{
	struct shard_item doc = { .token = (const uint32_t *)(const void *)b->p };

	if (b->n / 4 > INT32_MAX)
		return err_set(err, ERR_LIMIT, "%s: a document of %td tokens: is the end token "
		    "right?", f->name, b->n / 4);
	doc.n = (int32_t)(b->n / 4);
	buf_reset(b);
	return shard_put(to, &doc, err) == 0 ? 0 : err_wrap(err, "%s", f->name);
}

/* Documents by the end token: it is the last of each, or the first. */
static int
read_flat(const struct foreign_file *f, int32_t eos, struct buf *b, struct shard_writer *to,
    struct err *err)
{
	int first = f->kind == FOREIGN_LLMC;
	int64_t from = 0;

	for (int64_t i = 0; eos >= 0 && i < f->n; i++) {
		int64_t end = first ? i : i + 1;

		if (get_id(f, i) != eos || end == from)
			continue;
		if (widen(f, from, end - from, b, err) != 0 || put(f, b, to, err) != 0)
			return -1;
		from = end;
	}
	if (from == f->n)
		return 0;
	return widen(f, from, f->n - from, b, err) == 0 ? put(f, b, to, err) : -1;
}

static int
read_indexed(const struct foreign_file *f, struct buf *b, struct shard_writer *to,
    struct err *err)
{
	const struct index *x = &f->index;

	for (int64_t d = 0; d + 1 < x->ndoc; d++) {
		for (int64_t s = get_i64(x->doc, d); s < get_i64(x->doc, d + 1); s++)
			if (widen(f, get_i64(x->at, s) / f->size, get_i32(x->len, s), b,
			    err) != 0)
				return -1;
		if (put(f, b, to, err) != 0)
			return -1;
	}
	return 0;
}

int
foreign_read(const struct foreign_file *f, int32_t eos, struct shard_writer *to,
    struct err *err)
{
	struct buf b = { .limit = (ptrdiff_t)1 << 34 };
	int rc;

	if (f->kind == FOREIGN_MEGATRON)
		rc = read_indexed(f, &b, to, err);
	else
		rc = read_flat(f, eos, &b, to, err);
	buf_free(&b);
	return rc;
}

uint64_t
foreign_hash(const struct foreign_file *f)
{
	return hash64_seed(f->map, f->kind == FOREIGN_MEGATRON ? hash64(f->index_map) : 0);
}

void
foreign_close(struct foreign_file *f)
{
	if (f == NULL)
		return;
	file_unmap(f->map);
	file_unmap(f->index_map);
	free(f);
}

int
foreign_vocab_all(enum foreign kind, char *const *files, int32_t *vocab, struct err *err)
{
	int rc = 0;

	for (*vocab = 1; *files != NULL && rc == 0; files++) {
		struct foreign_file *f = foreign_open(kind, *files, err);
		int32_t n;

		if (f == NULL)
			return -1;
		rc = foreign_vocab(f, &n, err);
		if (rc == 0 && n > *vocab)
			*vocab = n;
		foreign_close(f);
	}
	return rc;
}

int
foreign_import(enum foreign kind, char *const *files, int32_t eos, struct shard_writer *to,
    json_t *provenance, struct err *err)
{
	int rc = 0;

	for (; *files != NULL && rc == 0; files++) {
		struct foreign_file *f = foreign_open(kind, *files, err);

		rc = f == NULL ? -1 : foreign_read(f, eos, to, err);
		if (rc == 0 && provenance != NULL)
			rc = provenance_input(provenance, foreign_hash(f), (str){ NULL, 0 }, err);
		foreign_close(f);
	}
	if (rc == 0)
		return shard_finish_from(to, provenance, err);
	shard_abort(to);
	return -1;
}
