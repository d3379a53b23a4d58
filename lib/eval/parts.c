#include "eval/parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "eval/divergence_impl.h"

enum { OUTSIDE = 3 };		/* parts beside the layers: embedding, head, all */

struct parts {
	struct divergence *d;		/* of mixed from the reference */
	struct model	*reference;
	struct model	 mixed;		/* it, with parameters of both */
	struct param	*own;		/* the model's, as it would have them */
	void		**copy;
	struct tally	*tally;		/* of each part */
	bool		*there;
	int64_t		 layers;
};

/* Layers have their numbers in names, between dots; experts have theirs behind. */
static int64_t
layer_of(const char *name)
{
	for (const char *at = strchr(name, '.'); at != NULL; at = strchr(at + 1, '.')) {
		char *end;
		long layer = strtol(at + 1, &end, 10);

		if (end > at + 1 && *end == '.')
			return layer;
	}
	return -1;
}

int
part_of(const char *name, int64_t layers)
{
	int64_t layer = layer_of(name);

	if (layer >= 0 && layer < layers)
		return (int)layer;
	return (int)layers + (strcmp(name, "output.weight") == 0 ||
	    strcmp(name, "lm_head.weight") == 0);
}

void
part_name(int part, int64_t layers, char name[NN_NAME])
{
	static const char *const others[OUTSIDE] = { "embedding", "head", "all" };

	if (part < layers)
		snprintf(name, NN_NAME, "layer %d", part);
	else
		snprintf(name, NN_NAME, "%s", others[part - layers]);
}

int
parts_count(const struct parts *p)
{
	return (int)p->layers + OUTSIDE;
}

static bool
is_all(const struct parts *p, int part)
{
	return part == parts_count(p) - 1;
}

/* The reference with this part of the model. */
static void
mix(struct parts *p, int part)
{
	for (int i = 0; i < p->mixed.params.n; i++) {
		const struct param *own = &p->own[i];
		struct param *to = &p->mixed.params.p[i];
		bool swap = is_all(p, part) || part_of(own->name, p->layers) == part;

		*to = swap ? *own : p->reference->params.p[i];
		to->t.param = to;
		p->there[part] |= swap;
	}
}

static int
check_same(const struct params *a, const struct params *b, struct err *err)
{
	for (int i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->p[i].name, b->p[i].name) != 0 || a->p[i].n != b->p[i].n)
			return err_set(err, ERR_ARG, "models of different shapes: %s, %s",
			    a->p[i].name, b->p[i].name);
	return a->n == b->n ? 0 : err_set(err, ERR_ARG, "models of %d and %d parameters", a->n,
	    b->n);
}

static int
init(struct parts *p, const struct model *m, int64_t context, struct err *err)
{
	size_t n = (size_t)p->reference->params.n + 1, parts = (size_t)parts_count(p);

	if (check_same(&m->params, &p->reference->params, err) < 0)
		return -1;
	p->mixed = *p->reference;
	p->mixed.params.p = calloc(n, sizeof(*p->mixed.params.p));
	p->own = calloc(n, sizeof(*p->own));
	p->copy = calloc(n, sizeof(*p->copy));
	p->tally = calloc(parts, sizeof(*p->tally));
	p->there = calloc(parts, sizeof(*p->there));
	if (p->mixed.params.p == NULL || p->own == NULL || p->copy == NULL || p->tally == NULL ||
	    p->there == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < m->params.n; i++)
		if (model_lend(m, i, p->reference, &p->own[i], &p->copy[i], err) < 0)
			return -1;
	mix(p, parts_count(p) - 1);
	p->d = divergence_new(&p->mixed, p->reference, context, err);
	return p->d == NULL ? -1 : 0;
}

struct parts *
parts_new(const struct model *m, struct model *reference, int64_t context, struct err *err)
{
	struct parts *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->reference = reference;
	p->layers = reference->config.layers;
	if (init(p, m, context, err) < 0) {
		parts_free(p);
		return NULL;
	}
	return p;
}

static int
each(void *ctx, struct err *err)
{
	struct parts *p = ctx;

	for (int i = 0; i < parts_count(p); i++) {
		mix(p, i);
		if (p->there[i] && (divergence_record(p->d, err) < 0 ||
		    divergence_compare(p->d, &p->tally[i], err) < 0))
			return -1;
	}
	return 0;
}

int
parts_add(struct parts *p, const uint32_t *token, int64_t n, struct err *err)
{
	return divergence_pieces(p->d, token, n, each, p, err);
}

int
parts_end(struct parts *p, int part, struct divergence_report *r, struct err *err)
{
	if (!p->there[part])
		return 0;
	return tally_report(&p->tally[part], r, err) < 0 ? -1 : 1;
}

void
parts_free(struct parts *p)
{
	if (p == NULL)
		return;
	divergence_free(p->d);
	for (int i = 0; p->tally != NULL && i < parts_count(p); i++)
		buf_free(&p->tally[i].all);
	for (int i = 0; p->copy != NULL && i < p->reference->params.n; i++)
		free(p->copy[i]);
	free(p->mixed.params.p);
	free(p->own);
	free(p->copy);
	free(p->tally);
	free(p->there);
	free(p);
}
