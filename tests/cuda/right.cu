/* Kernels that are right: nothing may be reported of them, in any order. */
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void
vector_add(const float *a, const float *b, float *c, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}

static __device__ float
warp_sum(float v)
{
	for (int o = 16; o > 0; o >>= 1)
		v += __shfl_xor_sync(~0u, v, o);
	return v;
}

static __device__ float
warp_max(float v)
{
	for (int o = 16; o > 0; o >>= 1)
		v = fmaxf(v, __shfl_xor_sync(~0u, v, o));
	return v;
}

/* One block a row. */
extern "C" __global__ void
softmax(const float *x, float *y, int n)
{
	__shared__ float part[32];
	int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
	float m = -INFINITY, s = 0;

	x += (size_t)blockIdx.x * n;
	y += (size_t)blockIdx.x * n;
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		m = fmaxf(m, x[i]);
	m = warp_max(m);
	if (lane == 0)
		part[warp] = m;
	__syncthreads();
	m = warp_max(lane < warps ? part[lane] : -INFINITY);
	__syncthreads();
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		s += expf(x[i] - m);
	s = warp_sum(s);
	if (lane == 0)
		part[warp] = s;
	__syncthreads();
	s = warp_sum(lane < warps ? part[lane] : 0);
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		y[i] = expf(x[i] - m) / s;
}

/* Blocks leave their sums; the last one to come adds them up, in order. */
__device__ unsigned arrived;

extern "C" __global__ void
reduce(const float *x, float *part, float *sum, int n)
{
	__shared__ float warps[32];
	__shared__ bool last;
	float s = 0;

	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		s += x[i];
	s = warp_sum(s);
	if (threadIdx.x % 32 == 0)
		warps[threadIdx.x / 32] = s;
	__syncthreads();
	if (threadIdx.x == 0) {
		s = 0;
		for (int i = 0; i < (int)blockDim.x / 32; i++)
			s += warps[i];
		part[blockIdx.x] = s;
		__threadfence();
		last = atomicAdd(&arrived, 1) == gridDim.x - 1;
	}
	__syncthreads();
	if (last && threadIdx.x == 0) {
		s = 0;
		for (int i = 0; i < (int)gridDim.x; i++)
			s += part[i];
		*sum = s;
		arrived = 0;
	}
}

static __device__ uint32_t
shared_address(const void *p)
{
	return (uint32_t)__cvta_generic_to_shared(p);
}

static __device__ void
copy16(void *to, const void *from, int bytes)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(shared_address(to)), "l"(from),
	    "r"(bytes) : "memory");
}

#define TILE 32
#define PAD 8

/* C = A B^T of bf16, 32 x 32 a block of 4 warps; rows beyond the end are zeros. */
extern "C" __global__ void
matmul(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int m, int n, int k)
{
	extern __shared__ __align__(16) __nv_bfloat16 tiles[];
	__nv_bfloat16 (*as)[TILE][TILE + PAD] = (__nv_bfloat16 (*)[TILE][TILE + PAD])tiles;
	__nv_bfloat16 (*bs)[TILE][TILE + PAD] = as + 2;
	int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = threadIdx.x / 4, col = threadIdx.x % 4 * 8;
	int m0 = blockIdx.y * TILE, n0 = blockIdx.x * TILE, wm = warp / 2 * 16, wn = warp % 2 * 16;
	float acc[2][4] = {};
	auto load = [&](int t, int st) {
		int ra = m0 + row < m ? m0 + row : 0, rb = n0 + row < n ? n0 + row : 0;

		copy16(&as[st][row][col], a + (size_t)ra * k + t * TILE + col, m0 + row < m ? 16 : 0);
		copy16(&bs[st][row][col], b + (size_t)rb * k + t * TILE + col, n0 + row < n ? 16 : 0);
		asm volatile("cp.async.commit_group;" ::: "memory");
	};

	load(0, 0);
	for (int t = 0; t < k / TILE; t++) {
		int st = t & 1;

		if (t + 1 < k / TILE) {
			load(t + 1, st ^ 1);
			asm volatile("cp.async.wait_group 1;" ::: "memory");
		} else {
			asm volatile("cp.async.wait_group 0;" ::: "memory");
		}
		__syncthreads();
		for (int kk = 0; kk < TILE; kk += 16) {
			uint32_t ra[4], rb[4];

			asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
			    : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3])
			    : "r"(shared_address(&as[st][wm + lane % 16][kk + lane / 16 * 8])));
			asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
			    : "=r"(rb[0]), "=r"(rb[1]), "=r"(rb[2]), "=r"(rb[3])
			    : "r"(shared_address(&bs[st][wn + lane % 16][kk + lane / 16 * 8])));
			for (int j = 0; j < 2; j++)
				asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
				    "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
				    : "+f"(acc[j][0]), "+f"(acc[j][1]), "+f"(acc[j][2]), "+f"(acc[j][3])
				    : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[j]), "r"(rb[j + 2]));
		}
		__syncthreads();
	}
	for (int j = 0; j < 2; j++)
		for (int i = 0; i < 4; i++) {
			int r = m0 + wm + lane / 4 + i / 2 * 8, cc = n0 + wn + j * 8 + lane % 4 * 2 + i % 2;

			if (r < m && cc < n)
				c[(size_t)r * n + cc] = acc[j][i];
		}
}

/* Lane i copies the first i % 17 of 16 bytes, and zeros. */
extern "C" __global__ void
partial(const uint8_t *x, uint4 *y)
{
	__shared__ uint4 s[32];
	int i = threadIdx.x;

	copy16(&s[i], x + 16 * i, i % 17);
	asm volatile("cp.async.wait_all;" ::: "memory");
	y[i] = s[i];
}

/* Groups of lanes that part and meet; a loop whose length differs; a switch; local memory. */
extern "C" __global__ void
wander(int *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x, v = 0, hist[8];

	for (int j = 0; j < 8; j++)
		hist[j] = j;
	for (int x = i + 1; x != 1; x = x % 2 ? 3 * x + 1 : x / 2)
		hist[x & 7]++;
	switch (i % 7) {
	case 0: v = hist[i & 7]; break;
	case 1: v = hist[1] * 3; break;
	case 2: v = hist[2] - hist[3]; break;
	case 3: v = hist[i % 5] << 2; break;
	case 4: v = -hist[4]; break;
	case 5: v = hist[5] ^ hist[6]; break;
	default: v = i % 3 ? 100 : hist[7];
	}
	__syncwarp();
	v += __popc(__ballot_sync(~0u, i % 3 == 0)) + __shfl_up_sync(~0u, i, 1);
	if (i < n)
		out[i] = v;
}

__constant__ float table[4] = { 1, 0.5f, -2, 3 };

/* Numbers of every kind, one line of results a thread. */
extern "C" __global__ void
numbers(const float *x, const int *k, float *f, int *i)
{
	int t = threadIdx.x;
	float v = x[t];
	int a = k[t];
	unsigned u = (unsigned)a * 2654435761u;

	f += t * 12;
	i += t * 12;
	f[0] = __bfloat162float(__float2bfloat16(v));
	f[1] = __half2float(__float2half(v));
	f[2] = sqrtf(fabsf(v));
	f[3] = 1 / (v + 10);
	f[4] = fmaf(v, 3, table[t % 4]);
	f[5] = (float)((double)v * 1.1);
	f[6] = truncf(v * 7);
	f[7] = rintf(v * 7);
	f[8] = (float)a;
	f[9] = fminf(fmaxf(v, -1), 1);
	f[10] = rsqrtf(fabsf(v) + 1);
	f[11] = exp2f(v);
	i[0] = (int)(v * 100);
	i[1] = __clz(u) + __popc(u);
	i[2] = (int)__brev(u);
	i[3] = a / 7 + a % 7;
	i[4] = (int)__umulhi(u, 12345);
	i[5] = __dp4a(a, 0x01ff7f80, 5);
	i[6] = (int)__byte_perm(u, (unsigned)a, 0x4172);
	i[7] = (int)__funnelshift_l(u, (unsigned)a, 5);
	i[8] = (int)((long long)a * a >> 7);
	i[9] = min(max(a, -100), 100);
	i[10] = (int)(u / 13 % 17);
	i[11] = __ffs(a);
}

/* Blocks of 31 threads: the halves of a word are two blocks' own. */
extern "C" __global__ void
halves(uint16_t *x, uint8_t *y)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	x[i] = (uint16_t)(x[i] + i);
	y[i] = (uint8_t)(y[i] ^ i);
}
