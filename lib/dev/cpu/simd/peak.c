#include "dev/cpu/simd/amx.h"
#include "dev/cpu/simd/simd.h"

/* What the machine can do at most: loops that do nothing else. */

double
OF_ISA(spin)(int64_t n)
{
	vf acc[SPIN_CHAINS], x = vset(0.999f), y = vset(1e-3f), sum = { 0 };

	/* Chains that differ, so that none is computed for another. */
	for (int j = 0; j < SPIN_CHAINS; j++)
		acc[j] = vset((float)j);
	for (int64_t i = 0; i < n; i++) {
		for (int s = 0; s < SPIN_STEPS; s++)
			for (int j = 0; j < SPIN_CHAINS; j++)
				acc[j] = vfma(acc[j], x, y);
	}
	for (int j = 0; j < SPIN_CHAINS; j++)
		sum += acc[j];
	return (double)vsum(sum);
}

/*
 * In place, whatever the compiler thinks of it; its loops are unrolled, or the
 * chains would be kept in memory.
 */
#define SPIN_IN_PLACE(name, instructions)				\
double									\
OF_ISA(name)(int64_t n)							\
{									\
	vf acc[SPIN_CHAINS], sum = { 0 };				\
	vi x = viset(0x01010101);					\
									\
	UNROLL								\
	for (int j = 0; j < SPIN_CHAINS; j++)				\
		acc[j] = vset((float)j);				\
	for (int64_t i = 0; i < n * SPIN_STEPS; i++) {			\
		UNROLL							\
		for (int j = 0; j < SPIN_CHAINS; j++) {			\
			vf a = acc[j];					\
									\
			__asm__(instructions : "+v"(a) : "v"(x) : "xmm0");	\
			acc[j] = a;					\
		}							\
	}								\
	UNROLL								\
	for (int j = 0; j < SPIN_CHAINS; j++)				\
		sum += acc[j];						\
	return (double)vsum(sum);					\
}
#if AMX
/* Four tiles of sums, as products have them. */
double
OF_ISA(spin_bf16)(int64_t n)
{
	float sum[VW * VW], x[VW * VW] = { 0 };

	tiles_begin();
	tile_load(4, x, TILE_LINE);
	tile_load(6, x, TILE_LINE);
	for (int64_t i = 0; i < n; i += 4) {
		tile_pairs(0, 4, 6);
		tile_pairs(1, 4, 6);
		tile_pairs(2, 4, 6);
		tile_pairs(3, 4, 6);
	}
	tile_store(0, sum, TILE_LINE);
	tiles_end();
	return (double)sum[0];
}
#elif defined(__AVX512BF16__)
SPIN_IN_PLACE(spin_bf16, "vdpbf16ps %1, %1, %0")
#endif
#ifdef __AVX512VNNI__
SPIN_IN_PLACE(spin_int8, "vpdpbusd %1, %1, %0")
#elif VW == 8
SPIN_IN_PLACE(spin_int8, "vpmaddubsw %1, %1, %%ymm0; vpaddw %%ymm0, %0, %0")
#endif

double
OF_ISA(read)(const float *x, int64_t n)
{
	vf sum[8] = { { 0 } };

	for (int64_t i = 0; i + 8 * VW <= n; i += 8 * VW) {
		UNROLL
		for (int j = 0; j < 8; j++)
			sum[j] += vload(x + i + j * VW);
	}
	for (int j = 1; j < 8; j++)
		sum[0] += sum[j];
	return (double)vsum(sum[0]);
}
