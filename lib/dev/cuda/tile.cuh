/*
 * tile - a tile of a matrix product by tensor cores
 *
 * A block makes a tile of c (M, N) from pieces of a and b of K along k, which
 * copies bring to shared memory STAGES - 1 pieces ahead.  Whatever the tile, an
 * element's sum is one chain of mma over sixteen of k at a time, in order and
 * with zeros beyond the end: its bits depend on k alone, and a row's not on how
 * many rows there are or which tile they chose.
 *
 * Pieces lie in shared memory as they lie in global memory, rows of k or rows
 * of m or n; ldmatrix turns them.  A row's 16 bytes are exchanged among
 * themselves so that the eight that ldmatrix reads at once, from rows one below
 * the other, are in banks of their own.
 *
 *	__shared__ alignas(128) char memory[S::BYTES];
 *	squares = tile_product<T, S>(args, memory, m, k, i0, j0);
 */
#ifndef DEV_CUDA_TILE_CUH
#define DEV_CUDA_TILE_CUH

#include "dev/cuda/finish.cuh"
#include "dev/cuda/mma.cuh"

/* Of ACROSS by DOWN warps; memory is what a block needs of shared memory. */
template <int M_, int N_, int K_, int DOWN_, int ACROSS_, int STAGES_> struct tile {
	enum {
		M = M_, N = N_, K = K_, ACROSS = ACROSS_, STAGES = STAGES_,
		THREADS = 32 * DOWN_ * ACROSS_,
		ROWS = M / DOWN_ / 16, COLUMNS = N / ACROSS_ / 8,	/* of mma, a warp's */
		BYTES = STAGES * (M + N) * K * 2,
	};
};

typedef tile<LARGE, LARGE, 32, 2, 4, 3> tile_large;
typedef tile<MIDDLE, MIDDLE, 64, 2, 2, 3> tile_middle;
typedef tile<SMALL, SMALL, 128, 1, 1, 6> tile_small;

/* An operand: n of m or n, rows of ld elements. */
template <typename T> struct side {
	const T	*x;
	int64_t	ld, n;
};

/* Where the 16 bytes at (row, chunk) are, of rows of CHUNKS. */
template <int CHUNKS> DEVICE int
place(int row, int chunk)
{
	return row * CHUNKS + (chunk ^ (CHUNKS < 8 ? row * CHUNKS / 8 & (CHUNKS - 1) : row & 7));
}

/* ---- from global to shared memory ---- */

/*
 * This thread's 16 bytes of each piece of an operand: one a STEP rows.  BY_K:
 * rows are of m or n, and k runs along them.
 */
template <typename T, bool BY_K, int SIZE, int K, int N_THREADS> struct copier {
	enum {
		CHUNKS = (BY_K ? K : SIZE) / 8, HEIGHT = BY_K ? SIZE : K,
		STEP = N_THREADS / CHUNKS, COUNT = HEIGHT / STEP,
	};
	static_assert(COUNT * STEP == HEIGHT && STEP * CHUNKS == N_THREADS, "pieces are whole");

	const T	*from;		/* of the next piece */
	int64_t	ld;
	int	below, along;	/* rows, elements of a row, that are left */
	bool	wide;

	__device__ __forceinline__
	copier(const struct side<T> &s, int64_t i0, int64_t k)
	{
		int64_t height = BY_K ? s.n - i0 : k, width = BY_K ? k : s.n - i0;
		int row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;

		from = s.x + (BY_K ? i0 * s.ld : i0) + row * s.ld + chunk * 8;
		ld = s.ld;
		below = (int)height - row;
		along = (int)width - chunk * 8;
		wide = (uint64_t)s.x % 16 == 0 && s.ld % 8 == 0;
	}

	/* Zeros beyond the matrix. */
	__device__ __forceinline__ void
	piece(T *to)
	{
		int row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
		int n = along < 0 ? 0 : along < 8 ? along : 8;

#pragma unroll
		for (int i = 0; i < COUNT; i++) {
			T *x = to + place<CHUNKS>(row + i * STEP, chunk) * 8;
			const T *y = from + i * STEP * ld;
			int here = i * STEP < below ? n : 0;

			if (wide)
				copy_some(x, y, here * 2);
			else
				one_by_one(x, y, here);
		}
		from += BY_K ? K : K * ld;
		(BY_K ? along : below) -= K;
	}

private:
	__device__ __forceinline__ void
	one_by_one(T *to, const T *y, int n)
	{
		pack<T> p;

#pragma unroll
		for (int q = 0; q < 8; q++) {
			put(&p.x[q], 0);
			if (q < n)
				p.x[q] = y[q];
		}
		*(pack<T> *)to = p;
	}
};

/* ---- from shared memory to sums ---- */

/*
 * Sixteen of m or n from i on by sixteen of k from l on.  Of a: (i, l), (i + 8, l),
 * (i, l + 8), (i + 8, l + 8), as mma wants them; b wants the middle two changed.
 */
template <bool BY_K, int SIZE, int K, typename T> DEVICE void
fragment(uint32_t (&x)[4], const T *piece, int i, int l)
{
	int low = lane() & 15, high = lane() >> 4;

	if (BY_K)
		ldmatrix(x, piece + place<K / 8>(i + low, l / 8 | high) * 8, false);
	else
		ldmatrix(x, piece + place<SIZE / 8>(l + high * 8 + (lane() & 7),
		    i / 8 | low / 8) * 8, true);
}

/* acc += this warp's part of a piece's products. */
template <typename T, typename S, bool A_BY_K, bool B_BY_K> DEVICE void
multiply_piece(float (&acc)[S::ROWS][S::COLUMNS][4], const T *as, const T *bs)
{
	int warp = threadIdx.x / 32;
	int i0 = warp / S::ACROSS * S::ROWS * 16, j0 = warp % S::ACROSS * S::COLUMNS * 8;

#pragma unroll
	for (int l = 0; l < S::K; l += 16) {
		uint32_t x[S::ROWS][4];

#pragma unroll
		for (int i = 0; i < S::ROWS; i++)
			fragment<A_BY_K, S::M, S::K>(x[i], as, i0 + 16 * i, l);
#pragma unroll
		for (int j = 0; j < S::COLUMNS; j += 2) {
			uint32_t y[4];

			fragment<B_BY_K, S::N, S::K>(y, bs, j0 + 8 * j, l);
#pragma unroll
			for (int i = 0; i < S::ROWS; i++) {
				mma(acc[i][j], x[i], y[0], y[2], as);
				mma(acc[i][j + 1], x[i], y[1], y[3], as);
			}
		}
	}
}

/* acc += the tile of a b at (i0, j0), over k; memory is free for other use after it */
template <typename T, typename S, bool A_BY_K, bool B_BY_K> DEVICE void
multiply(float (&acc)[S::ROWS][S::COLUMNS][4], char *memory, const struct side<T> &a,
    const struct side<T> &b, int64_t k, int64_t i0, int64_t j0)
{
	constexpr int EACH = (S::M + S::N) * S::K;
	T *shared = (T *)memory;
	copier<T, A_BY_K, S::M, S::K, S::THREADS> ca(a, i0, k);
	copier<T, B_BY_K, S::N, S::K, S::THREADS> cb(b, j0, k);
	int pieces = (int)((k + S::K - 1) / S::K), read = 0, write = S::STAGES - 1;

#pragma unroll 1
	for (int s = 0; s < S::STAGES - 1; s++) {
		if (s < pieces) {
			ca.piece(shared + s * EACH);
			cb.piece(shared + s * EACH + S::M * S::K);
		}
		copies_end();
	}
	for (int p = 0; p < pieces; p++) {
		copies_wait<S::STAGES - 2>();
		__syncthreads();
		/* In place of the piece before this one, which all warps are done with. */
		if (p + S::STAGES - 1 < pieces) {
			ca.piece(shared + write * EACH);
			cb.piece(shared + write * EACH + S::M * S::K);
		}
		copies_end();
		multiply_piece<T, S, A_BY_K, B_BY_K>(acc, shared + read * EACH,
		    shared + read * EACH + S::M * S::K);
		read = read + 1 < S::STAGES ? read + 1 : 0;
		write = write + 1 < S::STAGES ? write + 1 : 0;
	}
	copies_wait<0>();
	__syncthreads();
}

/* The same, of operands as they lie: ta, a is (k, m); tb, b is (n, k). */
template <typename S, typename T> DEVICE void
tile_multiply(float (&acc)[S::ROWS][S::COLUMNS][4], char *memory, const struct side<T> &a,
    const struct side<T> &b, bool ta, bool tb, int64_t k, int64_t i0, int64_t j0)
{
	if (!ta && tb)
		multiply<T, S, true, true>(acc, memory, a, b, k, i0, j0);
	else if (!ta)
		multiply<T, S, true, false>(acc, memory, a, b, k, i0, j0);
	else if (!tb)
		multiply<T, S, false, false>(acc, memory, a, b, k, i0, j0);
	else
		multiply<T, S, false, true>(acc, memory, a, b, k, i0, j0);
}

/* ---- what becomes of sums ---- */

/* Each warp turns its sums in shared memory, sixteen rows at a time. */
template <typename C, typename S> DEVICE float
finish_tile(const struct k_matmul &a, char *memory, float (&acc)[S::ROWS][S::COLUMNS][4],
    int64_t m, int64_t i0, int64_t j0)
{
	constexpr int N = 16 / sizeof(C), WIDTH = S::COLUMNS * 8, ROW = WIDTH + 8, EACH = WIDTH / N;
	int warp = threadIdx.x / 32;
	float *turn = (float *)memory + warp * 16 * ROW, squares = 0;
	bool wide = moves_at_once<C, N>(a);

	i0 += warp / S::ACROSS * S::ROWS * 16;
	j0 += warp % S::ACROSS * WIDTH;
#pragma unroll
	for (int i = 0; i < S::ROWS; i++) {
#pragma unroll
		for (int j = 0; j < S::COLUMNS; j++)
#pragma unroll
			for (int h = 0; h < 2; h++)
				*(float2 *)(turn + (lane() / 4 + 8 * h) * ROW + 8 * j +
				    lane() % 4 * 2) = make_float2(acc[i][j][2 * h],
				    acc[i][j][2 * h + 1]);
		__syncwarp();
#pragma unroll
		for (int e = lane(); e < 16 * EACH; e += 32) {
			int64_t row = i0 + 16 * i + e / EACH, column = j0 + e % EACH * N;
			const float *from = turn + e / EACH * ROW + e % EACH * N;
			few<float, N> x;

#pragma unroll
			for (int q = 0; q < N; q += 4) {
				float4 v = *(const float4 *)(from + q);

				x.x[q] = v.x;
				x.x[q + 1] = v.y;
				x.x[q + 2] = v.z;
				x.x[q + 3] = v.w;
			}
			if (row < m && column < a.n)
				squares += finish<C, N>(a, wide, row, column, x);
		}
		__syncwarp();
	}
	return squares;
}

/* c's tile at (i0, j0), of m rows; return this thread's squares of it */
template <typename S> DEVICE float
tile_finish(const struct k_matmul &a, char *memory, float (&acc)[S::ROWS][S::COLUMNS][4],
    int64_t m, int64_t i0, int64_t j0)
{
	if (a.c_type == DTYPE_F32)
		return finish_tile<float, S>(a, memory, acc, m, i0, j0);
	if (a.c_type == DTYPE_BF16)
		return finish_tile<bf16, S>(a, memory, acc, m, i0, j0);
	return finish_tile<f16, S>(a, memory, acc, m, i0, j0);
}

/*
 * The tile at (i0, j0) of a product of m rows, k terms each; return this thread's
 * squares of it, 0 beyond the rows.
 */
template <typename T, typename S> DEVICE float
tile_product(const struct k_matmul &p, char *memory, int64_t m, int64_t k, int64_t i0, int64_t j0)
{
	const struct side<T> a = { at<T>(p.a), p.lda, m }, b = { at<T>(p.b), p.ldb, p.n };
	float acc[S::ROWS][S::COLUMNS][4] = { 0 };

	if (i0 >= m)
		return 0;
	tile_multiply<S>(acc, memory, a, b, p.ta, p.tb, k, i0, j0);
	return tile_finish<S>(p, memory, acc, m, i0, j0);
}

#endif
