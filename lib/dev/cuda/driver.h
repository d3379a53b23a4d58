/*
 * driver - the part of NVIDIA's driver API that the CUDA backend calls
 *
 * libcuda.so.1 is opened when a GPU is asked for, so that a program links no
 * CUDA and starts without one.  What is declared here is what the API defines,
 * for a build needs no CUDA headers.  Names are those of the library's symbols:
 * cuda.h makes cuMemAlloc cuMemAlloc_v2, and the old one is another function.
 */
#ifndef DEV_CUDA_DRIVER_H
#define DEV_CUDA_DRIVER_H

#include <stddef.h>

#include "base/err.h"

typedef int CUresult, CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;

enum {
	CUDA_SUCCESS = 0, CUDA_ERROR_OUT_OF_MEMORY = 2, CUDA_ERROR_STUB_LIBRARY = 34,
	CUDA_ERROR_NO_DEVICE = 100, CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
	CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222, CUDA_ERROR_NOT_FOUND = 500,
	CUDA_ERROR_NOT_READY = 600, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
};

enum {
	CU_ATTRIBUTE_CLOCK_RATE = 13, CU_ATTRIBUTE_MULTIPROCESSORS = 16,
	CU_ATTRIBUTE_MAJOR = 75, CU_ATTRIBUTE_MINOR = 76,
	CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DISABLE_TIMING = 2,
	CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
	CU_FUNC_MAX_DYNAMIC_SHARED = 8,
};

/* Each as X(name, arguments). */
#define CUDA_CALLS(X)								\
	X(cuInit, (unsigned flags))						\
	X(cuGetErrorName, (CUresult r, const char **name))			\
	X(cuDeviceGetCount, (int *n))						\
	X(cuDeviceGet, (CUdevice *device, int ordinal))				\
	X(cuDeviceGetName, (char *name, int len, CUdevice device))		\
	X(cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))	\
	X(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))		\
	X(cuDevicePrimaryCtxRetain, (CUcontext *ctx, CUdevice device))		\
	X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))			\
	X(cuCtxSetCurrent, (CUcontext ctx))					\
	X(cuModuleLoadData, (CUmodule *module, const void *image))		\
	X(cuModuleUnload, (CUmodule module))					\
	X(cuModuleGetFunction, (CUfunction *fn, CUmodule module, const char *name)) \
	X(cuFuncSetAttribute, (CUfunction fn, int attribute, int value))	\
	X(cuMemGetInfo_v2, (size_t *free, size_t *total))			\
	X(cuMemAlloc_v2, (CUdeviceptr *p, size_t bytes))			\
	X(cuMemFree_v2, (CUdeviceptr p))					\
	X(cuMemHostAlloc, (void **p, size_t bytes, unsigned flags))		\
	X(cuMemFreeHost, (void *p))						\
	X(cuMemsetD8Async, (CUdeviceptr p, unsigned char value, size_t bytes, CUstream s)) \
	X(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream s)) \
	X(cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream s)) \
	X(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream s)) \
	X(cuStreamCreate, (CUstream *s, unsigned flags))			\
	X(cuStreamDestroy_v2, (CUstream s))					\
	X(cuStreamSynchronize, (CUstream s))					\
	X(cuStreamQuery, (CUstream s))						\
	X(cuStreamWaitEvent, (CUstream s, CUevent event, unsigned flags))	\
	X(cuEventCreate, (CUevent *event, unsigned flags))			\
	X(cuEventDestroy_v2, (CUevent event))					\
	X(cuEventRecord, (CUevent event, CUstream s))				\
	X(cuEventSynchronize, (CUevent event))					\
	X(cuStreamBeginCapture_v2, (CUstream s, int mode))			\
	X(cuStreamEndCapture, (CUstream s, CUgraph *graph))			\
	X(cuGraphInstantiateWithFlags, (CUgraphExec *exec, CUgraph graph,	\
	    unsigned long long flags))						\
	X(cuGraphLaunch, (CUgraphExec exec, CUstream s))			\
	X(cuGraphExecDestroy, (CUgraphExec exec))				\
	X(cuGraphDestroy, (CUgraph graph))					\
	X(cuLaunchKernel, (CUfunction fn, unsigned gx, unsigned gy, unsigned gz, unsigned bx, \
	    unsigned by, unsigned bz, unsigned shared, CUstream s, void **args, void **extra))

struct cuda_driver {
	void	*library;
#define X(name, args) CUresult (*name) args;
	CUDA_CALLS(X)
#undef X
};

/*
 * Open the library and initialise it.  Return 0 with the number of GPUs in *n,
 * at least 1, or -1 with a message that says what is missing.
 */
int cuda_driver_open(struct cuda_driver *d, int *n, struct err *err);
void cuda_driver_close(struct cuda_driver *d);

/* "CUDA_ERROR_ILLEGAL_ADDRESS" */
const char *cuda_error_name(const struct cuda_driver *d, CUresult r);

#endif
