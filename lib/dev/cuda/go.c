#include "dev/cuda/launch.h"

#include <stdio.h>

#define X(name) [E_##name] = #name,
static const char *const entry_names[E_COUNT] = { CUDA_ENTRIES(X) };
#undef X

enum { SHARED_ANYWAY = 48 << 10 };	/* what a kernel may have without asking */

/* Of a type in names and tables; NONE: no template. */
static int
type_index(dtype type)
{
	return type == DTYPE_F32 ? 1 : type == DTYPE_BF16 ? 2 : type == DTYPE_F16 ? 3 : 0;
}

static CUfunction
function(struct cuda *c, enum cuda_entry entry, dtype type, int shared)
{
	static const char *const suffix[] = { "", "_f32", "_bf16", "_f16" };
	CUfunction *fn = &c->fn[entry][type_index(type)];
	CUresult r = CUDA_ERROR_NOT_FOUND;
	char name[64];

	if (*fn != NULL)
		return *fn;
	snprintf(name, sizeof(name), "%s%s", entry_names[entry], suffix[type_index(type)]);
	for (int i = 0; i < c->n_modules && r == CUDA_ERROR_NOT_FOUND; i++)
		r = c->drv.cuModuleGetFunction(fn, c->module[i], name);
	if (cuda_ok(c, r, name) && shared > SHARED_ANYWAY)
		CUDA_CALL(c, cuFuncSetAttribute, *fn, CU_FUNC_MAX_DYNAMIC_SHARED, shared);
	return *fn;
}

void
cuda_go(struct cuda *c, int kernel, enum cuda_entry entry, dtype type, struct cuda_grid g,
    const void *args)
{
	struct cuda_run run = { c->note, c->scratch, kernel };
	void *params[] = { (void *)(uintptr_t)args, &run };
	unsigned threads = g.threads > 0 ? (unsigned)g.threads : THREADS;
	CUfunction fn;

	if (g.x <= 0 || g.y <= 0 || c->failed ||
	    (fn = function(c, entry, type, g.most_shared > 0 ? g.most_shared : g.shared)) == NULL)
		return;
	cuda_ok(c, c->drv.cuLaunchKernel(fn, (unsigned)g.x, (unsigned)g.y, 1, threads, 1, 1,
	    (unsigned)g.shared, c->stream, params, NULL), dev_kernel_name(kernel));
}
