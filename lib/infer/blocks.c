/* Which cache blocks a sequence has, and takes, and gives back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "infer/engine_impl.h"
#include "infer/offload_impl.h"

/* ---- pools ---- */

int
pool_init(struct pool *p, int64_t blocks, int64_t stride, struct err *err)
{
	*p = (struct pool){ .blocks = blocks, .stride = (int32_t)stride,
	    .unused = calloc((size_t)blocks + 1, sizeof(*p->unused)),
	    .holders = calloc((size_t)blocks + 1, sizeof(*p->holders)) };
	if (p->unused == NULL || p->holders == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	while (blocks > 0)
		p->unused[p->n_unused++] = (int32_t)(--blocks * stride);
	return 0;
}

int
pool_keep(struct engine *e, struct err *err)
{
	struct pool *p = &e->pool;
	const int64_t slots[TIERS] = { p->blocks, offload_slots(e, TIER_MEMORY),
	    offload_slots(e, TIER_DISK) };

	if ((p->known = prefix_new(slots, err)) == NULL)
		return -1;
	if (slots[TIER_MEMORY] == 0)
		return 0;
	return (p->below = offload_new(e, err)) == NULL ? -1 : 0;
}

void
pool_free(struct pool *p)
{
	free(p->unused);
	free(p->holders);
	prefix_free(p->known);
}

static bool
is_known(const struct pool *p, int32_t block)
{
	return p->known != NULL && prefix_at(p->known, block / p->stride) >= 0;
}

static void
put(struct pool *p, int32_t block)
{
	if (--*pool_holders(p, block) > 0)
		return;
	if (is_known(p, block))
		prefix_rest(p->known, block / p->stride);
	else
		p->unused[p->n_unused++] = block;
}

/* A block that is idle is given up: it is unused then, and what was in it below. */
static void
give_up(struct pool *p)
{
	int32_t to, block = prefix_give_up(p->known, &to) * p->stride;

	if (to >= 0)
		offload_down(p->below, to, block);
	p->unused[p->n_unused++] = block;
}

/* An unused block, or one that is not to be found any more; or -1. */
static int32_t
take(struct pool *p, struct err *err)
{
	int32_t block;

	if (p->n_unused == 0 && p->known != NULL && prefix_idle(p->known) > 0)
		give_up(p);
	if (p->n_unused == 0)
		return err_set(err, ERR_LIMIT, "the cache of %lld tokens is full",
		    (long long)(p->blocks * CACHE_BLOCK));
	block = p->unused[--p->n_unused];
	*pool_holders(p, block) = 1;
	return block;
}

static int64_t
blocks_of(int64_t tokens)
{
	return (tokens + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

/* ---- writing to what others have too ---- */

void
copy_rows(struct engine *e, const struct tensor *x, int64_t to, int64_t from, int64_t n)
{
	int64_t bytes = dtype_bytes(x->type, x->shape[1]);
	union dev_args a = { .copy = { .y = dptr_add(x->data, to * bytes),
	    .x = dptr_add(x->data, from * bytes), .bytes = n * bytes } };

	if (bytes > 0)
		dev_launch(e->model->dev, K_COPY, &a);
}

int64_t
cache_move(struct engine *e, const struct tensor *x, int64_t at, int64_t rows, void *host,
    bool up)
{
	int64_t bytes = cache_bytes(x, rows);
	dptr p = dptr_add(x->data, at * bytes);

	if (up)
		dev_upload(e->model->dev, p, host, bytes);
	else
		dev_download(e->model->dev, host, p, bytes);
	return bytes;
}

/* The rows of a block in all layers of a pool to another one. */
static void
copy_block(struct engine *e, const struct pool *p, int32_t to, int32_t from)
{
	for (int64_t l = 0; l < e->model->config.layers; l++) {
		if (pool_of(e, l) != p)
			continue;
		copy_rows(e, &e->cache.k[l], to * CACHE_BLOCK, from * CACHE_BLOCK, CACHE_BLOCK);
		copy_rows(e, &e->cache.v[l], to * CACHE_BLOCK, from * CACHE_BLOCK, CACHE_BLOCK);
	}
}

/*
 * A block that is written to is to be its own, and not to be found as what it was:
 * with what was computed of it, if anything was.
 */
static int
own(struct engine *e, struct pool *p, int32_t *block, bool computed, struct err *err)
{
	int32_t mine;

	if (*pool_holders(p, *block) == 1 && !is_known(p, *block))
		return 0;
	if ((mine = take(p, err)) < 0)
		return -1;
	if (computed)
		copy_block(e, p, mine, *block);
	put(p, *block);
	*block = mine;
	return 0;
}

/* ---- layers that see all ---- */

void
seq_release(struct seq *s, int64_t n)
{
	while (s->n_block > blocks_of(n - s->dropped))
		put(&s->e->pool, s->block[--s->n_block]);
	if (s->known > n / CACHE_BLOCK)
		s->known = n / CACHE_BLOCK;
}

int
seq_blocks(struct seq *s, int64_t first, struct err *err)
{
	struct engine *e = s->e;

	if (s->known > first && s->done < s->n)
		s->known = first;
	for (int64_t i = first; i < s->n_block && s->done < s->n; i++)
		if (own(e, &e->pool, &s->block[i], i * CACHE_BLOCK < s->done - s->dropped,
		    err) < 0)
			return -1;
	while (s->n_block < e->max_blocks && s->n_block * CACHE_BLOCK < s->n - s->dropped) {
		int32_t block = take(&e->pool, err);

		if (block < 0)
			return -1;
		s->block[s->n_block++] = block;
	}
	return 0;
}

/* ---- blocks that are found again ---- */

static struct prefix_root
root_of(const struct seq *s)
{
	return (struct prefix_root){ .salt = s->salt, .base = s->base, .adapter = s->adapter };
}

/* The node behind another one of a sequence's blocks [0, i), of which it is the i-th; or -1. */
static int32_t
find(const struct seq *s, int64_t i, const int32_t *token)
{
	const struct pool *p = &s->e->pool;
	struct prefix_root root = root_of(s);

	return prefix_find(p->known, &root,
	    i == 0 ? -1 : prefix_at(p->known, s->block[i - 1] / p->stride), token);
}

/* Have the block of a node, if it has one; or -1. */
static int32_t
hold(struct pool *p, int32_t node)
{
	int32_t slot = node < 0 ? -1 : prefix_slot(p->known, node, TIER_CACHE);

	if (slot < 0)
		return -1;
	if ((*pool_holders(p, slot * p->stride))++ == 0)
		prefix_wake(p->known, slot);
	return slot * p->stride;
}

void
seq_tell(struct seq *s)
{
	struct pool *p = &s->e->pool;
	struct prefix_root root = root_of(s);
	int64_t sure = s->n - (s->want > 1 ? s->want - 1 : 0);

	if (p->known == NULL)
		return;
	if (sure > s->done)
		sure = s->done;
	for (int64_t i = s->known; (i + 1) * CACHE_BLOCK <= sure; s->known = ++i) {
		const int32_t *token = s->token + i * CACHE_BLOCK;
		int32_t node = find(s, i, token), other = hold(p, node);
		int32_t slot = s->block[i] / p->stride;

		/* Who computed the same at once has the other's, which has the same bits. */
		if (other >= 0) {
			put(p, s->block[i]);
			s->block[i] = other;
		} else if (node >= 0) {
			prefix_come_back(p->known, node, slot);
		} else {
			prefix_add(p->known, slot, &root,
			    i == 0 ? -1 : prefix_at(p->known, s->block[i - 1] / p->stride), token);
		}
	}
}

/* Is it in memory, or on its way? */
static bool
is_near(const struct prefix *known, int32_t node)
{
	return prefix_slot(known, node, TIER_MEMORY) >= 0 || prefix_moving(known, node);
}

/*
 * Begin to read a node, and of those that follow it with these tokens the ones that are on
 * the disk alone.  1: it is read now; 0; or -1.
 */
static int
read_ahead(const struct seq *s, int32_t node, const int32_t *token, int64_t n, struct err *err)
{
	struct pool *p = &s->e->pool;
	struct prefix_root root = root_of(s);
	int64_t most = offload_batch(p->below);
	bool coming = false;

	for (int64_t k = 0; k < most && node >= 0; k++) {
		int ret = is_near(p->known, node) ? 1 : offload_read(p->below, node, err);

		if (ret < 0)
			return -1;
		if (ret == 0)
			break;
		coming = true;
		/* There may be no room for it yet. */
		if (!is_near(p->known, node) || (n -= CACHE_BLOCK) <= CACHE_BLOCK)
			break;
		token += CACHE_BLOCK;
		node = prefix_find(p->known, &root, node, token);
	}
	return coming;
}

/*
 * Bring a sequence's i-th block, with which n tokens begin, back from below; or -1, also
 * with a failure that is told in *ret.  It may be coming.
 */
static int32_t
bring_back(struct seq *s, int64_t i, const int32_t *token, int64_t n, int *ret, struct err *err)
{
	struct pool *p = &s->e->pool;
	int32_t node = find(s, i, token), block, slot;
	struct err full;

	if (node < 0 || p->below == NULL)
		return -1;
	if (prefix_slot(p->known, node, TIER_MEMORY) < 0) {
		if ((*ret = read_ahead(s, node, token, n, err)) > 0)
			s->coming = true;
		return -1;
	}
	if (p->n_unused == 0 && offload_is_full(p->below)) {
		s->coming = true;
		return -1;
	}
	if ((block = take(p, &full)) < 0)
		return -1;
	/* For its room others were forgotten, or this one. */
	node = find(s, i, token);
	if (node < 0 || (slot = prefix_slot(p->known, node, TIER_MEMORY)) < 0 ||
	    (*ret = offload_up(p->below, block, slot, err)) < 0) {
		put(p, block);
		return -1;
	}
	prefix_come_back(p->known, node, block / p->stride);
	return block;
}

int64_t
seq_find(struct seq *s, const int32_t *token, int64_t n, struct err *err)
{
	struct pool *p = &s->e->pool;
	int64_t i = s->n / CACHE_BLOCK, brought = 0;
	int ret = 0;

	s->coming = false;
	if (p->known == NULL || s->done < s->n || s->known * CACHE_BLOCK < s->n)
		return s->n;
	if (p->below != NULL && offload_turn(p->below, err) < 0)
		return -1;
	for (; (i + 1) * CACHE_BLOCK < n; i++) {
		const int32_t *at = token + i * CACHE_BLOCK;
		int32_t block = hold(p, find(s, i, at));

		if (block < 0) {
			block = bring_back(s, i, at, n - i * CACHE_BLOCK, &ret, err);
			if (block < 0)
				break;
			brought++;
		}
		if (seq_push(s, at, CACHE_BLOCK, err) < 0) {
			put(p, block);
			return -1;
		}
		s->block[s->n_block++] = block;
		s->done = s->n;
		s->known++;
		/* Others are not to wait longer than for a pass. */
		if (brought > 0 && brought == offload_batch(p->below)) {
			s->coming = true;
			break;
		}
	}
	return ret < 0 ? -1 : s->n;
}

bool
seq_coming(const struct seq *s)
{
	return s->coming;
}

/* ---- layers that see a window ---- */

/* The first block of which a token at i, and the next ones, see something. */
static int64_t
first_seen(const struct seq *s, int64_t i)
{
	int64_t at = i - s->e->model->config.window + 1;

	return at > 0 ? at / CACHE_BLOCK : 0;
}

bool
local_has(const struct seq *s, int64_t i)
{
	return s->local == NULL || i == 0 || first_seen(s, i) >= s->local_from;
}

void
local_release(struct seq *s, int64_t n)
{
	if (s->local == NULL)
		return;
	while (s->local_to > s->local_from && s->local_to > blocks_of(n)) {
		put(&s->e->local, s->local[--s->local_to]);
		s->local[s->local_to] = -1;
	}
	if (n == 0)
		s->local_from = s->local_to = 0;
}

void
local_pass(struct seq *s)
{
	if (s->local == NULL)
		return;
	for (int64_t to = first_seen(s, s->done - LOCAL_SPARE); s->local_from < to &&
	    s->local_from < s->local_to; s->local_from++) {
		put(&s->e->local, s->local[s->local_from]);
		s->local[s->local_from] = -1;
	}
}

int
local_room(struct seq *const *seq, int n, int64_t tokens, struct err *err)
{
	const struct engine *e = seq[0]->e;
	int64_t need = blocks_of(tokens) + 1;

	if (seq[0]->local == NULL)
		return 0;
	for (int i = 0; i < n; i++) {
		const struct seq *s = seq[i];
		int64_t most = blocks_of(e->model->config.window + LOCAL_SPARE) + 1;
		int64_t all = blocks_of(s->n), end = blocks_of(s->done), held;

		most = all < most ? all : most;
		held = (s->local_to < end ? s->local_to : end) - s->local_from;
		/*
		 * Two more: to begin, and where another sequence has the last one too.
		 * Less what a guess has taken for tokens of this pass already.
		 */
		need += 2 + (most > held ? most - held : 0);
		need -= s->local_to > end ? s->local_to - end : 0;
	}
	return need <= e->local.n_unused ? 0 : err_set(err, ERR_LIMIT, "the cache of %lld tokens "
	    "for layers with a window is full", (long long)(e->local.blocks * CACHE_BLOCK));
}

void
local_reserve(struct seq *s, int64_t from, int64_t to)
{
	struct engine *e = s->e;
	struct err never;
	int ret = 0;

	if (s->local == NULL)
		return;
	for (int64_t i = from / CACHE_BLOCK; i < s->local_to && ret == 0; i++)
		ret = own(e, &e->local, &s->local[i], i * CACHE_BLOCK < from, &never);
	for (; s->local_to < blocks_of(to) && ret == 0; s->local_to++)
		ret = (s->local[s->local_to] = take(&e->local, &never)) < 0 ? -1 : 0;
	/* There was local_room(). */
	assert(ret == 0);
}

void
local_fork(struct seq *to, const struct seq *s)
{
	if (s->local == NULL)
		return;
	to->local_from = s->local_from;
	to->local_to = s->local_to < blocks_of(s->done) ? s->local_to : blocks_of(s->done);
	for (int64_t i = to->local_from; i < to->local_to; i++)
		++*pool_holders(&s->e->local, to->local[i] = s->local[i]);
}

void
local_begin(struct seq *s)
{
	if (s->local == NULL)
		return;
	s->local_from = s->local_to = first_seen(s, s->done - LOCAL_SPARE);
	local_reserve(s, s->done, s->done);
}
