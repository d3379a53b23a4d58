/*
 * The end of a step: the guard, the optimizers, averages of weights.  A block
 * takes MOMENT_BLOCK elements at a time, one a thread, which is what 8-bit
 * moments have a scale for.
 */
#include "dev/cuda/common.cuh"
#include "dev/guard.h"

static_assert((int)MOMENT_BLOCK == (int)THREADS, "a block of moments is a block of threads");

/* ---- the guard ---- */

/* One thread: this is a few hundred numbers once a step. */
ONE(guard, k_guard)
{
	__shared__ double room[GUARD_RING];

	if (threadIdx.x == 0)
		guard_judge(&a, at<struct dev_step>(a.step), at<struct dev_history>(a.history),
		    room);
}

/* ---- moments ---- */

enum order { FIRST, SECOND };		/* first moments have a sign */

/* x^n, by squares */
DEVICE double
power(double x, int64_t n)
{
	double y = 1;

	for (; n > 0; n /= 2, x *= x)
		if (n % 2 != 0)
			y *= x;
	return y;
}

/* What element i is rounded by: the low half first moments, the high one second. */
DEVICE uint32_t
noise_of(uint32_t key, int64_t i)
{
	uint32_t x = (uint32_t)i * 0x9e3779b1u ^ key;

	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

/* The largest exponent of a code, and what the largest code is times the scale. */
DEVICE int
code_top(enum order order)
{
	return order == FIRST ? 6 : 7;
}

DEVICE float
code_most(enum order order)
{
	return 1 - 0.45f / (float)(1 << code_top(order));
}

/* 10^-n */
DEVICE float
tenth(int n)
{
	return n == 0 ? 1 : n == 1 ? 1e-1f : n == 2 ? 1e-2f : n == 3 ? 1e-3f : n == 4 ? 1e-4f :
	    n == 5 ? 1e-5f : n == 6 ? 1e-6f : 1e-7f;
}

DEVICE float
code_get(uint8_t code, float scale, enum order order)
{
	int body = order == FIRST ? code & 127 : code, e;
	float f, x;

	if (body == 0)
		return order == FIRST && (code & 128) != 0 ? -0.0f : 0;
	e = 31 - __clz(body);
	f = (float)(body - (1 << e)) / (float)(1 << e) + 0.5f / (float)(1 << e);
	x = tenth(code_top(order) - e) * (0.1f + 0.9f * f) * scale;
	return order == FIRST && (code & 128) != 0 ? -x : x;
}

/* The code of 0 <= x <= code_most(), 1 at least. */
DEVICE int
code_of(float x, enum order order)
{
	int below = 0;
	float edge = 0.1f, cells, k;

	for (int i = 0; i < code_top(order); i++, edge *= 0.1f)
		below += x < edge;
	cells = (float)(1 << (code_top(order) - below));
	k = (x / tenth(below) - 0.1f) * (cells / 0.9f);
	k = fmaxf(fminf(k, cells - 1), 0);
	return (int)cells + (int)k;
}

DEVICE float
moment_get(dtype type, const struct moment &m, int64_t i, enum order order)
{
	if (type == DTYPE_U8)
		return code_get(at<uint8_t>(m.at)[i], at<float>(m.scale)[i / MOMENT_BLOCK], order);
	return type == DTYPE_F32 ? at<float>(m.at)[i] : get(at<bf16>(m.at) + i);
}

/* All threads of the block come, those with i >= n too. */
DEVICE void
moment_put(dtype type, const struct moment &m, int64_t i, int64_t n, float x, uint32_t noise,
    enum order order)
{
	__shared__ float shared[WARPS];
	float most, inverse, y;
	int code;

	if (type == DTYPE_F32 && i < n)
		at<float>(m.at)[i] = x;
	else if (type == DTYPE_BF16 && i < n)
		at<uint16_t>(m.at)[i] = (uint16_t)((__float_as_uint(x) +
		    (order == FIRST ? noise & 0xffff : noise >> 16)) >> 16);
	if (type != DTYPE_U8)
		return;
	most = block_max(i < n ? fabsf(x) : 0, shared) / code_most(order);
	if (threadIdx.x == 0)
		at<float>(m.scale)[i / MOMENT_BLOCK] = most;
	if (i >= n)
		return;
	inverse = most > 0 ? 1 / most : 0;
	y = fabsf(x) * inverse;
	code = code_of(y, order);
	/* A second moment that is not 0 stays so: it is divided by. */
	if (order == FIRST)
		code = (y >= 2.75e-7f ? code : 0) | (__float_as_uint(x) >> 24 & 128);
	else
		code = y > 0 ? code : 0;
	at<uint8_t>(m.at)[i] = (uint8_t)code;
}

DEVICE void
copy_out(dptr p_out, dtype type, int64_t i, float x)
{
	if (p_out.at != 0)
		put_as(type, p_out, i, x);
}

/* ---- updates ---- */

ONE(adamw, k_adamw)
{
	const struct dev_step *s = at<struct dev_step>(a.step);
	double lr = s->lr * a.lr_scale;
	float b1 = (float)a.beta1, b2 = (float)a.beta2, scale = (float)s->scale;
	float lr1 = (float)(lr / (1 - power(a.beta1, s->step)));
	float rsqrt_c2 = (float)(1 / sqrt(1 - power(a.beta2, s->step)));
	float keep = (float)(1 - lr * a.decay), eps = (float)a.eps;
	uint32_t key = moment_key(a.key, s->step);

	if (s->skip != 0)
		return;
	for (int64_t i0 = (int64_t)blockIdx.x * THREADS; i0 < a.n; i0 += step_of_all()) {
		int64_t i = i0 + threadIdx.x;
		uint32_t noise = noise_of(key, i);
		float m = 0, v = 0;

		if (i < a.n) {
			float d = at<float>(a.g)[i] * scale, p;

			m = moment_get(a.moments, a.m, i, FIRST);
			v = moment_get(a.moments, a.v, i, SECOND);
			m = b1 * m + (1 - b1) * d;
			v = b2 * v + (1 - b2) * d * d;
			p = keep * at<float>(a.p)[i] - lr1 * m / (sqrtf(v) * rsqrt_c2 + eps);
			at<float>(a.p)[i] = p;
			copy_out(a.p_out, a.p_type, i, p);
		}
		/* Scales are read by all of a block before they change. */
		if (a.moments == DTYPE_U8)
			__syncthreads();
		moment_put(a.moments, a.m, i, a.n, m, noise, FIRST);
		moment_put(a.moments, a.v, i, a.n, v, noise, SECOND);
	}
}

ONE(lion, k_lion)
{
	const struct dev_step *s = at<struct dev_step>(a.step);
	double lr = s->lr * a.lr_scale;
	float b1 = (float)a.beta1, b2 = (float)a.beta2, scale = (float)s->scale;
	float keep = (float)(1 - lr * a.decay);
	uint32_t key = moment_key(a.key, s->step);

	if (s->skip != 0)
		return;
	for (int64_t i0 = (int64_t)blockIdx.x * THREADS; i0 < a.n; i0 += step_of_all()) {
		int64_t i = i0 + threadIdx.x;
		float m = 0;

		if (i < a.n) {
			float d = at<float>(a.g)[i] * scale, way, p;

			m = moment_get(a.moments, a.m, i, FIRST);
			way = b1 * m + (1 - b1) * d;
			m = b2 * m + (1 - b2) * d;
			p = keep * at<float>(a.p)[i] -
			    (float)lr * (float)((way > 0) - (way < 0));
			at<float>(a.p)[i] = p;
			copy_out(a.p_out, a.p_type, i, p);
		}
		if (a.moments == DTYPE_U8)
			__syncthreads();
		moment_put(a.moments, a.m, i, a.n, m, noise_of(key, i), FIRST);
	}
}

ONE(momentum, k_momentum)
{
	const struct dev_step *s = at<struct dev_step>(a.step);
	float beta = (float)a.beta, scale = (float)s->scale;
	uint32_t key = moment_key(a.key, s->step);

	for (int64_t i0 = (int64_t)blockIdx.x * THREADS; i0 < a.n; i0 += step_of_all()) {
		int64_t i = i0 + threadIdx.x;
		float m = 0;

		if (i < a.n && s->skip != 0)
			at<float>(a.y)[i] = 0;
		if (s->skip != 0)
			continue;
		if (i < a.n) {
			float d = at<float>(a.g)[i] * scale;

			m = beta * moment_get(a.moments, a.m, i, FIRST) + (1 - beta) * d;
			at<float>(a.y)[i] = beta * m + (1 - beta) * d;
		}
		if (a.moments == DTYPE_U8)
			__syncthreads();
		moment_put(a.moments, a.m, i, a.n, m, noise_of(key, i), FIRST);
	}
}

ONE(normalize, k_normalize)
{
	float scale = (float)(1 / (sqrt(*at<double>(a.sumsq)) + a.eps));

	for (int64_t i = first_of_all(); i < a.n; i += step_of_all())
		at<float>(a.y)[i] = at<float>(a.x)[i] * scale;
}

ONE(update, k_update)
{
	const struct dev_step *s = at<struct dev_step>(a.step);
	float keep = (float)(1 - s->lr * a.decay), rate = (float)(s->lr * a.lr_scale);

	if (s->skip != 0)
		return;
	for (int64_t i = first_of_all(); i < a.n; i += step_of_all()) {
		float p = keep * at<float>(a.p)[i] - rate * at<float>(a.x)[i];

		at<float>(a.p)[i] = p;
		copy_out(a.p_out, a.p_type, i, p);
	}
}

ONE(ema, k_ema)
{
	const struct dev_step *s = at<struct dev_step>(a.step);
	double t = (double)s->step;
	float d = (float)fmin(a.decay, (1 + t) / (10 + t));

	if (s->skip != 0)
		return;
	for (int64_t i = first_of_all(); i < a.n; i += step_of_all())
		at<float>(a.y)[i] = d * at<float>(a.y)[i] + (1 - d) * at<float>(a.x)[i];
}

ONE(swap, k_swap)
{
	for (int64_t i = first_of_all(); i < a.n; i += step_of_all()) {
		float was = at<float>(a.a)[i], x = at<float>(a.b)[i];

		at<float>(a.a)[i] = x;
		at<float>(a.b)[i] = was;
		copy_out(a.p_out, a.p_type, i, x);
	}
}
