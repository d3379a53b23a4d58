/*
 * tiles - rows in shared memory, and their products
 *
 * Tiles are of T: a 16-bit type, multiplied by tensor cores, or float, by fused
 * multiply-adds in the same places: of 16 rows by 8 a lane of the warp has
 * x[0], x[1] of row lane / 4 from column lane % 4 * 2 on, and x[2], x[3] of the
 * row eight below.  A row of products depends on nothing but that row.
 */
#ifndef DEV_CUDA_TILES_CUH
#define DEV_CUDA_TILES_CUH

#include "dev/cuda/cached.cuh"
#include "dev/cuda/mma.cuh"

DEVICE constexpr dtype type_of(const float *) { return DTYPE_F32; }
DEVICE constexpr dtype type_of(const bf16 *) { return DTYPE_BF16; }
DEVICE constexpr dtype type_of(const f16 *) { return DTYPE_F16; }

/* ---- rows in shared memory ---- */

/* Elements of 16 bytes. */
template <typename T> DEVICE constexpr int
piece(void)
{
	return 16 / sizeof(T);
}

DEVICE int
whole(int d)
{
	return (d + 15) / 16 * 16;
}

/* From row to row of d elements: zeros up to a whole mma, and a pad against bank conflicts. */
template <typename T> DEVICE int
padded(int d)
{
	return whole(d) + piece<T>();
}

/* Rows of d elements in memory, from element first on; wide: all pieces lie at their size. */
struct rows {
	dptr	x;
	dtype	type;
	int	d;
	bool	wide;
	int64_t	first;
};

template <typename T> DEVICE struct rows
rows_at(dptr x, dtype type, int64_t first, int64_t step, int d)
{
	int each = piece<T>(), size = type == DTYPE_F32 ? 4 : 2;
	struct rows r = { x, type, d, false, first };

	r.wide = x.at % (each * size) == 0 && (first | step | d) % each == 0;
	return r;
}

/*
 * A piece of a row from element from on, of which n elements are there; the rest
 * is 0.  It comes by itself where that can be.
 */
template <typename T> DEVICE void
load_piece(T *to, const struct rows &r, int64_t from, int n)
{
	if (is_of_blocks(r.type)) {
#pragma unroll
		for (int i = 0; i < piece<T>(); i += 4) {
			float y[4] = { 0 };

			if (n > 0)
				get_four(y, r.type, r.x, from + i);
#pragma unroll
			for (int e = 0; e < 4; e++)
				put(to + i + e, y[e]);
		}
	} else if (r.wide && r.type == type_of(to)) {
		copy16(to, at<T>(r.x) + (n > 0 ? from : 0), n > 0);
	} else if (r.wide && sizeof(T) == 4 && n > 0) {
		uint2 two = *(const uint2 *)(at<bf16>(r.x) + from);
		dptr p = { (uint64_t)&two };

#pragma unroll
		for (int i = 0; i < piece<T>(); i++)
			put(to + i, get_as(r.type, p, i));
	} else {
#pragma unroll 1
		for (int i = 0; i < piece<T>(); i++)
			put(to + i, i < n ? get_as(r.type, r.x, from + i) : 0);
	}
}

/*
 * to (n, padded(d)) = rows, row i from element where(i) on; zeros where that is
 * negative.  They are there after copies_wait() and a barrier.
 */
template <typename T, typename F> DEVICE void
load_rows(T *to, const struct rows &r, int n, F where)
{
	enum { EACH = 8 * 16 / sizeof(T) };

#pragma unroll 1
	for (int i = threadIdx.x / 8; i < n; i += blockDim.x / 8) {
		int64_t from = where(i);

#pragma unroll 1
		for (int c = threadIdx.x % 8 * piece<T>(); c < whole(r.d); c += EACH)
			load_piece(to + i * padded<T>(r.d) + c, r, r.first + from + c,
			    from < 0 ? 0 : r.d - c);
	}
}

/* The reverse, of what all threads see in shared memory. */
template <typename T, typename F> DEVICE void
store_rows(const T *from, const struct rows &r, int n, F where)
{
	enum { EACH = 8 * 16 / sizeof(T) };

	for (int i = threadIdx.x / 8; i < n; i += blockDim.x / 8) {
		const T *row = from + i * padded<T>(r.d);
		int64_t to = r.first + where(i);

		for (int c = threadIdx.x % 8 * piece<T>(); c < r.d; c += EACH) {
			if (r.wide && r.type == type_of(from))
				*(pack<T> *)(at<T>(r.x) + to + c) = *(const pack<T> *)(row + c);
			else
				for (int e = c; e < min(c + piece<T>(), r.d); e++)
					put_as(r.type, r.x, to + e, get(row + e));
		}
	}
}

/* ---- operands ---- */

/*
 * Of an operand that lies by rows of k: rows [i, i + 16), k [l, l + 16).  As a
 * it is whole; as b the first eight rows are x[0], x[2], the others x[1], x[3].
 */
template <typename T> DEVICE void
by_rows(uint32_t (&x)[4], const T *y, int ld, int i, int l)
{
	ldmatrix(x, y + (i + lane() % 16) * ld + l + lane() / 16 * 8, false);
}

/* Of one whose rows are k, as b: columns [i, i + 8) are x[0], x[1], the next x[2], x[3]. */
template <typename T> DEVICE void
by_columns(uint32_t (&x)[4], const T *y, int ld, int i, int l)
{
	ldmatrix(x, y + (l + lane() % 16) * ld + i + lane() / 16 * 8, true);
}

DEVICE uint32_t
two(float x, float y, const bf16 *)
{
	__nv_bfloat162 p = __floats2bfloat162_rn(x, y);

	return *(uint32_t *)&p;
}

DEVICE uint32_t
two(float x, float y, const f16 *)
{
	__half2 p = __floats2half2_rn(x, y);

	return *(uint32_t *)&p;
}

template <typename T> DEVICE void
put_two(T *to, float x, float y)
{
	*(uint32_t *)to = two(x, y, to);
}

DEVICE void
put_two(float *to, float x, float y)
{
	*(float2 *)to = make_float2(x, y);
}

/* Sums of 16 rows by 16, as an operand a of the next product. */
template <typename T> DEVICE void
as_operand(uint32_t (&x)[4], const float (&low)[4], const float (&high)[4])
{
	x[0] = two(low[0], low[1], (const T *)0);
	x[1] = two(low[2], low[3], (const T *)0);
	x[2] = two(high[0], high[1], (const T *)0);
	x[3] = two(high[2], high[3], (const T *)0);
}

/* ---- products ---- */

template <int N> DEVICE void
zero(float (&x)[N][4])
{
#pragma unroll
	for (int n = 0; n < N; n++)
		x[n][0] = x[n][1] = x[n][2] = x[n][3] = 0;
}

/* s (16, 8 N) = rows [i, i + 16) of x times rows of y, over d elements of both. */
template <typename T, int N> DEVICE void
products(float (&s)[N][4], const T *x, int i, const T *y, int d)
{
	int ld = padded<T>(d);

	zero(s);
#pragma unroll 1
	for (int l = 0; l < d; l += 16) {
		uint32_t u[4], v[4];

		by_rows(u, x, ld, i, l);
#pragma unroll
		for (int j = 0; j < N / 2; j++) {
			by_rows(v, y, ld, 16 * j, l);
			mma(s[2 * j], u, v[0], v[2], x);
			mma(s[2 * j + 1], u, v[1], v[3], x);
		}
	}
}

DEVICE float
add_dot(float s, const float4 &x, const float4 &y)
{
	s = __fmaf_rn(x.x, y.x, s);
	s = __fmaf_rn(x.y, y.y, s);
	s = __fmaf_rn(x.z, y.z, s);
	return __fmaf_rn(x.w, y.w, s);
}

template <int N> DEVICE void
products(float (&s)[N][4], const float *x, int i, const float *y, int d)
{
	int ld = padded<float>(d);

	x += (i + lane() / 4) * ld;
	y += lane() % 4 * 2 * ld;
	zero(s);
#pragma unroll 1
	for (int l = 0; l < d; l += 4) {
		float4 low = *(const float4 *)(x + l), high = *(const float4 *)(x + 8 * ld + l);

#pragma unroll
		for (int j = 0; j < N; j++)
#pragma unroll
			for (int e = 0; e < 2; e++) {
				float4 v = *(const float4 *)(y + (8 * j + e) * ld + l);

				s[j][e] = add_dot(s[j][e], low, v);
				s[j][2 + e] = add_dot(s[j][2 + e], high, v);
			}
	}
}

/* o (16, 8 N) += s, rounded to T, times columns from c on of y (8 M, d), of which there are some. */
template <typename T, int N, int M> DEVICE void
add_products(float (&o)[N][4], const float (&s)[M][4], const T *y, int d, int c, int columns)
{
	uint32_t u[M / 2][4], v[4];

#pragma unroll
	for (int k = 0; k < M / 2; k++)
		as_operand<T>(u[k], s[2 * k], s[2 * k + 1]);
#pragma unroll
	for (int n = 0; n < N / 2; n++) {
		if (16 * n >= columns)
			continue;
#pragma unroll
		for (int k = 0; k < M / 2; k++) {
			by_columns(v, y, padded<T>(d), c + 16 * n, 16 * k);
			mma(o[2 * n], u[k], v[0], v[1], y);
			mma(o[2 * n + 1], u[k], v[2], v[3], y);
		}
	}
}

/* Lanes of a quad have the numbers of a row between them: four keys at a time. */
template <int N, int M> DEVICE void
add_products(float (&o)[N][4], const float (&s)[M][4], const float *y, int d, int c, int columns)
{
	int ld = padded<float>(d);

	y += c + lane() % 4 * 2;
#pragma unroll
	for (int j = 0; j < 2 * M; j++, y += 4 * ld) {
		float low[4], high[4];

#pragma unroll
		for (int k = 0; k < 4; k++) {
			low[k] = __shfl_sync(~0u, s[j / 2][k % 2], j % 2 * 2 + k / 2, 4);
			high[k] = __shfl_sync(~0u, s[j / 2][2 + k % 2], j % 2 * 2 + k / 2, 4);
		}
#pragma unroll
		for (int n = 0; n < N; n++) {
			if (8 * n >= columns)
				continue;
#pragma unroll
			for (int k = 0; k < 4; k++) {
				float2 v = *(const float2 *)(y + k * ld + 8 * n);

				o[n][0] = __fmaf_rn(low[k], v.x, o[n][0]);
				o[n][1] = __fmaf_rn(low[k], v.y, o[n][1]);
				o[n][2] = __fmaf_rn(high[k], v.x, o[n][2]);
				o[n][3] = __fmaf_rn(high[k], v.y, o[n][3]);
			}
		}
	}
}

#endif
