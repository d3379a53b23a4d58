/*
 * driver_memory - allocation, copies and fills
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

CUresult
cuMemGetInfo(size_t *left, size_t *total)
{
	GUARD;
	READY;
	*total = memory_total();
	*left = *total - memory_used();
	return CUDA_SUCCESS;
}

static CUresult
allocate(CUdeviceptr *p, size_t n, int flags)
{
	char name[80];

	if (n == 0)
		return CUDA_ERROR_INVALID_VALUE;
	snprintf(name, sizeof(name), "an allocation of %zu bytes", n);
	*p = memory_new(n, flags, name);
	driver.count[COUNT_ALLOCATIONS] += *p != 0;
	return *p == 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult
cuMemAlloc(CUdeviceptr *p, size_t n)
{
	GUARD;
	MAY_ALLOCATE;
	return allocate(p, n, 0);
}

CUresult
cuMemFree(CUdeviceptr p)
{
	GUARD;
	MAY_ALLOCATE;
	if (p == 0)
		return CUDA_SUCCESS;
	return memory_free(p) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult
cuMemAllocAsync(CUdeviceptr *p, size_t n, CUstream s)
{
	GUARD;
	READY;
	return stream_get(s) == NULL ? CUDA_ERROR_INVALID_HANDLE : allocate(p, n, 0);
}

CUresult
cuMemFreeAsync(CUdeviceptr p, CUstream h)
{
	struct stream *s = stream_get(h);
	struct op *op;
	GUARD;
	READY;

	if (s == NULL || memory_find(p) == NULL)
		return CUDA_ERROR_INVALID_VALUE;
	op = op_new(OP_FREE);
	op->copy.dst = p;
	return stream_put(s, op);
}

CUresult
cuMemHostAlloc(void **p, size_t n, unsigned flags)
{
	CUdeviceptr d = 0;
	CUresult r;
	GUARD;
	MAY_ALLOCATE;

	(void)flags;
	r = allocate(&d, n, MEMORY_PINNED);
	*p = (void *)d;
	return r;
}

CUresult
cuMemAllocHost(void **p, size_t n)
{
	return cuMemHostAlloc(p, n, 0);
}

CUresult
cuMemFreeHost(void *p)
{
	GUARD;
	MAY_ALLOCATE;
	return memory_free((uint64_t)p) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult
cuMemHostGetDevicePointer(CUdeviceptr *d, void *p, unsigned flags)
{
	const struct area *a = memory_find((uint64_t)p);

	*d = (CUdeviceptr)p;
	return a == NULL || !a->pinned || flags != 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult
cuMemGetAddressRange(CUdeviceptr *base, size_t *n, CUdeviceptr p)
{
	const struct area *a = memory_find(p);

	if (a == NULL)
		return CUDA_ERROR_NOT_FOUND;
	if (base != NULL)
		*base = a->lo;
	if (n != NULL)
		*n = a->hi - a->lo;
	return CUDA_SUCCESS;
}

CUresult
cuPointerGetAttribute(void *v, CUpointer_attribute attr, CUdeviceptr p)
{
	const struct area *a = memory_find(p);

	if (a == NULL || attr != CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
		return CUDA_ERROR_INVALID_VALUE;
	*(unsigned *)v = a->pinned ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
	return CUDA_SUCCESS;
}

/* A range is within one allocation, or it is refused when the call is made. */
static bool
in_device(CUdeviceptr p, size_t n, const char *what)
{
	const struct area *a = memory_find(p);

	if (n == 0 || (a != NULL && n <= a->hi - p))
		return true;
	find_report(F_BOUNDS, NULL, "%s of %zu bytes at %#llx: %s", what, n, (unsigned long long)p,
	    a == NULL ? "nothing is allocated there" : "past the end of the allocation");
	return false;
}

/* One side may be host memory: pageable, or pinned and given as a device address. */
static CUresult
copy(CUdeviceptr dst, void *host_dst, CUdeviceptr src, const void *host_src, size_t n,
    struct stream *s, bool async)
{
	struct op_copy c = { .dst = dst, .src = src, .host_dst = host_dst, .host_src = host_src,
	    .size = n };
	struct op *op;

	READY;
	if ((dst == 0 && host_dst == NULL) || (src == 0 && host_src == NULL))
		return n == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	if ((dst != 0 && !in_device(dst, n, "a copy to the device")) ||
	    (src != 0 && !in_device(src, n, "a copy from the device")))
		return CUDA_ERROR_INVALID_VALUE;
	if (!async) {
		MAY_WAIT;
		return host_copy(&c);
	}
	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (n == 0)
		return CUDA_SUCCESS;
	op = op_new(OP_COPY);
	op->copy = c;
	return stream_put(s, op);
}

CUresult
cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n)
{
	GUARD;
	return copy(d, NULL, 0, s, n, NULL, false);
}

CUresult
cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n)
{
	GUARD;
	return copy(0, d, s, NULL, n, NULL, false);
}

CUresult
cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n)
{
	GUARD;
	return copy(d, NULL, s, NULL, n, NULL, false);
}

CUresult
cuMemcpyHtoDAsync(CUdeviceptr d, const void *s, size_t n, CUstream h)
{
	GUARD;
	return copy(d, NULL, 0, s, n, stream_get(h), true);
}

CUresult
cuMemcpyDtoHAsync(void *d, CUdeviceptr s, size_t n, CUstream h)
{
	GUARD;
	return copy(0, d, s, NULL, n, stream_get(h), true);
}

CUresult
cuMemcpyDtoDAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream h)
{
	GUARD;
	return copy(d, NULL, s, NULL, n, stream_get(h), true);
}

/* cuMemcpy tells by the address where each side is. */
static CUresult
unified(CUdeviceptr d, CUdeviceptr s, size_t n, struct stream *st, bool async)
{
	const struct area *to = memory_find(d), *from = memory_find(s);
	bool dev_to = to != NULL && !to->pinned, dev_from = from != NULL && !from->pinned;

	return copy(dev_to ? d : 0, dev_to ? NULL : (void *)d, dev_from ? s : 0,
	    dev_from ? NULL : (const void *)s, n, st, async);
}

CUresult
cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n)
{
	GUARD;
	return unified(d, s, n, NULL, false);
}

CUresult
cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream h)
{
	GUARD;
	return unified(d, s, n, stream_get(h), true);
}

static CUresult
fill(CUdeviceptr d, uint32_t v, int width, size_t n, struct stream *s, bool async)
{
	struct op_set set = { .dst = d, .value = v, .width = width, .n = n };
	struct op *op;

	READY;
	if (d % (unsigned)width != 0 || !in_device(d, n * (size_t)width, "a memset"))
		return CUDA_ERROR_INVALID_VALUE;
	if (!async) {
		MAY_WAIT;
		return host_set(&set);
	}
	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	op = op_new(OP_SET);
	op->set = set;
	return stream_put(s, op);
}

CUresult
cuMemsetD8(CUdeviceptr d, unsigned char v, size_t n)
{
	GUARD;
	return fill(d, v, 1, n, NULL, false);
}

CUresult
cuMemsetD16(CUdeviceptr d, unsigned short v, size_t n)
{
	GUARD;
	return fill(d, v, 2, n, NULL, false);
}

CUresult
cuMemsetD32(CUdeviceptr d, unsigned v, size_t n)
{
	GUARD;
	return fill(d, v, 4, n, NULL, false);
}

CUresult
cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, CUstream s)
{
	GUARD;
	return fill(d, v, 1, n, stream_get(s), true);
}

CUresult
cuMemsetD16Async(CUdeviceptr d, unsigned short v, size_t n, CUstream s)
{
	GUARD;
	return fill(d, v, 2, n, stream_get(s), true);
}

CUresult
cuMemsetD32Async(CUdeviceptr d, unsigned v, size_t n, CUstream s)
{
	GUARD;
	return fill(d, v, 4, n, stream_get(s), true);
}
