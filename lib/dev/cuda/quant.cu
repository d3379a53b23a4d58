/* Rows of blocks as floats, and activations rounded to multiply with them. */
#include "dev/cuda/quant.cuh"

/* A block of threads takes a row at a time; one whose id is outside was noted, and is left alone. */
template <typename Q> DEVICE void
embed_blocks(const struct k_embed &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);

	for (int64_t t = blockIdx.x; t < rows; t += gridDim.x) {
		int32_t id = at<int32_t>(a.id)[t];

		if (id < 0 || id >= a.v)
			continue;
		for (int64_t i = threadIdx.x; i < a.c / 4; i += THREADS) {
			float y[4];

			decode_four<Q>(y, at<const uint8_t>(a.w) + id * bytes_of<Q>(a.c), i,
			    (float)a.scale);
			for (int e = 0; e < 4; e++)
				put_as(a.type, a.y, t * a.c + 4 * i + e, y[e]);
		}
	}
}

#define EMBED(type, name, ...) ONE(embed_##name, k_embed) { embed_blocks<name>(a, r); }
QUANT_BLOCKS(EMBED)

/* ---- activations ---- */

template <typename T> struct alignas(4 * sizeof(T)) four {
	T	x[4];
};

/* Elements from i on, of rows that may begin anywhere. */
template <typename T> DEVICE void
load_four(float (&y)[4], const T *x)
{
	struct four<T> v;

	if ((uint64_t)x % sizeof(v) == 0) {
		v = *(const struct four<T> *)x;
	} else {
		for (int e = 0; e < 4; e++)
			v.x[e] = x[e];
	}
	for (int e = 0; e < 4; e++)
		y[e] = get(&v.x[e]);
}

/* The largest magnitude of 8 lanes; bits are compared, so a NaN is the largest. */
DEVICE float
most_of(const float (&x)[4])
{
	int32_t most = 0;

	for (int e = 0; e < 4; e++)
		most = max(most, __float_as_int(x[e]) & INT32_MAX);
	for (int o = 1; o < 8; o *= 2)
		most = max(most, __shfl_xor_sync(~0u, most, o));
	return __int_as_float(most);
}

/* What a product's integers begin with, or what least values are multiplied by. */
DEVICE int32_t
start_of(const struct cuda_round &a, int32_t sum, float scale)
{
	return a.least ? __float_as_int(scale * (float)sum) : MAGIC_BITS - a.zero * sum;
}

/*
 * Eight lanes take 32 elements, four each.  Where there are many rows those that
 * tiles have beyond them are zeros.  A NaN or an infinity makes the scale
 * one, and with it all results of the row.
 */
template <typename T> DEVICE void
quant_round(const struct cuda_round &a, const struct cuda_run &r)
{
	int64_t each = a.k / QUANT_K, blocks = each * a.heads, m = rows_of(a.m, r), n = m;

	if (m > QUANT_FEW)
		n = (m + a.spare + QUANT_TILE - 1) / QUANT_TILE * QUANT_TILE;
	n *= blocks * 8;
	for (int64_t e = first_of_all(); e - lane() < n; e += step_of_all()) {
		int64_t row = e / 8 / blocks, b = e / 8 % blocks;
		int64_t to = (row / QUANT_ROWS * blocks + b) * QUANT_ROWS + row % QUANT_ROWS;
		int i = (int)(e % 8);
		float x[4] = { 0 }, most, scale, inverse;
		int32_t sum, other;
		uint32_t q = 0;

		if (row < m)
			load_four(x, at<T>(a.a) + row * a.lda + b / each * a.step +
			    b % each * QUANT_K + 4 * i);
		most = most_of(x);
		scale = most / 127;
		inverse = most > 0x1p-100f ? 127 / most : 0;
		for (int k = 0; k < 4; k++)
			q |= (uint32_t)(__float2int_rn(__fmul_rn(x[k], inverse)) & 255) << 8 * k;
		sum = __dp4a((int)q, 0x01010101, 0);
		sum += __shfl_xor_sync(~0u, sum, 1);
		sum += __shfl_xor_sync(~0u, sum, 2);
		other = __shfl_xor_sync(~0u, sum, 4);
		if (e >= n)
			continue;
		at<uint32_t>(a.q)[to * 8 + i % 4 * 2 + i / 4] = q;
		sum += a.part == QUANT_K ? other : 0;
		if (i == 0)
			/* sectors: half of one for each row */
			at<int4>(a.to)[to] = make_int4(__float_as_int(scale),
			    start_of(a, sum, scale), start_of(a, other, scale), 0);
	}
}
TYPED(quant_round, cuda_round)

/* ---- weights as floats ---- */

/* Fours of a piece of a row, which lies in shared memory. */
template <typename Q, typename T> DEVICE void
decode_piece(T *to, const uint8_t *from, int64_t n)
{
	for (int64_t i = lane(); i < n / 4; i += 32) {
		struct four<T> v;
		float y[4];

		decode_four<Q>(y, from, i, 1);
#pragma unroll
		for (int e = 0; e < 4; e++)
			put(&v.x[e], y[e]);
		/* Where it is read from next; and as one, of which nvcc makes four else. */
		if (sizeof(T) == 4)
			__stcg((uint4 *)(to + 4 * i), *(const uint4 *)&v);
		else
			__stcg((uint2 *)(to + 4 * i), *(const uint2 *)&v);
	}
}

template <typename Q> DEVICE void
quant_decode(const struct cuda_decode &a)
{
	__shared__ alignas(16) uint8_t raw[WARPS][piece<Q, DECODED>::ROW];
	uint8_t *mine = raw[threadIdx.x / 32];
	int64_t pieces = (a.n + DECODED - 1) / DECODED;

	for (int64_t w = first_warp(); w < a.groups * a.k * pieces; w += step_warp()) {
		int64_t row = w / pieces, j = w % pieces * DECODED, to = row * a.n + j;
		int64_t n = min(a.n - j, (int64_t)DECODED);
		const uint8_t *from = at<const uint8_t>(a.b) + bytes_of<Q>(row / a.k * a.stride +
		    row % a.k * a.ldb + j), *x = row_in<Q, DECODED>(mine, 0, from);

		fetch_rows<Q, DECODED>(mine, from, 0, 1, 1, n, lane(), 32);
		copies_end();
		copies_wait<0>();
		__syncwarp();
		if (a.type == DTYPE_F32)
			decode_piece<Q>(at<float>(a.to) + to, x, n);
		else if (a.type == DTYPE_BF16)
			decode_piece<Q>(at<bf16>(a.to) + to, x, n);
		else
			decode_piece<Q>(at<f16>(a.to) + to, x, n);
		__syncwarp();
	}
}

#define DECODE(type, name, ...) ONE(quant_decode_##name, cuda_decode) { quant_decode<name>(a); }
QUANT_BLOCKS(DECODE)
