/*
 * The gradient of every op, through the tape, in float64 on the reference
 * device, against central differences.
 *
 * The objective is L = sum of r * y with random r, which is y's gradient.
 * With a step of 1e-5 and values about 1 the method's own error is about
 * 1e-10 (third derivatives) + 1e-11 (rounding); relative to the largest
 * entry of a gradient, 1e-6 leaves room for steep functions and still catches
 * any wrong term.
 */
#include <math.h>
#include <stdlib.h>

#include "../lib/refdev.h"
#include "../tap.h"
#include "base/rng.h"
#include "nn/moe.h"

#define STEP 1e-5
#define TOLERANCE 1e-6
#define MAX_SEEDS 2
#define MAX_INPUTS 8
#define SHARE 0.3

static struct err err;
static struct dev *dev;

static void
must(int got)
{
	if (got >= 0)
		return;
	printf("Bail out! %s\n", err.msg);
	exit(1);
}

/* One graph: its parameters, its tape, and the outputs with given gradients. */
struct graph {
	struct params	 ps;
	struct tape	*t;
	uint64_t	 seed;
	int64_t		 tokens, seqs;
	struct tensor	*out[MAX_SEEDS];
	int		 nout;
	struct { struct tensor *x; const void *data; int64_t n; } input[MAX_INPUTS];
	int		 ninputs;
	/* head with dlogp: the objective is the sum of dlogp * logp, not of seeds */
	const double	*weight;
	int		 frozen;	/* parameter without gradient, -1: none */
	unsigned	 flags;		/* of the tape */
	/* losses of routers, which the objective has too */
	struct op_balance balance;
};

static double *
randoms(uint64_t seed, uint64_t stream, int64_t n)
{
	double *r = calloc((size_t)n, sizeof(*r));

	for (int64_t i = 0; i < n; i++)
		r[i] = rng_normal(seed, stream, (uint64_t)i);
	return r;
}

static int64_t
count(const struct tensor *x)
{
	int64_t n = 1;

	for (int i = 0; i < x->ndim; i++)
		n *= x->shape[i];
	return n;
}

/* Declare parameter number i of n: shapes first, then place, then record. */
static void
param(struct graph *g, int64_t n, int64_t k)
{
	char name[16];

	snprintf(name, sizeof(name), "p%d", g->ps.n);
	must(params_add(&g->ps, name, k ? 2 : 1, (int64_t[]){ n, k }, INIT_NORMAL, 0.7, true,
	    &err) == NULL ? -1 : 0);
}

static void
stack(struct graph *g, int64_t e, int64_t n, int64_t k)
{
	char name[16];

	snprintf(name, sizeof(name), "p%d", g->ps.n);
	must(params_add(&g->ps, name, 3, (int64_t[]){ e, n, k }, INIT_NORMAL, 0.7, true,
	    &err) == NULL ? -1 : 0);
}

static struct tensor *
p(struct graph *g, int i)
{
	return &g->ps.p[i].t;
}

static void
place(struct graph *g)
{
	for (int i = 0; i < g->ps.n; i++)
		g->ps.p[i].trainable = i != g->frozen;
	must(params_place(&g->ps, dev, true, &err));
	must(params_init(&g->ps, g->seed, &err));
	g->t = tape_new(dev, g->tokens, g->seqs, TAPE_GRAD | TAPE_F64 | g->flags, &err);
	must(g->t == NULL ? -1 : 0);
}

static struct tensor *
input(struct graph *g, dtype type, int64_t n, const void *data)
{
	struct tensor *x = tape_input(g->t, "in", type, ROWS_FIXED, 1, &n);

	g->input[g->ninputs].x = x;
	g->input[g->ninputs].data = data;
	g->input[g->ninputs++].n = n;
	return x;
}

static void
seed(struct graph *g, struct tensor *y)
{
	tape_output(g->t, y);
	tape_seed(g->t, y);
	g->out[g->nout++] = y;
}

static void
prepare(struct graph *g)
{
	must(tape_plan(g->t, &err));
	for (int i = 0; i < g->ninputs; i++)
		tape_upload(g->t, g->input[i].x, g->input[i].data, g->input[i].n);
	for (int i = 0; i < g->nout && g->weight == NULL; i++) {
		int64_t n = count(g->out[i]);
		double *r = randoms(g->seed, 1000 + (uint64_t)i, n);

		tape_upload_grad(g->t, g->out[i], r, n);
		free(r);
	}
	must(dev_wait(dev, &err));
}

static double
objective(struct graph *g)
{
	const struct op_balance *b = &g->balance;
	double sum = 0, loss[2];

	if (b->layers > 0)
		tape_zero(g->t, b->loss);
	tape_forward(g->t, 0, -1);
	if (b->layers > 0) {
		tape_download(g->t, b->loss, loss, 2);
		must(dev_wait(dev, &err));
		sum = SHARE * (b->aux * loss[0] + b->z * loss[1]);
	}
	for (int i = 0; i < g->nout; i++) {
		int64_t n = count(g->out[i]);
		double *y = calloc((size_t)n, sizeof(*y));
		double *r = g->weight != NULL ? NULL : randoms(g->seed, 1000 + (uint64_t)i, n);

		tape_download(g->t, g->out[i], y, n);
		must(dev_wait(dev, &err));
		for (int64_t k = 0; k < n; k++)
			sum += y[k] * (g->weight != NULL ? g->weight[k] : r[k]);
		free(y);
		free(r);
	}
	return sum;
}

/* Largest difference of one parameter's gradient, relative to its largest entry. */
static double
differ(struct graph *g, struct param *q, const double *grad)
{
	double *x = calloc((size_t)q->n, sizeof(*x)), worst = 0, most = 1e-3;

	dev_download(dev, x, q->data, q->n * 8);
	must(dev_wait(dev, &err));
	for (int64_t i = 0; i < q->n; i++) {
		double v = x[i], up, down, d;

		x[i] = v + STEP;
		dev_upload(dev, q->data, x, q->n * 8);
		up = objective(g);
		x[i] = v - STEP;
		dev_upload(dev, q->data, x, q->n * 8);
		down = objective(g);
		x[i] = v;
		d = (up - down) / (2 * STEP);
		if (!(fabs(d - grad[i]) <= worst))
			worst = fabs(d - grad[i]);
		most = fabs(d) > most ? fabs(d) : most;
	}
	dev_upload(dev, q->data, x, q->n * 8);
	free(x);
	return worst / most;
}

/* Check all gradients, end the graph, and say so as one test. */
static void
check(struct graph *g, const char *what)
{
	double worst = 0, **grad = calloc((size_t)g->ps.n, sizeof(*grad));
	bool frozen = true;

	prepare(g);
	tape_forward(g->t, 0, -1);
	tape_backward(g->t, 0, -1);
	for (int i = 0; i < g->ps.n; i++) {
		grad[i] = calloc((size_t)g->ps.p[i].n, sizeof(double));
		if (i != g->frozen)
			dev_download(dev, grad[i], g->ps.p[i].grad, g->ps.p[i].n * 8);
	}
	must(dev_wait(dev, &err));
	for (int i = 0; i < g->ps.n; i++) {
		if (i == g->frozen) {
			frozen = g->ps.p[i].grad.at == 0;
			continue;
		}
		double d = differ(g, &g->ps.p[i], grad[i]);

		if (!(d <= TOLERANCE))
			printf("# %s: parameter %d: %g\n", what, i, d);
		worst = d > worst || isnan(d) ? d : worst;
	}
	ok(frozen && worst <= TOLERANCE, what);
	for (int i = 0; i < g->ps.n; i++)
		free(grad[i]);
	free(grad);
	tape_free(g->t);
	params_free(&g->ps);
}

static struct graph
graph(uint64_t n, int64_t tokens, int64_t seqs)
{
	return (struct graph){ .seed = n, .tokens = tokens, .seqs = seqs, .frozen = -1,
	    .ps = { .compute = DTYPE_F64 } };
}

/* ---- one op at a time; frozen: parameter number i has no gradient ---- */

static void
t_embed(int frozen)
{
	static const int32_t id[6] = { 3, 0, 4, 3, 3, 1 };
	struct graph g = graph(1, 6, 1);

	g.frozen = frozen;
	param(&g, 5, 3);
	param(&g, 6, 3);
	place(&g);
	seed(&g, op_add(g.t, op_embed(g.t, p(&g, 0), input(&g, DTYPE_I32, 6, id), 1.5),
	    p(&g, 1)));
	check(&g, "embed");
}

static void
t_linear(int frozen, bool bias)
{
	struct graph g = graph(2, 5, 1);

	g.frozen = frozen;
	param(&g, 5, 7);
	param(&g, 3, 7);
	param(&g, 3, 0);
	place(&g);
	seed(&g, op_linear(g.t, p(&g, 0), p(&g, 1), bias ? p(&g, 2) : NULL));
	check(&g, "linear");
}

static void
t_norms(int frozen)
{
	struct graph g = graph(3, 4, 1);

	g.frozen = frozen;
	param(&g, 4, 6);
	param(&g, 6, 0);
	place(&g);
	seed(&g, op_rmsnorm(g.t, p(&g, 0), p(&g, 1), 1e-3, 0));
	check(&g, "rmsnorm");

	g = graph(4, 4, 1);
	g.frozen = frozen;
	param(&g, 4, 6);
	param(&g, 2, 0);
	place(&g);
	seed(&g, op_rmsnorm(g.t, p(&g, 0), p(&g, 1), 1e-3, 1));
	check(&g, "rmsnorm of heads, 1 + w");

	g = graph(5, 4, 1);
	g.frozen = frozen;
	param(&g, 4, 7);
	param(&g, 7, 0);
	param(&g, 7, 0);
	place(&g);
	seed(&g, op_layernorm(g.t, p(&g, 0), p(&g, 1), p(&g, 2), 1e-3));
	check(&g, "layernorm");

	g = graph(6, 4, 1);
	param(&g, 4, 7);
	param(&g, 7, 0);
	place(&g);
	seed(&g, op_layernorm(g.t, p(&g, 0), p(&g, 1), NULL, 1e-3));
	check(&g, "layernorm without bias");
}

static void
t_scale(int frozen)
{
	struct graph g = graph(7, 4, 1);
	struct tensor *r;
	double divisor[5] = { 0.5, -2, 1, 3, 0.25 };
	int64_t five = 5;

	g.frozen = frozen;
	param(&g, 4, 5);
	param(&g, 5, 0);
	param(&g, 5, 0);
	place(&g);
	r = tape_const(g.t, "r", DTYPE_F64, 1, &five, divisor);
	seed(&g, op_scale(g.t, p(&g, 0), p(&g, 1), r, p(&g, 2), 0.6));
	check(&g, "scale");

	g = graph(8, 4, 1);
	param(&g, 4, 5);
	place(&g);
	seed(&g, op_scale(g.t, p(&g, 0), NULL, NULL, NULL, -1.5));
	check(&g, "scale by a number");
}

/* Rows of w + alpha b a, of known size, and no gradient through their norms. */
static void
t_row_norm(void)
{
	struct graph g = graph(9, 3, 1);
	double w[12], a[8], b[6], got[3];
	bool good = true;

	param(&g, 3, 4);
	param(&g, 2, 4);
	param(&g, 3, 2);
	place(&g);
	seed(&g, op_row_norm(g.t, p(&g, 0), p(&g, 1), p(&g, 2), 0.3));
	good = !g.out[0]->needs_grad;
	must(tape_plan(g.t, &err));
	tape_forward(g.t, 0, -1);
	tape_download(g.t, g.out[0], got, 3);
	must(param_download(&g.ps, &g.ps.p[0], 0, 12, w, DTYPE_F64, &err));
	must(param_download(&g.ps, &g.ps.p[1], 0, 8, a, DTYPE_F64, &err));
	must(param_download(&g.ps, &g.ps.p[2], 0, 6, b, DTYPE_F64, &err));
	for (int i = 0; i < 3; i++) {
		double sum = 0;

		for (int k = 0; k < 4; k++) {
			double v = w[i * 4 + k] +
			    0.3 * (b[i * 2] * a[k] + b[i * 2 + 1] * a[4 + k]);

			sum += v * v;
		}
		good &= fabs(got[i] - 1 / sqrt(sum / 4)) < 1e-12 * fabs(got[i]);
	}
	ok(good, "row_norm");
	tape_free(g.t);
	params_free(&g.ps);
}

static void
t_acts(void)
{
	static const enum dev_act act[] = { ACT_NONE, ACT_SILU, ACT_GELU, ACT_GELU_TANH,
	    ACT_RELU, ACT_RELU2 };

	for (size_t i = 0; i < sizeof(act) / sizeof(*act); i++) {
		char what[32];
		struct graph g = graph(10 + i, 4, 1);

		param(&g, 4, 5);
		place(&g);
		seed(&g, op_act(g.t, p(&g, 0), act[i]));
		snprintf(what, sizeof(what), "activation %zu", i);
		check(&g, what);

		g = graph(20 + i, 4, 1);
		param(&g, 4, 5);
		param(&g, 4, 5);
		place(&g);
		seed(&g, op_glu(g.t, p(&g, 0), p(&g, 1), act[i]));
		snprintf(what, sizeof(what), "gated activation %zu", i);
		check(&g, what);

		g = graph(30 + i, 4, 1);
		param(&g, 4, 10);
		place(&g);
		seed(&g, op_glu(g.t, p(&g, 0), NULL, act[i]));
		snprintf(what, sizeof(what), "gated, one matrix %zu", i);
		check(&g, what);
	}
}

static void
t_hadamard(void)
{
	struct graph g = graph(42, 5, 2);

	param(&g, 5, 3 * 4);
	place(&g);
	seed(&g, op_hadamard(g.t, p(&g, 0), 4));
	check(&g, "hadamard");
}

/* own: each row has one of the table, and no position. */
static void
t_rope(int64_t rot, enum rope_order order, bool tail, bool own)
{
	static const int32_t pos[5] = { 0, 1, 2, 0, 3 };
	struct graph g = graph(40, 5, 2);
	struct tensor *table;
	double *angle;

	param(&g, 5, 3 * 6);
	place(&g);
	angle = randoms(41, 0, 5 * rot);
	for (int64_t i = 0; i < 5; i++)
		for (int64_t k = 0; k < rot / 2; k++) {
			double a = angle[i * rot + k];

			angle[i * rot + k] = cos(a);
			angle[i * rot + rot / 2 + k] = sin(a);
		}
	table = tape_const(g.t, "table", DTYPE_F64, 2, (int64_t[]){ 5, rot }, angle);
	seed(&g, (tail ? op_rope_tail : op_rope)(g.t, p(&g, 0),
	    own ? NULL : input(&g, DTYPE_I32, 5, pos), table, 3, order));
	free(angle);
	check(&g, own ? "rope, a row of the table for each" : order == TURN_PAIRS ?
	    "rope, interleaved" : order == TURN_TO_HALVES ? "rope, from pairs to halves" :
	    rot < 6 ? "rope of a part" : "rope");
}

static void
t_attention(const char *what, int64_t heads, int64_t kv_heads, int64_t dqk, int64_t dv,
    struct op_mask mask, bool fused)
{
	static const int32_t cu[4] = { 0, 4, 5, 11 };
	struct graph g = graph(50, 11, 3);

	if (fused) {
		param(&g, 11, (heads + 2 * kv_heads) * dqk);
	} else {
		param(&g, 11, heads * dqk);
		param(&g, 11, kv_heads * dqk);
		param(&g, 11, kv_heads * dv);
	}
	place(&g);
	mask.cu_seqlens = input(&g, DTYPE_I32, 4, cu);
	mask.scale = 0.6;
	seed(&g, op_attention(g.t, p(&g, 0), fused ? NULL : p(&g, 1), fused ? NULL : p(&g, 2),
	    heads, kv_heads, &mask));
	check(&g, what);
}

/* Sequences of 5, 1 and 3 of 9 tokens. */
static struct op_sequences
sequences(struct graph *g)
{
	static const int32_t cu[] = { 0, 5, 6, 9 };

	return (struct op_sequences){ .cu_seqlens = input(g, DTYPE_I32, 4, cu) };
}

static void
t_conv(const char *what, int64_t width, bool bias)
{
	struct graph g = graph(70, 9, 3);
	struct op_sequences q;

	param(&g, 9, 5);
	param(&g, 5, width);
	param(&g, 5, 0);
	place(&g);
	q = sequences(&g);
	seed(&g, op_conv(g.t, p(&g, 0), p(&g, 1), bias ? p(&g, 2) : NULL, &q, NULL));
	check(&g, what);
}

static void
t_scan(const char *what, int64_t c, int64_t n, int frozen)
{
	struct graph g = graph(80, 9, 3);
	struct op_sequences q;

	g.frozen = frozen;
	for (int i = 0; i < 5; i++)
		param(&g, 9, i < 3 ? c : n);
	param(&g, c, n);
	param(&g, c, 0);
	place(&g);
	q = sequences(&g);
	seed(&g, op_scan(g.t, &(struct op_scan_in){ .x = p(&g, 0), .dt = p(&g, 1), .z = p(&g, 2),
	    .b = p(&g, 3), .c = p(&g, 4), .a_log = p(&g, 5), .d = p(&g, 6) }, &q, NULL));
	check(&g, what);
}

static void
t_attentions(void)
{
	struct op_mask causal = { .causal = true };

	t_attention("attention, causal", 2, 2, 3, 3, causal, false);
	t_attention("attention, all see all", 1, 1, 4, 4, (struct op_mask){ 0 }, false);
	t_attention("attention, 2 queries a key", 4, 2, 2, 2, causal, false);
	t_attention("attention, d_qk is not d_v", 2, 1, 3, 5, causal, false);
	t_attention("attention, fused projection", 4, 2, 2, 2, causal, true);
	t_attention("attention, window", 2, 2, 3, 3,
	    (struct op_mask){ .causal = true, .window = 2 }, false);
	t_attention("attention, window and sinks", 2, 1, 3, 3,
	    (struct op_mask){ .causal = true, .window = 2, .sinks = 1 }, false);
	t_attention("attention, soft cap", 2, 2, 3, 3,
	    (struct op_mask){ .causal = true, .softcap = 1.5 }, false);
}

static void
t_gather(void)
{
	static const int32_t row[5] = { 4, 1, 1, 0, 4 };
	struct graph g = graph(60, 6, 1);

	param(&g, 6, 3);
	param(&g, 3, 3);
	place(&g);
	/* Through a linear, so that the gathered rows are an activation's. */
	seed(&g, op_gather(g.t, op_linear(g.t, p(&g, 0), p(&g, 1), NULL),
	    input(&g, DTYPE_I32, 5, row)));
	check(&g, "gather");
}

/* One chunk: t_tape.c has several. */
static void
t_head(const char *what, bool one_pass, double softcap, int frozen)
{
	static const int32_t target[6] = { 3, -1, 0, 8, 3, 3 };
	struct graph g = graph(70, 6, 1);
	struct tensor *x, *t, *d = NULL;
	struct op_head h;
	double *dlogp = randoms(71, 0, 6);

	g.frozen = frozen;
	param(&g, 6, 4);
	param(&g, 4, 4);
	param(&g, 9, 4);
	place(&g);
	x = op_linear(g.t, p(&g, 0), p(&g, 1), NULL);
	t = input(&g, DTYPE_I32, 6, target);
	if (one_pass) {
		d = input(&g, DTYPE_F64, 6, dlogp);
		g.weight = dlogp;
	}
	h = op_head(g.t, x, p(&g, 2), t, d, softcap, 0, one_pass ? 0 : HEAD_LSE);
	if (one_pass) {
		g.out[g.nout++] = h.logp;
	} else {
		seed(&g, h.logp);
		seed(&g, h.lse);
	}
	check(&g, what);
	free(dlogp);
}

/*
 * Two layers of experts, whose losses go together.  Which experts are chosen
 * does not change by a step: logits of normal numbers are far enough apart.
 */
static void
t_moe(const char *what, struct op_router o, bool bias, double aux, double z, int frozen)
{
	static const double share = SHARE;
	struct graph g = graph(80, 7, 1);
	struct tensor *x, *h;

	g.frozen = frozen;
	param(&g, 7, 4);
	for (int i = 0; i < 2; i++) {
		param(&g, o.experts, 4);
		stack(&g, o.experts, 3, 4);
		stack(&g, o.experts, 3, 4);
		stack(&g, o.experts, 4, 3);
	}
	param(&g, o.experts, 0);	/* the bias: without gradient, and without effect by a step */
	place(&g);
	if (aux > 0 || z > 0) {
		op_balance_begin(g.t, &g.balance, 2, o.experts, aux, z);
		g.input[g.ninputs].x = g.balance.share;
		g.input[g.ninputs].data = &share;
		g.input[g.ninputs++].n = 1;
	}
	x = p(&g, 0);
	for (int i = 0; i < 2; i++) {
		struct op_routing r = op_route(g.t, op_logits(g.t, x, p(&g, 1 + 4 * i)),
		    bias ? p(&g, 9) : NULL, &o, g.balance.layers > 0 ? &g.balance : NULL);

		h = op_dispatch(g.t, x, &r);
		h = op_glu(g.t, op_experts(g.t, h, p(&g, 2 + 4 * i), &r),
		    op_experts(g.t, h, p(&g, 3 + 4 * i), &r), ACT_SILU);
		x = op_add(g.t, x, op_combine(g.t, op_experts(g.t, h, p(&g, 4 + 4 * i), &r), &r));
	}
	if (g.balance.layers > 0) {
		tape_block(g.t, "head");
		op_balance_end(g.t, &g.balance, x);
	}
	seed(&g, x);
	check(&g, what);
}

static void
t_moes(void)
{
	struct op_router mixtral = { .experts = 5, .top = 2, .groups = 1, .top_groups = 1,
	    .normalize = true, .scale = 1 };
	struct op_router v2 = { .experts = 6, .top = 2, .groups = 3, .top_groups = 2,
	    .scale = 1.5 };
	struct op_router v3 = { .experts = 8, .top = 3, .groups = 4, .top_groups = 2,
	    .sigmoid = true, .pairs = true, .normalize = true, .scale = 2.5 };

	t_moe("experts, softmax over the chosen", mixtral, false, 0, 0, -1);
	t_moe("experts, groups", v2, false, 0, 0, -1);
	t_moe("experts, sigmoid and bias", v3, true, 0, 0, -1);
	t_moe("experts, balance loss", mixtral, false, 0.7, 0, -1);
	t_moe("experts, both losses", v3, true, 0.7, 0.2, -1);
	t_moe("experts, a router frozen", mixtral, false, 0.7, 0.2, 1);
	t_moe("experts, a product frozen", v2, false, 0, 0, 3);
}

static void
t_latent(int frozen, bool both)
{
	struct graph g = graph(81, 5, 1);
	struct tensor *y[2], *k, *v;

	g.frozen = frozen;
	param(&g, 5, 7);
	param(&g, 3 * (2 + 4), 4);
	place(&g);
	op_split(g.t, p(&g, 0), 4, y);
	op_latent(g.t, op_linear(g.t, y[0], p(&g, 1), NULL), y[1], 3, 2, &k, &v);
	seed(&g, op_join(g.t, v, y[0]));
	if (both)
		seed(&g, k);
	check(&g, "split, join, and keys and values of a latent");
}

/* ---- random graphs: gradients that meet, alias, and are kept ---- */

static struct tensor *
random_op(struct graph *g, uint64_t n, struct tensor *a, struct tensor *b)
{
	switch (rng_below(g->seed, 1, n, 6)) {
	case 0:
		return op_act(g->t, a, ACT_SILU);
	case 1:
		return op_rmsnorm(g->t, a, p(g, 2), 1e-3, 0);
	case 2:
		return op_glu(g->t, a, b, ACT_GELU_TANH);
	case 3:
		return op_linear(g->t, a, p(g, 3), p(g, 4));
	default:
		return op_add(g->t, a, b);	/* most often: gradients alias here */
	}
}

static void
t_random(uint64_t n)
{
	struct graph g = graph(n, 3, 1);
	struct tensor *x[16];
	char what[32];

	g.flags = n % 3 == 0 ? 0 : n % 3 == 1 ? TAPE_RECOMPUTE_CHEAP : TAPE_RECOMPUTE_BLOCK;
	param(&g, 3, 4);
	param(&g, 3, 4);
	param(&g, 4, 0);
	param(&g, 4, 4);
	param(&g, 4, 0);
	place(&g);
	x[0] = op_linear(g.t, p(&g, 0), p(&g, 3), NULL);
	x[1] = op_add(g.t, p(&g, 0), p(&g, 1));
	for (uint64_t i = 2; i < 12; i++) {
		struct tensor *a = x[rng_below(n, 2, i, i)], *b = x[rng_below(n, 3, i, i)];

		if (rng_below(n, 4, i, 3) == 0)
			tape_block(g.t, "more");
		x[i] = random_op(&g, i, a, b);
		if (rng_below(n, 5, i, 4) == 0)
			tape_output(g.t, x[i]);
	}
	/* Two seeds, one of them in the middle of the graph. */
	seed(&g, x[11]);
	if (x[6]->needs_grad)
		seed(&g, x[6]);
	snprintf(what, sizeof(what), "random graph %d", (int)n);
	check(&g, what);
}

int
main(void)
{
	dev = refdev_open(NULL, &err);
	must(dev == NULL ? -1 : 0);
	t_embed(-1);
	t_embed(0);
	for (int i = -1; i < 3; i++)
		t_linear(i, true);
	t_linear(-1, false);
	for (int i = -1; i < 2; i++)
		t_norms(i);
	for (int i = -1; i < 3; i++)
		t_scale(i);
	t_row_norm();
	t_acts();
	t_hadamard();
	t_rope(6, TURN_HALVES, false, false);
	t_rope(6, TURN_TO_HALVES, false, false);
	t_rope(4, TURN_HALVES, false, false);
	t_rope(6, TURN_PAIRS, false, false);
	t_rope(4, TURN_PAIRS, true, false);
	t_rope(6, TURN_HALVES, false, true);
	t_rope(4, TURN_PAIRS, true, true);
	t_attentions();
	t_conv("conv", 4, true);
	t_conv("conv without bias", 3, false);
	t_scan("scan", 3, 4, -1);
	t_scan("scan of one state", 2, 1, -1);
	t_scan("scan, rates frozen", 3, 2, 5);
	t_gather();
	t_moes();
	t_latent(-1, true);
	t_latent(-1, false);
	t_latent(0, true);
	t_head("head, one pass", true, 0, -1);
	t_head("head, one pass, soft cap", true, 2, -1);
	t_head("head, frozen", true, 0, 2);
	t_head("head, recomputed", false, 0, -1);
	t_head("head, recomputed, soft cap", false, 2, -1);
	for (uint64_t i = 100; i < 190; i++)
		t_random(i);
	dev_close(dev);
	return tap_done();
}
