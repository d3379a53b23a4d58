/*
 * cublaslt - a stand-in for NVIDIA's cuBLASLt
 *
 * For programs that run on the stand-in driver beside it, which does the work in the
 * order of streams, and in graphs.  It has dense products of fp32, fp16 and bf16, sums
 * in fp32, with or without a bias.  In TF32 it leaves out the lower bits of operands,
 * which is the worst that may become of them.  An algorithm is good for what it was found
 * for and nothing else, needs some of the workspace that it may have, and spoils that.
 *
 * It refuses what the documentation does, and reports each time, as the driver does:
 * handles that are none, layouts that do not fit, columns that overlap, operands that
 * are not in device memory, end behind it, overlap or are not aligned as was promised,
 * a workspace that is too small, and types that do not go together.
 */
#include <cublasLt.h>
#include <cuda.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../driver.h"

/* What a handle points to, and what it is after its end. */
enum kind { NONE, HANDLE, DESC, LAYOUT, PREFERENCE };

struct cublasLtContext {
	enum kind kind;
	CUdevice device;
};

struct desc {
	enum kind kind;
	cublasComputeType_t compute;
	int32_t	ta, tb;
	uint32_t epilogue;
	CUdeviceptr bias;
};

struct layout {
	enum kind kind;
	cudaDataType type;
	uint64_t rows, cols;
	int64_t	ld;
};

struct preference {
	enum kind kind;
	uint64_t workspace;
	uint32_t reductions, align[4];	/* of a, b, c and the result */
};

/* All that an algorithm depends on; what is in one. */
struct problem {
	struct desc desc;
	struct layout l[4];
};

struct algo {
	uint64_t problem, workspace;
	uint32_t align[4], bias;	/* the bias as it was when this was found */
};

/* A product that is queued. */
struct work {
	struct problem p;
	CUdeviceptr at[4], workspace;
	size_t	bytes;			/* of the workspace */
	float	alpha, beta;
};

_Static_assert(sizeof(struct desc) <= sizeof(cublasLtMatmulDescOpaque_t) &&
    sizeof(struct layout) <= sizeof(cublasLtMatrixLayoutOpaque_t) &&
    sizeof(struct preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t) &&
    sizeof(struct algo) <= sizeof(cublasLtMatmulAlgo_t), "what is opaque is large enough");

enum { NEEDED = 1024 };		/* of the workspace, where there may be so much */

static const char *const names[] = { "A", "B", "C", "D" };

__attribute__((format(printf, 2, 3))) static cublasStatus_t
refuse(cublasStatus_t r, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	find_report(F_LIBRARY, NULL, "cuBLASLt: %s", text);
	return r;
}

#define INVALID(...) refuse(CUBLAS_STATUS_INVALID_VALUE, __VA_ARGS__)
#define UNSUPPORTED(...) refuse(CUBLAS_STATUS_NOT_SUPPORTED, __VA_ARGS__)

size_t
cublasLtGetVersion(void)
{
	return CUBLAS_VERSION;
}

const char *
cublasLtGetStatusName(cublasStatus_t r)
{
	return r == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" :
	    r == CUBLAS_STATUS_NOT_INITIALIZED ? "CUBLAS_STATUS_NOT_INITIALIZED" :
	    r == CUBLAS_STATUS_INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE" :
	    r == CUBLAS_STATUS_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED" :
	    r == CUBLAS_STATUS_EXECUTION_FAILED ? "CUBLAS_STATUS_EXECUTION_FAILED" :
	    "CUBLAS_STATUS_INTERNAL_ERROR";
}

/* ---- what is created and destroyed ---- */

static void *
create(enum kind kind, size_t size)
{
	enum kind *p = calloc(1, size);

	if (p == NULL)
		abort();
	*p = kind;
	return p;
}

static bool
is(const void *p, enum kind kind)
{
	return p != NULL && *(const enum kind *)p == kind;
}

static cublasStatus_t
destroy(void *p, enum kind kind)
{
	if (!is(p, kind))
		return INVALID("the end of what is not there");
	*(enum kind *)p = NONE;
	free(p);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtCreate(cublasLtHandle_t *h)
{
	CUdevice device;

	if (cuCtxGetDevice(&device) != CUDA_SUCCESS)
		return refuse(CUBLAS_STATUS_NOT_INITIALIZED, "a handle without a current context");
	*h = create(HANDLE, sizeof(**h));
	(*h)->device = device;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtDestroy(cublasLtHandle_t h)
{
	return destroy(h, HANDLE);
}

cublasStatus_t
cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
    cudaDataType_t scale)
{
	struct desc *d;

	if ((compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32) ||
	    scale != CUDA_R_32F)
		return UNSUPPORTED("compute type %d, scale type %d", compute, scale);
	d = create(DESC, sizeof(cublasLtMatmulDescOpaque_t));
	d->compute = compute;
	d->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
	*out = (cublasLtMatmulDesc_t)d;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
	return destroy(d, DESC);
}

/* A value of its size, to where it is kept. */
static cublasStatus_t
set(void *to, size_t size, const void *value, size_t given, int attribute)
{
	if (value == NULL || given != size)
		return INVALID("attribute %d of %zu bytes, and it has %zu", attribute, given, size);
	memcpy(to, value, size);
	return CUBLAS_STATUS_SUCCESS;
}
#define SET(field) set(&(field), sizeof(field), value, size, (int)what)

cublasStatus_t
cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t h, cublasLtMatmulDescAttributes_t what,
    const void *value, size_t size)
{
	struct desc *d = (struct desc *)h;

	if (!is(d, DESC))
		return INVALID("an attribute of no description");
	switch (what) {
	case CUBLASLT_MATMUL_DESC_TRANSA:	return SET(d->ta);
	case CUBLASLT_MATMUL_DESC_TRANSB:	return SET(d->tb);
	case CUBLASLT_MATMUL_DESC_EPILOGUE:	return SET(d->epilogue);
	case CUBLASLT_MATMUL_DESC_BIAS_POINTER:	return SET(d->bias);
	default:	return UNSUPPORTED("attribute %d of a description", what);
	}
}

cublasStatus_t
cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows,
    uint64_t cols, int64_t ld)
{
	struct layout *l;

	if (type != CUDA_R_32F && type != CUDA_R_16F && type != CUDA_R_16BF)
		return UNSUPPORTED("a matrix of type %d", type);
	l = create(LAYOUT, sizeof(cublasLtMatrixLayoutOpaque_t));
	*l = (struct layout){ LAYOUT, type, rows, cols, ld };
	*out = (cublasLtMatrixLayout_t)l;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
	return destroy(l, LAYOUT);
}

cublasStatus_t
cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
	struct preference *p = create(PREFERENCE, sizeof(cublasLtMatmulPreferenceOpaque_t));

	*p = (struct preference){ PREFERENCE, 0, CUBLASLT_REDUCTION_SCHEME_MASK,
		{ 256, 256, 256, 256 } };
	*out = (cublasLtMatmulPreference_t)p;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
	return destroy(p, PREFERENCE);
}

cublasStatus_t
cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t h,
    cublasLtMatmulPreferenceAttributes_t what, const void *value, size_t size)
{
	struct preference *p = (struct preference *)h;

	if (!is(p, PREFERENCE))
		return INVALID("an attribute of no preference");
	switch (what) {
	case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:	return SET(p->workspace);
	case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return SET(p->reductions);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return SET(p->align[0]);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return SET(p->align[1]);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return SET(p->align[2]);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return SET(p->align[3]);
	default:	return UNSUPPORTED("attribute %d of a preference", what);
	}
}

/* ---- what fits ---- */

static size_t
size_of(cudaDataType type)
{
	return type == CUDA_R_32F ? 4 : 2;
}

/* Rows and columns of op(x). */
static void
shape_of(const struct layout *l, int32_t turned, uint64_t shape[2])
{
	shape[0] = turned ? l->cols : l->rows;
	shape[1] = turned ? l->rows : l->cols;
}

static cublasStatus_t
layouts_fit(const struct problem *p)
{
	uint64_t a[2], b[2];

	shape_of(&p->l[0], p->desc.ta, a);
	shape_of(&p->l[1], p->desc.tb, b);
	for (int i = 0; i < 4; i++) {
		const struct layout *l = &p->l[i];

		if (l->rows == 0 || l->cols == 0 || l->ld < (int64_t)l->rows)
			return INVALID("%s is %llu x %llu, %lld from column to column", names[i],
			    (unsigned long long)l->rows, (unsigned long long)l->cols, (long long)l->ld);
		if ((size_t)l->ld * size_of(l->type) % 16 != 0)
			return UNSUPPORTED("columns of %s are no whole pieces of 16 bytes", names[i]);
		if (i >= 2 && (l->rows != a[0] || l->cols != b[1]))
			return INVALID("%s is %llu x %llu of a product of %llu x %llu", names[i],
			    (unsigned long long)l->rows, (unsigned long long)l->cols,
			    (unsigned long long)a[0], (unsigned long long)b[1]);
	}
	if (a[1] != b[0])
		return INVALID("op(A) has %llu columns and op(B) %llu rows",
		    (unsigned long long)a[1], (unsigned long long)b[0]);
	return CUBLAS_STATUS_SUCCESS;
}

/* The types of which the documentation has a row, of those that are here. */
static cublasStatus_t
types_fit(const struct problem *p)
{
	cudaDataType ab = p->l[0].type, c = p->l[2].type;

	if (p->l[1].type != ab || p->l[3].type != c || (c != ab && c != CUDA_R_32F))
		return UNSUPPORTED("types %d, %d, %d, %d of A, B, C, D", ab, p->l[1].type, c,
		    p->l[3].type);
	if (p->desc.compute != CUBLAS_COMPUTE_32F && ab != CUDA_R_32F)
		return UNSUPPORTED("type %d of A and B, to be rounded to TF32", ab);
	if (p->desc.ta < 0 || p->desc.ta > 1 || p->desc.tb < 0 || p->desc.tb > 1)
		return INVALID("operations %d and %d", p->desc.ta, p->desc.tb);
	if (p->desc.epilogue != CUBLASLT_EPILOGUE_DEFAULT &&
	    p->desc.epilogue != CUBLASLT_EPILOGUE_BIAS)
		return UNSUPPORTED("epilogue %u", p->desc.epilogue);
	return CUBLAS_STATUS_SUCCESS;
}

/* The whole question.  Where handles are none, or nothing fits, it is refused. */
static cublasStatus_t
take(struct problem *p, cublasLtHandle_t h, cublasLtMatmulDesc_t d,
    const cublasLtMatrixLayout_t l[4])
{
	CUdevice device = -1;
	cublasStatus_t r;

	if (!is(h, HANDLE))
		return refuse(CUBLAS_STATUS_NOT_INITIALIZED, "a handle that is none");
	if (cuCtxGetDevice(&device) != CUDA_SUCCESS || device != h->device)
		return INVALID("device %d, by a handle of device %d", device, h->device);
	if (!is(d, DESC))
		return INVALID("no description");
	memset(p, 0, sizeof(*p));
	memcpy(&p->desc, d, sizeof(p->desc));
	for (int i = 0; i < 4; i++) {
		if (!is(l[i], LAYOUT))
			return INVALID("no layout of %s", names[i]);
		memcpy(&p->l[i], l[i], sizeof(p->l[i]));
	}
	r = types_fit(p);
	return r != CUBLAS_STATUS_SUCCESS ? r : layouts_fit(p);
}

/* All of it but where the bias is. */
static uint64_t
hash_of(const struct problem *p)
{
	struct problem q = *p;
	uint64_t h = 14695981039346656037u;

	q.desc.bias = 0;
	for (size_t i = 0; i < sizeof(q); i++)
		h = (h ^ ((const uint8_t *)&q)[i]) * 1099511628211u;
	return h;
}

cublasStatus_t
cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t d,
    cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
    cublasLtMatrixLayout_t to, cublasLtMatmulPreference_t wish, int most,
    cublasLtMatmulHeuristicResult_t found[], int *n)
{
	const struct preference *w = (struct preference *)wish;
	struct algo algo;
	struct problem p;
	cublasStatus_t r;
	GUARD;

	*n = 0;
	if (!is(w, PREFERENCE) || most < 1)
		return INVALID("no preference, or no room for an algorithm");
	r = take(&p, h, d, (const cublasLtMatrixLayout_t[]){ a, b, c, to });
	if (r != CUBLAS_STATUS_SUCCESS)
		return r;
	algo = (struct algo){ .problem = hash_of(&p),
		.workspace = w->workspace < NEEDED ? w->workspace : NEEDED };
	memcpy(algo.align, w->align, sizeof(algo.align));
	algo.bias = (uint32_t)(p.desc.bias & -p.desc.bias & 0xff);
	memset(&found[0], 0, sizeof(found[0]));
	memcpy(&found[0].algo, &algo, sizeof(algo));
	found[0].workspaceSize = algo.workspace;
	*n = 1;
	return CUBLAS_STATUS_SUCCESS;
}

/* ---- what is computed ---- */

static float
get(const uint8_t *p, uint64_t i, cudaDataType type)
{
	uint16_t h;
	float f;

	if (type == CUDA_R_32F) {
		memcpy(&f, p + 4 * i, 4);
		return f;
	}
	memcpy(&h, p + 2 * i, 2);
	return type == CUDA_R_16F ? half_to_float(h) : bf16_to_float(h);
}

static void
put(uint8_t *p, uint64_t i, cudaDataType type, float f)
{
	uint16_t h = type == CUDA_R_16F ? float_to_half(f, ROUND_N) : float_to_bf16(f, ROUND_N);

	if (type == CUDA_R_32F)
		memcpy(p + 4 * i, &f, 4);
	else
		memcpy(p + 2 * i, &h, 2);
}

static float
to_tf32(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	u &= ~0x1fffu;
	memcpy(&x, &u, sizeof(x));
	return x;
}

/* op(x), so that rows lie side by side. */
static float *
unfold(const struct layout *l, CUdeviceptr at, bool turned, bool tf32)
{
	const uint8_t *p = memory_host(at);
	float *x = malloc(l->rows * l->cols * sizeof(*x));

	if (x == NULL)
		abort();
	for (uint64_t j = 0; j < l->cols; j++)
		for (uint64_t i = 0; i < l->rows; i++) {
			float y = get(p, j * (uint64_t)l->ld + i, l->type);

			x[turned ? i * l->cols + j : j * l->rows + i] = tf32 ? to_tf32(y) : y;
		}
	return x;
}

/* One column of the result. */
static void
column(const struct work *w, uint64_t j, const float *sum)
{
	const struct layout *c = &w->p.l[2], *d = &w->p.l[3];

	for (uint64_t i = 0; i < d->rows; i++) {
		float x = w->alpha * sum[i];

		if (w->beta != 0)
			x += w->beta * get(memory_host(w->at[2]), j * (uint64_t)c->ld + i, c->type);
		if (w->p.desc.epilogue == CUBLASLT_EPILOGUE_BIAS)
			x += get(memory_host(w->p.desc.bias), i, d->type);
		put(memory_host(w->at[3]), j * (uint64_t)d->ld + i, d->type, x);
	}
}

static enum work_state
multiply(void *data)
{
	const struct work *w = data;
	const struct layout *l = w->p.l;
	uint64_t m = l[3].rows, k = w->p.desc.ta ? l[0].rows : l[0].cols;
	bool tf32 = w->p.desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
	float *a = unfold(&l[0], w->at[0], w->p.desc.ta, tf32);
	float *b = unfold(&l[1], w->at[1], w->p.desc.tb, tf32), *sum = malloc(m * sizeof(*sum));

	if (sum == NULL)
		abort();
	for (uint64_t j = 0; j < l[3].cols; j++) {
		memset(sum, 0, m * sizeof(*sum));
		for (uint64_t i = 0; i < k; i++)
			for (uint64_t r = 0; r < m; r++)
				sum[r] += a[i * m + r] * b[j * k + i];
		column(w, j, sum);
	}
	if (w->bytes > 0)
		memset(memory_host(w->workspace), 0xa5, w->bytes);
	free(a);
	free(b);
	free(sum);
	driver.count[COUNT_PRODUCTS]++;
	return WORK_DONE;
}

/* ---- what is asked for ---- */

static bool
of_device(CUdeviceptr p, size_t bytes, size_t align, const char *what)
{
	const struct area *a = memory_find(p);

	if (a == NULL || a->pinned)
		INVALID("%s is not in device memory", what);
	else if (bytes > a->hi - p)
		INVALID("%s of %zu bytes ends %llu bytes behind %s", what, bytes,
		    (unsigned long long)(p + bytes - a->hi), a->name);
	else if (p % align != 0)
		INVALID("%s is not aligned to %zu", what, align);
	else
		return true;
	return false;
}

static size_t
extent(const struct layout *l)
{
	return ((l->cols - 1) * (uint64_t)l->ld + l->rows) * size_of(l->type);
}

static bool
overlap(CUdeviceptr a, size_t na, CUdeviceptr b, size_t nb)
{
	return a < b + nb && b < a + na;
}

/* Are all where they may be? */
static bool
operands_fit(const struct work *w, const struct algo *algo)
{
	const struct layout *l = w->p.l;
	size_t to = extent(&l[3]);

	for (int i = 0; i < 4; i++)
		if ((i != 2 || w->beta != 0) &&
		    !of_device(w->at[i], extent(&l[i]), algo->align[i], names[i]))
			return false;
	if (w->p.desc.epilogue == CUBLASLT_EPILOGUE_BIAS && !of_device(w->p.desc.bias,
	    l[3].rows * size_of(l[3].type), algo->bias != 0 ? algo->bias : 256, "the bias"))
		return false;
	for (int i = 0; i < 3; i++) {
		bool in_place = i == 2 && w->at[2] == w->at[3] && l[2].ld == l[3].ld;

		if ((i != 2 || w->beta != 0) && !in_place &&
		    overlap(w->at[i], extent(&l[i]), w->at[3], to)) {
			INVALID("%s and D overlap", names[i]);
			return false;
		}
	}
	return true;
}

static bool
workspace_fits(const struct work *w, size_t given, const struct algo *algo)
{
	if (given < algo->workspace) {
		INVALID("a workspace of %zu bytes, and the algorithm needs %llu", given,
		    (unsigned long long)algo->workspace);
		return false;
	}
	if (w->bytes > 0 && !of_device(w->workspace, given, 256, "the workspace"))
		return false;
	for (int i = 0; i < 4; i++)
		if (overlap(w->workspace, w->bytes, w->at[i], extent(&w->p.l[i]))) {
			INVALID("the workspace and %s overlap", names[i]);
			return false;
		}
	return true;
}

static struct stream_range
range(const struct layout *l, CUdeviceptr at)
{
	size_t size = size_of(l->type);

	return (struct stream_range){ at, l->rows * size, (size_t)l->ld * size, l->cols };
}

static cublasStatus_t
queue(const struct work *w, cudaStream_t s)
{
	const struct layout *l = w->p.l;
	struct stream_work s_work = { .what = "cublasLtMatmul", .fn = multiply, .bytes = sizeof(*w),
	    .reads = { range(&l[0], w->at[0]), range(&l[1], w->at[1]) },
	    .writes = { range(&l[3], w->at[3]), { w->workspace, w->bytes, 0, w->bytes > 0 } } };

	if (w->beta != 0)
		s_work.reads[2] = range(&l[2], w->at[2]);
	if (w->p.desc.epilogue == CUBLASLT_EPILOGUE_BIAS)
		s_work.reads[3] = (struct stream_range){ w->p.desc.bias,
			l[3].rows * size_of(l[3].type), 0, 1 };
	return stream_work((CUstream)s, &s_work, w) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS :
	    refuse(CUBLAS_STATUS_EXECUTION_FAILED, "the stream takes no work");
}

cublasStatus_t
cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t d, const void *alpha, const void *a,
    cublasLtMatrixLayout_t al, const void *b, cublasLtMatrixLayout_t bl, const void *beta,
    const void *c, cublasLtMatrixLayout_t cl, void *to, cublasLtMatrixLayout_t tl,
    const cublasLtMatmulAlgo_t *given, void *workspace, size_t bytes, cudaStream_t s)
{
	struct work w = { .at = { (CUdeviceptr)a, (CUdeviceptr)b, (CUdeviceptr)c, (CUdeviceptr)to },
	    .workspace = (CUdeviceptr)workspace };
	struct algo algo;
	cublasStatus_t r;
	GUARD;

	r = take(&w.p, h, d, (const cublasLtMatrixLayout_t[]){ al, bl, cl, tl });
	if (r != CUBLAS_STATUS_SUCCESS)
		return r;
	if (given == NULL || alpha == NULL || beta == NULL)
		return INVALID("no algorithm, alpha or beta");
	memcpy(&algo, given, sizeof(algo));
	if (algo.problem != hash_of(&w.p))
		return INVALID("an algorithm that was found for another product");
	memcpy(&w.alpha, alpha, sizeof(w.alpha));
	memcpy(&w.beta, beta, sizeof(w.beta));
	w.bytes = algo.workspace;
	if (!operands_fit(&w, &algo) || !workspace_fits(&w, bytes, &algo))
		return CUBLAS_STATUS_INVALID_VALUE;
	return queue(&w, s);
}
