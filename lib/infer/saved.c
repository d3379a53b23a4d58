/* The state of a sequence to a file and back: llm-cache(5). */
#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "fmt/chunk.h"
#include "infer/engine_impl.h"

enum { KIND = 'K', FORMAT = 1, SAMPLE = 4096 };	/* SAMPLE: bytes of a parameter hashed */

/* The payload of 'info', little-endian as all is. */
struct info {
	uint64_t	model[2];
	char		type[8];
	int64_t		computed, base;
	int32_t		block_size, plain;
};

/* Hash the config, and the beginning of each parameter. */
static int
hash_model(const struct model *m, hash128 *hash, struct err *err)
{
	struct hasher *h = hasher_new(err);
	json_t *doc = h == NULL ? NULL : config_write(&m->config, err);
	char *text = doc == NULL ? NULL : json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	char sample[SAMPLE];
	int ret = text == NULL ? -1 : 0;

	if (doc != NULL && text == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	if (text != NULL)
		hasher_add(h, str_of(text));
	for (int i = 0; i < m->params.n && ret == 0; i++) {
		const struct param *p = &m->params.p[i];
		int64_t bytes = dtype_bytes(p->type, p->n);

		bytes = bytes < SAMPLE ? bytes : SAMPLE;
		hasher_add(h, str_of(p->name));
		hasher_add(h, str_of(dtype_name(p->type)));
		dev_download(m->dev, sample, p->data, bytes);
		if ((ret = dev_wait(m->dev, err)) == 0)
			hasher_add(h, (str){ sample, bytes });
	}
	if (ret == 0)
		*hash = hasher_end(h);
	free(text);
	json_decref(doc);
	hasher_free(h);
	return ret;
}

static int
info_of(const struct engine *e, struct info *info, struct err *err)
{
	hash128 h;

	if (hash_model(e->model, &h, err) < 0)
		return -1;
	*info = (struct info){ .model = { h.lo, h.hi }, .block_size = CACHE_BLOCK,
		.plain = e->o.plain };
	snprintf(info->type, sizeof(info->type), "%s", dtype_name(e->cache.sizes.type));
	return 0;
}

/* ---- what a sequence has on the device ---- */

/*
 * Rows of one tensor of a layer: blocks of keys and values from the first one that
 * it has, or its slot of states.
 */
struct part {
	const char	*id;
	const struct tensor *x;
	const int32_t	*block;		/* NULL: the slot */
	int64_t		 first, n;
};

enum { PARTS = 4 };

static void
parts_of(const struct seq *s, int64_t layer, struct part part[PARTS])
{
	const struct model_cache *c = &s->e->cache;
	int64_t blocks = (s->done + CACHE_BLOCK - 1) / CACHE_BLOCK;
	bool local = pool_of(s->e, layer) == &s->e->local;
	struct part all = { .block = local ? s->local : s->block,
		.first = local ? s->local_from : 0 };

	all.n = blocks - all.first;
	for (int i = 0; i < PARTS; i++)
		part[i] = i < 2 ? all : (struct part){ .n = s->slot >= 0 };
	part[0].id = "keys";
	part[0].x = &c->k[layer];
	part[1].id = "vals";
	part[1].x = &c->v[layer];
	part[2].id = "conv";
	part[2].x = &c->conv[layer];
	part[3].id = "scan";
	part[3].x = &c->scan[layer];
}

/* Of one block, or of the states. */
static int64_t
each_bytes(const struct part *p)
{
	return cache_bytes(p->x, p->block != NULL ? CACHE_BLOCK : 1);
}

/* All of a part from or to host memory. */
static int
move(const struct seq *s, const struct part *p, char *host, bool up, struct err *err)
{
	for (int64_t i = 0; i < p->n; i++)
		host += p->block != NULL ?
		    cache_move(s->e, p->x, p->block[p->first + i], CACHE_BLOCK, host, up) :
		    cache_move(s->e, p->x, s->slot, 1, host, up);
	return dev_wait(s->e->model->dev, err);
}

/* ---- to a file ---- */

static int
write_parts(const struct seq *s, struct chunk_writer *w, struct err *err)
{
	for (int64_t l = 0; l < s->e->model->config.layers; l++) {
		struct part part[PARTS];

		parts_of(s, l, part);
		for (int i = 0; i < PARTS; i++) {
			int64_t bytes = part[i].n * each_bytes(&part[i]);
			int64_t arg[4] = { l, part[i].first };
			char *p;
			int ret;

			if (bytes == 0)
				continue;
			if ((p = malloc((size_t)bytes)) == NULL)
				return err_set(err, ERR_NOMEM, "out of memory");
			ret = move(s, &part[i], p, false, err);
			if (ret == 0)
				ret = chunk_put(w, part[i].id, arg, (str){ p, bytes }, err);
			free(p);
			if (ret < 0)
				return -1;
		}
	}
	return 0;
}

int
seq_save(const struct seq *s, const char *path, struct err *err)
{
	struct out *out;
	struct chunk_writer w = { 0 };
	struct info info;
	bool whole = s->dropped == 0 && s->n <= engine_config(s->e)->context;

	if (info_of(s->e, &info, err) < 0)
		return -1;
	info.computed = whole ? s->done : 0;
	info.base = s->base;
	if ((out = out_open(path, (struct codec_spec){ 0 }, err)) == NULL)
		return -1;
	if (chunk_begin(&w, out, KIND, FORMAT, FORMAT, err) < 0 ||
	    chunk_put(&w, "info", NULL, (str){ (char *)&info, sizeof(info) }, err) < 0 ||
	    chunk_put(&w, "toks", NULL, (str){ (char *)s->token, whole ? s->n * 4 : 0 },
	    err) < 0 || (whole && write_parts(s, &w, err) < 0) || chunk_finish(&w, err) < 0) {
		out_abort(out);
		return -1;
	}
	return out_commit(out, err);
}

/* ---- and back ---- */

struct loading {
	struct chunk_reader r;
	struct buf	 b;
	struct seq	*s;
};

/* The next chunk and its payload, of this id and between these many bytes. */
static const char *
need(struct loading *l, const char *id, int64_t least, int64_t most, struct chunk *c,
    struct err *err)
{
	const void *p;
	int rc;

	while ((rc = chunk_next(&l->r, c, err)) == 1 && memcmp(c->id, id, 4) != 0)
		if (chunk_unknown(&l->r, c, err) != 0)
			return NULL;
	if (rc < 0)
		return NULL;
	if (rc == 0 || c->length < least || c->length > most) {
		err_set(err, ERR_FORMAT, "byte %lld: not the '%s' of this model's cache",
		    (long long)c->at, id);
		return NULL;
	}
	l->b.limit = most + CHUNK_ALIGN;
	return chunk_payload(&l->r, c, true, &l->b, &p, err) == 0 ? p : NULL;
}

static int
read_info(struct loading *l, struct info *got, struct err *err)
{
	struct info ours;
	struct chunk c;
	const char *p = need(l, "info", sizeof(*got), SAMPLE, &c, err);

	if (p == NULL || info_of(l->s->e, &ours, err) < 0)
		return -1;
	memcpy(got, p, sizeof(*got));
	if (memcmp(got->model, ours.model, sizeof(ours.model)) != 0)
		return err_set(err, ERR_FORMAT, "the cache of another model");
	if (memcmp(got->type, ours.type, sizeof(ours.type)) != 0 || got->plain != ours.plain)
		return err_set(err, ERR_FORMAT, "a cache of %.8s, where %s is asked for", got->type,
		    ours.type);
	if (got->block_size != ours.block_size)
		return err_set(err, ERR_FORMAT, "a cache in blocks of %d", got->block_size);
	return 0;
}

static int
read_tokens(struct loading *l, struct err *err)
{
	const struct config *c = &l->s->e->model->config;
	struct chunk toks;
	const char *p = need(l, "toks", 0, c->context * 4, &toks, err);

	if (p == NULL || (toks.length > 0 && seq_push(l->s, (const int32_t *)(const void *)p,
	    toks.length / 4, err) < 0))
		return -1;
	for (int64_t i = 0; i < l->s->n; i++)
		if (l->s->token[i] < 0 || l->s->token[i] >= c->vocab)
			return err_set(err, ERR_FORMAT, "token %d in a vocabulary of %lld",
			    l->s->token[i], (long long)c->vocab);
	return 0;
}

/*
 * One part from a chunk, whose argument says with which block it begins.  A file of an
 * engine that keeps more of a window's layers begins before; 1: one that kept less.
 */
static int
read_part(struct loading *l, struct part *p, struct err *err)
{
	int64_t each = each_bytes(p), most = (p->first + p->n) * each, less;
	struct chunk c;
	char *data;

	if (p->n * each == 0)
		return 0;
	if ((data = (char *)need(l, p->id, each, most, &c, err)) == NULL)
		return -1;
	less = c.arg[1];
	if (less < 0 || less >= p->first + p->n || c.length != most - less * each)
		return err_set(err, ERR_FORMAT, "byte %lld: '%s' from block %lld on, of %lld bytes",
		    (long long)c.at, p->id, (long long)less, (long long)c.length);
	return less > p->first ? 1 : move(l->s, p, data + (p->first - less) * each, true, err);
}

/* 1: something is not there. */
static int
read_parts(struct loading *l, struct err *err)
{
	struct seq *s = l->s;
	int all = 0;

	for (int64_t i = 0; i < s->e->model->config.layers; i++) {
		struct part part[PARTS];

		parts_of(s, i, part);
		for (int j = 0; j < PARTS; j++) {
			int ret = read_part(l, &part[j], err);

			if (ret < 0)
				return -1;
			all |= ret;
		}
	}
	return all;
}

static int
read_seq(struct loading *l, struct err *err)
{
	struct seq *s = l->s;
	struct chunk c;
	struct info info;
	int rc = chunk_start(&l->r, err);

	if (rc == 0)
		err_set(err, ERR_FORMAT, "an empty file is no cache");
	if (rc <= 0 || read_info(l, &info, err) < 0 || read_tokens(l, err) < 0)
		return -1;
	if (info.computed < 0 || info.computed > s->n)
		return err_set(err, ERR_FORMAT, "%lld of %lld tokens are computed",
		    (long long)info.computed, (long long)s->n);
	if (info.computed > engine_holds(s->e))
		return err_set(err, ERR_FORMAT, "%lld tokens are more than the window's %lld",
		    (long long)info.computed, (long long)engine_holds(s->e));
	/* Blocks for all, which nothing is in yet. */
	if (s->n > 0 && seq_reserve(s, err) < 0)
		return -1;
	s->base = info.base;
	s->done = info.computed;
	if (local_room(&s, 1, 0, err) < 0)
		return -1;
	local_begin(s);
	if ((rc = read_parts(l, err)) < 0)
		return -1;
	if (rc == 1) {
		s->done = 0;
		local_release(s, 0);
	}
	while ((rc = chunk_next(&l->r, &c, err)) == 1)
		if (chunk_unknown(&l->r, &c, err) != 0)
			return -1;
	return rc;
}

struct seq *
seq_read(struct engine *e, struct in *in, struct err *err)
{
	struct loading l = { .r = { .in = in, .name = "cache", .kind = KIND, .version = FORMAT },
		.s = seq_new(e, err) };

	if (l.s != NULL && read_seq(&l, err) < 0) {
		seq_free(l.s);
		l.s = NULL;
	}
	buf_free(&l.b);
	return l.s;
}

struct seq *
seq_load(struct engine *e, const char *path, struct err *err)
{
	struct in *in = in_open(path, err);
	struct seq *s = in == NULL ? NULL : seq_read(e, in, err);

	if (in != NULL)
		in_close(in);
	return s;
}
