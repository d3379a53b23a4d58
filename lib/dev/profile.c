#include "dev/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/stream.h"

enum { BLOCK_NAME = 24 };

struct event {
	double	start, seconds;
	int	row;
	char	block[BLOCK_NAME];
};

struct profile {
	struct dev	*dev;
	bool		 on;
	const char	*phase;
	char		 block[BLOCK_NAME];
	double		 start, stop;		/* stop 0: it goes on */
	int		 n_rows;
	bool		 sorted;
	int64_t		 n_events;
	struct profile_row row[PROFILE_ROWS];
	struct profile_row by_time[PROFILE_ROWS];
	struct event	 event[];
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct profile *
profile_start(struct dev *dev, struct err *err)
{
	struct profile *p = calloc(1, sizeof(*p) + PROFILE_EVENTS * sizeof(p->event[0]));

	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->dev = dev;
	p->on = true;
	p->phase = "other";
	p->start = now();
	dev->profile = p;
	return p;
}

void
profile_stop(struct profile *p)
{
	if (!p->on)
		return;
	p->stop = now();
	p->dev->profile = NULL;
	p->on = false;
}

void
profile_free(struct profile *p)
{
	if (p == NULL)
		return;
	profile_stop(p);
	free(p);
}

void
dev_profile_mark(struct profile *p, const char *phase, const char *block)
{
	p->phase = phase;
	snprintf(p->block, sizeof(p->block), "%s", block);
}

/* The row of such launches; the last one takes what finds no room. */
static int
row_of(struct profile *p, int kernel, const char *shape)
{
	int i;

	for (i = 0; i < p->n_rows; i++)
		if (p->row[i].kernel == kernel && strcmp(p->row[i].phase, p->phase) == 0 &&
		    strcmp(p->row[i].cost.shape, shape) == 0)
			return i;
	if (i == PROFILE_ROWS)
		return i - 1;
	p->row[i] = (struct profile_row){ .kernel = kernel, .phase = p->phase };
	snprintf(p->row[i].cost.shape, sizeof(p->row[i].cost.shape), "%s", shape);
	p->n_rows++;
	return i;
}

void
dev_profile_launch(struct profile *p, int kernel, const union dev_args *a)
{
	struct dev *dev = p->dev;
	struct profile_row *row;
	struct dev_cost cost;
	double start, seconds;
	struct err err;
	int i;

	/* A failure sticks in the device, which tells it to who waits next. */
	dev_wait(dev, &err);
	start = now();
	dev->ops->launch(dev, kernel, a);
	dev_wait(dev, &err);
	seconds = now() - start;
	dev_cost(dev, kernel, a, &cost);
	i = row_of(p, kernel, cost.shape);
	row = &p->row[i];
	row->calls++;
	row->seconds += seconds;
	row->cost.flops += cost.flops;
	row->cost.bytes += cost.bytes;
	p->sorted = false;
	if (p->n_events < PROFILE_EVENTS) {
		struct event *e = &p->event[p->n_events++];

		e->start = start - p->start;
		e->seconds = seconds;
		e->row = i;
		memcpy(e->block, p->block, sizeof(e->block));
	}
}

static int
longer(const void *a, const void *b)
{
	double x = ((const struct profile_row *)a)->seconds;
	double y = ((const struct profile_row *)b)->seconds;

	return (x < y) - (x > y);
}

const struct profile_row *
profile_rows(struct profile *p, int *n)
{
	if (!p->sorted) {
		memcpy(p->by_time, p->row, sizeof(p->row));
		qsort(p->by_time, (size_t)p->n_rows, sizeof(p->row[0]), longer);
		p->sorted = true;
	}
	*n = p->n_rows;
	return p->by_time;
}

double
profile_busy(const struct profile *p)
{
	double sum = 0;

	for (int i = 0; i < p->n_rows; i++)
		sum += p->row[i].seconds;
	return sum;
}

double
profile_span(const struct profile *p)
{
	return (p->stop > 0 ? p->stop : now()) - p->start;
}

double
profile_limit(const struct dev_cost *cost, double peak, double bandwidth)
{
	double compute = peak > 0 ? cost->flops / peak : 0;
	double memory = bandwidth > 0 ? cost->bytes / bandwidth : 0;

	return compute > memory ? compute : memory;
}

/* ---- the table ---- */

struct limits {
	double	peak, bandwidth, total;
};

static void
table_row(struct buf *out, const struct profile_row *r, double limit, double total)
{
	bool flops = r->cost.flops > 0;

	buf_fmt(out, "%s\t%s\t%s\t%lld\t%.3f\t%.1f\t", r->phase,
	    r->kernel < 0 ? "all" : dev_kernel_name(r->kernel), r->cost.shape,
	    (long long)r->calls, r->seconds * 1e3, total > 0 ? 100 * r->seconds / total : 0);
	if (r->seconds <= 0 || limit <= 0)
		buf_fmt(out, "-\t-\n");
	else
		buf_fmt(out, "%.1f %s\t%.0f\n",
		    (flops ? r->cost.flops : r->cost.bytes) / r->seconds * 1e-9,
		    flops ? "GFLOP/s" : "GB/s", 100 * limit / r->seconds);
}

/* The sum over a phase (NULL: all of them), and a kernel when that is not negative. */
static void
table_sum(struct buf *out, const struct profile *p, const char *phase, int kernel,
    const struct limits *l)
{
	struct profile_row sum = { .kernel = kernel, .phase = phase == NULL ? "all" : phase };
	double limit = 0;

	for (int i = 0; i < p->n_rows; i++) {
		const struct profile_row *r = &p->row[i];

		if ((phase != NULL && strcmp(r->phase, phase) != 0) ||
		    (kernel >= 0 && r->kernel != kernel))
			continue;
		sum.calls += r->calls;
		sum.seconds += r->seconds;
		sum.cost.flops += r->cost.flops;
		sum.cost.bytes += r->cost.bytes;
		limit += profile_limit(&r->cost, l->peak, l->bandwidth);
	}
	if (sum.calls > 0)
		table_row(out, &sum, limit, l->total);
}

void
profile_table(struct profile *p, double peak, double bandwidth, struct buf *out)
{
	struct limits l = { peak, bandwidth, profile_busy(p) };
	const struct profile_row *r;
	int n;

	r = profile_rows(p, &n);
	buf_fmt(out, "phase\top\tshape\tcalls\tms\tshare %%\trate\tof the limit %%\n");
	for (int i = 0; i < n; i++)
		table_row(out, &r[i], profile_limit(&r[i].cost, peak, bandwidth), l.total);
	for (int i = 0; i < p->n_rows; i++) {
		bool first = true;

		for (int j = 0; j < i; j++)
			first = first && strcmp(p->row[j].phase, p->row[i].phase) != 0;
		if (first)
			table_sum(out, p, p->row[i].phase, -1, &l);
	}
	table_sum(out, p, NULL, K_MATMUL, &l);
	table_sum(out, p, NULL, -1, &l);
}

/* ---- the trace ---- */

void
profile_trace(const struct profile *p, struct buf *out)
{
	buf_fmt(out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
	for (int64_t i = 0; i < p->n_events; i++) {
		const struct event *e = &p->event[i];
		const struct profile_row *r = &p->row[e->row];

		buf_fmt(out, "%s\n{\"name\":\"%s%s%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,"
		    "\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"block\":\"%s\",\"gflop\":%.6g,"
		    "\"mbyte\":%.6g}}", i > 0 ? "," : "", dev_kernel_name(r->kernel),
		    r->cost.shape[0] != '\0' ? " " : "", r->cost.shape, r->phase,
		    e->start * 1e6, e->seconds * 1e6, e->block,
		    r->cost.flops / (double)r->calls * 1e-9,
		    r->cost.bytes / (double)r->calls * 1e-6);
	}
	buf_fmt(out, "\n]}\n");
}

int
profile_report(struct profile *p, dtype compute, const char *trace, FILE *table,
    struct err *err)
{
	struct buf out = { .p = NULL };
	struct dev_bandwidth b;
	double peak, memory;
	int ret;

	profile_stop(p);
	if ((ret = dev_bandwidth(p->dev, &b, err)) == 0) {
		peak = dev_peak(p->dev, compute);
		memory = b.read > b.copy ? b.read : b.copy;
		buf_fmt(&out, "# %s, %d threads: %.1f ms, %.1f of it in kernels\n"
		    "# the limit: %.1f GFLOP/s, %.1f GB/s\n", dev_info(p->dev)->name,
		    team_size(p->dev->team), profile_span(p) * 1e3, profile_busy(p) * 1e3,
		    peak * 1e-9, memory * 1e-9);
		profile_table(p, peak, memory, &out);
		ret = buf_ok(&out, err);
	}
	if (ret == 0) {
		fwrite(out.p, 1, (size_t)out.n, table);
		buf_reset(&out);
		profile_trace(p, &out);
		ret = buf_ok(&out, err);
	}
	if (ret == 0 && trace != NULL)
		ret = file_write(trace, buf_str(&out), err);
	buf_free(&out);
	profile_free(p);
	return ret;
}
