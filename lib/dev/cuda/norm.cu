/*
 * Norms: a warp takes a row.  Gradients of what is per column are summed over
 * chunks of COLUMN_ROWS rows, and then over chunks, in order.
 */
#include "dev/cuda/columns.cuh"

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

		for (int64_t i = lane(); i < a.c; i += 32)
			s += get(x + i) * get(x + i);
		rstd = 1 / sqrtf(warp_sum(s) / (float)a.c + (float)a.eps);
		if (a.rstd.at != 0 && lane() == 0)
			at<float>(a.rstd)[t] = rstd;
		for (int64_t i = lane(); i < a.c; i += 32)
			put(y + i, get(x + i) * rstd * (w[i] + plus));
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

		for (int64_t i = lane(); i < a.c; i += 32)
			s += get(dy + i) * (w[i] + plus) * get(x + i);
		s = warp_sum(s) * rstd * rstd / (float)a.c;
		for (int64_t i = lane(); i < a.c; i += 32) {
			float d = rstd * (get(dy + i) * (w[i] + plus) - get(x + i) * s);

			put(dx + i, a.add ? d + get(dx + i) : d);
		}
	}
}
TYPED(rmsnorm_dx, k_rmsnorm_bwd)

template <typename T> DEVICE void
layernorm(const struct k_layernorm &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);
	const float *w = at<float>(a.w), *b = at<float>(a.b);

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const T *x = at<T>(a.x) + t * a.c;
		T *y = at<T>(a.y) + t * a.c;
		float s = 0, v = 0, mean, rstd;

		for (int64_t i = lane(); i < a.c; i += 32)
			s += get(x + i);
		mean = warp_sum(s) / (float)a.c;
		for (int64_t i = lane(); i < a.c; i += 32)
			v += (get(x + i) - mean) * (get(x + i) - mean);
		rstd = 1 / sqrtf(warp_sum(v) / (float)a.c + (float)a.eps);
		if (a.mean.at != 0 && lane() == 0)
			at<float>(a.mean)[t] = mean;
		if (a.rstd.at != 0 && lane() == 0)
			at<float>(a.rstd)[t] = rstd;
		for (int64_t i = lane(); i < a.c; i += 32)
			put(y + i, (get(x + i) - mean) * rstd * w[i] + (a.b.at != 0 ? b[i] : 0));
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

		for (int64_t i = lane(); i < a.c; i += 32) {
			g += get(dy + i) * w[i];
			gh += get(dy + i) * w[i] * (get(x + i) - mean) * rstd;
		}
		g = warp_sum(g) / (float)a.c;
		gh = warp_sum(gh) / (float)a.c;
		for (int64_t i = lane(); i < a.c; i += 32) {
			float h = (get(x + i) - mean) * rstd;
			float d = rstd * (get(dy + i) * w[i] - g - h * gh);

			put(dx + i, a.add ? d + get(dx + i) : d);
		}
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
