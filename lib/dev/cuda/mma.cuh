/*
 * mma - the instructions of tensor cores, and copies that go on by themselves
 */
#ifndef DEV_CUDA_MMA_CUH
#define DEV_CUDA_MMA_CUH

#include "dev/cuda/common.cuh"

/* Four 8 by 8 matrices of 16-bit numbers, one address of a row a lane. */
DEVICE void
ldmatrix(uint32_t (&x)[4], const void *p, bool turned)
{
	uint32_t addr = (uint32_t)__cvta_generic_to_shared(p);

	if (turned)
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
		    : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(addr) : "memory");
	else
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		    : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(addr) : "memory");
}

/* c (16, 8) += a (16, 16) b (16, 8) */
DEVICE void
mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const bf16 *)
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
	    "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

DEVICE void
mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const f16 *)
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
	    "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* c (16, 8) += a (16, 32) b (32, 8), a of signed bytes and b of unsigned ones, exactly */
DEVICE void
mma_bytes(int32_t (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
	asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%0,%1,%2,%3}, "
	    "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* The same of half as many: c += a (16, 16) b (16, 8) */
DEVICE void
mma_bytes(int32_t (&c)[4], uint32_t a0, uint32_t a1, uint32_t b)
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.u8.s32 {%0,%1,%2,%3}, "
	    "{%4,%5}, {%6}, {%0,%1,%2,%3};"
	    : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3]) : "r"(a0), "r"(a1), "r"(b));
}

/* The first n of 16 bytes, and 0s, to shared memory: there after copies_wait() and a barrier. */
DEVICE void
copy_some(void *to, const void *from, int n)
{
	uint32_t addr = (uint32_t)__cvta_generic_to_shared(to);

	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
	    :: "r"(addr), "l"(from), "r"(n) : "memory");
}

/* 16 bytes, or none. */
DEVICE void
copy16(void *to, const void *from, bool there)
{
	copy_some(to, from, there ? 16 : 0);
}

/* The copies since the last one of these are a group. */
DEVICE void
copies_end(void)
{
	asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Wait for all groups but the last n. */
template <int N> DEVICE void
copies_wait(void)
{
	asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory");
}

#endif
