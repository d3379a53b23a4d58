/* The tensors of a GGUF file as sources of a model's weights. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/quant.h"
#include "model/sources_impl.h"
#include "model/gguf_impl.h"

struct matching {
	struct sources	*files;
	struct model	*m;
	bool		*used;		/* each tensor of the file */
	struct err	*err;
};

/* Dimensions but those of one element, which files leave out or put in. */
static int
squeeze(const int64_t *shape, int ndim, int64_t *to)
{
	int n = 0;

	for (int i = 0; i < ndim; i++)
		if (shape[i] != 1)
			to[n++] = shape[i];
	return n;
}

static int
check_shape(const struct gguf_tensor *t, const int64_t *shape, int ndim, struct err *err)
{
	int64_t have[4], want[4];
	int n = squeeze(shape, ndim, want);

	if (squeeze(t->shape, t->ndim, have) != n)
		return err_set(err, ERR_FORMAT, "tensor '%s' has %d dimensions, not %d", t->name,
		    t->ndim, ndim);
	for (int i = 0; i < n; i++)
		if (have[i] != want[i])
			return err_set(err, ERR_FORMAT, "tensor '%s' has another shape than the "
			    "keys say: %" PRId64 " where %" PRId64 " should be", t->name, have[i],
			    want[i]);
	return 0;
}

/* The tensor of this name and shape, of a type that is read, or NULL. */
static const struct gguf_tensor *
find(const struct matching *g, const char *name, const int64_t *shape, int ndim)
{
	const struct gguf_tensor *t = gguf_find(g->files->gguf, name);
	dtype type;

	if (t == NULL) {
		err_set(g->err, ERR_FORMAT, "no tensor '%s'", name);
		return NULL;
	}
	type = gguf_block(t->type)->type;
	if (dtype_block(type) == 1 && type != DTYPE_F32 && type != DTYPE_F16 &&
	    type != DTYPE_BF16 && type != DTYPE_F64) {
		err_set(g->err, ERR_FORMAT, "tensor '%s': %s is not read", name,
		    gguf_block(t->type)->name);
		return NULL;
	}
	if (check_shape(t, shape, ndim, g->err) < 0)
		return NULL;
	g->used[t - gguf_at(g->files->gguf, 0)] = true;
	return t;
}

/* kv_b in two parts, as newer files have it. */
static int
match_latent(const struct matching *g, const struct gguf_name *n, struct source *s)
{
	const struct config *c = &g->m->config;
	const int64_t k[] = { c->heads, c->kv_rank, c->head_dim - c->rope_dims };
	const int64_t v[] = { c->heads, c->v_dim, c->kv_rank };
	const struct gguf_tensor *a, *b;
	char name[2][NN_NAME];
	int layer = (int)(strstr(n->name, "attn_kv_b") - n->name);

	for (int i = 0; i < 2; i++)
		snprintf(name[i], NN_NAME, "%.*sattn_%c_b.weight", layer, n->name, "kv"[i]);
	if ((a = find(g, name[0], k, 3)) == NULL || (b = find(g, name[1], v, 3)) == NULL)
		return -1;
	*s = (struct source){ .form = FORM_LATENT, .type = gguf_block(a->type)->type,
	    .data = a->data, .other_type = gguf_block(b->type)->type, .other = b->data };
	return 0;
}

static int
match_weight(const struct matching *g, int i)
{
	static const enum form forms[] = { [GGUF_SAME] = FORM_SAME, [GGUF_PLUS] = FORM_PLUS,
	    [GGUF_RATES] = FORM_RATES, [GGUF_LATENT] = FORM_SAME };
	const struct weight *w = &g->m->weight[i];
	const struct param *p = &g->m->params.p[w->param];
	const struct gguf_tensor *t;
	struct gguf_name n;
	dtype type;

	if (gguf_name(&g->m->config, p, &n, g->err) < 0)
		return -1;
	if (n.form == GGUF_LATENT && gguf_find(g->files->gguf, n.name) == NULL)
		return match_latent(g, &n, &g->files->source[i]);
	if ((t = find(g, n.name, p->shape, p->ndim)) == NULL)
		return -1;
	type = gguf_block(t->type)->type;
	g->files->source[i] = (struct source){ .form = forms[n.form], .type = type,
	    .data = (const char *)t->data + dtype_bytes(type, w->at) };
	return 0;
}

/* Tensors that the config has been read from, or that say what it says already. */
static bool
is_ballast(const struct config *c, const char *name)
{
	return strcmp(name, ROPE_FREQS) == 0 || strcmp(name, ROPE_LONG) == 0 ||
	    strcmp(name, ROPE_SHORT) == 0 || str_ends(str_of(name), S(".rot_embd.freqs")) ||
	    (c->tied && strcmp(name, "output.weight") == 0);
}

int
gguf_match(struct sources *f, struct model *m, struct err *err)
{
	struct matching g = { f, m, calloc((size_t)gguf_count(f->gguf) + 1, 1), err };
	int ret = g.used == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;

	for (int i = 0; i < m->n_weights && ret == 0; i++)
		ret = match_weight(&g, i);
	for (int i = 0; i < gguf_count(f->gguf) && ret == 0; i++) {
		const char *name = gguf_at(f->gguf, i)->name;

		if (!g.used[i] && !is_ballast(&m->config, name))
			ret = err_set(err, ERR_FORMAT, "tensor '%s' is not of this model", name);
	}
	free(g.used);
	return ret;
}
