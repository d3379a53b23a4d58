/*
 * The stand-in NCCL of tests/cuda, which two processes use: what is right gives
 * right sums and no finding, and each misuse is found.
 */
#include <stdio.h>

#ifdef STANDIN
#include <cuda.h>
#include <dlfcn.h>
#include <nccl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"

#define CUDA(F)	F(cuInit) F(cuDeviceGet) F(cuDevicePrimaryCtxRetain) F(cuCtxSetCurrent)	\
	F(cuMemAlloc) F(cuMemcpyHtoD) F(cuMemcpyDtoH) F(cuStreamCreate) F(cuStreamSynchronize)	\
	F(cuStreamQuery) F(cuMemsetD32Async)
#define NCCL(F)	F(ncclGetUniqueId) F(ncclCommInitRankConfig) F(ncclCommGetAsyncError)	\
	F(ncclCommFinalize) F(ncclCommDestroy) F(ncclCommAbort) F(ncclAllReduce)	\
	F(ncclReduceScatter) F(ncclAllGather) F(ncclBroadcast)

#define MEMBER(f) __typeof__(&f) f##_;
#define NAME_(f) #f
#define NAME(f) NAME_(f)
#define OF_CUDA(f) *(void **)&lib.f##_ = dlsym(cuda, NAME(f));
#define OF_NCCL(f) *(void **)&lib.f##_ = dlsym(nccl, NAME(f));

static struct { CUDA(MEMBER) NCCL(MEMBER) } lib;
static int (*findings)(void);
static const char *(*finding)(int);
static char dir[1000];
static int devices = 2;

enum { N = 100 };

/* One of two ranks. */
struct part {
	int		rank;
	ncclComm_t	comm;
	CUstream	stream, other;
	CUdeviceptr	x, y;		/* (2 N) floats */
};

static void
must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	_exit(9);
}

#define DO(f, ...) must(lib.f##_(__VA_ARGS__) == 0, #f)

static void
load(void)
{
	char path[1100];
	void *cuda, *nccl;

	snprintf(path, sizeof(path), "%s/libcuda.so.1", dir);
	must((cuda = dlopen(path, RTLD_NOW | RTLD_GLOBAL)) != NULL, "libcuda.so.1");
	snprintf(path, sizeof(path), "%s/libnccl.so.2", dir);
	must((nccl = dlopen(path, RTLD_NOW)) != NULL, "libnccl.so.2");
	CUDA(OF_CUDA)
	NCCL(OF_NCCL)
	*(void **)&findings = dlsym(cuda, "standin_findings");
	*(void **)&finding = dlsym(cuda, "standin_finding");
}

/* Until the last call is done: what became of it. */
static ncclResult_t
settle(struct part *p, ncclResult_t r)
{
	while (r == ncclInProgress) {
		usleep(100);
		if (lib.ncclCommGetAsyncError_(p->comm, &r) != ncclSuccess)
			return ncclInternalError;
	}
	return r;
}

static void
begin(struct part *p, ncclUniqueId id)
{
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
	float x[2 * N];
	CUcontext ctx;
	CUdevice d;

	config.blocking = 0;
	DO(cuInit, 0);
	DO(cuDeviceGet, &d, p->rank % devices);
	DO(cuDevicePrimaryCtxRetain, &ctx, d);
	DO(cuCtxSetCurrent, ctx);
	DO(cuStreamCreate, &p->stream, CU_STREAM_NON_BLOCKING);
	DO(cuStreamCreate, &p->other, CU_STREAM_NON_BLOCKING);
	DO(cuMemAlloc, &p->x, sizeof(x));
	DO(cuMemAlloc, &p->y, sizeof(x));
	for (int i = 0; i < 2 * N; i++)
		x[i] = (float)(i + 1000 * p->rank);
	DO(cuMemcpyHtoD, p->x, x, sizeof(x));
	must(lib.ncclCommInitRankConfig_(&p->comm, 2, id, p->rank, &config) == ncclInProgress,
	    "ncclCommInitRankConfig");
}

static ncclResult_t
sum(struct part *p, CUdeviceptr x, CUdeviceptr y, size_t n)
{
	return lib.ncclAllReduce_((void *)x, (void *)y, n, ncclFloat, ncclSum, p->comm,
	    (cudaStream_t)p->stream);
}

/* ---- what is right ---- */

static float
at(CUdeviceptr p, int i)
{
	float x;

	DO(cuMemcpyDtoH, &x, p + (CUdeviceptr)i * 4, 4);
	return x;
}

static void
right(struct part *p)
{
	must(settle(p, ncclInProgress) == ncclSuccess, "join");
	must(settle(p, sum(p, p->x, p->y, 2 * N)) == ncclSuccess, "sum");
	must(lib.cuStreamQuery_(p->stream) == CUDA_ERROR_NOT_READY, "done before it was asked for");
	DO(cuStreamSynchronize, p->stream);
	must(at(p->y, 0) == 1000 && at(p->y, 7) == 1014, "its result");
	must(settle(p, lib.ncclReduceScatter_((void *)p->x, (void *)p->y, N, ncclFloat, ncclSum,
	    p->comm, (cudaStream_t)p->stream)) == ncclSuccess, "scatter");
	while (lib.cuStreamQuery_(p->stream) != CUDA_SUCCESS)
		usleep(100);
	must(at(p->y, 3) == (float)(1006 + 2 * N * p->rank), "its result");
	must(settle(p, lib.ncclAllGather_((void *)p->x, (void *)p->y, N, ncclFloat, p->comm,
	    (cudaStream_t)p->stream)) == ncclSuccess, "gather");
	DO(cuStreamSynchronize, p->stream);
	must(at(p->y, 2) == 2 && at(p->y, N + 2) == 1002, "its result");
	must(settle(p, lib.ncclBroadcast_((void *)p->x, (void *)p->x, N, ncclFloat, 1, p->comm,
	    (cudaStream_t)p->stream)) == ncclSuccess, "broadcast");
	DO(cuStreamSynchronize, p->stream);
	must(at(p->x, 5) == 1005, "its result");
	must(settle(p, lib.ncclCommFinalize_(p->comm)) == ncclSuccess, "ncclCommFinalize");
	DO(ncclCommDestroy, p->comm);
}

/* ---- what is wrong: both ranks do it unless it says otherwise ---- */

static void
unready(struct part *p)
{
	sum(p, p->x, p->y, N);
}

static void
counts(struct part *p)
{
	settle(p, ncclInProgress);
	settle(p, sum(p, p->x, p->y, (size_t)(N - p->rank)));
	DO(cuStreamSynchronize, p->stream);
}

static void
kinds(struct part *p)
{
	settle(p, ncclInProgress);
	settle(p, p->rank == 0 ? sum(p, p->x, p->y, N) : lib.ncclBroadcast_((void *)p->x,
	    (void *)p->y, N, ncclFloat, 0, p->comm, (cudaStream_t)p->stream));
	DO(cuStreamSynchronize, p->stream);
}

static void
too_long(struct part *p)
{
	settle(p, ncclInProgress);
	sum(p, p->x, p->y + 4, 2 * N);
}

static void
host_memory(struct part *p)
{
	float x[N];

	settle(p, ncclInProgress);
	sum(p, (CUdeviceptr)x, p->y, N);
}

static void
overlap(struct part *p)
{
	settle(p, ncclInProgress);
	sum(p, p->x, p->x + 4, N);
}

static void
unasked(struct part *p)
{
	settle(p, ncclInProgress);
	sum(p, p->x, p->y, N);
	sum(p, p->x, p->y, N);
}

static void
ended(struct part *p)
{
	settle(p, ncclInProgress);
	DO(ncclCommAbort, p->comm);
	sum(p, p->x, p->y, N);
}

static void
unfinished(struct part *p)
{
	settle(p, ncclInProgress);
	lib.ncclCommDestroy_(p->comm);
}

static void
unwritten(struct part *p)
{
	settle(p, ncclInProgress);
	settle(p, sum(p, p->y, p->x, N));
	DO(cuStreamSynchronize, p->stream);
}

static void
unordered(struct part *p)
{
	settle(p, ncclInProgress);
	settle(p, sum(p, p->x, p->y, N));
	DO(cuMemsetD32Async, p->y, 0, N, p->other);
	DO(cuStreamSynchronize, p->stream);
	must(lib.cuStreamSynchronize_(p->other) == CUDA_ERROR_LAUNCH_FAILED, "the other stream");
}

static void
duplicate(struct part *p)
{
	must(settle(p, ncclInProgress) == ncclInvalidUsage, "the same device twice");
}

/* Rank 0 waits for what rank 1 never does; it ends when it gives up. */
static void
given_up(struct part *p)
{
	settle(p, ncclInProgress);
	if (p->rank != 0)
		return;
	settle(p, sum(p, p->x, p->y, N));
	for (int i = 0; i < 50; i++) {
		must(lib.cuStreamQuery_(p->stream) == CUDA_ERROR_NOT_READY, "cuStreamQuery");
		usleep(1000);
	}
	DO(ncclCommAbort, p->comm);
	DO(cuStreamSynchronize, p->stream);
}

/* A rank of its own process: 0 where it found what (NULL: nothing) and all else was right. */
static int
one(int rank, ncclUniqueId id, void (*fn)(struct part *p), const char *what)
{
	struct part p = { .rank = rank };
	int n;

	begin(&p, id);
	fn(&p);
	n = findings();
	for (int i = 0; i < n; i++)
		if (what != NULL && strstr(finding(i), what) != NULL)
			return 0;
	return n == 0 && what == NULL ? 0 : 1;
}

static void
run(void (*fn)(struct part *p), const char *what, const char *about)
{
	ncclUniqueId id;
	int good = 0, status;

	DO(ncclGetUniqueId, &id);
	fflush(stdout);
	for (int r = 0; r < 2; r++)
		if (fork() == 0)
			_exit(one(r, id, fn, what));
	while (wait(&status) > 0)
		good += status == 0;
	ok(good == 2, about);
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	(void)argc;
	snprintf(dir, sizeof(dir), "%.*s/../cuda", slash == NULL ? 1 : (int)(slash - argv[0]),
	    slash == NULL ? "." : argv[0]);
	setenv("CUDA_STANDIN_DEVICES", "2", 1);
	load();
	if (freopen("/dev/null", "w", stderr) == NULL)	/* findings are printed there too */
		return 1;
	run(right, NULL, "collectives of two processes, right and with no finding");
	run(unready, "not ready", "one before all have come");
	run(counts, "collective 1 is ncclAllReduce of", "counts that differ");
	run(kinds, "root 0, on rank", "kinds that differ");
	run(too_long, "the destination of 800 bytes ends 4 bytes behind", "a destination that is short");
	run(host_memory, "the source is not in device memory", "a source of the host's");
	run(overlap, "source and destination overlap", "one that overlaps");
	run(unasked, "before it was asked", "a call before the last is known to be done");
	run(ended, "none, or over", "one after the end");
	run(unfinished, "not finalized", "an end that is not orderly");
	run(unwritten, "reads bytes of", "a source that nothing wrote");
	run(unordered, "with nothing to order them", "a destination that another stream writes");
	run(given_up, NULL, "one that another rank never joins ends when it is aborted");
	devices = 1;
	run(duplicate, "Duplicate GPU", "two ranks of one device");
	return tap_done();
}

#else

int
main(void)
{
	printf("1..0 # SKIP no nvcc, or no NCCL\n");
	return 0;
}

#endif
