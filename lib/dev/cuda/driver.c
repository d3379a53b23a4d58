#include "dev/cuda/driver.h"

#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libcuda.so.1"

static int
bind(struct cuda_driver *d, struct err *err)
{
	void *sym;

#define X(name, args)								\
	sym = dlsym(d->library, #name);						\
	if (sym == NULL)							\
		return err_set(err, ERR_DEVICE, LIBRARY " has no " #name ": the driver is too " \
		    "old; update it, or use -d cpu");				\
	memcpy(&d->name, &sym, sizeof(sym));
	CUDA_CALLS(X)
#undef X
	return 0;
}

static int
start(struct cuda_driver *d, int *n, struct err *err)
{
	CUresult r = d->cuInit(0);

	if (r == CUDA_SUCCESS)
		r = d->cuDeviceGetCount(n);
	if (r == CUDA_SUCCESS && *n > 0)
		return 0;
	if (r == CUDA_SUCCESS || r == CUDA_ERROR_NO_DEVICE)
		return err_set(err, ERR_DEVICE, "the driver sees no GPU: look at nvidia-smi(1) and "
		    "CUDA_VISIBLE_DEVICES, or use -d cpu");
	if (r == CUDA_ERROR_STUB_LIBRARY)
		return err_set(err, ERR_DEVICE, LIBRARY " is the CUDA toolkit's stub, not a "
		    "driver: take it out of LD_LIBRARY_PATH, or use -d cpu");
	if (r == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)
		return err_set(err, ERR_DEVICE, LIBRARY " and the kernel's module are of different "
		    "versions: reboot after an update of the driver, or use -d cpu");
	return err_set(err, ERR_DEVICE, "the driver does not start: %s; look at nvidia-smi(1), or "
	    "use -d cpu", cuda_error_name(d, r));
}

int
cuda_driver_open(struct cuda_driver *d, int *n, struct err *err)
{
	*d = (struct cuda_driver){ .library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL) };
	*n = 0;
	if (d->library == NULL)
		return err_set(err, ERR_DEVICE, "no " LIBRARY " on this machine: install "
		    "NVIDIA's driver, or use -d cpu");
	if (bind(d, err) < 0 || start(d, n, err) < 0) {
		cuda_driver_close(d);
		return -1;
	}
	return 0;
}

void
cuda_driver_close(struct cuda_driver *d)
{
	if (d->library != NULL)
		dlclose(d->library);
	d->library = NULL;
}

const char *
cuda_error_name(const struct cuda_driver *d, CUresult r)
{
	const char *name = NULL;

	return d->cuGetErrorName(r, &name) == CUDA_SUCCESS && name != NULL ? name :
	    "an unknown error";
}
