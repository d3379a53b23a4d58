/* The writer: a block is gathered in memory, then goes out as chunks. */
#include "fmt/shard.h"

#include <stdlib.h>

#include "base/buf.h"
#include "fmt/ids.h"
#include "fmt/shard_impl.h"

#define BLOCK_SEGMENTS	(1 << 18)	/* segments in a block */

struct shard_writer {
	struct chunk_writer chunks;
	struct shard_info info;
	struct shard_info done;		/* info when the block began */
	struct shard_bufs b;
	struct buf	 provenance;
	int64_t		 items, segments;	/* in the block */
};

static int
check_info(const struct shard_info *info, struct err *err)
{
	if (info->vocab < 1)
		return err_set(err, ERR_ARG, "a shard's vocabulary has %d tokens", info->vocab);
	if (info->eos < -1 || info->eos >= info->vocab)
		return err_set(err, ERR_ARG, "end token %d is not in a vocabulary of %d",
		    info->eos, info->vocab);
	if (info->packed && (info->row_len < 1 || info->row_len > SHARD_ROW_MAX))
		return err_set(err, ERR_ARG, "a row of %d tokens: it must be 1 to %d",
		    info->row_len, SHARD_ROW_MAX);
	return 0;
}

struct shard_writer *
shard_create(struct out *out, const struct shard_info *info, str provenance, struct err *err)
{
	struct shard_head head = { .width = (uint32_t)shard_width(info),
	    .row_len = info->packed ? info->row_len : 0, .vocab = info->vocab,
	    .eos = info->eos, .tokenizer = { info->tokenizer.lo, info->tokenizer.hi } };
	struct shard_writer *w;

	if (check_info(info, err) != 0) {
		out_abort(out);
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		out_abort(out);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	w->info = *info;
	w->info.docs = w->info.rows = w->info.segments = 0;
	w->info.tokens = w->info.source_bytes = w->info.masked = 0;
	w->done = w->info;
	w->chunks.out = out;
	/* A block is at most its stated size and one item. */
	w->b.first.limit = w->b.cuse.limit = w->b.srcb.limit = CHUNK_MAX;
	w->b.segf.limit = w->b.lwgt.limit = w->b.toks.limit = CHUNK_MAX;
	if (shard_set_provenance(w, provenance, err) != 0 ||
	    chunk_begin(&w->chunks, out, SHARD_KIND, SHARD_VERSION, SHARD_VERSION, err) != 0 ||
	    chunk_put(&w->chunks, "info", NULL, (str){ (const char *)&head, sizeof(head) },
	    err) != 0) {
		shard_abort(w);
		return NULL;
	}
	return w;
}

int
shard_set_provenance(struct shard_writer *w, str provenance, struct err *err)
{
	buf_reset(&w->provenance);
	if (provenance.p != NULL)
		buf_add(&w->provenance, provenance);
	return buf_ok(&w->provenance, err);
}

const struct shard_info *
shard_writer_info(const struct shard_writer *w)
{
	return &w->info;
}

static int
flush(struct shard_writer *w, struct err *err)
{
	const struct shard_info *t = &w->info, *d = &w->done;
	int64_t arg[4] = { w->items, w->segments, t->tokens - d->tokens,
	    t->source_bytes - d->source_bytes };
	int64_t docs[4] = { t->docs - d->docs }, masked[4] = { t->masked - d->masked };
	struct shard_bufs *b = &w->b;
	int32_t end = (int32_t)(w->segments + w->items);

	if (w->items == 0)
		return 0;
	if (t->packed)
		buf_add(&b->first, (str){ (const char *)&end, sizeof(end) });
	if (buf_ok(&b->first, err) != 0 || buf_ok(&b->cuse, err) != 0 ||
	    buf_ok(&b->srcb, err) != 0 || buf_ok(&b->segf, err) != 0 ||
	    buf_ok(&b->lwgt, err) != 0 || buf_ok(&b->toks, err) != 0)
		return -1;
	if (chunk_put(&w->chunks, t->packed ? "rows" : "lens", arg, buf_str(&b->first),
	    err) != 0)
		return -1;
	if (t->packed && chunk_put(&w->chunks, "cuse", NULL, buf_str(&b->cuse), err) != 0)
		return -1;
	if (chunk_put(&w->chunks, "srcb", NULL, buf_str(&b->srcb), err) != 0)
		return -1;
	if (t->packed && chunk_put(&w->chunks, "segf", docs, buf_str(&b->segf), err) != 0)
		return -1;
	if (b->lwgt.n > 0 && chunk_put(&w->chunks, "lwgt", masked, buf_str(&b->lwgt), err) != 0)
		return -1;
	if (chunk_put(&w->chunks, "toks", NULL, buf_str(&b->toks), err) != 0)
		return -1;
	buf_reset(&b->first);
	buf_reset(&b->cuse);
	buf_reset(&b->srcb);
	buf_reset(&b->segf);
	buf_reset(&b->lwgt);
	buf_reset(&b->toks);
	w->items = w->segments = 0;
	w->done = *t;
	return 0;
}

/* Append n tokens and then zeros up to room. */
static int
put_tokens(struct shard_writer *w, const uint32_t *token, int32_t n, int32_t room,
    struct err *err)
{
	int width = shard_width(&w->info);
	uint32_t most;
	char *p = buf_room(&w->b.toks, (ptrdiff_t)room * width);

	if (p == NULL)
		return buf_ok(&w->b.toks, err);
	/* The buffer's start and every item in it are even. */
	most = width == 4 ? ids_simd()->copy((uint32_t *)(void *)p, token, n) :
	    ids_simd()->narrow((uint16_t *)(void *)p, token, n);
	if (most >= (uint32_t)w->info.vocab)
		return err_set(err, ERR_ARG, "token id %u is not in a vocabulary of %d", most,
		    w->info.vocab);
	memset(p + (ptrdiff_t)n * width, 0, (size_t)(room - n) * (size_t)width);
	w->b.toks.n += (ptrdiff_t)room * width;
	return 0;
}

/* Weights of the n tokens that were put last, with room for them; a block of ones has none. */
static void
put_weights(struct shard_writer *w, const uint8_t *weight, int32_t n, int32_t room)
{
	struct buf *b = &w->b.lwgt;
	ptrdiff_t stored = w->b.toks.n / shard_width(&w->info), all;
	int64_t masked = 0;
	char *p;

	for (int32_t i = 0; weight != NULL && i < n; i++)
		masked += weight[i] == 0;
	if (masked == 0 && b->n == 0)
		return;
	all = stored - b->n;
	if ((p = buf_room(b, all)) == NULL)
		return;
	memset(p, 1, (size_t)all);
	for (int32_t i = 0; weight != NULL && i < n; i++)
		p[all - room + i] = weight[i] != 0;
	b->n += all;
	w->info.masked += masked;
}

static void
put_i32(struct buf *b, int32_t x)
{
	buf_add(b, (str){ (const char *)&x, sizeof(x) });
}

static void
put_i64(struct buf *b, int64_t x)
{
	buf_add(b, (str){ (const char *)&x, sizeof(x) });
}

static int
put_row(struct shard_writer *w, const struct shard_item *item, struct err *err)
{
	int64_t bytes = 0;

	if (item->n > w->info.row_len || item->nseg < 0 || (item->n > 0 && item->nseg == 0) ||
	    (item->nseg > 0 && (item->start[0] != 0 || item->start[item->nseg] != item->n)))
		return err_set(err, ERR_ARG, "a row of %d tokens in %d segments for rows of %d",
		    item->n, item->nseg, w->info.row_len);
	for (int32_t i = 0; i < item->nseg; i++) {
		if (item->start[i] > item->start[i + 1] || item->seg_bytes[i] < 0)
			return err_set(err, ERR_ARG, "a segment of negative size");
		bytes += item->seg_bytes[i];
	}
	if (put_tokens(w, item->token, item->n, w->info.row_len, err) != 0)
		return -1;
	put_weights(w, item->weight, item->n, w->info.row_len);
	put_i32(&w->b.first, (int32_t)(w->segments + w->items));
	for (int32_t i = 0; i < item->nseg; i++) {
		uint8_t f = item->seg_flags == NULL ? SEG_WHOLE : item->seg_flags[i] & SEG_WHOLE;

		put_i32(&w->b.cuse, item->start[i]);
		put_i64(&w->b.srcb, item->seg_bytes[i]);
		buf_byte(&w->b.segf, (char)f);
		w->info.docs += f & SEG_BEGIN;
	}
	put_i32(&w->b.cuse, item->n);
	w->segments += item->nseg;
	w->info.rows++;
	w->info.segments += item->nseg;
	w->info.source_bytes += bytes;
	return 0;
}

static int
put_document(struct shard_writer *w, const struct shard_item *item, struct err *err)
{
	if (item->source_bytes < 0)
		return err_set(err, ERR_ARG, "a document of negative size");
	if (put_tokens(w, item->token, item->n, item->n, err) != 0)
		return -1;
	put_weights(w, item->weight, item->n, item->n);
	put_i32(&w->b.first, item->n);
	put_i64(&w->b.srcb, item->source_bytes);
	w->segments++;
	w->info.docs++;
	w->info.segments++;
	w->info.source_bytes += item->source_bytes;
	return 0;
}

int
shard_put(struct shard_writer *w, const struct shard_item *item, struct err *err)
{
	if (item->n < 0)
		return err_set(err, ERR_ARG, "%d tokens", item->n);
	if ((w->info.packed ? put_row(w, item, err) : put_document(w, item, err)) != 0)
		return -1;
	w->items++;
	w->info.tokens += item->n;
	if (w->b.toks.n < SHARD_BLOCK && w->segments + w->items < BLOCK_SEGMENTS)
		return 0;
	return flush(w, err);
}

static void
writer_free(struct shard_writer *w)
{
	shard_bufs_free(&w->b);
	buf_free(&w->provenance);
	free(w);
}

int
shard_finish(struct shard_writer *w, struct err *err)
{
	struct shard_info *t = &w->info;
	int64_t sums[5] = { 0 };

	if (flush(w, err) != 0 || (w->provenance.n > 0 &&
	    chunk_put(&w->chunks, "PROV", NULL, buf_str(&w->provenance), err) != 0)) {
		shard_abort(w);
		return -1;
	}
	shard_sums(t, sums);
	if (chunk_put(&w->chunks, "sums", NULL, (str){ (const char *)sums, sizeof(sums) },
	    err) != 0 || chunk_finish(&w->chunks, err) != 0) {
		shard_abort(w);
		return -1;
	}
	if (out_commit(w->chunks.out, err) != 0) {
		writer_free(w);
		return -1;
	}
	writer_free(w);
	return 0;
}

void
shard_abort(struct shard_writer *w)
{
	if (w == NULL)
		return;
	out_abort(w->chunks.out);
	writer_free(w);
}
