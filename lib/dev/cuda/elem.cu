/* Elementwise work: fill, cast, add, axpby, dropout, scale, slice. */
#include "base/rng_impl.h"
#include "dev/cuda/common.cuh"

template <typename T> DEVICE void
fill_with(const struct k_fill &a, T x)
{
	for (int64_t i = first_of_all(); i < a.n; i += step_of_all())
		at<T>(a.y)[i] = x;
}

ONE(fill, k_fill)
{
	switch (a.type) {
	case DTYPE_F64:	fill_with(a, a.value); break;
	case DTYPE_I32:	fill_with(a, (int32_t)a.value); break;
	case DTYPE_F32:	fill_with(a, (float)a.value); break;
	case DTYPE_BF16: fill_with(a, __float2bfloat16_rn((float)a.value)); break;
	default:	fill_with(a, __float2half_rn((float)a.value));
	}
}

template <typename TO, typename FROM> DEVICE void
cast_to(const struct k_cast &a)
{
	constexpr int EACH = 16 / (sizeof(TO) > sizeof(FROM) ? sizeof(TO) : sizeof(FROM));
	struct alignas(EACH * sizeof(TO)) { TO x[EACH]; } out;
	struct alignas(EACH * sizeof(FROM)) { FROM x[EACH]; } in;
	int64_t done = (a.x.at | a.y.at) % 16 == 0 ? a.n / EACH * EACH : 0;

	for (int64_t i = first_of_all() * EACH; i < done; i += step_of_all() * EACH) {
		in = *(decltype(in) *)(at<FROM>(a.x) + i);
#pragma unroll
		for (int j = 0; j < EACH; j++)
			put(&out.x[j], get(&in.x[j]));
		*(decltype(out) *)(at<TO>(a.y) + i) = out;
	}
	for (int64_t i = done + first_of_all(); i < a.n; i += step_of_all())
		put(at<TO>(a.y) + i, get(at<FROM>(a.x) + i));
}

/* F64 is of tests and statistics: one by one. */
DEVICE void
cast_double(const struct k_cast &a)
{
	for (int64_t i = first_of_all(); i < a.n; i += step_of_all()) {
		double x = a.x_type == DTYPE_F64 ? at<double>(a.x)[i] :
		    (double)get_as(a.x_type, a.x, i);

		if (a.y_type == DTYPE_F64)
			at<double>(a.y)[i] = x;
		else
			put_as(a.y_type, a.y, i, (float)x);
	}
}

template <typename TO> DEVICE void
cast_from(const struct k_cast &a)
{
	if (a.x_type == DTYPE_F32)
		cast_to<TO, float>(a);
	else if (a.x_type == DTYPE_BF16)
		cast_to<TO, bf16>(a);
	else
		cast_to<TO, f16>(a);
}

ONE(cast, k_cast)
{
	if (a.y_type == DTYPE_F64 || a.x_type == DTYPE_F64)
		cast_double(a);
	else if (a.y_type == DTYPE_F32)
		cast_from<float>(a);
	else if (a.y_type == DTYPE_BF16)
		cast_from<bf16>(a);
	else
		cast_from<f16>(a);
}

template <typename T> DEVICE void
add(const struct k_add &a, const struct cuda_run &r)
{
	int64_t n = rows_of(a.t, r) * a.c;

	if (a.b_row) {
		const T *x[1] = { at<T>(a.a) };
		const float *b = at<float>(a.b);

		map(first_of_all(), step_of_all(), at<T>(a.y), x, n,
		    [&](const float *v, int64_t i) { return v[0] + b[i % a.c]; });
	} else {
		const T *x[2] = { at<T>(a.a), at<T>(a.b) };

		map(first_of_all(), step_of_all(), at<T>(a.y), x, n,
		    [&](const float *v, int64_t) { return v[0] + v[1]; });
	}
}
TYPED(add, k_add)

template <typename T> DEVICE void
axpby(const struct k_axpby &a, const struct cuda_run &)
{
	float alpha = (float)a.alpha, beta = (float)a.beta;

	if (beta != 0) {
		const T *x[2] = { at<T>(a.x), at<T>(a.y) };

		map(first_of_all(), step_of_all(), at<T>(a.y), x, a.n,
		    [&](const float *v, int64_t) { return alpha * v[0] + beta * v[1]; });
	} else {
		const T *x[1] = { at<T>(a.x) };

		map(first_of_all(), step_of_all(), at<T>(a.y), x, a.n,
		    [&](const float *v, int64_t) { return alpha * v[0]; });
	}
}
TYPED(axpby, k_axpby)

/* ---- dropout ---- */

template <typename T> DEVICE void
dropout(const struct k_dropout &a, const struct cuda_run &r)
{
	uint64_t key = philox_u64(a.seed, a.op, (uint64_t)*at<int64_t>(a.step));
	float scale = (float)(1 / (1 - a.p));
	/* Bits below it drop: rounded up, as a comparison with p 2^31 itself would. */
	uint32_t limit = (uint32_t)ceil(a.p * 0x1p31);
	int64_t n = rows_of(a.t, r) * a.c;

	if (a.add) {
		const T *x[2] = { at<T>(a.x), at<T>(a.y) };

		map(first_of_all(), step_of_all(), at<T>(a.y), x, n,
		    [&](const float *v, int64_t i) {
			return (dropout_bits(key, (uint32_t)i) >= limit ? v[0] * scale : 0) + v[1];
		    });
	} else {
		const T *x[1] = { at<T>(a.x) };

		map(first_of_all(), step_of_all(), at<T>(a.y), x, n,
		    [&](const float *v, int64_t i) {
			return dropout_bits(key, (uint32_t)i) >= limit ? v[0] * scale : 0;
		    });
	}
}
TYPED(dropout, k_dropout)

/* ---- columns ---- */

DEVICE float
factor(const struct k_scale &a, int64_t i)
{
	return (float)a.alpha * (a.w.at != 0 ? at<float>(a.w)[i] : 1) *
	    (a.r.at != 0 ? at<float>(a.r)[i] : 1);
}

template <typename T> DEVICE void
scale(const struct k_scale &a, const struct cuda_run &r)
{
	const T *x[1] = { at<T>(a.x) };

	map(first_of_all(), step_of_all(), at<T>(a.y), x, rows_of(a.t, r) * a.c,
	    [&](const float *v, int64_t i) {
		return v[0] * factor(a, i % a.c) +
		    (a.bias.at != 0 ? at<float>(a.bias)[i % a.c] : 0);
	    });
}
TYPED(scale, k_scale)

template <typename T> DEVICE void
scale_dx(const struct k_scale_bwd &a, const struct cuda_run &r)
{
	const T *x[2] = { at<T>(a.dy), a.add ? at<T>(a.dx) : at<T>(a.dy) };

	map(first_of_all(), step_of_all(), at<T>(a.dx), x, rows_of(a.f.t, r) * a.f.c,
	    [&](const float *v, int64_t i) {
		return v[0] * factor(a.f, i % a.f.c) + (a.add ? v[1] : 0);
	    });
}
TYPED(scale_dx, k_scale_bwd)

/* Where heads add up, one thread adds all of them. */
template <typename T> DEVICE void
slice(const struct k_slice &a, const struct cuda_run &r)
{
	int64_t heads = a.stepy == 0 ? 1 : a.heads, sum = a.stepy == 0 ? a.heads : 1;
	int64_t n = rows_of(a.t, r) * heads * a.c;

	for (int64_t at_ = first_of_all(); at_ < n; at_ += step_of_all()) {
		int64_t i = at_ % a.c, h = at_ / a.c % heads, t = at_ / a.c / heads;
		const T *x = at<T>(a.x) + t * a.ldx + h * a.stepx + i;
		T *y = at<T>(a.y) + t * a.ldy + h * a.stepy + i;
		float v = get(x);

		for (int64_t k = 1; k < sum; k++)
			v += get(x + k * a.stepx);
		put(y, a.add ? v + get(y) : v);
	}
}
TYPED(slice, k_slice)

/* What a library sums at capacity; elements are of two bytes or four. */
ONE(tails, cuda_tails)
{
	for (int64_t row = rows_of(a.t, r) + blockIdx.x; row < a.t.cap; row += gridDim.x)
		for (int i = 0; i < 2; i++)
			for (int64_t k = threadIdx.x; k < a.bytes[i] / 2; k += THREADS)
				at<uint16_t>(a.x[i])[row * (a.ld[i] / 2) + k] = 0;
}
