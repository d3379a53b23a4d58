/* Rows by index: embedding and its gradient. */
#include "base/quant.h"
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

INLINE void
embed_rows(dtype type, const struct k_embed *a, int64_t from, int64_t to)
{
	float scale = (float)a->scale;
	int64_t c = a->c;

	for (int64_t t = from; t < to; t++) {
		int64_t row = cpu_i32(a->id)[t] * c;

		for (int64_t i = 0; i < c; i += VW)
			vput(type, cpu_ptr(a->y), t * c + i,
			    scale * vget(type, cpu_ptr(a->w), row + i, c - i), c - i);
	}
}

/* Rows of another type, decoded some at a time. */
INLINE void
embed_decoded(dtype type, const struct k_embed *a, int64_t from, int64_t to)
{
	enum { SOME = 256 };
	const char *w = cpu_ptr(a->w);
	float scale = (float)a->scale, x[SOME];

	for (int64_t t = from; t < to; t++)
		for (int64_t i = 0; i < a->c; i += SOME) {
			int64_t n = a->c - i < SOME ? a->c - i : SOME;

			const void *at = w + dtype_bytes(a->w_type, cpu_i32(a->id)[t] * a->c + i);

			if (dtype_block(a->w_type) > 1)
				quant_decode(a->w_type, x, at, n);
			else
				dtype_convert(x, DTYPE_F32, at, a->w_type, n);
			for (int64_t j = 0; j < n; j += VW)
				vput(type, cpu_ptr(a->y), t * a->c + i + j,
				    scale * vload_to(x + j, n - j), n - j);
		}
}

static void
embed_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_embed *a = job->args;

	(void)member;
#define ROWS(type) embed_rows(type, a, cpu_from(job, task), cpu_to(job, task))
#define DECODED(type) embed_decoded(type, a, cpu_from(job, task), cpu_to(job, task))
	if (a->w_type != DTYPE_NONE && a->w_type != a->type)
		EACH_TYPE(a->type, DECODED);
	else
		EACH_TYPE(a->type, ROWS);
#undef ROWS
#undef DECODED
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

struct embed_bwd {
	int64_t	 rows;
	double	*growth;	/* of the squares of a group's columns; NULL: not wanted */
};

/* Return what the squares grow by: (w + d)^2 - w^2 = d (2 w + d). */
INLINE double
embed_bwd_columns(dtype dw_type, dtype type, const struct k_embed_bwd *a, int64_t rows,
    int64_t from, int64_t to, bool grows)
{
	void *dw = cpu_ptr(a->dw);
	float scale = (float)a->scale;
	vd sum = { 0 };
	double all = 0;

	for (int64_t t = 0; t < rows; t++) {
		int64_t row = cpu_i32(a->id)[t] * a->c;

		for (int64_t i = from; i < to; i += VW) {
			vf w = vget(dw_type, dw, row + i, to - i);
			vf d = scale * vget(type, cpu_ptr(a->dy), t * a->c + i, to - i);

			vput(dw_type, dw, row + i, w + d, to - i);
			if (grows) {
				d *= w + w + d;
				sum += vlow(d) + vhigh(d);
			}
		}
	}
	for (int i = 0; i < VW / 2; i++)
		all += sum[i];
	return all;
}

static void
embed_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_embed_bwd *a = job->args;
	const struct embed_bwd *b = job->tmp;
	int64_t from = cpu_from(job, task) * COLUMNS, to = cpu_to(job, task) * COLUMNS;

	(void)member;
	if (to > a->c)
		to = a->c;
#define WIDE(type) embed_bwd_columns(DTYPE_F32, type, a, b->rows, from, to, false)
#define SAME(type) embed_bwd_columns(type, type, a, b->rows, from, to, false)
#define GROWS(type) b->growth[i / COLUMNS] = embed_bwd_columns(DTYPE_F32, type, a, b->rows, i, \
	    to < i + COLUMNS ? to : i + COLUMNS, true)
	if (b->growth != NULL)
		for (int64_t i = from; i < to; i += COLUMNS)
			EACH_TYPE(a->type, GROWS);
	else if (a->dw_type == DTYPE_NONE)
		EACH_TYPE(a->type, WIDE);
	else
		EACH_TYPE(a->type, SAME);
#undef WIDE
#undef SAME
#undef GROWS
}

/* As wide tasks as there are threads for: which columns go together changes no bit. */
void
OF_ISA(k_embed_bwd)(struct cpu *c, const union dev_args *a)
{
	const struct k_embed_bwd *e = &a->embed_bwd;
	struct embed_bwd b = { .rows = cpu_count(c, e->t) };
	int64_t n = (e->c + COLUMNS - 1) / COLUMNS;
	struct cpu_job job = { .c = c, .args = a, .tmp = &b, .n = n,
		.step = 1 + (n - 1) / team_size(c->dev.team) };

	if (b.rows <= 0 || !ids_ok(c, cpu_i32(e->id), b.rows, e->v))
		return;
	if (e->sumsq.at != 0 && (b.growth = cpu_scratch(c, n * (int64_t)sizeof(double))) == NULL)
		return;
	cpu_run(&job, b.rows * COLUMNS / VW, embed_bwd_task);
	for (int64_t i = 0; b.growth != NULL && i < n; i++)
		*(double *)cpu_ptr(e->sumsq) += b.growth[i];
}
