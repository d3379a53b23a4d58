/*
 * Tiny models against PyTorch (tests/golden/model.py): logits, loss and every
 * gradient; a model written and read again; packed rows against rows alone;
 * and a cache filled in pieces against one filled at once.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/stream.h"
#include "fmt/safetensors.h"
#include "model/model.h"
#include "../tap.h"

/* Both sides are fp32 sums of up to a few hundred terms of size about 1. */
#define TOLERANCE 1e-4

#define CAPACITY 40	/* more than the 24 tokens of the golden files */
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
golden_open(struct golden *g, const char *dir)
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

			g->pos[i] = i - g->cu[s];
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
	if (m->config.arch == ARCH_GPT2 && p->ndim == 2 && strstr(p->name, ".h.") != NULL)
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
check_loss_and_gradients(struct model *m, struct golden *g)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, TAPE_GRAD, &err);
	struct model_io io;
	double loss, want, worst = 0;
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
	ok(fabs(loss - want) <= TOLERANCE * want, "loss as PyTorch's");
	for (int i = 0; i < m->params.n; i++) {
		double d = m->params.p[i].trainable ?
		    gradient_distance(m, &m->params.p[i], "grad", g) : 0;

		snprintf(what, sizeof(what), "gradient of %s", m->params.p[i].name);
		if (!(d <= TOLERANCE))
			ok(d <= TOLERANCE, what);
		worst = d > worst ? d : worst;
	}
	printf("# %d gradients, largest distance %g\n", m->params.n, worst);
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

/* ---- logits through a cache ---- */

#define BLOCK 4
#define BLOCKS 8	/* a sequence's */

/*
 * Logits of all tokens of the golden file: from each sequence, pieces of at
 * most step tokens at a time are given.
 */
static void
cached_logits(struct model *m, const struct golden *g, int step, float *logits)
{
	struct tape *t = tape_new(dev, CAPACITY, SEQS, 0, &err);
	struct model_cache cache;
	struct model_io io;
	int64_t v = m->config.vocab;
	int32_t table[SEQS * BLOCKS], states[SEQS], done[SEQS] = { 0 };

	/* Blocks in an order that is not the sequences'. */
	for (int i = 0; i < SEQS * BLOCKS; i++)
		table[i] = (i * 5 + 3) % (SEQS * BLOCKS);
	for (int i = 0; i < SEQS; i++)
		states[i] = SEQS - 1 - i;
	must(model_cache_init(&cache, m, dev, SEQS * BLOCKS, BLOCK, SEQS, &err), "cache");
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
				pos[n] = p;
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

static bool
same_file(const char *a, const char *b, const char *name)
{
	char pa[512], pb[512];
	str x, y;
	bool same;

	snprintf(pa, sizeof(pa), "%s/%s", a, name);
	snprintf(pb, sizeof(pb), "%s/%s", b, name);
	must(file_map(pa, &x, &err), pa);
	must(file_map(pb, &y, &err), pb);
	same = str_eq(x, y);
	file_unmap(x);
	file_unmap(y);
	return same;
}

static void
remove_model(const char *dir)
{
	static const char *const name[] = { "config.json", "generation_config.json",
	    "model.safetensors" };
	char path[512];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, name[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void
check_saving(struct model *m)
{
	char a[] = "/tmp/t_model_a.XXXXXX", b[] = "/tmp/t_model_b.XXXXXX";
	struct model again = { 0 };

	must(mkdtemp(a) == NULL || mkdtemp(b) == NULL ? -1 : 0, "mkdtemp");
	must(model_save(m, a, DTYPE_NONE, 0, &err), "save");
	must(model_load(&again, a, dev, false, &err), "load");
	must(model_save(&again, b, DTYPE_NONE, 0, &err), "save again");
	ok(same_file(a, b, "config.json"), "saved, loaded, saved: the same config.json");
	ok(same_file(a, b, "model.safetensors"), "and the same weights");
	ok(same_file(a, b, "generation_config.json"), "and the same generation_config.json");
	model_free(&again);
	remove_model(a);
	remove_model(b);
}

static void
check_model(const char *name)
{
	char dir[256];
	struct golden g = { 0 };
	struct model m = { 0 };

	printf("# %s\n", name);
	snprintf(dir, sizeof(dir), "tests/data/model/%s", name);
	golden_open(&g, dir);
	must(model_load(&m, dir, dev, true, &err), "load");
	ok(m.params.n > 0 && config_params(&m.config) > 0, "loads");
	check_loss_and_gradients(&m, &g);
	check_balance(&m, &g);
	check_logits(&m, &g);
	check_packing(&m, &g);
	check_saving(&m);
	model_free(&m);
	st_close(g.f);
}

int
main(void)
{
	struct team *team = team_new(2, &err);

	must(team == NULL ? -1 : 0, "team");
	dev = dev_open("cpu", team, DEV_STRICT, &err);
	must(dev == NULL ? -1 : 0, "device");
	check_model("llama");
	check_model("llama-tied");
	check_model("mamba");
	check_model("jamba");
	check_model("gpt2");
	check_model("mixtral");
	check_model("qwen3-moe");
	check_model("qwen3-moe-all");
	check_model("deepseek-v2");
	check_model("deepseek-v2-groups");
	check_model("deepseek-v3");
	dev_close(dev);
	team_free(team);
	return tap_done();
}
