#include "dev/cuda/nccl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/cuda/launch.h"

#define LIBRARY "libnccl.so.2"

enum { PAUSE = 50 };	/* microseconds between two questions */

static int
bind(struct nccl *n, struct err *err)
{
	void *sym;

#define X(result, name, args)							\
	sym = dlsym(n->library, #name);						\
	if (sym == NULL)							\
		return err_set(err, ERR_DEVICE, LIBRARY " has no " #name ": it is older than "	\
		    "2.14; install a later NCCL, or use one GPU");			\
	memcpy(&n->name, &sym, sizeof(sym));
	NCCL_CALLS(X)
#undef X
	return 0;
}

static int
open_library(struct nccl *n, struct err *err)
{
	n->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (n->library == NULL)
		return err_set(err, ERR_DEVICE, "no " LIBRARY " on this machine, which several "
		    "GPUs need: install NCCL (libnccl2), or use one GPU or -d cpu");
	return bind(n, err);
}

/* The communicator is of no use any more: what waits in the queue for others, ends. */
static bool
give_up(struct cuda *c, const struct err *err)
{
	struct nccl *n = c->nccl;

	if (!c->failed)
		c->err = *err;
	c->failed = true;
	if (n->handle != NULL)
		n->ncclCommAbort(n->handle);
	n->handle = NULL;
	return false;
}

static bool
call_failed(struct cuda *c, ncclResult_t r, const char *call)
{
	struct nccl *n = c->nccl;
	const char *more = n->ncclGetLastError(n->handle);
	struct err err;

	err_set(&err, ERR_DEVICE, "%s: rank %d: %s: %s%s%s", c->dev.info.name,
	    comm_rank(n->comm), call, n->ncclGetErrorString(r),
	    more != NULL && *more != '\0' ? ": " : "", more != NULL ? more : "");
	return give_up(c, &err);
}

/* Has a call, or what it queued, failed by now, or a rank gone?  *r: what is known of it. */
static bool
fine(struct cuda *c, ncclResult_t *r, const char *call)
{
	struct nccl *n = c->nccl;
	ncclResult_t asked = n->ncclCommGetAsyncError(n->handle, r);
	struct err err;

	if (asked != NCCL_SUCCESS)
		*r = asked;
	if (*r != NCCL_SUCCESS && *r != NCCL_IN_PROGRESS)
		return call_failed(c, *r, call);
	return comm_alive(n->comm, &err) == 0 || give_up(c, &err);
}

/* Until a call that returned r is done. */
static bool
settle(struct cuda *c, ncclResult_t r, const char *call)
{
	while (r == NCCL_IN_PROGRESS) {
		if (!fine(c, &r, call))
			return false;
		if (r == NCCL_IN_PROGRESS)
			usleep(PAUSE);
	}
	return r == NCCL_SUCCESS || call_failed(c, r, call);
}

/* What each rank says of itself, and rank 0 of the communicator. */
struct card {
	int		version;
	ncclUniqueId	id;
};

static int
exchange_cards(struct nccl *n, struct card *first, struct err *err)
{
	int size = comm_size(n->comm), rank = comm_rank(n->comm), r;
	struct card own = { 0 }, *all;

	if ((r = n->ncclGetVersion(&own.version)) != NCCL_SUCCESS ||
	    (rank == 0 && (r = n->ncclGetUniqueId(&own.id)) != NCCL_SUCCESS))
		return err_set(err, ERR_DEVICE, "rank %d: NCCL does not start: %s", rank,
		    n->ncclGetErrorString(r));
	if ((all = calloc((size_t)size, sizeof(*all))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r = comm_gather(n->comm, &own, all, sizeof(own), err);
	*first = all[0];
	for (int i = 0; i < size && r == 0; i++)
		if (all[i].version != first->version)
			r = err_set(err, ERR_DEVICE, "rank %d has version %d of NCCL and rank 0 "
			    "has %d: install the same", i, all[i].version, first->version);
	free(all);
	return r;
}

int
nccl_join(struct dev *dev, struct comm *comm, struct err *err)
{
	struct cuda *c = (struct cuda *)dev;
	struct nccl *n = calloc(1, sizeof(*n));
	ncclConfig_t config = { .size = sizeof(config), .magic = NCCL_MAGIC,
	    .version = NCCL_LEAST, .blocking = 0 };
	struct card first;
	ncclResult_t r;

	if (n == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->nccl = n;
	n->comm = comm;
	if (open_library(n, err) < 0 || exchange_cards(n, &first, err) < 0)
		return -1;
	if (!CUDA_CALL(c, cuCtxSetCurrent, c->ctx)) {
		*err = c->err;
		return -1;
	}
	r = n->ncclCommInitRankConfig(&n->handle, comm_size(comm), first.id, comm_rank(comm),
	    &config);
	if (settle(c, r, "ncclCommInitRankConfig"))
		return 0;
	*err = c->err;
	return -1;
}

/* Others may have ended by now: then there is nobody to take leave of. */
void
nccl_close(struct cuda *c)
{
	struct nccl *n = c->nccl;

	if (n == NULL)
		return;
	if (n->handle != NULL && !c->failed &&
	    settle(c, n->ncclCommFinalize(n->handle), "ncclCommFinalize"))
		n->ncclCommDestroy(n->handle);
	else if (n->handle != NULL)
		n->ncclCommAbort(n->handle);
	if (n->library != NULL)
		dlclose(n->library);
	free(n);
	c->nccl = NULL;
}

void
nccl_wait(struct cuda *c)
{
	ncclResult_t r;

	if (c->nccl == NULL || c->nccl->handle == NULL)
		return;
	for (;;) {
		CUresult done = c->drv.cuStreamQuery(c->stream);

		if (done != CUDA_ERROR_NOT_READY) {
			cuda_ok(c, done, "cuStreamQuery");
			return;
		}
		if (!fine(c, &r, "a collective"))
			return;
		usleep(PAUSE);
	}
}

static ncclDataType_t
type_of(dtype type)
{
	return type == DTYPE_F64 ? NCCL_FLOAT64 : type == DTYPE_F32 ? NCCL_FLOAT32 :
	    type == DTYPE_F16 ? NCCL_FLOAT16 : type == DTYPE_BF16 ? NCCL_BFLOAT16 : NCCL_INT32;
}

void
cuda_collective(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_collective *a = &args->collective;
	const void *x = (const void *)(uintptr_t)a->x.at;
	void *y = (void *)(uintptr_t)a->y.at;
	ncclDataType_t type = type_of(a->type);
	struct nccl *n = c->nccl;
	size_t count = (size_t)a->n;
	ncclResult_t r;

	if (n == NULL || n->handle == NULL) {
		err_set(&c->err, ERR_DEVICE, "%s: this device has joined no other",
		    dev_kernel_name(kernel));
		c->failed = true;
		return;
	}
	switch (a->what) {
	case COLLECTIVE_SUM:
		r = n->ncclAllReduce(x, y, count, type, NCCL_SUM, n->handle, c->stream);
		break;
	case COLLECTIVE_SCATTER:
		r = n->ncclReduceScatter(x, y, count, type, NCCL_SUM, n->handle, c->stream);
		break;
	case COLLECTIVE_GATHER:
		r = n->ncclAllGather(x, y, count, type, n->handle, c->stream);
		break;
	default:
		r = n->ncclBroadcast(x, y, count, type, a->root, n->handle, c->stream);
	}
	settle(c, r, dev_kernel_name(kernel));
}
