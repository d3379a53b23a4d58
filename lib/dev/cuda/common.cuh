/*
 * common - what kernels share: types, rows that vary, sums in a fixed order
 *
 * A kernel is a template of the activations' type, made into name_f32, name_bf16
 * and name_f16 by TYPED().  Arithmetic is fp32.  A sum runs in an order that its
 * length decides, and no float is added atomically, so that bits depend on the
 * arguments alone.
 */
#ifndef DEV_CUDA_COMMON_CUH
#define DEV_CUDA_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "dev/cuda/run.h"

typedef __nv_bfloat16 bf16;
typedef __half f16;

enum { THREADS = 256, WARPS = THREADS / 32 };

#define ENTRY(name, args, threads, blocks)					\
extern "C" __global__ void __launch_bounds__(threads, blocks)			\
name(const struct args a, const struct cuda_run r)

#define ONE(name, args) ENTRY(name, args, THREADS, 1)

#define TYPED(name, args)							\
ONE(name##_f32, args) { name<float>(a, r); }					\
ONE(name##_bf16, args) { name<bf16>(a, r); }					\
ONE(name##_f16, args) { name<f16>(a, r); }

#define DEVICE static __device__ __forceinline__

DEVICE float get(const float *p) { return *p; }
DEVICE float get(const bf16 *p) { return __bfloat162float(*p); }
DEVICE float get(const f16 *p) { return __half2float(*p); }
DEVICE void put(float *p, float x) { *p = x; }
DEVICE void put(bf16 *p, float x) { *p = __float2bfloat16_rn(x); }
DEVICE void put(f16 *p, float x) { *p = __float2half_rn(x); }

template <typename T> DEVICE T *
at(dptr p)
{
	return (T *)p.at;
}

/* Where the type is told by an argument. */
DEVICE float
get_as(dtype type, dptr p, int64_t i)
{
	return type == DTYPE_F32 ? at<float>(p)[i] : type == DTYPE_BF16 ? get(at<bf16>(p) + i) :
	    get(at<f16>(p) + i);
}

DEVICE void
put_as(dtype type, dptr p, int64_t i, float x)
{
	if (type == DTYPE_F32)
		at<float>(p)[i] = x;
	else if (type == DTYPE_BF16)
		put(at<bf16>(p) + i, x);
	else
		put(at<f16>(p) + i, x);
}

/* ---- rows ---- */

/* The first to note something is heard: one, where several do at once. */
DEVICE void
note(const struct cuda_run &r, int32_t what, int64_t row, int64_t value, int64_t limit)
{
	struct cuda_note *n = at<struct cuda_note>(r.note);

	if (atomicCAS(&n->what, NOTE_NONE, what) != NOTE_NONE)
		return;
	n->kernel = r.kernel;
	n->row = row;
	n->value = value;
	n->limit = limit;
}

/* How many rows there are this time; none when they are more than were planned. */
DEVICE int64_t
rows_of(const struct dim &d, const struct cuda_run &r)
{
	int64_t n;

	if (d.n.at == 0)
		return d.cap;
	n = *at<int32_t>(d.n) * (d.each > 0 ? d.each : 1);
	if (n >= 0 && n <= d.cap)
		return n;
	note(r, NOTE_ROWS, 0, n, d.cap);
	return 0;
}

DEVICE int64_t
first_of_all(void)
{
	return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

DEVICE int64_t
step_of_all(void)
{
	return (int64_t)gridDim.x * blockDim.x;
}

/* Rows to warps. */
DEVICE int64_t
first_warp(void)
{
	return first_of_all() / 32;
}

DEVICE int64_t
step_warp(void)
{
	return step_of_all() / 32;
}

DEVICE int
lane(void)
{
	return threadIdx.x % 32;
}

/* The sequence of token t: the last that begins at it or before; or -1. */
DEVICE int64_t
sequence_of(const int32_t *cu, int64_t seqs, int64_t t)
{
	int64_t low = 0, high = seqs;

	if (seqs == 0 || t >= cu[seqs])
		return -1;
	while (high - low > 1) {
		int64_t mid = (low + high) / 2;

		if (cu[mid] <= t)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* ---- sums ---- */

template <typename S> DEVICE S
warp_sum(S x)
{
	for (int o = 16; o > 0; o /= 2)
		x += __shfl_xor_sync(~0u, x, o);
	return x;
}

/* Of the lanes up to this one, and this one. */
DEVICE int
warp_upto(int x)
{
	for (int o = 1; o < 32; o *= 2) {
		int below = __shfl_up_sync(~0u, x, o);

		x += lane() >= o ? below : 0;
	}
	return x;
}

DEVICE float
warp_max(float x)
{
	for (int o = 16; o > 0; o /= 2)
		x = fmaxf(x, __shfl_xor_sync(~0u, x, o));
	return x;
}

/* Of THREADS threads, to all of them; shared has WARPS elements. */
template <typename S> DEVICE S
block_sum(S x, S *shared)
{
	S sum = 0;

	x = warp_sum(x);
	__syncthreads();
	if (lane() == 0)
		shared[threadIdx.x / 32] = x;
	__syncthreads();
	for (int i = 0; i < WARPS; i++)
		sum += shared[i];
	return sum;
}

DEVICE float
block_max(float x, float *shared)
{
	x = warp_max(x);
	__syncthreads();
	if (lane() == 0)
		shared[threadIdx.x / 32] = x;
	__syncthreads();
	for (int i = 0; i < WARPS; i++)
		x = fmaxf(x, shared[i]);
	return x;
}

/* ---- elements, 16 bytes at a time where all lie so ---- */

template <typename T> struct alignas(16) pack {
	T	x[16 / sizeof(T)];
};

template <typename T, int IN> DEVICE bool
lie_well(const T *y, const T *const (&x)[IN])
{
	uint64_t bits = (uint64_t)y;

	for (int k = 0; k < IN; k++)
		bits |= (uint64_t)x[k];
	return bits % 16 == 0;
}

/* y[i] = f(x[0][i], x[1][i] ..., i) for i < n, by threads first, first + step ...; y may be an x */
template <typename T, int IN, typename F> DEVICE void
map(int64_t first, int64_t step, T *y, const T *const (&x)[IN], int64_t n, F f)
{
	constexpr int EACH = 16 / sizeof(T);
	int64_t done = lie_well<T, IN>(y, x) ? n / EACH * EACH : 0;

	for (int64_t i = first * EACH; i < done; i += step * EACH) {
		pack<T> in[IN], out;

#pragma unroll
		for (int k = 0; k < IN; k++)
			in[k] = *(const pack<T> *)(x[k] + i);
#pragma unroll
		for (int j = 0; j < EACH; j++) {
			float v[IN];

#pragma unroll
			for (int k = 0; k < IN; k++)
				v[k] = get(&in[k].x[j]);
			put(&out.x[j], f(v, i + j));
		}
		*(pack<T> *)(y + i) = out;
	}
	for (int64_t i = done + first; i < n; i += step) {
		float v[IN];

#pragma unroll
		for (int k = 0; k < IN; k++)
			v[k] = get(x[k] + i);
		put(y + i, f(v, i));
	}
}

#endif
