#include "dev/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
cuda_ok(struct cuda *c, CUresult r, const char *call)
{
	if (r == CUDA_SUCCESS)
		return true;
	if (!c->failed)
		err_set(&c->err, r == CUDA_ERROR_OUT_OF_MEMORY ? ERR_NOMEM : ERR_DEVICE,
		    "%s: %s: %s", c->dev.info.name, call, cuda_error_name(&c->drv, r));
	c->failed = true;
	return false;
}

/* Calls are of the context that is current to the thread, whichever thread comes. */
static bool
enter(struct cuda *c)
{
	return !c->failed && CUDA_CALL(c, cuCtxSetCurrent, c->ctx);
}

/* ---- memory ---- */

static dptr
no_memory(struct cuda *c, int64_t bytes, struct err *err)
{
	size_t free = 0, total = 0;

	c->drv.cuMemGetInfo_v2(&free, &total);
	err_set(err, ERR_NOMEM, "no memory for %lld bytes on %s: %lld of %lld are free; take a "
	    "smaller batch or context, or another device", (long long)bytes, c->dev.info.name,
	    (long long)free, (long long)total);
	return (dptr){ 0 };
}

static dptr
op_alloc(struct dev *dev, int64_t bytes, struct err *err)
{
	struct cuda *c = (struct cuda *)dev;
	CUdeviceptr p = 0;
	CUresult r;

	if (!enter(c)) {
		*err = c->err;
		return (dptr){ 0 };
	}
	if (bytes < 0 || bytes > c->dev.info.memory)
		return no_memory(c, bytes, err);
	bytes = bytes > 0 ? bytes : 1;
	r = c->drv.cuMemAlloc_v2(&p, (size_t)bytes);
	if (r == CUDA_ERROR_OUT_OF_MEMORY)
		return no_memory(c, bytes, err);
	if (!cuda_ok(c, r, "cuMemAlloc") ||
	    !CUDA_CALL(c, cuMemsetD8Async, p, 0, (size_t)bytes, c->stream)) {
		*err = c->err;
		return (dptr){ 0 };
	}
	return (dptr){ p };
}

/* Work that is queued may use the memory. */
static void
op_free(struct dev *dev, dptr p)
{
	struct cuda *c = (struct cuda *)dev;

	if (enter(c) && CUDA_CALL(c, cuStreamSynchronize, c->stream))
		CUDA_CALL(c, cuMemFree_v2, p.at);
}

bool
cuda_scratch(struct cuda *c, int64_t bytes, struct err *err)
{
	dptr p;

	if (bytes <= c->scratch_bytes)
		return true;
	p = op_alloc(&c->dev, bytes, err);
	if (p.at == 0)
		return false;
	if (c->scratch.at != 0)
		op_free(&c->dev, c->scratch);
	c->scratch = p;
	c->scratch_bytes = bytes;
	return true;
}

/* ---- copies ---- */

static void
op_upload(struct dev *dev, dptr to, const void *from, int64_t bytes)
{
	struct cuda *c = (struct cuda *)dev;

	for (int64_t done = 0; done < bytes && enter(c);) {
		int half = c->up_at >= STAGING_HALF;
		int64_t room = (half + 1) * STAGING_HALF - c->up_at;
		int64_t n = bytes - done < room ? bytes - done : room;

		if (c->up_at % STAGING_HALF == 0 && c->up_used[half])
			CUDA_CALL(c, cuEventSynchronize, c->up_done[half]);
		memcpy(c->up + c->up_at, (const char *)from + done, (size_t)n);
		CUDA_CALL(c, cuMemcpyHtoDAsync_v2, to.at + (uint64_t)done, c->up + c->up_at,
		    (size_t)n, c->stream);
		done += n;
		c->up_at = (c->up_at + n) % (2 * STAGING_HALF);
		if (n == room)
			c->up_used[half] = CUDA_CALL(c, cuEventRecord, c->up_done[half], c->stream);
	}
}

static dptr
op_import(struct dev *dev, const void *p, int64_t bytes, struct err *err)
{
	dptr to = op_alloc(dev, bytes, err);

	if (to.at != 0)
		op_upload(dev, to, p, bytes);
	return to;
}

void
cuda_drain(struct cuda *c)
{
	if (enter(c) && CUDA_CALL(c, cuStreamSynchronize, c->stream))
		for (int i = 0; i < c->n_downloads; i++)
			memcpy(c->download[i].to, c->download[i].from,
			    (size_t)c->download[i].bytes);
	c->n_downloads = 0;
	c->down_at = 0;
}

static void
op_download(struct dev *dev, void *to, dptr from, int64_t bytes)
{
	struct cuda *c = (struct cuda *)dev;

	for (int64_t done = 0; done < bytes && enter(c);) {
		int64_t n = bytes - done;

		if (c->n_downloads == DOWNLOADS || c->down_at == STAGING_HALF)
			cuda_drain(c);
		if (n > STAGING_HALF - c->down_at)
			n = STAGING_HALF - c->down_at;
		c->download[c->n_downloads++] = (struct cuda_download){ (char *)to + done,
		    c->down + c->down_at, n };
		CUDA_CALL(c, cuMemcpyDtoHAsync_v2, c->down + c->down_at, from.at + (uint64_t)done,
		    (size_t)n, c->stream);
		c->down_at += n;
		done += n;
	}
}

/* ---- the queue ---- */

static int
op_check(struct dev *dev, int kernel, const union dev_args *a, struct err *err)
{
	struct cuda *c = (struct cuda *)dev;

	if (cuda_check(c, kernel, a, err) < 0)
		return -1;
	return cuda_scratch(c, cuda_scratch_bytes(kernel, a), err) ? 0 : -1;
}

static int64_t
op_scratch(struct dev *dev, int kernel, const union dev_args *a)
{
	(void)dev;
	return cuda_scratch_bytes(kernel, a);
}

static void
op_launch(struct dev *dev, int kernel, const union dev_args *a)
{
	struct cuda *c = (struct cuda *)dev;

	if (!enter(c))
		return;
	if (cuda_check(c, kernel, a, &c->err) < 0 ||
	    !cuda_scratch(c, cuda_scratch_bytes(kernel, a), &c->err))
		c->failed = true;
	else
		cuda_launch(c, kernel, a);
}

/* What a kernel found, in words. */
static void
tell(struct cuda *c, const struct cuda_note *n)
{
	static const char *const what[] = {
		[NOTE_ID] = "id", [NOTE_SLOT] = "slot", [NOTE_POSITION] = "position",
		[NOTE_TARGET] = "target", [NOTE_EXPERT] = "expert", [NOTE_ROW] = "row",
	};

	c->failed = true;
	if (n->what == NOTE_ROWS)
		err_set(&c->err, ERR_DEVICE, "%s: %lld rows where %lld were planned",
		    dev_kernel_name(n->kernel), (long long)n->value, (long long)n->limit);
	else
		err_set(&c->err, ERR_ARG, "%s: %s %lld at row %lld is outside 0..%lld",
		    dev_kernel_name(n->kernel), what[n->what], (long long)n->value,
		    (long long)n->row, (long long)n->limit - 1);
}

static int
op_wait(struct dev *dev, struct err *err)
{
	struct cuda *c = (struct cuda *)dev;
	struct cuda_note note = { 0 };

	op_download(dev, &note, c->note, sizeof(note));
	cuda_drain(c);
	if (!c->failed && note.what != NOTE_NONE)
		tell(c, &note);
	if (!c->failed)
		return 0;
	*err = c->err;
	return -1;
}

/* ---- the device ---- */

/* What is left of memory goes with the context. */
static void
op_close(struct dev *dev)
{
	struct cuda *c = (struct cuda *)dev;

	if (c->ctx != NULL) {
		c->drv.cuCtxSetCurrent(c->ctx);
		if (c->stream != NULL) {
			c->drv.cuStreamSynchronize(c->stream);
			c->drv.cuStreamDestroy_v2(c->stream);
		}
		for (int i = 0; i < 2; i++)
			if (c->up_done[i] != NULL)
				c->drv.cuEventDestroy_v2(c->up_done[i]);
		if (c->up != NULL)
			c->drv.cuMemFreeHost(c->up);
		if (c->down != NULL)
			c->drv.cuMemFreeHost(c->down);
		if (c->note.at != 0)
			c->drv.cuMemFree_v2(c->note.at);
		if (c->scratch.at != 0)
			c->drv.cuMemFree_v2(c->scratch.at);
		for (int i = 0; i < c->n_modules; i++)
			c->drv.cuModuleUnload(c->module[i]);
		c->drv.cuDevicePrimaryCtxRelease_v2(c->device);
	}
	cuda_driver_close(&c->drv);
	free(c->module);
	free(c);
}

static const struct dev_ops cuda_ops = {
	.name = "cuda", .close = op_close, .measure = cuda_measure,
	.bandwidth = cuda_bandwidth,
	.alloc = op_alloc, .free = op_free, .import = op_import,
	.upload = op_upload, .download = op_download,
	.check = op_check, .scratch = op_scratch, .launch = op_launch, .wait = op_wait,
};

static int
load_images(struct cuda *c, struct err *err)
{
	int n = 0;

	while (cuda_images[n] != NULL)
		n++;
	c->module = calloc((size_t)n, sizeof(*c->module));
	if (c->module == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; c->n_modules < n; c->n_modules++) {
		CUresult r = c->drv.cuModuleLoadData(&c->module[c->n_modules],
		    cuda_images[c->n_modules]);

		if (r == CUDA_SUCCESS)
			continue;
		if (r == CUDA_ERROR_UNSUPPORTED_PTX_VERSION || r == CUDA_ERROR_NO_BINARY_FOR_GPU)
			return err_set(err, ERR_DEVICE, "the driver is too old for the "
			    "kernels of this build: update it, build with CUDA=1, or use -d cpu");
		cuda_ok(c, r, "cuModuleLoadData");
		*err = c->err;
		return -1;
	}
	return 0;
}

/* Is this a GPU that the kernels are made for? */
static int
identify(struct cuda *c, int ordinal, struct err *err)
{
	char model[96] = "";
	size_t bytes = 0;

	snprintf(c->dev.info.name, sizeof(c->dev.info.name), "cuda:%d", ordinal);
	if (!CUDA_CALL(c, cuDeviceGet, &c->device, ordinal) ||
	    !CUDA_CALL(c, cuDeviceGetName, model, sizeof(model), c->device) ||
	    !CUDA_CALL(c, cuDeviceTotalMem_v2, &bytes, c->device) ||
	    !CUDA_CALL(c, cuDeviceGetAttribute, &c->major, CU_ATTRIBUTE_MAJOR, c->device) ||
	    !CUDA_CALL(c, cuDeviceGetAttribute, &c->minor, CU_ATTRIBUTE_MINOR, c->device) ||
	    !CUDA_CALL(c, cuDeviceGetAttribute, &c->processors, CU_ATTRIBUTE_MULTIPROCESSORS,
	    c->device)) {
		*err = c->err;
		return -1;
	}
	c->dev.info.memory = (int64_t)bytes;
	if (c->major < 8)
		return err_set(err, ERR_DEVICE, "%s has compute capability %d.%d, and 8.0 is "
		    "needed (A100, RTX 30 and later): use another GPU, or -d cpu", model,
		    c->major, c->minor);
	return 0;
}

static int
set_up(struct cuda *c, struct err *err)
{
	void *up = NULL, *down = NULL;
	bool good = CUDA_CALL(c, cuDevicePrimaryCtxRetain, &c->ctx, c->device) && enter(c) &&
	    CUDA_CALL(c, cuStreamCreate, &c->stream, CU_STREAM_NON_BLOCKING) &&
	    CUDA_CALL(c, cuEventCreate, &c->up_done[0], CU_EVENT_DISABLE_TIMING) &&
	    CUDA_CALL(c, cuEventCreate, &c->up_done[1], CU_EVENT_DISABLE_TIMING) &&
	    CUDA_CALL(c, cuMemHostAlloc, &up, 2 * STAGING_HALF, 0);

	c->up = up;
	good = good && CUDA_CALL(c, cuMemHostAlloc, &down, STAGING_HALF, 0);
	c->down = down;
	if (!good) {
		*err = c->err;
		return -1;
	}
	if (load_images(c, err) < 0)
		return -1;
	c->note = op_alloc(&c->dev, sizeof(struct cuda_note), err);
	return c->note.at != 0 ? 0 : -1;
}

struct dev *
cuda_open(int ordinal, struct err *err)
{
	struct cuda *c = calloc(1, sizeof(*c));
	int n;

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->dev.ops = &cuda_ops;
	if (cuda_images[0] == NULL)
		err_set(err, ERR_DEVICE, "this build has no CUDA kernels: nvcc was not there when "
		    "it was made; build it where the CUDA toolkit is, or use -d cpu");
	else if (cuda_driver_open(&c->drv, &n, err) == 0) {
		if (ordinal >= n)
			err_set(err, ERR_DEVICE, "no such GPU: the driver sees %d GPU%s, cuda:0 "
			    "and on", n, n == 1 ? "" : "s");
		else if (identify(c, ordinal, err) == 0 && set_up(c, err) == 0)
			return &c->dev;
	}
	op_close(&c->dev);
	return NULL;
}
