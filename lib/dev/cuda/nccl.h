/*
 * nccl - collectives between GPUs, by NVIDIA's NCCL
 *
 * libnccl.so.2 is opened when a device joins a communicator of several ranks
 * (dev/comm.h).  As in driver.h, what is declared here is what the API defines:
 * ncclConfig_t is that of 2.14, which later ones take and fill up.
 *
 * No call blocks: one that is not done is asked for, and so is the queue while it
 * is waited for, and each time whether the other ranks are still there.  When one
 * is not, the communicator is aborted, which ends what kernels wait for it.
 */
#ifndef DEV_CUDA_NCCL_H
#define DEV_CUDA_NCCL_H

#include "dev/cuda/cuda.h"

typedef int ncclResult_t, ncclDataType_t, ncclRedOp_t;
typedef struct ncclComm *ncclComm_t;

typedef struct {
	char		internal[128];
} ncclUniqueId;

typedef struct {
	size_t		size;
	unsigned	magic, version;
	int		blocking;
} ncclConfig_t;

#define NCCL_MAGIC 0xcafebeefu	/* of a config */

enum {
	NCCL_SUCCESS = 0, NCCL_IN_PROGRESS = 7, NCCL_SUM = 0,
	NCCL_INT32 = 2, NCCL_FLOAT16 = 6, NCCL_FLOAT32 = 7, NCCL_FLOAT64 = 8, NCCL_BFLOAT16 = 9,
	NCCL_LEAST = 21400,	/* 2.14.0 */
};

/* Each as X(result, name, arguments). */
#define NCCL_CALLS(X)								\
	X(ncclResult_t, ncclGetVersion, (int *version))				\
	X(ncclResult_t, ncclGetUniqueId, (ncclUniqueId *id))			\
	X(ncclResult_t, ncclCommInitRankConfig, (ncclComm_t *comm, int size, ncclUniqueId id, \
	    int rank, ncclConfig_t *config))					\
	X(ncclResult_t, ncclCommGetAsyncError, (ncclComm_t comm, ncclResult_t *r)) \
	X(ncclResult_t, ncclCommFinalize, (ncclComm_t comm))			\
	X(ncclResult_t, ncclCommDestroy, (ncclComm_t comm))			\
	X(ncclResult_t, ncclCommAbort, (ncclComm_t comm))			\
	X(const char *, ncclGetErrorString, (ncclResult_t r))			\
	X(const char *, ncclGetLastError, (ncclComm_t comm))			\
	X(ncclResult_t, ncclAllReduce, (const void *from, void *to, size_t n, ncclDataType_t type, \
	    ncclRedOp_t op, ncclComm_t comm, CUstream s))			\
	X(ncclResult_t, ncclReduceScatter, (const void *from, void *to, size_t n, \
	    ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, CUstream s))	\
	X(ncclResult_t, ncclAllGather, (const void *from, void *to, size_t n, ncclDataType_t type, \
	    ncclComm_t comm, CUstream s))					\
	X(ncclResult_t, ncclBroadcast, (const void *from, void *to, size_t n, ncclDataType_t type, \
	    int root, ncclComm_t comm, CUstream s))

struct nccl {
	void		*library;
	struct comm	*comm;		/* borrowed */
	ncclComm_t	 handle;	/* NULL: none yet, or no longer */
#define X(result, name, args) result (*name) args;
	NCCL_CALLS(X)
#undef X
};

/* dev_join()'s part. */
int nccl_join(struct dev *dev, struct comm *comm, struct err *err);
void nccl_close(struct cuda *c);

/* Until the queue is empty, or another rank has gone; at once without a communicator. */
void nccl_wait(struct cuda *c);

#endif
