#include "dev/cpu/cpu.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/isa.h"
#include "dev/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

#define HUGE ((int64_t)2 << 20)
#define PAGE ((int64_t)4096)

/* Tasks of about this many vector operations; a launch of fewer runs on the caller. */
enum { TASK_COST = 8192, INLINE_COST = 8192 };

/* Memory that dev_alloc() gave: the mapping holds the bytes and, strict, a dead page after. */
struct cpu_region {
	char	*p;
	int64_t	 bytes;
	char	*map;
	int64_t	 map_bytes, live_bytes;
};

struct cpu_queue {
	enum { Q_LAUNCH, Q_UPLOAD, Q_DOWNLOAD } kind;
	int		 kernel;
	union dev_args	 args;
	void		*host;		/* Q_UPLOAD: a copy, ours; Q_DOWNLOAD: theirs */
	dptr		 at;
	int64_t		 bytes;
};

#if defined(__x86_64__)
extern const struct cpu_isa cpu_isa_amx, cpu_isa_avx512bf16, cpu_isa_avx512, cpu_isa_avx2;

/*
 * Are there tiles of bf16, and does the kernel let us have them?
 * It wants to be asked: Linux, Documentation/arch/x86/xstate.rst.
 */
static bool
amx_granted(void)
{
	enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
	enum { FEATURES = 1 << 22 | 1 << 24 };	/* bf16, tile */
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & FEATURES) == FEATURES &&
	    syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#endif
extern const struct cpu_isa cpu_isa_base;

struct isa_choice {
	const struct cpu_isa *isa;
	bool	here;
};

enum { MAX_ISAS = 5 };

/* All that this build has, best first. */
static int
isa_list(struct isa_choice *list)
{
	int n = 0;

#if defined(__x86_64__)
	enum isa best = isa_best();

	list[n++] = (struct isa_choice){ &cpu_isa_amx, best >= ISA_LEVEL_AVX512BF16 &&
	    amx_granted() };
	list[n++] = (struct isa_choice){ &cpu_isa_avx512bf16, best >= ISA_LEVEL_AVX512BF16 };
	list[n++] = (struct isa_choice){ &cpu_isa_avx512, best >= ISA_LEVEL_AVX512 };
	list[n++] = (struct isa_choice){ &cpu_isa_avx2, best >= ISA_LEVEL_AVX2 };
#endif
	list[n++] = (struct isa_choice){ &cpu_isa_base, true };
	return n;
}

static const struct cpu_isa *
isa_find(const char *name, struct err *err)
{
	struct isa_choice list[MAX_ISAS];
	int n = isa_list(list), left = 0;
	char have[128] = "";

	for (int i = 0; i < n; i++)
		if (list[i].here && (name == NULL || strcmp(name, list[i].isa->name) == 0))
			return list[i].isa;
	for (int i = 0; i < n; i++)
		left += list[i].here;
	for (int i = 0; i < n; i++) {
		size_t at = strlen(have);

		if (!list[i].here)
			continue;
		left--;
		snprintf(have + at, sizeof(have) - at, "%s%s", at == 0 ? "" :
		    left == 0 ? " and " : ", ", list[i].isa->name);
	}
	err_set(err, ERR_DEVICE, "cpu:%s: this machine has %s", name, have);
	return NULL;
}

void
cpu_fail(struct cpu *c, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (c->failed)
		return;
	c->failed = true;
	c->err.code = code;
	va_start(ap, fmt);
	vsnprintf(c->err.msg, sizeof(c->err.msg), fmt, ap);
	va_end(ap);
}

int64_t
cpu_count(struct cpu *c, struct dim d)
{
	int64_t n = d.n.at == 0 || c->measuring ? d.cap : *cpu_i32(d.n) * (d.each > 0 ? d.each : 1);

	if (n < 0 || n > d.cap) {
		cpu_fail(c, ERR_DEVICE, "%lld rows where %lld were planned", (long long)n,
		    (long long)d.cap);
		return -1;
	}
	return n;
}

void *
cpu_scratch(struct cpu *c, int64_t bytes)
{
	if (c->measuring) {
		c->measured = bytes > c->measured ? bytes : c->measured;
		return NULL;
	}
	if (bytes > c->scratch_bytes) {
		int64_t want = bytes + bytes / 4, align = want >= 2 * HUGE ? HUGE : PAGE;

		want = (want + align - 1) & -align;
		c->works++;
		free(c->scratch);
		c->scratch = aligned_alloc((size_t)align, (size_t)want);
		if (c->scratch != NULL && align == HUGE)
			madvise(c->scratch, (size_t)want, MADV_HUGEPAGE);
		c->scratch_bytes = c->scratch == NULL ? 0 : want;
		if (c->scratch == NULL) {
			cpu_fail(c, ERR_NOMEM, "no memory for %lld bytes of scratch",
			    (long long)want);
			return NULL;
		}
	}
	return c->scratch;
}

void
cpu_run(struct cpu_job *job, int64_t cost, void (*fn)(void *job, int64_t task, int member))
{
	int64_t tasks;

	if (job->n <= 0 || job->c->measuring)
		return;
	if (cost < 1)
		cost = 1;
	if (job->step == 0)
		job->step = cost < TASK_COST ? TASK_COST / cost : 1;
	tasks = (job->n + job->step - 1) / job->step;
	if (tasks == 1 || job->n <= INLINE_COST / cost || team_size(job->c->dev.team) == 1) {
		for (int64_t i = 0; i < tasks; i++)
			fn(job, i, 0);
		return;
	}
	team_run(job->c->dev.team, tasks, fn, job);
}

/* ---- memory ---- */

static int64_t
round_up(int64_t n, int64_t to)
{
	return (n + to - 1) / to * to;
}

/* Add an empty entry for a region. */
static struct cpu_region *
region_add(struct cpu *c, struct err *err)
{
	struct cpu_region *r;

	c->works++;
	if (c->n_regions == c->cap_regions) {
		int64_t cap = c->cap_regions * 2 + 16;

		r = realloc(c->region, (size_t)cap * sizeof(*r));
		if (r == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return NULL;
		}
		c->region = r;
		c->cap_regions = cap;
	}
	r = &c->region[c->n_regions++];
	*r = (struct cpu_region){ 0 };
	return r;
}

/*
 * Strict memory ends at a page that no one may touch and starts unreadable.
 * Else large memory starts where a huge page can.
 */
static dptr
op_alloc(struct dev *dev, int64_t bytes, struct err *err)
{
	struct cpu *c = (struct cpu *)dev;
	int64_t page = sysconf(_SC_PAGESIZE), live, extra;
	struct cpu_region *r;
	char *map;

	if (bytes < 0 || bytes > INT64_MAX / 4) {
		err_set(err, ERR_NOMEM, "no memory for %lld bytes", (long long)bytes);
		return (dptr){ 0 };
	}
	live = round_up(bytes > 0 ? bytes : 1, page);
	extra = c->strict ? page : live >= 2 * HUGE ? HUGE : 0;
	map = mmap(NULL, (size_t)(live + extra), c->strict ? PROT_NONE : PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		err_set(err, ERR_NOMEM, "no memory for %lld bytes on the device",
		    (long long)bytes);
		return (dptr){ 0 };
	}
	r = region_add(c, err);
	if (r == NULL) {
		munmap(map, (size_t)(live + extra));
		return (dptr){ 0 };
	}
	*r = (struct cpu_region){ map, bytes, map, live + extra, live };
	if (c->strict) {
		r->p = map + live - round_up(bytes > 0 ? bytes : 1, 256);
	} else if (extra > 0) {
		r->p = map + (-(uintptr_t)map & (uintptr_t)(HUGE - 1));
		madvise(r->p, (size_t)live, MADV_HUGEPAGE);
	}
	return (dptr){ (uintptr_t)r->p };
}

static void
op_free(struct dev *dev, dptr p)
{
	struct cpu *c = (struct cpu *)dev;

	for (int64_t i = 0; i < c->n_regions; i++) {
		struct cpu_region *r = &c->region[i];

		if (r->p != cpu_ptr(p))
			continue;
		if (r->map != NULL)
			munmap(r->map, (size_t)r->map_bytes);
		*r = c->region[--c->n_regions];
		return;
	}
	assert(0 && "free of memory that is not the device's");
}

static dptr
op_import(struct dev *dev, const void *p, int64_t bytes, struct err *err)
{
	struct cpu_region *r = region_add((struct cpu *)dev, err);

	if (r == NULL)
		return (dptr){ 0 };
	r->p = (char *)(uintptr_t)p;
	r->bytes = bytes;
	return (dptr){ (uintptr_t)p };
}

/* Strict mode's lock on all device memory. */
static void
protect(struct cpu *c, int prot)
{
	for (int64_t i = 0; i < c->n_regions; i++)
		if (c->region[i].map != NULL)
			mprotect(c->region[i].map, (size_t)c->region[i].live_bytes, prot);
}

/* ---- the queue ---- */

static int
check(const struct cpu *c, int kernel, const union dev_args *a, struct err *err)
{
	if (kernel < 0 || kernel >= K_COUNT || c->isa->kernel[kernel] == NULL)
		return err_set(err, ERR_DEVICE, "%s: not on %s", dev_kernel_name(kernel),
		    c->dev.info.name);
	return dev_serves(c->dev.info.name, kernel, a, err);
}

static void
launch_now(struct cpu *c, int kernel, const union dev_args *a)
{
	if (c->failed)
		return;
	if (check(c, kernel, a, &c->err) < 0) {
		c->failed = true;
		return;
	}
	c->works++;
	c->isa->kernel[kernel](c, a);
	if (c->failed)
		err_wrap(&c->err, "%s", dev_kernel_name(kernel));
}

static struct cpu_queue *
queue_add(struct cpu *c)
{
	if (c->n_queued == c->cap_queue) {
		int64_t cap = c->cap_queue * 2 + 64;
		struct cpu_queue *q = realloc(c->queue, (size_t)cap * sizeof(*q));

		if (q == NULL) {
			cpu_fail(c, ERR_NOMEM, "out of memory");
			return NULL;
		}
		c->queue = q;
		c->cap_queue = cap;
	}
	return &c->queue[c->n_queued++];
}

static void
op_upload(struct dev *dev, dptr to, const void *from, int64_t bytes)
{
	struct cpu *c = (struct cpu *)dev;
	struct cpu_queue *q;
	void *copy;

	if (c->failed || bytes <= 0)
		return;
	if (!c->strict) {
		c->works++;
		memcpy(cpu_ptr(to), from, (size_t)bytes);
		return;
	}
	copy = malloc((size_t)bytes);
	q = copy == NULL ? NULL : queue_add(c);
	if (q == NULL) {
		free(copy);
		cpu_fail(c, ERR_NOMEM, "out of memory");
		return;
	}
	memcpy(copy, from, (size_t)bytes);
	*q = (struct cpu_queue){ .kind = Q_UPLOAD, .host = copy, .at = to, .bytes = bytes };
}

static void
op_download(struct dev *dev, void *to, dptr from, int64_t bytes)
{
	struct cpu *c = (struct cpu *)dev;
	struct cpu_queue *q;

	if (c->failed || bytes <= 0)
		return;
	if (!c->strict) {
		memcpy(to, cpu_ptr(from), (size_t)bytes);
		return;
	}
	q = queue_add(c);
	if (q != NULL)
		*q = (struct cpu_queue){ .kind = Q_DOWNLOAD, .host = to, .at = from,
		    .bytes = bytes };
}

/* Kernels whose scratch is large, or grows with the tokens: of others it is small. */
static bool
measurable(int kernel)
{
	return kernel == K_MATMUL || kernel == K_ATTENTION || kernel == K_ATTENTION_BWD ||
	    kernel == K_BIAS_BWD || kernel == K_RMSNORM_BWD || kernel == K_LAYERNORM_BWD ||
	    kernel == K_SCAN_BWD || kernel == K_ROUTE_SUM || kernel == K_COLLECTIVE;
}

static int64_t
op_scratch(struct dev *dev, int kernel, const union dev_args *a)
{
	struct cpu *c = (struct cpu *)dev;
	union dev_args one;

	if (kernel == K_GROUPED) {
		kernel = K_MATMUL;
		one.matmul = a->grouped.p;
		a = &one;
	}
	if (!measurable(kernel) || c->isa->kernel[kernel] == NULL)
		return 0;
	c->measuring = true;
	c->measured = 0;
	c->isa->kernel[kernel](c, a);
	c->measuring = false;
	return c->measured;
}

static int
op_check(struct dev *dev, int kernel, const union dev_args *a, struct err *err)
{
	struct cpu *c = (struct cpu *)dev;
	int64_t bytes;

	if (check(c, kernel, a, err) < 0)
		return -1;
	bytes = op_scratch(dev, kernel, a);
	if (bytes > 0 && cpu_scratch(c, bytes) == NULL)
		return err_set(err, ERR_NOMEM, "no memory for %lld bytes of scratch",
		    (long long)bytes);
	return 0;
}

static void
op_launch(struct dev *dev, int kernel, const union dev_args *a)
{
	struct cpu *c = (struct cpu *)dev;
	struct cpu_queue *q;

	if (!c->strict) {
		launch_now(c, kernel, a);
		return;
	}
	q = c->failed ? NULL : queue_add(c);
	if (q != NULL)
		*q = (struct cpu_queue){ .kind = Q_LAUNCH, .kernel = kernel, .args = *a };
}

static void
queue_run(struct cpu *c)
{
	protect(c, PROT_READ | PROT_WRITE);
	for (int64_t i = 0; i < c->n_queued; i++) {
		struct cpu_queue *q = &c->queue[i];

		if (q->kind == Q_LAUNCH) {
			launch_now(c, q->kernel, &q->args);
		} else if (q->kind == Q_UPLOAD) {
			c->works++;
			if (!c->failed)
				memcpy(cpu_ptr(q->at), q->host, (size_t)q->bytes);
			free(q->host);
		} else if (!c->failed) {
			memcpy(q->host, cpu_ptr(q->at), (size_t)q->bytes);
		}
	}
	c->n_queued = 0;
	protect(c, PROT_NONE);
}

static int
op_wait(struct dev *dev, struct err *err)
{
	struct cpu *c = (struct cpu *)dev;

	if (c->strict)
		queue_run(c);
	if (!c->failed)
		return 0;
	*err = c->err;
	return -1;
}

/* ---- the device ---- */

static void
op_close(struct dev *dev)
{
	struct cpu *c = (struct cpu *)dev;

	for (int64_t i = 0; i < c->n_queued; i++)
		if (c->queue[i].kind == Q_UPLOAD)
			free(c->queue[i].host);
	for (int64_t i = 0; i < c->n_regions; i++)
		if (c->region[i].map != NULL)
			munmap(c->region[i].map, (size_t)c->region[i].map_bytes);
	free(c->queue);
	free(c->region);
	free(c->scratch);
	free(c);
}

static const struct dev_ops cpu_ops = {
	.name = "cpu", .close = op_close, .measure = cpu_measure,
	.bandwidth = cpu_bandwidth,
	.alloc = op_alloc, .free = op_free, .import = op_import,
	.upload = op_upload, .download = op_download,
	.check = op_check, .scratch = op_scratch, .launch = op_launch, .wait = op_wait,
};

struct dev *
cpu_open(const char *isa, struct team *team, unsigned flags, struct err *err)
{
	const struct cpu_isa *found = isa_find(isa, err);
	struct cpu *c;

	if (found == NULL)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->dev.ops = &cpu_ops;
	c->dev.team = team;
	if (team != NULL)
		team_pin(team);
	c->isa = found;
	c->strict = (flags & DEV_STRICT) != 0;
	c->dev.info.memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	snprintf(c->dev.info.name, sizeof(c->dev.info.name), "cpu:%s", found->name);
	return &c->dev;
}
