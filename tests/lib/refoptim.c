/* The guard of a step and the optimizers of refdev, as kernels.h defines them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "refdev.h"

static double *
f64(dptr p)
{
	return (double *)(uintptr_t)p.at;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *x, int64_t n)
{
	qsort(x, (size_t)n, sizeof(*x), by_value);
	return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

static bool
spikes(double x, const double *ring, int64_t n, double mads)
{
	double t[128], mid, mad;

	memcpy(t, ring, (size_t)n * sizeof(*t));
	mid = median(t, n);
	for (int64_t i = 0; i < n; i++)
		t[i] = fabs(ring[i] - mid);
	mad = fmax(median(t, n), GUARD_MIN_MAD * fabs(mid));
	return x > mid + mads * mad;
}

static void
guard(const struct k_guard *a)
{
	struct dev_step *s = (void *)f64(a->step);
	struct dev_history *h = (void *)f64(a->history);
	int64_t n = h->n < 128 ? h->n : 128;
	double loss = s->loss / s->targets;
	bool judge = a->mads > 0 && n > 0 && h->n >= a->least;
	double up = s->loss_scale > 0 ? s->loss_scale : 1;

	s->norm = sqrt(s->sumsq) / up;
	s->scale = (a->clip > 0 && s->norm > a->clip ? a->clip / s->norm : 1) / up;
	s->skip = isfinite(loss) && !isfinite(s->norm) && up > 1 ? 4 :
	    !isfinite(loss) || !isfinite(s->norm) ? 1 :
	    judge && spikes(loss, h->loss, n, a->mads) ? 2 :
	    judge && spikes(s->norm, h->norm, n, a->mads) ? 3 : 0;
	if (s->skip == 4) {
		s->scale = 0;
		s->loss_scale = up / 2 > 1 ? up / 2 : 1;
		s->good = 0;
		return;
	}
	if (s->skip != 0) {
		s->scale = 0;
		s->skipped++;
		return;
	}
	if (s->loss_scale > 0 && ++s->good == 2000) {
		s->loss_scale = up < 1 << 24 ? 2 * up : up;
		s->good = 0;
	}
	s->skipped = 0;
	s->step++;
	h->loss[h->n % 128] = loss;
	h->norm[h->n++ % 128] = s->norm;
}

static void
out_copy(dptr p_out, dtype type, const double *p, int64_t n)
{
	if (p_out.at != 0)
		dtype_convert(f64(p_out), type, p, DTYPE_F64, n);
}

static void
adamw(const struct k_adamw *a)
{
	const struct dev_step *s = (void *)f64(a->step);
	double lr = s->lr * a->lr_scale, *p = f64(a->p), *m = f64(a->m.at), *v = f64(a->v.at);

	for (int64_t i = 0; i < a->n && s->skip == 0; i++) {
		double g = f64(a->g)[i] * s->scale, mh, vh;

		m[i] = a->beta1 * m[i] + (1 - a->beta1) * g;
		v[i] = a->beta2 * v[i] + (1 - a->beta2) * g * g;
		mh = m[i] / (1 - pow(a->beta1, (double)s->step));
		vh = v[i] / (1 - pow(a->beta2, (double)s->step));
		p[i] -= lr * a->decay * p[i] + lr * mh / (sqrt(vh) + a->eps);
	}
	if (s->skip == 0)
		out_copy(a->p_out, a->p_type, p, a->n);
}

static void
lion(const struct k_lion *a)
{
	const struct dev_step *s = (void *)f64(a->step);
	double lr = s->lr * a->lr_scale, *p = f64(a->p), *m = f64(a->m.at);

	for (int64_t i = 0; i < a->n && s->skip == 0; i++) {
		double g = f64(a->g)[i] * s->scale, way = a->beta1 * m[i] + (1 - a->beta1) * g;

		m[i] = a->beta2 * m[i] + (1 - a->beta2) * g;
		p[i] -= lr * (a->decay * p[i] + (double)((way > 0) - (way < 0)));
	}
	if (s->skip == 0)
		out_copy(a->p_out, a->p_type, p, a->n);
}

/* New means of squares of rows and columns, and what their product is divided by. */
static double
factors(const struct k_adafactor *a, const struct dev_step *s)
{
	double *g = f64(a->g), mean = 0, b = 1 - pow((double)s->step, a->power);

	for (int64_t r = 0; r < a->rows; r++) {
		f64(a->row)[r] *= b;
		for (int64_t c = 0; c < a->cols; c++)
			f64(a->row)[r] += (1 - b) / (double)a->cols *
			    (pow(g[r * a->cols + c] * s->scale, 2) + a->eps);
		mean += f64(a->row)[r] / (double)a->rows;
	}
	for (int64_t c = 0; c < a->cols && a->col.at != 0; c++) {
		f64(a->col)[c] *= b;
		for (int64_t r = 0; r < a->rows; r++)
			f64(a->col)[c] += (1 - b) / (double)a->rows *
			    (pow(g[r * a->cols + c] * s->scale, 2) + a->eps);
	}
	return mean;
}

static double
direction(const struct k_adafactor *a, const struct dev_step *s, double mean, int64_t i)
{
	double v = f64(a->row)[i / a->cols];

	if (a->col.at != 0)
		v *= f64(a->col)[i % a->cols] / mean;
	return f64(a->g)[i] * s->scale / sqrt(v);
}

static void
adafactor(const struct k_adafactor *a)
{
	const struct dev_step *s = (void *)f64(a->step);
	int64_t n = a->rows * a->cols;
	double *p = f64(a->p), lr = s->lr * a->lr_scale, size = 0, mean;

	if (s->skip != 0)
		return;
	mean = factors(a, s);
	for (int64_t i = 0; i < n; i++)
		size += pow(direction(a, s, mean, i), 2) / (double)n;
	size = fmax(1, sqrt(size) / a->clip);
	for (int64_t i = 0; i < n; i++)
		p[i] -= lr * (a->decay * p[i] + direction(a, s, mean, i) / size);
	out_copy(a->p_out, a->p_type, p, n);
}

static void
momentum(const struct k_momentum *a)
{
	const struct dev_step *s = (void *)f64(a->step);

	for (int64_t i = 0; i < a->n; i++) {
		double g = f64(a->g)[i] * s->scale, *m = &f64(a->m.at)[i];

		if (s->skip == 0)
			*m = a->beta * *m + (1 - a->beta) * g;
		f64(a->y)[i] = s->skip == 0 ? a->beta * *m + (1 - a->beta) * g : 0;
	}
}

static void
normalize(const struct k_normalize *a)
{
	for (int64_t i = 0; i < a->n; i++)
		f64(a->y)[i] = f64(a->x)[i] / (sqrt(*f64(a->sumsq)) + a->eps);
}

static void
update(const struct k_update *a)
{
	const struct dev_step *s = (void *)f64(a->step);
	double *p = f64(a->p);

	for (int64_t i = 0; i < a->n && s->skip == 0; i++)
		p[i] -= s->lr * (a->decay * p[i] + a->lr_scale * f64(a->x)[i]);
	if (s->skip == 0)
		out_copy(a->p_out, a->p_type, p, a->n);
}

static void
ema(const struct k_ema *a)
{
	const struct dev_step *s = (void *)f64(a->step);
	double t = (double)s->step, d = fmin(a->decay, (1 + t) / (10 + t));

	for (int64_t i = 0; i < a->n && s->skip == 0; i++)
		f64(a->y)[i] = d * f64(a->y)[i] + (1 - d) * f64(a->x)[i];
}

static void
swap(const struct k_swap *a)
{
	for (int64_t i = 0; i < a->n; i++) {
		double was = f64(a->a)[i];

		f64(a->a)[i] = f64(a->b)[i];
		f64(a->b)[i] = was;
	}
	out_copy(a->p_out, a->p_type, f64(a->a), a->n);
}

void
ref_optim(int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_GUARD:		guard(&a->guard); break;
	case K_ADAMW:		adamw(&a->adamw); break;
	case K_LION:		lion(&a->lion); break;
	case K_ADAFACTOR:	adafactor(&a->adafactor); break;
	case K_MOMENTUM:	momentum(&a->momentum); break;
	case K_NORMALIZE:	normalize(&a->normalize); break;
	case K_UPDATE:		update(&a->update); break;
	case K_EMA:		ema(&a->ema); break;
	case K_SWAP:		swap(&a->swap); break;
	default:		break;
	}
}
