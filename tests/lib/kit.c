#include "kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "memory.h"
#include "refdev.h"

static const char *const isas[] = { "cpu:avx512", "cpu:avx2", "cpu:base" };

int
kit_init(struct kit *k, uint64_t seed)
{
	struct err err = { 0 };

	*k = (struct kit){ .seed = seed, .act = DTYPE_F32 };
	k->ref = refdev_open(NULL, &err);
	k->team = team_new(1, &err);
	if (k->ref == NULL || k->team == NULL)
		return -1;
	k->gpu = dev_open("cuda", k->team, DEV_STRICT, &err);
	k->alone = k->gpu != NULL && getenv("KIT_GPU") != NULL;
	return 0;
}

void
kit_free(struct kit *k)
{
	kit_reset(k);
	dev_close(k->ref);
	dev_close(k->gpu);
	team_free(k->team);
}

void
kit_reset(struct kit *k)
{
	for (int i = 0; i < k->n; i++) {
		free(k->buf[i].from);
		free(k->buf[i].want);
		dev_free(k->ref, k->buf[i].ref);
	}
	k->n = 0;
}

int64_t
kit_draw(struct kit *k, int64_t from, int64_t to)
{
	return from + (int64_t)rng_below(k->seed, 1, k->drawn++, (uint64_t)(to - from + 1));
}

double
kit_normal(struct kit *k)
{
	return rng_normal(k->seed, 2, k->drawn++);
}

/* Bytes of a buffer on the reference, or on a device. */
static int64_t
size_of(const struct kit_buf *b, bool on_ref)
{
	dtype type = on_ref ? DTYPE_F64 : b->type;

	return b->n * (b->kind == KIT_BYTES ? 1 : b->kind == KIT_INT ? 4 : dtype_size(type));
}

static int
add_buf(struct kit *k, struct kit_buf b)
{
	struct err err = { 0 };

	b.ref = dev_alloc(k->ref, size_of(&b, true), &err);
	must(k->n < KIT_BUFS && b.ref.at != 0 ? k : NULL);
	b.want = must(malloc((size_t)size_of(&b, true) + 1));
	k->buf[k->n] = b;
	return k->n++;
}

static int
add_floats(struct kit *k, dtype type, int64_t n, int64_t valid, double std, bool out)
{
	double *x = must(malloc((size_t)n * sizeof(*x) + 1));
	char t[8];

	for (int64_t i = 0; i < n; i++) {
		x[i] = i < valid ? std * kit_normal(k) : (double)NAN;
		dtype_convert(t, type, &x[i], DTYPE_F64, 1);
		dtype_convert(&x[i], DTYPE_F64, t, type, 1);
	}
	return add_buf(k, (struct kit_buf){ .kind = KIT_FLOAT, .out = out, .type = type, .n = n,
	    .from = x });
}

int
kit_in_as(struct kit *k, dtype type, int64_t n, int64_t valid, double std)
{
	return add_floats(k, type, n, valid, std, false);
}

int
kit_out_as(struct kit *k, dtype type, int64_t n)
{
	return add_floats(k, type, n, n, 1, true);
}

int
kit_in(struct kit *k, int64_t n, int64_t valid, double std)
{
	return kit_in_as(k, k->act, n, valid, std);
}

int
kit_out(struct kit *k, int64_t n)
{
	return kit_out_as(k, k->act, n);
}

int
kit_wide_in(struct kit *k, int64_t n, int64_t valid, double std)
{
	return kit_in_as(k, DTYPE_F32, n, valid, std);
}

int
kit_wide_out(struct kit *k, int64_t n)
{
	return kit_out_as(k, DTYPE_F32, n);
}

int
kit_ints(struct kit *k, int64_t n, const int32_t *values)
{
	int32_t *x = must(malloc((size_t)n * sizeof(*x) + 1));

	memcpy(x, values, (size_t)n * sizeof(*x));
	return add_buf(k, (struct kit_buf){ .kind = KIT_INT, .n = n, .from = x });
}

int
kit_ints_out(struct kit *k, int64_t n)
{
	return add_buf(k, (struct kit_buf){ .kind = KIT_INT, .out = true, .n = n,
	    .from = must(calloc((size_t)n + 1, sizeof(int32_t))) });
}

int
kit_bytes(struct kit *k, int64_t bytes, const void *from, bool out)
{
	char *x = must(malloc((size_t)bytes + 1));

	memcpy(x, from, (size_t)bytes);
	return add_buf(k, (struct kit_buf){ .kind = KIT_BYTES, .out = out, .n = bytes,
	    .from = x });
}

dptr
kit_at(const struct kit *k, int i)
{
	return k->on_ref ? k->buf[i].ref : k->buf[i].dev;
}

dtype
kit_type_of(const struct kit *k, int i)
{
	return k->on_ref ? DTYPE_F64 : k->buf[i].type;
}

double
kit_want(const struct kit *k, int buf, int64_t i)
{
	return ((const double *)k->buf[buf].want)[i];
}

static bool
run_reference(struct kit *k, int kernel, void (*args)(struct kit *, union dev_args *))
{
	union dev_args a = { 0 };
	struct err err = { 0 };

	k->on_ref = true;
	k->type = DTYPE_F64;
	for (int i = 0; i < k->n; i++)
		dev_upload(k->ref, k->buf[i].ref, k->buf[i].from,
		    size_of(&k->buf[i], true));
	args(k, &a);
	dev_launch(k->ref, kernel, &a);
	for (int i = 0; i < k->n; i++)
		dev_download(k->ref, k->buf[i].want, k->buf[i].ref,
		    size_of(&k->buf[i], true));
	if (dev_wait(k->ref, &err) == 0)
		return true;
	printf("# reference: %s\n", err.msg);
	return false;
}

/* Upload, launch, and download all buffers into got[], malloced. */
static bool
run_device(struct kit *k, struct dev *d, int kernel,
    void (*args)(struct kit *, union dev_args *), void **got)
{
	union dev_args a = { 0 };
	struct err err = { 0 };

	k->on_ref = false;
	k->type = k->act;
	for (int i = 0; i < k->n; i++) {
		struct kit_buf *b = &k->buf[i];
		int64_t bytes = size_of(b, false);
		void *x = must(malloc((size_t)bytes + 1));

		b->dev = dev_alloc(d, bytes, &err);
		must(b->dev.at != 0 ? x : NULL);
		if (b->kind == KIT_FLOAT)
			dtype_convert(x, b->type, b->from, DTYPE_F64, b->n);
		else
			memcpy(x, b->from, (size_t)bytes);
		dev_upload(d, b->dev, x, bytes);
		got[i] = x;
	}
	args(k, &a);
	if (dev_check(d, kernel, &a, &err) == 0)
		dev_launch(d, kernel, &a);
	for (int i = 0; i < k->n; i++)
		dev_download(d, got[i], k->buf[i].dev, size_of(&k->buf[i], false));
	if (err.code == ERR_NONE && dev_wait(d, &err) == 0)
		return true;
	printf("# %s: %s\n", d->info.name, err.msg);
	return false;
}

/* Largest difference over largest magnitude; infinite where one is NaN and one is not. */
static double
distance(const struct kit_buf *b, const void *got)
{
	const double *want = b->want;
	double worst = 0, large = 1e-30, *x = must(malloc((size_t)b->n * sizeof(*x) + 1));

	dtype_convert(x, DTYPE_F64, got, b->type, b->n);
	for (int64_t i = 0; i < b->n; i++) {
		double g = x[i];

		if (g != g && want[i] != want[i])
			continue;
		if (g == want[i])
			continue;
		if (!isfinite(g) || !isfinite(want[i])) {
			worst = HUGE_VAL;
			break;
		}
		worst = fmax(worst, fabs(g - want[i]));
		large = fmax(large, fabs(want[i]));
	}
	free(x);
	return worst / large;
}

/* What rounding to a type may add to a difference. */
static double
rounding(const struct kit_buf *b)
{
	return b->kind != KIT_FLOAT ? 0 : b->type == DTYPE_BF16 ? 0x1p-8 :
	    b->type == DTYPE_F16 ? 0x1p-10 : 0;
}

/* Bytes that are doubles, or integers that must be equal. */
static double
distance_each(const struct kit_buf *b, const double *got)
{
	const double *want = b->want;
	double worst = 0;

	for (int64_t i = 0; i < b->n / 8; i++) {
		if (memcmp(&got[i], &want[i], 8) == 0 || (got[i] != got[i] && want[i] != want[i]))
			continue;
		if (!isfinite(got[i]) || !isfinite(want[i]) || want[i] == 0)
			return HUGE_VAL;
		worst = fmax(worst, fabs(got[i] / want[i] - 1));
	}
	return worst;
}

static bool
near(const struct kit *k, const char *name, void **got, double tol)
{
	bool good = true;

	for (int i = 0; i < k->n; i++) {
		const struct kit_buf *b = &k->buf[i];
		double e;

		if (b->out) {
			e = b->kind == KIT_FLOAT ? distance(b, got[i]) :
			    b->kind == KIT_BYTES ? distance_each(b, got[i]) :
			    memcmp(b->want, got[i], (size_t)b->n * 4) == 0 ? 0 : HUGE_VAL;
			if (e <= tol + rounding(b))
				continue;
			printf("# %s: buffer %d is off by %g, %g allowed\n", name, i, e,
			    tol + rounding(b));
			good = false;
		} else {
			void *x = must(malloc((size_t)size_of(b, false) + 1));

			if (b->kind == KIT_FLOAT)
				dtype_convert(x, b->type, b->from, DTYPE_F64, b->n);
			else
				memcpy(x, b->from, (size_t)size_of(b, false));
			if (memcmp(x, got[i], (size_t)size_of(b, false)) != 0) {
				printf("# %s: input %d was written\n", name, i);
				good = false;
			}
			free(x);
		}
	}
	return good;
}

static bool
same(const struct kit *k, const char *name, void **a, void **b)
{
	for (int i = 0; i < k->n; i++)
		if (memcmp(a[i], b[i], (size_t)size_of(&k->buf[i], false)) != 0) {
			printf("# %s: bits of buffer %d depend on threads or mode\n", name, i);
			return false;
		}
	return true;
}

static void
drop(const struct kit *k, void **got)
{
	for (int i = 0; i < k->n; i++) {
		free(got[i]);
		got[i] = NULL;
	}
}

/* All ways to run on one instruction set; absent ones agree. */
static bool
isa_agrees(struct kit *k, const char *name, int kernel,
    void (*args)(struct kit *, union dev_args *), double tol)
{
	void *first[KIT_BUFS] = { 0 }, *got[KIT_BUFS] = { 0 };
	bool good = true;

	for (int way = 0; way < 3 && good; way++) {
		struct err err = { 0 };
		struct team *team = team_new(way == 2 ? 3 : 1, &err);
		struct dev *d = dev_open(name, must(team), way > 0 ? DEV_STRICT : 0, &err);

		if (d == NULL) {
			team_free(team);
			return true;
		}
		good = run_device(k, d, kernel, args, way == 0 ? first : got);
		if (good)
			good = way == 0 ? near(k, name, first, tol) : same(k, name, first, got);
		if (way > 0)
			drop(k, got);
		dev_close(d);
		team_free(team);
	}
	drop(k, first);
	return good;
}

static void
free_on(struct kit *k, struct dev *d)
{
	for (int i = 0; i < k->n; i++)
		dev_free(d, k->buf[i].dev);
}

/* Some twice: memory is fresh each time, and the stand-in has threads in another order. */
static bool
gpu_agrees(struct kit *k, int kernel, void (*args)(struct kit *, union dev_args *), double tol)
{
	void *first[KIT_BUFS] = { 0 }, *got[KIT_BUFS] = { 0 };
	bool good = run_device(k, k->gpu, kernel, args, first);

	free_on(k, k->gpu);
	good = good && near(k, k->gpu->info.name, first, tol);
	if (good && k->cases[kernel]++ % 3 == 0)
		good = run_device(k, k->gpu, kernel, args, got) &&
		    same(k, k->gpu->info.name, first, got);
	if (got[0] != NULL)
		free_on(k, k->gpu);
	drop(k, got);
	drop(k, first);
	return good;
}

/* Is it a launch that the GPU has a kernel for? */
static bool
gpu_serves(struct kit *k, int kernel, void (*args)(struct kit *, union dev_args *))
{
	union dev_args a = { 0 };
	struct err err = { 0 };

	k->on_ref = false;
	k->type = k->act;
	args(k, &a);
	return dev_check(k->gpu, kernel, &a, &err) == 0 ||
	    strstr(err.msg, "yet: use -d cpu") == NULL;
}

bool
kit_agrees(struct kit *k, int kernel, void (*args)(struct kit *k, union dev_args *a), double tol)
{
	bool good = run_reference(k, kernel, args);

	for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]) && !k->alone; i++)
		good = good && isa_agrees(k, isas[i], kernel, args, tol);
	if (good && k->gpu != NULL && gpu_serves(k, kernel, args))
		good = gpu_agrees(k, kernel, args, tol);
	if (!good)
		printf("# in %s\n", dev_kernel_name(kernel));
	return good;
}
