#include "eval/roc.h"

#include <math.h>
#include <stdlib.h>

int
roc_add(struct roc *r, float score, bool has, struct err *err)
{
	double p = has ? (double)score : 1 - (double)score;

	if (r->n == r->cap) {
		int64_t cap = r->cap > 0 ? 2 * r->cap : 1024;
		void *p2 = realloc(r->text, (size_t)cap * sizeof(*r->text));

		if (p2 == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->text = p2;
		r->cap = cap;
	}
	r->text[r->n++] = (struct roc_text){ score, has };
	r->nhas += has;
	r->loss -= log(p > 1e-15 ? p : 1e-15);
	r->square += (1 - p) * (1 - p);
	return 0;
}

static int
highest_first(const void *x, const void *y)
{
	float a = ((const struct roc_text *)x)->score, b = ((const struct roc_text *)y)->score;

	return a > b ? -1 : a < b;
}

void
roc_end(struct roc *r)
{
	if (r->n > 0)
		qsort(r->text, (size_t)r->n, sizeof(*r->text), highest_first);
}

double
roc_auc(const struct roc *r)
{
	double pairs = (double)r->nhas * (double)(r->n - r->nhas), sum = 0;
	int64_t has = 0;	/* of higher scores */

	if (pairs == 0)
		return (double)NAN;
	for (int64_t i = 0, j; i < r->n; i = j) {
		int64_t with = 0, without = 0;

		for (j = i; j < r->n && r->text[j].score == r->text[i].score; j++)
			*(r->text[j].has ? &with : &without) += 1;
		sum += (double)without * ((double)has + (double)with / 2);
		has += with;
	}
	return sum / pairs;
}

/* How many have that score or more. */
static int64_t
count_from(const struct roc *r, double threshold)
{
	int64_t low = 0, high = r->n;

	while (low < high) {
		int64_t at = low + (high - low) / 2;

		if ((double)r->text[at].score >= threshold)
			low = at + 1;
		else
			high = at;
	}
	return low;
}

struct roc_at
roc_at(const struct roc *r, double threshold)
{
	int64_t n = count_from(r, threshold), has = 0;

	for (int64_t i = 0; i < n; i++)
		has += r->text[i].has;
	return (struct roc_at){
		.threshold = threshold,
		.kept = r->n > 0 ? (double)n / (double)r->n : 0,
		.precision = n > 0 ? (double)has / (double)n : 1,
		.recall = r->nhas > 0 ? (double)has / (double)r->nhas : 1,
	};
}

double
roc_threshold(const struct roc *r, double rate)
{
	int64_t n = (int64_t)ceil(rate * (double)r->n - 1e-9);

	if (n <= 0 || r->n == 0)
		return (double)INFINITY;
	return (double)r->text[(n < r->n ? n : r->n) - 1].score;
}

double
roc_calibration(const struct roc *r)
{
	double score[10] = { 0 }, has[10] = { 0 }, sum = 0;

	for (int64_t i = 0; i < r->n; i++) {
		int at = (int)(r->text[i].score * 10);

		at = at < 0 ? 0 : at > 9 ? 9 : at;
		score[at] += (double)r->text[i].score;
		has[at] += r->text[i].has;
	}
	for (int i = 0; i < 10; i++)
		sum += fabs(score[i] - has[i]);
	return r->n > 0 ? sum / (double)r->n : 0;
}

static int
add_row(json_t *rows, struct roc_at at)
{
	return json_array_append_new(rows, json_pack("{s:f,s:f,s:f,s:f}", "threshold",
	    isfinite(at.threshold) ? at.threshold : 1.0, "kept", at.kept, "precision",
	    at.precision, "recall", at.recall));
}

json_t *
roc_report(const struct roc *r)
{
	static const double rates[] = { 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5 };
	double auc = roc_auc(r), n = r->n > 0 ? (double)r->n : 1;
	json_t *at = json_array(), *by = json_array(), *all = json_pack(
	    "{s:I,s:I,s:o,s:f,s:f,s:f,s:o,s:o}", "records", (json_int_t)r->n,
	    "with_label", (json_int_t)r->nhas, "auc", isnan(auc) ? json_null() : json_real(auc),
	    "log_loss", r->loss / n, "brier", r->square / n, "calibration_error",
	    roc_calibration(r), "at_threshold", at, "at_rate", by);

	for (int i = 1; i < 10 && all != NULL; i++)
		add_row(at, roc_at(r, i / 10.0));
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates) && all != NULL; i++)
		add_row(by, roc_at(r, roc_threshold(r, rates[i])));
	return all;
}

void
roc_free(struct roc *r)
{
	free(r->text);
	*r = (struct roc){ 0 };
}

int
outcome_begin(struct outcome *o, char *const *label, int nlabels, struct err *err)
{
	*o = (struct outcome){ .label = label, .nlabels = nlabels };
	if (nlabels > OUTCOME_LABELS)
		return 0;
	o->roc = calloc((size_t)nlabels, sizeof(*o->roc));
	return o->roc != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

int
outcome_add(struct outcome *o, int label, const float *p, struct err *err)
{
	int best = 0;

	for (int i = 0; i < o->nlabels; i++) {
		if (p != NULL && p[i] >= p[best])
			best = i;
		if (o->roc != NULL && roc_add(&o->roc[i], p != NULL ? p[i] : 0, i == label,
		    err) < 0)
			return -1;
	}
	o->n++;
	o->right += p != NULL && best == label;
	return 0;
}

json_t *
outcome_end(struct outcome *o)
{
	json_t *labels = json_object(), *report = json_pack("{s:I,s:f,s:o}", "records",
	    (json_int_t)o->n, "accuracy", o->n > 0 ? (double)o->right / (double)o->n : 0.0,
	    "labels", labels);

	for (int i = 0; o->roc != NULL && i < o->nlabels; i++) {
		roc_end(&o->roc[i]);
		if (report != NULL)
			json_object_set_new(labels, o->label[i], roc_report(&o->roc[i]));
		roc_free(&o->roc[i]);
	}
	free(o->roc);
	o->roc = NULL;
	return report;
}
