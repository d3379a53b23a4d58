/* Kernels that are wrong on purpose, a fault each, at the line that says FAULT. */
#include <cstdint>

extern "C" __global__ void
past_global(float *x, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i <= n)
		x[i] = 1;		/* FAULT past_global */
}

extern "C" __global__ void
past_static(float *x)
{
	__shared__ float a[64], b[64];

	a[threadIdx.x] = x[threadIdx.x];
	b[threadIdx.x] = 0;
	__syncthreads();
	x[threadIdx.x] = a[threadIdx.x + 1] + b[threadIdx.x];	/* FAULT past_static */
}

extern "C" __global__ void
past_dynamic(float *x)
{
	extern __shared__ float d[];

	d[threadIdx.x + 1] = x[threadIdx.x];	/* FAULT past_dynamic */
	__syncthreads();
	x[threadIdx.x] = d[threadIdx.x];
}

extern "C" __global__ void
unset_global(const float *x, float *y)
{
	y[threadIdx.x] = x[threadIdx.x] + 1;	/* FAULT unset_global */
}

extern "C" __global__ void
unset_shared(float *y)
{
	__shared__ float a[64];

	if (threadIdx.x != 7)
		a[threadIdx.x] = 1;
	__syncthreads();
	y[threadIdx.x] = a[63 - threadIdx.x];	/* FAULT unset_shared */
}

extern "C" __global__ void
unset_local(float *y, int n)
{
	float a[16];

	for (int i = 0; i < n; i++)
		a[i * 5 % 16] = (float)i;
	y[threadIdx.x] = a[threadIdx.x % 16];	/* FAULT unset_local */
}

/* The first barrier of a tile is missing. */
extern "C" __global__ void
no_barrier(const float *x, float *y)
{
	__shared__ float a[64];

	a[threadIdx.x] = 0;
	__syncthreads();
	a[threadIdx.x] = x[threadIdx.x];
	y[threadIdx.x] = a[63 - threadIdx.x];	/* FAULT no_barrier */
}

/*
 * The barrier between two uses of part[] is missing.  Both times the same
 * numbers are written, so the result is right.
 */
extern "C" __global__ void
right_by_luck(float *y)
{
	__shared__ float part[2];

	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = 1;
	__syncthreads();
	y[threadIdx.x] = part[0] + part[1];
	if (threadIdx.x % 32 == 0)
		part[threadIdx.x / 32] = 1;	/* FAULT right_by_luck */
	__syncthreads();
	y[threadIdx.x] += part[0] + part[1];
}

/* Lanes of one warp, without __syncwarp(). */
extern "C" __global__ void
no_syncwarp(float *y)
{
	__shared__ float a[32];

	a[threadIdx.x] = (float)threadIdx.x;
	y[threadIdx.x] = a[threadIdx.x ^ 1];	/* FAULT no_syncwarp */
}

/* Every block writes the same word. */
extern "C" __global__ void
blocks_race(float *y)
{
	if (threadIdx.x == 0)
		y[0] = (float)blockIdx.x;	/* FAULT blocks_race */
}

extern "C" __global__ void
no_copy_wait(const float4 *x, float4 *y)
{
	__shared__ float4 a[4];
	uint32_t to = (uint32_t)__cvta_generic_to_shared(&a[threadIdx.x]);

	asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(to), "l"(x + threadIdx.x) : "memory");
	asm volatile("cp.async.commit_group;" ::: "memory");
	asm volatile("cp.async.wait_group 1;" ::: "memory");
	__syncthreads();
	y[threadIdx.x] = a[3 - threadIdx.x];	/* FAULT no_copy_wait */
}

extern "C" __global__ void
divergent_barrier(float *y)
{
	if (threadIdx.x < 48)
		__syncthreads();		/* FAULT divergent_barrier */
	y[threadIdx.x] = 1;
}

extern "C" __global__ void
divergent_shuffle(int *y)
{
	int v = threadIdx.x;

	if (threadIdx.x < 16)
		v = __shfl_xor_sync(~0u, v, 1);	/* FAULT divergent_shuffle */
	y[threadIdx.x] = v;
}

extern "C" __global__ void
misaligned(float *y)
{
	float4 *p = (float4 *)(y + threadIdx.x);

	*p = make_float4(0, 0, 0, 0);		/* FAULT misaligned */
}

extern "C" __global__ void
unknown(float *y)
{
	asm volatile("{ .reg .b32 t; tex.1d.v4.s32.s32 {t,t,t,t}, [%0, {t}]; }" :: "l"(y));	/* FAULT unknown */
}

extern "C" __global__ void
fill(float *y, int n, float v)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		y[i] = v;			/* FAULT fill */
}

extern "C" __global__ void
add_one(float *y, int n)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		y[i] += 1;			/* FAULT add_one */
}

/* Sums in the order of arrival. */
extern "C" __global__ void
order_matters(float *y)
{
	atomicAdd(y, threadIdx.x == 5 ? 1e8f : 1.25f);
}

/* Right, but slow: each lane reads a sector of its own, and all read one bank. */
extern "C" __global__ void
strided(const float *x, float *y)
{
	__shared__ float a[32][32];

	for (int i = 0; i < 32; i++)
		a[i][threadIdx.x] = x[8 * threadIdx.x];	/* FAULT strided */
	__syncwarp();
	y[threadIdx.x] = a[threadIdx.x][0];
}

/* More static shared memory than a block may have. */
extern "C" __global__ void
shared_beyond(float *x)
{
	__shared__ float a[12289];

	a[threadIdx.x] = x[threadIdx.x];
	__syncthreads();
	x[threadIdx.x] = a[threadIdx.x ^ 1];
}

extern "C" __global__ void __launch_bounds__(64)
bounded(float *x, int n)
{
	if (threadIdx.x < n)
		x[threadIdx.x] = 1;
}
