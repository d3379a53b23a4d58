#include "model/sizes.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "model/model_impl.h"

#define MAX_LAYERS 512
#define MAX_WIDTH 32768

/* ---- sizes by rule ---- */

/* The largest divisor of n that is at most most. */
static int64_t
divisor(int64_t n, int64_t most)
{
	int64_t d = most < n ? most : n;

	while (d > 1 && n % d != 0)
		d--;
	return d < 1 ? 1 : d;
}

/* All sizes but width, layers and vocabulary follow from these. */
static void
fill_in(struct config *c)
{
	const struct arch_family *f = arch_family(c->arch);

	if (c->heads == 0 && c->head_dim > 0 && c->width % c->head_dim == 0)
		c->heads = c->width / c->head_dim;
	if (c->heads == 0)
		c->heads = divisor(c->width, c->width / (c->width < 256 ? 32 : 64));
	if (c->head_dim == 0)
		c->head_dim = c->width / c->heads;
	if (c->kv_heads == 0)
		c->kv_heads = c->pos == POS_LEARNED ? c->heads : divisor(c->heads, c->heads / 2);
	if (c->ffn == 0)
		c->ffn = c->gated ? (c->width * 8 / 3 + 63) / 64 * 64 : 4 * c->width;
	if (c->context == 0)
		c->context = 1024;
	if (c->scan.states > 0 && c->scan.inner == 0) {
		c->scan.inner = 2 * c->width;
		c->scan.rank = (c->width + 15) / 16;
	}
	if (f->sizes != NULL)
		f->sizes(c);
}

/* The number of layers, where it is not given, that comes nearest to params. */
static int64_t
layers_for(const struct config *c, int64_t params)
{
	struct config one = *c, two = *c;
	int64_t layer, n;

	if (c->layers > 0)
		return c->layers;
	one.layers = 1;
	two.layers = 2;
	config_layers(&one);
	config_layers(&two);
	layer = config_params(&two) - config_params(&one);
	n = 1 + (params - config_params(&one) + layer / 2) / layer;
	return n < 1 ? 1 : n > MAX_LAYERS ? MAX_LAYERS : n;
}

static int
choose(struct config *c, int64_t params, struct err *err)
{
	struct config best = *c;
	double best_miss = HUGE_VAL, best_shape = HUGE_VAL;
	int64_t from = c->width > 0 ? c->width : 32, to = c->width > 0 ? c->width : MAX_WIDTH;

	for (int64_t w = from; w <= to; w += w < 64 ? 32 : w < 256 ? 64 : 128) {
		struct config try = *c;
		double miss, shape;

		try.width = w;
		fill_in(&try);
		try.layers = layers_for(&try, params);
		config_layers(&try);
		miss = fabs((double)config_params(&try) / (double)params - 1);
		shape = fabs(log((double)w / 64 / (double)try.layers));
		if (miss <= 0.1 ? shape < best_shape : best_shape == HUGE_VAL && miss < best_miss) {
			best = try;
			best_miss = miss;
			best_shape = miss <= 0.1 ? shape : HUGE_VAL;
		}
	}
	*c = best;
	if (best_shape == HUGE_VAL && best_miss > 0.25)
		return err_set(err, ERR_ARG, "no model of about %" PRId64 " parameters with a "
		    "vocabulary of %" PRId64 ": the nearest has %" PRId64, params, c->vocab,
		    config_params(c));
	return 0;
}

int
config_complete(struct config *c, int64_t params, struct err *err)
{
	if (c->vocab < 1)
		return err_set(err, ERR_ARG, "how large is the vocabulary?");
	if (params > 0 && choose(c, params, err) < 0)
		return -1;
	if (c->width < 1 || c->layers < 1)
		return err_set(err, ERR_ARG, "how wide is it, and how many layers?");
	fill_in(c);
	return config_check(c, err);
}

/* ---- cost ---- */

static int
serve_pass(const struct model *m, struct model_cost *r, struct err *err)
{
	int64_t block = 16, blocks = (m->config.context + block - 1) / block;
	struct tape *t = tape_new(NULL, COST_SERVE_TOKENS, 1, params_tape(&m->params), err);
	struct model copy = *m;
	struct cache_sizes sizes = { .blocks = blocks, .block_size = block, .slots = 1,
		.local = model_cache_local(&m->config, 1, COST_SERVE_TOKENS, block, blocks) };
	struct model_cache cache;
	struct model_io io;
	struct tape_cost cost;
	int ret = -1;

	if (t == NULL)
		return -1;
	if (model_cache_init(&cache, m, NULL, &sizes, err) == 0) {
		r->cache = cache.bytes;
		if (model_record_generate(&copy, t, &cache, blocks, 1, &io, err) == 0)
			ret = tape_layout(t, err);
		tape_cost(t, &cost);
		r->serve_pass = cost.memory;
		model_cache_free(&cache);
	}
	tape_free(t);
	return ret;
}

int
model_cost(const struct config *c, struct model_cost *r, struct err *err)
{
	struct model m = { .dev = NULL };
	int ret = -1;

	*r = (struct model_cost){ .params = config_params(c),
	    .embedding = (c->vocab + (c->pos == POS_LEARNED ? c->context : 0)) * c->width,
	    .flops_forward = config_flops(c, c->context) };
	r->flops_train = 3 * r->flops_forward;
	if (model_declare(&m, c, err) == 0) {
		r->weights = params_bytes(&m.params, false);
		ret = serve_pass(&m, r, err);
	}
	model_free(&m);
	return ret;
}

/* ---- the trial ---- */

#define TRIAL_TOKENS 256

static void
random_batch(struct tape *t, const struct model_io *io, const struct config *c, uint64_t seed,
    int64_t n)
{
	int32_t id[TRIAL_TOKENS], pos[TRIAL_TOKENS], target[TRIAL_TOKENS];
	int32_t cu[2] = { 0, (int32_t)n }, base = (int32_t)model_rope_base(c, n);
	float dlogp[TRIAL_TOKENS];

	for (int64_t i = 0; i < n; i++) {
		id[i] = (int32_t)rng_below(seed, 1, (uint64_t)i, (uint64_t)c->vocab);
		target[i] = (int32_t)rng_below(seed, 2, (uint64_t)i, (uint64_t)c->vocab);
		pos[i] = base + (int32_t)i;
		dlogp[i] = -1 / (float)n;
	}
	tape_upload(t, io->token, id, n);
	tape_upload(t, io->pos, pos, n);
	tape_upload(t, io->target, target, n);
	tape_upload(t, io->dlogp, dlogp, n);
	tape_upload(t, io->cu_seqlens, cu, 2);
}

static int
measure(struct model *m, struct tape *t, const struct model_io *io, dptr sum,
    struct model_trial *r, struct err *err)
{
	struct params *ps = &m->params;
	union dev_args fill = { .fill = { .y = ps->grad, .type = DTYPE_F32, .n = ps->grad_n } };
	union dev_args norm = { .sumsq = { .out = sum, .x = ps->grad, .type = DTYPE_F32,
	    .n = ps->grad_n } };

	dev_launch(m->dev, K_FILL, &fill);
	tape_zero(t, io->loss);
	tape_forward(t, 0, -1);
	tape_backward(t, 0, -1);
	dev_launch(m->dev, K_SUMSQ, &norm);
	tape_download(t, io->loss, &r->loss, 1);
	dev_download(m->dev, &r->norm, sum, sizeof(r->norm));
	return dev_wait(m->dev, err);
}

int
model_try(struct model *m, uint64_t seed, struct model_trial *r, struct err *err)
{
	const struct config *c = &m->config;
	int64_t n = c->context < TRIAL_TOKENS ? c->context : TRIAL_TOKENS;
	struct tape *t = tape_new(m->dev, n, 1, TAPE_GRAD | params_tape(&m->params), err);
	double s = c->init_std * sqrt((double)c->width), tolerance;
	struct model_io io;
	dptr sum = { 0 };
	int ret = -1;

	if (t == NULL)
		return -1;
	*r = (struct model_trial){ .tokens = n, .expected = log((double)c->vocab) + s * s / 2 };
	tolerance = 0.1 + s * s / 4 + 4 * s / sqrt((double)n);
	r->least = r->expected - tolerance;
	r->most = r->expected + tolerance;
	if (c->tied && c->embed_scaled)
		r->most = fmax(r->most, c->init_std * (double)c->width + tolerance);
	if (model_record_score(m, t, &io, 0, err) < 0 || tape_plan(t, err) < 0 ||
	    (sum = dev_alloc(m->dev, sizeof(double), err)).at == 0)
		goto out;
	random_batch(t, &io, c, seed, n);
	if (measure(m, t, &io, sum, r, err) < 0)
		goto out;
	r->loss /= (double)n;
	r->norm = sqrt(r->norm);
	r->good = r->loss >= r->least && r->loss <= r->most && isfinite(r->norm) && r->norm > 0;
	ret = 0;
out:
	if (sum.at != 0)
		dev_free(m->dev, sum);
	tape_free(t);
	return ret;
}
