/* Rows by index: embedding, its gradient, cache writes. */
#include <string.h>

#include "dev/cpu/simd/simd.h"

/* Are all ids in [0, v)?  Notes the first that is not. */
static bool
ids_ok(struct cpu *c, const int32_t *id, int64_t n, int64_t v)
{
	int bad = 0;

	for (int64_t t = 0; t < n; t++)
		bad |= id[t] < 0 || id[t] >= v;
	if (!bad)
		return true;
	for (int64_t t = 0; t < n; t++)
		if (id[t] < 0 || id[t] >= v) {
			cpu_fail(c, ERR_ARG, "id %d at row %lld is outside 0..%lld", id[t],
			    (long long)t, (long long)v - 1);
			break;
		}
	return false;
}

static void
embed_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_embed *a = job->args;
	float scale = (float)a->scale;
	int64_t c = a->c;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		const float *w = cpu_f32(a->w) + cpu_i32(a->id)[t] * c;
		float *y = cpu_f32(a->y) + t * c;

		for (int64_t i = 0; i < c; i++)
			y[i] = scale * w[i];
	}
}

void
OF_ISA(k_embed)(struct cpu *c, const union dev_args *a)
{
	const struct k_embed *e = &a->embed;
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, e->t) };

	if (job.n > 0 && ids_ok(c, cpu_i32(e->id), job.n, e->v))
		cpu_run(&job, e->c / VW, embed_task);
}

/* Items are groups of 64 columns: each task adds all rows, in order, to its columns. */
enum { COLUMNS = 64 };

static void
embed_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_embed_bwd *a = job->args;
	const int32_t *id = cpu_i32(a->id);
	float scale = (float)a->scale;
	int64_t c = a->c, rows = *(int64_t *)job->tmp;
	int64_t from = cpu_from(job, task) * COLUMNS, to = cpu_to(job, task) * COLUMNS;

	(void)member;
	if (to > c)
		to = c;
	for (int64_t t = 0; t < rows; t++) {
		const float *dy = cpu_f32(a->dy) + t * c;
		float *dw = cpu_f32(a->dw) + id[t] * c;

		for (int64_t i = from; i < to; i++)
			dw[i] += scale * dy[i];
	}
}

void
OF_ISA(k_embed_bwd)(struct cpu *c, const union dev_args *a)
{
	const struct k_embed_bwd *e = &a->embed_bwd;
	int64_t rows = cpu_count(c, e->t);
	struct cpu_job job = { .c = c, .args = a, .tmp = &rows,
		.n = (e->c + COLUMNS - 1) / COLUMNS, .step = 1 };

	if (rows > 0 && ids_ok(c, cpu_i32(e->id), rows, e->v))
		cpu_run(&job, rows * COLUMNS / VW, embed_bwd_task);
}

/* Rows may be written twice, and then the last one stays: no threads. */
void
OF_ISA(k_scatter)(struct cpu *c, const union dev_args *a)
{
	const struct k_scatter *s = &a->scatter;
	const int32_t *slot = cpu_i32(s->slot);
	int64_t rows = cpu_count(c, s->t);

	for (int64_t t = 0; t < rows; t++) {
		if (slot[t] >= s->rows) {
			cpu_fail(c, ERR_ARG, "slot %d at row %lld is outside 0..%lld", slot[t],
			    (long long)t, (long long)s->rows - 1);
			return;
		}
		if (slot[t] >= 0)
			memcpy(cpu_f32(s->y) + slot[t] * s->c, cpu_f32(s->x) + t * s->ldx,
			    (size_t)s->c * sizeof(float));
	}
}
