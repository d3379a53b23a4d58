#include "dev/cuda/launch.h"

#include <ctype.h>
#include <stdio.h>

#define X(name) [E_##name] = #name,
static const char *const entry_names[E_COUNT] = { CUDA_ENTRIES(X) };
#undef X

enum { SHARED_ANYWAY = 48 << 10 };	/* what a kernel may have without asking */

/* "rope_bf16"; of no type the entry's alone. */
static void
name_of(char name[64], enum cuda_entry entry, dtype type)
{
	int n = snprintf(name, 64, "%s", entry_names[entry]);

	if (type == DTYPE_NONE)
		return;
	snprintf(name + n, 64 - (size_t)n, "_%s", dtype_name(type));
	for (char *p = name + n; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

static CUfunction
function(struct cuda *c, enum cuda_entry entry, dtype type, int shared)
{
	CUfunction *fn = &c->fn[entry][type];
	CUresult r = CUDA_ERROR_NOT_FOUND;
	char name[64];

	if (*fn != NULL)
		return *fn;
	name_of(name, entry, type);
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
