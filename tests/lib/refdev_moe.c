#include "refdev.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *
f64(dptr p)
{
	return (double *)(uintptr_t)p.at;
}

static int32_t *
i32(dptr p)
{
	return (int32_t *)(uintptr_t)p.at;
}

static int64_t
count(struct dim d)
{
	return d.n.at == 0 ? d.cap : *i32(d.n) * (d.each > 0 ? d.each : 1);
}

/* ---- routing ---- */

static double
log_sum_exp(const double *x, int64_t n)
{
	double top = -HUGE_VAL, sum = 0;

	for (int64_t i = 0; i < n; i++)
		top = fmax(top, x[i]);
	for (int64_t i = 0; i < n; i++)
		sum += exp(x[i] - top);
	return top + log(sum);
}

static void
scores(double *s, const double *x, int64_t n, bool sigmoid)
{
	double lse = log_sum_exp(x, n);

	for (int64_t i = 0; i < n; i++)
		s[i] = sigmoid ? 1 / (1 + exp(-x[i])) : exp(x[i] - lse);
}

/* The best of key that is not taken. */
static int64_t
best(const double *key, const bool *taken, int64_t from, int64_t to)
{
	int64_t at = -1;

	for (int64_t i = from; i < to; i++)
		if (!taken[i] && (at < 0 || key[i] > key[at]))
			at = i;
	return at;
}

static void
group_limit(const struct k_route *a, const double *key, bool *out)
{
	int64_t size = a->experts / a->groups;
	double good[ROUTE_MAX_EXPERTS];
	bool gone[ROUTE_MAX_EXPERTS] = { false }, used[ROUTE_MAX_EXPERTS] = { false };

	for (int64_t g = 0; g < a->groups; g++) {
		int64_t one = best(key, gone, g * size, g * size + size), two;

		gone[one] = true;
		two = best(key, gone, g * size, g * size + size);
		good[g] = key[one] + (a->pairs && two >= 0 ? key[two] : 0);
	}
	for (int64_t e = 0; e < a->experts; e++)
		out[e] = true;
	for (int64_t i = 0; i < a->top_groups; i++) {
		int64_t g = best(good, used, 0, a->groups);

		used[g] = true;
		for (int64_t e = g * size; e < (g + 1) * size; e++)
			out[e] = false;
	}
}

static double
chosen_sum(const struct k_route *a, const double *s, const int32_t *id)
{
	double sum = 0;

	for (int64_t j = 0; j < a->top; j++)
		sum += s[id[j]];
	return a->normalize ? sum + 1e-20 : 1;
}

static void
route(const struct k_route *a)
{
	int64_t n = a->experts;

	for (int64_t t = 0; t < count(a->t); t++) {
		double s[ROUTE_MAX_EXPERTS], key[ROUTE_MAX_EXPERTS], sum;
		bool out[ROUTE_MAX_EXPERTS] = { false };
		int32_t *id = i32(a->id) + t * a->top;

		scores(s, f64(a->logits) + t * n, n, a->sigmoid);
		for (int64_t e = 0; e < n; e++)
			key[e] = s[e] + (a->bias.at != 0 ? f64(a->bias)[e] : 0);
		if (a->groups > 1)
			group_limit(a, key, out);
		for (int64_t j = 0; j < a->top; j++) {
			id[j] = (int32_t)best(key, out, 0, n);
			out[id[j]] = true;
		}
		sum = chosen_sum(a, s, id);
		for (int64_t j = 0; j < a->top; j++)
			f64(a->weight)[t * a->top + j] = a->scale * s[id[j]] / sum;
	}
}

/* f_e over all layers. */
static double
load(const struct k_route_bwd *a, int64_t e)
{
	const int32_t *offset = i32(a->offset);
	int64_t n = a->f.experts;
	double here = 0, all = 0;

	for (int64_t l = 0; l < a->layers; l++) {
		here += offset[l * (n + 1) + e + 1] - offset[l * (n + 1) + e];
		all += offset[l * (n + 1) + n];
	}
	return all > 0 ? here * (double)a->f.top / all : 0;
}

/* Each through its own Jacobian, written out. */
static void
route_bwd(const struct k_route_bwd *a)
{
	int64_t n = a->f.experts, k = a->f.top;

	for (int64_t t = 0; t < count(a->f.t); t++) {
		const double *x = f64(a->f.logits) + t * n;
		const int32_t *id = i32(a->f.id) + t * k;
		double s[ROUTE_MAX_EXPERTS], p[ROUTE_MAX_EXPERTS], soft[ROUTE_MAX_EXPERTS];
		double ds[ROUTE_MAX_EXPERTS] = { 0 }, dp[ROUTE_MAX_EXPERTS] = { 0 };
		double all = 0, sum, share = a->share.at != 0 ? *f64(a->share) : 0;
		double lse = log_sum_exp(x, n);

		scores(s, x, n, a->f.sigmoid);
		scores(soft, x, n, false);
		for (int64_t e = 0; e < n; e++)
			all += s[e];
		for (int64_t e = 0; e < n; e++) {
			p[e] = s[e] / all;
			dp[e] = share == 0 ? 0 : share * a->aux * (double)n / (double)a->layers * load(a, e);
		}
		sum = chosen_sum(&a->f, s, id);
		for (int64_t j = 0; j < k && a->dweight.at != 0; j++) {
			double dw = a->f.scale * f64(a->dweight)[t * k + j];

			ds[id[j]] += dw / sum;
			for (int64_t m = 0; m < k && a->f.normalize; m++)
				ds[id[m]] -= dw * s[id[j]] / (sum * sum);
		}
		for (int64_t e = 0; e < n; e++)
			for (int64_t i = 0; i < n; i++)
				ds[i] += dp[e] * ((i == e) - p[e]) / all;
		for (int64_t i = 0; i < n; i++) {
			double d = 0;

			for (int64_t e = 0; e < n; e++)
				d += ds[e] * (a->f.sigmoid ? (e == i) * s[e] * (1 - s[e]) :
				    s[e] * ((e == i) - s[i]));
			f64(a->dlogits)[t * n + i] = d + share * a->z * 2 * lse * soft[i];
		}
	}
}

static void
route_sort(const struct k_route_sort *a)
{
	int64_t n = count(a->t) * a->top;
	int32_t at = 0;

	for (int64_t e = 0; e < a->experts; e++) {
		i32(a->offset)[e] = at;
		for (int64_t i = 0; i < n; i++)
			if (i32(a->id)[i] == e) {
				i32(a->row)[i] = at;
				i32(a->token)[at++] = (int32_t)(i / a->top);
			}
	}
	i32(a->offset)[a->experts] = at;
}

static void
route_sum(const struct k_route_sum *a)
{
	int64_t n = a->experts;

	memset(f64(a->sum), 0, (size_t)(n + 1) * sizeof(double));
	for (int64_t t = 0; t < count(a->t); t++) {
		const double *x = f64(a->logits) + t * n;
		double s[ROUTE_MAX_EXPERTS], all = 0;

		scores(s, x, n, a->sigmoid);
		for (int64_t e = 0; e < n; e++)
			all += s[e];
		for (int64_t e = 0; e < n; e++)
			f64(a->sum)[e] += s[e] / all;
		f64(a->sum)[n] += pow(log_sum_exp(x, n), 2);
	}
}

static void
balance(const struct k_balance *a)
{
	int64_t n = a->experts;
	double t = (double)count(a->t), l = (double)a->layers;

	for (int64_t e = 0; e < n; e++) {
		double f = 0, p = 0;

		for (int64_t i = 0; i < a->layers; i++) {
			const int32_t *offset = i32(a->offset) + i * (n + 1) + e;

			i32(a->count)[i * n + e] += offset[1] - offset[0];
			f += (offset[1] - offset[0]) / (l * t);
			p += f64(a->sum)[i * (n + 1) + e] / (l * t);
		}
		f64(a->loss)[0] += t > 0 ? t * (double)n * f * p : 0;
	}
	for (int64_t i = 0; i < a->layers && t > 0; i++)
		f64(a->loss)[1] += f64(a->sum)[i * (n + 1) + n];
}

static void
balance_bias(const struct k_balance_bias *a)
{
	const struct dev_step *s = (void *)f64(a->step);
	double mean = 0;

	for (int64_t e = 0; e < a->experts; e++)
		mean += (double)i32(a->count)[e] / (double)a->experts;
	for (int64_t e = 0; e < a->experts; e++) {
		double more = i32(a->count)[e] - mean;

		if (s->skip == 0 && fabs(more) > 1e-9)
			f64(a->bias)[e] -= a->rate * (more > 0 ? 1 : -1);
		i32(a->count)[e] = 0;
	}
}

/* ---- rows and columns ---- */

static void
combine(const struct k_combine *a)
{
	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t i = 0; i < a->c; i++) {
			double s = a->add ? f64(a->y)[t * a->c + i] : 0;

			for (int64_t j = t * a->top; j < (t + 1) * a->top; j++)
				s += (a->weight.at != 0 ? f64(a->weight)[j] : 1) *
				    f64(a->x)[i32(a->row)[j] * a->c + i];
			f64(a->y)[t * a->c + i] = s;
		}
}

static void
combine_bwd(const struct k_combine_bwd *a)
{
	for (int64_t j = 0; j < count(a->t) * a->top; j++) {
		int64_t row = i32(a->row)[j] * a->c;
		double d = 0;

		for (int64_t i = 0; i < a->c; i++) {
			double dy = f64(a->dy)[j / a->top * a->c + i];

			d += dy * f64(a->x)[row + i];
			f64(a->dx)[row + i] = f64(a->weight)[j] * dy;
		}
		if (a->dweight.at != 0)
			f64(a->dweight)[j] = d;
	}
}

static void
slice(const struct k_slice *a)
{
	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t h = 0; h < a->heads; h++)
			for (int64_t i = 0; i < a->c; i++) {
				double *y = f64(a->y) + t * a->ldy + h * a->stepy + i;

				*y = f64(a->x)[t * a->ldx + h * a->stepx + i] +
				    (a->add || (h > 0 && a->stepy == 0) ? *y : 0);
			}
}

static double
factor(const struct k_scale *a, int64_t i)
{
	return a->alpha * (a->w.at != 0 ? f64(a->w)[i] : 1) * (a->r.at != 0 ? f64(a->r)[i] : 1);
}

static void
scale(const struct k_scale *a)
{
	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t i = 0; i < a->c; i++)
			f64(a->y)[t * a->c + i] = f64(a->x)[t * a->c + i] * factor(a, i) +
			    (a->bias.at != 0 ? f64(a->bias)[i] : 0);
}

static void
scale_bwd(const struct k_scale_bwd *a)
{
	for (int64_t t = 0; t < count(a->f.t); t++)
		for (int64_t i = 0; i < a->f.c; i++) {
			int64_t at = t * a->f.c + i;
			double dy = f64(a->dy)[at];

			if (a->dx.at != 0)
				f64(a->dx)[at] = dy * factor(&a->f, i) +
				    (a->add ? f64(a->dx)[at] : 0);
			if (a->dw.at != 0)
				f64(a->dw)[i] += dy * f64(a->f.x)[at] * a->f.alpha *
				    (a->f.r.at != 0 ? f64(a->f.r)[i] : 1);
		}
}

bool
refdev_moe(int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_ROUTE:		route(&a->route); break;
	case K_ROUTE_BWD:	route_bwd(&a->route_bwd); break;
	case K_ROUTE_SORT:	route_sort(&a->route_sort); break;
	case K_ROUTE_SUM:	route_sum(&a->route_sum); break;
	case K_BALANCE:		balance(&a->balance); break;
	case K_BALANCE_BIAS:	balance_bias(&a->balance_bias); break;
	case K_COMBINE:		combine(&a->combine); break;
	case K_COMBINE_BWD:	combine_bwd(&a->combine_bwd); break;
	case K_SLICE:		slice(&a->slice); break;
	case K_SCALE:		scale(&a->scale); break;
	case K_SCALE_BWD:	scale_bwd(&a->scale_bwd); break;
	default:		return false;
	}
	return true;
}
