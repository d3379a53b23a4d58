/*
 * The parameters of a config, by the names of their tensors in files: one walk
 * declares them, or counts them and the work of a token.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/adapter_impl.h"
#include "model/sources_impl.h"

/* ---- the table of tensors in files ---- */

static struct weight *
add_weight(struct decl *d)
{
	struct model *m = d->m;

	if (m->n_weights == m->cap_weights) {
		int cap = m->cap_weights ? 2 * m->cap_weights : 64;
		struct weight *more = realloc(m->weight, (size_t)cap * sizeof(*more));

		if (more == NULL) {
			err_set(d->err, ERR_NOMEM, "out of memory");
			d->failed = true;
			return NULL;
		}
		m->weight = more;
		m->cap_weights = cap;
	}
	m->weight[m->n_weights] = (struct weight){ .param = m->params.n - 1 };
	return &m->weight[m->n_weights++];
}

/*
 * Queries and keys of a model from GGUF, whose rope turns neighbours where that
 * of other files turns halves.
 */
static bool
in_pairs(const struct decl *d, const struct param *p)
{
	const char *module = p->name + strlen(d->prefix);
	const char *name[] = { d->names->q, d->names->k };

	for (int i = 0; i < 2 && d->c->rope_interleaved && d->c->kv_rank == 0; i++)
		if (name[i] != NULL && strncmp(module, name[i], strlen(name[i])) == 0 &&
		    module[strlen(name[i])] == '.')
			return true;
	return false;
}

/* A parameter that is a tensor of the files. */
static void
whole(struct decl *d, const struct param *p)
{
	struct weight *w = add_weight(d);

	if (w == NULL)
		return;
	memcpy(w->name, p->name, sizeof(w->name));
	w->n = p->n;
	w->ndim = p->ndim;
	w->turned = d->hidden && d->names->turned && p->ndim == 2;
	w->pairs = in_pairs(d, p);
	for (int i = 0; i < p->ndim; i++)
		w->shape[i] = p->shape[w->turned ? p->ndim - 1 - i : i];
}

void
decl_weight(struct decl *d, int64_t at, int64_t n, int64_t k, const char *fmt, ...)
{
	struct weight *w;
	int used;
	va_list ap;

	if (d->m == NULL || d->failed || (w = add_weight(d)) == NULL)
		return;
	used = snprintf(w->name, sizeof(w->name), "%s", d->prefix);
	va_start(ap, fmt);
	vsnprintf(w->name + used, sizeof(w->name) - (size_t)used, fmt, ap);
	va_end(ap);
	w->at = at;
	w->n = n * k;
	w->ndim = 2;
	w->shape[0] = n;
	w->shape[1] = k;
}

/* ---- parameters ---- */

static struct param *
add(struct decl *d, const char *name, const char *suffix, enum init_kind init, double std,
    int ndim, const int64_t *shape)
{
	char full[NN_NAME + 8];
	struct param *p;
	int64_t n = 1;

	for (int i = 0; i < ndim; i++)
		n *= shape[i];
	d->elements += n;
	d->active += d->share * (double)n;
	if (ndim > 1 && d->hidden)
		d->used += d->share * (double)n;
	if (d->m == NULL || d->failed)
		return NULL;
	snprintf(full, sizeof(full), "%s%s%s", d->prefix, name, suffix);
	p = params_add(&d->m->params, full, ndim, shape, init, std, ndim > 1, d->err);
	if (p == NULL)
		d->failed = true;
	else
		p->hidden = d->hidden && ndim > 1;
	return p;
}

void
decl_param(struct decl *d, const char *name, const char *suffix, enum init_kind init,
    double std, int ndim, const int64_t *shape)
{
	struct param *p = add(d, name, suffix, init, std, ndim, shape);

	if (p != NULL)
		whole(d, p);
}

void
decl_wide(struct decl *d, const char *name, const char *suffix, enum init_kind init,
    double std, int ndim, const int64_t *shape)
{
	struct param *p = add(d, name, suffix, init, std, ndim, shape);

	if (p == NULL)
		return;
	p->type = params_wide(&d->m->params);
	p->hidden = p->decay = false;
	whole(d, p);
}

void
decl_buffer(struct decl *d, const char *name, int64_t n)
{
	struct param *p = add(d, name, "", INIT_ZEROS, 0, 1, &n);

	if (p != NULL) {
		p->trainable = false;
		whole(d, p);
	}
}

void
decl_linear(struct decl *d, const char *name, double std, int64_t n, int64_t k, bool bias)
{
	decl_param(d, name, ".weight", INIT_NORMAL, std, 2, (int64_t[]){ n, k });
	if (bias)
		decl_param(d, name, ".bias", INIT_ZEROS, 0, 1, &n);
}

void
decl_norm(struct decl *d, const char *name, int64_t n)
{
	if (name == NULL)
		return;
	decl_param(d, name, ".weight", d->c->norm_plus == 1 ? INIT_ZEROS : INIT_ONES, 0, 1, &n);
	if (d->c->norm == NORM_LAYER)
		decl_param(d, name, ".bias", INIT_ZEROS, 0, 1, &n);
}

void
decl_stack(struct decl *d, const char *name, double std, int64_t count, int64_t n, int64_t k)
{
	add(d, name, ".weight", INIT_NORMAL, std, 3, (int64_t[]){ count, n, k });
}

/* ---- layers ---- */

static void
attention(struct decl *d)
{
	const struct config *c = d->c;
	const struct arch_names *n = d->names;
	int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
	bool whole_norm = c->qk_norm == QK_NORM_WHOLE;

	if (n->qkv != NULL) {
		decl_linear(d, n->qkv, d->std, q + 2 * kv, c->width, c->qkv_bias);
	} else {
		decl_linear(d, n->q, d->std, q, c->width, c->qkv_bias);
		decl_linear(d, n->k, d->std, kv, c->width, c->qkv_bias);
		decl_linear(d, n->v, d->std, kv, c->width, c->qkv_bias);
	}
	if (c->qk_norm != QK_NORM_NONE) {
		decl_norm(d, n->q_norm, whole_norm ? q : c->head_dim);
		decl_norm(d, n->k_norm, whole_norm ? kv : c->head_dim);
	}
	decl_linear(d, n->out, d->out_std, c->width, q, c->out_bias);
}

static void
mlp(struct decl *d)
{
	const struct config *c = d->c;
	const struct arch_names *n = d->names;

	if (n->gate_up != NULL) {
		decl_linear(d, n->gate_up, d->std, 2 * c->ffn, c->width, c->ffn_bias);
	} else {
		if (c->gated)
			decl_linear(d, n->gate, d->std, c->ffn, c->width, c->ffn_bias);
		decl_linear(d, n->up, d->std, c->ffn, c->width, c->ffn_bias);
	}
	decl_linear(d, n->down, d->out_std, c->width, c->ffn, c->ffn_bias);
}

void
decl_layer(struct decl *d, int64_t i)
{
	const struct config *c = d->c;

	snprintf(d->prefix, sizeof(d->prefix), d->names->layer, (long long)i);
	decl_norm(d, d->names->pre_mixer, c->width);
	if (c->mixer[i] == MIXER_SCAN)
		decl_scan(d);
	else if (c->mixer[i] == MIXER_LATENT)
		decl_latent(d);
	else
		attention(d);
	decl_norm(d, d->names->post_mixer, c->width);
	if (c->mlp[i] != MLP_NONE) {
		decl_norm(d, d->names->pre_mlp, c->width);
		if (c->mlp[i] == MLP_EXPERTS)
			decl_experts(d);
		else
			mlp(d);
		decl_norm(d, d->names->post_mlp, c->width);
	}
	d->prefix[0] = '\0';
}

static void
walk(struct decl *d, const struct config *c)
{
	d->c = c;
	d->names = arch_family(c->arch)->names;
	d->std = c->init_std;
	d->out_std = c->init_std / sqrt(2.0 * (double)c->layers);
	d->share = 1;
	decl_linear(d, d->names->embed, d->std, c->vocab, c->width, false);
	if (d->names->positions != NULL)
		decl_linear(d, d->names->positions, d->std, c->context, c->width, false);
	if (d->names->segments != NULL)
		decl_linear(d, d->names->segments, d->std, c->segments, c->width, false);
	decl_norm(d, d->names->embed_norm, c->width);
	d->hidden = true;
	for (int64_t i = 0; i < c->layers; i++)
		decl_layer(d, i);
	d->share = 0;
	for (int64_t i = 0; i < c->ahead; i++)
		decl_ahead(d, c->layers + i);
	d->share = 1;
	d->hidden = false;
	decl_norm(d, d->names->final_norm, c->width);
	if (!c->tied)
		decl_linear(d, "lm_head", d->std, c->vocab, c->width, false);
}

bool
is_linear(const struct config *c, const struct param *p)
{
	const char *router = arch_family(c->arch)->names->router;
	char end[NN_NAME];

	if (!p->hidden || router == NULL)
		return p->hidden;
	snprintf(end, sizeof(end), ".%s.weight", router);
	return !str_ends(str_of(p->name), str_of(end));
}

int
model_declare(struct model *m, const struct config *c, struct err *err)
{
	struct decl d = { .m = m, .err = err };

	if (config_check(c, err) < 0)
		return -1;
	m->config = *c;
	walk(&d, c);
	if (d.failed || (m->adapter != NULL && adapter_declare(m, err) < 0) ||
	    (m->adapters != NULL && adapters_declare(m, err) < 0))
		return -1;
	return params_seal(&m->params, err);
}

int
model_init(struct model *m, const struct config *c, struct dev *dev, bool grads,
    uint64_t seed, struct err *err)
{
	m->dev = dev;
	if (model_declare(m, c, err) < 0 || params_place(&m->params, dev, grads, err) < 0)
		return -1;
	return params_init(&m->params, seed, err);
}

void
model_free(struct model *m)
{
	params_free(&m->params);
	sources_close(m->files);
	free(m->weight);
	*m = (struct model){ 0 };
}

/* ---- counting ---- */

int64_t
config_params(const struct config *c)
{
	struct decl d = { .m = NULL };

	walk(&d, c);
	return d.elements;
}

int64_t
config_active(const struct config *c)
{
	struct decl d = { .m = NULL };

	walk(&d, c);
	return (int64_t)(d.active + 0.5);
}

/* What a layer costs a token beside its matrices, in a sequence of n. */
static double
mixing(const struct config *c, int64_t layer, double n)
{
	double w = (double)c->window, seen = n / 2;

	if (c->mixer[layer] == MIXER_SCAN)
		return (double)c->scan.inner * (8 * (double)c->scan.states +
		    2 * (double)c->scan.taps);
	if (c->mixer[layer] == MIXER_LOCAL && w < n)
		seen = w - w * w / (2 * n);
	/* Scores and values of the keys that it sees, 2 FLOPs each. */
	return 2 * seen * (double)(c->heads * (c->head_dim +
	    (c->mixer[layer] == MIXER_LATENT ? c->v_dim : c->head_dim)));
}

double
config_flops(const struct config *c, int64_t context)
{
	struct decl d = { .m = NULL };
	double mix = 0;

	walk(&d, c);
	for (int64_t i = 0; i < c->layers; i++)
		mix += mixing(c, i, (double)context);
	return 2 * d.used + mix + 2.0 * (double)c->vocab * (double)c->width;
}
