/* Blocks from a stream or a mapping, and the reader of items. */
#include <stdlib.h>

#include "fmt/ids.h"
#include "fmt/shard.h"
#include "fmt/shard_impl.h"

int
shard_same(const struct shard_info *a, const struct shard_info *b, struct err *err)
{
	if (a->packed != b->packed)
		return err_set(err, ERR_FORMAT, "one shard has rows, the other documents");
	if (a->packed && a->row_len != b->row_len)
		return err_set(err, ERR_FORMAT, "rows of %d tokens and rows of %d", a->row_len,
		    b->row_len);
	if (a->vocab != b->vocab)
		return err_set(err, ERR_FORMAT, "vocabularies of %d and of %d tokens", a->vocab,
		    b->vocab);
	if (a->eos != b->eos)
		return err_set(err, ERR_FORMAT, "end tokens %d and %d", a->eos, b->eos);
	if (a->tokenizer.lo != b->tokenizer.lo || a->tokenizer.hi != b->tokenizer.hi)
		return err_set(err, ERR_FORMAT, "two different tokenizers");
	return 0;
}

int
shard_widen(const struct shard_info *info, const void *from, int64_t n, uint32_t *to,
    struct err *err)
{
	uint32_t most = shard_width(info) == 4 ? ids_simd()->copy(to, from, n) :
	    ids_simd()->widen(to, from, n);

	if (most >= (uint32_t)info->vocab)
		return err_set(err, ERR_FORMAT, "token id %u in a vocabulary of %d", most,
		    info->vocab);
	return 0;
}

/* Chunk ids that later versions will write and this one must not ignore. */
static const struct {
	const char	id[5], *what;
} reserved[] = {
	{ "logp", "log-probabilities" },
	{ "pair", "preference pairs" },
	{ "rewd", "rewards" },
};

static int
unknown(struct shard_stream *s, const struct chunk *c, struct err *err)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (memcmp(c->id, reserved[i].id, 4) == 0)
			return err_set(err, ERR_FORMAT, "byte %lld: chunk '%s' (%s) is not "
			    "supported here and may not be ignored", (long long)c->at, c->id,
			    reserved[i].what);
	return chunk_unknown(&s->chunks, c, err);
}

/* What a chunk must be next: its id and length; or it may be another, if that is not NULL. */
static int
need_or(struct shard_stream *s, struct chunk *c, const char *other, const char *id,
    int64_t length, struct err *err)
{
	int rc;

	while ((rc = chunk_next(&s->chunks, c, err)) == 1 && memcmp(c->id, id, 4) != 0 &&
	    (other == NULL || memcmp(c->id, other, 4) != 0))
		if (unknown(s, c, err) != 0)
			return -1;
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(err, ERR_FORMAT, "byte %lld: END where chunk '%s' must be",
		    (long long)c->at, id);
	if (memcmp(c->id, id, 4) == 0 && c->length != length)
		return err_set(err, ERR_FORMAT, "byte %lld: chunk '%s' has %lld bytes, not %lld",
		    (long long)c->at, id, (long long)c->length, (long long)length);
	return 0;
}

static int
need(struct shard_stream *s, struct chunk *c, const char *id, int64_t length, struct err *err)
{
	return need_or(s, c, NULL, id, length, err);
}

static int
take(struct shard_stream *s, const struct chunk *c, struct buf *b, const void **p,
    struct err *err)
{
	return chunk_payload(&s->chunks, c, false, b, p, err);
}

void
shard_sums(const struct shard_info *t, int64_t sums[5])
{
	sums[0] = t->docs;
	sums[1] = t->rows;
	sums[2] = t->segments;
	sums[3] = t->tokens;
	sums[4] = t->source_bytes;
}

/* The info chunk, which is the first. */
static int
read_info(struct shard_stream *s, struct err *err)
{
	struct shard_info info = { 0 };
	struct shard_head h;
	struct chunk c;
	const void *p;
	int rc = chunk_next(&s->chunks, &c, err);

	if (rc < 0)
		return -1;
	if (rc == 0 || memcmp(c.id, "info", 4) != 0 || c.length < (int64_t)sizeof(h) ||
	    c.length > 4096)
		return err_set(err, ERR_FORMAT, "byte %lld: the first chunk is not a shard's "
		    "'info'", (long long)c.at);
	if (chunk_payload(&s->chunks, &c, true, &s->scrap, &p, err) != 0)
		return -1;
	memcpy(&h, p, sizeof(h));
	info.packed = h.row_len != 0;
	info.row_len = h.row_len;
	info.vocab = h.vocab;
	info.eos = h.eos;
	info.tokenizer = (hash128){ h.tokenizer[0], h.tokenizer[1] };
	if (h.vocab < 1 || h.row_len < 0 || h.row_len > SHARD_ROW_MAX || h.eos < -1 ||
	    h.eos >= h.vocab || h.width != (uint32_t)shard_width(&info))
		return err_set(err, ERR_FORMAT, "byte %lld: impossible values in 'info'",
		    (long long)c.at);
	if (!s->started) {
		s->info = info;
		s->started = true;
	} else if (shard_same(&s->info, &info, err) != 0) {
		return err_wrap(err, "byte %lld: concatenated shards differ",
		    (long long)s->chunks.start);
	}
	shard_sums(&s->info, s->sums);
	return 0;
}

static int
read_sums(struct shard_stream *s, const struct chunk *c, struct err *err)
{
	int64_t now[5], want[5];
	const void *p;

	if (c->length != sizeof(want))
		return err_set(err, ERR_FORMAT, "byte %lld: 'sums' has %lld bytes",
		    (long long)c->at, (long long)c->length);
	if (chunk_payload(&s->chunks, c, true, &s->scrap, &p, err) != 0)
		return -1;
	memcpy(want, p, sizeof(want));
	shard_sums(&s->info, now);
	for (int i = 0; i < 5; i++)
		if (now[i] - s->sums[i] != want[i])
			return err_set(err, ERR_FORMAT, "byte %lld: the totals do not match "
			    "the blocks", (long long)c->at);
	return 0;
}

static int
read_provenance(struct shard_stream *s, const struct chunk *c, struct err *err)
{
	const void *p;

	if (c->length > (1 << 24))
		return err_set(err, ERR_FORMAT, "byte %lld: a provenance of %lld bytes",
		    (long long)c->at, (long long)c->length);
	if (chunk_payload(&s->chunks, c, true, &s->scrap, &p, err) != 0)
		return -1;
	buf_reset(&s->provenance);
	buf_add(&s->provenance, (str){ p, c->length });
	return buf_ok(&s->provenance, err);
}

/* The arguments of a block's first chunk, against each other and overflow. */
static int
block_counts(const struct shard_info *info, const struct chunk *c, struct shard_block *b,
    struct err *err)
{
	int64_t room, bytes;

	*b = (struct shard_block){ .at = c->at, .items = c->arg[0], .segments = c->arg[1],
	    .docs = c->arg[0], .tokens = c->arg[2], .bytes = c->arg[3] };
	if (b->items < 1 || b->items >= INT32_MAX || b->segments < 0 ||
	    b->segments >= INT32_MAX - b->items || b->tokens < 0 || b->bytes < 0 ||
	    b->tokens > CHUNK_MAX / shard_width(info))
		goto bad;
	if (!info->packed)
		return b->segments == b->items ? 0 : err_set(err, ERR_FORMAT,
		    "byte %lld: impossible counts in 'lens'", (long long)c->at);
	if (__builtin_mul_overflow(b->items, (int64_t)info->row_len, &room) ||
	    __builtin_mul_overflow(room, (int64_t)shard_width(info), &bytes) ||
	    bytes > CHUNK_MAX || b->tokens > room)
		goto bad;
	return 0;
bad:
	return err_set(err, ERR_FORMAT, "byte %lld: impossible counts in '%s'",
	    (long long)c->at, c->id);
}

/* Sums over a whole block's boundaries; each item's are checked when it is read. */
static int
block_check(const struct shard_info *info, const struct shard_block *b, struct err *err)
{
	int64_t tokens = 0, bytes = 0, docs = 0, masked = 0;
	int64_t weights = info->packed ? b->items * info->row_len : b->tokens;

	for (int64_t i = 0; b->lwgt != NULL && i < weights; i++) {
		if (b->lwgt[i] > 1)
			goto bad;
		masked += b->lwgt[i] == 0;
	}
	for (int64_t i = 0; i < b->segments; i++) {
		if (b->srcb[i] < 0 || __builtin_add_overflow(bytes, b->srcb[i], &bytes))
			goto bad;
		if (info->packed) {
			if (b->segf[i] > SEG_WHOLE)
				goto bad;
			docs += b->segf[i] & SEG_BEGIN;
		}
	}
	if (info->packed) {
		if (b->first[0] != 0 || b->first[b->items] != b->segments + b->items)
			goto bad;
		for (int64_t i = 0; i < b->items; i++) {
			if (b->first[i + 1] <= b->first[i] ||
			    b->first[i + 1] > b->first[b->items])
				goto bad;
			tokens += b->cuse[b->first[i + 1] - 1];
		}
	} else {
		docs = b->items;
		for (int64_t i = 0; i < b->items; i++) {
			if (b->first[i] < 0)
				goto bad;
			tokens += b->first[i];
		}
	}
	if (tokens == b->tokens && bytes == b->bytes && docs == b->docs && masked == b->masked)
		return 0;
bad:
	return err_set(err, ERR_FORMAT, "byte %lld: the boundaries in this block are wrong",
	    (long long)b->at);
}

/* The weights, if there are any, and the tokens. */
static int
read_tokens(struct shard_stream *s, struct chunk *c, struct shard_bufs *bufs,
    struct shard_block *b, struct err *err)
{
	const struct shard_info *info = &s->info;
	int64_t stored = info->packed ? b->items * info->row_len : b->tokens;
	int64_t bytes = stored * shard_width(info);
	const void *p;

	if (need_or(s, c, "lwgt", "toks", bytes, err) != 0)
		return -1;
	if (memcmp(c->id, "lwgt", 4) == 0) {
		b->masked = c->arg[0];
		if (c->length != stored || b->masked < 0 || b->masked > b->tokens)
			return err_set(err, ERR_FORMAT, "byte %lld: impossible counts in 'lwgt'",
			    (long long)c->at);
		if (take(s, c, &bufs->lwgt, &p, err) != 0 ||
		    need(s, c, "toks", bytes, err) != 0)
			return -1;
		b->lwgt = p;
	}
	if (take(s, c, &bufs->toks, &p, err) != 0)
		return -1;
	b->toks = p;
	return 0;
}

/* The chunks of a block after its first, whose header is c. */
static int
read_block(struct shard_stream *s, struct chunk *c, struct shard_bufs *bufs,
    struct shard_block *b, struct err *err)
{
	const struct shard_info *info = &s->info;
	int64_t items;
	const void *p;

	if (block_counts(info, c, b, err) != 0)
		return -1;
	items = info->packed ? b->items + 1 : b->items;
	if (c->length != items * 4)
		return err_set(err, ERR_FORMAT, "byte %lld: chunk '%s' has %lld bytes, not %lld",
		    (long long)c->at, c->id, (long long)c->length, (long long)items * 4);
	if (take(s, c, &bufs->first, &p, err) != 0)
		return -1;
	b->first = p;
	if (info->packed) {
		if (need(s, c, "cuse", (b->segments + b->items) * 4, err) != 0 ||
		    take(s, c, &bufs->cuse, &p, err) != 0)
			return -1;
		b->cuse = p;
	}
	if (need(s, c, "srcb", b->segments * 8, err) != 0 ||
	    take(s, c, &bufs->srcb, &p, err) != 0)
		return -1;
	b->srcb = p;
	if (info->packed) {
		if (need(s, c, "segf", b->segments, err) != 0)
			return -1;
		b->docs = c->arg[0];
		if (b->docs < 0 || b->docs > b->segments)
			return err_set(err, ERR_FORMAT, "byte %lld: impossible counts in 'segf'",
			    (long long)c->at);
		if (take(s, c, &bufs->segf, &p, err) != 0)
			return -1;
		b->segf = p;
	}
	if (read_tokens(s, c, bufs, b, err) != 0)
		return -1;
	return s->chunks.in != NULL ? block_check(info, b, err) : 0;
}

static int
add_totals(struct shard_info *t, const struct shard_block *b, struct err *err)
{
	t->docs += b->docs;
	t->rows += t->packed ? b->items : 0;
	t->segments += b->segments;
	t->tokens += b->tokens;
	t->masked += b->masked;
	if (__builtin_add_overflow(t->source_bytes, b->bytes, &t->source_bytes))
		return err_set(err, ERR_FORMAT, "byte %lld: impossible source bytes",
		    (long long)b->at);
	return 0;
}

/* A container's chunks up to the next block.  As shard_block_next(). */
static int
next_in_container(struct shard_stream *s, struct shard_bufs *bufs, struct shard_block *b,
    struct err *err)
{
	const char *first = s->info.packed ? "rows" : "lens";
	struct chunk c;
	int rc;

	while ((rc = chunk_next(&s->chunks, &c, err)) == 1) {
		if (memcmp(c.id, first, 4) == 0) {
			if (s->summed)
				return err_set(err, ERR_FORMAT, "byte %lld: a block after the "
				    "totals", (long long)c.at);
			if (read_block(s, &c, bufs, b, err) != 0)
				return -1;
			return add_totals(&s->info, b, err) == 0 ? 1 : -1;
		}
		if (memcmp(c.id, "sums", 4) == 0) {
			if (read_sums(s, &c, err) != 0)
				return -1;
			s->summed = true;
		} else if (memcmp(c.id, "PROV", 4) == 0) {
			if (read_provenance(s, &c, err) != 0)
				return -1;
		} else if (unknown(s, &c, err) != 0) {
			return -1;
		}
	}
	if (rc == 0 && !s->summed)
		return err_set(err, ERR_FORMAT, "byte %lld: END without the totals",
		    (long long)c.at);
	return rc;
}

int
shard_block_next(struct shard_stream *s, struct shard_bufs *bufs, struct shard_block *b,
    struct err *err)
{
	for (;;) {
		int rc;

		if (!s->inside) {
			s->chunks.name = "shard";
			s->chunks.kind = SHARD_KIND;
			s->chunks.version = SHARD_VERSION;
			rc = chunk_start(&s->chunks, err);
			if (rc == 0 && !s->started)
				return err_set(err, ERR_FORMAT, "empty, not a shard");
			if (rc <= 0)
				return rc;
			if (read_info(s, err) != 0)
				return -1;
			s->inside = true;
			s->summed = false;
			if (b == NULL)
				return 1;
		}
		rc = next_in_container(s, bufs, b, err);
		if (rc != 0)
			return rc;
		s->hash = s->hash == 0 ? s->chunks.chain :
		    hash64_seed((str){ (const char *)&s->chunks.chain, 8 }, s->hash);
		s->inside = false;
	}
}

void
shard_stream_free(struct shard_stream *s)
{
	buf_free(&s->scrap);
	buf_free(&s->provenance);
}

void
shard_bufs_free(struct shard_bufs *b)
{
	buf_free(&b->first);
	buf_free(&b->cuse);
	buf_free(&b->srcb);
	buf_free(&b->segf);
	buf_free(&b->lwgt);
	buf_free(&b->toks);
}

static int
bad_row(const struct shard_block *b, int64_t i, struct err *err)
{
	return err_set(err, ERR_FORMAT, "row %lld of the block at byte %lld: its boundaries "
	    "are wrong", (long long)i, (long long)b->at);
}

int
shard_block_row(const struct shard_info *info, const struct shard_block *b, int64_t i,
    uint32_t *token, struct shard_item *item, struct err *err)
{
	int64_t from = b->first[i], to = b->first[i + 1], width = shard_width(info), bytes = 0;
	int64_t nseg = to - from - 1;
	const int32_t *cu;
	const int64_t *src;

	if (from < i || nseg < 0 || from - i > b->segments - nseg)
		return bad_row(b, i, err);
	cu = b->cuse + from;
	src = b->srcb + (from - i);
	if (cu[0] != 0 || cu[nseg] > info->row_len)
		return bad_row(b, i, err);
	for (int64_t k = 0; k < nseg; k++)
		if (cu[k + 1] < cu[k] || src[k] < 0 ||
		    __builtin_add_overflow(bytes, src[k], &bytes))
			return bad_row(b, i, err);
	if (shard_widen(info, (const char *)b->toks + i * info->row_len * width, info->row_len,
	    token, err) != 0)
		return err_wrap(err, "row %lld of the block at byte %lld", (long long)i,
		    (long long)b->at);
	*item = (struct shard_item){ .token = token, .n = cu[nseg], .source_bytes = bytes,
	    .weight = b->lwgt != NULL ? b->lwgt + i * info->row_len : NULL,
	    .start = cu, .seg_bytes = src, .seg_flags = b->segf + (from - i),
	    .nseg = (int32_t)nseg };
	return 0;
}

struct shard_reader {
	char		*name;		/* for messages; NULL: none */
	struct shard_stream s;
	struct shard_bufs bufs;
	struct shard_block block;
	struct shard_info info;		/* as the caller sees it */
	int64_t		 i;		/* next item of the block */
	int64_t		 tok;		/* documents: its first token */
	struct buf	 token;
	int32_t		 start[2];
	uint8_t		 flags;
};

struct shard_reader *
shard_open_in(struct in *in, struct err *err)
{
	struct shard_reader *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		in_close(in);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	r->s.chunks.in = in;
	r->flags = SEG_WHOLE;
	r->token.limit = CHUNK_MAX;
	if (shard_block_next(&r->s, NULL, NULL, err) != 1) {
		shard_close(r);
		return NULL;
	}
	r->info = r->s.info;
	r->info.docs = r->info.rows = r->info.segments = -1;
	r->info.tokens = r->info.source_bytes = r->info.masked = -1;
	return r;
}

struct shard_reader *
shard_open(const char *path, struct err *err)
{
	bool standard = path == NULL || strcmp(path, "-") == 0;
	const char *name = standard ? "standard input" : path;
	struct in *in = in_open(path, err);
	struct shard_reader *r = in == NULL ? NULL : shard_open_in(in, err);

	if (r == NULL) {
		err_wrap(err, "%s", name);
		return NULL;
	}
	r->name = strdup(name);
	if (r->name == NULL) {
		shard_close(r);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return r;
}

const struct shard_info *
shard_reader_info(const struct shard_reader *r)
{
	return &r->info;
}

static int
next_document(struct shard_reader *r, struct shard_item *item, struct err *err)
{
	const struct shard_block *b = &r->block;
	int32_t n = b->first[r->i];
	const char *from = (const char *)b->toks + r->tok * shard_width(&r->info);
	char *to;

	buf_reset(&r->token);
	to = buf_room(&r->token, (ptrdiff_t)n * 4);
	if (to == NULL)
		return buf_ok(&r->token, err);
	if (shard_widen(&r->info, from, n, (uint32_t *)(void *)to, err) != 0)
		return err_wrap(err, "document %lld of the block at byte %lld",
		    (long long)r->i, (long long)b->at);
	r->start[1] = n;
	*item = (struct shard_item){ .token = (const uint32_t *)(void *)to, .n = n,
	    .source_bytes = b->srcb[r->i],
	    .weight = b->lwgt != NULL ? b->lwgt + r->tok : NULL, .start = r->start,
	    .seg_bytes = b->srcb + r->i, .seg_flags = &r->flags, .nseg = 1 };
	r->tok += n;
	r->i++;
	return 1;
}

static int
next_row(struct shard_reader *r, struct shard_item *item, struct err *err)
{
	char *token;

	buf_reset(&r->token);
	token = buf_room(&r->token, (ptrdiff_t)r->info.row_len * 4);
	if (token == NULL)
		return buf_ok(&r->token, err);
	if (shard_block_row(&r->info, &r->block, r->i, (uint32_t *)(void *)token, item,
	    err) != 0)
		return -1;
	r->i++;
	return 1;
}

static int
next_item(struct shard_reader *r, struct shard_item *item, struct err *err)
{
	if (r->i == r->block.items) {
		int rc = shard_block_next(&r->s, &r->bufs, &r->block, err);

		if (rc <= 0) {
			r->block.items = r->i = 0;
			if (rc == 0)
				r->info = r->s.info;
			return rc;
		}
		r->i = r->tok = 0;
	}
	return r->info.packed ? next_row(r, item, err) : next_document(r, item, err);
}

int
shard_next(struct shard_reader *r, struct shard_item *item, struct err *err)
{
	int rc = next_item(r, item, err);

	return rc < 0 && r->name != NULL ? err_wrap(err, "%s", r->name) : rc;
}

uint64_t
shard_reader_hash(const struct shard_reader *r)
{
	return r->s.hash;
}

str
shard_reader_provenance(const struct shard_reader *r)
{
	return buf_str(&r->s.provenance);
}

int64_t
shard_reader_pos(const struct shard_reader *r)
{
	return in_pos(r->s.chunks.in);
}

int64_t
shard_reader_size(const struct shard_reader *r)
{
	return in_size(r->s.chunks.in);
}

void
shard_close(struct shard_reader *r)
{
	if (r == NULL)
		return;
	in_close(r->s.chunks.in);
	shard_stream_free(&r->s);
	shard_bufs_free(&r->bufs);
	buf_free(&r->token);
	free(r->name);
	free(r);
}
