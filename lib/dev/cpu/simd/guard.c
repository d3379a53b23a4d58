/* The guard of a step: what is skipped, and how far gradients are clipped. */
#include <math.h>
#include <string.h>

#include "dev/cpu/simd/simd.h"

enum { RING = sizeof(((struct dev_history *)0)->loss) / sizeof(double) };

/* The middle of n > 0 values, which are sorted. */
static double
median(double *x, int64_t n)
{
	for (int64_t i = 1; i < n; i++) {
		double v = x[i];
		int64_t j = i;

		for (; j > 0 && x[j - 1] > v; j--)
			x[j] = x[j - 1];
		x[j] = v;
	}
	return n % 2 != 0 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Is x more than mads deviations above the median of the ring? */
static bool
spikes(double x, const double *ring, int64_t n, double mads)
{
	double t[RING], mid, mad;

	memcpy(t, ring, (size_t)n * sizeof(*t));
	mid = median(t, n);
	for (int64_t i = 0; i < n; i++)
		t[i] = fabs(ring[i] - mid);
	mad = fmax(median(t, n), GUARD_MIN_MAD * fabs(mid));
	return x > mid + mads * mad;
}

/* The step's gradients overflowed, or were good, at this loss scale. */
static void
adapt(struct dev_step *s)
{
	if (s->skip == SKIP_OVERFLOW) {
		s->loss_scale = fmax(s->loss_scale / 2, LOSS_SCALE_MIN);
		s->good = 0;
	} else if (s->skip == 0 && ++s->good >= LOSS_SCALE_STEPS) {
		s->loss_scale = fmin(s->loss_scale * 2, LOSS_SCALE_MAX);
		s->good = 0;
	}
}

void
OF_ISA(k_guard)(struct cpu *c, const union dev_args *args)
{
	const struct k_guard *a = &args->guard;
	struct dev_step *s = cpu_ptr(a->step);
	struct dev_history *h = cpu_ptr(a->history);
	int64_t n = h->n < RING ? h->n : RING;
	double loss = s->loss / s->targets, up = s->loss_scale > 0 ? s->loss_scale : 1;

	(void)c;
	s->norm = sqrt(s->sumsq) / up;
	s->scale = (a->clip > 0 && s->norm > a->clip ? a->clip / s->norm : 1) / up;
	s->skip = 0;
	if (!isfinite(loss) || !isfinite(s->norm))
		s->skip = isfinite(loss) && up > LOSS_SCALE_MIN ? SKIP_OVERFLOW : SKIP_NOT_FINITE;
	else if (a->mads > 0 && n > 0 && h->n >= a->least) {
		if (spikes(loss, h->loss, n, a->mads))
			s->skip = SKIP_LOSS;
		else if (spikes(s->norm, h->norm, n, a->mads))
			s->skip = SKIP_NORM;
	}
	if (s->loss_scale > 0)
		adapt(s);
	if (s->skip != 0) {
		s->scale = 0;
		s->skipped += s->skip != SKIP_OVERFLOW;
		return;
	}
	s->skipped = 0;
	s->step++;
	h->loss[h->n % RING] = loss;
	h->norm[h->n % RING] = s->norm;
	h->n++;
}
