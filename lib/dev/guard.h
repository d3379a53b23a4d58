/*
 * guard - what K_GUARD decides of a step: what is skipped, and how far gradients are clipped
 */
#ifndef DEV_GUARD_H
#define DEV_GUARD_H

#include <math.h>

#include "base/alike.h"
#include "dev/kernels_optim.h"

enum { GUARD_RING = sizeof(((struct dev_history *)0)->loss) / sizeof(double) };

/* The middle of n > 0 values, which are sorted. */
ALIKE double
guard_median(double *x, int64_t n)
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

/* Is x more than mads deviations above the median of the ring?  t (n) is for its own use. */
ALIKE bool
guard_spikes(double x, const double *ring, int64_t n, double mads, double *t)
{
	double mid, mad;

	for (int64_t i = 0; i < n; i++)
		t[i] = ring[i];
	mid = guard_median(t, n);
	for (int64_t i = 0; i < n; i++)
		t[i] = fabs(ring[i] - mid);
	mad = fmax(guard_median(t, n), GUARD_MIN_MAD * fabs(mid));
	return x > mid + mads * mad;
}

/* The step's gradients overflowed, or were good, at this loss scale. */
ALIKE void
guard_adapt(struct dev_step *s)
{
	if (s->skip == SKIP_OVERFLOW) {
		s->loss_scale = fmax(s->loss_scale / 2, LOSS_SCALE_MIN);
		s->good = 0;
	} else if (s->skip == 0 && ++s->good >= LOSS_SCALE_STEPS) {
		s->loss_scale = fmin(s->loss_scale * 2, LOSS_SCALE_MAX);
		s->good = 0;
	}
}

/* The kernel, with room for GUARD_RING numbers. */
ALIKE void
guard_judge(const struct k_guard *a, struct dev_step *s, struct dev_history *h, double *t)
{
	int64_t n = h->n < GUARD_RING ? h->n : GUARD_RING;
	double loss = s->loss / s->targets, up = s->loss_scale > 0 ? s->loss_scale : 1;

	s->norm = sqrt(s->sumsq) / up;
	s->scale = (a->clip > 0 && s->norm > a->clip ? a->clip / s->norm : 1) / up;
	s->skip = 0;
	if (!isfinite(loss) || !isfinite(s->norm))
		s->skip = isfinite(loss) && up > LOSS_SCALE_MIN ? SKIP_OVERFLOW : SKIP_NOT_FINITE;
	else if (a->mads > 0 && n > 0 && h->n >= a->least) {
		if (guard_spikes(loss, h->loss, n, a->mads, t))
			s->skip = SKIP_LOSS;
		else if (guard_spikes(s->norm, h->norm, n, a->mads, t))
			s->skip = SKIP_NORM;
	}
	if (s->loss_scale > 0)
		guard_adapt(s);
	if (s->skip != 0) {
		s->scale = 0;
		s->skipped += s->skip != SKIP_OVERFLOW;
		return;
	}
	s->skipped = 0;
	s->step++;
	h->loss[h->n % GUARD_RING] = loss;
	h->norm[h->n % GUARD_RING] = s->norm;
	h->n++;
}

#endif
