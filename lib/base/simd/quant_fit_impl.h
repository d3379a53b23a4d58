/*
 * quant_fit_impl - scales whose rounding errors are least
 *
 * A part is up to 32 elements y, more of I4, that become y = d q - m, q of a
 * grid of levels.
 * The error is the sum of w (y - d q + m)^2.  For given q the best d and m are
 * those of least squares; for given d and m the best q is the nearest level.
 * Which q to begin with is tried: FIT_TRIES candidates side by side, one in a
 * lane, so that no sum crosses lanes.
 */
#ifndef BASE_SIMD_QUANT_FIT_IMPL_H
#define BASE_SIMD_QUANT_FIT_IMPL_H

#include <math.h>
#include <stdbool.h>

#include "base/quant_impl.h"
#include "base/simd/vec.h"

enum { FIT_TRIES = 16, FIT_PART = 32 };

struct fit_grid {
	int	n;		/* elements of a part */
	float	lo, hi;		/* levels: whole numbers from lo to hi */
	bool	iq4;		/* or those of IQ4 */
	bool	affine;		/* m is not 0 */
};

/* What candidates are, and what comes of them. */
struct fit_tries {
	float	d[FIT_TRIES], m[FIT_TRIES];
	float	err[FIT_TRIES];
	float	q[FIT_TRIES], qq[FIT_TRIES], yq[FIT_TRIES];	/* sums of w q, w q q, w y q */
};

struct fit {
	float	d, m, err;	/* err less that of zeros: 0 or below */
};

INLINE vf
fit_iq4(vf v)
{
	static const int8_t value[16] = IQ4_VALUES;
	vf r = vset(-127);

	for (int i = 1; i < 16; i++) {
		vf middle = vset(0.5f * (float)(value[i] + value[i - 1]));

		r += (vf)((vi)vset((float)(value[i] - value[i - 1])) & (v > middle));
	}
	return r;
}

/* The level nearest to v, in float; halves to even. */
INLINE vf
fit_level(const struct fit_grid *g, vf v)
{
	const vf round = vset(12582912);	/* 1.5 2^23: what is below is rounded off */

	v = vmax(vmin(v, vset(g->iq4 ? 127 : g->hi)), vset(g->iq4 ? -127 : g->lo));
	return g->iq4 ? fit_iq4(v) : v + round - round;
}

/* One over d, 0 for 0. */
INLINE vf
fit_inverse(vf d)
{
	return (vf)((vi)(vset(1) / d) & (d != vset(0)));
}

enum { FIT_ERRORS = 1, FIT_SUMS = 2 };	/* what is wanted of tries */

INLINE void
fit_try(const struct fit_grid *g, const float *y, const float *w, struct fit_tries *t, int want)
{
	for (int k = 0; k < FIT_TRIES; k += VW) {
		vf d = vload(t->d + k), m = g->affine ? vload(t->m + k) : vset(0);
		vf inv = fit_inverse(d), err = vset(0), sq = err, sqq = err, syq = err;

		for (int i = 0; i < g->n; i++) {
			vf v = g->affine ? vset(y[i]) + m : vset(y[i]);
			vf q = fit_level(g, v * inv), wq = vset(w[i]) * q;

			if (want & FIT_ERRORS)
				err += vset(w[i]) * (v - d * q) * (v - d * q);
			if (want & FIT_SUMS) {
				sq += g->affine ? wq : vset(0);
				sqq += wq * q;
				syq += vset(y[i]) * wq;
			}
		}
		vstore(t->err + k, err);
		vstore(t->q + k, sq);
		vstore(t->qq + k, sqq);
		vstore(t->yq + k, syq);
	}
}

/* The try with the least error. */
INLINE int
fit_least(const struct fit_tries *t)
{
	int best = 0;

	for (int k = 1; k < FIT_TRIES; k++)
		if (t->err[k] < t->err[best])
			best = k;
	return best;
}

/* ---- a scale alone ---- */

/* The first element farthest from zero, with its sign; n is a multiple of 16. */
INLINE float
fit_extreme(const float *y, int n)
{
	vf above = vset(0), below = vset(0);
	float hi, lo;

	for (int i = 0; i < n; i += VW) {
		above = vmax(vload(y + i), above);
		below = vmax(-vload(y + i), below);
	}
	hi = vtop(above);
	lo = vtop(below);
	if (hi != lo)
		return hi > lo ? hi : -lo;
	for (int i = 0; i < n; i++)
		if (fabsf(y[i]) == hi)
			return y[i];
	return hi;
}

/* Take the tries' d of least squares, and the best of them where it is better. */
INLINE void
fit_best_scale(struct fit_tries *t, struct fit *best)
{
	int k;

	for (k = 0; k < FIT_TRIES; k += VW) {
		vf yq = vload(t->yq + k), d = yq * fit_inverse(vload(t->qq + k));

		vstore(t->d + k, d);
		vstore(t->err + k, -d * yq);
	}
	k = fit_least(t);
	if (t->err[k] < best->err)
		*best = (struct fit){ t->d[k], 0, t->err[k] };
}

/*
 * The element farthest from zero on the outermost level of one side or the
 * other, or beyond it, where it is cut: the fewer levels, the more that pays.
 */
INLINE struct fit
fit_scale(const struct fit_grid *g, const float *y, const float *w)
{
	struct fit_tries t = { .m = { 0 } };
	struct fit best = { 0 };
	float far = fit_extreme(y, g->n), step = 0.6f / (4 + 0.5f * (g->iq4 ? 8 : g->hi));

	if (far == 0)
		return best;
	for (int k = 0; k < FIT_TRIES; k++)
		t.d[k] = far / (k % 2 ? g->hi : g->lo) * (1 + step * (1 - (float)(k / 2)));
	fit_try(g, y, w, &t, FIT_SUMS);
	fit_best_scale(&t, &best);
	return best;
}

/* The same, closer. */
INLINE struct fit
fit_fine_scale(const struct fit_grid *g, const float *y, const float *w)
{
	struct fit_tries t = { .m = { 0 } };
	struct fit best = fit_scale(g, y, w);
	float d = best.d;

	for (int k = 0; k < FIT_TRIES; k++)
		t.d[k] = d * (1 + 0.006f * (float)(k - FIT_TRIES / 2));
	fit_try(g, y, w, &t, FIT_SUMS);
	fit_best_scale(&t, &best);
	return best;
}

/* ---- a scale and a least value, -m ---- */

INLINE float
fit_add(float part[16])
{
	for (int width = 8; width > 0; width /= 2)
		for (int k = 0; k < width; k++)
			part[k] += part[k + width];
	return part[0];
}

/* The least and the largest element. */
INLINE void
fit_range(const float *y, int n, float *lo, float *hi)
{
	vf least = vload(y), most = least;

	for (int i = VW; i < n; i += VW) {
		least = vmin(vload(y + i), least);
		most = vmax(vload(y + i), most);
	}
	*hi = vtop(most);
	*lo = -vtop(-least);
}

struct fit_sums {
	float	w, y;	/* sums of w and w y */
};

/* In sixteen sums each, whatever the vectors are. */
INLINE struct fit_sums
fit_sum(const float *y, const float *w, int n)
{
	float sw[16] = { 0 }, sy[16] = { 0 };

	for (int i = 0; i < n; i += 16)
		for (int k = 0; k < 16; k++) {
			sw[k] += w[i + k];
			sy[k] += w[i + k] * y[i + k];
		}
	return (struct fit_sums){ fit_add(sw), fit_add(sy) };
}

/*
 * Take the tries' d and m of least squares, m >= 0 unless it is free, and the
 * best of them where it is better.
 */
INLINE void
fit_best_affine(const struct fit_sums *s, struct fit_tries *t, bool is_free, struct fit *best)
{
	vf sw = vset(s->w), sy = vset(s->y);
	int k;

	for (k = 0; k < FIT_TRIES; k += VW) {
		vf q = vload(t->q + k), qq = vload(t->qq + k), yq = vload(t->yq + k);
		vf det = qq * sw - q * q, d = (yq * sw - sy * q) * fit_inverse(det);
		vf m = (d * q - sy) * vset(1 / s->w), err;
		/* Levels that are all alike leave but rounding in det. */
		vi alone = det < vset(1e-5f) * qq * sw;

		if (!is_free)
			alone |= m < vset(0);
		d = vsel(alone, yq * fit_inverse(qq), d);
		m = vsel(alone, vset(0), m);
		err = d * (d * qq - vset(2) * (yq + m * q)) + m * (m * sw + vset(2) * sy);
		vstore(t->d + k, d);
		vstore(t->m + k, m);
		vstore(t->err + k, vsel(d > vset(0), err, vset(0)));
	}
	k = fit_least(t);
	if (t->err[k] < best->err)
		*best = (struct fit){ t->d[k], t->m[k], t->err[k] };
}

/* Candidates that cut or stretch the range [lo, hi] at both ends, four by four. */
INLINE void
fit_ranges(const struct fit_grid *g, struct fit_tries *t, float lo, float hi, float at, float step)
{
	float range = hi - lo;

	for (int k = 0; k < FIT_TRIES; k++) {
		float a = lo + range * (at + step * (float)(k % 4));
		float b = hi - range * (at + step * (float)(k / 4));

		t->m[k] = -a;
		t->d[k] = (b - a) / g->hi;
	}
}

INLINE struct fit
fit_affine(const struct fit_grid *g, const float *y, const float *w, const struct fit_sums *s,
    bool is_free)
{
	struct fit_tries t;
	struct fit best = { 0 };
	float lo, hi, step = 0.5f / g->hi;

	fit_range(y, g->n, &lo, &hi);
	if (lo > 0 && !is_free)
		lo = 0;
	if (!(hi > lo)) {
		best.m = -lo;
		return best;
	}
	fit_ranges(g, &t, lo, hi, -0.5f * step, step);
	fit_try(g, y, w, &t, FIT_SUMS);
	fit_best_affine(s, &t, is_free, &best);
	for (int round = 0; round < 2; round++) {
		float a = -best.m, b = best.d * g->hi - best.m;

		step *= 0.4f;
		fit_ranges(g, &t, a, b, -1.5f * step, step);
		fit_try(g, y, w, &t, FIT_SUMS);
		fit_best_affine(s, &t, is_free, &best);
	}
	return best;
}

/* The levels of a part, as whole numbers from 0 on (IQ4: their indices). */
INLINE void
fit_levels(const struct fit_grid *g, uint8_t *q, const float *y, float d, float m)
{
	static const int8_t value[16] = IQ4_VALUES;
	float inv = d != 0 ? 1 / d : 0, level[FIT_PART];

	for (int i = 0; i < g->n; i += VW)
		vstore(level + i, fit_level(g, (vload(y + i) + vset(m)) * vset(inv)));
	for (int i = 0; i < g->n; i++) {
		if (!g->iq4) {
			q[i] = (uint8_t)(level[i] - g->lo);
			continue;
		}
		q[i] = 0;
		for (int k = 1; k < 16; k++)
			q[i] = (uint8_t)(q[i] + ((float)value[k] <= level[i]));
	}
}

#endif
