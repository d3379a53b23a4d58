/*
 * nccl - a stand-in for NVIDIA's NCCL, between processes of one machine
 *
 * For programs that run on the stand-in driver beside it, which does the work in
 * the order of streams.  Ranks share a file that the unique id names: a slot each,
 * and room for what each brings to a collective.  A collective is done when all
 * have brought theirs; its results are added in the order of ranks.
 *
 * It is strict where the real one is lenient or hangs.  It reports, as the driver
 * does: ranks whose collectives differ, buffers that are not the device's, too
 * short or overlap, a communicator that is used on another device, before it is
 * ready or after its end, and one whose last call nobody asked about, for all
 * communicators here are made not to block.  A rank that ends is no finding:
 * others wait for it, as they would for a process of their own machine.
 */
#include <cuda.h>
#include <fcntl.h>
#include <nccl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "../driver.h"

enum { RANKS = 16, WINDOW = 64 << 20 };

enum kind { REDUCE, SCATTER, GATHER, BROADCAST };

struct task {
	int	kind, type, op, root;
	uint64_t n;
};

struct slot {
	_Atomic uint32_t here;		/* 1: has come, 2: and has seen all others */
	_Atomic uint64_t brought, taken;	/* numbers of collectives */
	char	bus[32];		/* of its device */
	struct task task;
};

struct shared {
	struct slot slot[RANKS];
	/* then RANKS windows of WINDOW bytes */
};

enum state { JOINING, JOINED, FAILED, FINAL, OVER };

struct ncclComm {
	enum state state;
	int	rank, size;
	CUdevice device;
	char	path[200];
	struct shared *shared;
	uint64_t begun, done;		/* collectives */
	bool	unasked;		/* the last call's end was not asked for */
	ncclResult_t async;
};

struct work {
	struct ncclComm *comm;
	struct task task;
	uint64_t number;		/* 0 before it begins */
	bool	brought;
	CUdeviceptr x, y;		/* what it takes and makes */
	size_t	from, to;		/* bytes */
};

static char last_error[400];

__attribute__((format(printf, 2, 3))) static ncclResult_t
refuse(ncclResult_t r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_error, sizeof(last_error), fmt, ap);
	va_end(ap);
	find_report(F_LIBRARY, NULL, "%s", last_error);
	return r;
}

ncclResult_t
ncclGetVersion(int *version)
{
	*version = NCCL_VERSION_CODE;
	return ncclSuccess;
}

const char *
ncclGetErrorString(ncclResult_t r)
{
	static const char *const text[ncclNumResults] = {
		"no error", "unhandled cuda error", "unhandled system error", "internal error",
		"invalid argument", "invalid usage", "remote process exited or there was a network error",
		"NCCL operation in progress",
	};

	return (unsigned)r < ncclNumResults ? text[r] : "unknown result code";
}

const char *
ncclGetLastError(ncclComm_t comm)
{
	(void)comm;
	return last_error;
}

/* ---- communicators ---- */

ncclResult_t
ncclGetUniqueId(ncclUniqueId *id)
{
	const char *dir = getenv("TMPDIR");
	uint64_t n;

	if (getrandom(&n, sizeof(n), 0) < 0)
		return ncclSystemError;
	memset(id, 0, sizeof(*id));
	snprintf(id->internal, sizeof(id->internal), "%s/nccl-standin-%016llx",
	    dir != NULL ? dir : "/tmp", (unsigned long long)n);
	return ncclSuccess;
}

static uint8_t *
window(const struct ncclComm *c, int rank)
{
	return (uint8_t *)(c->shared + 1) + (size_t)rank * WINDOW;
}

static bool
map(struct ncclComm *c)
{
	size_t bytes = sizeof(*c->shared) + (size_t)c->size * WINDOW;
	int fd = open(c->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return false;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	close(fd);
	c->shared = p;
	return p != MAP_FAILED;
}

ncclResult_t
ncclCommInitRankConfig(ncclComm_t *out, int size, ncclUniqueId id, int rank, ncclConfig_t *config)
{
	struct ncclComm *c;
	CUdevice device;

	if (cuCtxGetDevice(&device) != CUDA_SUCCESS)
		return refuse(ncclUnhandledCudaError, "a communicator without a current context");
	if (size < 1 || size > RANKS || rank < 0 || rank >= size)
		return refuse(ncclInvalidArgument, "rank %d of %d", rank, size);
	if (config == NULL || config->magic != 0xcafebeef || config->blocking != 0 ||
	    config->version < NCCL_VERSION(2, 14, 0) || config->size > sizeof(*config))
		return refuse(ncclInvalidArgument, "a config that is none, or that blocks");
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return ncclSystemError;
	*c = (struct ncclComm){ .rank = rank, .size = size, .device = device };
	snprintf(c->path, sizeof(c->path), "%s", id.internal);
	if (!map(c))
		return ncclSystemError;
	cuDeviceGetPCIBusId(c->shared->slot[rank].bus, sizeof(c->shared->slot[rank].bus), device);
	if (atomic_exchange(&c->shared->slot[rank].here, 1) != 0)
		return refuse(ncclInvalidUsage, "rank %d is there twice", rank);
	*out = c;
	return ncclInProgress;
}

/* Have all come, and seen that all have?  The file needs no name then. */
static ncclResult_t
join(struct ncclComm *c)
{
	struct slot *slot = c->shared->slot;
	bool seen = true;

	for (int r = 0; r < c->size; r++) {
		if (slot[r].here == 0)
			return ncclInProgress;
		seen &= slot[r].here == 2;
	}
	slot[c->rank].here = 2;
	for (int r = 0; r < c->size; r++)
		if (r != c->rank && strcmp(slot[r].bus, slot[c->rank].bus) == 0) {
			c->state = FAILED;
			return c->async = refuse(ncclInvalidUsage, "Duplicate GPU detected : rank %d "
			    "and rank %d both on CUDA device %s", c->rank, r, slot[r].bus);
		}
	if (!seen)
		return ncclInProgress;
	unlink(c->path);
	c->state = JOINED;
	return ncclSuccess;
}

ncclResult_t
ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *r)
{
	if (c == NULL || c->state == OVER)
		return refuse(ncclInvalidArgument, "asked of a communicator that is none");
	*r = c->state == JOINING ? join(c) : c->async;
	if (c->state == FINAL && c->done < c->begun)
		*r = ncclInProgress;
	c->unasked = false;
	return ncclSuccess;
}

/* Is it ready for a call? */
static ncclResult_t
usable(const struct ncclComm *c, const char *call)
{
	CUdevice device = -1;

	if (c == NULL || c->state == OVER || c->state == FINAL)
		return refuse(ncclInvalidArgument, "%s of a communicator that is none, or over", call);
	if (c->state != JOINED)
		return refuse(ncclInvalidArgument, "%s of a communicator that is not ready", call);
	if (c->unasked)
		return refuse(ncclInvalidUsage, "%s before it was asked whether the call before it "
		    "was done", call);
	if (cuCtxGetDevice(&device) != CUDA_SUCCESS || device != c->device)
		return refuse(ncclInvalidUsage, "%s with device %d, by a communicator of device %d",
		    call, device, c->device);
	return c->async;
}

ncclResult_t
ncclCommFinalize(ncclComm_t c)
{
	ncclResult_t r = usable(c, "ncclCommFinalize");

	if (r != ncclSuccess)
		return r;
	c->state = FINAL;
	return ncclInProgress;
}

/* Work that is still queued looks at its communicator: it stays in memory. */
static ncclResult_t
end(ncclComm_t c, bool orderly)
{
	if (c == NULL || c->state == OVER)
		return refuse(ncclInvalidArgument, "the end of a communicator that is none");
	if (orderly && (c->state != FINAL || c->done < c->begun))
		refuse(ncclInvalidUsage, "the end of a communicator that is not finalized");
	unlink(c->path);
	c->state = OVER;
	return ncclSuccess;
}

ncclResult_t
ncclCommDestroy(ncclComm_t c)
{
	return end(c, true);
}

ncclResult_t
ncclCommAbort(ncclComm_t c)
{
	return end(c, false);
}

/* ---- what is computed ---- */

static size_t
size_of(ncclDataType_t type)
{
	static const uint8_t size[] = { 1, 1, 4, 4, 8, 8, 2, 4, 8, 2 };

	return (unsigned)type < sizeof(size) ? size[type] : 0;
}

/* Element i of what rank r brought, and a sum that is rounded once. */
static double
get(const struct ncclComm *c, int r, uint64_t i, int type)
{
	const uint8_t *p = window(c, r) + i * size_of((ncclDataType_t)type);
	uint16_t h;
	int32_t n;
	float f;
	double d;

	switch (type) {
	case ncclFloat64:	memcpy(&d, p, 8); return d;
	case ncclFloat32:	memcpy(&f, p, 4); return (double)f;
	case ncclInt32:		memcpy(&n, p, 4); return n;
	default:		memcpy(&h, p, 2);
	}
	return (double)(type == ncclFloat16 ? half_to_float(h) : bf16_to_float(h));
}

static void
put(uint8_t *to, uint64_t i, int type, double x)
{
	uint8_t *p = to + i * size_of((ncclDataType_t)type);
	float f = (float)x;
	int32_t n = (int32_t)x;
	uint16_t h = type == ncclFloat16 ? float_to_half(f, ROUND_N) : float_to_bf16(f, ROUND_N);

	switch (type) {
	case ncclFloat64:	memcpy(p, &x, 8); break;
	case ncclFloat32:	memcpy(p, &f, 4); break;
	case ncclInt32:		memcpy(p, &n, 4); break;
	default:		memcpy(p, &h, 2);
	}
}

static void
compute(const struct work *w, uint8_t *to)
{
	const struct ncclComm *c = w->comm;
	const struct task *t = &w->task;
	uint64_t at = t->kind == SCATTER ? t->n * (uint64_t)c->rank : 0;

	if (t->kind == BROADCAST)
		memcpy(to, window(c, t->root), w->to);
	for (int r = 0; r < c->size && t->kind == GATHER; r++)
		memcpy(to + (size_t)r * w->from, window(c, r), w->from);
	if (t->kind == BROADCAST || t->kind == GATHER)
		return;
	for (uint64_t i = 0; i < t->n; i++) {
		double x = 0;

		for (int r = 0; r < c->size; r++)
			x += get(c, r, at + i, t->type);
		put(to, i, t->type, x);
	}
}

static const char *const calls[] = {
	"ncclAllReduce", "ncclReduceScatter", "ncclAllGather", "ncclBroadcast",
};

/* Do all ranks do the same? */
static bool
alike(const struct work *w)
{
	const struct task *t = &w->task;

	for (int r = 0; r < w->comm->size; r++) {
		const struct task *u = &w->comm->shared->slot[r].task;

		if (u->kind == t->kind && u->type == t->type && u->op == t->op &&
		    u->root == t->root && u->n == t->n)
			continue;
		w->comm->async = refuse(ncclInvalidUsage, "collective %llu is %s of %llu of type %d, "
		    "root %d, on rank %d, and %s of %llu of type %d, root %d, on rank %d",
		    (unsigned long long)w->number, calls[t->kind], (unsigned long long)t->n, t->type,
		    t->root, w->comm->rank, calls[u->kind], (unsigned long long)u->n, u->type, u->root, r);
		return false;
	}
	return true;
}

/* The driver asks until it is done: first this rank's part is brought, then all are awaited. */
static enum work_state
advance(void *data)
{
	struct work *w = data;
	struct ncclComm *c = w->comm;
	struct slot *slot = c->shared->slot;

	if (c->state == OVER || c->async != ncclSuccess)
		return WORK_DROPPED;
	if (w->number == 0)
		w->number = ++c->begun;
	for (int r = 0; r < c->size && !w->brought; r++)
		if (slot[r].taken + 1 < w->number)
			return WORK_WAITS;
	if (!w->brought) {
		memcpy(window(c, c->rank), memory_host(w->x), w->from);
		slot[c->rank].task = w->task;
		slot[c->rank].brought = w->number;
		w->brought = true;
	}
	for (int r = 0; r < c->size; r++)
		if (slot[r].brought < w->number)
			return WORK_WAITS;
	if (alike(w))
		compute(w, memory_host(w->y));
	slot[c->rank].taken = w->number;
	c->done++;
	return c->async == ncclSuccess ? WORK_DONE : WORK_DROPPED;
}

/* ---- what is asked for ---- */

static bool
of_device(const void *p, size_t bytes, size_t align, const char *call, const char *what)
{
	const struct area *a = memory_find((uint64_t)p);

	if (a == NULL || a->pinned)
		refuse(ncclInvalidArgument, "%s: %s is not in device memory", call, what);
	else if (bytes > a->hi - (uint64_t)p)
		refuse(ncclInvalidArgument, "%s: %s of %zu bytes ends %llu bytes behind %s", call,
		    what, bytes, (unsigned long long)((uint64_t)p + bytes - a->hi), a->name);
	else if ((uint64_t)p % align != 0)
		refuse(ncclInvalidArgument, "%s: %s is not aligned to %zu", call, what, align);
	else
		return true;
	return false;
}

static ncclResult_t
collective(struct ncclComm *c, const void *from, void *to, const struct task *t, cudaStream_t s)
{
	const char *call = calls[t->kind];
	size_t size = size_of((ncclDataType_t)t->type), bytes = t->n * size;
	size_t all = bytes * (size_t)(c != NULL ? c->size : 1);
	struct work w = { .comm = c, .task = *t, .x = (CUdeviceptr)from, .y = (CUdeviceptr)to,
	    .from = t->kind == SCATTER ? all : bytes,
	    .to = t->kind == GATHER ? all : bytes };
	/* In place, a part is where it belongs in the whole. */
	const char *own = (const char *)(t->kind == SCATTER ? from : to) +
	    (t->kind == SCATTER || t->kind == GATHER ? (size_t)(c != NULL ? c->rank : 0) * bytes : 0);
	bool in_place = own == (t->kind == SCATTER ? (const char *)to : (const char *)from);
	ncclResult_t r = usable(c, call);
	GUARD;

	if (r != ncclSuccess)
		return r;
	if (size == 0 || t->op != ncclSum || t->root < 0 || t->root >= c->size)
		return refuse(ncclInvalidArgument, "%s of type %d, operation %d, root %d", call, t->type,
		    t->op, t->root);
	if (all > WINDOW)
		return refuse(ncclInternalError, "%s of more than %d bytes", call, WINDOW);
	if (!of_device(from, w.from, size, call, "the source") ||
	    !of_device(to, w.to, size, call, "the destination"))
		return ncclInvalidArgument;
	if (!in_place && (const char *)from < (const char *)to + w.to &&
	    (const char *)to < (const char *)from + w.from)
		return refuse(ncclInvalidArgument, "%s: source and destination overlap", call);
	c->unasked = true;
	if (stream_work((CUstream)s, &(struct stream_work){ .reads = { { w.x, w.from, 0, 1 } },
	    .writes = { { w.y, w.to, 0, 1 } }, .what = call, .fn = advance,
	    .bytes = sizeof(w) }, &w) != CUDA_SUCCESS)
		return refuse(ncclUnhandledCudaError, "%s: the stream takes no work", call);
	return ncclInProgress;
}

ncclResult_t
ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
    ncclComm_t c, cudaStream_t s)
{
	return collective(c, from, to, &(struct task){ REDUCE, type, op, 0, n }, s);
}

ncclResult_t
ncclReduceScatter(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
    ncclComm_t c, cudaStream_t s)
{
	return collective(c, from, to, &(struct task){ SCATTER, type, op, 0, n }, s);
}

ncclResult_t
ncclAllGather(const void *from, void *to, size_t n, ncclDataType_t type, ncclComm_t c,
    cudaStream_t s)
{
	return collective(c, from, to, &(struct task){ GATHER, type, ncclSum, 0, n }, s);
}

ncclResult_t
ncclBroadcast(const void *from, void *to, size_t n, ncclDataType_t type, int root, ncclComm_t c,
    cudaStream_t s)
{
	return collective(c, from, to, &(struct task){ BROADCAST, type, ncclSum, root, n }, s);
}
