/*
 * Matrices as blocks give them back: what the encoders of base/simd/quant.c make
 * of a block, and at once what quant_decode() makes of that, bit for bit.  So
 * this file is compiled without fused multiply-adds, and sums run in the order
 * of base/simd/quant_fit_impl.h, whose functions these are.
 *
 * A part is of half a warp: each lane tries a scale, and goes through the part's
 * elements, which lie in shared memory.  Blocks of 256 are a thread block's.
 */
#include "base/quant_impl.h"
#include "dev/cuda/common.cuh"

enum { LANES = 16, GROUPS = THREADS / LANES, BLOCK = 256, LONGEST = 128 };

/* Elements of a part, and the levels that they take. */
struct grid {
	int	n;
	float	lo, hi;
	bool	iq4;		/* the levels are IQ4's */
};

struct fit {
	float	d, m, err;
};

/* One lane's try: an error, and sums of w q, w q q, w y q. */
struct tried {
	float	d, m, err, q, qq, yq;
};

DEVICE int
group_lane(void)
{
	return threadIdx.x % LANES;
}

/* In pairs of lanes 8 apart, then 4, 2 and 1, as fit_add() has it. */
DEVICE float
group_add(float x)
{
	for (int o = LANES / 2; o > 0; o /= 2)
		x += __shfl_xor_sync(~0u, x, o);
	return x;
}

DEVICE float
group_max(float x)
{
	for (int o = LANES / 2; o > 0; o /= 2)
		x = fmaxf(x, __shfl_xor_sync(~0u, x, o));
	return x;
}

DEVICE float
of_lane(float x, int from)
{
	return __shfl_sync(~0u, x, from, LANES);
}

DEVICE float
half_of(float x)
{
	return __half2float(__float2half_rn(x));
}

/* As it is stored: where fp16 is coarse, rounded away from zero. */
DEVICE float
scale_of(float d)
{
	float stored = half_of(d);

	return fabsf(d) < 0x1p-14f && fabsf(stored) < fabsf(d) ?
	    half_of(stored + (d > 0 ? 0x1p-24f : -0x1p-24f)) : stored;
}

DEVICE float
inverse(float d)
{
	return d != 0 ? 1 / d : 0;
}

/* ---- of a part's elements ---- */

/* The first element farthest from zero. */
DEVICE float
extreme(const float *y, int n)
{
	float hi = 0, lo = 0;
	int first = n;

	for (int i = group_lane(); i < n; i += LANES) {
		hi = fmaxf(hi, y[i]);
		lo = fmaxf(lo, -y[i]);
	}
	hi = group_max(hi);
	lo = group_max(lo);
	for (int i = group_lane(); i < n && first == n; i += LANES)
		if (fabsf(y[i]) == hi)
			first = i;
	for (int o = LANES / 2; o > 0; o /= 2)
		first = min(first, __shfl_xor_sync(~0u, first, o));
	return hi > lo ? hi : hi < lo ? -lo : y[first];
}

DEVICE void
range_of(const float *y, int n, float *lo, float *hi)
{
	float most = y[group_lane()], least = most;

	for (int i = group_lane(); i < n; i += LANES) {
		most = fmaxf(most, y[i]);
		least = fminf(least, y[i]);
	}
	*hi = group_max(most);
	*lo = -group_max(-least);
}

/* The level nearest to v; halves to even. */
DEVICE float
level_of(const struct grid &g, float v)
{
	constexpr int8_t value[16] = IQ4_VALUES;
	float lo = g.iq4 ? -127 : g.lo, hi = g.iq4 ? 127 : g.hi, r = -127;

	v = v < hi ? v : hi;
	v = v > lo ? v : lo;
	if (!g.iq4)
		return v + 12582912 - 12582912;		/* 1.5 2^23: what is below is rounded off */
#pragma unroll
	for (int i = 1; i < 16; i++)
		r += v > 0.5f * (float)(value[i] + value[i - 1]) ?
		    (float)(value[i] - value[i - 1]) : 0;
	return r;
}

template <bool AFFINE> DEVICE void
attempt(struct tried &t, const struct grid &g, const float *y, const float *w)
{
	float inv = inverse(t.d);

	t.err = t.q = t.qq = t.yq = 0;
	for (int i = 0; i < g.n; i++) {
		float v = AFFINE ? y[i] + t.m : y[i], q = level_of(g, v * inv), wq = w[i] * q;

		t.err += w[i] * (v - t.d * q) * (v - t.d * q);
		t.q += AFFINE ? wq : 0;
		t.qq += wq * q;
		t.yq += y[i] * wq;
	}
}

/* The lane with the least error, the first of several. */
DEVICE int
least(float err)
{
	int best = group_lane();

	/* A NaN is never less, nor is anything less than one. */
	err = err == err ? err : best == 0 ? -INFINITY : INFINITY;
	for (int o = LANES / 2; o > 0; o /= 2) {
		float e = __shfl_xor_sync(~0u, err, o);
		int i = __shfl_xor_sync(~0u, best, o);

		if (e < err || (e == err && i < best)) {
			err = e;
			best = i;
		}
	}
	return best;
}

/* ---- a scale alone ---- */

DEVICE void
best_scale(struct tried t, struct fit &best)
{
	float d = t.yq * inverse(t.qq), err = -d * t.yq;
	int k = least(err);

	err = of_lane(err, k);
	d = of_lane(d, k);
	if (err < best.err)
		best = { d, 0, err };
}

DEVICE struct fit
fit_scale(const struct grid &g, const float *y, const float *w)
{
	int k = group_lane();
	struct fit best = { 0 };
	struct tried t = { 0 };
	float far = extreme(y, g.n), step = 0.6f / (4 + 0.5f * (g.iq4 ? 8 : g.hi));

	t.d = far / (k % 2 ? g.hi : g.lo) * (1 + step * (1 - (float)(k / 2)));
	attempt<false>(t, g, y, w);
	best_scale(t, best);
	return best;
}

DEVICE struct fit
fit_fine_scale(const struct grid &g, const float *y, const float *w)
{
	struct fit best = fit_scale(g, y, w);
	struct tried t = { 0 };

	t.d = best.d * (1 + 0.006f * (float)(group_lane() - LANES / 2));
	attempt<false>(t, g, y, w);
	best_scale(t, best);
	return best;
}

/* ---- a scale and a least value, -m ---- */

struct sums {
	float	w, y;		/* sums of w and w y */
};

DEVICE struct sums
sums_of(const float *y, const float *w, int n)
{
	struct sums s = { 0, 0 };

	for (int i = group_lane(); i < n; i += LANES) {
		s.w += w[i];
		s.y += w[i] * y[i];
	}
	return { group_add(s.w), group_add(s.y) };
}

DEVICE void
best_affine(const struct tried &t, const struct sums &s, struct fit &best)
{
	float det = t.qq * s.w - t.q * t.q, d = (t.yq * s.w - s.y * t.q) * inverse(det);
	float m = (d * t.q - s.y) * (1 / s.w), err;
	bool alone = det < 1e-5f * t.qq * s.w || m < 0;
	int k;

	d = alone ? t.yq * inverse(t.qq) : d;
	m = alone ? 0 : m;
	err = d * (d * t.qq - 2 * (t.yq + m * t.q)) + m * (m * s.w + 2 * s.y);
	err = d > 0 ? err : 0;
	k = least(err);
	err = of_lane(err, k);
	d = of_lane(d, k);
	m = of_lane(m, k);
	if (err < best.err)
		best = { d, m, err };
}

/* Candidates that cut or stretch the range [lo, hi] at both ends, four by four. */
DEVICE void
try_range(struct fit &best, const struct grid &g, const float *y, const float *w,
    const struct sums &s, float lo, float hi, float at, float step)
{
	float range = hi - lo, a = lo + range * (at + step * (float)(group_lane() % 4));
	float b = hi - range * (at + step * (float)(group_lane() / 4));
	struct tried t = { (b - a) / g.hi, -a };

	attempt<true>(t, g, y, w);
	best_affine(t, s, best);
}

DEVICE struct fit
fit_affine(const struct grid &g, const float *y, const float *w, const struct sums &s)
{
	struct fit best = { 0 };
	float lo, hi, step = 0.5f / g.hi;

	range_of(y, g.n, &lo, &hi);
	lo = lo > 0 ? 0 : lo;
	try_range(best, g, y, w, s, lo, hi, -0.5f * step, step);
	for (int round = 0; round < 2; round++) {
		step *= 0.4f;
		try_range(best, g, y, w, s, -best.m, best.d * g.hi - best.m, -1.5f * step, step);
	}
	if (!(hi > lo))
		best = { 0, -lo, 0 };
	return best;
}

/* ---- blocks of up to 128: half a warp's ---- */

/* w (n) = what errors count, of a block of n elements; lanes have every sixteenth. */
DEVICE void
weigh(float *w, const float *y, int n)
{
	float squares = 0, all = 0, mean, little;

	for (int i = group_lane(); i < n; i += LANES)
		squares += y[i] * y[i];
	mean = group_add(squares) / (float)n;
	for (int i = group_lane(); i < n; i += LANES) {
		w[i] = sqrtf(mean + y[i] * y[i]);
		all += w[i];
	}
	little = group_add(all) * 1e-6f;
	for (int i = group_lane(); i < n; i += LANES)
		w[i] += little > 0 ? little : 1;
	__syncwarp();
}

/* A block's scale or range; element y becomes what give() makes of it. */
struct small {
	float	d, m, inv, add, most;
};

DEVICE struct small
small_of(dtype type, const float *y, float *w, int n)
{
	float far = extreme(y, n), lo, hi, d;

	range_of(y, n, &lo, &hi);
	switch (type) {
	case DTYPE_Q4_0:
	case DTYPE_Q5_0:
		hi = type == DTYPE_Q4_0 ? 8 : 16;
		d = far / -hi;
		return { half_of(d), 0, inverse(d), hi + 0.5f, 2 * hi - 1 };
	case DTYPE_Q4_1:
	case DTYPE_Q5_1:
		d = (hi - lo) / (type == DTYPE_Q4_1 ? 15 : 31);
		return { half_of(d), lo, inverse(d), 0.5f, type == DTYPE_Q4_1 ? 15.0f : 31.0f };
	case DTYPE_Q8_0:
		d = fabsf(far) / 127;
		return { half_of(d), 0, inverse(d), 0.5f, 0 };
	case DTYPE_IQ4_NL:
		weigh(w, y, n);
		d = scale_of(fit_fine_scale({ n, -127, 113, true }, y, w).d);
		return { d, 0, inverse(d), 0, 0 };
	default:
		d = __bfloat162float(__float2bfloat16_rn(far / -8));
		return { d, 0, inverse(d), 0, 0 };
	}
}

DEVICE float
give(dtype type, const struct small &b, float y)
{
	float v;

	switch (type) {
	case DTYPE_Q4_0:
	case DTYPE_Q5_0:
		v = y * b.inv + b.add;
		return b.d * (truncf(v < b.most ? v : b.most) - (b.add - 0.5f)) + 0;
	case DTYPE_Q4_1:
	case DTYPE_Q5_1:
		v = (y - b.m) * b.inv + b.add;
		return b.d * truncf(v < b.most ? v : b.most) + half_of(b.m);
	case DTYPE_Q8_0:
		return b.d * truncf(y * b.inv + copysignf(b.add, y)) + 0;
	case DTYPE_IQ4_NL:
		return b.d * level_of({ 0, 0, 0, true }, (y + 0) * b.inv);
	default:
		return b.d * (level_of({ 0, -8, 7, false }, (y + 0) * b.inv) + 0);
	}
}

/* Elements of GROUPS blocks, and their weights; a pad against bank conflicts. */
struct blocks {
	float	y[GROUPS][LONGEST + LANES], w[GROUPS][LONGEST + LANES];
};

DEVICE void
give_small(struct blocks &m, const struct k_fake_quant &a, int n)
{
	int64_t total = a.rows * a.c / n;
	int group = threadIdx.x / LANES;
	float *y = m.y[group];

	for (int64_t b0 = (int64_t)blockIdx.x * GROUPS; b0 < total; b0 += gridDim.x * GROUPS) {
		int64_t b = b0 + group;
		struct small s;

		for (int i = group_lane(); i < n; i += LANES)
			y[i] = b < total ? at<float>(a.x)[b * n + i] : 0;
		__syncwarp();
		s = small_of(a.blocks, y, m.w[group], n);
		for (int i = group_lane(); b < total && i < n; i += LANES)
			at<float>(a.y)[b * n + i] = give(a.blocks, s, y[i]);
		__syncwarp();
	}
}

/* ---- blocks of 256: a thread block's ---- */

/* What is known of a part, and what it adds to the sums over all. */
struct piece {
	float	want;		/* the scale that it would have alone */
	int	s, l;		/* its integers */
	double	qq, q, w, yq, y;
};

struct large {
	float	y[BLOCK], w[BLOCK], want[GROUPS], f[GROUPS][2];
	struct piece part[GROUPS];
};

/* The same as weigh(), of all: each half warp has the sums. */
DEVICE void
weigh_large(struct large &m)
{
	float squares = 0, all = 0, mean, little;
	int me = threadIdx.x;

	for (int i = group_lane(); i < BLOCK; i += LANES)
		squares += m.y[i] * m.y[i];
	mean = group_add(squares) / BLOCK;
	m.w[me] = sqrtf(mean + m.y[me] * m.y[me]);
	__syncthreads();
	for (int i = group_lane(); i < BLOCK; i += LANES)
		all += m.w[i];
	little = group_add(all) * 1e-6f;
	__syncthreads();
	m.w[me] += little > 0 ? little : 1;
	__syncthreads();
}

/* The integer near want / d in [lo, hi] that is best with d, and its sums. */
DEVICE void
scaled_part(struct piece &p, const struct grid &g, const float *y, const float *w, float d,
    int lo, int hi)
{
	float middle = d != 0 ? roundf(p.want / d) : 0;
	struct tried t = { 0 };
	int first, best;

	middle = middle > (float)(hi - 7) ? (float)(hi - 7) : middle;
	middle = middle < (float)(lo + 8) ? (float)(lo + 8) : middle;
	first = (int)middle - 8;
	t.d = d * (float)(first + group_lane());
	attempt<false>(t, g, y, w);
	best = least(t.err);
	p.s = first + best;
	p.want = of_lane(t.d, best);
	p.yq = (double)((float)p.s * of_lane(t.yq, best));
	p.qq = (double)((float)(p.s * p.s) * of_lane(t.qq, best));
}

/* One lane of each part leaves it where all see it. */
DEVICE void
leave(struct large &m, const struct piece &p, int part, bool there)
{
	__syncthreads();
	if (there && group_lane() == 0) {
		m.part[part] = p;
		m.want[part] = p.want;
	}
	__syncthreads();
}

/* y = d s level, the block's d and integers s in [lo, hi] of its parts */
DEVICE float
give_scaled(struct large &m, const struct grid &g, int lo, int hi)
{
	int parts = BLOCK / g.n, group = threadIdx.x / LANES, part = group % parts;
	const float *y = m.y + part * g.n, *w = m.w + part * g.n;
	struct piece p = { 0 };
	float d, yq = 0, qq = 0;

	if (threadIdx.x < GROUPS)
		m.want[threadIdx.x] = 0;
	p.want = fit_scale(g, y, w).d;
	leave(m, p, part, group < parts);
	d = scale_of(extreme(m.want, GROUPS) / (float)lo);
	scaled_part(p, g, y, w, d, lo, hi);
	leave(m, p, part, group < parts);
	for (int j = 0; j < parts; j++) {
		yq += (float)m.part[j].yq;
		qq += (float)m.part[j].qq;
	}
	if (qq > 0)
		d = scale_of(yq / qq);
	scaled_part(p, g, y, w, d, lo, hi);
	leave(m, p, part, group < parts);
	d *= (float)m.part[threadIdx.x / g.n].s;
	return d * level_of(g, (m.y[threadIdx.x] + 0) * inverse(d));
}

DEVICE void
affine_part(struct piece &p, const struct grid &g, const float *y, const float *w,
    const struct sums &sum, float d, float m, int most)
{
	int s0 = min(max(p.s - 1, 0), most - 3), l0 = min(max(p.l - 1, 0), most - 3);
	struct tried t = { d * (float)(s0 + group_lane() % 4), m * (float)(l0 + group_lane() / 4) };
	int best;

	attempt<true>(t, g, y, w);
	best = least(t.err);
	p.s = s0 + best % 4;
	p.l = l0 + best / 4;
	p.qq = (double)(p.s * p.s) * (double)of_lane(t.qq, best);
	p.q = (double)(p.s * p.l) * (double)of_lane(t.q, best);
	p.w = (double)(p.l * p.l) * (double)sum.w;
	p.yq = (double)p.s * (double)of_lane(t.yq, best);
	p.y = (double)p.l * (double)sum.y;
}

/* d and m of least squares for the whole block, where they are determined and not negative. */
DEVICE void
affine_solve(const struct large &m, int parts, float *d, float *least_value)
{
	double qq = 0, q = 0, w = 0, yq = 0, y = 0, det, nd, nm;

	for (int j = 0; j < parts; j++) {
		qq += m.part[j].qq;
		q += m.part[j].q;
		w += m.part[j].w;
		yq += m.part[j].yq;
		y += m.part[j].y;
	}
	det = qq * w - q * q;
	nd = (yq * w - y * q) / det;
	nm = (yq * q - y * qq) / det;
	if (det > 1e-5 * qq * w && nd > 0 && nm >= 0) {
		*d = (float)nd;
		*least_value = (float)nm;
	} else if (qq > 0 && yq > 0 && w == 0) {
		*d = (float)(yq / qq);
	}
}

DEVICE int
whole(float v, float unit, int most)
{
	float n = unit > 0 ? roundf(v / unit) : 0;

	return n > 0 ? n < (float)most ? (int)n : most : 0;
}

/* y = d s q - m l, with integers s and l up to most of the parts */
DEVICE float
give_affine(struct large &m, const struct grid &g, int most)
{
	int parts = BLOCK / g.n, group = threadIdx.x / LANES, part = group % parts;
	const float *y = m.y + part * g.n, *w = m.w + part * g.n;
	struct sums sum = sums_of(y, w, g.n);
	struct fit f = fit_affine(g, y, w, sum);
	struct piece p = { 0 };
	float d = 0, l = 0, inv;

	m.f[group][0] = f.d;
	m.f[group][1] = f.m;
	__syncthreads();
	for (int j = 0; j < parts; j++) {
		d = fmaxf(d, m.f[j][0]);
		l = fmaxf(l, m.f[j][1]);
	}
	d = scale_of(d / (float)most);
	l = scale_of(l / (float)most);
	p.s = whole(f.d, d, most);
	p.l = whole(f.m, l, most);
	for (int round = 0; round < 3; round++) {
		affine_part(p, g, y, w, sum, d, l, most);
		leave(m, p, part, group < parts);
		if (round == 2)
			break;
		affine_solve(m, parts, &d, &l);
		d = scale_of(d);
		l = scale_of(l);
	}
	d *= (float)m.part[threadIdx.x / g.n].s;
	l *= (float)m.part[threadIdx.x / g.n].l;
	inv = inverse(d);
	return d * level_of(g, (m.y[threadIdx.x] + l) * inv) - l;
}

DEVICE float
give_one(struct large &m, dtype type)
{
	switch (type) {
	case DTYPE_Q2_K:	return give_affine(m, { 16, 0, 3 }, 15);
	case DTYPE_Q4_K:	return give_affine(m, { 32, 0, 15 }, 63);
	case DTYPE_Q5_K:	return give_affine(m, { 32, 0, 31 }, 63);
	case DTYPE_Q3_K:	return give_scaled(m, { 16, -4, 3 }, -32, 31);
	case DTYPE_Q6_K:	return give_scaled(m, { 16, -32, 31 }, -128, 127);
	default:		return give_scaled(m, { 32, -127, 113, true }, -32, 31);
	}
}

ONE(fake_quant_large, k_fake_quant)
{
	__shared__ struct large m;
	int64_t total = a.rows * a.c / BLOCK;

	for (int64_t b = blockIdx.x; b < total; b += gridDim.x) {
		m.y[threadIdx.x] = at<float>(a.x)[b * BLOCK + threadIdx.x];
		__syncthreads();
		weigh_large(m);
		at<float>(a.y)[b * BLOCK + threadIdx.x] = give_one(m, a.blocks);
		__syncthreads();
	}
}

ONE(fake_quant_small, k_fake_quant)
{
	__shared__ struct blocks m;

	switch (a.blocks) {
	case DTYPE_I4_64:	give_small(m, a, 64); break;
	case DTYPE_I4_128:	give_small(m, a, 128); break;
	default:		give_small(m, a, 32);
	}
}
