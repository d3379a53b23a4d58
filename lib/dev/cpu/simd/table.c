#include "dev/cpu/simd/amx.h"

/* Of AVX-512 BF16 and AMX there are only products; the other kernels are those of avx512. */
#ifdef __AVX512BF16__
#if AMX
#define PRODUCTS amx
#else
#define PRODUCTS avx512bf16
#endif
#undef ISA
#define ISA avx512
#else
#define PRODUCTS ISA
#endif

#include "dev/cpu/simd/simd.h"

#define OF_PRODUCTS(name) ISA_JOIN(name, PRODUCTS)
#define ISA_STRING2(x) #x
#define ISA_STRING(x) ISA_STRING2(x)

cpu_kernel OF_PRODUCTS(k_matmul), OF_PRODUCTS(k_grouped);
double OF_PRODUCTS(spin_bf16)(int64_t n), OF_PRODUCTS(spin_int8)(int64_t n);

extern const struct cpu_isa OF_PRODUCTS(cpu_isa);
const struct cpu_isa OF_PRODUCTS(cpu_isa) = {
	.name = ISA_STRING(PRODUCTS),
	.kernel = {
		[K_FILL] = OF_ISA(k_fill),
		[K_COPY] = OF_ISA(k_copy),
		[K_CAST] = OF_ISA(k_cast),
		[K_ADD] = OF_ISA(k_add),
		[K_AXPBY] = OF_ISA(k_axpby),
		[K_EMBED] = OF_ISA(k_embed),
		[K_EMBED_BWD] = OF_ISA(k_embed_bwd),
		[K_SCATTER] = OF_ISA(k_scatter),
		[K_MATMUL] = OF_PRODUCTS(k_matmul),
		[K_GROUPED] = OF_PRODUCTS(k_grouped),
		[K_BIAS_BWD] = OF_ISA(k_bias_bwd),
		[K_RMSNORM] = OF_ISA(k_rmsnorm),
		[K_RMSNORM_BWD] = OF_ISA(k_rmsnorm_bwd),
		[K_LAYERNORM] = OF_ISA(k_layernorm),
		[K_LAYERNORM_BWD] = OF_ISA(k_layernorm_bwd),
		[K_ROPE] = OF_ISA(k_rope),
		[K_HADAMARD] = OF_ISA(k_hadamard),
		[K_ATTENTION] = OF_ISA(k_attention),
		[K_ATTENTION_BWD] = OF_ISA(k_attention_bwd),
		[K_ACT] = OF_ISA(k_act),
		[K_SOFTCAP] = OF_ISA(k_softcap),
		[K_ACT_BWD] = OF_ISA(k_act_bwd),
		[K_GLU] = OF_ISA(k_glu),
		[K_GLU_BWD] = OF_ISA(k_glu_bwd),
		[K_DROPOUT] = OF_ISA(k_dropout),
		[K_FAKE_QUANT] = OF_ISA(k_fake_quant),
		[K_XENT] = OF_ISA(k_xent),
		[K_XENT_BWD] = OF_ISA(k_xent_bwd),
		[K_CONV] = OF_ISA(k_conv),
		[K_CONV_BWD] = OF_ISA(k_conv_bwd),
		[K_SCAN] = OF_ISA(k_scan),
		[K_SCAN_BWD] = OF_ISA(k_scan_bwd),
		[K_DOT] = OF_ISA(k_dot),
		[K_SUMSQ] = OF_ISA(k_sumsq),
		[K_GUARD] = OF_ISA(k_guard),
		[K_ADAMW] = OF_ISA(k_adamw),
		[K_LION] = OF_ISA(k_lion),
		[K_ADAFACTOR] = OF_ISA(k_adafactor),
		[K_MOMENTUM] = OF_ISA(k_momentum),
		[K_NORMALIZE] = OF_ISA(k_normalize),
		[K_UPDATE] = OF_ISA(k_update),
		[K_EMA] = OF_ISA(k_ema),
		[K_SWAP] = OF_ISA(k_swap),
		[K_ROUTE] = OF_ISA(k_route),
		[K_ROUTE_BWD] = OF_ISA(k_route_bwd),
		[K_ROUTE_SORT] = OF_ISA(k_route_sort),
		[K_ROUTE_SUM] = OF_ISA(k_route_sum),
		[K_BALANCE] = OF_ISA(k_balance),
		[K_BALANCE_BIAS] = OF_ISA(k_balance_bias),
		[K_COMBINE] = OF_ISA(k_combine),
		[K_COMBINE_BWD] = OF_ISA(k_combine_bwd),
		[K_SLICE] = OF_ISA(k_slice),
		[K_SCALE] = OF_ISA(k_scale),
		[K_SCALE_BWD] = OF_ISA(k_scale_bwd),
		[K_COLLECTIVE] = OF_ISA(k_collective),
	},
	.f32 = { OF_ISA(spin), SPIN_FLOPS },
#if AMX
	.bf16 = { OF_PRODUCTS(spin_bf16), 2 * TILE_FLOPS },
#elif defined(__AVX512BF16__)
	.bf16 = { OF_PRODUCTS(spin_bf16), 2 * SPIN_FLOPS },
#endif
#if defined(__AVX512VNNI__) || VW == 8
	.int8 = { OF_PRODUCTS(spin_int8), 4 * SPIN_FLOPS },
#endif
	.read = OF_ISA(read),
};
