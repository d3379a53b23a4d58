/*
 * product - a tile of a matrix product
 *
 * A block makes a tile of c (TILE, TILE) from pieces of a and b of DEPTH along k,
 * in order, so that an element's sum depends on k alone.  Where a and b are both
 * bf16, or both fp16, tensor cores multiply them with sums in fp32; else fp32
 * does, whatever their types are.
 *
 * Pieces lie in shared memory as they lie in global memory, rows of k or rows
 * of m or n, so that both sides are read in wide rows; ldmatrix turns them.
 *
 * Of m rows and k terms, at (i0, j0); a thread's sum of squares is returned.
 */
#ifndef DEV_CUDA_PRODUCT_CUH
#define DEV_CUDA_PRODUCT_CUH

#include "dev/cuda/mma.cuh"

enum { TILE = 64, DEPTH = 32, PAD = 8 };

/* What an operand's piece is: (TILE, DEPTH), or its transpose as it lies in memory. */
struct side {
	bool	by_k;		/* rows are of m or n, and k runs along them */
	int64_t	ld, n;		/* n: of m or n that there are */
};

/* Elements of one piece: rows of at most 64 elements, and a pad against bank conflicts. */
enum { PIECE = TILE * (DEPTH + PAD) > DEPTH * (TILE + PAD) ? TILE * (DEPTH + PAD) :
	DEPTH * (TILE + PAD) };

DEVICE int
row_of(bool by_k)
{
	return by_k ? DEPTH + PAD : TILE + PAD;
}

/* 16 bytes at a time where rows lie so and are whole; what is beyond the matrix is 0. */
template <typename T> DEVICE void
load_piece(T *to, const T *from, const struct side &s, int64_t at, int64_t k0, int64_t k)
{
	constexpr int EACH = 16 / sizeof(T);
	int width = s.by_k ? DEPTH : TILE, height = s.by_k ? TILE : DEPTH, row = row_of(s.by_k);
	int64_t i0 = s.by_k ? at : k0, j0 = s.by_k ? k0 : at;
	int64_t i_end = s.by_k ? s.n : k, j_end = s.by_k ? k : s.n;
	bool wide = ((uint64_t)from % 16 == 0) && s.ld % EACH == 0;

	for (int e = threadIdx.x * EACH; e < width * height; e += THREADS * EACH) {
		int i = e / width, j = e % width;
		const T *x = from + (i0 + i) * s.ld + j0 + j;
		pack<T> p;

		if (wide && i0 + i < i_end && j0 + j + EACH <= j_end) {
			p = *(const pack<T> *)x;
		} else {
#pragma unroll
			for (int q = 0; q < EACH; q++) {
				if (i0 + i < i_end && j0 + j + q < j_end)
					p.x[q] = x[q];
				else
					put(&p.x[q], 0);
			}
		}
		*(pack<T> *)(to + i * row + j) = p;
	}
}

/* The same of any type, as floats. */
DEVICE void
load_floats(float *to, dtype type, dptr from, const struct side &s, int64_t at, int64_t k0,
    int64_t k)
{
	int width = s.by_k ? DEPTH : TILE, row = row_of(s.by_k);
	int64_t i0 = s.by_k ? at : k0, j0 = s.by_k ? k0 : at;
	int64_t i_end = s.by_k ? s.n : k, j_end = s.by_k ? k : s.n;

	for (int e = threadIdx.x; e < TILE * DEPTH; e += THREADS) {
		int i = e / width, j = e % width;

		to[i * row + j] = i0 + i < i_end && j0 + j < j_end ?
		    get_as(type, from, (i0 + i) * s.ld + j0 + j) : 0;
	}
}

/* ---- what becomes of sums ---- */

/* c = alpha x [+ c] [+ bias]; return the square where it is asked for. */
DEVICE float
finish(const struct k_matmul &a, int64_t m, int64_t i, int64_t j, float x)
{
	if (i >= m || j >= a.n)
		return 0;
	x *= (float)a.alpha;
	if (a.add)
		x += get_as(a.c_type, a.c, i * a.ldc + j);
	if (a.bias.at != 0)
		x += at<float>(a.bias)[j];
	put_as(a.c_type, a.c, i * a.ldc + j, x);
	return x * x;
}

/* ---- fp32 ---- */

/* A thread makes 4 by 4 elements, 16 apart: lanes read shared memory side by side. */
DEVICE float
product_f32(const struct k_matmul &a, int64_t m, int64_t k, int64_t i0, int64_t j0)
{
	__shared__ float as[PIECE], bs[PIECE];
	const struct side sa = { !a.ta, a.lda, m }, sb = { a.tb, a.ldb, a.n };
	int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
	int ai = sa.by_k ? row_of(true) : 1, ak = sa.by_k ? 1 : row_of(false);
	int bi = sb.by_k ? row_of(true) : 1, bk = sb.by_k ? 1 : row_of(false);
	float acc[4][4] = { 0 }, squares = 0;

	for (int64_t k0 = 0; i0 < m && k0 < k; k0 += DEPTH) {
		load_floats(as, a.a_type, a.a, sa, i0, k0, k);
		load_floats(bs, a.b_type, a.b, sb, j0, k0, k);
		__syncthreads();
		for (int l = 0; l < DEPTH; l++) {
			float x[4], y[4];

#pragma unroll
			for (int i = 0; i < 4; i++) {
				x[i] = as[(ty + 16 * i) * ai + l * ak];
				y[i] = bs[(tx + 16 * i) * bi + l * bk];
			}
#pragma unroll
			for (int i = 0; i < 4; i++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					acc[i][j] += x[i] * y[j];
		}
		__syncthreads();
	}
#pragma unroll
	for (int i = 0; i < 4; i++)
#pragma unroll
		for (int j = 0; j < 4; j++)
			squares += finish(a, m, i0 + ty + 16 * i, j0 + tx + 16 * j, acc[i][j]);
	return squares;
}

/* ---- tensor cores ---- */

/*
 * Sixteen of m or n from i on by sixteen of k from l on.  Of a: (i, l), (i + 8, l),
 * (i, l + 8), (i + 8, l + 8), as mma wants them; b wants the middle two changed.
 */
template <typename T> DEVICE void
fragment(uint32_t (&x)[4], const T *piece, bool by_k, int i, int l)
{
	int low = lane() & 15, high = lane() >> 4 << 3;

	if (by_k)
		ldmatrix(x, piece + (i + low) * row_of(true) + l + high, false);
	else
		ldmatrix(x, piece + (l + high + (lane() & 7)) * row_of(false) + i + (low & 8),
		    true);
}

/* Eight warps, each a part of 16 by 32 of the tile. */
template <typename T> DEVICE float
product_half(const struct k_matmul &a, int64_t m, int64_t k, int64_t i0, int64_t j0)
{
	__shared__ alignas(16) T as[PIECE];
	__shared__ alignas(16) T bs[PIECE];
	const struct side sa = { !a.ta, a.lda, m }, sb = { a.tb, a.ldb, a.n };
	int wi = threadIdx.x / 32 / 2 * 16, wj = threadIdx.x / 32 % 2 * 32;
	float acc[4][4] = { 0 }, squares = 0;

	for (int64_t k0 = 0; i0 < m && k0 < k; k0 += DEPTH) {
		load_piece(as, at<T>(a.a), sa, i0, k0, k);
		load_piece(bs, at<T>(a.b), sb, j0, k0, k);
		__syncthreads();
#pragma unroll
		for (int l = 0; l < DEPTH; l += 16) {
			uint32_t x[4], y[4];

			fragment(x, as, sa.by_k, wi, l);
#pragma unroll
			for (int j = 0; j < 2; j++) {
				fragment(y, bs, sb.by_k, wj + 16 * j, l);
				mma(acc[2 * j], x, y[0], y[2], as);
				mma(acc[2 * j + 1], x, y[1], y[3], as);
			}
		}
		__syncthreads();
	}
#pragma unroll
	for (int j = 0; j < 4; j++)
#pragma unroll
		for (int e = 0; e < 4; e++)
			squares += finish(a, m, i0 + wi + lane() / 4 + e / 2 * 8,
			    j0 + wj + 8 * j + lane() % 4 * 2 + e % 2, acc[j][e]);
	return squares;
}

#endif
