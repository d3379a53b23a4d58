/*
 * The stand-in driver of tests/cuda: right kernels give the CPU's numbers and
 * no finding, and each fault of wrong.cu is found by name and line.
 */
#include <stdio.h>

#ifdef STANDIN
#include <cuda.h>
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../tap.h"
#include "base/hash.h"
#include "base/rng.h"

/* Each under the name that cuda.h's macros give it. */
#define API(F)	F(cuInit) F(cuDeviceGet) F(cuDevicePrimaryCtxRetain) F(cuDevicePrimaryCtxReset)	\
	F(cuCtxSetCurrent) F(cuCtxSynchronize) F(cuModuleLoadData) F(cuModuleGetFunction)	\
	F(cuModuleUnload) F(cuMemAlloc) F(cuMemFree) F(cuMemHostAlloc) F(cuMemFreeHost)		\
	F(cuMemcpyHtoD) F(cuMemcpyDtoH) F(cuMemcpyHtoDAsync) F(cuMemcpyDtoHAsync)		\
	F(cuMemsetD32) F(cuMemsetD32Async) F(cuLaunchKernel) F(cuFuncSetAttribute)		\
	F(cuStreamCreate) F(cuStreamDestroy) F(cuStreamSynchronize) F(cuStreamQuery)		\
	F(cuStreamWaitEvent) F(cuStreamBeginCapture) F(cuStreamEndCapture) F(cuGraphInstantiate)	\
	F(cuGraphLaunch) F(cuGraphExecDestroy) F(cuGraphDestroy) F(cuEventCreate)		\
	F(cuEventRecord) F(cuEventSynchronize) F(cuEventDestroy) F(cuGetProcAddress)

#define MEMBER(f) __typeof__(&f) f##_;
#define NAME_(f) #f
#define NAME(f) NAME_(f)
#define LOAD(f) ok_all &= (*(void **)&cu.f##_ = dlsym(lib, NAME(f))) != NULL;

static struct { API(MEMBER) } cu;
static int (*findings)(void);
static const char *(*finding)(int);
static void (*forget)(void);
static void (*set_order)(int);
static void (*set_deaf)(uint64_t);
static CUmodule right, wrong, shapes;
static uint64_t digest;		/* of all results that were copied back */

/* A call that must succeed. */
#define DO(f, ...) do {								\
	CUresult r_ = cu.f##_(__VA_ARGS__);					\
	if (r_ != CUDA_SUCCESS) {						\
		printf("Bail out! %s:%d: %s is %d: %s\n", __FILE__, __LINE__, #f, (int)r_,	\
		    findings() > 0 ? finding(findings() - 1) : "no finding");	\
		exit(1);							\
	}									\
} while (0)

static char dir[1000];
static void *kept[1000];
static int n_kept;

/* Memory that lasts to the end. */
static void *
keep(size_t n)
{
	return kept[n_kept++] = calloc(1, n);
}

static CUmodule
load(const char *name)
{
	char path[1100];
	long n;
	char *image;
	CUmodule m;

	snprintf(path, sizeof(path), "%s/%s.fatbin", dir, name);
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		printf("Bail out! no %s\n", path);
		exit(1);
	}
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	image = malloc((size_t)n);
	if (fread(image, 1, (size_t)n, f) != (size_t)n)
		exit(1);
	fclose(f);
	DO(cuModuleLoadData, &m, image);
	free(image);
	return m;
}

static CUdeviceptr
device(const void *from, size_t n)
{
	CUdeviceptr p;

	DO(cuMemAlloc, &p, n);
	if (from != NULL)
		DO(cuMemcpyHtoD, p, from, n);
	return p;
}

static CUfunction
function(CUmodule m, const char *name)
{
	CUfunction f;

	DO(cuModuleGetFunction, &f, m, name);
	return f;
}

static CUresult
launch(CUmodule m, const char *name, unsigned grid, unsigned block, unsigned dynamic, void **args)
{
	CUresult r = cu.cuLaunchKernel_(function(m, name), grid, 1, 1, block, 1, 1, dynamic, NULL, args,
	    NULL);

	return r != CUDA_SUCCESS ? r : cu.cuCtxSynchronize_();
}

#define ARGS(...) (void *[]){ __VA_ARGS__ }

static float
uniform(int key, int i)
{
	return (float)rng_below(5, (uint64_t)key, (uint64_t)i, 20001) / 1e4f - 1;
}

static float *
numbers(int key, int n)
{
	float *x = keep((size_t)n * sizeof(*x));

	for (int i = 0; i < n; i++)
		x[i] = uniform(key, i);
	return x;
}

static float *
host(CUdeviceptr p, int n)
{
	float *x = keep((size_t)n * sizeof(*x));

	DO(cuMemcpyDtoH, x, p, (size_t)n * sizeof(*x));
	digest = hash64_seed((str){ (const char *)x, n * (int64_t)sizeof(*x) }, digest);
	return x;
}

static double
worst(const float *a, const float *b, int n)
{
	double most = 0;

	for (int i = 0; i < n; i++) {
		double d = fabs((double)a[i] - (double)b[i]);

		most = d > most || isnan(d) ? d : most;
	}
	return most;
}

static void
test_add(void)
{
	int n = 1003;
	float *a = numbers(1, n), *b = numbers(2, n), *want = keep((size_t)n * 4);
	CUdeviceptr da = device(a, (size_t)n * 4), db = device(b, (size_t)n * 4),
	    dc = device(NULL, (size_t)n * 4);

	for (int i = 0; i < n; i++)
		want[i] = a[i] + b[i];
	ok(launch(right, "vector_add", 8, 128, 0, ARGS(&da, &db, &dc, &n)) == 0 &&
	    memcmp(host(dc, n), want, (size_t)n * 4) == 0, "vector addition, exactly");
}

static void
test_softmax(void)
{
	int rows = 5, n = 333;
	float *x = numbers(3, rows * n), *want = keep((size_t)(rows * n) * 4);
	CUdeviceptr dx = device(x, (size_t)(rows * n) * 4), dy = device(NULL, (size_t)(rows * n) * 4);

	for (int r = 0; r < rows; r++) {
		double s = 0;

		for (int i = 0; i < n; i++)
			s += exp((double)x[r * n + i]);
		for (int i = 0; i < n; i++)
			want[r * n + i] = (float)(exp((double)x[r * n + i]) / s);
	}
	ok(launch(right, "softmax", (unsigned)rows, 96, 0, ARGS(&dx, &dy, &n)) == 0 &&
	    worst(host(dy, rows * n), want, rows * n) < 1e-7, "softmax with shuffles and barriers");
}

static void
test_reduce(void)
{
	int n = 5000;
	float *x = numbers(4, n), zero = 0;
	CUdeviceptr dx = device(x, (size_t)n * 4), part = device(NULL, 7 * 4), sum = device(&zero, 4);
	double want = 0;

	for (int i = 0; i < n; i++)
		want += (double)x[i];
	for (int again = 0; again < 2; again++)
		ok(launch(right, "reduce", 7, 64, 0, ARGS(&dx, &part, &sum, &n)) == 0 &&
		    fabs((double)*host(sum, 1) - want) < 1e-4,
		    "the last block adds up, behind a fence and an atomic");
}

static void
test_halves(void)
{
	uint16_t x[31 * 4] = { 0 };
	uint8_t y[31 * 4] = { 0 };
	CUdeviceptr dx = device(x, sizeof(x)), dy = device(y, sizeof(y));
	int good = launch(right, "halves", 4, 31, 0, ARGS(&dx, &dy)) == 0;

	DO(cuMemcpyDtoH, x, dx, sizeof(x));
	DO(cuMemcpyDtoH, y, dy, sizeof(y));
	for (int i = 0; i < 31 * 4; i++)
		good &= x[i] == i && y[i] == i;
	ok(good, "blocks whose bytes are neighbours in a word");
}

static uint16_t
bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, 4);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static float
unbf16(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;

	memcpy(&f, &u, 4);
	return f;
}

static void
test_matmul(void)
{
	int m = 45, n = 70, k = 96;
	unsigned bytes = 4 * 32 * 40 * 2;
	uint16_t *a = keep((size_t)(m * k) * 2), *b = keep((size_t)(n * k) * 2);
	float *want = keep((size_t)(m * n) * 4);
	CUdeviceptr da, db, dc = device(NULL, (size_t)(m * n) * 4);

	for (int i = 0; i < m * k; i++)
		a[i] = bf16(uniform(6, i));
	for (int i = 0; i < n * k; i++)
		b[i] = bf16(uniform(7, i));
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			for (int x = 0; x < k; x++)
				want[i * n + j] += unbf16(a[i * k + x]) * unbf16(b[j * k + x]);
	da = device(a, (size_t)(m * k) * 2);
	db = device(b, (size_t)(n * k) * 2);
	DO(cuLaunchKernel, function(right, "matmul"), 3, 2, 1, 128, 1, 1, bytes, NULL,
	    ARGS(&da, &db, &dc, &m, &n, &k), NULL);
	ok(worst(host(dc, m * n), want, m * n) < 1e-5, "a product with cp.async, ldmatrix and mma.sync");
}

static void
test_wander(void)
{
	int n = 100, good = 1;
	CUdeviceptr d = device(NULL, (size_t)n * 4);
	int got[100];

	ok(launch(right, "wander", 4, 32, 0, ARGS(&d, &n)) == 0, "a kernel whose lanes part and meet");
	DO(cuMemcpyDtoH, got, d, sizeof(got));
	for (int i = 0; i < n; i++) {
		int hist[8] = { 0, 1, 2, 3, 4, 5, 6, 7 }, v, ballot = 0;

		for (int x = i + 1; x != 1; x = x % 2 ? 3 * x + 1 : x / 2)
			hist[x & 7]++;
		switch (i % 7) {
		case 0: v = hist[i & 7]; break;
		case 1: v = hist[1] * 3; break;
		case 2: v = hist[2] - hist[3]; break;
		case 3: v = hist[i % 5] * 4; break;
		case 4: v = -hist[4]; break;
		case 5: v = hist[5] ^ hist[6]; break;
		default: v = i % 3 ? 100 : hist[7];
		}
		for (int j = i / 32 * 32; j < i / 32 * 32 + 32; j++)
			ballot += j % 3 == 0;
		good &= got[i] == v + ballot + (i % 32 == 0 ? i : i - 1);
	}
	ok(good, "loops, a switch, local arrays, votes and shuffles are right");
}

/* Rounded to the 11 bits of fp16; for numbers that are not too small for it. */
static float
half(float v)
{
	int e;

	frexpf(v, &e);
	return ldexpf(nearbyintf(ldexpf(v, 11 - e)), e - 11);
}

static void
expect_numbers(float v, int a, int t, float *f, int *i)
{
	static const float table[] = { 1, 0.5f, -2, 3 };
	uint32_t u = (uint32_t)a * 2654435761u, rev = 0;

	for (int j = 0; j < 32; j++)
		rev |= (u >> j & 1) << (31 - j);
	f[0] = unbf16(bf16(v));
	f[1] = half(v);
	f[2] = sqrtf(fabsf(v));
	f[3] = 1 / (v + 10);
	f[4] = fmaf(v, 3, table[t % 4]);
	f[5] = (float)((double)v * 1.1);
	f[6] = truncf(v * 7);
	f[7] = rintf(v * 7);
	f[8] = (float)a;
	f[9] = fminf(fmaxf(v, -1), 1);
	f[10] = 1 / sqrtf(fabsf(v) + 1);
	f[11] = exp2f(v);
	i[0] = (int)(v * 100);
	i[1] = (u == 0 ? 32 : __builtin_clz(u)) + __builtin_popcount(u);
	i[2] = (int)rev;
	i[3] = a / 7 + a % 7;
	i[4] = (int)((uint64_t)u * 12345 >> 32);
	i[5] = 5 + (int8_t)a * -128 + (int8_t)(a >> 8) * 127 + (int8_t)(a >> 16) * -1 + (int8_t)(a >> 24);
	i[6] = (int)((u >> 16 & 255) | ((uint32_t)a >> 24) << 8 | (u >> 8 & 255) << 16 |
	    ((uint32_t)a & 255) << 24);
	i[7] = (int)((uint32_t)a << 5 | u >> 27);
	i[8] = (int)((int64_t)a * a >> 7);
	i[9] = a < -100 ? -100 : a > 100 ? 100 : a;
	i[10] = (int)(u / 13 % 17);
	i[11] = __builtin_ffs(a);
}

static void
test_numbers(void)
{
	float x[64], f[64 * 12], want_f[64 * 12];
	int k[64], i[64 * 12], want_i[64 * 12], bad = 0;
	CUdeviceptr dx, dk, df, di;

	for (int t = 0; t < 64; t++) {
		x[t] = uniform(8, t) * 8;
		k[t] = t == 0 ? 0 : (int)rng_below(5, 9, (uint64_t)t, 1u << 31) - (1 << 30);
		expect_numbers(x[t], k[t], t, want_f + t * 12, want_i + t * 12);
	}
	dx = device(x, sizeof(x));
	dk = device(k, sizeof(k));
	df = device(NULL, sizeof(f));
	di = device(NULL, sizeof(i));
	ok(launch(right, "numbers", 1, 64, 0, ARGS(&dx, &dk, &df, &di)) == 0, "numbers of every kind");
	DO(cuMemcpyDtoH, f, df, sizeof(f));
	DO(cuMemcpyDtoH, i, di, sizeof(i));
	for (int j = 0; j < 64 * 12; j++) {
		/* rsqrt and exp2 are as near as a float is; all else is exact. */
		float most = j % 12 >= 10 ? 2e-7f * fabsf(want_f[j]) : 0;

		if (!(fabsf(f[j] - want_f[j]) <= most) || i[j] != want_i[j]) {
			printf("# %d: %g for %g, %d for %d\n", j % 12, (double)f[j], (double)want_f[j], i[j],
			    want_i[j]);
			bad++;
		}
	}
	ok(bad == 0, "each as C has it");
}

/* The line of wrong.cu that says FAULT name. */
static int
fault_line(const char *name)
{
	char line[300], want[100];
	FILE *f = fopen("tests/cuda/wrong.cu", "r");
	int n = 0, at = -1;

	snprintf(want, sizeof(want), "/* FAULT %s */", name);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		n++;
		if (strstr(line, want) != NULL)
			at = n;
	}
	if (f != NULL)
		fclose(f);
	return at;
}

/* Whether all findings are of this kind, and one names the kernel and its line. */
static void
expect(const char *kind, const char *name)
{
	char kernel[100], line[100], what[300];
	int hits = 0, others = 0, n = findings();

	snprintf(kernel, sizeof(kernel), "kernel %s, ", name);
	snprintf(line, sizeof(line), "wrong.cu:%d", fault_line(name));
	for (int i = 0; i < n; i++) {
		const char *s = finding(i);

		if (strncmp(s, kind, strlen(kind)) != 0)
			others++;
		else if (strstr(s, kernel) != NULL && strstr(s, line) != NULL && strstr(s, "thread (") != NULL)
			hits++;
		printf("# %s\n", s);
	}
	snprintf(what, sizeof(what), "%s: %s", name, kind);
	ok(hits > 0 && others == 0, what);
	forget();
	DO(cuDevicePrimaryCtxReset, 0);
}

static void
test_faults(void)
{
	float x[64] = { 0 };
	int n = 64, few = 1;
	CUdeviceptr d = device(x, sizeof(x)), e = device(x, sizeof(x)), none;

	ok(launch(wrong, "past_global", 3, 32, 0, ARGS(&d, &n)) == CUDA_ERROR_ILLEGAL_ADDRESS,
	    "what waits for a kernel that failed fails");
	ok(cu.cuMemcpyDtoH_(x, d, sizeof(x)) == CUDA_ERROR_ILLEGAL_ADDRESS, "and all after it");
	expect("out of bounds", "past_global");
	launch(wrong, "past_static", 1, 64, 0, ARGS(&d));
	expect("out of bounds", "past_static");
	launch(wrong, "past_dynamic", 1, 64, 256, ARGS(&d));
	expect("out of bounds", "past_dynamic");
	none = device(NULL, sizeof(x));
	launch(wrong, "unset_global", 1, 64, 0, ARGS(&none, &d));
	expect("uninitialised read", "unset_global");
	launch(wrong, "unset_shared", 1, 64, 0, ARGS(&d));
	expect("uninitialised read", "unset_shared");
	launch(wrong, "unset_local", 1, 64, 0, ARGS(&d, &few));
	expect("uninitialised read", "unset_local");
	ok(launch(wrong, "misaligned", 1, 4, 0, ARGS(&d)) == CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned");
	expect("misaligned", "misaligned");
	launch(wrong, "unknown", 1, 32, 0, ARGS(&d));
	expect("unknown instruction", "unknown");
	DO(cuMemcpyHtoD, d, x, sizeof(x));
	DO(cuMemcpyHtoD, e, x, sizeof(x));
	launch(wrong, "no_copy_wait", 1, 4, 0, ARGS(&d, &e));
	expect("copy not waited for", "no_copy_wait");
	launch(wrong, "divergent_barrier", 1, 64, 0, ARGS(&d));
	expect("divergence", "divergent_barrier");
	launch(wrong, "divergent_shuffle", 1, 32, 0, ARGS(&d));
	expect("divergence", "divergent_shuffle");
	DO(cuMemFree, e);
	launch(wrong, "add_one", 1, 32, 0, ARGS(&e, &n));
	expect("use after free", "add_one");
}

static void
test_races(void)
{
	float x[64] = { 0 }, *y;
	CUdeviceptr d = device(x, sizeof(x)), e = device(x, sizeof(x));

	ok(launch(wrong, "no_barrier", 1, 64, 0, ARGS(&d, &e)) == CUDA_ERROR_LAUNCH_FAILED,
	    "a race fails too");
	expect("race", "no_barrier");
	launch(wrong, "right_by_luck", 1, 64, 0, ARGS(&e));
	expect("race", "right_by_luck");
	y = host(e, 64);
	ok(y[0] == 4 && y[63] == 4, "its result is right all the same");
	launch(wrong, "no_syncwarp", 1, 32, 0, ARGS(&e));
	expect("race", "no_syncwarp");
	launch(wrong, "blocks_race", 5, 32, 0, ARGS(&e));
	expect("race", "blocks_race");
}

static void
launch_on(CUstream s, const char *name, CUdeviceptr d, int n, float v)
{
	DO(cuLaunchKernel, function(wrong, name), 2, 1, 1, 64, 1, 1, 0, s, ARGS(&d, &n, &v), NULL);
}

static void
test_streams(void)
{
	int n = 200;
	CUdeviceptr d = device(NULL, (size_t)n * 4);
	CUstream s, t;
	CUevent e;
	float *pinned, got[200];

	DO(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING);
	DO(cuStreamCreate, &t, CU_STREAM_NON_BLOCKING);
	DO(cuEventCreate, &e, 0);
	DO(cuMemHostAlloc, (void **)&pinned, (size_t)n * 4, 0);

	launch_on(s, "fill", d, n, 3);
	launch_on(s, "add_one", d, n, 0);
	DO(cuMemcpyDtoHAsync, pinned, d, (size_t)n * 4, s);
	ok(pinned[0] != 4, "before the wait nothing has come");
	DO(cuStreamSynchronize, s);
	ok(pinned[0] == 4 && pinned[n - 1] == 4, "after it, all of it has");

	/* Two streams, ordered by an event. */
	launch_on(s, "fill", d, n, 5);
	DO(cuEventRecord, e, s);
	DO(cuStreamWaitEvent, t, e, 0);
	launch_on(t, "add_one", d, n, 0);
	DO(cuMemcpyDtoHAsync, pinned, d, (size_t)n * 4, t);
	DO(cuStreamSynchronize, t);
	ok(pinned[7] == 6 && findings() == 0, "an event orders two streams");

	launch_on(s, "fill", d, n, 7);
	launch_on(t, "add_one", d, n, 0);
	cu.cuCtxSynchronize_();
	expect("missing synchronisation", "add_one");

	/* A copy on the host's account does not wait for a stream that does not block. */
	launch_on(s, "fill", d, n, 9);
	DO(cuMemcpyDtoH, got, d, (size_t)n * 4);
	ok(got[0] != 9, "a copy that forgot to wait has the old bytes");
	cu.cuStreamSynchronize_(s);
	expect("missing synchronisation", "fill");

	/* The source of a copy may not change before the copy was waited for. */
	pinned[0] = 1;
	DO(cuMemcpyHtoDAsync, d, pinned, (size_t)n * 4, s);
	pinned[0] = 2;
	DO(cuStreamSynchronize, s);
	ok(findings() == 1 && strstr(finding(0), "source of an asynchronous copy") != NULL,
	    "the source of a copy was changed too early");
	forget();
	DO(cuMemFreeHost, pinned);
	DO(cuEventDestroy, e);
	DO(cuStreamDestroy, s);
	DO(cuStreamDestroy, t);
}

static void
test_graph(void)
{
	int n = 100;
	CUdeviceptr a = device(NULL, (size_t)n * 4), b = device(NULL, (size_t)n * 4);
	CUstream s, t;
	CUevent fork, join;
	CUgraph g;
	CUgraphExec x;
	float *y;

	DO(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING);
	DO(cuStreamCreate, &t, CU_STREAM_NON_BLOCKING);
	DO(cuEventCreate, &fork, CU_EVENT_DISABLE_TIMING);
	DO(cuEventCreate, &join, CU_EVENT_DISABLE_TIMING);
	DO(cuMemsetD32, a, 0, (size_t)n);
	DO(cuStreamBeginCapture, s, CU_STREAM_CAPTURE_MODE_GLOBAL);
	launch_on(s, "add_one", a, n, 0);
	DO(cuEventRecord, fork, s);
	DO(cuStreamWaitEvent, t, fork, 0);
	launch_on(t, "fill", b, n, 2);
	DO(cuEventRecord, join, t);
	launch_on(s, "add_one", a, n, 0);
	DO(cuStreamWaitEvent, s, join, 0);
	launch_on(s, "add_one", b, n, 0);
	DO(cuStreamEndCapture, s, &g);
	DO(cuGraphInstantiate, &x, g, 0);
	DO(cuGraphDestroy, g);
	DO(cuGraphLaunch, x, s);
	DO(cuGraphLaunch, x, s);
	DO(cuStreamSynchronize, s);
	y = host(a, n);
	ok(y[0] == 4 && y[n - 1] == 4, "a graph that is launched twice");
	y = host(b, n);
	ok(y[0] == 3 && y[n - 1] == 3 && findings() == 0, "a graph with two branches that meet");
	DO(cuGraphExecDestroy, x);

	DO(cuStreamBeginCapture, s, CU_STREAM_CAPTURE_MODE_GLOBAL);
	DO(cuEventRecord, fork, s);
	DO(cuStreamWaitEvent, t, fork, 0);
	launch_on(t, "fill", b, n, 2);
	ok(cu.cuStreamEndCapture_(s, &g) == CUDA_ERROR_STREAM_CAPTURE_UNJOINED,
	    "a branch that does not come back");
	DO(cuEventDestroy, fork);
	DO(cuEventDestroy, join);
	DO(cuStreamDestroy, s);
	DO(cuStreamDestroy, t);
}

/* What a capture does not allow fails, and the capture with it. */
static void
test_capture(void)
{
	static const char *const names[] = { "waiting for a stream", "waiting for an event",
		"allocating", "freeing", "allocating pinned memory", "a copy at once" };
	CUdeviceptr d = device(NULL, 400), none;
	CUevent e;
	CUgraph g;
	CUstream s;
	void *p;

	DO(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING);
	DO(cuEventCreate, &e, CU_EVENT_DISABLE_TIMING);
	DO(cuEventRecord, e, s);
	for (int i = 0; i < 6; i++) {
		CUresult r;

		DO(cuStreamBeginCapture, s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
		launch_on(s, "fill", d, 100, 2);
		r = i == 0 ? cu.cuStreamSynchronize_(s) : i == 1 ? cu.cuEventSynchronize_(e) :
		    i == 2 ? cu.cuMemAlloc_(&none, 4) : i == 3 ? cu.cuMemFree_(d) :
		    i == 4 ? cu.cuMemHostAlloc_(&p, 4, 0) : cu.cuMemcpyHtoD_(d, &e, 4);
		ok(r == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED && cu.cuStreamEndCapture_(s, &g) ==
		    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, names[i]);
	}
	DO(cuStreamBeginCapture, s, CU_STREAM_CAPTURE_MODE_RELAXED);
	DO(cuMemAlloc, &none, 4);
	launch_on(s, "fill", d, 100, 2);
	DO(cuStreamEndCapture, s, &g);
	ok(g != NULL, "a relaxed capture allows to allocate");
	DO(cuGraphDestroy, g);
	DO(cuEventDestroy, e);
	DO(cuStreamDestroy, s);
}

/* The check of streams finds a wait for an event that is left out. */
static void
test_deaf(void)
{
	int n = 200;
	CUdeviceptr d = device(NULL, (size_t)n * 4);
	CUstream s, t;
	CUevent e;

	DO(cuStreamCreate, &s, CU_STREAM_NON_BLOCKING);
	DO(cuStreamCreate, &t, CU_STREAM_NON_BLOCKING);
	DO(cuEventCreate, &e, CU_EVENT_DISABLE_TIMING);
	for (uint64_t deaf = 0; deaf < 3; deaf++) {
		set_deaf(deaf);
		launch_on(s, "fill", d, n, 5);
		DO(cuEventRecord, e, s);
		DO(cuStreamWaitEvent, t, e, 0);
		launch_on(t, "add_one", d, n, 0);
		cu.cuCtxSynchronize_();
		if (deaf == 1)
			expect("missing synchronisation", "add_one");
		else
			ok(findings() == 0, "an event that is waited for orders two streams");
	}
	set_deaf(0);
	DO(cuEventDestroy, e);
	DO(cuStreamDestroy, s);
	DO(cuStreamDestroy, t);
}

/* A launch of a kernel with these three of blocks and three of threads. */
static void
refused(const char *what, const char *kernel, const unsigned is[6], unsigned dynamic, CUresult want)
{
	CUdeviceptr d = 0;
	int n = 0;
	CUresult r = cu.cuLaunchKernel_(function(wrong, kernel), is[0], is[1], is[2], is[3], is[4],
	    is[5], dynamic, NULL, ARGS(&d, &n), NULL);
	char finds[100];

	snprintf(finds, sizeof(finds), "bad launch: kernel %s", kernel);
	ok(r == want && findings() == 1 && strncmp(finding(0), finds, strlen(finds)) == 0, what);
	forget();
}

static void
test_launches(void)
{
	static const struct {
		const char *what, *kernel;
		unsigned is[6], dynamic;
		CUresult want;
	} bad[] = {
		{ "a grid of nothing", "fill", { 0, 1, 1, 32, 1, 1 }, 0, CUDA_ERROR_INVALID_VALUE },
		{ "a grid that is too high", "fill", { 1, 65536, 1, 32, 1, 1 }, 0,
		    CUDA_ERROR_INVALID_VALUE },
		{ "one that is too deep", "fill", { 1, 1, 65536, 32, 1, 1 }, 0,
		    CUDA_ERROR_INVALID_VALUE },
		{ "a block of 1025 threads", "fill", { 1, 1, 1, 1025, 1, 1 }, 0,
		    CUDA_ERROR_INVALID_VALUE },
		{ "one of 65 layers", "fill", { 1, 1, 1, 1, 1, 65 }, 0, CUDA_ERROR_INVALID_VALUE },
		{ "one of 2048 threads in two dimensions", "fill", { 1, 1, 1, 32, 1, 64 }, 0,
		    CUDA_ERROR_INVALID_VALUE },
		{ "more threads than the launch bounds", "bounded", { 1, 1, 1, 65, 1, 1 }, 0,
		    CUDA_ERROR_INVALID_VALUE },
		{ "more than registers are certain for", "fill", { 1, 1, 1, 288, 1, 1 }, 0,
		    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES },
		{ "more shared memory than was asked for", "fill", { 1, 1, 1, 32, 1, 1 }, 50000,
		    CUDA_ERROR_INVALID_VALUE },
		{ "more beside static memory", "no_barrier", { 1, 1, 1, 32, 1, 1 }, 48 << 10,
		    CUDA_ERROR_INVALID_VALUE },
	};
	CUfunction f = function(wrong, "past_dynamic"), none;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i].what, bad[i].kernel, bad[i].is, bad[i].dynamic, bad[i].want);
	for (int i = 0; i < 2; i++) {
		ok(cu.cuModuleGetFunction_(&none, wrong, "shared_beyond") == CUDA_ERROR_INVALID_PTX &&
		    findings() == 1 && (i > 0 || strstr(finding(0), "49156 bytes of static shared")),
		    "more static shared memory than there may be");
		forget();
	}
	DO(cuFuncSetAttribute, f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000);
	ok(cu.cuFuncSetAttribute_(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 200000) ==
	    CUDA_ERROR_INVALID_VALUE, "more shared memory than there is");
}

/* fp8 by its definition: bits of exponent and fraction, nothing beyond the largest. */
static float
small(float v, int bits, int least, float most)
{
	int e;
	float unit;

	frexpf(v, &e);
	unit = ldexpf(1, (e - 1 < least ? least : e - 1) - bits);
	v = nearbyintf(v / unit) * unit;
	return v > most ? most : v < -most ? -most : v;
}

static void
test_small_floats(void)
{
	enum { N = 500 };
	int n = N, bad = 0;
	float x[N], *y;
	CUdeviceptr dx, dy = device(NULL, sizeof(x) * 4);

	for (int i = 0; i < n; i++)
		x[i] = ldexpf(uniform(11, i), i % 24 - 10);
	dx = device(x, sizeof(x));
	ok(launch(shapes, "small_floats", 4, 128, 0, ARGS(&dx, &dy, &n)) == 0, "conversions to small floats");
	y = host(dy, 4 * n);
	for (int i = 0; i < n; i++) {
		float want[4] = { small(x[i], 10, -14, 65504), unbf16(bf16(x[i])), small(x[i], 3, -6, 448),
			small(x[i], 2, -14, 57344) };

		for (int j = 0; j < 4; j++)
			if (y[4 * i + j] != want[j] && bad++ < 5)
				printf("# %d of %g: %g for %g\n", j, (double)x[i], (double)y[4 * i + j],
				    (double)want[j]);
	}
	ok(bad == 0, "fp16, bf16, e4m3 and e5m2, by their definitions");
}

/* An element of a word, by the kind that a kernel's name begins with. */
static float
element(const char *kind, uint32_t word, int i)
{
	uint32_t b = word >> 8 * i & 255, h = (uint32_t)((uint64_t)word >> 16 * i) & 0xffff, m, e;
	float f, sign = b & 128 ? -1 : 1;

	switch (kind[0]) {
	case 's': return (float)(int8_t)b;
	case 'u': return (float)b;
	case 'b': return unbf16((uint16_t)h);
	case 't':
		memcpy(&f, &word, 4);
		return f;
	case 'f':
		e = h >> 10 & 31, m = h & 1023;
		return (h & 0x8000 ? -1 : 1) * ldexpf((float)(e == 0 ? m : m | 1024), e == 0 ? -24 : (int)e - 25);
	default:
		if (kind[1] == '4') {
			e = b >> 3 & 15, m = b & 7;
			return sign * ldexpf((float)(e == 0 ? m : m | 8), e == 0 ? -9 : (int)e - 10);
		}
		e = b >> 2 & 31, m = b & 3;
		return sign * ldexpf((float)(e == 0 ? m : m | 4), e == 0 ? -16 : (int)e - 17);
	}
}

/* Random words whose elements are finite and of middling size. */
static uint32_t
element_word(const char *kind, int key, int i)
{
	uint32_t v = (uint32_t)rng_below(5, (uint64_t)key, (uint64_t)i, UINT64_C(1) << 32);
	float f = uniform(key, i);

	switch (kind[0]) {
	case 'b': return (v & 0x80ff80ff) | 0x3f003f00;
	case 'f': return (v & 0x87ff87ff) | 0x38003800;
	case 't':
		memcpy(&v, &f, 4);
		return v & ~UINT32_C(0x1fff);
	case 's': return v;
	default: return kind[1] == '4' ? (v & 0xbfbfbfbf) : (v & 0xbfbfbfbf) | 0x20202020;
	}
}

static void
test_shape(const char *kind, int words, int per)
{
	uint32_t a[16 * 8], b[8 * 8];
	CUdeviceptr da, db, dd = device(NULL, 16 * 8 * 4);
	float *got, want[16 * 8], size = 1;
	int ints[16 * 8];
	char what[100];

	for (int i = 0; i < 16 * words; i++)
		a[i] = element_word(kind, 12, i);
	for (int i = 0; i < 8 * words; i++)
		b[i] = element_word(kind, 13, i);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 8; j++) {
			double sum = 1 + j % 2 + 2 * (i / 8);

			for (int x = 0; x < words * per; x++)
				sum += (double)element(kind, a[i * words + x / per], x % per) *
				    (double)element(kind + (kind[1] == 'u'), b[j * words + x / per], x % per);
			want[i * 8 + j] = (float)sum;
			size = fabsf((float)sum) > size ? fabsf((float)sum) : size;
		}
	da = device(a, (size_t)(16 * words) * 4);
	db = device(b, (size_t)(8 * words) * 4);
	launch(shapes, kind, 1, 32, 0, ARGS(&da, &db, &dd));
	got = host(dd, 16 * 8);
	memcpy(ints, got, sizeof(ints));
	for (int i = 0; i < 16 * 8 && kind[0] == 's'; i++)
		got[i] = (float)ints[i];
	snprintf(what, sizeof(what), "mma.sync %s", kind);
	/* fp32 sums of up to 32 products, the largest of which are as large as the result. */
	ok(worst(got, want, 16 * 8) <= (kind[0] == 's' ? 0 : 4e-6 * (double)size), what);
}

/* What lies behind the last byte that is copied is none of the copy's. */
static void
test_partial(void)
{
	enum { N = 31 * 16 + 31 % 17 };
	uint8_t x[N], y[32 * 16];
	CUdeviceptr dx, dy = device(NULL, sizeof(y));
	int bad = 0;

	for (int i = 0; i < N; i++)
		x[i] = (uint8_t)(1 + i % 251);
	dx = device(x, sizeof(x));
	launch(right, "partial", 1, 32, 0, ARGS(&dx, &dy));
	DO(cuMemcpyDtoH, y, dy, sizeof(y));
	for (int i = 0; i < 32 * 16; i++)
		bad += y[i] != (i % 16 < i / 16 % 17 ? x[i] : 0);
	ok(bad == 0, "copies of a part of 16 bytes");
}

static void
test_together(void)
{
	unsigned x[32], y[32 * 5], total = 0, sum = 0, most = 0, odd = 0, seven = 0, count[8] = { 0 };
	CUdeviceptr dx, dy = device(NULL, sizeof(y)), dt = device(&total, 4);
	int bad = 0;

	for (int i = 0; i < 32; i++) {
		x[i] = (unsigned)rng_below(5, 14, (uint64_t)i, 1000);
		sum += x[i];
		most = x[i] > most ? x[i] : most;
		odd += x[i] % 2;
		seven |= x[i] == 7;
		count[x[i] % 8]++;
	}
	dx = device(x, sizeof(x));
	launch(shapes, "together", 1, 32, 0, ARGS(&dx, &dy, &dt));
	DO(cuMemcpyDtoH, y, dy, sizeof(y));
	DO(cuMemcpyDtoH, &total, dt, 4);
	for (int i = 0; i < 32; i++) {
		unsigned same = 0;

		for (int j = 0; j < 32; j++)
			same |= (unsigned)(x[j] % 8 == x[i] % 8) << j;
		bad += y[5 * i] != sum || y[5 * i + 1] != most || y[5 * i + 2] != same ||
		    y[5 * i + 3] != seven * 2 + 1 || y[5 * i + 4] != count[i % 8] + 100 * odd;
	}
	ok(bad == 0 && total == most, "redux, match, votes, atomics and a barrier that counts");
}

static void
test_shapes(void)
{
	test_small_floats();
	test_shape("f16_k16", 8, 2);
	test_shape("f16_k8", 4, 2);
	test_shape("bf16_k16", 8, 2);
	test_shape("tf32_k8", 8, 1);
	test_shape("s8_k32", 8, 4);
	test_shape("s8_k16", 4, 4);
	test_shape("su8_k32", 8, 4);
	test_shape("su8_k16", 4, 4);
	test_shape("e4m3_k32", 8, 4);
	test_shape("e5m2_k32", 8, 4);
	test_partial();
	test_together();
}

/* The same bytes whatever order blocks, warps and lanes run in; and a kernel that depends on it. */
static void
test_orders(void (*test)(void))
{
	uint64_t first = 0;
	float sum[3], zero = 0;
	CUdeviceptr d = device(&zero, 4);
	int same = 1;

	for (int i = 0; i < 3; i++) {
		set_order(i);
		digest = 0;
		test();
		first = i == 0 ? digest : first;
		same &= digest == first;
		DO(cuMemcpyHtoD, d, &zero, 4);
		launch(wrong, "order_matters", 1, 32, 0, ARGS(&d));
		DO(cuMemcpyDtoH, &sum[i], d, 4);
	}
	set_order(0);
	ok(same, "three orders give the same bytes");
	ok(sum[0] != sum[1] || sum[0] != sum[2], "and differ where the order matters");
}

/* A driver that runs each launch in every order finds the one that differs by itself. */
static void
test_each(void)
{
	float x[64] = { 0 };
	int n = 64;
	CUdeviceptr d = device(x, sizeof(x));

	set_order(3);
	launch(wrong, "add_one", 2, 32, 0, ARGS(&d, &n));
	ok(findings() == 0 && host(d, 64)[63] == 1, "each order from the same memory");
	ok(launch(wrong, "order_matters", 1, 32, 0, ARGS(&d)) == CUDA_ERROR_LAUNCH_FAILED,
	    "a result that depends on the order fails");
	ok(findings() == 1 && strstr(finding(0), "order: kernel order_matters: byte 0 of ") == finding(0),
	    "order_matters: order");
	forget();
	DO(cuDevicePrimaryCtxReset, 0);
	set_order(0);
}

static void
test_strided(void)
{
	CUdeviceptr d = device(NULL, 32 * 4), x = device(NULL, 32 * 32);

	DO(cuMemsetD32, x, 0, 32 * 8);
	launch(wrong, "strided", 1, 32, 0, ARGS(&x, &d));
	ok(findings() == 0, "what is slow is right");
}

/* The number in a column of the one row of a table that begins so, and ends so. */
static double
counted(const char *table, const char *begin, int column)
{
	char row[500];
	double v = -1;
	FILE *f = fopen(table, "r");

	while (f != NULL && fgets(row, sizeof(row), f) != NULL) {
		char *field = row;

		if (strncmp(row, begin, strlen(begin)) != 0)
			continue;
		for (int i = 0; i < column && field != NULL; i++)
			field = strchr(field + 1, '\t');
		v = field == NULL || v >= 0 ? -2 : strtod(field, NULL);
	}
	if (f != NULL)
		fclose(f);
	return v;
}

/* Sectors and ways by line, of the modules that were unloaded. */
static void
test_lint(const char *table)
{
	char load[100], store[100], row[100];
	int line = fault_line("strided");

	snprintf(load, sizeof(load), "global\tstrided\twrong.cu:%d\t", line);
	snprintf(store, sizeof(store), "global\tstrided\twrong.cu:%d\t", line + 2);
	ok(counted(table, load, 3) == 1 && counted(table, load, 4) == 32 &&
	    counted(table, load, 5) == 4, "lanes 32 bytes apart take eight times the sectors");
	ok(counted(table, store, 4) == 4 && counted(table, store, 5) == 4, "neighbours none too many");
	snprintf(row, sizeof(row), "shared\tstrided\twrong.cu:%d\t", line + 2);
	ok(counted(table, row, 3) == 1 && counted(table, row, 4) == 32, "a column is in one bank");
	ok(counted(table, "launch\tstrided\t", 2) == 1 && counted(table, "launch\tstrided\t", 4) == 32,
	    "launches and threads");
	ok(counted(table, "launch\tbf16_k16\t", 7) == 3 * 2 * 16 * 8 * 16,
	    "what matrix instructions compute");
	unlink(table);
}

static void
test_right(void)
{
	char what[100];

	test_shapes();
	test_add();
	test_softmax();
	test_reduce();
	test_halves();
	test_matmul();
	test_wander();
	test_numbers();
	snprintf(what, sizeof(what), "no finding in right kernels");
	for (int i = 0; i < findings(); i++)
		printf("# %s\n", finding(i));
	ok(findings() == 0, what);
}

static void
prepare(void *lib)
{
	CUdevice d;
	CUcontext c;
	void *p;
	int ok_all = 1;

	API(LOAD)
	*(void **)&findings = dlsym(lib, "standin_findings");
	*(void **)&finding = dlsym(lib, "standin_finding");
	*(void **)&forget = dlsym(lib, "standin_forget");
	*(void **)&set_order = dlsym(lib, "standin_order");
	*(void **)&set_deaf = dlsym(lib, "standin_deaf");
	ok(ok_all, "all entry points, by the names of cuda.h");
	ok(dlsym(lib, "cuMemAlloc") == NULL, "an old name is not one of them");
	DO(cuInit, 0);
	DO(cuDeviceGet, &d, 0);
	DO(cuDevicePrimaryCtxRetain, &c, d);
	ok(cu.cuMemAlloc_((CUdeviceptr[]){ 0 }, 4) == CUDA_ERROR_INVALID_CONTEXT, "no context, no memory");
	DO(cuCtxSetCurrent, c);
	DO(cuGetProcAddress, "cuMemAlloc", &p, CUDA_VERSION, 0, NULL);
	ok(p == dlsym(lib, "cuMemAlloc_v2"), "cuGetProcAddress knows the new form");
	right = load("right");
	wrong = load("wrong");
	shapes = load("shapes");
}

int
main(int argc, char **argv)
{
	char path[1100], table[1100];
	char *slash = strrchr(argv[0], '/');
	void *lib;

	(void)argc;
	snprintf(dir, sizeof(dir), "%.*s/../cuda", slash == NULL ? 1 : (int)(slash - argv[0]),
	    slash == NULL ? "." : argv[0]);
	snprintf(path, sizeof(path), "%s/libcuda.so.1", dir);
	setenv("CUDA_STANDIN_SM", "89", 1);	/* the first with fp8 */
	snprintf(table, sizeof(table), "%s/t_standin-%d", dir, (int)getpid());
	setenv("CUDA_STANDIN_LINT", table, 1);
	if ((lib = dlopen(path, RTLD_NOW)) == NULL) {
		printf("Bail out! %s\n", dlerror());
		return 1;
	}
	if (freopen("/dev/null", "w", stderr) == NULL)	/* findings are printed there too */
		return 1;
	prepare(lib);
	test_orders(test_right);
	test_faults();
	test_races();
	test_streams();
	test_graph();
	test_capture();
	test_deaf();
	test_launches();
	test_each();
	test_strided();
	DO(cuModuleUnload, right);
	DO(cuModuleUnload, wrong);
	DO(cuModuleUnload, shapes);
	test_lint(table);
	while (n_kept > 0)
		free(kept[--n_kept]);
	return tap_done();
}

#else

int
main(void)
{
	printf("1..0 # SKIP no nvcc\n");
	return 0;
}

#endif
