/* Random access to packed rows by a mapping, and verification of a whole file. */
#include <stdlib.h>

#include "fmt/shard.h"
#include "fmt/shard_impl.h"

struct shard_map {
	str		 bytes;
	struct shard_info info;
	uint64_t	 hash;
	struct buf	 provenance;
	struct shard_block *block;	/* nblocks */
	int64_t		*row;		/* nblocks + 1: first row of each */
	int64_t		 nblocks, cap;
};

static int
add_block(struct shard_map *m, const struct shard_block *b, struct err *err)
{
	if (m->nblocks == m->cap) {
		int64_t cap = m->cap == 0 ? 64 : m->cap * 2;
		void *p;

		p = realloc(m->block, (size_t)cap * sizeof(*m->block));
		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		m->block = p;
		p = realloc(m->row, ((size_t)cap + 1) * sizeof(*m->row));
		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		m->row = p;
		m->cap = cap;
		m->row[0] = 0;
	}
	m->block[m->nblocks] = *b;
	m->row[m->nblocks + 1] = m->row[m->nblocks] + b->items;
	m->nblocks++;
	return 0;
}

/* Find the blocks by their headers. */
static int
index_blocks(struct shard_map *m, struct err *err)
{
	struct shard_stream s = { .chunks = { .map = m->bytes } };
	struct shard_bufs none = { 0 };
	struct shard_block b;
	int rc;

	while ((rc = shard_block_next(&s, &none, &b, err)) == 1)
		if (add_block(m, &b, err) != 0) {
			rc = -1;
			break;
		}
	m->info = s.info;
	m->hash = s.hash;
	m->provenance = s.provenance;
	s.provenance = (struct buf){ 0 };
	shard_stream_free(&s);
	return rc;
}

struct shard_map *
shard_map_open(const char *path, struct err *err)
{
	struct shard_map *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (file_map(path, &m->bytes, err) != 0) {
		free(m);
		return NULL;
	}
	if (index_blocks(m, err) != 0) {
		err_wrap(err, "%s", path);
		shard_map_close(m);
		return NULL;
	}
	return m;
}

const struct shard_info *
shard_map_info(const struct shard_map *m)
{
	return &m->info;
}

str
shard_map_provenance(const struct shard_map *m)
{
	return buf_str(&m->provenance);
}

uint64_t
shard_map_hash(const struct shard_map *m)
{
	return m->hash;
}

int
shard_map_row(const struct shard_map *m, int64_t i, uint32_t *token,
    struct shard_item *item, struct err *err)
{
	int64_t lo = 0, hi = m->nblocks;

	if (!m->info.packed)
		return err_set(err, ERR_ARG, "a shard of documents has no rows: llm-pack "
		    "makes them");
	if (i < 0 || i >= m->info.rows)
		return err_set(err, ERR_ARG, "no row %lld: there are %lld", (long long)i,
		    (long long)m->info.rows);
	while (hi - lo > 1) {
		int64_t mid = lo + (hi - lo) / 2;

		if (m->row[mid] <= i)
			lo = mid;
		else
			hi = mid;
	}
	return shard_block_row(&m->info, &m->block[lo], i - m->row[lo], token, item, err);
}

void
shard_map_close(struct shard_map *m)
{
	if (m == NULL)
		return;
	file_unmap(m->bytes);
	buf_free(&m->provenance);
	free(m->block);
	free(m->row);
	free(m);
}

int
shard_verify(const char *path, struct shard_info *info, struct err *err)
{
	struct shard_reader *r = shard_open(path, err);
	struct shard_item item;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = shard_next(r, &item, err)) == 1)
		continue;
	if (rc == 0 && info != NULL)
		*info = *shard_reader_info(r);
	shard_close(r);
	return rc;
}
