/*
 * Tiny models against PyTorch (tests/golden/model.py), all that are there:
 * logits, loss and every gradient; greedy generation; the same tensors when
 * saved; packed rows against rows alone; and a cache filled in pieces against
 * one filled at once.
 */
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fmt/safetensors.h"
#include "infer/engine.h"
#include "model/model.h"
#include "../tap.h"

/* Both sides are fp32 sums of up to a few hundred terms of size about 1. */
#define TOLERANCE 1e-4

/*
 * Numbers of bf16 are off by 0.2 percent; so is the loss, about.  Gradients add
 * up such errors through softmaxes and norms that large random weights make
 * steep; a term that is missing or wrong would be an error of 1.
 */
#define BF16_LOSS 5e-3
#define BF16_GRADIENTS 0.5

#define NEAR_TIE 1e-3f	/* of the two best logits, which are exact to TOLERANCE */

#define CAPACITY 40	/* more than the 32 tokens of the golden files */
#define SEQS 6

struct golden {
	struct st_file	*f;
	const int32_t	*token, *cu;
	int32_t		 n, nseq;
	int32_t		 pos[CAPACITY], target[CAPACITY];
	float		 dlogp[CAPACITY];
};

static struct err err;
static struct dev *dev;

static void
must(int got, const char *what)
{
	if (got >= 0)
		return;
	printf("Bail out! %s: %s\n", what, err.msg);
	exit(1);
}

static void
golden_open(struct golden *g, const struct config *c, const char *dir)
{
	char path[512];
	int targets;

	snprintf(path, sizeof(path), "%s/expected.safetensors", dir);
	g->f = st_open(path, &err);
	must(g->f == NULL ? -1 : 0, path);
	g->token = st_find(g->f, "token")->data;
	g->cu = st_find(g->f, "cu_seqlens")->data;
	g->n = (int32_t)st_find(g->f, "token")->shape[0];
	g->nseq = (int32_t)st_find(g->f, "cu_seqlens")->shape[0] - 1;
	targets = g->n - g->nseq;
	for (int s = 0; s < g->nseq; s++)
		for (int i = g->cu[s]; i < g->cu[s + 1]; i++) {
			bool last = i + 1 == g->cu[s + 1];

			g->pos[i] = i - g->cu[s] +
			    (int32_t)model_rope_base(c, g->cu[s + 1] - g->cu[s]);
			g->target[i] = last ? -1 : g->token[i + 1];
			g->dlogp[i] = last ? 0 : -1.0f / (float)targets;
		}
}

/* max |a - b| / max |b| */
static double
distance(const float *a, const float *b, int64_t n)
{
	double d = 0, most = 0;

	for (int64_t i = 0; i < n; i++) {
		double e = fabs((double)a[i] - (double)b[i]), m = fabs((double)b[i]);

		if (!(e <= d))
			d = e;
		most = m > most ? m : most;
	}
	return most > 0 ? d / most : d;
}

/* y (n, k) = x (k, n) */
static void
turn(float *y, const float *x, int64_t n, int64_t k)
{
	for (int64_t i = 0; i < n * k; i++)
		y[i] = x[i % k * n + i / k];
}

/* Does the file have its transpose? */
static bool
is_turned(const struct model *m, const struct param *p)
{
	for (int i = 0; i < m->n_weights; i++)
		if (&m->params.p[m->weight[i].param] == p)
			return m->weight[i].turned;
	return false;
}

static double
gradient_distance(struct model *m, const struct param *p, const char *what, struct golden *g)
{
	char name[NN_NAME + 8];
	const struct st_tensor *want;
	float *mine = calloc((size_t)p->n, sizeof(float)), *theirs = calloc((size_t)p->n, 4);
	double d;

	snprintf(name, sizeof(name), "%s.%s", what, p->name);
	want = st_find(g->f, name);
	if (want == NULL || mine == NULL || theirs == NULL)
		return (double)INFINITY;
	dev_download(m->dev, mine, p->grad, p->n * 4);
	must(dev_wait(m->dev, &err), "gradients");
	memcpy(theirs, want->data, (size_t)p->n * 4);
	if (is_turned(m, p))
		turn(theirs, want->data, p->shape[0], p->shape[1]);
	d = distance(mine, theirs, p->n);
	free(mine);
	free(theirs);
	return d;
}

static void
upload(struct tape *t, const struct model_io *io, const struct golden *g)
{
	tape_set_counts(t, g->n, g->nseq);
	tape_upload(t, io->token, g->token, g->n);
	tape_upload(t, io->pos, g->pos, g->n);
	tape_upload(t, io->cu_seqlens, g->cu, g->nseq + 1);
	if (io->target != NULL)
		tape_upload(t, io->target, g->target, g->n);
	if (io->dlogp != NULL)
		tape_upload(t, io->dlogp, g->dlogp, g->n);
}

static void
check_loss_and_gradients(struct model *m, struct golden *g, bool low)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, TAPE_GRAD | params_tape(&m->params), &err);
	struct model_io io;
	double loss, want, worst = 0, sum = 0;
	char what[256];

	must(model_record_score(m, t, &io, 0, &err), "record");
	must(tape_plan(t, &err), "plan");
	upload(t, &io, g);
	tape_forward(t, 0, -1);
	tape_backward(t, 0, -1);
	tape_download(t, io.loss, &loss, 1);
	must(dev_wait(dev, &err), "step");
	loss /= g->n - g->nseq;
	want = *(const double *)st_find(g->f, "loss")->data;
	printf("# loss %.8f, PyTorch's %.8f\n", loss, want);
	ok(fabs(loss - want) <= (low ? BF16_LOSS : TOLERANCE) * want,
	    low ? "loss in bf16" : "loss as PyTorch's");
	for (int i = 0; i < m->params.n; i++) {
		double d = m->params.p[i].trainable ?
		    gradient_distance(m, &m->params.p[i], "grad", g) : 0;

		snprintf(what, sizeof(what), "gradient of %s", m->params.p[i].name);
		if (!low && !(d <= TOLERANCE))
			ok(d <= TOLERANCE, what);
		worst = !(d <= worst) ? d : worst;
		sum += d;
	}
	printf("# %d gradients, largest distance %g, mean %g\n", m->params.n, worst,
	    sum / m->params.n);
	if (low)
		ok(sum / m->params.n <= BF16_GRADIENTS, "gradients in bf16");
	else
		ok(worst <= TOLERANCE, "every gradient as PyTorch's");
	tape_free(t);
}

/*
 * The balance loss of experts alone: each token weighs the same, and a share of
 * 1 / tokens gives the mean.
 */
static void
check_balance(struct model *m, struct golden *g)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, TAPE_GRAD, &err);
	struct model_io io;
	float share = 1 / (float)g->n, none[CAPACITY] = { 0 };
	double loss[2], want, worst = 0;
	int routers = 0;

	if (st_find(g->f, "aux") == NULL) {
		tape_free(t);
		return;
	}
	m->config.router_aux = 1;
	must(model_record_score(m, t, &io, 0, &err), "record");
	must(tape_plan(t, &err), "plan");
	for (int i = 0; i < m->params.n; i++) {
		union dev_args a = { .fill = { .y = m->params.p[i].grad, .type = DTYPE_F32,
		    .n = m->params.p[i].n } };

		dev_launch(dev, K_FILL, &a);
	}
	upload(t, &io, g);
	tape_upload(t, io.dlogp, none, g->n);
	tape_upload(t, io.balance.share, &share, 1);
	tape_forward(t, 0, -1);
	tape_backward(t, 0, -1);
	tape_download(t, io.balance.loss, loss, 2);
	must(dev_wait(dev, &err), "step");
	want = *(const double *)st_find(g->f, "aux")->data;
	printf("# balance %.8f, transformers' %.8f\n", loss[0] / g->n, want);
	ok(fabs(loss[0] / g->n - want) <= TOLERANCE * want, "balance loss as transformers'");
	for (int i = 0; i < m->params.n; i++) {
		str name = str_of(m->params.p[i].name);
		double d;

		if (!str_ends(name, S("gate.weight")) && !str_ends(name, S("router.weight")))
			continue;
		d = gradient_distance(m, &m->params.p[i], "aux", g);
		worst = d > worst || d != d ? d : worst;
		routers++;
	}
	printf("# %d routers, largest distance %g\n", routers, worst);
	ok(routers > 0 && worst <= TOLERANCE, "and its gradient in the routers");
	tape_free(t);
}

/* Losses of what predicts ahead, and all gradients with them (tests/golden/moe.py). */
static void
check_ahead(struct model *m, struct golden *g)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, TAPE_GRAD, &err);
	const double *want = st_find(g->f, "ahead")->data;
	struct model_io io;
	double loss, worst = 0, off = 0;

	must(model_record_score(m, t, &io, MODEL_AHEAD, &err), "record");
	must(tape_plan(t, &err), "plan");
	upload(t, &io, g);
	for (int n = 0; n < io.n_ahead; n++) {
		int32_t token[CAPACITY] = { 0 }, target[CAPACITY];
		float dlogp[CAPACITY] = { 0 };

		for (int s = 0; s < g->nseq; s++)
			for (int i = g->cu[s]; i < g->cu[s + 1]; i++) {
				int at = i + n + 1;

				target[i] = at < g->cu[s + 1] ? g->target[at] : -1;
				token[i] = at < g->cu[s + 1] ? g->token[at] : 0;
				dlogp[i] = target[i] < 0 ? 0 :
				    -0.05f / (float)(g->n - g->nseq);
			}
		tape_upload(t, io.ahead[n].token, token, g->n);
		tape_upload(t, io.ahead[n].target, target, g->n);
		tape_upload(t, io.ahead[n].dlogp, dlogp, g->n);
	}
	for (int i = 0; i < m->params.n; i++)
		if (m->params.p[i].trainable)
			dev_launch(dev, K_FILL, &(union dev_args){ .fill = {
			    .y = m->params.p[i].grad, .type = DTYPE_F32, .n = m->params.p[i].n } });
	tape_forward(t, 0, -1);
	tape_backward(t, 0, -1);
	for (int n = 0; n < io.n_ahead; n++) {
		tape_download(t, io.ahead[n].loss, &loss, 1);
		must(dev_wait(dev, &err), "step");
		printf("# %d ahead: %.8f, transformers' %.8f\n", n + 1, loss, want[n]);
		off = fmax(off, fabs(loss / want[n] - 1));
	}
	ok(io.n_ahead == 2 && off <= TOLERANCE, "losses ahead as transformers'");
	for (int i = 0; i < m->params.n; i++) {
		double d = m->params.p[i].trainable ?
		    gradient_distance(m, &m->params.p[i], "ahead", g) : 0;

		if (!(d <= TOLERANCE))
			printf("# %s: %g\n", m->params.p[i].name, d);
		worst = d > worst || d != d ? d : worst;
	}
	printf("# largest distance %g\n", worst);
	ok(worst <= TOLERANCE, "and every gradient with them");
	tape_free(t);
}

/* ---- logits through a cache ---- */

#define BLOCK 4
#define BLOCKS 8	/* a sequence's */

static void
upload_rope(struct tape *t, const struct model *m, struct model_io *io, const int32_t *pos,
    int64_t n)
{
	for (int i = 0; i < 2; i++) {
		double rows[CAPACITY * 64];

		if (io->rope[i] == NULL)
			continue;
		model_rope_rows(&m->config, i, pos, n, io->rope[i]->type, rows);
		tape_upload(t, io->rope[i], rows, n * io->rope[i]->shape[1]);
	}
}

/*
 * Logits of all tokens of the golden file: from each sequence, pieces of at
 * most step tokens at a time are given.
 */
static void
cached_logits(struct model *m, const struct golden *g, int step, float *logits)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, params_tape(&m->params), &err);
	struct model_cache cache;
	struct model_io io;
	int64_t v = m->config.vocab;
	int32_t table[SEQS * BLOCKS], states[SEQS], done[SEQS] = { 0 };

	for (int i = 0; i < SEQS; i++)
		states[i] = SEQS - 1 - i;
	must(model_cache_init(&cache, m, dev, &(struct cache_sizes){ .blocks = SEQS * BLOCKS,
	    .block_size = BLOCK, .slots = SEQS }, &err), "cache");
	/* Blocks in an order that is not the sequences'. */
	for (int i = 0; i < SEQS * BLOCKS; i++)
		table[i] = (int32_t)((i * 5 + 3) % (SEQS * BLOCKS) * cache.stride[0]);
	must(model_record_generate(m, t, &cache, BLOCKS, CAPACITY, &io, &err), "record");
	must(tape_plan(t, &err), "plan");
	for (;;) {
		int32_t token[CAPACITY], pos[CAPACITY], slot[CAPACITY], row[CAPACITY];
		int32_t cu[SEQS + 1] = { 0 }, len[SEQS], at[CAPACITY], n = 0;
		float *got;

		for (int s = 0; s < g->nseq; s++) {
			for (int i = 0; i < step && done[s] < g->cu[s + 1] - g->cu[s]; i++, n++) {
				int32_t p = done[s]++;

				token[n] = g->token[g->cu[s] + p];
				pos[n] = g->pos[g->cu[s] + p];
				slot[n] = table[s * BLOCKS + p / BLOCK] * BLOCK + p % BLOCK;
				row[n] = n;
				at[n] = g->cu[s] + p;
			}
			cu[s + 1] = n;
			len[s] = done[s];
		}
		if (n == 0)
			break;
		tape_set_counts(t, n, g->nseq);
		tape_set_wanted(t, n);
		tape_upload(t, io.token, token, n);
		tape_upload(t, io.pos, pos, n);
		upload_rope(t, m, &io, pos, n);
		tape_upload(t, io.slot, slot, n);
		tape_upload(t, io.row, row, n);
		tape_upload(t, io.cu_seqlens, cu, g->nseq + 1);
		tape_upload(t, io.key_len, len, g->nseq);
		tape_upload(t, io.state_slot, states, g->nseq);
		tape_upload(t, io.block_table, table, (int64_t)SEQS * BLOCKS);
		tape_forward(t, 0, -1);
		got = calloc((size_t)(n * v), sizeof(float));
		tape_download(t, io.logits, got, n * v);
		must(dev_wait(dev, &err), "generate");
		for (int i = 0; i < n; i++)
			memcpy(logits + at[i] * v, got + i * v, (size_t)v * sizeof(float));
		free(got);
	}
	tape_free(t);
	model_cache_free(&cache);
}

static void
check_logits(struct model *m, struct golden *g)
{
	const struct st_tensor *want = st_find(g->f, "logits");
	int64_t n = want->shape[0] * want->shape[1];
	float *whole = calloc((size_t)n, 4), *pieces = calloc((size_t)n, 4);
	double d;

	cached_logits(m, g, CAPACITY, whole);
	cached_logits(m, g, 3, pieces);
	d = distance(whole, want->data, n);
	printf("# logits: distance %g\n", d);
	ok(d <= TOLERANCE, "logits as PyTorch's");
	ok(memcmp(whole, pieces, (size_t)n * 4) == 0, "a prompt in pieces: the same bits");
	free(whole);
	free(pieces);
}

/* Mark a tensor's blocks in a map of the cache's bytes; is one outside, or another's too? */
static bool
mark_blocks(const struct model_cache *c, const struct tensor *x, int64_t stride, char *taken)
{
	int64_t each = dtype_bytes(x->type, x->shape[1]) * c->sizes.block_size;
	int64_t start = (int64_t)(x->data.at - c->memory.at);
	bool bad = false;

	for (int64_t b = 0; b < c->sizes.blocks && each > 0; b++)
		for (int64_t i = start + b * stride * each, n = each; n > 0; n--, i++)
			bad |= i < 0 || i >= c->bytes || taken[i]++ != 0;
	return bad;
}

/* Tables may have any block that there is: no two layers have one in the same place. */
static void
check_cache(struct model *m)
{
	struct model_cache c;
	bool bad = false;
	char *taken;

	must(model_cache_init(&c, m, dev, &(struct cache_sizes){ .blocks = 3, .block_size = 4,
	    .slots = 2 }, &err), "cache");
	taken = calloc((size_t)c.bytes + 1, 1);
	for (int64_t i = 0; i < m->config.layers; i++) {
		bad |= mark_blocks(&c, &c.k[i], c.stride[0], taken);
		bad |= mark_blocks(&c, &c.v[i], c.stride[0], taken);
	}
	ok(!bad, "no block of a cache is in another");
	free(taken);
	model_cache_free(&c);
}

/* ---- packing ---- */

static void
check_packing(struct model *m, const struct golden *g)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, 0, &err);
	struct model_io io;
	float packed[CAPACITY], alone[CAPACITY];

	must(model_record_score(m, t, &io, 0, &err), "record");
	must(tape_plan(t, &err), "plan");
	upload(t, &io, g);
	tape_forward(t, 0, -1);
	tape_download(t, io.head.logp, packed, g->n);
	must(dev_wait(dev, &err), "packed");
	for (int s = 0; s < g->nseq; s++) {
		int32_t n = g->cu[s + 1] - g->cu[s], cu[2] = { 0, n };

		tape_set_counts(t, n, 1);
		tape_upload(t, io.token, g->token + g->cu[s], n);
		tape_upload(t, io.pos, g->pos + g->cu[s], n);
		tape_upload(t, io.target, g->target + g->cu[s], n);
		tape_upload(t, io.cu_seqlens, cu, 2);
		tape_forward(t, 0, -1);
		tape_download(t, io.head.logp, alone + g->cu[s], n);
	}
	must(dev_wait(dev, &err), "alone");
	ok(memcmp(packed, alone, (size_t)g->n * 4) == 0,
	    "documents packed together and alone: the same bits");
	tape_free(t);
}

/* ---- files ---- */

static struct st_file *
open_weights(const char *dir)
{
	struct st_file *f = st_open(dir, &err);

	must(f == NULL ? -1 : 0, dir);
	return f;
}

/* All tensors of theirs are in ours with the same type, shape and bytes, and no others. */
static bool
same_tensors(const char *ours, const char *theirs)
{
	struct st_file *a = open_weights(ours), *b = open_weights(theirs);
	bool same = st_count(a) == st_count(b);

	for (int i = 0; same && i < st_count(b); i++) {
		const struct st_tensor *x = st_at(a, i), *y = st_at(b, i);

		same = strcmp(x->name, y->name) == 0 && x->type == y->type &&
		    x->ndim == y->ndim && x->bytes == y->bytes &&
		    memcmp(x->shape, y->shape, sizeof(*x->shape) * (size_t)x->ndim) == 0 &&
		    memcmp(x->data, y->data, (size_t)x->bytes) == 0;
		if (!same)
			printf("# '%s' is another than '%s'\n", x->name, y->name);
	}
	st_close(a);
	st_close(b);
	return same;
}

static bool
has_file(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void
check_saving(struct model *m, const char *dir)
{
	char a[] = "/tmp/t_model_a.XXXXXX", b[] = "/tmp/t_model_b.XXXXXX";
	struct model again = { 0 };

	must(mkdtemp(a) == NULL || mkdtemp(b) == NULL ? -1 : 0, "mkdtemp");
	must(model_save(m, a, DTYPE_NONE, 0, &err), "save");
	ok(same_tensors(a, dir), "saved: the tensors it was loaded from, byte for byte");
	must(model_load(&again, a, dev, false, &err), "load");
	ok(memcmp(&m->config, &again.config, sizeof(again.config)) == 0, "and the same config");
	must(model_save(&again, b, DTYPE_NONE, 4000, &err), "save in parts");
	ok(has_file(b, "model.safetensors.index.json") && !has_file(b, "model.safetensors"),
	    "saved in parts");
	ok(same_tensors(b, dir), "the same tensors");
	model_free(&again);
	must(model_load(&again, b, dev, false, &err), "load parts");
	ok(model_remove(b, &err) == 0 && !has_file(b, ""), "all parts are removed");
	must(mkdir(b, 0777), "mkdir");
	must(model_save(&again, b, DTYPE_NONE, 0, &err), "save again");
	ok(same_tensors(b, dir), "loaded from parts: the same tensors");
	model_free(&again);
	must(model_remove(a, &err), "remove");
	must(model_remove(b, &err), "remove");
}

/* ---- generation ---- */

/* The most likely next token, over and over, until PyTorch's two best are near each other. */
static void
check_generation(struct model *m, const struct golden *g)
{
	const struct st_tensor *prompt = st_find(g->f, "prompt"), *want;
	const struct engine_options o = { .pass = 5 };
	struct engine *e = engine_new(m, &o, &err);
	struct seq *s;
	const float *margin;
	int n = 0;

	must(e == NULL ? -1 : 0, "engine");
	must((s = seq_new(e, &err)) == NULL ? -1 : 0, "sequence");
	must(seq_push(s, prompt->data, prompt->shape[0], &err), "prompt");
	want = st_find(g->f, "generated");
	margin = st_find(g->f, "margin")->data;
	for (; n < want->shape[0] && margin[n] > NEAR_TIE; n++) {
		const float *logits;
		int32_t best = 0;

		must(engine_run(e, &s, 1, &err), "run");
		logits = seq_logits(s);
		for (int32_t i = 1; i < m->config.vocab; i++)
			if (logits[i] > logits[best])
				best = i;
		if (best != ((const int32_t *)want->data)[n])
			break;
		must(seq_push(s, &best, 1, &err), "push");
	}
	printf("# %d tokens\n", n);
	ok(n == want->shape[0] || (n > 0 && margin[n] <= NEAR_TIE),
	    "generates what transformers does");
	seq_free(s);
	engine_free(e);
}

/* ---- all of it ---- */

static void
check_low(const char *dir)
{
	struct model m = { .params = { .compute = DTYPE_BF16 } };
	struct golden g = { 0 };

	must(model_load(&m, dir, dev, true, &err), "load for bf16");
	golden_open(&g, &m.config, dir);
	if (st_find(g.f, "ahead") == NULL)
		check_loss_and_gradients(&m, &g, true);
	check_saving(&m, dir);
	model_free(&m);
	st_close(g.f);
}

static void
check_model(const char *dir)
{
	struct golden g = { 0 };
	struct model m = { 0 };

	printf("# %s\n", dir);
	must(model_load(&m, dir, dev, true, &err), "load");
	golden_open(&g, &m.config, dir);
	if (st_find(g.f, "ahead") != NULL)
		check_ahead(&m, &g);
	else
		check_loss_and_gradients(&m, &g, false);
	check_balance(&m, &g);
	check_logits(&m, &g);
	check_cache(&m);
	check_packing(&m, &g);
	check_generation(&m, &g);
	check_saving(&m, dir);
	model_free(&m);
	st_close(g.f);
	check_low(dir);
}

int
main(void)
{
	struct team *team = team_new(2, &err);
	glob_t found;

	must(team == NULL ? -1 : 0, "team");
	dev = dev_open("cpu", team, DEV_STRICT, &err);
	must(dev == NULL ? -1 : 0, "device");
	if (glob("tests/data/model/*/config.json", 0, NULL, &found) != 0)
		printf("Bail out! no models\n");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		*strrchr(found.gl_pathv[i], '/') = '\0';
		check_model(found.gl_pathv[i]);
	}
	globfree(&found);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
