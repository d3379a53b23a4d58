#include "infer/engine_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "infer/offload_impl.h"
#include "model/adapters.h"

enum { GUESS_PASS = 32 };		/* tokens of a guess at once */

/* ---- the cache ---- */

static int
make_cache(struct engine *e, struct dev *dev, struct err *err)
{
	int64_t blocks = (e->o.cache + CACHE_BLOCK - 1) / CACHE_BLOCK + e->o.seqs;

	struct cache_sizes sizes = { .blocks = blocks, .block_size = CACHE_BLOCK,
		.slots = e->o.seqs, .type = e->o.kv, .plain = e->o.plain,
		.local = e->step > 0 || e->o.keep ? 0 : model_cache_local(&e->model->config,
		    e->o.seqs, e->o.pass, CACHE_BLOCK, blocks) };

	if (model_cache_init(&e->cache, e->model, dev, &sizes, err) < 0 ||
	    pool_init(&e->pool, blocks, e->cache.stride[0], err) < 0 ||
	    pool_init(&e->local, sizes.local, e->cache.stride[1], err) < 0 ||
	    offload_check(e, err) < 0 || (e->o.keep && dev != NULL && pool_keep(e, err) < 0))
		return -1;
	e->unused_slot = calloc((size_t)e->o.seqs, sizeof(*e->unused_slot));
	if (e->unused_slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = e->o.seqs; config_recurrent(&e->model->config) && i > 0; i--)
		e->unused_slot[e->n_unused_slot++] = (int32_t)i - 1;
	return 0;
}

/* Of a pass: sinks that are computed again are a sequence more. */
static int64_t
parts_of(const struct engine *e, int64_t seqs)
{
	return e->step > 0 && e->o.sinks > 0 ? 2 * seqs : seqs;
}

static int
make_inputs(struct engine *e, struct err *err)
{
	size_t pass = (size_t)e->o.pass, rows = (size_t)e->o.rows;
	size_t seqs = (size_t)parts_of(e, e->o.seqs);

	e->token = calloc(pass, sizeof(int32_t));
	e->pos = calloc(pass, sizeof(int32_t));
	e->slot = calloc(pass, sizeof(int32_t));
	e->cu_seqlens = calloc(seqs + 1, sizeof(int32_t));
	e->key_len = calloc(seqs, sizeof(int32_t));
	e->row = calloc(rows, sizeof(int32_t));
	e->state_slot = calloc(seqs, sizeof(int32_t));
	e->table = calloc(seqs * (size_t)e->max_blocks, sizeof(int32_t));
	e->local_slot = calloc(pass, sizeof(int32_t));
	e->local_table = calloc(seqs * (size_t)e->max_blocks, sizeof(int32_t));
	e->rope = calloc(pass * (size_t)e->model->config.head_dim, sizeof(double));
	e->logits = calloc(rows * (size_t)e->model->config.vocab, sizeof(float));
	if (e->token == NULL || e->pos == NULL || e->slot == NULL || e->cu_seqlens == NULL ||
	    e->key_len == NULL || e->row == NULL || e->table == NULL || e->logits == NULL ||
	    e->state_slot == NULL || e->local_slot == NULL || e->local_table == NULL ||
	    e->rope == NULL)
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
	offload_free(e->pool.below);
	model_cache_free(&e->cache);
	pool_free(&e->pool);
	pool_free(&e->local);
	free(e->unused_slot);
	free(e->local_slot);
	free(e->local_table);
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

/* ---- windows ---- */

static int64_t
whole_blocks(int64_t tokens)
{
	return (tokens + CACHE_BLOCK - 1) / CACHE_BLOCK * CACHE_BLOCK;
}

/* So that of passes over long prompts sinks are a small part, and of memory what waits to go. */
static int64_t
step_of(int64_t window)
{
	int64_t step = window / 8 / CACHE_BLOCK * CACHE_BLOCK;

	return step > 0 ? step : CACHE_BLOCK;
}

int
engine_window_check(const struct config *c, struct err *err)
{
	if (config_recurrent(c))
		return err_set(err, ERR_ARG, "no window: the states of %s have all tokens in them",
		    arch_name(c->arch));
	if (c->pos == POS_LEARNED)
		return err_set(err, ERR_ARG, "no window: the positions of %s are learned, and "
		    "keys cannot move", arch_name(c->arch));
	if (c->pos == POS_ROPE && c->rope.kind == ROPE_LONGROPE)
		return err_set(err, ERR_ARG, "no window: the positions of longrope change with "
		    "the length of a text");
	return 0;
}

int64_t
engine_window_most(const struct config *c, int64_t sinks)
{
	int64_t room = c->context / CACHE_BLOCK * CACHE_BLOCK - whole_blocks(sinks);
	int64_t most = room * 8 / 9 / CACHE_BLOCK * CACHE_BLOCK;
	struct err err;

	if (most > room - CACHE_BLOCK)
		most = room - CACHE_BLOCK;
	return most > 0 && engine_window_check(c, &err) == 0 ? most : 0;
}

static int
check_window(const struct engine *e, struct err *err)
{
	const struct config *c = engine_config(e);

	if (e->step == 0)
		return 0;
	if (engine_window_check(c, err) < 0)
		return -1;
	if (engine_holds(e) > c->context)
		return err_set(err, ERR_ARG, "a window of %lld tokens behind %lld sinks takes a "
		    "context of %lld, and the model's is %lld", (long long)e->o.window,
		    (long long)e->o.sinks, (long long)engine_holds(e), (long long)c->context);
	return 0;
}

/* How many tokens behind the sinks token i does not see. */
static int64_t
dropped_at(const struct engine *e, int64_t i)
{
	int64_t beyond = i - e->o.sinks - e->o.window;

	return e->step == 0 || beyond < 0 ? 0 : beyond / e->step * e->step;
}

/* ---- an engine ---- */

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
	if (e->o.window > 0) {
		e->o.window = whole_blocks(e->o.window);
		e->o.sinks = whole_blocks(e->o.sinks);
		e->step = step_of(e->o.window);
	} else {
		e->o.sinks = 0;
	}
	/* What blocks do not have cannot be found with them. */
	if (e->step > 0 || config_recurrent(&model->config))
		e->o.keep = false;
	if (!e->o.keep)
		e->o.spill = e->o.spill_disk = 0;
	if (e->o.pass == 0)
		e->o.pass = 512;
	if (e->o.pass < e->o.sinks + e->o.rows)
		e->o.pass = e->o.sinks + e->o.rows;
	if (e->o.early > 0 && e->o.pass < e->o.sinks + GUESS_PASS)
		e->o.pass = e->o.sinks + GUESS_PASS;
	if (e->o.cache == 0)
		e->o.cache = e->o.seqs * engine_holds(e);
	e->max_blocks = whole_blocks(engine_holds(e)) / CACHE_BLOCK;
}

static int
record(struct engine *e, struct dev *dev, struct err *err)
{
	struct engine_options *o = &e->o;
	dtype type = params_tape(&e->model->params);

	e->whole.tape = tape_new(dev, o->pass, parts_of(e, o->seqs), type, err);
	if (e->whole.tape == NULL || model_record_generate(e->model, e->whole.tape, &e->cache,
	    e->max_blocks, o->rows, &e->whole.io, err) < 0)
		return -1;
	if (o->early == 0)
		return 0;
	if (o->early < 0 || o->early >= e->model->config.layers)
		return err_set(err, ERR_ARG, "the first %lld of %lld layers",
		    (long long)o->early, (long long)e->model->config.layers);
	e->early.tape = tape_new(dev, o->sinks + GUESS_PASS, parts_of(e, 1), type, err);
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
	if (check_window(&e, err) == 0 && make_cache(&e, NULL, err) == 0 &&
	    record(&e, NULL, err) == 0 && tape_layout(e.whole.tape, err) == 0) {
		tape_cost(e.whole.tape, &cost);
		bytes = e.cache.bytes + cost.memory + cost.records +
		    offload_slots(&e, TIER_MEMORY) * offload_bytes(&e) +
		    e.o.rows * model->config.vocab * (int64_t)sizeof(float);
	}
	free_parts(&e);
	return bytes;
}

int
engine_spill(struct model *model, const struct engine_options *o, struct engine_offloaded *s,
    struct err *err)
{
	struct engine e = { .model = model };
	int ret;

	set_options(&e, model, o);
	if ((ret = make_cache(&e, NULL, err)) == 0)
		offload_sizes(&e, s);
	free_parts(&e);
	return ret;
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
	if (check_window(e, err) < 0 || make_cache(e, model->dev, err) < 0 ||
	    make_inputs(e, err) < 0 || record(e, model->dev, err) < 0 ||
	    tape_plan(e->whole.tape, err) < 0 ||
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

int64_t
engine_context(const struct engine *e)
{
	/* Positions are 32 bits. */
	return e->step > 0 ? INT32_MAX / 2 : e->model->config.context;
}

int64_t
engine_holds(const struct engine *e)
{
	return e->step > 0 ? e->o.sinks + e->o.window + e->step : e->model->config.context;
}

int64_t
engine_cache(const struct engine *e)
{
	return e->pool.blocks * CACHE_BLOCK;
}

int64_t
engine_kept(const struct engine *e)
{
	return e->pool.known == NULL ? 0 : prefix_idle(e->pool.known) * CACHE_BLOCK;
}

int64_t
engine_unused(const struct engine *e)
{
	return e->pool.n_unused * CACHE_BLOCK + engine_kept(e);
}

/* ---- sequences ---- */

struct seq *
seq_new(struct engine *e, struct err *err)
{
	struct seq *s = calloc(1, sizeof(*s));
	bool local = e->local.blocks > 0;

	if (s == NULL || (s->block = calloc((size_t)e->max_blocks, sizeof(*s->block))) == NULL ||
	    (local && (s->local = calloc((size_t)e->max_blocks, sizeof(*s->local))) == NULL)) {
		if (s != NULL)
			free(s->block);
		free(s);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (int64_t i = 0; i < e->max_blocks && local; i++)
		s->local[i] = -1;
	s->e = e;
	s->want = 1;
	s->at = s->slot = -1;
	return s;
}

void
seq_free(struct seq *s)
{
	if (s == NULL)
		return;
	seq_truncate(s, 0);
	if (s->slot >= 0)
		s->e->unused_slot[s->e->n_unused_slot++] = s->slot;
	free(s->token);
	free(s->block);
	free(s->local);
	free(s);
}

int
seq_push(struct seq *s, const int32_t *token, int64_t n, struct err *err)
{
	int64_t context = engine_context(s->e);

	if (n > context - s->n)
		return err_set(err, ERR_LIMIT, "%lld tokens are more than the model's context "
		    "of %lld", (long long)(s->n + n), (long long)context);
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

/* Compute tokens from n on again: all, where there are states or it sees what is gone. */
static void
take_back(struct seq *s, int64_t n)
{
	s->done = n;
	if (config_recurrent(&s->e->model->config) || dropped_at(s->e, n) < s->dropped ||
	    !local_has(s, n))
		s->done = s->guessed = s->dropped = s->sunk = 0;
	if (s->known > s->done / CACHE_BLOCK)
		s->known = s->done / CACHE_BLOCK;
	local_release(s, s->done);
}

void
seq_truncate(struct seq *s, int64_t n)
{
	if (s->n > n)
		s->n = n;
	if (s->done > n)
		take_back(s, n);
	seq_release(s, n);
	local_release(s, n);
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

int64_t
seq_computed(const struct seq *s)
{
	return s->done;
}

/* Up to where the last token sees what the next ones see. */
int64_t
seq_steady(const struct seq *s)
{
	const struct engine *e = s->e;
	int64_t n = e->step == 0 || s->n == 0 ? engine_context(e) - s->n :
	    dropped_at(e, s->n - 1) + engine_holds(e) - s->n;

	return s->local != NULL && n > LOCAL_SPARE ? LOCAL_SPARE : n;
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
seq_salt(struct seq *s, uint64_t salt)
{
	if (s->salt != salt)
		seq_truncate(s, 0);
	s->salt = salt;
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

static int
take_slot(struct seq *s, struct err *err)
{
	if (s->e->n_unused_slot == 0)
		return err_set(err, ERR_LIMIT, "states of %lld sequences are all in use",
		    (long long)s->e->o.seqs);
	s->slot = s->e->unused_slot[--s->e->n_unused_slot];
	return 0;
}

int
seq_reserve(struct seq *s, struct err *err)
{
	int64_t first = (s->done - s->dropped) / CACHE_BLOCK;

	if (s->slot < 0 && config_recurrent(&s->e->model->config) && take_slot(s, err) < 0)
		return -1;
	/* Where it moves on, sinks are written again, and so is what was dropped. */
	if (s->n > 0 && dropped_at(s->e, s->n - 1) != s->sunk)
		first = 0;
	return seq_blocks(s, first, err);
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
	to->salt = s->salt;
	to->known = s->known;
	to->dropped = s->dropped;
	to->sunk = s->sunk;
	to->n_block = whole_blocks(s->done - s->dropped) / CACHE_BLOCK;
	for (int64_t i = 0; i < to->n_block; i++)
		++*pool_holders(&e->pool, to->block[i] = s->block[i]);
	local_fork(to, s);
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

		if (base != seq[i]->base) {
			seq[i]->done = 0;
			local_release(seq[i], 0);
		}
		seq[i]->base = base;
		seq[i]->at = -1;
		if (seq[i]->done > seq[i]->n - wanted(seq[i]))
			take_back(seq[i], seq[i]->n - wanted(seq[i]));
	}
	for (int i = 0; i < n; i++) {
		if (seq_reserve(seq[i], err) < 0) {
			for (; i >= 0; i--)
				seq_release(seq[i], seq[i]->done);
			return -1;
		}
	}
	return n == 0 ? 0 : local_room(seq, n, seq[0]->e->o.pass, err);
}

/* ---- passes ---- */

struct pass {
	int32_t	tokens, seqs, rows;
};

/* Token i at a position, its keys and values at a place in the sequence's blocks. */
static void
lay(struct engine *e, struct pass *p, const struct seq *s, int64_t i, int64_t pos, int64_t at)
{
	e->token[p->tokens] = s->token[i];
	e->pos[p->tokens] = (int32_t)(s->base + pos);
	e->slot[p->tokens] = s->block[at / CACHE_BLOCK] * CACHE_BLOCK +
	    (int32_t)(at % CACHE_BLOCK);
	if (s->local != NULL)
		e->local_slot[p->tokens] = s->local[at / CACHE_BLOCK] * CACHE_BLOCK +
		    (int32_t)(at % CACHE_BLOCK);
	p->tokens++;
}

/* What was laid since the last part sees so many keys. */
static void
end_part(struct engine *e, struct pass *p, const struct seq *s, int64_t keys)
{
	memcpy(e->table + p->seqs * e->max_blocks, s->block,
	    (size_t)s->n_block * sizeof(*s->block));
	if (s->local != NULL)
		memcpy(e->local_table + p->seqs * e->max_blocks, s->local,
		    (size_t)s->n_block * sizeof(*s->local));
	if (e->adapters > 0)
		e->of_adapter[s->adapter] += p->tokens - e->cu_seqlens[p->seqs];
	e->state_slot[p->seqs] = s->slot < 0 ? 0 : s->slot;
	e->key_len[p->seqs++] = (int32_t)keys;
	e->cu_seqlens[p->seqs] = p->tokens;
}

/* The oldest blocks behind the sinks become the last ones, and sinks move up to the others. */
static void
move_on(struct engine *e, struct pass *p, struct seq *s, int64_t dropped)
{
	int32_t *block = s->block + e->o.sinks / CACHE_BLOCK;

	for (; s->dropped < dropped; s->dropped += CACHE_BLOCK) {
		int32_t oldest = *block;
		int64_t after = s->block + s->n_block - block - 1;

		memmove(block, block + 1, (size_t)after * sizeof(*block));
		block[after] = oldest;
	}
	s->sunk = dropped;
	if (e->o.sinks == 0)
		return;
	for (int64_t i = 0; i < e->o.sinks; i++)
		lay(e, p, s, i, s->sunk + i, i);
	end_part(e, p, s, e->o.sinks);
}

/*
 * Lay pending tokens of a sequence into a pass of so many: as many as fit and
 * see the same tokens.  Logits of the pass begin at row first.  Are they all?
 */
static bool
add(struct engine *e, struct pass *p, struct seq *s, int64_t pass, int64_t first)
{
	int64_t dropped = dropped_at(e, s->done), to = dropped + engine_holds(e);

	if (s->done == s->n)
		return true;
	if (dropped != s->sunk) {
		if (pass - p->tokens <= e->o.sinks)
			return false;
		move_on(e, p, s, dropped);
	}
	if (to > s->done + pass - p->tokens)
		to = s->done + pass - p->tokens;
	if (to > s->n)
		to = s->n;
	local_reserve(s, s->done, to);
	for (; s->done < to; s->done++) {
		if (s->done >= s->n - s->want) {
			s->at = first + p->rows;
			e->row[p->rows++] = p->tokens;
		}
		lay(e, p, s, s->done, s->done, s->done - dropped);
	}
	end_part(e, p, s, s->done - dropped);
	return s->done == s->n;
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
	if (io->local_slot != NULL) {
		tape_upload(g->tape, io->local_slot, e->local_slot, p->tokens);
		tape_upload(g->tape, io->local_table, e->local_table, p->seqs * e->max_blocks);
	}
	tape_upload(g->tape, io->row, e->row, p->rows);
	tape_forward(g->tape, 0, -1);
	if (p->rows > 0)
		tape_download(g->tape, io->logits, e->logits + first * vocab, p->rows * vocab);
	if (dev_wait(e->model->dev, err) < 0)
		return -1;
	if (e->pool.below != NULL)
		offload_settled(e->pool.below);
	return 0;
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

		/* The rest of one that does not fit goes to the next pass. */
		while (i < n && p.tokens < e->o.pass && add(e, &p, seq[i], e->o.pass, finished))
			i++;
		if (p.tokens > 0 && run(e, &e->whole, &p, finished, err) < 0)
			return -1;
		for (int k = 0; k < n; k++)
			local_pass(seq[k]);
		finished += p.rows;
	}
	for (int i = 0; i < n; i++)
		seq_tell(seq[i]);
	return e->pool.below != NULL ? offload_turn(e->pool.below, err) : 0;
}

int
engine_guess(struct engine *e, struct seq *s, struct err *err)
{
	int64_t done = s->done, sunk = s->sunk, want = s->want;
	int ret = 0;

	assert(e->early.tape != NULL && s->n > 0);
	assert(dropped_at(e, s->done) == dropped_at(e, s->n - 1) || s->done == s->n);
	if (seq_reserve(s, err) < 0 || local_room(&s, 1, s->n - s->done, err) < 0)
		return -1;
	if (s->done < s->guessed)
		s->done = s->guessed;
	if (s->done == s->n)
		s->done--;
	s->want = 1;
	while (ret == 0 && s->done < s->n) {
		struct pass p = { 0 };

		add(e, &p, s, e->o.sinks + GUESS_PASS, 0);
		ret = run(e, &e->early, &p, 0, err);
	}
	if (ret == 0)
		s->guessed = s->n;
	/* Sinks that moved did so in the first layers alone. */
	s->sunk = sunk;
	s->want = want;
	s->done = done;
	return ret;
}
