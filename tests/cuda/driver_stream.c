/*
 * driver_stream - streams, events and launches
 */
#include <stdlib.h>
#include <string.h>

#include "driver.h"

struct event {
	struct mark *mark;		/* NULL until it is recorded */
	bool	timed;
};

CUresult
cuStreamCreate(CUstream *out, unsigned flags)
{
	GUARD;
	READY;
	if (flags > CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUstream)stream_new(flags != CU_STREAM_NON_BLOCKING);
	return *out == NULL ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult
cuStreamCreateWithPriority(CUstream *out, unsigned flags, int priority)
{
	(void)priority;
	return cuStreamCreate(out, flags);
}

CUresult
cuStreamDestroy(CUstream h)
{
	struct stream *s = stream_get(h);
	GUARD;

	if (s == NULL || s->id == 1)
		return CUDA_ERROR_INVALID_HANDLE;
	stream_drop(s);
	return CUDA_SUCCESS;
}

CUresult
cuStreamSynchronize(CUstream h)
{
	struct stream *s = stream_get(h);
	GUARD;
	MAY_WAIT;

	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	stream_sync(s);
	return driver.sticky;
}

/* Each question lets one operation run, so that whoever polls gets on. */
CUresult
cuStreamQuery(CUstream h)
{
	struct stream *s = stream_get(h);
	GUARD;
	MAY_WAIT;

	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (s->done < s->queued) {
		driver.asking = true;
		stream_run(s, s->done + 1);
		driver.asking = false;
		return driver.sticky != CUDA_SUCCESS ? driver.sticky : CUDA_ERROR_NOT_READY;
	}
	stream_sync(s);
	return CUDA_SUCCESS;
}

CUresult
cuLaunchHostFunc(CUstream h, CUhostFn fn, void *data)
{
	struct stream *s = stream_get(h);
	struct op *op;
	GUARD;
	READY;

	if (s == NULL || fn == NULL)
		return CUDA_ERROR_INVALID_VALUE;
	op = op_new(OP_CALL);
	op->fn = fn;
	op->data = data;
	return stream_put(s, op);
}

CUresult
cuEventCreate(CUevent *out, unsigned flags)
{
	struct event *e;
	GUARD;
	READY;

	e = calloc(1, sizeof(*e));
	e->timed = (flags & CU_EVENT_DISABLE_TIMING) == 0;
	*out = (CUevent)e;
	return CUDA_SUCCESS;
}

CUresult
cuEventDestroy(CUevent h)
{
	struct event *e = (struct event *)h;
	GUARD;

	if (e == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (e->mark != NULL)
		mark_release(e->mark);
	free(e);
	return CUDA_SUCCESS;
}

CUresult
cuEventRecord(CUevent h, CUstream hs)
{
	struct event *e = (struct event *)h;
	struct stream *s = stream_get(hs);
	GUARD;
	READY;

	if (e == NULL || s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (e->mark != NULL)
		mark_release(e->mark);
	if (s->capture == NULL && s->blocking)
		legacy_order(s);
	e->mark = s->capture != NULL ? graph_mark(s) : mark_put(s);
	return CUDA_SUCCESS;
}

CUresult
cuEventRecordWithFlags(CUevent h, CUstream s, unsigned flags)
{
	return flags != 0 ? CUDA_ERROR_INVALID_VALUE : cuEventRecord(h, s);
}

CUresult
cuStreamWaitEvent(CUstream hs, CUevent h, unsigned flags)
{
	struct event *e = (struct event *)h;
	struct stream *s = stream_get(hs);
	GUARD;
	READY;

	if (e == NULL || s == NULL || flags > CU_EVENT_WAIT_EXTERNAL)
		return CUDA_ERROR_INVALID_VALUE;
	if (e->mark == NULL)			/* never recorded: nothing to wait for */
		return CUDA_SUCCESS;
	if (s->capture != NULL || e->mark->graph != NULL)
		return graph_wait(s, e->mark);
	if (driver_deaf())
		return CUDA_SUCCESS;
	return stream_wait(s, e->mark);
}

CUresult
cuEventSynchronize(CUevent h)
{
	struct event *e = (struct event *)h;
	GUARD;
	MAY_WAIT;

	if (e == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (e->mark == NULL)
		return CUDA_SUCCESS;
	if (e->mark->graph != NULL)
		return CUDA_ERROR_CAPTURED_EVENT;
	if (driver_deaf())
		return CUDA_SUCCESS;
	if (!e->mark->done)
		stream_run(e->mark->s, e->mark->position);
	for (int i = 0; i < MAX_STREAMS; i++)
		if (e->mark->clock.at[i] > driver.host.at[i])
			driver.host.at[i] = e->mark->clock.at[i];
	return driver.sticky;
}

CUresult
cuEventQuery(CUevent h)
{
	struct event *e = (struct event *)h;
	GUARD;
	MAY_WAIT;

	if (e == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (e->mark == NULL || e->mark->done)
		return cuEventSynchronize(h);
	driver.asking = true;
	stream_run(e->mark->s, e->mark->s->done + 1);
	driver.asking = false;
	return driver.sticky != CUDA_SUCCESS ? driver.sticky : CUDA_ERROR_NOT_READY;
}

CUresult
cuEventElapsedTime(float *ms, CUevent a, CUevent b)
{
	const struct event *x = (struct event *)a, *y = (struct event *)b;

	if (x == NULL || y == NULL || !x->timed || !y->timed || x->mark == NULL || y->mark == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (!x->mark->done || !y->mark->done)
		return CUDA_ERROR_NOT_READY;
	*ms = (float)(y->mark->ms - x->mark->ms);
	return CUDA_SUCCESS;
}

static CUresult
refuse(const struct kernel *k, CUresult r, const char *why, uint32_t is, uint32_t most)
{
	struct where at = { .kernel = k };

	find_report(F_LAUNCH, &at, "%s is %u, at most %u", why, is, most);
	return r;
}

/* Of a multiprocessor, and of a thread, as ptxas may give it where it is not told the threads. */
enum { REGISTERS = 65536, REGISTERS_MOST = 255 };

CUresult
launch_check(const struct kernel *k, const uint32_t grid[3], const uint32_t block[3],
    uint32_t dynamic)
{
	static const uint32_t block_most[] = { 1024, 1024, 64 };
	static const uint32_t grid_most[] = { 2147483647, 65535, 65535 };
	static const char *const grids[] = { "the grid's x", "the grid's y", "the grid's z" };
	static const char *const blocks[] = { "the block's x", "the block's y", "the block's z" };
	uint32_t threads = block[0] * block[1] * block[2];
	uint32_t most = k->dynamic_most != 0 ? k->dynamic_most : SHARED_ANYWAY - k->shared;

	for (int i = 0; i < 3; i++) {
		if (grid[i] == 0 || grid[i] > grid_most[i])
			return refuse(k, CUDA_ERROR_INVALID_VALUE, grids[i], grid[i], grid_most[i]);
		if (block[i] == 0 || block[i] > block_most[i])
			return refuse(k, CUDA_ERROR_INVALID_VALUE, blocks[i], block[i], block_most[i]);
	}
	if (threads > 1024)
		return refuse(k, CUDA_ERROR_INVALID_VALUE, "the number of threads of a block", threads, 1024);
	if (k->max_threads == 0 && k->need[0] == 0 && threads > REGISTERS / REGISTERS_MOST)
		return refuse(k, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
		    "the number of threads, without launch bounds,", threads,
		    REGISTERS / REGISTERS_MOST);
	if (k->max_threads != 0 && threads > k->max_threads)
		return refuse(k, CUDA_ERROR_INVALID_VALUE, "the number of threads, by its launch bounds,",
		    threads, k->max_threads);
	if (k->need[0] != 0 && threads != k->need[0] * k->need[1] * k->need[2])
		return refuse(k, CUDA_ERROR_INVALID_VALUE, "the number of threads that it requires",
		    threads, k->need[0] * k->need[1] * k->need[2]);
	if (dynamic > most)
		return refuse(k, CUDA_ERROR_INVALID_VALUE, "dynamic shared memory", dynamic, most);
	return CUDA_SUCCESS;
}

/* Arguments by pointers, or in one buffer. */
static uint8_t *
gather_params(const struct kernel *k, void **params, void **extra)
{
	uint8_t *p = calloc(1, k->param_bytes + 1);

	for (int i = 0; params != NULL && i < k->n_param; i++)
		memcpy(p + k->param[i].off, params[i], k->param[i].size);
	for (; params == NULL && extra != NULL && extra[0] != CU_LAUNCH_PARAM_END; extra += 2)
		if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER)
			memcpy(p, extra[1], k->param_bytes);
	return p;
}

CUresult
cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
    unsigned bz, unsigned dynamic, CUstream h, void **params, void **extra)
{
	const struct kernel *k = (struct kernel *)f;
	struct stream *s = stream_get(h);
	uint32_t grid[3] = { gx, gy, gz }, block[3] = { bx, by, bz };
	struct op *op;
	CUresult r;
	GUARD;
	READY;

	if (k == NULL || s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	if (k->n_param > 0 && params == NULL && extra == NULL)
		return CUDA_ERROR_INVALID_VALUE;
	r = launch_check(k, grid, block, dynamic);
	if (r != CUDA_SUCCESS)
		return r;
	driver.count[COUNT_LAUNCHES]++;
	op = op_new(OP_LAUNCH);
	op->kernel = k;
	memcpy(op->grid, grid, sizeof(grid));
	memcpy(op->block, block, sizeof(block));
	op->dynamic = dynamic;
	op->param = gather_params(k, params, extra);
	return stream_put(s, op);
}

/* Of attributes, those that change no result are accepted. */
CUresult
cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra)
{
	for (unsigned i = 0; i < c->numAttrs; i++)
		if (c->attrs[i].id != CU_LAUNCH_ATTRIBUTE_PRIORITY &&
		    c->attrs[i].id != CU_LAUNCH_ATTRIBUTE_IGNORE)
			return CUDA_ERROR_NOT_SUPPORTED;
	return cuLaunchKernel(f, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY,
	    c->blockDimZ, c->sharedMemBytes, c->hStream, params, extra);
}
