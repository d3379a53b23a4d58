#include "dev/cuda/blas.h"
#include "dev/cuda/nccl.h"

#include <assert.h>
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

/* What was uploaded comes before the queue's next work. */
static bool
next(struct cuda *c)
{
	if (!enter(c))
		return false;
	cuda_send(c);
	return !c->failed;
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

/* A block for the queue's next work. */
static dptr
take(struct cuda *c, int64_t bytes, struct err *err)
{
	CUdeviceptr p;

	if (!enter(c)) {
		*err = c->err;
		return (dptr){ 0 };
	}
	if (bytes < 0 || bytes > c->dev.info.memory)
		return no_memory(c, bytes, err);
	p = cuda_take(c, bytes);
	if (p == 0 && !c->failed)
		return no_memory(c, bytes, err);
	if (p == 0)
		*err = c->err;
	return (dptr){ p };
}

static dptr
op_alloc(struct dev *dev, int64_t bytes, struct err *err)
{
	struct cuda *c = (struct cuda *)dev;
	dptr p = take(c, bytes, err);

	if (p.at != 0 && bytes > 0 &&
	    !CUDA_CALL(c, cuMemsetD8Async, p.at, 0, (size_t)bytes, c->stream)) {
		*err = c->err;
		return (dptr){ 0 };
	}
	return p;
}

static void
op_free(struct dev *dev, dptr p)
{
	struct cuda *c = (struct cuda *)dev;

	if (next(c))
		cuda_leave(c, p.at);
}

bool
cuda_scratch(struct cuda *c, int64_t bytes, struct err *err)
{
	dptr p;

	if (bytes <= c->scratch_bytes)
		return true;
	/* What is captured was launched before, with the same arguments. */
	assert(c->list == NULL);
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

	if (enter(c))
		cuda_upload(c, to, from, bytes);
}

static dptr
op_import(struct dev *dev, const void *p, int64_t bytes, struct err *err)
{
	dptr to = take((struct cuda *)dev, bytes, err);

	if (to.at != 0)
		op_upload(dev, to, p, bytes);
	return to;
}

static void
op_download(struct dev *dev, void *to, dptr from, int64_t bytes)
{
	struct cuda *c = (struct cuda *)dev;

	if (next(c))
		cuda_download(c, to, from, bytes);
}

/* ---- the queue ---- */

static int
op_check(struct dev *dev, int kernel, const union dev_args *a, struct err *err)
{
	struct cuda *c = (struct cuda *)dev;

	if (cuda_check(c, kernel, a, err) < 0)
		return -1;
	return cuda_scratch(c, cuda_scratch_bytes(c, kernel, a), err) ? 0 : -1;
}

static int64_t
op_scratch(struct dev *dev, int kernel, const union dev_args *a)
{
	return cuda_scratch_bytes((struct cuda *)dev, kernel, a);
}

static void
op_launch(struct dev *dev, int kernel, const union dev_args *a)
{
	struct cuda *c = (struct cuda *)dev;

	if (!next(c))
		return;
	if (cuda_check(c, kernel, a, &c->err) < 0 ||
	    !cuda_scratch(c, cuda_scratch_bytes(c, kernel, a), &c->err))
		c->failed = true;
	else
		cuda_launch(c, kernel, a);
}

static bool
op_begin(struct dev *dev, struct dev_list **list)
{
	struct cuda *c = (struct cuda *)dev;

	return next(c) ? cuda_list_begin(c, list) : true;
}

static void
op_end(struct dev *dev)
{
	cuda_list_end((struct cuda *)dev);
}

static void
op_forget(struct dev *dev, struct dev_list *list)
{
	struct cuda *c = (struct cuda *)dev;

	enter(c);
	cuda_list_free(c, list);
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
	if (n->what < 0 || n->what >= (int)(sizeof(what) / sizeof(what[0])))
		err_set(&c->err, ERR_DEVICE, "%s: what kernels note was overwritten",
		    c->dev.info.name);
	else if (n->what == NOTE_ROWS)
		err_set(&c->err, ERR_DEVICE, "%s: %lld rows where %lld were planned",
		    dev_kernel_name(n->kernel), (long long)n->value, (long long)n->limit);
	else if (n->what == NOTE_OFFSETS)
		err_set(&c->err, ERR_DEVICE, "%s: offsets of groups that do not rise or exceed "
		    "the rows", dev_kernel_name(n->kernel));
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

	if (next(c))
		nccl_wait(c);
	op_download(dev, &note, c->note, sizeof(note));
	if (!c->failed)
		cuda_finish(c);
	if (!c->failed && note.what != NOTE_NONE)
		tell(c, &note);
	if (!c->failed)
		return 0;
	*err = c->err;
	return -1;
}

/* ---- the device ---- */

static void
op_close(struct dev *dev)
{
	struct cuda *c = (struct cuda *)dev;

	if (c->ctx != NULL) {
		c->drv.cuCtxSetCurrent(c->ctx);
		nccl_close(c);
		blas_close(c);
		if (c->stream != NULL) {
			c->drv.cuStreamSynchronize(c->stream);
			c->drv.cuStreamDestroy_v2(c->stream);
		}
		cuda_copies_close(c);
		cuda_memory_free(c);
		for (int i = 0; i < c->n_modules; i++)
			c->drv.cuModuleUnload(c->module[i]);
		c->drv.cuDevicePrimaryCtxRelease_v2(c->device);
	}
	cuda_driver_close(&c->drv);
	free(c->module);
	free(c);
}

static const struct dev_ops cuda_ops = {
	.name = "cuda", .close = op_close, .join = nccl_join, .measure = cuda_measure,
	.bandwidth = cuda_bandwidth,
	.alloc = op_alloc, .free = op_free, .import = op_import,
	.upload = op_upload, .download = op_download,
	.check = op_check, .scratch = op_scratch, .launch = op_launch, .wait = op_wait,
	.begin = op_begin, .end = op_end, .forget = op_forget,
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

	snprintf(c->dev.info.name, sizeof(c->dev.info.name), "cuda:%d%s", ordinal,
	    c->tf32 ? ":tf32" : "");
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
	bool good = CUDA_CALL(c, cuDevicePrimaryCtxRetain, &c->ctx, c->device) && enter(c) &&
	    CUDA_CALL(c, cuStreamCreate, &c->stream, CU_STREAM_NON_BLOCKING) &&
	    cuda_copies_open(c);

	if (!good) {
		*err = c->err;
		return -1;
	}
	if (load_images(c, err) < 0)
		return -1;
	c->up.dev = take(c, 2 * STAGING_HALF, err);
	c->down.dev = take(c, c->down.bytes, err);
	c->note = op_alloc(&c->dev, sizeof(struct cuda_note), err);
	if (c->up.dev.at == 0 || c->down.dev.at == 0 || c->note.at == 0)
		return -1;
	return c->tf32 ? blas_need(c, err) : 0;
}

int
cuda_count(void)
{
	struct cuda_driver drv;
	struct err err;
	int n;

	if (cuda_images[0] == NULL || cuda_driver_open(&drv, &n, &err) < 0)
		return 0;
	cuda_driver_close(&drv);
	return n;
}

struct dev *
cuda_open(int ordinal, bool tf32, struct team *team, unsigned flags, struct err *err)
{
	struct cuda *c = calloc(1, sizeof(*c));
	int n;

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->dev.ops = &cuda_ops;
	c->dev.team = team;
	c->tf32 = tf32;
	c->strict = (flags & DEV_STRICT) != 0;
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
