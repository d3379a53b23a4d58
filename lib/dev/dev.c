#include "dev/cpu/cpu.h"
#include "dev/cuda/cuda.h"
#include "dev/gpus.h"
#include "dev/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static const char *const kernel_names[K_COUNT] = {
	[K_FILL] = "fill", [K_COPY] = "copy", [K_CAST] = "cast", [K_ADD] = "add",
	[K_AXPBY] = "axpby", [K_EMBED] = "embed", [K_EMBED_BWD] = "embed_bwd",
	[K_SCATTER] = "scatter", [K_MATMUL] = "matmul", [K_GROUPED] = "grouped",
	[K_BIAS_BWD] = "bias_bwd",
	[K_RMSNORM] = "rmsnorm", [K_RMSNORM_BWD] = "rmsnorm_bwd",
	[K_LAYERNORM] = "layernorm", [K_LAYERNORM_BWD] = "layernorm_bwd",
	[K_ROPE] = "rope", [K_HADAMARD] = "hadamard",
	[K_ATTENTION] = "attention", [K_ATTENTION_BWD] = "attention_bwd",
	[K_ACT] = "act", [K_ACT_BWD] = "act_bwd", [K_GLU] = "glu", [K_GLU_BWD] = "glu_bwd",
	[K_FAKE_QUANT] = "fake_quant", [K_DROPOUT] = "dropout", [K_SOFTCAP] = "softcap",
	[K_XENT] = "xent", [K_XENT_BWD] = "xent_bwd",
	[K_CONV] = "conv", [K_CONV_BWD] = "conv_bwd", [K_SCAN] = "scan",
	[K_SCAN_BWD] = "scan_bwd", [K_DOT] = "dot", [K_SUMSQ] = "sumsq",
	[K_GUARD] = "guard", [K_ADAMW] = "adamw", [K_LION] = "lion",
	[K_ADAFACTOR] = "adafactor", [K_MOMENTUM] = "momentum", [K_NORMALIZE] = "normalize",
	[K_UPDATE] = "update", [K_EMA] = "ema", [K_SWAP] = "swap",
	[K_ROUTE] = "route", [K_ROUTE_BWD] = "route_bwd", [K_ROUTE_SORT] = "route_sort",
	[K_ROUTE_SUM] = "route_sum", [K_BALANCE] = "balance", [K_BALANCE_BIAS] = "balance_bias",
	[K_COMBINE] = "combine", [K_COMBINE_BWD] = "combine_bwd", [K_SLICE] = "slice",
	[K_SCALE] = "scale", [K_SCALE_BWD] = "scale_bwd", [K_COLLECTIVE] = "collective",
};

const char *
dev_kernel_name(int kernel)
{
	return kernel >= 0 && kernel < K_COUNT ? kernel_names[kernel] : "unknown kernel";
}

/* "cuda", "cuda:N", "cuda:tf32" and "cuda:N:tf32". */
static struct dev *
open_gpu(const char *name, struct team *team, unsigned flags, struct err *err)
{
	bool alone = strcmp(name, "cuda") == 0 || strcmp(name, "cuda:tf32") == 0, tf32;
	char *end = (char *)(uintptr_t)name + 4;
	long ordinal = alone ? 0 : strtol(name + 5, &end, 10);
	struct dev *d;

	tf32 = strcmp(end, ":tf32") == 0;
	if (end == name + 5 || (*end != '\0' && !tf32) || ordinal < 0 || ordinal > 1023) {
		err_set(err, ERR_ARG, "%s: no number of a GPU: cuda:0 is the first", name);
		return NULL;
	}
	d = cuda_open((int)ordinal, tf32, team, flags, err);
	if (d == NULL)
		err_wrap(err, "%s", name);
	return d;
}

struct dev *
dev_open(const char *name, struct team *team, unsigned flags, struct err *err)
{
	struct err none = { 0 };
	struct dev *gpu = strcmp(name, "auto") == 0 ? cuda_open(0, false, team, flags,
	    &none) : NULL;

	if (gpu != NULL)
		return gpu;
	if (strcmp(name, "cpu") == 0 || strcmp(name, "auto") == 0)
		return cpu_open(NULL, team, flags, err);
	if (strncmp(name, "cpu:", 4) == 0)
		return cpu_open(name + 4, team, flags, err);
	if (strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0)
		return open_gpu(name, team, flags, err);
	err_set(err, ERR_ARG, "%s: no such device (cpu, cpu:ISA, cuda, cuda:N, "
	    "cuda:tf32, auto)", name);
	return NULL;
}

void
dev_close(struct dev *dev)
{
	if (dev != NULL)
		dev->ops->close(dev);
}

const struct dev_info *
dev_info(struct dev *dev)
{
	if (!dev->measured) {
		dev->ops->measure(dev, &dev->info);
		dev->measured = true;
	}
	return &dev->info;
}

double
dev_peak(struct dev *dev, dtype weights)
{
	const struct dev_info *info = dev_info(dev);

	if (dtype_block(weights) > 1 && info->peak_int8 > 0)
		return info->peak_int8;
	return weights == DTYPE_BF16 && info->peak_bf16 > 0 ? info->peak_bf16 : info->peak_f32;
}

int
dev_gpus(void)
{
	return cuda_count();
}

int
dev_join(struct dev *dev, struct comm *comm, struct err *err)
{
	if (comm_same(comm, hash64(str_of(dev->ops->name)), "devices", err) < 0)
		return -1;
	return comm != NULL && dev->ops->join != NULL ? dev->ops->join(dev, comm, err) : 0;
}

int
dev_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err)
{
	return dev->ops->bandwidth(dev, b, err);
}

dptr
dev_alloc(struct dev *dev, int64_t bytes, struct err *err)
{
	return dev->ops->alloc(dev, bytes, err);
}

void
dev_free(struct dev *dev, dptr p)
{
	if (p.at != 0)
		dev->ops->free(dev, p);
}

dptr
dev_import(struct dev *dev, const void *p, int64_t bytes, struct err *err)
{
	return dev->ops->import(dev, p, bytes, err);
}

void
dev_upload(struct dev *dev, dptr to, const void *from, int64_t bytes)
{
	dev->ops->upload(dev, to, from, bytes);
}

void
dev_download(struct dev *dev, void *to, dptr from, int64_t bytes)
{
	dev->ops->download(dev, to, from, bytes);
}

int
dev_check(struct dev *dev, int kernel, const union dev_args *a, struct err *err)
{
	return dev->ops->check(dev, kernel, a, err);
}

int64_t
dev_scratch(struct dev *dev, int kernel, const union dev_args *a)
{
	return dev->ops->scratch != NULL ? dev->ops->scratch(dev, kernel, a) : 0;
}

void
dev_launch(struct dev *dev, int kernel, const union dev_args *a)
{
	if (dev->profile != NULL)
		dev_profile_launch(dev->profile, kernel, a);
	else
		dev->ops->launch(dev, kernel, a);
}

/* A profile takes launches one by one. */
bool
dev_begin(struct dev *dev, struct dev_list **list)
{
	return dev->ops->begin == NULL || dev->profile != NULL || dev->ops->begin(dev, list);
}

void
dev_end(struct dev *dev)
{
	if (dev->ops->end != NULL && dev->profile == NULL)
		dev->ops->end(dev);
}

void
dev_forget(struct dev *dev, struct dev_list *list)
{
	if (list != NULL)
		dev->ops->forget(dev, list);
}

void
dev_mark(struct dev *dev, const char *phase, const char *block)
{
	if (dev->profile != NULL)
		dev_profile_mark(dev->profile, phase, block);
}

int
dev_wait(struct dev *dev, struct err *err)
{
	return dev->ops->wait(dev, err);
}
