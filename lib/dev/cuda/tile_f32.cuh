/*
 * tile_f32 - a tile of a matrix product in fp32, of operands of any types
 *
 * A block of 128 threads, 16 by 8 of them, makes a tile of c (M, N) from pieces
 * of a and b of K along k: the next piece is on its way to registers while one
 * is multiplied.  An element's sum is one chain of multiply-adds in the order of
 * k, whatever the tile.
 *
 * In shared memory pieces are rows of m or n, one a k.  What has k along its rows
 * is turned on the way, and positions of a row are exchanged in eights, so that
 * what a warp writes lies in different banks.
 */
#ifndef DEV_CUDA_TILE_F32_CUH
#define DEV_CUDA_TILE_F32_CUH

#include "dev/cuda/finish.cuh"

template <int M_, int N_, int K_> struct tile_f32 {
	enum {
		M = M_, N = N_, K = K_, THREADS = 128,
		ROWS = M / 16, COLUMNS = N / 8,		/* a thread's, in groups of up to four */
		BYTES = 2 * (M + N) * K * 4,
	};
};

typedef tile_f32<LARGE, F32_LARGE, 16> tile_f32_large;
typedef tile_f32<MIDDLE, MIDDLE, 16> tile_f32_middle;
typedef tile_f32<SMALL, F32_SMALL, 64> tile_f32_small;

/* An operand: n of m or n, rows of ld elements; by_k: k runs along them. */
struct side_f32 {
	dptr	x;
	dtype	type;
	bool	by_k;
	int64_t	ld, n, k;
};

/* Where column i of row l is, of SIZE. */
template <int SIZE> DEVICE int
place_f32(int l, int i)
{
	return l * SIZE + (i ^ (l / 4 * 8 & 24 & (SIZE - 8)));
}

/* A thread's share of pieces: fours of elements that lie together. */
template <int SIZE, int K> struct carrier {
	enum { FOURS = SIZE * K / 4 / 128 };

	float	x[FOURS][4];

	/* Row and column of a four as it lies in global memory: 8 rows by 64 bytes a warp, or a row. */
	static __device__ __forceinline__ void
	where(bool by_k, int f, int *i, int *l)
	{
		int e = f * 128 + threadIdx.x, unit = e / 32;

		*i = by_k ? unit % (SIZE / 8) * 8 + lane() / 4 : e % (SIZE / 4) * 4;
		*l = by_k ? unit / (SIZE / 8) * 16 + lane() % 4 * 4 : e / (SIZE / 4);
	}

	template <typename T> __device__ __forceinline__ void
	load_as(const struct side_f32 &s, int64_t i0, int64_t k0)
	{
		bool wide = s.x.at % (4 * sizeof(T)) == 0 && s.ld % 4 == 0;

#pragma unroll
		for (int f = 0; f < FOURS; f++) {
			int i, l;

			where(s.by_k, f, &i, &l);

			int64_t row = s.by_k ? i0 + i : k0 + l, column = s.by_k ? k0 + l : i0 + i;
			int64_t rows = s.by_k ? s.n : s.k, left = (s.by_k ? s.k : s.n) - column;
			const T *from = at<T>(s.x) + row * s.ld + column;
			few<T, 4> p;

			left = row < rows ? left : 0;
			if (wide && left >= 4)
				p = *(const few<T, 4> *)from;
#pragma unroll
			for (int q = 0; q < 4; q++)
				x[f][q] = q >= left ? 0 : wide && left >= 4 ? get(&p.x[q]) :
				    get(from + q);
		}
	}

	__device__ __forceinline__ void
	load(const struct side_f32 &s, int64_t i0, int64_t k0)
	{
		if (s.type == DTYPE_F32)
			load_as<float>(s, i0, k0);
		else if (s.type == DTYPE_BF16)
			load_as<bf16>(s, i0, k0);
		else
			load_as<f16>(s, i0, k0);
	}

	__device__ __forceinline__ void
	store(bool by_k, float *to) const
	{
#pragma unroll
		for (int f = 0; f < FOURS; f++) {
			int i, l;

			where(by_k, f, &i, &l);
			if (!by_k)
				*(float4 *)(to + place_f32<SIZE>(l, i)) =
				    make_float4(x[f][0], x[f][1], x[f][2], x[f][3]);
			else
#pragma unroll
				for (int q = 0; q < 4; q++)
					to[place_f32<SIZE>(l + q, i)] = x[f][q];
		}
	}
};

/* x: a thread's N of row l, in groups of V that are 16 V apart, or 8 V */
template <int SIZE, int N, int THREADS> DEVICE void
row_f32(float (&x)[N], const float *piece, int l, int thread)
{
	constexpr int V = N < 4 ? N : 4;

#pragma unroll
	for (int g = 0; g < N / V; g++)
		*(few<float, V> *)&x[g * V] = *(const few<float, V> *)(piece +
		    place_f32<SIZE>(l, (g * THREADS + thread) * V));
}

/* acc += the tile of a b at (i0, j0), over k */
template <typename S> DEVICE void
tile_f32_multiply(float (&acc)[S::ROWS][S::COLUMNS], char *memory, const struct side_f32 &a,
    const struct side_f32 &b, int64_t i0, int64_t j0)
{
	constexpr int EACH = (S::M + S::N) * S::K;
	float *half = (float *)memory, *other = half + EACH;
	carrier<S::M, S::K> ca;
	carrier<S::N, S::K> cb;

	if (a.k > 0) {
		ca.load(a, i0, 0);
		cb.load(b, j0, 0);
	}
	for (int64_t k0 = 0; k0 < a.k; k0 += S::K) {
		float *was = half;

		ca.store(a.by_k, half);
		cb.store(b.by_k, half + S::M * S::K);
		__syncthreads();
		if (k0 + S::K < a.k) {
			ca.load(a, i0, k0 + S::K);
			cb.load(b, j0, k0 + S::K);
		}
#pragma unroll
		for (int l = 0; l < S::K; l++) {
			float x[S::ROWS], y[S::COLUMNS];

			row_f32<S::M, S::ROWS, 16>(x, half, l, threadIdx.x / 8);
			row_f32<S::N, S::COLUMNS, 8>(y, half + S::M * S::K, l, threadIdx.x % 8);
#pragma unroll
			for (int i = 0; i < S::ROWS; i++)
#pragma unroll
				for (int j = 0; j < S::COLUMNS; j++)
					acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
		}
		half = other;
		other = was;
	}
}

/* c's tile at (i0, j0), of m rows; return this thread's squares of it */
template <typename C, typename S> DEVICE float
finish_f32(const struct k_matmul &a, const float (&acc)[S::ROWS][S::COLUMNS], int64_t m,
    int64_t i0, int64_t j0)
{
	constexpr int V = S::ROWS < 4 ? S::ROWS : 4;
	bool wide = moves_at_once<C, 4>(a);
	float squares = 0;

#pragma unroll
	for (int i = 0; i < S::ROWS; i++)
#pragma unroll
		for (int j = 0; j < S::COLUMNS; j += 4) {
			int64_t row = i0 + (i / V * 16 + threadIdx.x / 8) * V + i % V;
			int64_t column = j0 + (j / 4 * 8 + threadIdx.x % 8) * 4;
			few<float, 4> x = { acc[i][j], acc[i][j + 1], acc[i][j + 2],
			    acc[i][j + 3] };

			if (row < m && column < a.n)
				squares += finish<C, 4>(a, wide, row, column, x);
		}
	return squares;
}

template <typename S> DEVICE float
tile_f32_finish(const struct k_matmul &a, const float (&acc)[S::ROWS][S::COLUMNS], int64_t m,
    int64_t i0, int64_t j0)
{
	if (a.c_type == DTYPE_F32)
		return finish_f32<float, S>(a, acc, m, i0, j0);
	if (a.c_type == DTYPE_BF16)
		return finish_f32<bf16, S>(a, acc, m, i0, j0);
	return finish_f32<f16, S>(a, acc, m, i0, j0);
}

/*
 * The tile at (i0, j0) of a product of m rows, k terms each; return this thread's
 * squares of it, 0 beyond the rows.
 */
template <typename S> DEVICE float
tile_f32_product(const struct k_matmul &p, char *memory, int64_t m, int64_t k, int64_t i0,
    int64_t j0)
{
	const struct side_f32 a = { p.a, p.a_type, !p.ta, p.lda, m, k };
	const struct side_f32 b = { p.b, p.b_type, p.tb, p.ldb, p.n, k };
	float acc[S::ROWS][S::COLUMNS] = { 0 };

	if (i0 >= m)
		return 0;
	tile_f32_multiply<S>(acc, memory, a, b, i0, j0);
	return tile_f32_finish<S>(p, acc, m, i0, j0);
}

#endif
