#include "eval/divergence_impl.h"

#include <math.h>
#include <stdlib.h>

enum { PIECE = 512 };

static int
record(struct side *s, int64_t context, struct err *err)
{
	struct model *m = s->model;

	tape_free(s->tape);
	if ((s->tape = tape_new(m->dev, context, 1, params_tape(&m->params), err)) == NULL ||
	    model_record_logits(m, s->tape, context, &s->io, err) < 0)
		return -1;
	return tape_plan(s->tape, err);
}

int
divergence_record(struct divergence *d, struct err *err)
{
	return record(&d->side[0], d->context, err);
}

static int
side_init(struct side *s, struct model *m, int64_t context, struct err *err)
{
	s->model = m;
	s->logits = malloc((size_t)(context * m->config.vocab) * sizeof(*s->logits));
	if (s->logits == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return record(s, context, err);
}

struct divergence *
divergence_new(struct model *m, struct model *reference, int64_t context, struct err *err)
{
	struct divergence *d = calloc(1, sizeof(*d));
	int64_t most = m->config.context, base;

	if (d == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (reference->config.context < most)
		most = reference->config.context;
	d->context = context > 0 ? context : most < PIECE ? most : PIECE;
	d->vocab = m->config.vocab;
	if (reference->config.vocab != d->vocab || d->context > most) {
		if (d->context > most)
			err_set(err, ERR_ARG, "a context of %lld is more than the models' %lld",
			    (long long)d->context, (long long)most);
		else
			err_set(err, ERR_ARG, "vocabularies of %lld and %lld tokens",
			    (long long)d->vocab, (long long)reference->config.vocab);
		free(d);
		return NULL;
	}
	base = model_rope_base(&m->config, d->context);
	d->index = calloc((size_t)(d->context + base), sizeof(*d->index));
	d->row = calloc((size_t)d->context * 4, sizeof(*d->row));
	for (int64_t i = 0; d->index != NULL && i < d->context + base; i++)
		d->index[i] = (int32_t)i;
	if (d->index == NULL || d->row == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (side_init(&d->side[0], m, d->context, err) == 0 &&
	    side_init(&d->side[1], reference, d->context, err) == 0)
		return d;
	divergence_free(d);
	return NULL;
}

void
divergence_free(struct divergence *d)
{
	if (d == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		tape_free(d->side[i].tape);
		free(d->side[i].logits);
	}
	free(d->index);
	free(d->row);
	buf_free(&d->tally.all);
	free(d);
}

/* The largest of v logits, and the logarithm of the sum of their exponentials. */
static int64_t
log_sum(const float *x, int64_t v, double *lse)
{
	int64_t top = 0;
	double sum = 0;

	for (int64_t i = 1; i < v; i++)
		if (x[i] > x[top])
			top = i;
	for (int64_t i = 0; i < v; i++)
		sum += (double)expf(x[i] - x[top]);
	*lse = (double)x[top] + log(sum);
	return top;
}

static void
compare(void *ctx, int64_t i, int member)
{
	struct divergence *d = ctx;
	const float *q = d->side[0].logits + i * d->vocab, *p = d->side[1].logits + i * d->vocab;
	double lse[2], sum = 0, *row = d->row + i * 4;
	bool same = log_sum(q, d->vocab, &lse[0]) == log_sum(p, d->vocab, &lse[1]);

	(void)member;
	for (int64_t k = 0; k < d->vocab; k++) {
		double logp = (double)p[k] - lse[1];

		sum += (double)expf((float)logp) * (logp - (double)q[k] + lse[0]);
	}
	row[0] = sum > 0 ? sum : 0;
	row[1] = i + 1 < d->n ? lse[0] - (double)q[d->token[i + 1]] : 0;
	row[2] = i + 1 < d->n ? lse[1] - (double)p[d->token[i + 1]] : 0;
	row[3] = same;
}

static int
forward(struct divergence *d, struct side *s, struct err *err)
{
	const int32_t cu_seqlens[] = { 0, (int32_t)d->n };
	int64_t base = model_rope_base(&s->model->config, d->n);

	tape_set_counts(s->tape, (int32_t)d->n, 1);
	tape_set_wanted(s->tape, (int32_t)d->n);
	tape_upload(s->tape, s->io.token, d->token, d->n);
	tape_upload(s->tape, s->io.pos, d->index + base, d->n);
	tape_upload(s->tape, s->io.row, d->index, d->n);
	tape_upload(s->tape, s->io.cu_seqlens, cu_seqlens, 2);
	tape_forward(s->tape, 0, -1);
	tape_download(s->tape, s->io.logits, s->logits, d->n * d->vocab);
	return dev_wait(s->model->dev, err);
}

int
divergence_compare(struct divergence *d, struct tally *t, struct err *err)
{
	if (forward(d, &d->side[0], err) < 0)
		return -1;
	team_run(d->side[0].model->dev->team, d->n, compare, d);
	for (int64_t i = 0; i < d->n; i++) {
		const double *row = d->row + i * 4;

		buf_add(&t->all, (str){ (const char *)row, sizeof(*row) });
		t->loss[0] += row[1];
		t->loss[1] += row[2];
		t->same += row[3] > 0;
	}
	t->targets += d->n - 1;
	return buf_ok(&t->all, err);
}

int
divergence_pieces(struct divergence *d, const uint32_t *token, int64_t n,
    divergence_each *each, void *ctx, struct err *err)
{
	for (int64_t i = 0; i < n; i++)
		if (token[i] >= d->vocab)
			return err_set(err, ERR_FORMAT, "token %u in a model of %lld", token[i],
			    (long long)d->vocab);
	for (int64_t at = 0; at < n; at += d->context) {
		d->token = token + at;
		d->n = n - at < d->context ? n - at : d->context;
		if (forward(d, &d->side[1], err) < 0 || each(ctx, err) < 0)
			return -1;
	}
	return 0;
}

static int
one(void *ctx, struct err *err)
{
	struct divergence *d = ctx;

	return divergence_compare(d, &d->tally, err);
}

int
divergence_add(struct divergence *d, const uint32_t *token, int64_t n, struct err *err)
{
	return divergence_pieces(d, token, n, one, d, err);
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int
tally_report(const struct tally *t, struct divergence_report *r, struct err *err)
{
	double *kl = (double *)(void *)t->all.p;
	int64_t n = t->all.n / (int64_t)sizeof(double);

	*r = (struct divergence_report){ .tokens = n, .targets = t->targets };
	if (t->targets == 0)
		return err_set(err, ERR_ARG, "no token to predict: no document has two");
	for (int64_t i = 0; i < n; i++)
		r->kl += kl[i] / (double)n;
	qsort(kl, (size_t)n, sizeof(*kl), by_size);
	r->kl_99 = kl[(n - 1) * 99 / 100];
	r->kl_max = kl[n - 1];
	r->same_top = (double)t->same / (double)n;
	r->loss = t->loss[0] / (double)t->targets;
	r->reference_loss = t->loss[1] / (double)t->targets;
	return 0;
}

int
divergence_end(struct divergence *d, struct divergence_report *r, struct err *err)
{
	return tally_report(&d->tally, r, err);
}
