#include "dev/cuda/cuda.h"

#include <string.h>
#include <time.h>

/* What the GPU can do at most. */

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/*
 * Operations a clock of one multiprocessor, sums in fp32, from NVIDIA's
 * architecture papers: multiply-adds count two.
 */
static const struct {
	int	major, minor;
	double	f32, tf32, bf16, int8;
} rate[] = {
	{ 8, 0, 128, 1024, 2048, 4096 }, { 8, 6, 256, 256, 512, 2048 },
	{ 8, 9, 256, 256, 512, 2048 }, { 9, 0, 256, 2048, 4096, 8192 },
	{ 10, 0, 256, 4096, 8192, 16384 }, { 12, 0, 256, 256, 512, 2048 },
};

/* Nominal: at the clock that the driver tells. */
void
cuda_measure(struct dev *dev, struct dev_info *info)
{
	struct cuda *c = (struct cuda *)dev;
	int khz = 0;
	double all;

	if (!CUDA_CALL(c, cuDeviceGetAttribute, &khz, CU_ATTRIBUTE_CLOCK_RATE, c->device))
		return;
	all = (double)c->processors * khz * 1e3;
	for (size_t i = 0; i < sizeof(rate) / sizeof(rate[0]); i++)
		if (c->major > rate[i].major ||
		    (c->major == rate[i].major && c->minor >= rate[i].minor)) {
			info->peak_f32 = all * (c->tf32 ? rate[i].tf32 : rate[i].f32);
			info->peak_bf16 = all * rate[i].bf16;
			info->peak_int8 = all * rate[i].int8;
		}
}

enum { MOST = 256 << 20, RUNS = 8 };

/* Bytes a second of RUNS launches of a kernel that touches as many each. */
static double
speed(struct dev *dev, int kernel, const union dev_args *a, int64_t bytes, struct err *err)
{
	double t;

	if (dev_check(dev, kernel, a, err) < 0)
		return 0;
	dev_launch(dev, kernel, a);
	if (dev_wait(dev, err) < 0)
		return 0;
	t = seconds();
	for (int i = 0; i < RUNS; i++)
		dev_launch(dev, kernel, a);
	if (dev_wait(dev, err) < 0)
		return 0;
	return (double)(RUNS * bytes) / (seconds() - t);
}

int
cuda_bandwidth(struct dev *dev, struct dev_bandwidth *b, struct err *err)
{
	int64_t some = dev->info.memory / 16 / 256 * 256, n = some < MOST ? some : MOST;
	dptr p = dev_alloc(dev, n, err), out = dev_alloc(dev, sizeof(double), err);
	union dev_args read = { .sumsq = { out, p, DTYPE_F32, n / 4 } };
	union dev_args write = { .fill = { p, DTYPE_F32, n / 4, 1 } };
	union dev_args copy = { .copy = { p, dptr_add(p, n / 2), n / 2 } };
	bool good = p.at != 0 && out.at != 0;

	if (good) {
		b->read = speed(dev, K_SUMSQ, &read, n, err);
		b->write = speed(dev, K_FILL, &write, n, err);
		b->copy = speed(dev, K_COPY, &copy, n, err);
		good = b->read > 0 && b->write > 0 && b->copy > 0;
	}
	dev_free(dev, out);
	dev_free(dev, p);
	return good ? 0 : -1;
}
