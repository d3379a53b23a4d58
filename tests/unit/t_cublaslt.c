/*
 * The stand-in cuBLASLt of tests/cuda: what is right gives the right product and no
 * finding, and each misuse is found.
 */
#include <stdio.h>

#ifdef STANDIN
#include <cublasLt.h>
#include <cuda.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../tap.h"

#define CUDA(F)	F(cuInit) F(cuDeviceGet) F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent)	\
	F(cuMemAlloc) F(cuMemcpyHtoD) F(cuMemcpyDtoH) F(cuMemsetD32Async)		\
	F(cuStreamCreate) F(cuStreamSynchronize) F(cuDevicePrimaryCtxReset)
#define BLAS(F)	F(cublasLtCreate) F(cublasLtDestroy) F(cublasLtMatmulDescCreate)	\
	F(cublasLtMatmulDescSetAttribute)						\
	F(cublasLtMatrixLayoutCreate) F(cublasLtMatmulPreferenceCreate)			\
	F(cublasLtMatmulPreferenceSetAttribute) F(cublasLtMatmulAlgoGetHeuristic) F(cublasLtMatmul)

#define MEMBER(f) __typeof__(&f) f##_;
#define NAME_(f) #f
#define NAME(f) NAME_(f)
#define OF_CUDA(f) *(void **)&lib.f##_ = dlsym(cuda, NAME(f));
#define OF_BLAS(f) *(void **)&lib.f##_ = dlsym(blas, NAME(f));

static struct { CUDA(MEMBER) BLAS(MEMBER) } lib;
static int (*findings)(void);
static const char *(*finding)(int);
static void (*forget)(void);

enum { M = 8, N = 6, K = 12, BYTES = 4096 };

/* A product, right until something of it is changed. */
struct product {
	cublasLtHandle_t handle;
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t l[4];
	cublasLtMatmulPreference_t wish;
	cublasLtMatmulHeuristicResult_t best;
	CUdeviceptr at[4], workspace;
	size_t	bytes;
	float	beta;
	CUstream stream;
	int	n;
};

/* What a product is made of is left where it is. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static CUstream stream, other;
static cublasLtHandle_t handle;

static void
must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s\n", what);
	exit(1);
}

#define DO(f, ...) must(lib.f##_(__VA_ARGS__) == 0, #f)

static void
load(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	char path[1100];
	void *cuda, *blas;
	CUcontext ctx;
	CUdevice d;

	snprintf(path, sizeof(path), "%.*s/../cuda/libcuda.so.1",
	    slash == NULL ? 1 : (int)(slash - argv0), slash == NULL ? "." : argv0);
	must((cuda = dlopen(path, RTLD_NOW | RTLD_GLOBAL)) != NULL, "libcuda.so.1");
	snprintf(strrchr(path, '/'), 40, "/libcublasLt.so.13");
	must((blas = dlopen(path, RTLD_NOW)) != NULL, "libcublasLt.so.13");
	CUDA(OF_CUDA)
	BLAS(OF_BLAS)
	*(void **)&findings = dlsym(cuda, "standin_findings");
	*(void **)&finding = dlsym(cuda, "standin_finding");
	*(void **)&forget = dlsym(cuda, "standin_forget");
	DO(cuInit, 0);
	DO(cuDeviceGet, &d, 0);
	DO(cuDevicePrimaryCtxRetain, &ctx, d);
	must(lib.cublasLtCreate_(&handle) == CUBLAS_STATUS_NOT_INITIALIZED, "no context");
	DO(cuCtxSetCurrent, ctx);
	DO(cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING);
	DO(cuStreamCreate, &other, CU_STREAM_NON_BLOCKING);
	DO(cublasLtCreate, &handle);
	forget();
}

static void
layout(struct product *p, int i, cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld)
{
	DO(cublasLtMatrixLayoutCreate, &p->l[i], type, rows, cols, ld);
}

/* D (M, N) = A (M, K) B (K, N), of 1 2 3 .. and ones. */
static struct product
right(void)
{
	struct product p = { .handle = handle, .bytes = BYTES, .stream = stream };
	uint64_t bytes = BYTES;
	float x[BYTES / 4];

	DO(cublasLtMatmulDescCreate, &p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	layout(&p, 0, CUDA_R_32F, M, K, M);
	layout(&p, 1, CUDA_R_32F, K, N, K);
	layout(&p, 2, CUDA_R_32F, M, N, M);
	layout(&p, 3, CUDA_R_32F, M, N, M);
	DO(cublasLtMatmulPreferenceCreate, &p.wish);
	DO(cublasLtMatmulPreferenceSetAttribute, p.wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
	    &bytes, sizeof(bytes));
	for (int i = 0; i < 4; i++)
		DO(cuMemAlloc, &p.at[i], i == 0 ? M * K * 4 : i == 1 ? K * N * 4 : M * N * 4);
	DO(cuMemAlloc, &p.workspace, BYTES);
	for (int i = 0; i < M * K; i++)
		x[i] = (float)(i % M + 1);
	DO(cuMemcpyHtoD, p.at[0], x, M * K * 4);
	for (int i = 0; i < K * N; i++)
		x[i] = 1;
	DO(cuMemcpyHtoD, p.at[1], x, K * N * 4);
	p.at[2] = p.at[3];
	return p;
}

static cublasStatus_t
ask(struct product *p)
{
	return lib.cublasLtMatmulAlgoGetHeuristic_(p->handle, p->desc, p->l[0], p->l[1], p->l[2],
	    p->l[3], p->wish, 1, &p->best, &p->n);
}

static cublasStatus_t
multiply(struct product *p)
{
	float one = 1;

	return lib.cublasLtMatmul_(p->handle, p->desc, &one, (void *)p->at[0], p->l[0],
	    (void *)p->at[1], p->l[1], &p->beta, (void *)p->at[2], p->l[2], (void *)p->at[3],
	    p->l[3], &p->best.algo, (void *)p->workspace, p->bytes, (cudaStream_t)p->stream);
}

/* Was it this, and nothing else? */
static bool
found(const char *what)
{
	bool good = findings() == 1 && strstr(finding(0), what) != NULL;

	for (int i = 0; i < findings() && !good; i++)
		printf("# %s\n", finding(i));
	forget();
	return good;
}

static void
test_right(void)
{
	struct product p = right();
	float y[M * N] = { 0 };
	bool good = ask(&p) == 0 && p.n == 1 && multiply(&p) == 0 && y[0] == 0;

	DO(cuStreamSynchronize, stream);
	DO(cuMemcpyDtoH, y, p.at[3], sizeof(y));
	for (int i = 0; i < M * N; i++)
		good = good && y[i] == (float)(K * (i % M + 1));
	ok(good && findings() == 0, "a product is right, with no finding");
}

/* Refused as soon as it is asked about, with this status. */
static void
refused(struct product *p, cublasStatus_t want, const char *why, const char *what)
{
	cublasStatus_t r = ask(p);

	ok(r == want && p->n == 0 && found(why), what);
}

static void
test_questions(void)
{
	struct product p = right();
	cublasLtMatmulDesc_t none = NULL;
	int64_t wrong = 1;

	ok(lib.cublasLtMatmulDescCreate_(&none, CUBLAS_COMPUTE_32F_FAST_16F, CUDA_R_32F) != 0 &&
	    found("compute type"), "sums that are rounded on the way");
	ok(lib.cublasLtMatmulDescSetAttribute_(p.desc, CUBLASLT_MATMUL_DESC_TRANSA, &wrong,
	    sizeof(wrong)) == CUBLAS_STATUS_INVALID_VALUE && found("of 8 bytes"),
	    "an attribute of another size");
	p.handle = NULL;
	refused(&p, CUBLAS_STATUS_NOT_INITIALIZED, "a handle that is none", "no handle");
	p = right();
	layout(&p, 1, CUDA_R_32F, K - 4, N, K);
	refused(&p, CUBLAS_STATUS_INVALID_VALUE, "op(A) has", "operands that do not fit");
	p = right();
	layout(&p, 3, CUDA_R_32F, M, N - 1, M);
	refused(&p, CUBLAS_STATUS_INVALID_VALUE, "of a product of 8 x 6", "a result too narrow");
	p = right();
	layout(&p, 0, CUDA_R_32F, M, K, M - 4);
	refused(&p, CUBLAS_STATUS_INVALID_VALUE, "from column to column", "columns that overlap");
	p = right();
	layout(&p, 0, CUDA_R_32F, M, K, M + 1);
	refused(&p, CUBLAS_STATUS_NOT_SUPPORTED, "whole pieces", "columns between two pieces");
	p = right();
	layout(&p, 1, CUDA_R_16BF, K, N, 16);
	refused(&p, CUBLAS_STATUS_NOT_SUPPORTED, "types 0, 14", "operands of two types");
}

/* Operands that may be rounded to TF32, where they are of more bits. */
static void
test_tf32(void)
{
	struct product p = right();
	float x[M * K], y[M * N];
	bool good;

	for (int i = 0; i < M * K; i++)
		x[i] = (float)(i % M + 1) + 0x1p-11f;
	DO(cuMemcpyHtoD, p.at[0], x, sizeof(x));
	DO(cublasLtMatmulDescCreate, &p.desc, CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F);
	good = ask(&p) == 0 && multiply(&p) == 0;
	DO(cuStreamSynchronize, stream);
	DO(cuMemcpyDtoH, y, p.at[3], sizeof(y));
	for (int i = 0; i < M * N; i++)
		good = good && y[i] == (float)(K * (i % M + 1));
	ok(good && findings() == 0, "TF32 has 10 bits of fraction");
	layout(&p, 0, CUDA_R_16BF, M, K, M);
	layout(&p, 1, CUDA_R_16BF, K, N, 16);
	refused(&p, CUBLAS_STATUS_NOT_SUPPORTED, "rounded to TF32", "bf16 is not rounded to it");
}

/* Found fit, and refused when it is to be made. */
static void
misused(struct product *p, const char *why, const char *what)
{
	ok(multiply(p) == CUBLAS_STATUS_INVALID_VALUE && found(why), what);
}

static void
add_bias(struct product *p, uint32_t epilogue, CUdeviceptr at)
{
	DO(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
	    sizeof(epilogue));
	DO(cublasLtMatmulDescSetAttribute, p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &at,
	    sizeof(at));
}

static void
test_bias(void)
{
	struct product p = right();
	float bias[M], y[M * N];
	CUdeviceptr at;
	bool good;

	for (int i = 0; i < M; i++)
		bias[i] = (float)(100 * i);
	DO(cuMemAlloc, &at, 256 + sizeof(bias) - 16);
	DO(cuMemcpyHtoD, at, bias, sizeof(bias));
	add_bias(&p, CUBLASLT_EPILOGUE_BIAS, at);
	good = ask(&p) == 0 && multiply(&p) == 0;
	DO(cuStreamSynchronize, stream);
	DO(cuMemcpyDtoH, y, p.at[3], sizeof(y));
	for (int i = 0; i < M * N; i++)
		good = good && y[i] == (float)(K * (i % M + 1) + 100 * (i % M));
	ok(good && findings() == 0, "a bias is one of rows");
	add_bias(&p, CUBLASLT_EPILOGUE_BIAS, at + 16);
	misused(&p, "the bias is not aligned to 256", "one less aligned than the first was");
	add_bias(&p, CUBLASLT_EPILOGUE_BIAS, at + 256);
	misused(&p, "the bias of 32 bytes ends 16 bytes behind", "one that ends behind its memory");
	add_bias(&p, CUBLASLT_EPILOGUE_BIAS, (CUdeviceptr)bias);
	misused(&p, "the bias is not in device memory", "one of the host's");
	add_bias(&p, CUBLASLT_EPILOGUE_RELU_BIAS, at);
	refused(&p, CUBLAS_STATUS_NOT_SUPPORTED, "epilogue 6", "an epilogue that is not here");
}

static struct product
answered(void)
{
	struct product p = right();

	DO(cublasLtMatmulAlgoGetHeuristic, p.handle, p.desc, p.l[0], p.l[1], p.l[2], p.l[3],
	    p.wish, 1, &p.best, &p.n);
	return p;
}

static void
test_calls(void)
{
	struct product p = answered();

	p.bytes = 16;
	misused(&p, "a workspace of 16 bytes", "a workspace that is too small");
	p = answered();
	p.workspace += 16;
	misused(&p, "workspace of 4096 bytes ends 16 bytes", "one that ends behind its memory");
	p = answered();
	p.at[1] += 4;
	misused(&p, "B of 288 bytes ends 4 bytes behind", "an operand that does");
	p = answered();
	p.at[0] = p.workspace + 16;
	misused(&p, "A is not aligned to 256", "one that is not aligned as was promised");
	p = answered();
	p.at[0] = (CUdeviceptr)&p;
	misused(&p, "A is not in device memory", "one of the host's");
	p = answered();
	p.at[3] = p.at[1];
	layout(&p, 3, CUDA_R_32F, M, N, M);
	misused(&p, "B and D overlap", "a result in the place of an operand");
	p = answered();
	layout(&p, 1, CUDA_R_32F, K, N, K + 4);
	misused(&p, "found for another product", "an algorithm of another shape");
}

/* What is found when the product is made, and fails the stream. */
static void
late(struct product *p, const char *why, const char *what)
{
	CUdevice d = 0;

	must(multiply(p) == 0, "cublasLtMatmul");
	lib.cuStreamSynchronize_(stream);
	lib.cuStreamSynchronize_(other);
	ok(found(why), what);
	DO(cuDevicePrimaryCtxReset, d);
}

static void
test_order(void)
{
	struct product p = answered();

	p.beta = 1;
	late(&p, "cublasLtMatmul reads bytes of", "a sum that nothing was written to");
	p = answered();
	DO(cuMemsetD32Async, p.at[0], 0, M * K, other);
	late(&p, "with nothing to order them", "an operand that another stream writes");
	p = right();
	add_bias(&p, CUBLASLT_EPILOGUE_BIAS, p.workspace);
	must(ask(&p) == 0, "cublasLtMatmulAlgoGetHeuristic");
	p.workspace += 1024;
	p.bytes -= 1024;
	late(&p, "cublasLtMatmul reads bytes of", "a bias that nothing was written to");
}

int
main(int argc, char **argv)
{
	(void)argc;
	load(argv[0]);
	if (freopen("/dev/null", "w", stderr) == NULL)	/* findings are printed there too */
		return 1;
	test_right();
	test_questions();
	test_tf32();
	test_bias();
	test_calls();
	test_order();
	DO(cublasLtDestroy, handle);
	ok(findings() == 0, "all other calls were right");
	return tap_done();
}

#else

int
main(void)
{
	printf("1..0 # SKIP no cublasLt.h\n");
	return 0;
}
#endif
