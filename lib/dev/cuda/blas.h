/*
 * blas - products of training by NVIDIA's cuBLASLt
 *
 * libcublasLt is opened when the first product is asked about that may be made so
 * (loose, dev/kernels.h); without it our own tiles make them all, and
 * dev_info()->products says why.  As in driver.h, what is declared here is what the
 * API defines, the same from CUDA 11 to 13.
 *
 * It takes sizes from the host.  So a product is made at its capacity, whatever its
 * count is: rows beyond that are anything and give anything, and where they are what is
 * summed they are made zeros before.  The same launch, captured once, serves all counts,
 * and has the same algorithm for each: the library's first choice for the shape,
 * the same on the same GPU and version.  Sums in parts are added in fp32 and in order.
 *
 * Of its epilogues only the bias is taken.  GELU beside its input would be of sums that
 * are not rounded yet, and a pass that computes it again has the rounded ones alone
 * (nn.h promises the same bits); a bias's gradient is stored, not added to what is there.
 * Nor is FP8: rounding activations to its 3 bits of fraction, with a scale a row, is an
 * error of 2.4e-2 of a product already.  That of TF32 is 8e-4 at most.
 */
#ifndef DEV_CUDA_BLAS_H
#define DEV_CUDA_BLAS_H

#include "dev/cuda/cuda.h"

typedef int cublasStatus_t;
typedef struct cublasLtContext *cublasLtHandle_t;
typedef struct cublasLtDesc *cublasLtMatmulDesc_t;
typedef struct cublasLtLayout *cublasLtMatrixLayout_t;
typedef struct cublasLtPreference *cublasLtMatmulPreference_t;

typedef struct {
	uint64_t	data[8];
} cublasLtMatmulAlgo_t;

typedef struct {
	cublasLtMatmulAlgo_t algo;
	size_t		workspaceSize;
	cublasStatus_t	state;
	float		wavesCount;
	int		reserved[4];
} cublasLtMatmulHeuristicResult_t;

enum {
	CUBLAS_SUCCESS = 0, CUBLAS_NOT_SUPPORTED = 15,
	CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_16BF = 14, CUBLAS_COMPUTE_32F = 68,
	CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
	CUBLASLT_TRANSA = 3, CUBLASLT_TRANSB = 4, CUBLASLT_EPILOGUE = 7,
	CUBLASLT_BIAS_POINTER = 8, CUBLASLT_EPILOGUE_BIAS = 4,
	CUBLASLT_MAX_WORKSPACE = 1, CUBLASLT_REDUCTIONS = 3, CUBLASLT_REDUCTION_COMPUTE_TYPE = 2,
	CUBLASLT_MIN_ALIGNMENT_A = 5, CUBLASLT_MIN_ALIGNMENT_D = 8,
};

/* Each as X(result, name, arguments). */
#define BLAS_CALLS(X)								\
	X(size_t, cublasLtGetVersion, (void))					\
	X(const char *, cublasLtGetStatusName, (cublasStatus_t r))		\
	X(cublasStatus_t, cublasLtCreate, (cublasLtHandle_t *h))		\
	X(cublasStatus_t, cublasLtDestroy, (cublasLtHandle_t h))		\
	X(cublasStatus_t, cublasLtMatmulDescCreate, (cublasLtMatmulDesc_t *d, int compute, \
	    int scale))								\
	X(cublasStatus_t, cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t d))	\
	X(cublasStatus_t, cublasLtMatmulDescSetAttribute, (cublasLtMatmulDesc_t d, int what, \
	    const void *value, size_t size))					\
	X(cublasStatus_t, cublasLtMatrixLayoutCreate, (cublasLtMatrixLayout_t *l, int type, \
	    uint64_t rows, uint64_t cols, int64_t ld))				\
	X(cublasStatus_t, cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t l)) \
	X(cublasStatus_t, cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t *p)) \
	X(cublasStatus_t, cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t p)) \
	X(cublasStatus_t, cublasLtMatmulPreferenceSetAttribute, (cublasLtMatmulPreference_t p, \
	    int what, const void *value, size_t size))				\
	X(cublasStatus_t, cublasLtMatmulAlgoGetHeuristic, (cublasLtHandle_t h,	\
	    cublasLtMatmulDesc_t d, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,	\
	    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t to, cublasLtMatmulPreference_t p, \
	    int most, cublasLtMatmulHeuristicResult_t *found, int *n))		\
	X(cublasStatus_t, cublasLtMatmul, (cublasLtHandle_t h, cublasLtMatmulDesc_t d,	\
	    const void *alpha, const void *a, cublasLtMatrixLayout_t al, const void *b,	\
	    cublasLtMatrixLayout_t bl, const void *beta, const void *c,		\
	    cublasLtMatrixLayout_t cl, void *to, cublasLtMatrixLayout_t tl,	\
	    const cublasLtMatmulAlgo_t *algo, void *workspace, size_t bytes, CUstream s))

struct blas {
	void		*library;	/* NULL: there is none to use */
	const char	*why;		/* not, then */
	cublasLtHandle_t handle;
#define X(result, name, args) result (*name) args;
	BLAS_CALLS(X)
#undef X
};

void blas_close(struct cuda *c);

/* Return 0, or -1 where there is no library to use. */
int blas_need(struct cuda *c, struct err *err);

/* Scratch of a product that the library is to make; 0 where it is not. */
int64_t blas_bytes(struct cuda *c, const struct k_matmul *a);

/* Queue it.  False: nothing was, and our own tiles are to make it. */
bool blas_matmul(struct cuda *c, const struct k_matmul *a);

#endif
