/*
 * quant - products with types of blocks, as all shapes of them compute them
 *
 * A warp multiplies 16 rows of activations, rounded to 8 bits, and 8 rows of
 * weights, 32 of k at a time.  Sums of a part, which has one scale, are integers
 * and exact.  An element is one chain of multiply-adds over the parts of a
 * segment, of which k has four, and these are added in order: that is so however
 * many rows there are, so a row's bits never depend on others.
 *
 * Integers begin with the bits of MAGIC, a float that has no place for a fraction:
 * that their sums are floats costs one subtraction.
 */
#ifndef DEV_CUDA_QUANT_CUH
#define DEV_CUDA_QUANT_CUH

#include "dev/cuda/blocks.cuh"
#include "dev/cuda/groups.cuh"
#include "dev/cuda/mma.cuh"

/* Of a unit, QUANT_UNIT elements at x: word i of its p-th 32, and the scales of its i-th part. */
template <typename Q> DEVICE uint32_t
unit_word(const uint8_t *x, int p, int i)
{
	return Q::BLOCK == QUANT_UNIT ? Q::word(x, 8 * p + i) : Q::word(x + p * Q::BYTES, i);
}

template <typename Q> DEVICE struct quant_scale
unit_scale(const uint8_t *x, int i)
{
	return Q::BLOCK == QUANT_UNIT ? Q::scale(x, i) : Q::scale(x + i * Q::BYTES, 0);
}

/* ---- rows of weights in shared memory ---- */

/* Some rows of n elements: 16 bytes at a time, so a row begins where its address does. */
template <typename Q, int N> struct piece {
	/* An odd number of 16 bytes, against bank conflicts. */
	enum { VECTORS = (N / Q::BLOCK * Q::BYTES + 30) / 16 | 1, ROW = VECTORS * 16 };
};

/* rows of n <= N elements, of rows ld bytes apart of which there are some, by threads first ... */
template <typename Q, int N> DEVICE void
fetch_rows(uint8_t *to, const uint8_t *from, int64_t ld, int rows, int64_t there, int64_t n,
    int first, int step)
{
	typedef piece<Q, N> P;

#pragma unroll 1
	for (int e = first; e < rows * P::VECTORS; e += step) {
		int r = e / P::VECTORS, v = e % P::VECTORS;
		const uint8_t *x = from + r * ld;
		int off = (int)((uint64_t)x % 16), left = off + (int)bytes_of<Q>(n) - 16 * v;

		left = r < there ? min(max(left, 0), 16) : 0;
		copy_some(to + r * P::ROW + 16 * v, left > 0 ? x - off + 16 * v : from -
		    (uint64_t)from % 16, left);
	}
}

/* Where row r begins in shared memory, if it does at x in global memory. */
template <typename Q, int N> DEVICE const uint8_t *
row_in(const uint8_t *piece, int r, const uint8_t *x)
{
	return piece + r * ::piece<Q, N>::ROW + (uint64_t)x % 16;
}

/*
 * d and m (parts, ld) of a unit of 8 rows, from r on, by a warp; the unit is at
 * bytes of their piece, which was fetched from rows at from.
 */
template <typename Q, int N> DEVICE void
unpack_scales(float *d, float *m, int ld, const uint8_t *piece, const uint8_t *from,
    int64_t from_ld, int r, int bytes)
{
	r += lane() % 8;
#pragma unroll
	for (int part = lane() / 8; part < QUANT_UNIT / Q::PART; part += 4) {
		struct quant_scale s = unit_scale<Q>(row_in<Q, N>(piece, r, from + r * from_ld) +
		    bytes, part);

		d[part * ld + r] = s.d;
		if (Q::LEAST)
			m[part * ld + r] = s.m;
	}
}

/* ---- activations ---- */

/* Of 16 rows, 32 of k: what a lane has for mma_bytes(), and rows lane / 4 and 8 below it. */
struct actions {
	uint32_t		x[4];
	struct cuda_rounded	r[2];
};

/* Where a lane finds those of rows from a first one on; 8 rows further, next further. */
struct action_rows {
	const uint2	*x;
	const int4	*r;
	int32_t		 next;
};

/* From a row of all on, and of a row's elements those of a head. */
DEVICE struct action_rows
action_rows(const struct cuda_qmatmul &a, int64_t row, int64_t head)
{
	const struct k_grouped &g = a.g.g;
	int32_t each = (int32_t)g.p.k.cap / QUANT_K * QUANT_ROWS;
	int32_t next = each * (g.offset.at == 0 ? (int32_t)g.groups : 1);
	int64_t i;

	row += lane() / 4;
	i = row / QUANT_ROWS * next + row % QUANT_ROWS + head * each;
	return { at<const uint2>(a.q) + i * 4 + lane() % 4, at<const int4>(a.to) + i, next };
}

/* Block b of the t-th 16 rows; of rows that are not there, zeros. */
DEVICE void
load_actions(struct actions *to, const struct action_rows &a, int t, int32_t b, bool first,
    bool second)
{
#pragma unroll
	for (int h = 0; h < 2; h++) {
		int32_t i = b * QUANT_ROWS + (2 * t + h) * a.next;
		uint2 x = { 0, 0 };
		int4 r = { 0, 0, 0, 0 };

		if (h == 0 ? first : second) {
			x = __ldg(a.x + i * 4);
			/* sectors: half of one more, where a group begins with an odd row */
			r = __ldg(a.r + i);
		}
		to->x[h] = x.x;
		to->x[h + 2] = x.y;
		to->r[h] = { __int_as_float(r.x), { r.y, r.z }, 0 };
	}
}

/* ---- one step ---- */

#define MAGIC 0x1.8p23f
enum { MAGIC_BITS = 0x4b400000 };

/* Lowest bits that sums of parts lose, as the processor's do (dev/cpu/simd/qpanel.h). */
template <typename Q> struct drops { enum { BIT = 0 }; };
template <> struct drops<q6_k> { enum { BIT = 1 }; };

/* f (16, 8) += the products of one part, summed as sum; d and m of columns 2 (lane % 4) and + 1 */
template <typename Q, int ROWS> DEVICE void
add_part(float (&f)[4], const int32_t (&sum)[4], const struct actions &a, int part, float2 d,
    float2 m)
{
#pragma unroll
	for (int i = 0; i < (ROWS > 8 ? 4 : 2); i++) {
		const struct cuda_rounded &r = a.r[i / 2];
		float s = __int_as_float(sum[i]) - MAGIC;

		f[i] = __fmaf_rn(s, __fmul_rn(i % 2 ? d.y : d.x, r.scale), f[i]);
		if (Q::LEAST)
			f[i] = __fmaf_rn(i % 2 ? m.y : m.x, __int_as_float(r.start[part]), f[i]);
	}
}

/* f += activations times words w of 8 rows, whose scales are at d and m: (parts, ld) */
template <typename Q, int ROWS> DEVICE void
multiply(float (&f)[4], const struct actions &a, uint2 w, const float *d, const float *m, int ld)
{
#pragma unroll
	for (int part = 0; part < 32 / Q::PART; part++) {
		float2 dd = *(const float2 *)(d + part * ld + lane() % 4 * 2), mm = { 0, 0 };
		int32_t sum[4];

		if (Q::LEAST)
			mm = *(const float2 *)(m + part * ld + lane() % 4 * 2);
#pragma unroll
		for (int i = 0; i < 4; i++)
			sum[i] = Q::LEAST ? MAGIC_BITS : a.r[i / 2].start[part] +
			    (part & drops<Q>::BIT);
		if (Q::PART == 32)
			mma_bytes(sum, a.x, w.x, w.y);
		else
			mma_bytes(sum, a.x[2 * part], a.x[2 * part + 1], part ? w.y : w.x);
#pragma unroll
		for (int i = 0; i < 4; i++)
			sum[i] &= ~drops<Q>::BIT;
		add_part<Q, ROWS>(f, sum, a, part, dd, mm);
	}
}

/* c = alpha x [+ c] [+ bias] */
DEVICE void
put_product(const struct k_matmul &p, int64_t i, int64_t j, float x)
{
	float y = p.add ? get_as(p.c_type, p.c, i * p.ldc + j) : 0;

	if (p.bias.at != 0)
		y += at<float>(p.bias)[j];
	put_as(p.c_type, p.c, i * p.ldc + j, __fmaf_rn(x, (float)p.alpha, y));
}

/* Units of a segment. */
DEVICE int
units_of_segment(int64_t k)
{
	int64_t units = (k + QUANT_UNIT - 1) / QUANT_UNIT;

	return (int)((units + SEGMENTS - 1) / SEGMENTS);
}

#endif
