/*
 * simd - what the kernels of one instruction set share
 *
 * Every file here is compiled once for each, with ISA its name; what has
 * external linkage bears that name, and table.c collects it.
 */
#ifndef DEV_SIMD_SIMD_H
#define DEV_SIMD_SIMD_H

#include "base/isa.h"
#include "base/simd/vec.h"
#include "dev/cpu/cpu.h"
#include "dev/cpu/simd/typed.h"

cpu_kernel OF_ISA(k_fill), OF_ISA(k_copy), OF_ISA(k_cast), OF_ISA(k_add), OF_ISA(k_axpby);
cpu_kernel OF_ISA(k_embed), OF_ISA(k_embed_bwd), OF_ISA(k_scatter);
cpu_kernel OF_ISA(k_matmul), OF_ISA(k_grouped), OF_ISA(k_bias_bwd);
cpu_kernel OF_ISA(k_rmsnorm), OF_ISA(k_rmsnorm_bwd), OF_ISA(k_layernorm), OF_ISA(k_layernorm_bwd);
cpu_kernel OF_ISA(k_rope), OF_ISA(k_hadamard), OF_ISA(k_attention), OF_ISA(k_attention_bwd);
cpu_kernel OF_ISA(k_act), OF_ISA(k_act_bwd), OF_ISA(k_glu), OF_ISA(k_glu_bwd),
    OF_ISA(k_softcap);
cpu_kernel OF_ISA(k_dropout), OF_ISA(k_fake_quant);
cpu_kernel OF_ISA(k_xent), OF_ISA(k_xent_bwd);
cpu_kernel OF_ISA(k_conv), OF_ISA(k_conv_bwd), OF_ISA(k_scan), OF_ISA(k_scan_bwd);
cpu_kernel OF_ISA(k_dot), OF_ISA(k_sumsq), OF_ISA(k_guard);
cpu_kernel OF_ISA(k_adamw), OF_ISA(k_lion), OF_ISA(k_adafactor);
cpu_kernel OF_ISA(k_momentum), OF_ISA(k_normalize), OF_ISA(k_update);
cpu_kernel OF_ISA(k_ema), OF_ISA(k_swap);
cpu_kernel OF_ISA(k_route), OF_ISA(k_route_bwd), OF_ISA(k_route_sort), OF_ISA(k_route_sum);
cpu_kernel OF_ISA(k_balance), OF_ISA(k_balance_bias);
cpu_kernel OF_ISA(k_combine), OF_ISA(k_combine_bwd), OF_ISA(k_slice);
cpu_kernel OF_ISA(k_scale), OF_ISA(k_scale_bwd), OF_ISA(k_collective);

/*
 * n rounds of SPIN_CHAINS independent chains of multiply-adds; by tiles, of a product of
 * VW words of VW rows and columns.
 */
enum {
	SPIN_CHAINS = 12, SPIN_STEPS = 16,
	SPIN_FLOPS = 2 * VW * SPIN_CHAINS * SPIN_STEPS,
	TILE_FLOPS = 2 * VW * VW * VW,
};
double OF_ISA(spin)(int64_t n);
double OF_ISA(spin_bf16)(int64_t n), OF_ISA(spin_int8)(int64_t n);
double OF_ISA(read)(const float *x, int64_t n);

/* dtype_convert(), in vectors where both are of F32, BF16 and F16. */
void OF_ISA(convert)(void *to, dtype to_type, const void *from, dtype from_type, int64_t n);

/*
 * Fixed chunks of rows whose partial sums are added in order: how a sum over
 * tokens runs in parallel and never depends on the threads.
 */
enum { CHUNK_ROWS = 128 };

/*
 * out[0..c) += the sums over chunks of part (chunks, c), in order of chunks.
 */
void OF_ISA(add_chunks)(struct cpu *cpu, float *out, const float *part, int64_t chunks,
    int64_t c, int64_t ld);

#endif
