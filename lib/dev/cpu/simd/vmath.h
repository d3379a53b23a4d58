/*
 * vmath - exp, tanh and their like on vectors, within 2 or 3 ulp
 *
 * The polynomials are minimax fits of ours.  NaN in is NaN out.
 */
#ifndef DEV_SIMD_VMATH_H
#define DEV_SIMD_VMATH_H

#include "base/simd/vec.h"

/* e^x; 0 below -86.6, where the result nears the smallest normal number. */
INLINE vf
vexp(vf x)
{
	const float big = 0x1.8p23f;	/* adding it rounds to an integer */
	vf t, n, r, p;
	vi keep = ~(vi)(x < -86.6f);

	x = vmin(vset(89.5f), x);
	t = vfma(x, vset(1.44269504f), vset(big));
	n = t - big;
	r = vfma(n, vset(-0.693145752f), x);
	r = vfma(n, vset(-1.42860677e-6f), r);
	p = vfma(vset(0.00138145941f), r, vset(0.00836871751f));
	p = vfma(p, r, vset(0.041668389f));
	p = vfma(p, r, vset(0.166665211f));
	p = vfma(p, r, vset(0.49999994f));
	p = vfma(p, r, vset(1.0f));
	p = vfma(p, r, vset(1.0f));
	/* 2^n as 2 * 2^(n - 1): n may be 128. */
	p = (p + p) * (vf)(((vu)t + 126) << 23);
	return (vf)((vi)p & keep);
}

/* ln(1 + x) of x in [0, 1] */
INLINE vf
vlog1p(vf x)
{
	vf s = x / (2.0f + x), z = s * s, p;	/* 2 artanh(s) */

	p = vfma(vset(0.2815778f), z, vset(0.27965158f));
	p = vfma(p, z, vset(0.40024596f));
	p = vfma(p, z, vset(0.6666632f));
	p = vfma(p, z, vset(2.0f));
	return s * p;
}

/* 1 / (1 + e^-x) */
INLINE vf
vsigmoid(vf x)
{
	return 1.0f / (1.0f + vexp(-x));
}

INLINE vf
vtanh(vf x)
{
	vf a = vabs(x), z = x * x, p, far;

	p = vfma(vset(-0.0057170256f), z, vset(0.0206505693f));
	p = vfma(p, z, vset(-0.0537434928f));
	p = vfma(p, z, vset(0.133314908f));
	p = vfma(p, z, vset(-0.333332837f));
	p = vfma(p * z, x, x);
	far = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
	return vsel(a < 0.625f, p, vsign(far, x));
}

/*
 * The share of a normal distribution that lies below x, (1 + erf(x / sqrt 2)) / 2,
 * within 6e-8: erfc(a) is e^-q(a), with a polynomial q for a in [0, 5.5].
 */
INLINE vf
vnormal(vf x)
{
	vf a = vmin(vset(5.5f), vabs(x) * 0.707106781f), q, t;

	q = vfma(vset(-2.14059401e-6f), a, vset(4.06928084e-5f));
	q = vfma(q, a, vset(-2.97966384e-4f));
	q = vfma(q, a, vset(9.12794902e-4f));
	q = vfma(q, a, vset(7.84920412e-4f));
	q = vfma(q, a, vset(-0.0198137872f));
	q = vfma(q, a, vset(0.103021830f));
	q = vfma(q, a, vset(0.636577845f));
	q = vfma(q, a, vset(1.12838149f));
	t = 0.5f * vexp(-q * a);
	return vsel(x > 0.0f, 1.0f - t, t);
}

#endif
