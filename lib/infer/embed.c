#include "infer/embed.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fmt/safetensors.h"

struct embedder {
	struct embed_options o;
	char		*path;
	bool		 is_table;
	struct tokenizer *tok;
	int64_t		 width, before, after;	/* ids around a text */
	double		*sum;			/* (width) */
	/* a table */
	struct st_file	*file;
	const struct st_tensor *table, *scale, *map;	/* of each id: its weight, its row; NULL */
	/* a model */
	struct model	 model;
	struct tape	*tape;
	struct model_io	 io;
	int64_t		 pass;
	int32_t		*pos, *cu;
	float		*hidden;		/* (pass, width) */
};

static int
settle(struct embedder *e, int64_t context, struct err *err)
{
	struct pooled beside = pooling_of(e->path);
	int64_t most = beside.most;

	if (e->o.pooling == POOL_AUTO)
		e->o.pooling = beside.kind == POOL_AUTO ? POOL_MEAN : beside.kind;
	if (e->o.normalize < 0)
		e->o.normalize = beside.normalize;
	if (most < 1 || most > context)
		most = context < EMBED_MOST ? context : EMBED_MOST;
	if (e->o.most == 0)
		e->o.most = most;
	if (e->o.most > context)
		return err_set(err, ERR_ARG, "%s: texts of %lld tokens in a context of %lld",
		    e->path, (long long)e->o.most, (long long)context);
	if (e->o.most <= e->before + e->after)
		return err_set(err, ERR_ARG, "texts of %lld tokens have no room for words",
		    (long long)e->o.most);
	return 0;
}

/* ---- tables ---- */

bool
embed_is_table(const char *path)
{
	char config[MODEL_PATH];
	struct err ignored;
	json_t *doc = snprintf(config, sizeof(config), "%s/config.json", path) < MODEL_PATH ?
	    json_doc_load(config, &ignored) : NULL;
	const char *type = json_string_value(json_object_get(doc, "model_type"));
	bool table = type != NULL && strcmp(type, "model2vec") == 0;

	json_decref(doc);
	return table;
}

static bool
is_vector(const struct st_tensor *t, int64_t n)
{
	return t == NULL || (t->ndim == 1 && t->shape[0] >= n);
}

/* Numbers of the table as floats; whole ones are as they are, for a scale is normalized away. */
static bool
readable(dtype type)
{
	return type == DTYPE_F64 || type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16 ||
	    type == DTYPE_I8;
}

static int
open_table(struct embedder *e, struct err *err)
{
	const char *path = e->path;
	int64_t n = tokenizer_vocab(e->tok);

	if ((e->file = st_open(path, err)) == NULL)
		return -1;
	if ((e->table = st_find(e->file, "embeddings")) == NULL)
		e->table = st_find(e->file, "embedding.weight");
	e->scale = st_find(e->file, "weights");
	e->map = st_find(e->file, "mapping");
	if (e->table == NULL || e->table->ndim != 2 || e->table->shape[1] < 1 ||
	    !readable(e->table->type) || (e->map == NULL && e->table->shape[0] < n))
		return err_set(err, ERR_FORMAT, "%s: no table of floats for %lld tokens", path,
		    (long long)n);
	if (!is_vector(e->scale, n) || !is_vector(e->map, n) ||
	    (e->scale != NULL && e->scale->type != DTYPE_F32 && e->scale->type != DTYPE_F64) ||
	    (e->map != NULL && e->map->type != DTYPE_I64))
		return err_set(err, ERR_FORMAT, "%s: weights or mapping are not of %lld tokens",
		    path, (long long)n);
	return 0;
}

static int
declare_table(struct embedder *e, struct err *err)
{
	const int64_t context = 512;	/* what model2vec looks at */

	if (open_table(e, err) < 0)
		return -1;
	e->width = e->table->shape[1];
	if (e->o.pooling != POOL_AUTO && e->o.pooling != POOL_MEAN && e->o.pooling != POOL_NONE)
		return err_set(err, ERR_ARG, "%s: a table has no first or last token that knows "
		    "the text: mean or none", e->path);
	if (e->o.most == 0)
		e->o.most = context;
	return settle(e, INT32_MAX, err);
}

/* The vector of one token. */
static int
look_up(const struct embedder *e, int32_t id, float *to, struct err *err)
{
	const struct st_tensor *t = e->table;
	int64_t row = id, size = dtype_size(t->type) * e->width;
	double scale = 1;
	float weight;

	if (e->map != NULL)
		memcpy(&row, (const char *)e->map->data + 8 * (int64_t)id, 8);
	if (row < 0 || row >= t->shape[0])
		return err_set(err, ERR_FORMAT, "token %d is mapped to row %lld of %lld", id,
		    (long long)row, (long long)t->shape[0]);
	if (e->scale != NULL && e->scale->type == DTYPE_F64) {
		memcpy(&scale, (const char *)e->scale->data + 8 * (int64_t)id, 8);
	} else if (e->scale != NULL) {
		memcpy(&weight, (const char *)e->scale->data + 4 * (int64_t)id, 4);
		scale = (double)weight;
	}
	if (t->type == DTYPE_I8) {
		const int8_t *from = (const int8_t *)t->data + row * size;

		for (int64_t i = 0; i < e->width; i++)
			to[i] = (float)from[i];
	} else {
		dtype_convert(to, DTYPE_F32, (const char *)t->data + row * size, t->type, e->width);
	}
	for (int64_t i = 0; scale != 1 && i < e->width; i++)
		to[i] = (float)(scale * (double)to[i]);
	return 0;
}

/* ---- models ---- */

static int
declare_model(struct embedder *e, const struct model *m, struct err *err)
{
	if (settle(e, m->config.context, err) < 0)
		return -1;
	if (tokenizer_vocab(e->tok) > m->config.vocab)
		return err_set(err, ERR_FORMAT, "%s: the tokenizer has %d tokens, the model %lld",
		    e->path, tokenizer_vocab(e->tok), (long long)m->config.vocab);
	e->width = m->config.width;
	e->pass = e->o.most > EMBED_PASS ? e->o.most : EMBED_PASS;
	return 0;
}

/* dev NULL: to be laid out only. */
static int
record(struct embedder *e, struct model *m, struct dev *dev, struct err *err)
{
	e->tape = tape_new(dev, e->pass, EMBED_SEQS, params_tape(&m->params), err);
	return e->tape == NULL ? -1 : model_record_hidden(m, e->tape, &e->io, err);
}

static int
load_model(struct embedder *e, struct dev *dev, struct err *err)
{
	struct model *m = &e->model;

	e->pos = calloc((size_t)e->pass, sizeof(*e->pos));
	e->cu = calloc(EMBED_SEQS + 1, sizeof(*e->cu));
	e->hidden = calloc((size_t)(e->pass * e->width), sizeof(*e->hidden));
	if (e->pos == NULL || e->cu == NULL || e->hidden == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (model_load(m, e->path, dev, false, err) < 0)
		return -1;
	if (m->config.width != e->width || m->config.vocab < tokenizer_vocab(e->tok))
		return err_set(err, ERR_FORMAT, "%s: it is another model now", e->path);
	if (record(e, m, dev, err) < 0 || tape_plan(e->tape, err) < 0)
		return -1;
	if (e->io.segment != NULL)	/* all zeros still */
		tape_upload(e->tape, e->io.segment, e->pos, e->pass);
	return dev_wait(dev, err);
}

/* What the model makes of n texts, which fit into a pass. */
static int
forward(struct embedder *e, const int32_t *id, const int32_t *cu, int64_t n, struct err *err)
{
	int32_t tokens = cu[n] - cu[0];

	for (int64_t i = 0; i <= n; i++)
		e->cu[i] = cu[i] - cu[0];
	for (int64_t i = 0; i < n; i++) {
		int32_t len = cu[i + 1] - cu[i];
		int32_t base = (int32_t)model_rope_base(&e->model.config, len);

		for (int32_t k = 0; k < len; k++)
			e->pos[e->cu[i] + k] = base + k;
	}
	tape_set_counts(e->tape, tokens, (int32_t)n);
	tape_upload(e->tape, e->io.token, id + cu[0], tokens);
	tape_upload(e->tape, e->io.pos, e->pos, tokens);
	tape_upload(e->tape, e->io.cu_seqlens, e->cu, n + 1);
	tape_forward(e->tape, 0, -1);
	tape_download(e->tape, e->io.hidden, e->hidden, tokens * e->width);
	return dev_wait(e->model.dev, err);
}

/* ---- pooling ---- */

/* The n-th part of the sum, as it is to be given. */
static void
finish(const struct embedder *e, int64_t n, float *to)
{
	double norm = 0;

	for (int64_t i = 0; i < e->width; i++) {
		e->sum[i] /= n > 0 ? (double)n : 1;
		norm += e->sum[i] * e->sum[i];
	}
	/* What is shorter than this is nothing, as in PyTorch. */
	norm = e->o.normalize ? fmax(sqrt(norm), 1e-12) : 1;
	for (int64_t i = 0; i < e->width; i++)
		to[i] = (float)(e->sum[i] / norm);
}

/* rows (n, width) of a text to its vector, or its vectors. */
static void
pool(const struct embedder *e, const float *row, int64_t n, float *to)
{
	int64_t from = 0, end = n;
	bool each = e->o.pooling == POOL_NONE;

	if (e->o.pooling == POOL_CLS)
		end = n > 0;
	else if (e->o.pooling == POOL_LAST)
		from = n > 0 ? n - 1 : 0;
	memset(e->sum, 0, (size_t)e->width * sizeof(*e->sum));
	for (int64_t k = from; k < end; k++) {
		for (int64_t i = 0; i < e->width; i++)
			e->sum[i] += (double)row[k * e->width + i];
		if (each) {
			finish(e, 1, to + k * e->width);
			memset(e->sum, 0, (size_t)e->width * sizeof(*e->sum));
		}
	}
	if (!each)
		finish(e, end - from, to);
}

static float *
place(const struct embedder *e, const int32_t *cu, int64_t text, float *out)
{
	return out + e->width * (e->o.pooling == POOL_NONE ? cu[text] - cu[0] : text);
}

static int
run_table(struct embedder *e, const int32_t *id, const int32_t *cu, int64_t n, float *out,
    struct err *err)
{
	float *row = NULL, *more;
	int64_t cap = 0;
	int ret = 0;

	for (int64_t i = 0; i < n && ret == 0; i++) {
		int64_t len = cu[i + 1] - cu[i];

		if (len > cap) {
			cap = 2 * len;
			more = realloc(row, (size_t)(cap * e->width) * sizeof(*row));
			if (more == NULL) {
				ret = err_set(err, ERR_NOMEM, "out of memory");
				break;
			}
			row = more;
		}
		for (int64_t k = 0; k < len && ret == 0; k++)
			ret = look_up(e, id[cu[i] + k], row + k * e->width, err);
		if (ret == 0)
			pool(e, row, len, place(e, cu, i, out));
	}
	free(row);
	return ret;
}

int
embed_run(struct embedder *e, const int32_t *id, const int32_t *cu, int64_t n, float *out,
    struct err *err)
{
	if (e->table != NULL)
		return run_table(e, id, cu, n, out, err);
	for (int64_t i = 0, to; i < n; i = to) {
		for (to = i; to < n && to - i < EMBED_SEQS && cu[to + 1] - cu[i] <= e->pass; )
			to++;
		assert(to > i);
		if (cu[to] > cu[i] && forward(e, id, cu + i, to - i, err) < 0)
			return -1;
		for (int64_t k = i; k < to; k++)
			pool(e, e->hidden + (cu[k] - cu[i]) * e->width, cu[k + 1] - cu[k],
			    place(e, cu, k, out));
	}
	return 0;
}

/* ---- the whole ---- */

int
embed_ids(const struct embedder *e, struct encoder *enc, str text, struct ids *ids,
    struct err *err)
{
	int64_t start = ids->n, most = e->o.most - e->before - e->after, n = start;
	int32_t unknown = tokenizer_unknown(e->tok);

	if (ids_room(ids, 2, err) < 0)
		return -1;
	if (e->before)
		ids->id[ids->n++] = tokenizer_bos(e->tok);
	n = ids->n;
	if (encode(enc, text, 0, ids, err) < 0 || ids_room(ids, 1, err) < 0)
		return -1;
	/* A table has nothing to say about words that it does not know. */
	if (e->is_table) {
		int64_t to = n;

		for (int64_t i = n; i < ids->n; i++)
			if (ids->id[i] != unknown)
				ids->id[to++] = ids->id[i];
		ids->n = to;
	}
	if (ids->n - n > most)
		ids->n = n + most;
	if (e->after)
		ids->id[ids->n++] = tokenizer_eos(e->tok);
	return 0;
}

/* Its sizes, by what is there; of a model nothing stays open. */
static int
look(struct embedder *e, struct err *err)
{
	struct model m = { 0 };
	int ret;

	if (e->is_table)
		return declare_table(e, err);
	ret = model_open(&m, e->path, err) < 0 ? -1 : declare_model(e, &m, err);
	model_free(&m);
	return ret;
}

struct embedder *
embed_declare(const char *path, const struct embed_options *o, struct err *err)
{
	struct embedder *e = calloc(1, sizeof(*e));

	if (e == NULL || (e->path = strdup(path)) == NULL) {
		free(e);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	e->is_table = embed_is_table(path);
	e->o = *o;
	if ((e->tok = model_tokenizer(path, err)) == NULL)
		goto fail;
	e->before = !e->is_table && tokenizer_adds_bos(e->tok);
	e->after = !e->is_table && tokenizer_adds_eos(e->tok);
	if (look(e, err) < 0)
		goto fail;
	if ((e->sum = calloc((size_t)e->width, sizeof(*e->sum))) != NULL)
		return e;
	err_set(err, ERR_NOMEM, "out of memory");
fail:
	embed_close(e);
	return NULL;
}

int
embed_load(struct embedder *e, struct dev *dev, struct err *err)
{
	if (!e->is_table)
		return load_model(e, dev, err);
	return e->file != NULL ? 0 : open_table(e, err);
}

void
embed_unload(struct embedder *e)
{
	tape_free(e->tape);
	model_free(&e->model);
	st_close(e->file);
	free(e->pos);
	free(e->cu);
	free(e->hidden);
	e->file = NULL;
	e->table = e->scale = e->map = NULL;
	e->tape = NULL;
	e->pos = e->cu = NULL;
	e->hidden = NULL;
}

void
embed_touch(const struct embedder *e, const atomic_bool *stop)
{
	model_touch(&e->model, stop);
}

int64_t
embed_bytes(const struct embedder *e, struct err *err)
{
	struct embedder laid = *e;
	struct model m = { 0 };
	struct tape_cost cost;
	int64_t bytes = -1;

	if (e->is_table)
		return e->table != NULL ? e->table->bytes : 0;
	laid.tape = NULL;
	if (model_open(&m, e->path, err) == 0 && (bytes = model_weights(&m, err)) >= 0 &&
	    record(&laid, &m, NULL, err) == 0 && tape_layout(laid.tape, err) == 0) {
		tape_cost(laid.tape, &cost);
		bytes += cost.memory + cost.records + e->pass * e->width * (int64_t)sizeof(float);
	} else {
		bytes = -1;
	}
	tape_free(laid.tape);
	model_free(&m);
	return bytes;
}

struct embedder *
embed_open(const char *path, struct dev *dev, const struct embed_options *o, struct err *err)
{
	struct embedder *e = embed_declare(path, o, err);

	if (e != NULL && embed_load(e, dev, err) == 0)
		return e;
	embed_close(e);
	return NULL;
}

void
embed_close(struct embedder *e)
{
	if (e == NULL)
		return;
	embed_unload(e);
	tokenizer_free(e->tok);
	free(e->path);
	free(e->sum);
	free(e);
}

int64_t
embed_width(const struct embedder *e)
{
	return e->width;
}

const struct embed_options *
embed_settings(const struct embedder *e)
{
	return &e->o;
}

const struct tokenizer *
embed_tokenizer(const struct embedder *e)
{
	return e->tok;
}
