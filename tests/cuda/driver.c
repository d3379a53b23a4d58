/*
 * driver - start, device, contexts, modules and functions
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "lint.h"

static _Thread_local CUcontext current;
static pthread_mutex_t lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_lock(void)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&lock, &a);
}

pthread_mutex_t *
driver_lock(void)
{
	pthread_once(&once, make_lock);
	pthread_mutex_lock(&lock);
	return &lock;
}

void
driver_unlock(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

CUresult
driver_ready(void)
{
	if (!driver.started)
		return CUDA_ERROR_NOT_INITIALIZED;
	return current == NULL ? CUDA_ERROR_INVALID_CONTEXT : driver.sticky;
}

CUresult
driver_may_wait(void)
{
	if (graph_break(false))
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	driver.count[COUNT_WAITS]++;
	return driver_ready();
}

CUresult
driver_may_allocate(void)
{
	return graph_break(true) ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : driver_ready();
}

bool
driver_deaf(void)
{
	return ++driver.count[COUNT_EVENTS] == driver.deaf;
}

uint64_t
standin_count(const char *what)
{
	static const char *const names[COUNTS] = { "allocations", "launches", "graphs", "waits",
		"events", "products" };

	for (int i = 0; i < COUNTS; i++)
		if (strcmp(what, names[i]) == 0)
			return driver.count[i];
	abort();
}

void
standin_deaf(uint64_t n)
{
	driver.deaf = n == 0 ? 0 : driver.count[COUNT_EVENTS] + n;
}

/* Into the file that the environment names, when the program ends. */
static void __attribute__((destructor))
write_counts(void)
{
	const char *path = getenv("CUDA_STANDIN_COUNTS");
	FILE *f = path == NULL ? NULL : fopen(path, "w");

	if (f == NULL)
		return;
	fprintf(f, "launches %llu\ngraphs %llu\nwaits %llu\nproducts %llu\n",
	    (unsigned long long)driver.count[COUNT_LAUNCHES],
	    (unsigned long long)driver.count[COUNT_GRAPHS],
	    (unsigned long long)driver.count[COUNT_WAITS],
	    (unsigned long long)driver.count[COUNT_PRODUCTS]);
	fclose(f);
}

static long
setting(const char *name, long otherwise)
{
	const char *s = getenv(name);

	return s == NULL ? otherwise : strtol(s, NULL, 10);
}

static bool
is_device(CUdevice d)
{
	return d >= 0 && d < driver.devices;
}

CUresult
cuInit(unsigned flags)
{
	const char *order = getenv("CUDA_STANDIN_ORDER");
	GUARD;

	if (flags != 0)
		return CUDA_ERROR_INVALID_VALUE;
	if (driver.started)
		return CUDA_SUCCESS;
	driver.started = true;
	driver.sm = (int)setting("CUDA_STANDIN_SM", 80);
	driver.devices = (int)setting("CUDA_STANDIN_DEVICES", 1);
	driver.threads = (int)setting("CUDA_STANDIN_THREADS", sysconf(_SC_NPROCESSORS_ONLN));
	driver.order = order == NULL || strcmp(order, "forward") == 0 ? ORDER_FORWARD :
	    strcmp(order, "reverse") == 0 ? ORDER_REVERSE :
	    strcmp(order, "each") == 0 ? ORDER_EACH : ORDER_SHUFFLE;
	lint_start(getenv("CUDA_STANDIN_LINT"));
	stream_new(true);		/* the default stream is the first */
	return memory_total() > 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult
cuDriverGetVersion(int *v)
{
	*v = CUDA_VERSION;
	return CUDA_SUCCESS;
}

CUresult
cuDeviceGetCount(int *n)
{
	*n = driver.devices;
	return driver.started ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult
cuDeviceGet(CUdevice *d, int i)
{
	if (!driver.started)
		return CUDA_ERROR_NOT_INITIALIZED;
	*d = i;
	return is_device(i) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuDeviceGetName(char *name, int n, CUdevice d)
{
	snprintf(name, (size_t)n, "stand-in sm_%d", driver.sm);
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuDeviceTotalMem(size_t *n, CUdevice d)
{
	*n = memory_total();
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuDeviceGetUuid(CUuuid *u, CUdevice d)
{
	memset(u->bytes, 0x53, sizeof(u->bytes));
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuDeviceGetPCIBusId(char *s, int n, CUdevice d)
{
	snprintf(s, (size_t)n, "0000:%02x:00.0", (unsigned)d);
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* Bytes of shared memory that a block may have at most, after it asked for them. */
uint32_t
device_shared_most(void)
{
	switch (driver.sm) {
	case 75:	return 64 << 10;
	case 80:
	case 87:	return 163 << 10;
	case 90:
	case 100:
	case 103:	return 227 << 10;
	default:	return 99 << 10;
	}
}

CUresult
cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice d)
{
	static const struct { CUdevice_attribute a; int v; } table[] = {
		{ CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024 },
		{ CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024 },
		{ CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024 },
		{ CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64 },
		{ CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647 },
		{ CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535 },
		{ CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535 },
		{ CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 << 10 },
		{ CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 64 << 10 },
		{ CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32 },
		{ CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536 },
		{ CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536 },
		{ CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000 },
		{ CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000 },
		{ CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 1024 },
		{ CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4 },
		{ CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 4 << 20 },
		{ CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048 },
		{ CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 16 },
		{ CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 2 },
		{ CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1 },
		{ CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS, 1 },
		{ CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 1 },
		{ CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1 },
		{ CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED, 1 },
		{ CU_DEVICE_ATTRIBUTE_GPU_OVERLAP, 1 },
	};

	if (!is_device(d))
		return CUDA_ERROR_INVALID_DEVICE;
	*v = 0;
	if (a == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
		*v = driver.sm / 10;
	else if (a == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
		*v = driver.sm % 10;
	else if (a == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
		*v = (int)device_shared_most();
	else if (a == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)
		*v = (int)device_shared_most() + 1024;
	for (int i = 0; i < (int)(sizeof(table) / sizeof(table[0])); i++)
		if (table[i].a == a)
			*v = table[i].v;
	return CUDA_SUCCESS;
}

CUresult
cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d)
{
	if (!driver.started)
		return CUDA_ERROR_NOT_INITIALIZED;
	driver.contexts++;
	driver.device = d;
	*c = (CUcontext)&driver;
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuDevicePrimaryCtxRelease(CUdevice d)
{
	if (!is_device(d) || driver.contexts == 0)
		return !is_device(d) ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_CONTEXT;
	driver.contexts--;
	return CUDA_SUCCESS;
}

CUresult
cuDevicePrimaryCtxReset(CUdevice d)
{
	GUARD;

	driver.sticky = CUDA_SUCCESS;
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuDevicePrimaryCtxSetFlags(CUdevice d, unsigned flags)
{
	(void)flags;
	return is_device(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult
cuCtxCreate(CUcontext *c, CUctxCreateParams *params, unsigned flags, CUdevice d)
{
	(void)params;
	(void)flags;
	CUresult r = cuDevicePrimaryCtxRetain(c, d);

	if (r == CUDA_SUCCESS)
		current = *c;
	return r;
}

CUresult
cuCtxDestroy(CUcontext c)
{
	if (c != (CUcontext)&driver)
		return CUDA_ERROR_INVALID_CONTEXT;
	current = NULL;
	return cuDevicePrimaryCtxRelease(0);
}

CUresult
cuCtxSetCurrent(CUcontext c)
{
	if (c != NULL && (c != (CUcontext)&driver || driver.contexts == 0))
		return CUDA_ERROR_INVALID_CONTEXT;
	current = c;
	return CUDA_SUCCESS;
}

CUresult
cuCtxGetCurrent(CUcontext *c)
{
	*c = current;
	return CUDA_SUCCESS;
}

CUresult
cuCtxPushCurrent(CUcontext c)
{
	return cuCtxSetCurrent(c);
}

CUresult
cuCtxPopCurrent(CUcontext *c)
{
	if (c != NULL)
		*c = current;
	current = NULL;
	return CUDA_SUCCESS;
}

CUresult
cuCtxGetDevice(CUdevice *d)
{
	*d = driver.device;
	return current == NULL ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUresult
cuCtxSynchronize(void)
{
	GUARD;
	MAY_WAIT;
	stream_sync_all();
	return driver.sticky;
}

CUresult
cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	*least = 0;
	*greatest = -5;
	return CUDA_SUCCESS;
}

CUresult
cuModuleLoadData(CUmodule *out, const void *image)
{
	char msg[600], *text;
	struct module *m = NULL;
	GUARD;
	MAY_ALLOCATE;

	text = fatbin_ptx(image, driver.sm, msg, sizeof(msg));
	if (text == NULL) {
		find_report(F_INSN, NULL, "module: %s", msg);
		return CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	m = ptx_load(text, msg, sizeof(msg));
	if (m == NULL) {
		find_report(F_INSN, NULL, "module: %s", msg);
		return CUDA_ERROR_INVALID_PTX;
	}
	*out = (CUmodule)m;
	return CUDA_SUCCESS;
}

CUresult
cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned n, CUjit_option *o, void **v)
{
	(void)n, (void)o, (void)v;
	return cuModuleLoadData(out, image);
}

CUresult
cuModuleLoadFatBinary(CUmodule *out, const void *image)
{
	return cuModuleLoadData(out, image);
}

CUresult
cuModuleUnload(CUmodule m)
{
	GUARD;

	if (m == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	stream_sync_all();
	lint_write((struct module *)m);
	module_free((struct module *)m);
	return CUDA_SUCCESS;
}

CUresult
cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name)
{
	struct kernel *k;
	char msg[600];
	GUARD;

	k = module_kernel((struct module *)m, name, msg, sizeof(msg));
	*f = (CUfunction)k;
	if (k == NULL && msg[0] != '\0') {
		find_report(F_INSN, NULL, "kernel %s: %s", name, msg);
		return CUDA_ERROR_INVALID_PTX;
	}
	if (k == NULL)
		return CUDA_ERROR_NOT_FOUND;
	lint_kernel(k);
	return CUDA_SUCCESS;
}

CUresult
cuModuleGetFunctionCount(unsigned *n, CUmodule m)
{
	*n = (unsigned)((struct module *)m)->n_kernel;
	return CUDA_SUCCESS;
}

CUresult
cuModuleGetGlobal(CUdeviceptr *p, size_t *size, CUmodule h, const char *name)
{
	const struct module *m = (struct module *)h;

	for (int i = 0; i < m->n_var; i++)
		if (strcmp(m->var[i].name, name) == 0) {
			if (p != NULL)
				*p = m->var[i].addr;
			if (size != NULL)
				*size = m->var[i].size;
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_NOT_FOUND;
}

CUresult
cuLibraryLoadData(CUlibrary *l, const void *image, CUjit_option *jo, void **jv, unsigned nj,
    CUlibraryOption *lo, void **lv, unsigned nl)
{
	(void)jo, (void)jv, (void)nj, (void)lo, (void)lv, (void)nl;
	return cuModuleLoadData((CUmodule *)l, image);
}

CUresult
cuLibraryUnload(CUlibrary l)
{
	return cuModuleUnload((CUmodule)l);
}

CUresult
cuLibraryGetKernel(CUkernel *k, CUlibrary l, const char *name)
{
	return cuModuleGetFunction((CUfunction *)k, (CUmodule)l, name);
}

CUresult
cuKernelGetFunction(CUfunction *f, CUkernel k)
{
	*f = (CUfunction)k;
	return k == NULL ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

CUresult
cuFuncGetName(const char **name, CUfunction f)
{
	*name = ((struct kernel *)f)->name;
	return CUDA_SUCCESS;
}

/* Registers are ptxas's to count: here every kernel has as few as let any block run. */
CUresult
cuFuncGetAttribute(int *v, CUfunction_attribute a, CUfunction f)
{
	const struct kernel *k = (struct kernel *)f;

	switch (a) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = k->max_threads ? (int)k->max_threads : 1024; break;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *v = (int)k->shared; break;
	case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *v = (int)k->local; break;
	case CU_FUNC_ATTRIBUTE_NUM_REGS: *v = 64; break;
	case CU_FUNC_ATTRIBUTE_PTX_VERSION:
	case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *v = k->mod->sm; break;
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		*v = (int)(k->dynamic_most ? k->dynamic_most : SHARED_ANYWAY - k->shared);
		break;
	default: *v = 0;
	}
	return CUDA_SUCCESS;
}

CUresult
cuFuncSetAttribute(CUfunction f, CUfunction_attribute a, int v)
{
	struct kernel *k = (struct kernel *)f;
	GUARD;

	if (a == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
		return v >= -1 && v <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || v < 0 ||
	    (uint32_t)v + k->shared > device_shared_most())
		return CUDA_ERROR_INVALID_VALUE;
	k->dynamic_most = (uint32_t)v;
	return CUDA_SUCCESS;
}

CUresult
cuFuncSetCacheConfig(CUfunction f, CUfunc_cache c)
{
	(void)c;
	return f == NULL ? CUDA_ERROR_INVALID_HANDLE : CUDA_SUCCESS;
}

CUresult
cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction f, int threads, size_t dynamic)
{
	const struct kernel *k = (struct kernel *)f;
	size_t shared = k->shared + dynamic + 1024;
	int by_threads = 2048 / (threads > 0 ? threads : 1), by_shared =
	    (int)((device_shared_most() + 1024) / shared);

	*n = by_threads < by_shared ? by_threads : by_shared;
	return threads > 0 && threads <= 1024 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static const struct { CUresult r; const char *name, *text; } errors[] = {
	{ CUDA_SUCCESS, "CUDA_SUCCESS", "no error" },
	{ CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument" },
	{ CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory" },
	{ CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error" },
	{ CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected" },
	{ CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal" },
	{ CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context" },
	{ CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
	  "no kernel image is available for execution on the device" },
	{ CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed" },
	{ CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle" },
	{ CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE",
	  "the operation cannot be performed in the present state" },
	{ CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found" },
	{ CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready" },
	{ CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
	  "an illegal memory access was encountered" },
	{ CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address" },
	{ CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
	  "too many resources requested for launch" },
	{ CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure" },
	{ CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported" },
	{ CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
	  "operation not permitted when stream is capturing" },
	{ CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
	  "operation failed due to a previous error during capture" },
	{ CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
	  "attempt to terminate a thread-local capture sequence from another thread" },
	{ CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
	  "the capture was not initiated in this stream" },
	{ CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
	  "capturing stream has unjoined work" },
	{ CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
	  "dependency created on uncaptured work in another stream" },
};

static int
error_index(CUresult r)
{
	for (int i = 0; i < (int)(sizeof(errors) / sizeof(errors[0])); i++)
		if (errors[i].r == r)
			return i;
	return -1;
}

CUresult
cuGetErrorName(CUresult r, const char **s)
{
	int i = error_index(r);

	*s = i < 0 ? NULL : errors[i].name;
	return i < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult
cuGetErrorString(CUresult r, const char **s)
{
	int i = error_index(r);

	*s = i < 0 ? NULL : errors[i].text;
	return i < 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* The newest form of a symbol, as a program built with this cuda.h expects. */
CUresult
cuGetProcAddress(const char *symbol, void **p, int version, cuuint64_t flags,
    CUdriverProcAddressQueryResult *status)
{
	static const char *const endings[] = { "_v4", "_v3", "_v2", "", "WithFlags" };
	Dl_info self;
	void *h;

	(void)version;
	(void)flags;
	*p = NULL;
	dladdr(&driver, &self);
	h = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	for (int i = 0; i < 5 && h != NULL && *p == NULL; i++) {
		char name[200];

		snprintf(name, sizeof(name), "%s%s", symbol, endings[i]);
		*p = dlsym(h, name);
	}
	if (status != NULL)
		*status = *p == NULL ? CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND : CU_GET_PROC_ADDRESS_SUCCESS;
	if (h != NULL)
		dlclose(h);
	return *p == NULL ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}
