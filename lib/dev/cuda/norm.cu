/*
 * Norms: a warp takes a row.  Gradients of what is per column are summed over
 * chunks of COLUMN_ROWS rows, and then over chunks, in order.
 */
#include "dev/cuda/columns.cuh"

/* ---- elements of a row, by lanes of a warp ---- */

template <int N> struct count {
	enum { n = N };
};

/* Four at a time as far as there are, then the rest: in an order that c alone decides. */
template <typename F> DEVICE void
row(int64_t c, F f)
{
	for (int64_t i = 4 * lane(); i + 4 <= c; i += 4 * 32)
		f(i, count<4>());
	for (int64_t i = c / 4 * 4 + lane(); i < c; i += 32)
		f(i, count<1>());
}

template <typename T, int N> struct alignas(N * sizeof(T)) some {
	T	x[N];
};

/* At once where they lie so. */
template <typename T, int N> DEVICE void
load(float (&v)[N], const T *p)
{
	some<T, N> s;

	if ((uint64_t)p % sizeof(s) == 0)
		s = *(const some<T, N> *)p;
	else
#pragma unroll
		for (int j = 0; j < N; j++)
			s.x[j] = p[j];
#pragma unroll
	for (int j = 0; j < N; j++)
		v[j] = get(&s.x[j]);
}

template <typename T, int N> DEVICE void
store(T *p, const float (&v)[N])
{
	some<T, N> s;

#pragma unroll
	for (int j = 0; j < N; j++)
		put(&s.x[j], v[j]);
	if ((uint64_t)p % sizeof(s) == 0)
		*(some<T, N> *)p = s;
	else
#pragma unroll
		for (int j = 0; j < N; j++)
			p[j] = s.x[j];
}

/* ---- RMS ---- */

template <typename T> DEVICE void
rmsnorm(const struct k_rmsnorm &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);
	const float *w = at<float>(a.w);
	float plus = (float)a.w_plus;

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const T *x = at<T>(a.x) + t * a.c;
		T *y = at<T>(a.y) + t * a.c;
		float s = 0, rstd;

		row(a.c, [&](int64_t i, auto each) {
			float u[each.n];

			load(u, x + i);
			for (float v : u)
				s += v * v;
		});
		rstd = 1 / sqrtf(warp_sum(s) / (float)a.c + (float)a.eps);
		if (a.rstd.at != 0 && lane() == 0)
			at<float>(a.rstd)[t] = rstd;
		row(a.c, [&](int64_t i, auto each) {
			float u[each.n], v[each.n];

			load(u, x + i);
			load(v, w + i);
			for (int j = 0; j < each.n; j++)
				u[j] = u[j] * rstd * (v[j] + plus);
			store(y + i, u);
		});
	}
}
TYPED(rmsnorm, k_rmsnorm)

template <typename T> DEVICE void
rmsnorm_dx(const struct k_rmsnorm_bwd &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);
	const float *w = at<float>(a.w);
	float plus = (float)a.w_plus;

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const T *x = at<T>(a.x) + t * a.c, *dy = at<T>(a.dy) + t * a.c;
		T *dx = at<T>(a.dx) + t * a.c;
		float s = 0, rstd = at<float>(a.rstd)[t];

		row(a.c, [&](int64_t i, auto each) {
			float g[each.n], u[each.n], v[each.n];

			load(g, dy + i);
			load(u, x + i);
			load(v, w + i);
			for (int j = 0; j < each.n; j++)
				s += g[j] * (v[j] + plus) * u[j];
		});
		s = warp_sum(s) * rstd * rstd / (float)a.c;
		row(a.c, [&](int64_t i, auto each) {
			float g[each.n], u[each.n], v[each.n], d[each.n] = { 0 };

			load(g, dy + i);
			load(u, x + i);
			load(v, w + i);
			if (a.add)
				load(d, dx + i);
			for (int j = 0; j < each.n; j++)
				d[j] += rstd * (g[j] * (v[j] + plus) - u[j] * s);
			store(dx + i, d);
		});
	}
}
TYPED(rmsnorm_dx, k_rmsnorm_bwd)

/* ---- mean and deviation ---- */

template <typename T> DEVICE void
layernorm(const struct k_layernorm &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);
	const float *w = at<float>(a.w), *b = at<float>(a.b);

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const T *x = at<T>(a.x) + t * a.c;
		T *y = at<T>(a.y) + t * a.c;
		float s = 0, v = 0, mean, rstd;

		row(a.c, [&](int64_t i, auto each) {
			float u[each.n];

			load(u, x + i);
			for (float z : u)
				s += z;
		});
		mean = warp_sum(s) / (float)a.c;
		row(a.c, [&](int64_t i, auto each) {
			float u[each.n];

			load(u, x + i);
			for (float z : u)
				v += (z - mean) * (z - mean);
		});
		rstd = 1 / sqrtf(warp_sum(v) / (float)a.c + (float)a.eps);
		if (a.mean.at != 0 && lane() == 0)
			at<float>(a.mean)[t] = mean;
		if (a.rstd.at != 0 && lane() == 0)
			at<float>(a.rstd)[t] = rstd;
		row(a.c, [&](int64_t i, auto each) {
			float u[each.n], k[each.n], d[each.n] = { 0 };

			load(u, x + i);
			load(k, w + i);
			if (a.b.at != 0)
				load(d, b + i);
			for (int j = 0; j < each.n; j++)
				d[j] += (u[j] - mean) * rstd * k[j];
			store(y + i, d);
		});
	}
}
TYPED(layernorm, k_layernorm)

template <typename T> DEVICE void
layernorm_dx(const struct k_layernorm_bwd &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);
	const float *w = at<float>(a.w);

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const T *x = at<T>(a.x) + t * a.c, *dy = at<T>(a.dy) + t * a.c;
		T *dx = at<T>(a.dx) + t * a.c;
		float mean = at<float>(a.mean)[t], rstd = at<float>(a.rstd)[t], g = 0, gh = 0;

		row(a.c, [&](int64_t i, auto each) {
			float q[each.n], u[each.n], k[each.n];

			load(q, dy + i);
			load(u, x + i);
			load(k, w + i);
			for (int j = 0; j < each.n; j++) {
				g += q[j] * k[j];
				gh += q[j] * k[j] * (u[j] - mean) * rstd;
			}
		});
		g = warp_sum(g) / (float)a.c;
		gh = warp_sum(gh) / (float)a.c;
		row(a.c, [&](int64_t i, auto each) {
			float q[each.n], u[each.n], k[each.n], d[each.n] = { 0 };

			load(q, dy + i);
			load(u, x + i);
			load(k, w + i);
			if (a.add)
				load(d, dx + i);
			for (int j = 0; j < each.n; j++)
				d[j] += rstd * (q[j] * k[j] - g - (u[j] - mean) * rstd * gh);
			store(dx + i, d);
		});
	}
}
TYPED(layernorm_dx, k_layernorm_bwd)

/* ---- sums of columns ---- */

ONE(columns_add, cuda_columns)
{
	int64_t chunks = (rows_of(a.t, r) + COLUMN_ROWS - 1) / COLUMN_ROWS;

	for (int64_t i = first_of_all(); i < a.c; i += step_of_all()) {
		float s = 0;

		for (int64_t k = 0; k < chunks; k++)
			s += at<float>(a.part)[k * a.c + i];
		at<float>(a.to)[i] += s;
	}
}

template <typename T> DEVICE void
bias_part(const struct k_bias_bwd &a, const struct cuda_run &r)
{
	columns(rows_of(a.t, r), a.c, r,
	    [&](int64_t t, int64_t i) { return get(at<T>(a.dy) + t * a.c + i); });
}
TYPED(bias_part, k_bias_bwd)

template <typename T> DEVICE void
rmsnorm_dw(const struct k_rmsnorm_bwd &a, const struct cuda_run &r)
{
	columns(rows_of(a.t, r), a.c, r, [&](int64_t t, int64_t i) {
		return get(at<T>(a.dy) + t * a.c + i) * get(at<T>(a.x) + t * a.c + i) *
		    at<float>(a.rstd)[t];
	});
}
TYPED(rmsnorm_dw, k_rmsnorm_bwd)

template <typename T> DEVICE void
layernorm_dw(const struct k_layernorm_bwd &a, const struct cuda_run &r)
{
	columns(rows_of(a.t, r), a.c, r, [&](int64_t t, int64_t i) {
		return get(at<T>(a.dy) + t * a.c + i) *
		    (get(at<T>(a.x) + t * a.c + i) - at<float>(a.mean)[t]) * at<float>(a.rstd)[t];
	});
}
TYPED(layernorm_dw, k_layernorm_bwd)

template <typename T> DEVICE void
scale_dw(const struct k_scale_bwd &a, const struct cuda_run &r)
{
	columns(rows_of(a.f.t, r), a.f.c, r, [&](int64_t t, int64_t i) {
		return get(at<T>(a.dy) + t * a.f.c + i) * get(at<T>(a.f.x) + t * a.f.c + i) *
		    (float)a.f.alpha * (a.f.r.at != 0 ? at<float>(a.f.r)[i] : 1);
	});
}
TYPED(scale_dw, k_scale_bwd)
