#include "dev/cuda/blas.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/cuda/launch.h"

enum { ALIGNED = 16, WORKSPACE_MOST = 32 << 20, WORKSPACE_PART = 256 };	/* of memory */

static const char *const libraries[] = { "libcublasLt.so.13", "libcublasLt.so.12",
	"libcublasLt.so.11" };

/* ---- the library ---- */

static bool
bind(struct blas *l)
{
	void *sym;

#define X(result, name, args)							\
	if ((sym = dlsym(l->library, #name)) == NULL)				\
		return false;							\
	memcpy(&l->name, &sym, sizeof(sym));
	BLAS_CALLS(X)
#undef X
	return true;
}

/* Why there is none to use, or NULL.  What it left with the C library stays when it is closed. */
static const char *
open_library(struct blas *l)
{
	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries) && l->library == NULL; i++)
		l->library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (l->library == NULL)
		return "no libcublasLt.so.13, .12 or .11";
	if (!bind(l))
		return "libcublasLt lacks what is called";
	if (l->cublasLtCreate(&l->handle) != CUBLAS_SUCCESS)
		return "libcublasLt does not start";
	return NULL;
}

/* NULL: none to use. */
static const struct blas *
library(struct cuda *c)
{
	char *said = c->dev.info.products;
	int version;

	if (c->blas != NULL || c->failed)
		return c->blas != NULL && c->blas->library != NULL ? c->blas : NULL;
	if ((c->blas = calloc(1, sizeof(*c->blas))) == NULL ||
	    !CUDA_CALL(c, cuCtxSetCurrent, c->ctx))
		return NULL;
	if ((c->blas->why = open_library(c->blas)) == NULL) {
		version = (int)c->blas->cublasLtGetVersion();
		snprintf(said, sizeof(c->dev.info.products), "cuBLASLt %d.%d.%d%s", version / 10000,
		    version / 100 % 100, version % 100, c->tf32 ? ", TF32" : "");
		return c->blas;
	}
	snprintf(said, sizeof(c->dev.info.products), "our own tiles (%s)", c->blas->why);
	if (c->blas->library != NULL)
		dlclose(c->blas->library);
	c->blas->library = NULL;
	return NULL;
}

int
blas_need(struct cuda *c, struct err *err)
{
	if (library(c) != NULL)
		return 0;
	if (c->failed)
		*err = c->err;
	else
		err_set(err, c->blas == NULL ? ERR_NOMEM : ERR_DEVICE, "%s, which alone has "
		    "products in TF32: use -d cuda", c->blas == NULL ? "no memory for cuBLASLt" :
		    c->blas->why);
	return -1;
}

void
blas_close(struct cuda *c)
{
	if (c->blas == NULL)
		return;
	if (c->blas->library != NULL) {
		c->blas->cublasLtDestroy(c->blas->handle);
		dlclose(c->blas->library);
	}
	free(c->blas);
	c->blas = NULL;
}

static bool
call_ok(struct cuda *c, cublasStatus_t r, const char *call)
{
	if (r == CUBLAS_SUCCESS)
		return true;
	if (!c->failed)
		err_set(&c->err, ERR_DEVICE, "%s: %s: %s", c->dev.info.name, call,
		    c->blas->cublasLtGetStatusName(r));
	c->failed = true;
	return false;
}
#define BLAS_CALL(name, ...) call_ok(c, c->blas->name(__VA_ARGS__), #name)

/* ---- which products ---- */

static bool
is_aligned(dptr p, int64_t ld, dtype t)
{
	return (p.at | (uint64_t)(ld * dtype_size(t))) % ALIGNED == 0;
}

/* Both of one type, and out of them fp32 or the same; whole pieces of 16 bytes. */
static bool
is_taken(const struct k_matmul *a)
{
	if (!a->loose || a->a_type != a->b_type ||
	    (a->a_type != DTYPE_F32 && a->a_type != DTYPE_BF16 && a->a_type != DTYPE_F16) ||
	    (a->c_type != DTYPE_F32 && a->c_type != a->a_type))
		return false;
	if (a->m.cap <= 0 || a->n <= 0 || a->k.cap <= 0 ||
	    (a->k.n.at != 0 && (!a->ta || a->tb)) || (a->sumsq.at != 0 && a->ldc != a->n) ||
	    a->bias.at % ALIGNED != 0)
		return false;
	return is_aligned(a->a, a->lda, a->a_type) && is_aligned(a->b, a->ldb, a->b_type) &&
	    is_aligned(a->c, a->ldc, a->c_type);
}

/* The library asks for 32 MB; less on a device that is small. */
static int64_t
workspace(const struct cuda *c)
{
	int64_t part = c->dev.info.memory / WORKSPACE_PART / 256 * 256;

	return part < WORKSPACE_MOST ? part : WORKSPACE_MOST;
}

/*
 * Behind the workspace is the bias, where it is to be of the product's type; squares are
 * summed when both are done with.
 */
int64_t
blas_bytes(struct cuda *c, const struct k_matmul *a)
{
	int64_t both, squares;

	if (!is_taken(a) || library(c) == NULL)
		return 0;
	both = workspace(c) + (a->bias.at != 0 ? a->n * dtype_size(a->c_type) : 0);
	squares = cuda_over(a->m.cap * a->n, SUM_PART) * (int64_t)sizeof(double);
	return a->sumsq.at != 0 && squares > both ? squares : both;
}

/* ---- a product ---- */

/*
 * The library's matrices lie column by column: (M, N) of ours is its (N, M).  So c = a b
 * is its c = b a, and its first operand is b.
 */
struct product {
	cublasLtMatmulDesc_t what;
	cublasLtMatrixLayout_t a, b, c;
	cublasLtMatmulPreference_t wish;
};

static int
type_of(dtype t)
{
	return t == DTYPE_BF16 ? CUDA_R_16BF : t == DTYPE_F16 ? CUDA_R_16F : CUDA_R_32F;
}

/* A matrix whose op() has so many rows and columns. */
static bool
lay_out(struct cuda *c, cublasLtMatrixLayout_t *l, dtype type, int64_t rows, int64_t cols,
    bool turned, int64_t ld)
{
	return BLAS_CALL(cublasLtMatrixLayoutCreate, l, type_of(type),
	    (uint64_t)(turned ? rows : cols), (uint64_t)(turned ? cols : rows), ld);
}

static bool
describe(struct cuda *c, const struct k_matmul *a, dptr bias, struct product *p)
{
	int32_t tb = a->tb, ta = a->ta;		/* CUBLAS_OP_N, CUBLAS_OP_T */
	uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
	int compute = c->tf32 && a->a_type == DTYPE_F32 ? CUBLAS_COMPUTE_32F_FAST_TF32 :
	    CUBLAS_COMPUTE_32F;

	return BLAS_CALL(cublasLtMatmulDescCreate, &p->what, compute, CUDA_R_32F) &&
	    BLAS_CALL(cublasLtMatmulDescSetAttribute, p->what, CUBLASLT_TRANSA, &tb, sizeof(tb)) &&
	    BLAS_CALL(cublasLtMatmulDescSetAttribute, p->what, CUBLASLT_TRANSB, &ta, sizeof(ta)) &&
	    (bias.at == 0 || (BLAS_CALL(cublasLtMatmulDescSetAttribute, p->what,
	    CUBLASLT_EPILOGUE, &epilogue, sizeof(epilogue)) &&
	    BLAS_CALL(cublasLtMatmulDescSetAttribute, p->what, CUBLASLT_BIAS_POINTER, &bias.at,
	    sizeof(bias.at)))) &&
	    lay_out(c, &p->a, a->a_type, a->m.cap, a->k.cap, a->ta, a->lda) &&
	    lay_out(c, &p->b, a->b_type, a->k.cap, a->n, a->tb, a->ldb) &&
	    lay_out(c, &p->c, a->c_type, a->m.cap, a->n, false, a->ldc);
}

static bool
wish(struct cuda *c, cublasLtMatmulPreference_t *w)
{
	uint64_t most = (uint64_t)workspace(c);
	uint32_t reductions = CUBLASLT_REDUCTION_COMPUTE_TYPE, aligned = ALIGNED;
	bool good = BLAS_CALL(cublasLtMatmulPreferenceCreate, w) &&
	    BLAS_CALL(cublasLtMatmulPreferenceSetAttribute, *w, CUBLASLT_MAX_WORKSPACE, &most,
	    sizeof(most)) &&
	    BLAS_CALL(cublasLtMatmulPreferenceSetAttribute, *w, CUBLASLT_REDUCTIONS, &reductions,
	    sizeof(reductions));

	for (int i = CUBLASLT_MIN_ALIGNMENT_A; i <= CUBLASLT_MIN_ALIGNMENT_D && good; i++)
		good = BLAS_CALL(cublasLtMatmulPreferenceSetAttribute, *w, i, &aligned,
		    sizeof(aligned));
	return good;
}

static void
forget(const struct blas *l, const struct product *p)
{
	if (p->what != NULL)
		l->cublasLtMatmulDescDestroy(p->what);
	if (p->a != NULL)
		l->cublasLtMatrixLayoutDestroy(p->a);
	if (p->b != NULL)
		l->cublasLtMatrixLayoutDestroy(p->b);
	if (p->c != NULL)
		l->cublasLtMatrixLayoutDestroy(p->c);
	if (p->wish != NULL)
		l->cublasLtMatmulPreferenceDestroy(p->wish);
}

static const void *
pointer(dptr p)
{
	return (const void *)(uintptr_t)p.at;
}

/* With a beta of 0 what is there is not read. */
static void
multiply(struct cuda *c, const struct k_matmul *a, const struct product *p,
    const cublasLtMatmulAlgo_t *algo)
{
	float alpha = (float)a->alpha, beta = a->add ? 1 : 0;
	void *to = (void *)(uintptr_t)a->c.at;

	BLAS_CALL(cublasLtMatmul, c->blas->handle, p->what, &alpha, pointer(a->b), p->b,
	    pointer(a->a), p->a, &beta, to, p->c, to, p->c, algo,
	    (void *)(uintptr_t)c->scratch.at, (size_t)workspace(c), c->stream);
}

/* A bias in the product's type: the library takes no wider one. */
static dptr
bias_of(struct cuda *c, const struct k_matmul *a)
{
	dptr narrow = dptr_add(c->scratch, workspace(c));

	if (a->bias.at == 0 || a->c_type == DTYPE_F32)
		return a->bias;
	cuda_launch(c, K_CAST, &(union dev_args){ .cast = { .y = narrow, .x = a->bias,
	    .y_type = a->c_type, .x_type = DTYPE_F32, .n = a->n } });
	return narrow;
}

/* Rows beyond the count are zeros in what is summed over them. */
static void
clear_tails(struct cuda *c, const struct k_matmul *a)
{
	int64_t size = dtype_size(a->a_type);
	struct cuda_tails t = { .x = { a->a, a->b }, .bytes = { a->m.cap * size, a->n * size },
	    .ld = { a->lda * size, a->ldb * size }, .t = a->k };

	if (a->k.n.at != 0)
		cuda_go(c, K_MATMUL, E_tails, DTYPE_NONE, cuda_blocks(c, a->k.cap, 64), &t);
}

bool
blas_matmul(struct cuda *c, const struct k_matmul *a)
{
	const struct blas *l = is_taken(a) ? library(c) : NULL;
	cublasLtMatmulHeuristicResult_t best;
	struct product p = { NULL };
	cublasStatus_t r = CUBLAS_SUCCESS;
	int n = 0;

	if (l == NULL)
		return false;
	if (describe(c, a, bias_of(c, a), &p) && wish(c, &p.wish))
		r = l->cublasLtMatmulAlgoGetHeuristic(l->handle, p.what, p.b, p.a, p.c, p.c,
		    p.wish, 1, &best, &n);
	if (n > 0 && best.state != CUBLAS_SUCCESS)
		n = 0;
	if (r != CUBLAS_NOT_SUPPORTED && call_ok(c, r, "cublasLtMatmulAlgoGetHeuristic") && n > 0) {
		clear_tails(c, a);
		multiply(c, a, &p, &best.algo);
		if (a->sumsq.at != 0)
			cuda_launch(c, K_SUMSQ, &(union dev_args){ .sumsq = { .out = a->sumsq,
			    .x = a->c, .type = a->c_type, .n = a->m.cap * a->n } });
	}
	forget(l, &p);
	return n > 0 || c->failed;
}
