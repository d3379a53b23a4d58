#include "infer/engine_impl.h"

#include <assert.h>
#include <stdlib.h>

#include "model/adapters.h"

enum { GUESS_PASS = 32 };	/* tokens of a guess at once */

/* ---- the cache ---- */

static int
make_cache(struct engine *e, struct dev *dev, struct err *err)
{
	int64_t blocks = (e->o.cache + CACHE_BLOCK - 1) / CACHE_BLOCK + e->o.seqs;

	struct cache_sizes sizes = { .blocks = blocks, .block_size = CACHE_BLOCK,
		.slots = e->o.seqs, .type = e->o.kv, .plain = e->o.plain };

	if (model_cache_init(&e->cache, e->model, dev, &sizes, err) < 0)
		return -1;
	e->unused = calloc((size_t)blocks, sizeof(*e->unused));
	e->holders = calloc((size_t)blocks, sizeof(*e->holders));
	e->unused_slot = calloc((size_t)e->o.seqs, sizeof(*e->unused_slot));
	if (e->unused == NULL || e->holders == NULL || e->unused_slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	while (blocks > 0)
		e->unused[e->n_unused++] = (int32_t)--blocks;
	for (int64_t i = e->o.seqs; config_recurrent(&e->model->config) && i > 0; i--)
		e->unused_slot[e->n_unused_slot++] = (int32_t)i - 1;
	return 0;
}

static int
make_inputs(struct engine *e, struct err *err)
{
	size_t pass = (size_t)e->o.pass, seqs = (size_t)e->o.seqs, rows = (size_t)e->o.rows;

	e->token = calloc(pass, sizeof(int32_t));
	e->pos = calloc(pass, sizeof(int32_t));
	e->slot = calloc(pass, sizeof(int32_t));
	e->cu_seqlens = calloc(seqs + 1, sizeof(int32_t));
	e->key_len = calloc(seqs, sizeof(int32_t));
	e->row = calloc(rows, sizeof(int32_t));
	e->state_slot = calloc(seqs, sizeof(int32_t));
	e->table = calloc(seqs * (size_t)e->max_blocks, sizeof(int32_t));
	e->rope = calloc(pass * (size_t)e->model->config.head_dim, sizeof(double));
	e->logits = calloc(rows * (size_t)e->model->config.vocab, sizeof(float));
	if (e->token == NULL || e->pos == NULL || e->slot == NULL || e->cu_seqlens == NULL ||
	    e->key_len == NULL || e->row == NULL || e->table == NULL || e->logits == NULL ||
	    e->state_slot == NULL || e->rope == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (e->model->adapters == NULL)
		return 0;
	e->adapters = adapters_count(e->model->adapters);
	e->of_adapter = calloc((size_t)e->adapters + 1, sizeof(int32_t));
	e->first = calloc((size_t)e->adapters + 1, sizeof(int32_t));
	e->ordered = calloc((size_t)e->o.seqs, sizeof(struct seq *));
	if (e->of_adapter == NULL || e->first == NULL || e->ordered == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static void
free_parts(struct engine *e)
{
	tape_free(e->whole.tape);
	tape_free(e->early.tape);
	model_cache_free(&e->cache);
	free(e->unused);
	free(e->holders);
	free(e->unused_slot);
	free(e->state_slot);
	free(e->logits);
	free(e->token);
	free(e->pos);
	free(e->slot);
	free(e->cu_seqlens);
	free(e->key_len);
	free(e->row);
	free(e->table);
	free(e->rope);
	free(e->of_adapter);
	free(e->first);
	free(e->ordered);
}

/* Fill in what is 0. */
static void
set_options(struct engine *e, struct model *model, const struct engine_options *o)
{
	e->model = model;
	e->o = *o;
	if (e->o.seqs == 0)
		e->o.seqs = 1;
	if (e->o.rows < e->o.seqs)
		e->o.rows = e->o.seqs;
	if (e->o.pass == 0)
		e->o.pass = 512;
	if (e->o.pass < e->o.rows)
		e->o.pass = e->o.rows;
	if (e->o.cache == 0)
		e->o.cache = e->o.seqs * model->config.context;
	e->max_blocks = (model->config.context + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

static int
record(struct engine *e, struct dev *dev, struct err *err)
{
	struct engine_options *o = &e->o;
	dtype type = params_tape(&e->model->params);

	e->whole.tape = tape_new(dev, o->pass, o->seqs, type, err);
	if (e->whole.tape == NULL || model_record_generate(e->model, e->whole.tape, &e->cache,
	    e->max_blocks, o->rows, &e->whole.io, err) < 0)
		return -1;
	if (o->early == 0)
		return 0;
	if (o->early < 0 || o->early >= e->model->config.layers)
		return err_set(err, ERR_ARG, "the first %lld of %lld layers",
		    (long long)o->early, (long long)e->model->config.layers);
	e->early.tape = tape_new(dev, GUESS_PASS, 1, type, err);
	return e->early.tape == NULL ? -1 : model_record_early(e->model, e->early.tape,
	    &e->cache, o->early, e->max_blocks, 1, &e->early.io, err);
}

int64_t
engine_bytes(struct model *model, const struct engine_options *o, struct err *err)
{
	struct engine e = { .model = model };
	struct tape_cost cost;
	int64_t bytes = -1;

	set_options(&e, model, o);
	if (make_cache(&e, NULL, err) == 0 && record(&e, NULL, err) == 0 &&
	    tape_layout(e.whole.tape, err) == 0) {
		tape_cost(e.whole.tape, &cost);
		bytes = e.cache.bytes + cost.memory + cost.records +
		    e.o.rows * model->config.vocab * (int64_t)sizeof(float);
	}
	free_parts(&e);
	return bytes;
}

struct engine *
engine_new(struct model *model, const struct engine_options *o, struct err *err)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	set_options(e, model, o);
	if (make_cache(e, model->dev, err) < 0 || make_inputs(e, err) < 0 ||
	    record(e, model->dev, err) < 0 || tape_plan(e->whole.tape, err) < 0 ||
	    (e->early.tape != NULL && tape_plan(e->early.tape, err) < 0)) {
		engine_free(e);
		return NULL;
	}
	return e;
}

void
engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	free_parts(e);
	free(e);
}

const struct config *
engine_config(const struct engine *e)
{
	return &e->model->config;
}

const struct engine_options *
engine_settings(const struct engine *e)
{
	return &e->o;
}

/* ---- sequences ---- */

struct seq *
seq_new(struct engine *e, struct err *err)
{
	struct seq *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->block = calloc((size_t)e->max_blocks, sizeof(*s->block))) == NULL) {
		free(s);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->e = e;
	s->want = 1;
	s->at = s->slot = -1;
	return s;
}

static void
put_block(struct engine *e, int32_t block)
{
	if (--e->holders[block] == 0)
		e->unused[e->n_unused++] = block;
}

/* An unused block, or -1. */
static int32_t
take_block(struct engine *e, struct err *err)
{
	int32_t block;

	if (e->n_unused == 0)
		return err_set(err, ERR_LIMIT, "the cache of %lld tokens is full",
		    (long long)(e->cache.sizes.blocks * CACHE_BLOCK));
	block = e->unused[--e->n_unused];
	e->holders[block] = 1;
	return block;
}

/* Give back the cache blocks beyond the first n tokens. */
static void
release(struct seq *s, int64_t n)
{
	while (s->n_block > (n + CACHE_BLOCK - 1) / CACHE_BLOCK)
		put_block(s->e, s->block[--s->n_block]);
}

void
seq_free(struct seq *s)
{
	if (s == NULL)
		return;
	release(s, 0);
	if (s->slot >= 0)
		s->e->unused_slot[s->e->n_unused_slot++] = s->slot;
	free(s->token);
	free(s->block);
	free(s);
}

int
seq_push(struct seq *s, const int32_t *token, int64_t n, struct err *err)
{
	if (n > s->e->model->config.context - s->n)
		return err_set(err, ERR_LIMIT, "%lld tokens are more than the model's context "
		    "of %lld", (long long)(s->n + n), (long long)s->e->model->config.context);
	if (s->n + n > s->cap) {
		int64_t cap = (s->n + n) * 2;
		int32_t *p = realloc(s->token, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s->token = p;
		s->cap = cap;
	}
	for (int64_t i = 0; i < n; i++)
		s->token[s->n++] = token[i];
	return 0;
}

/* Compute tokens from n on again: where there are states, all of them. */
static void
take_back(struct seq *s, int64_t n)
{
	s->done = config_recurrent(&s->e->model->config) ? 0 : n;
}

void
seq_truncate(struct seq *s, int64_t n)
{
	release(s, n);
	if (s->n > n)
		s->n = n;
	if (s->done > n)
		take_back(s, n);
	if (s->guessed > n)
		s->guessed = n;
	s->at = -1;
}

int64_t
seq_keep(struct seq *s, const int32_t *token, int64_t n)
{
	int64_t same = 0;

	while (same < n && same < s->n && s->token[same] == token[same])
		same++;
	if (same < s->n)
		seq_truncate(s, same);
	return same;
}

int64_t
seq_length(const struct seq *s)
{
	return s->n;
}

const int32_t *
seq_tokens(const struct seq *s)
{
	return s->token;
}

void
seq_adapt(struct seq *s, int adapter)
{
	assert(adapter >= 0 && adapter <= s->e->adapters);
	if (s->adapter != adapter)
		seq_truncate(s, 0);
	s->adapter = adapter;
}

void
seq_want(struct seq *s, int64_t rows)
{
	s->want = rows;
}

const float *
seq_logits(const struct seq *s)
{
	return s->at < 0 ? NULL : s->e->logits + s->at * s->e->model->config.vocab;
}

/* How many of its tokens will have logits. */
static int64_t
wanted(const struct seq *s)
{
	return s->want < s->n ? s->want : s->n;
}

/* Rows [from, from + n) of a layer's keys, values or states to those from to on. */
static void
copy_rows(struct engine *e, const struct tensor *x, int64_t to, int64_t from, int64_t n)
{
	int64_t bytes = dtype_bytes(x->type, x->shape[1]);
	union dev_args a = { .copy = { .y = dptr_add(x->data, to * bytes),
	    .x = dptr_add(x->data, from * bytes), .bytes = n * bytes } };

	if (bytes > 0)
		dev_launch(e->model->dev, K_COPY, &a);
}

static int
take_slot(struct seq *s, struct err *err)
{
	if (s->e->n_unused_slot == 0)
		return err_set(err, ERR_LIMIT, "states of %lld sequences are all in use",
		    (long long)s->e->o.seqs);
	s->slot = s->e->unused_slot[--s->e->n_unused_slot];
	return 0;
}

/* The block where the first token that is not computed goes is to be its own. */
static int
own_block(struct seq *s, int64_t i, struct err *err)
{
	struct engine *e = s->e;
	int32_t block;

	if (e->holders[s->block[i]] == 1)
		return 0;
	if ((block = take_block(e, err)) < 0)
		return -1;
	for (int64_t l = 0; l < e->model->config.layers && s->done % CACHE_BLOCK > 0; l++) {
		copy_rows(e, &e->cache.k[l], block * CACHE_BLOCK, s->block[i] * CACHE_BLOCK,
		    CACHE_BLOCK);
		copy_rows(e, &e->cache.v[l], block * CACHE_BLOCK, s->block[i] * CACHE_BLOCK,
		    CACHE_BLOCK);
	}
	put_block(e, s->block[i]);
	s->block[i] = block;
	return 0;
}

int
seq_reserve(struct seq *s, struct err *err)
{
	if (s->slot < 0 && config_recurrent(&s->e->model->config) && take_slot(s, err) < 0)
		return -1;
	for (int64_t i = s->done / CACHE_BLOCK; i < s->n_block && s->done < s->n; i++)
		if (own_block(s, i, err) < 0)
			return -1;
	while (s->n_block * CACHE_BLOCK < s->n) {
		int32_t block = take_block(s->e, err);

		if (block < 0)
			return -1;
		s->block[s->n_block++] = block;
	}
	return 0;
}

struct seq *
seq_fork(const struct seq *s, struct err *err)
{
	struct engine *e = s->e;
	struct seq *to = seq_new(e, err);

	if (to == NULL || seq_push(to, s->token, s->n, err) < 0 ||
	    (s->slot >= 0 && take_slot(to, err) < 0)) {
		seq_free(to);
		return NULL;
	}
	to->done = s->done;
	to->guessed = s->guessed < s->done ? s->guessed : s->done;
	to->base = s->base;
	to->want = s->want;
	to->adapter = s->adapter;
	to->n_block = (s->done + CACHE_BLOCK - 1) / CACHE_BLOCK;
	for (int64_t i = 0; i < to->n_block; i++)
		e->holders[to->block[i] = s->block[i]]++;
	for (int64_t l = 0; l < e->model->config.layers && s->slot >= 0; l++) {
		copy_rows(e, &e->cache.conv[l], to->slot, s->slot, 1);
		copy_rows(e, &e->cache.scan[l], to->slot, s->slot, 1);
	}
	return to;
}

/*
 * Take the blocks that all pending tokens need, or none, before anything is
 * computed.  Tokens that are not pending and whose logits are wanted are computed
 * again.  One whose length has other rotary positions now is computed anew.
 */
static int
prepare(struct seq *const *seq, int n, struct err *err)
{
	for (int i = 0; i < n; i++) {
		int64_t base = model_rope_base(engine_config(seq[i]->e), seq[i]->n);

		if (base != seq[i]->base)
			seq[i]->done = 0;
		seq[i]->base = base;
		seq[i]->at = -1;
		if (seq[i]->done > seq[i]->n - wanted(seq[i]))
			take_back(seq[i], seq[i]->n - wanted(seq[i]));
	}
	for (int i = 0; i < n; i++) {
		if (seq_reserve(seq[i], err) < 0) {
			for (; i >= 0; i--)
				release(seq[i], seq[i]->done);
			return -1;
		}
	}
	return 0;
}

/* ---- passes ---- */

struct pass {
	int32_t	tokens, seqs, rows;
};

/* Lay the next n pending tokens of a sequence into the pass, whose logits begin at row first. */
static void
add(struct engine *e, struct pass *p, struct seq *s, int64_t n, int64_t first)
{
	int32_t *table = e->table + p->seqs * e->max_blocks;

	for (int64_t i = s->done; i < s->done + n; i++) {
		if (i >= s->n - s->want) {
			s->at = first + p->rows;
			e->row[p->rows++] = p->tokens;
		}
		e->token[p->tokens] = s->token[i];
		e->pos[p->tokens] = (int32_t)(s->base + i);
		e->slot[p->tokens++] = s->block[i / CACHE_BLOCK] * CACHE_BLOCK +
		    (int32_t)(i % CACHE_BLOCK);
	}
	for (int64_t i = 0; i < s->n_block; i++)
		table[i] = s->block[i];
	if (e->adapters > 0)
		e->of_adapter[s->adapter] += (int32_t)n;
	s->done += n;
	e->state_slot[p->seqs] = s->slot < 0 ? 0 : s->slot;
	e->key_len[p->seqs++] = (int32_t)s->done;
	e->cu_seqlens[p->seqs] = p->tokens;
}

/* Tables of positions for these tokens. */
static void
upload_rope(struct engine *e, const struct graph *g, int64_t tokens)
{
	for (int local = 0; local < 2; local++) {
		struct tensor *x = g->io.rope[local];

		if (x == NULL)
			continue;
		model_rope_rows(&e->model->config, local, e->pos, tokens, x->type, e->rope);
		tape_upload(g->tape, x, e->rope, tokens * x->shape[1]);
	}
}

/* Where each adapter's tokens of a pass begin, behind those without one. */
static void
upload_adapters(struct engine *e, const struct graph *g)
{
	int32_t rows = 0;

	for (int i = 0; i <= e->adapters; i++) {
		e->first[i] = rows += e->of_adapter[i];
		e->of_adapter[i] = 0;
	}
	tape_upload(g->tape, g->io.first, e->first, e->adapters + 1);
}

/* Run a pass; logits of its finished sequences go to rows from first on. */
static int
run(struct engine *e, const struct graph *g, const struct pass *p, int64_t first, struct err *err)
{
	const struct model_io *io = &g->io;
	int64_t vocab = e->model->config.vocab;

	tape_set_counts(g->tape, p->tokens, p->seqs);
	tape_set_wanted(g->tape, p->rows);
	tape_upload(g->tape, io->token, e->token, p->tokens);
	tape_upload(g->tape, io->pos, e->pos, p->tokens);
	upload_rope(e, g, p->tokens);
	if (e->adapters > 0)
		upload_adapters(e, g);
	tape_upload(g->tape, io->slot, e->slot, p->tokens);
	tape_upload(g->tape, io->cu_seqlens, e->cu_seqlens, p->seqs + 1);
	tape_upload(g->tape, io->key_len, e->key_len, p->seqs);
	tape_upload(g->tape, io->state_slot, e->state_slot, p->seqs);
	tape_upload(g->tape, io->block_table, e->table, p->seqs * e->max_blocks);
	tape_upload(g->tape, io->row, e->row, p->rows);
	tape_forward(g->tape, 0, -1);
	if (p->rows > 0)
		tape_download(g->tape, io->logits, e->logits + first * vocab, p->rows * vocab);
	return dev_wait(e->model->dev, err);
}

static struct seq *const *
by_adapter(struct engine *e, struct seq *const *seq, int n)
{
	int at = 0;

	for (int a = 0; a <= e->adapters; a++)
		for (int i = 0; i < n; i++)
			if (seq[i]->adapter == a)
				e->ordered[at++] = seq[i];
	return e->ordered;
}

int
engine_run(struct engine *e, struct seq *const *seq, int n, struct err *err)
{
	int64_t finished = 0, rows = 0;

	if (n > e->o.seqs)
		return err_set(err, ERR_LIMIT, "%d sequences in an engine for %lld", n,
		    (long long)e->o.seqs);
	for (int i = 0; i < n; i++)
		rows += wanted(seq[i]);
	if (rows > e->o.rows)
		return err_set(err, ERR_LIMIT, "logits of %lld tokens in an engine for %lld",
		    (long long)rows, (long long)e->o.rows);
	if (prepare(seq, n, err) < 0)
		return -1;
	if (e->adapters > 0)
		seq = by_adapter(e, seq, n);
	for (int i = 0; i < n;) {
		struct pass p = { 0 };

		for (; i < n && p.tokens < e->o.pass; i++) {
			int64_t left = seq[i]->n - seq[i]->done, room = e->o.pass - p.tokens;

			if (left > 0)
				add(e, &p, seq[i], left < room ? left : room, finished);
			if (left > room)
				break;		/* the rest of it in the next pass */
		}
		if (p.tokens > 0 && run(e, &e->whole, &p, finished, err) < 0)
			return -1;
		finished += p.rows;
	}
	return 0;
}

int
engine_guess(struct engine *e, struct seq *s, struct err *err)
{
	int64_t done = s->done, pending;

	assert(e->early.tape != NULL && s->n > 0);
	if (seq_reserve(s, err) < 0)
		return -1;
	if (s->done < s->guessed)
		s->done = s->guessed;
	if (s->done == s->n)
		s->done--;
	for (; (pending = s->n - s->done) > 0;) {
		struct pass p = { 0 };
		int64_t want = s->want;

		s->want = 1;
		add(e, &p, s, pending < GUESS_PASS ? pending : GUESS_PASS, 0);
		s->want = want;
		if (run(e, &e->early, &p, 0, err) < 0)
			return -1;
	}
	s->guessed = s->n;
	s->done = done;
	return 0;
}
