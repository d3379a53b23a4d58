#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "eval/classifier_impl.h"

#define AHEAD 12	/* features whose weights are fetched before they are needed */

int
lessons_add(struct lessons *l, const struct features *f, int label, struct err *err)
{
	int64_t piece = l->n / LESSONS, n = f->n < CLASSIFIER_FEATURES ? f->n : CLASSIFIER_FEATURES;
	struct lesson *x;

	if (piece == l->cap) {
		int64_t cap = l->cap > 0 ? 2 * l->cap : 64;
		void *p = realloc(l->piece, (size_t)cap * sizeof(*l->piece));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->piece = p;
		l->cap = cap;
	}
	if (l->n % LESSONS == 0 && (l->piece[piece] = spill_bytes(&l->spill,
	    LESSONS * (int64_t)sizeof(*x), err)) == NULL)
		return -1;
	x = &l->piece[piece][l->n % LESSONS];
	x->n = (int32_t)n;
	x->label = label;
	x->id = spill_bytes(&l->spill, n * (int64_t)sizeof(*x->id), err);
	if (x->id == NULL)
		return -1;
	if (n > 0)
		memcpy(x->id, f->id, (size_t)n * sizeof(*x->id));
	l->n++;
	l->features += n;
	return 0;
}

void
lessons_free(struct lessons *l)
{
	spill_free(&l->spill);
	free(l->piece);
	*l = (struct lessons){ 0 };
}

void
lessons_relabel(struct lessons *l, const int *to)
{
	for (int64_t i = 0; i < l->n; i++) {
		struct lesson *x = &l->piece[i / LESSONS][i % LESSONS];

		x->label = to[x->label];
	}
}

/* A weight and the sum of its squared gradients, side by side. */
struct cell {
	float	w, g;
};

struct trainer {
	const struct classifier_train *o;
	int		 columns;
	struct cell	*cell;		/* (2^bits, columns) */
	struct cell	*bias;		/* (columns) */
	double		*logit, *error;	/* (columns) */
};

static inline void
update(struct cell *c, float gradient, float rate)
{
	c->g += gradient * gradient;
	c->w -= rate * gradient / sqrtf(c->g);
}

/* What is wrong with the logits, in each column; return the loss. */
static double
errors(const struct trainer *t, int label)
{
	double most = -HUGE_VAL, sum = 0;

	if (t->columns == 1) {
		double z = t->logit[0], p = 1 / (1 + exp(-z));

		t->error[0] = p - label;
		return label ? log1p(exp(-z)) : log1p(exp(z));
	}
	for (int k = 0; k < t->columns; k++)
		most = fmax(most, t->logit[k]);
	for (int k = 0; k < t->columns; k++)
		sum += t->error[k] = exp(t->logit[k] - most);
	for (int k = 0; k < t->columns; k++)
		t->error[k] = t->error[k] / sum - (k == label);
	return log(sum) + most - t->logit[label];
}

/* Learn from one text; return its loss before. */
static double
learn(struct trainer *t, const struct lesson *x)
{
	int columns = t->columns;
	float scale = (float)(1 / sqrt(x->n > 0 ? (double)x->n : 1)), rate = (float)t->o->rate;
	double loss;

	for (int k = 0; k < columns; k++)
		t->logit[k] = 0;
	for (int64_t i = 0; i < x->n; i++) {
		const struct cell *c = t->cell + (int64_t)x->id[i] * columns;

		if (i + AHEAD < x->n)
			__builtin_prefetch(t->cell + (int64_t)x->id[i + AHEAD] * columns);
		for (int k = 0; k < columns; k++)
			t->logit[k] += (double)c[k].w;
	}
	for (int k = 0; k < columns; k++)
		t->logit[k] = t->logit[k] * (double)scale + (double)t->bias[k].w;
	loss = errors(t, x->label);
	for (int64_t i = 0; i < x->n; i++) {
		struct cell *c = t->cell + (int64_t)x->id[i] * columns;

		for (int k = 0; k < columns; k++)
			update(&c[k], (float)t->error[k] * scale + 1e-12f, rate);
	}
	for (int k = 0; k < columns; k++)
		update(&t->bias[k], (float)t->error[k] + 1e-12f, rate);
	return loss;
}

static void
train(struct trainer *t, const struct lessons *l)
{
	const struct classifier_train *o = t->o;

	for (int epoch = 0; epoch < o->epochs; epoch++) {
		double loss = 0;

		for (int64_t i = 0; i < l->n; i++) {
			int64_t at = (int64_t)rng_permute((uint64_t)o->seed, (uint64_t)epoch,
			    (uint64_t)i, (uint64_t)l->n);

			loss += learn(t, lesson_at(l, at));
		}
		if (o->epoch != NULL)
			o->epoch(o->ctx, epoch, l->n > 0 ? loss / (double)l->n : 0);
	}
}

struct classifier *
classifier_train(const struct classifier_train *o, const struct lessons *l, struct err *err)
{
	struct classifier *c = classifier_new(&o->features, o->label, o->nlabels, err);
	struct trainer t = { .o = o };
	int64_t n;

	if (c == NULL)
		return NULL;
	t.columns = c->columns;
	n = ((int64_t)1 << o->features.bits) * t.columns;
	t.cell = calloc((size_t)n, sizeof(*t.cell));
	t.bias = calloc((size_t)t.columns, sizeof(*t.bias));
	t.logit = calloc((size_t)t.columns * 2, sizeof(*t.logit));
	if (t.cell == NULL || t.bias == NULL || t.logit == NULL) {
		err_set(err, ERR_NOMEM, "no memory for %lld weights", (long long)n);
		classifier_free(c);
		c = NULL;
	} else {
		t.error = t.logit + t.columns;
		train(&t, l);
		for (int64_t i = 0; i < n; i++)
			c->weight[i] = t.cell[i].w;
		for (int k = 0; k < t.columns; k++)
			c->bias[k] = t.bias[k].w;
	}
	free(t.cell);
	free(t.bias);
	free(t.logit);
	return c;
}

/* ---- calibration ---- */

/* The loss of logits (n, columns) at a slope and a shift, its gradient and second derivatives. */
struct fit {
	double	loss, gs, gb, ss, sb, bb;
};

/* log(1 + e^x) */
static double
softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/*
 * Texts that are told apart wholly have no best slope, so what is fitted is not
 * quite 0 and 1, but what Platt gives for so many texts; with more labels than
 * two, a slope far from 1 costs something.
 */
static struct fit
fit_at(const double *logit, const struct lessons *l, int columns, double slope, double shift)
{
	struct fit f = { 0 };
	double yes = 0, target[2];

	for (int64_t i = 0; i < l->n; i++)
		yes += lesson_at(l, i)->label == 1;
	target[0] = 1 / ((double)l->n - yes + 2);
	target[1] = (yes + 1) / (yes + 2);
	if (columns > 1)
		f = (struct fit){ .loss = (slope - 1) * (slope - 1) / 2, .gs = slope - 1, .ss = 1 };
	for (int64_t i = 0; i < l->n; i++) {
		const double *z = logit + i * columns;
		int label = lesson_at(l, i)->label;
		double most = -HUGE_VAL, sum = 0, mean = 0, square = 0;

		if (columns == 1) {
			double x = slope * z[0] + shift, p = 1 / (1 + exp(-x));
			double d = p - target[label], v = p * (1 - p);

			f.loss += softplus(x) - target[label] * x;
			f.gs += d * z[0];
			f.gb += d;
			f.ss += v * z[0] * z[0];
			f.sb += v * z[0];
			f.bb += v;
			continue;
		}
		for (int k = 0; k < columns; k++)
			most = fmax(most, slope * z[k]);
		for (int k = 0; k < columns; k++) {
			double p = exp(slope * z[k] - most);

			sum += p;
			mean += p * z[k];
			square += p * z[k] * z[k];
		}
		mean /= sum;
		f.loss += log(sum) + most - slope * z[label];
		f.gs += mean - z[label];
		f.ss += square / sum - mean * mean;
	}
	return f;
}

/* Newton's steps, halved while they do not lower the loss. */
static void
fit_steps(struct classifier *c, const double *logit, const struct lessons *l)
{
	for (int step = 0; step < 50; step++) {
		struct fit f = fit_at(logit, l, c->columns, c->slope, c->shift);
		/* So that the matrix has an inverse, however flat the loss is. */
		double ss = f.ss + 1e-3, bb = f.bb + 1e-3, det = ss * bb - f.sb * f.sb;
		double ds = -(bb * f.gs - f.sb * f.gb) / det, db = -(ss * f.gb - f.sb * f.gs) / det;
		double by = 1;

		if (c->columns > 1)
			ds = -f.gs / ss, db = 0;
		while (by > 1e-6 && !(fit_at(logit, l, c->columns, c->slope + by * ds,
		    c->shift + by * db).loss < f.loss))
			by /= 2;
		if (by <= 1e-6 || fabs(by * ds) + fabs(by * db) < 1e-9)
			break;
		c->slope += by * ds;
		c->shift += by * db;
	}
}

int
classifier_calibrate(struct classifier *c, const struct lessons *l, struct err *err)
{
	double *logit = calloc((size_t)(l->n * c->columns + 1), sizeof(*logit));

	if (logit == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < l->n; i++)
		classifier_logits(c, lesson_at(l, i)->id, lesson_at(l, i)->n,
		    logit + i * c->columns);
	c->slope = 1;
	c->shift = 0;
	fit_steps(c, logit, l);
	free(logit);
	return 0;
}
