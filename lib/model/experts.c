/*
 * Mixtures of experts in a layer.  Experts are stacked: a parameter has the
 * matrices of all, which have a tensor each in files.
 */
#include "model/inputs.h"
#include "model/model_impl.h"

int64_t
expert_width(const struct config *c)
{
	return c->expert_ffn > 0 ? c->expert_ffn : c->ffn;
}

int64_t
config_expert_layers(const struct config *c, int64_t n)
{
	int64_t count = 0;

	for (int64_t i = 0; i < n && i < CONFIG_LAYERS; i++)
		count += c->mlp[i] == MLP_EXPERTS;
	return count;
}

int
experts_check(const struct config *c, struct err *err)
{
	const struct op_router *r = &c->router;

	if (config_expert_layers(c, c->layers) == 0)
		return 0;
	if (r->experts < 1 || r->experts > ROUTE_MAX_EXPERTS)
		return err_set(err, ERR_ARG, "%lld experts: from 1 to %d", (long long)r->experts,
		    ROUTE_MAX_EXPERTS);
	if (r->groups < 1 || r->experts % r->groups != 0 || r->top_groups < 1 ||
	    r->top_groups > r->groups)
		return err_set(err, ERR_ARG, "%lld of %lld groups do not fit %lld experts",
		    (long long)r->top_groups, (long long)r->groups, (long long)r->experts);
	if (r->top < 1 || r->top > r->experts / r->groups * r->top_groups)
		return err_set(err, ERR_ARG, "%lld experts a token, of %lld", (long long)r->top,
		    (long long)(r->experts / r->groups * r->top_groups));
	if (c->expert_ffn < 0 || c->expert_ffn > SIZE_LIMIT || c->shared_experts < 0 ||
	    c->shared_experts > ROUTE_MAX_EXPERTS)
		return err_set(err, ERR_ARG, "experts' sizes are out of range");
	if (!(r->scale > 0) || !(c->router_aux >= 0) || !(c->router_z >= 0))
		return err_set(err, ERR_ARG, "router: a factor is out of range");
	if ((double)c->layers * (double)(r->experts + c->shared_experts) * (double)c->width *
	    3.0 * (double)expert_width(c) > 1e15)
		return err_set(err, ERR_LIMIT, "more than 10^15 parameters");
	return 0;
}

/* ---- parameters ---- */

/* One of the three matrices of all experts. */
static void
decl_expert(struct decl *d, const char *name, double std, int64_t n, int64_t k)
{
	const char *module = d->names->experts;
	char full[NN_NAME];

	snprintf(full, sizeof(full), "%s.%s", module, name);
	decl_stack(d, full, std, d->c->router.experts, n, k);
	for (int64_t e = 0; e < d->c->router.experts; e++)
		decl_weight(d, e * n * k, n, k, "%s.%lld.%s.weight", module, (long long)e, name);
}

void
decl_experts(struct decl *d)
{
	const struct config *c = d->c;
	const struct arch_names *n = d->names;
	int64_t ffn = expert_width(c), shared = c->shared_experts * ffn;
	double share = d->share;
	char name[NN_NAME];

	decl_linear(d, n->router, d->std, c->router.experts, c->width, false);
	if (c->router_bias) {
		snprintf(name, sizeof(name), "%s.e_score_correction_bias", n->router);
		decl_buffer(d, name, c->router.experts);
	}
	d->share *= (double)c->router.top / (double)c->router.experts;
	decl_expert(d, n->expert_gate, d->std, ffn, c->width);
	decl_expert(d, n->expert_up, d->std, ffn, c->width);
	decl_expert(d, n->expert_down, d->out_std, c->width, ffn);
	d->share = share;
	if (shared == 0)
		return;
	snprintf(name, sizeof(name), "%s.gate_proj", n->shared);
	decl_linear(d, name, d->std, shared, c->width, c->ffn_bias);
	snprintf(name, sizeof(name), "%s.up_proj", n->shared);
	decl_linear(d, name, d->std, shared, c->width, c->ffn_bias);
	snprintf(name, sizeof(name), "%s.down_proj", n->shared);
	decl_linear(d, name, d->out_std, c->width, shared, c->ffn_bias);
}

/* ---- recording ---- */

/* Rows of experts through the matrices of this name. */
static struct tensor *
expert(struct build *b, struct tensor *x, const char *name, const struct op_routing *r)
{
	char full[NN_NAME];
	struct tensor *w;

	snprintf(full, sizeof(full), "%s.%s", b->names->experts, name);
	w = weight(b, full, ".weight");
	if (b->m->inputs != NULL)
		inputs_note(b->m->inputs, b->t, x, w, r);
	return op_experts(b->t, x, w, r);
}

/* The dense part that all tokens pass. */
static struct tensor *
shared(struct build *b, struct tensor *x)
{
	char name[3][NN_NAME];
	static const char *const part[3] = { "gate_proj", "up_proj", "down_proj" };

	for (int i = 0; i < 3; i++)
		snprintf(name[i], sizeof(name[i]), "%s.%s", b->names->shared, part[i]);
	return linear(b, op_glu(b->t, linear(b, x, name[0]), linear(b, x, name[1]), b->c->act),
	    name[2]);
}

struct tensor *
experts(struct build *b, struct tensor *x)
{
	const struct config *c = b->c;
	const struct arch_names *n = b->names;
	struct tape *t = b->t;
	struct op_balance *balance = b->io->balance.layers > 0 ? &b->io->balance : NULL;
	struct op_routing r = op_route(t, op_logits(t, x, weight(b, n->router, ".weight")),
	    c->router_bias ? weight(b, n->router, ".e_score_correction_bias") : NULL,
	    &c->router, balance);
	struct tensor *h = op_dispatch(t, x, &r), *y;

	h = op_glu(t, expert(b, h, n->expert_gate, &r), expert(b, h, n->expert_up, &r), c->act);
	y = op_combine(t, expert(b, h, n->expert_down, &r), &r);
	return c->shared_experts > 0 ? op_add(t, y, shared(b, x)) : y;
}
