/*
 * One mma.sync of each shape, and conversions to and from small floats.
 *
 * A has 16 rows and B 8 columns of the same number of words; word q of a row
 * holds as many elements as fit.  So register r of lane 4g+q is word q + 4(r/2) of row
 * g + 8(r%2) of A, and word q + 4r of column g of B, in every shape.
 */
#include <cstdint>

#define A2 "{%4,%5}"
#define A4 "{%4,%5,%6,%7}"

#define PRODUCT(name, shape, types, words, as, bs, T, c)					\
extern "C" __global__ void									\
name(const uint32_t *a, const uint32_t *b, T *d)						\
{												\
	int g = threadIdx.x / 4, q = threadIdx.x % 4;						\
	uint32_t x[4], y[2];									\
	T r[4] = { 1, 2, 3, 4 };								\
												\
	for (int i = 0; i < 4; i++)								\
		x[i] = q + 4 * (i / 2) < words ? a[(g + 8 * (i % 2)) * words + q + 4 * (i / 2)] : 0;	\
	for (int i = 0; i < 2; i++)								\
		y[i] = q + 4 * i < words ? b[g * words + q + 4 * i] : 0;			\
	asm volatile("mma.sync.aligned." shape ".row.col." types " {%0,%1,%2,%3}, " as ", " bs	\
	    ", {%0,%1,%2,%3};" : "+" c(r[0]), "+" c(r[1]), "+" c(r[2]), "+" c(r[3])		\
	    : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]));		\
	for (int i = 0; i < 4; i++)								\
		d[(g + 8 * (i / 2)) * 8 + 2 * q + i % 2] = r[i];				\
}

PRODUCT(f16_k16, "m16n8k16", "f32.f16.f16.f32", 8, A4, "{%8,%9}", float, "f")
PRODUCT(f16_k8, "m16n8k8", "f32.f16.f16.f32", 4, A2, "{%8}", float, "f")
PRODUCT(bf16_k16, "m16n8k16", "f32.bf16.bf16.f32", 8, A4, "{%8,%9}", float, "f")
PRODUCT(tf32_k8, "m16n8k8", "f32.tf32.tf32.f32", 8, A4, "{%8,%9}", float, "f")
PRODUCT(s8_k32, "m16n8k32", "s32.s8.s8.s32", 8, A4, "{%8,%9}", int, "r")
PRODUCT(s8_k16, "m16n8k16", "s32.s8.s8.s32", 4, A2, "{%8}", int, "r")
PRODUCT(su8_k32, "m16n8k32", "s32.s8.u8.s32", 8, A4, "{%8,%9}", int, "r")
PRODUCT(su8_k16, "m16n8k16", "s32.s8.u8.s32", 4, A2, "{%8}", int, "r")
PRODUCT(e4m3_k32, "m16n8k32", "f32.e4m3.e4m3.f32", 8, A4, "{%8,%9}", float, "f")
PRODUCT(e5m2_k32, "m16n8k32", "f32.e5m2.e5m2.f32", 8, A4, "{%8,%9}", float, "f")

/* There and back: fp16, bf16, e4m3 and e5m2 of each number. */
extern "C" __global__ void
small_floats(const float *x, float *y, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	uint16_t h, b, e4, e5;
	uint32_t p;

	if (i >= n)
		return;
	asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x[i]));
	asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(b) : "f"(x[i]));
	asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(e4) : "f"(0.5f), "f"(x[i]));
	asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(e5) : "f"(x[i]), "f"(0.5f));
	asm("cvt.f32.f16 %0, %1;" : "=f"(y[4 * i]) : "h"(h));
	y[4 * i + 1] = __uint_as_float((uint32_t)b << 16);
	asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(p) : "h"(e4));
	h = (uint16_t)p;
	asm("cvt.f32.f16 %0, %1;" : "=f"(y[4 * i + 2]) : "h"(h));
	asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(p) : "h"(e5));
	h = (uint16_t)(p >> 16);
	asm("cvt.f32.f16 %0, %1;" : "=f"(y[4 * i + 3]) : "h"(h));
}

/* What the warp does together. */
extern "C" __global__ void
together(const unsigned *x, unsigned *y, unsigned *total)
{
	__shared__ unsigned seen[8];
	int t = threadIdx.x;
	unsigned v = x[t];

	if (t < 8)
		seen[t] = 0;
	__syncthreads();
	atomicAdd(&seen[v % 8], 1u);
	atomicMax(total, v);
	y[5 * t] = __reduce_add_sync(~0u, v);
	y[5 * t + 1] = __reduce_max_sync(~0u, v);
	y[5 * t + 2] = __match_any_sync(~0u, v % 8);
	y[5 * t + 3] = __any_sync(~0u, v == 7) * 2 + __all_sync(~0u, v < 1000);
	__syncthreads();
	y[5 * t + 4] = seen[t % 8] + 100 * __syncthreads_count(v % 2);
}

/* One load of 16 bytes, for those who count them in machine code. */
extern "C" __global__ void
wide(const int4 *x, int4 *y)
{
	y[threadIdx.x] = x[threadIdx.x];
}
