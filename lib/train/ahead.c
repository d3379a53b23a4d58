#include "train/ahead.h"

#include <stdlib.h>

#define FACTOR 0.1

struct ahead {
	double	 factor, loss[AHEAD_MAX];
	int64_t	 targets[AHEAD_MAX];	/* of the step */
	int32_t	*token, *target;
	float	*dlogp;
};

int
ahead_options(struct model *m, struct train_options *o, unsigned *flags, struct err *err)
{
	const struct config *c = &m->config;
	char prefix[NN_NAME];

	*flags = 0;
	if (c->ahead == 0 && o->ahead > 0)
		return err_set(err, ERR_ARG, "--mtp: the model predicts one token ahead only");
	if (o->ahead < 0)
		o->ahead = c->ahead > 0 ? FACTOR : 0;
	if (o->ahead > 0)
		*flags = MODEL_AHEAD;
	/* What is not trained stays as it is: no gradient, and no decay. */
	for (int64_t n = 0; n < c->ahead && o->ahead == 0; n++) {
		model_layer_prefix(c, c->layers + n, prefix);
		for (int i = 0; i < m->params.n; i++)
			if (strncmp(m->params.p[i].name, prefix, strlen(prefix)) == 0)
				m->params.p[i].decay = false;
	}
	return 0;
}

struct ahead *
ahead_new(const struct model_io *io, int64_t cap, double factor, struct err *err)
{
	struct ahead *a;

	if (io->n_ahead == 0)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (a != NULL) {
		a->factor = factor;
		a->token = calloc((size_t)cap, sizeof(*a->token));
		a->target = calloc((size_t)cap, sizeof(*a->target));
		a->dlogp = calloc((size_t)cap, sizeof(*a->dlogp));
	}
	if (a == NULL || a->token == NULL || a->target == NULL || a->dlogp == NULL) {
		ahead_free(a);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return a;
}

void
ahead_free(struct ahead *a)
{
	if (a == NULL)
		return;
	free(a->token);
	free(a->target);
	free(a->dlogp);
	free(a);
}

void
ahead_begin(struct ahead *a, struct tape *t, const struct model_io *io)
{
	for (int64_t n = 0; a != NULL && n < io->n_ahead; n++) {
		tape_zero(t, io->ahead[n].loss);
		a->targets[n] = 0;
	}
}

/* Tokens and targets n places on in each sequence; behind its end, its own and none. */
static void
shift(struct ahead *a, const struct batch *b, int64_t n, double weight)
{
	for (int64_t s = 0; s < b->seqs; s++)
		for (int64_t i = b->cu_seqlens[s]; i < b->cu_seqlens[s + 1]; i++) {
			bool in = i + n < b->cu_seqlens[s + 1];

			a->token[i] = b->token[in ? i + n : i];
			a->target[i] = in ? b->target[i + n] : -1;
			a->dlogp[i] = a->target[i] < 0 ? 0 : (float)-weight;
			a->targets[n - 1] += a->target[i] >= 0;
		}
}

void
ahead_upload(struct ahead *a, struct tape *t, const struct model_io *io, const struct batch *b,
    double weight)
{
	for (int64_t n = 0; a != NULL && n < io->n_ahead; n++) {
		shift(a, b, n + 1, weight * a->factor / (double)io->n_ahead);
		tape_upload(t, io->ahead[n].token, a->token, b->tokens);
		tape_upload(t, io->ahead[n].target, a->target, b->tokens);
		tape_upload(t, io->ahead[n].dlogp, a->dlogp, b->tokens);
	}
}

void
ahead_end(struct ahead *a, struct tape *t, const struct model_io *io)
{
	for (int64_t n = 0; a != NULL && n < io->n_ahead; n++)
		tape_download(t, io->ahead[n].loss, &a->loss[n], 1);
}

int
ahead_count(struct ahead *a, struct comm *comm, struct err *err)
{
	return a != NULL ? comm_sum(comm, a->targets, AHEAD_MAX, err) : 0;
}

double
ahead_loss(const struct ahead *a, const struct model_io *io)
{
	double sum = 0;

	for (int64_t n = 0; a != NULL && n < io->n_ahead; n++)
		if (a->targets[n] > 0)
			sum += a->loss[n] / (double)a->targets[n] / (double)io->n_ahead;
	return sum;
}
