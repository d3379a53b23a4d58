/*
 * Adafactor of one matrix: three passes over its gradient (means of squares,
 * the size of the update, the update), each over fixed chunks of rows whose
 * sums are added in order.
 */
#include <math.h>

#include "dev/cpu/simd/moment.h"

struct factor {
	const struct k_adafactor *a;
	int64_t	 chunks;
	float	*part;		/* (chunks, cols): sums of squares of a chunk's rows */
	float	*of_col;	/* (cols): 1 / sqrt(col) */
	double	*size;		/* (chunks): sums of squares of the update */
	double	 mean;		/* of row */
	float	 scale, rate, keep;
	float	 b;		/* how much of the means stays */
};

static int64_t
chunk_end(const struct factor *f, int64_t chunk)
{
	int64_t to = (chunk + 1) * CHUNK_ROWS;

	return to < f->a->rows ? to : f->a->rows;
}

/* Means over rows, and partial sums over columns. */
static void
squares_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct factor *f = job->args;
	const struct k_adafactor *a = f->a;
	int64_t c = a->cols;
	float *part = f->part + task * c, *row = cpu_f32(a->row), eps = (float)a->eps;

	(void)member;
	memset(part, 0, (size_t)c * sizeof(*part));
	for (int64_t r = task * CHUNK_ROWS; r < chunk_end(f, task); r++) {
		const float *g = cpu_f32(a->g) + r * c;
		vf sum = { 0 };

		for (int64_t i = 0; i < c; i += VW) {
			vf d = vload_to(g + i, c - i) * f->scale, s = d * d + eps;

			if (c - i < VW)
				s = vsel(viota() < (int32_t)(c - i), s, (vf){ 0 });
			sum += s;
			vstore_to(part + i, vload_to(part + i, c - i) + s, c - i);
		}
		row[r] = f->b * row[r] + (1 - f->b) * (vsum(sum) / (float)c);
	}
}

static void
columns_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct factor *f = job->args;
	int64_t c = f->a->cols, to = cpu_to(job, task);
	float *col = cpu_f32(f->a->col);

	(void)member;
	for (int64_t i = cpu_from(job, task); i < to; i++) {
		float sum = 0;

		for (int64_t k = 0; k < f->chunks; k++)
			sum += f->part[k * c + i];
		col[i] = f->b * col[i] + (1 - f->b) * (sum / (float)f->a->rows);
		f->of_col[i] = 1 / sqrtf(col[i]);
	}
}

static float
of_row(const struct factor *f, int64_t r)
{
	return (float)sqrt(f->mean / (double)cpu_f32(f->a->row)[r]);
}

static void
size_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct factor *f = job->args;
	int64_t c = f->a->cols;
	double size = 0;

	(void)member;
	for (int64_t r = task * CHUNK_ROWS; r < chunk_end(f, task); r++) {
		const float *g = cpu_f32(f->a->g) + r * c;
		float of = of_row(f, r) * f->scale;
		vf sum = { 0 };

		for (int64_t i = 0; i < c; i += VW) {
			vf u = vload_to(g + i, c - i) * of * vload_to(f->of_col + i, c - i);

			sum += u * u;
		}
		size += (double)vsum(sum);
	}
	f->size[task] = size;
}

static void
matrix_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct factor *f = job->args;
	const struct k_adafactor *a = f->a;
	int64_t c = a->cols;

	(void)member;
	for (int64_t r = task * CHUNK_ROWS; r < chunk_end(f, task); r++) {
		const float *g = cpu_f32(a->g) + r * c;
		float of = of_row(f, r) * f->scale * f->rate, *p = cpu_f32(a->p) + r * c;

		for (int64_t i = 0; i < c; i += VW) {
			vf u = vload_to(g + i, c - i) * of * vload_to(f->of_col + i, c - i);

			vstore_to(p + i, f->keep * vload_to(p + i, c - i) - u, c - i);
		}
		copy_out(a->p_out, a->p_type, cpu_f32(a->p), r * c, c);
	}
	vstream_end();
}

static void
vector_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct factor *f = job->args;
	const float *g = cpu_f32(f->a->g);
	float *row = cpu_f32(f->a->row);
	double size = 0;

	(void)member;
	for (int64_t i = task * CHUNK_ROWS; i < chunk_end(f, task); i++) {
		float d = g[i] * f->scale;

		row[i] = f->b * row[i] + (1 - f->b) * (d * d + (float)f->a->eps);
		d /= sqrtf(row[i]);
		size += (double)d * (double)d;
	}
	f->size[task] = size;
}

static void
vector_end_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct factor *f = job->args;
	const struct k_adafactor *a = f->a;
	int64_t from = task * CHUNK_ROWS, to = chunk_end(f, task);
	const float *g = cpu_f32(a->g), *row = cpu_f32(a->row);
	float *p = cpu_f32(a->p);

	(void)member;
	for (int64_t i = from; i < to; i++)
		p[i] = f->keep * p[i] - f->rate * (g[i] * f->scale / sqrtf(row[i]));
	copy_out(a->p_out, a->p_type, p, from, to - from);
	vstream_end();
}

/* The rate, less when the update is larger than clip in root mean square. */
static float
clipped(const struct factor *f, double rate)
{
	double size = 0;

	for (int64_t k = 0; k < f->chunks; k++)
		size += f->size[k];
	size = sqrt(size / (double)(f->a->rows * f->a->cols));
	return (float)(rate / fmax(1, size / f->a->clip));
}

static void
matrix(struct cpu_job *job, struct factor *f, double rate)
{
	struct cpu_job columns = { .c = job->c, .args = f, .n = f->a->cols };
	int64_t cost = CHUNK_ROWS * f->a->cols / VW;
	double sum = 0;

	cpu_run(job, cost, squares_task);
	cpu_run(&columns, f->chunks, columns_task);
	for (int64_t r = 0; r < f->a->rows; r++)
		sum += (double)cpu_f32(f->a->row)[r];
	f->mean = sum / (double)f->a->rows;
	cpu_run(job, cost, size_task);
	f->rate = clipped(f, rate);
	cpu_run(job, cost, matrix_task);
}

void
OF_ISA(k_adafactor)(struct cpu *c, const union dev_args *args)
{
	const struct k_adafactor *a = &args->adafactor;
	const struct dev_step *s = cpu_ptr(a->step);
	double lr = s->lr * a->lr_scale;
	bool factored = a->col.at != 0;
	struct factor f = { .a = a, .chunks = (a->rows + CHUNK_ROWS - 1) / CHUNK_ROWS,
	    .scale = (float)s->scale, .keep = (float)(1 - lr * a->decay),
	    .b = (float)(1 - pow((double)s->step, a->power)) };
	struct cpu_job job = { .c = c, .args = &f, .n = f.chunks, .step = 1 };
	int64_t width = factored ? (a->cols + 15) / 16 * 16 : 0;

	if (s->skip != 0)
		return;
	f.size = cpu_scratch(c, f.chunks * 8 + (f.chunks + 1) * width * 4);
	if (f.size == NULL)
		return;
	f.of_col = (float *)(void *)(f.size + f.chunks);
	f.part = f.of_col + width;
	if (factored) {
		matrix(&job, &f, lr);
		return;
	}
	cpu_run(&job, CHUNK_ROWS, vector_task);
	f.rate = clipped(&f, lr);
	cpu_run(&job, CHUNK_ROWS, vector_end_task);
}
