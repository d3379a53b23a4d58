/*
 * Products with weights of blocks.  Of few rows, reading the weights is what takes
 * time: a block of threads takes 8 rows of them, and each of its warps a segment
 * of k, which copies go ahead in.  Of many rows, a block unpacks 64 rows of
 * weights for 64 of activations, a unit of k after the other.
 *
 * Rows of weights are read 16 bytes at a time by neighbouring lanes, whatever
 * the size and place of a block: of a piece of two units in sectors of 32
 * bytes that is at most one more than it has.
 */
#include "dev/cuda/quant.cuh"

/* What a block multiplies: rows from i0 on of the m of a group, and the group's weights. */
struct task {
	struct k_matmul p;
	const uint8_t *b;
	int64_t	first, head, m, i0;	/* the group's first row of all */
};

/* Is there such a one? */
template <typename Q> DEVICE bool
task_of(struct task &t, const struct cuda_qmatmul &a, const struct cuda_run &r)
{
	const struct k_grouped &g = a.g.g;
	struct share s;

	if (!share_of(s, a.g, r, blockIdx.y, gridDim.y))
		return false;
	t.p = g.p;
	t.p.c = from_on(g.p.c, g.p.c_type, from_of_c(g, s));
	t.b = at<const uint8_t>(g.p.b) + bytes_of<Q>(from_of_b(g, s));
	t.first = s.from;
	t.head = g.offset.at == 0 ? s.group : 0;
	t.m = s.rows;
	t.i0 = s.i0;
	return true;
}

/* ---- few rows ---- */

enum { PARTS = QUANT_UNIT / QUANT_K, FEW_K = 2 * QUANT_UNIT, FEW_THREADS = 32 * SEGMENTS };

/* What a warp has: two pieces of 8 rows, and the scales of a unit. */
template <typename Q> struct few_shared {
	alignas(16) uint8_t raw[2][8 * piece<Q, FEW_K>::ROW];
	alignas(8) float d[QUANT_UNIT / Q::PART * 8];
	alignas(8) float m[Q::LEAST ? QUANT_UNIT / Q::PART * 8 : 2];
};

/* Units [unit, end) of 8 rows of weights at b, which are there, and ROWS of activations. */
template <typename Q, int ROWS> DEVICE void
few_segment(float (&f)[(ROWS + 15) / 16][4], const struct k_matmul &p,
    const struct action_rows &rows, struct few_shared<Q> &s, const uint8_t *b, int64_t there,
    int64_t m, int64_t unit, int64_t end)
{
	int64_t ld = bytes_of<Q>(p.ldb), k = p.k.cap;
	const int step = FEW_K / QUANT_UNIT, bytes = QUANT_UNIT / Q::BLOCK * Q::BYTES;

	auto fetch = [&](int64_t u, int half) {
		int64_t n = min(k, end * QUANT_UNIT) - u * QUANT_UNIT;

		if (n > 0)
			fetch_rows<Q, FEW_K>(s.raw[half], b + u * bytes, ld, 8, there,
			    min(n, (int64_t)FEW_K), lane(), 32);
		copies_end();
	};
	fetch(unit, 0);
	for (int half = 0; unit < end; unit += step, half ^= 1) {
		const uint8_t *from = b + unit * bytes, *raw = s.raw[half];
		const uint8_t *row = row_in<Q, FEW_K>(raw, lane() / 4, from + lane() / 4 * ld);

		fetch(unit + step, half ^ 1);
		copies_wait<1>();
		__syncwarp();
		for (int u = 0; u < step && unit + u < end; u++) {
			unpack_scales<Q, FEW_K>(s.d, s.m, 8, raw, from, ld, 0, u * bytes);
			__syncwarp();
#pragma unroll (ROWS > 8 ? 1 : 4)
			for (int p = 0; p < PARTS; p++) {
				int block = (int)(unit + u) * PARTS + p;
				int part = p * 32 / Q::PART * 8;
				const uint8_t *x = row + u * bytes;
				uint2 w = { unit_word<Q>(x, p, lane() % 4),
					unit_word<Q>(x, p, lane() % 4 + 4) };

				if (block >= k / QUANT_K)
					break;
#pragma unroll
				for (int t = 0; t < (ROWS + 15) / 16; t++) {
					int64_t i = 16 * t + lane() / 4;
					struct actions x;

					load_actions(&x, rows, t, block, i < m,
					    ROWS > 8 && i + 8 < m);
					multiply<Q, ROWS>(f[t], x, w, s.d + part, s.m + part, 8);
				}
			}
			__syncwarp();
		}
	}
}

template <typename Q, int ROWS> DEVICE void
few(const struct task &t, const struct action_rows &rows, struct few_shared<Q> *s,
    float (*sums)[QUANT_FEW][8])
{
	int64_t j0 = (int64_t)blockIdx.x * 8, units = (t.p.k.cap + QUANT_UNIT - 1) / QUANT_UNIT;
	int each = units_of_segment(t.p.k.cap), warp = threadIdx.x / 32;
	float f[(ROWS + 15) / 16][4] = { 0 };

	few_segment<Q, ROWS>(f, t.p, rows, s[warp], t.b + j0 * bytes_of<Q>(t.p.ldb), t.p.n - j0,
	    t.m, (int64_t)warp * each, min(units, (int64_t)(warp + 1) * each));
#pragma unroll
	for (int i = 0; i < (ROWS + 15) / 16; i++)
#pragma unroll
		for (int e = 0; e < (ROWS > 8 ? 4 : 2); e++)
			sums[warp][16 * i + e / 2 * 8 + lane() / 4][lane() % 4 * 2 + e % 2] = f[i][e];
	__syncthreads();
	for (int e = threadIdx.x; e < t.m * 8; e += FEW_THREADS) {
		float x = 0;

		for (int w = 0; w < SEGMENTS; w++)
			x += sums[w][e / 8][e % 8];
		if (j0 + e % 8 < t.p.n)
			/* sectors: half of one for each row of 16 bits */
			put_product(t.p, e / 8, j0 + e % 8, x);
	}
}

template <typename Q> DEVICE void
qmatmul_few(const struct cuda_qmatmul &a, const struct cuda_run &r)
{
	__shared__ struct few_shared<Q> s[SEGMENTS];
	__shared__ float sums[SEGMENTS][QUANT_FEW][8];
	struct task t;

	if (!task_of<Q>(t, a, r) || t.m > QUANT_FEW || t.m == 0)
		return;

	const struct action_rows rows = action_rows(a, t.first, t.head);

	if (t.m <= 8)
		few<Q, 8>(t, rows, s, sums);
	else
		few<Q, QUANT_FEW>(t, rows, s, sums);
}

/* ---- many rows ---- */

enum { MANY_M = 64, MANY_N = 64, MANY_THREADS = 128 };
enum { SCALES = MANY_N + 8 };	/* from part to part, and in the end from row to row of sums */

template <typename Q> struct many_shared {
	alignas(16) uint8_t raw[MANY_N * piece<Q, QUANT_UNIT>::ROW];
	alignas(8) uint2 w[PARTS][MANY_N / 8][32];	/* a lane's each */
	alignas(8) float d[QUANT_UNIT / Q::PART * SCALES];
	alignas(8) float m[Q::LEAST ? QUANT_UNIT / Q::PART * SCALES : 2];
};

/* A unit's words and scales, by all threads. */
template <typename Q> DEVICE void
unpack(struct many_shared<Q> &s, const uint8_t *from, int64_t ld)
{
#pragma unroll 1
	for (int tile = threadIdx.x / 32; tile < MANY_N / 8; tile += MANY_THREADS / 32) {
		int r = 8 * tile + lane() / 4;
		const uint8_t *row = row_in<Q, QUANT_UNIT>(s.raw, r, from + r * ld);

		unpack_scales<Q, QUANT_UNIT>(s.d, s.m, SCALES, s.raw, from, ld, 8 * tile, 0);
#pragma unroll 4
		for (int p = 0; p < PARTS; p++)
			s.w[p][tile][lane()] = { unit_word<Q>(row, p, lane() % 4),
				unit_word<Q>(row, p, lane() % 4 + 4) };
	}
}

/* 32 rows of activations, 32 of weights from column j of the block on, blocks [b0, b0 + n) of k. */
template <typename Q> DEVICE void
multiply_unit(float (&f)[2][4][4], const struct action_rows &a, const struct many_shared<Q> &s,
    int j, int b0, int n)
{
#pragma unroll 1
	for (int p = 0; p < n; p++) {
#pragma unroll
		for (int i = 0; i < 2; i++) {
			struct actions x;

			load_actions(&x, a, i, b0 + p, true, true);
#pragma unroll
			for (int t = 0; t < 4; t++) {
				int at = p * 32 / Q::PART * SCALES + j + 8 * t;

				multiply<Q, 16>(f[i][t], x, s.w[p][j / 8 + t][lane()], s.d + at,
				    s.m + at, SCALES);
			}
		}
	}
}

/* to += f, which begins anew */
DEVICE void
end_segment(float (&to)[2][4][4], float (&f)[2][4][4])
{
#pragma unroll
	for (int e = 0; e < 32; e++) {
		to[e / 16][e / 4 % 4][e % 4] += f[e / 16][e / 4 % 4][e % 4];
		f[e / 16][e / 4 % 4][e % 4] = 0;
	}
}

/* Through shared memory, for rows to be written in wide pieces. */
DEVICE void
put_tile(const struct task &t, const float (&x)[2][4][4], float (*tile)[SCALES], int i, int j)
{
	int64_t i0 = t.i0, j0 = (int64_t)blockIdx.x * MANY_N;

	__syncthreads();
#pragma unroll
	for (int e = 0; e < 16; e++) {
		const float *two = &x[e / 8][e / 2 % 4][e % 2 * 2];

		*(float2 *)&tile[i + e / 8 * 16 + e % 2 * 8 + lane() / 4][j + e / 2 % 4 * 8 +
		    lane() % 4 * 2] = make_float2(two[0], two[1]);
	}
	__syncthreads();
	for (int e = threadIdx.x; e < MANY_M * MANY_N; e += MANY_THREADS)
		if (i0 + e / MANY_N < t.m && j0 + e % MANY_N < t.p.n)
			put_product(t.p, i0 + e / MANY_N, j0 + e % MANY_N,
			    tile[e / MANY_N][e % MANY_N]);
}

template <typename Q> DEVICE void
qmatmul_many(const struct cuda_qmatmul &a, const struct cuda_run &r)
{
	__shared__ struct many_shared<Q> s;
	struct task t;

	if (!task_of<Q>(t, a, r) || t.m <= QUANT_FEW || t.i0 >= t.m)
		return;

	int64_t k = t.p.k.cap, ld = bytes_of<Q>(t.p.ldb), i0 = t.i0 + threadIdx.x / 64 * 32;
	int64_t j0 = (int64_t)blockIdx.x * MANY_N;
	const uint8_t *b = t.b + j0 * ld;
	const int bytes = QUANT_UNIT / Q::BLOCK * Q::BYTES, j = threadIdx.x / 32 % 2 * 32;
	const struct action_rows rows = action_rows(a, t.first + i0, t.head);
	int each = units_of_segment(k), units = (int)((k + QUANT_UNIT - 1) / QUANT_UNIT);
	float f[2][4][4] = { 0 }, sums[2][4][4] = { 0 };

	auto fetch = [&](int u) {
		fetch_rows<Q, QUANT_UNIT>(s.raw, b + u * bytes, ld, MANY_N, t.p.n - j0,
		    min(k - u * QUANT_UNIT, (int64_t)QUANT_UNIT), threadIdx.x, MANY_THREADS);
		copies_end();
	};
	if (units > 0)
		fetch(0);
	for (int u = 0; u < units; u++) {
		copies_wait<0>();
		__syncthreads();
		unpack<Q>(s, b + u * bytes, ld);
		__syncthreads();
		if (u + 1 < units)
			fetch(u + 1);
		if (i0 < t.m)
			multiply_unit<Q>(f, rows, s, j, u * PARTS, min((int)(k / QUANT_K) - u * PARTS,
			    (int)PARTS));
		if ((u + 1) % each == 0 || u + 1 == units)
			end_segment(sums, f);
	}
	put_tile(t, sums, (float (*)[SCALES])&s, threadIdx.x / 64 * 32, j);
}

#define ENTRIES(type, name, block, bytes, part, ...)				\
extern "C" __global__ void __launch_bounds__(FEW_THREADS, 4)		\
qmatmul_few_##name(const struct cuda_qmatmul a, const struct cuda_run r)	\
{										\
	qmatmul_few<name>(a, r);						\
}										\
extern "C" __global__ void __launch_bounds__(MANY_THREADS, part == 16 ? 2 : 3)	\
qmatmul_many_##name(const struct cuda_qmatmul a, const struct cuda_run r)	\
{										\
	qmatmul_many<name>(a, r);						\
}
QUANT_BLOCKS(ENTRIES)
