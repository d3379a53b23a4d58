#include "base/gptq.h"

#include <math.h>
#include <stdlib.h>

#include "base/quant_impl.h"

enum { ROWS = 4, COLS = 64 };	/* of a pass over U, of a task */

/* ---- the factor ---- */

struct factor {
	const struct quant_simd *simd;
	float	*a, *m;		/* (n, n) */
	int64_t	 n, j;		/* the row of this step */
};

/* Take step j's row off the rows before it. */
static void
take_off(void *ctx, int64_t task, int member)
{
	const struct factor *f = ctx;
	const float *row = f->a + f->j * f->n;
	int64_t to = (task + 1) * COLS < f->j ? (task + 1) * COLS : f->j;

	(void)member;
	for (int64_t i = task * COLS; i < to; i++)
		f->simd->axpy(f->a + i * f->n, -row[i], row, i + 1);
}

/*
 * From the lower triangle of H to L with H = L^T L: the last row first.  -1
 * when H is not positive.
 */
static int
decompose(struct factor *f, struct team *team)
{
	for (f->j = f->n - 1; f->j >= 0; f->j--) {
		float *row = f->a + f->j * f->n, d = row[f->j];

		if (!(d > 0) || !isfinite(d))
			return -1;
		d = sqrtf(d);
		for (int64_t i = 0; i < f->j; i++)
			row[i] /= d;
		row[f->j] = d;
		team_run(team, (f->j + COLS - 1) / COLS, take_off, f);
	}
	return 0;
}

/* Columns [task * COLS, ..) of M = L^-1. */
static void
invert(void *ctx, int64_t task, int member)
{
	const struct factor *f = ctx;
	int64_t from = task * COLS, n = f->n;

	(void)member;
	for (int64_t i = from; i < n; i++) {
		const float *l = f->a + i * n;
		float *m = f->m + i * n;
		int64_t to = i + 1 < from + COLS ? i + 1 : from + COLS;

		for (int64_t k = from; k < i; k++) {
			int64_t end = k + 1 < to ? k + 1 : to;

			f->simd->axpy(m + from, -l[k], f->m + k * n + from, end - from);
		}
		if (i < from + COLS)
			m[i] = 1;
		for (int64_t k = from; k < to; k++)
			m[k] /= l[i];
	}
}

struct sorted {
	float	diagonal;
	int32_t	column;
};

/* The largest first; ties by column, so that the order is one. */
static int
by_diagonal(const void *x, const void *y)
{
	const struct sorted *a = x, *b = y;

	if (a->diagonal != b->diagonal)
		return a->diagonal < b->diagonal ? 1 : -1;
	return a->column - b->column;
}

/* The order of columns, their importance, and H's lower triangle in that order, damped. */
static int
arrange(struct gptq *g, const float *h, float *a, double damp, struct err *err)
{
	int64_t n = g->n;
	struct sorted *s = calloc((size_t)n, sizeof(*s));
	double sum = 0;

	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < n; i++) {
		s[i] = (struct sorted){ h[i * n + i], (int32_t)i };
		g->weight[i] = h[i * n + i];
		sum += (double)h[i * n + i];
	}
	qsort(s, (size_t)n, sizeof(*s), by_diagonal);
	for (int64_t i = 0; i < n; i++)
		g->order[i] = s[i].column;
	free(s);
	for (int64_t i = 0; i < n; i++) {
		for (int64_t k = 0; k <= i; k++)
			a[i * n + k] = h[(int64_t)g->order[i] * n + g->order[k]];
		/* A column that saw nothing is free to be rounded at once. */
		a[i * n + i] += sum > 0 ? (float)(damp * sum / (double)n) : 1;
	}
	return 0;
}

int
gptq_init(struct gptq *g, float *h, int64_t n, double damp, struct team *team, struct err *err)
{
	struct factor f = { .simd = quant_simd(), .n = n };
	int ret = -1;

	*g = (struct gptq){ .n = n };
	g->order = calloc((size_t)n, sizeof(*g->order));
	g->weight = calloc((size_t)n, sizeof(*g->weight));
	g->u = calloc((size_t)(n * n), sizeof(*g->u));
	f.a = calloc((size_t)(n * n), sizeof(*f.a));
	f.m = h;
	g->within = malloc((size_t)(n * QUANT_BLOCK_MAX) * sizeof(*g->within));
	if (!g->order || !g->weight || !g->u || !g->within || !f.a) {
		err_set(err, ERR_NOMEM, "out of memory");
	} else if (arrange(g, h, f.a, damp, err) == 0) {
		quant_within(g->within, h, n);
		ret = decompose(&f, team);
		if (ret < 0)
			err_set(err, ERR_FORMAT, "inputs whose products are no positive matrix");
	}
	if (ret == 0) {
		for (int64_t i = 0; i < n * n; i++)
			f.m[i] = 0;
		team_run(team, (n + COLS - 1) / COLS, invert, &f);
		for (int64_t i = 0; i < n; i++)
			for (int64_t k = 0; k <= i; k++)
				g->u[k * n + i] = f.m[i * n + k];
	}
	free(f.a);
	if (ret < 0)
		gptq_free(g);
	return ret;
}

void
gptq_free(struct gptq *g)
{
	free(g->order);
	free(g->weight);
	free(g->within);
	free(g->u);
	*g = (struct gptq){ .n = 0 };
}

/* ---- rows ---- */

/* Of some rows, columns in the order that they are rounded in. */
struct work {
	float	*w[ROWS], *lowest[ROWS], *step[ROWS];	/* levels are lowest + i step */
	uint8_t	*q[ROWS];
	float	*plain, *one;
	uint8_t	*level;		/* of a row, columns as they are */
	char	*block;
};

static void
work_free(struct work *k)
{
	for (int r = 0; r < ROWS; r++) {
		free(k->w[r]);
		free(k->lowest[r]);
		free(k->step[r]);
		free(k->q[r]);
	}
	free(k->plain);
	free(k->one);
	free(k->level);
	free(k->block);
}

static int
work_init(struct work *k, dtype t, int64_t n, struct err *err)
{
	bool bad = false;

	for (int r = 0; r < ROWS; r++) {
		k->w[r] = malloc((size_t)n * sizeof(float));
		k->lowest[r] = malloc((size_t)n * sizeof(float));
		k->step[r] = malloc((size_t)n * sizeof(float));
		k->q[r] = malloc((size_t)n);
		bad |= !k->w[r] || !k->lowest[r] || !k->step[r] || !k->q[r];
	}
	k->plain = malloc((size_t)n * sizeof(float));
	k->one = malloc((size_t)n * sizeof(float));
	k->level = malloc((size_t)n);
	k->block = malloc((size_t)dtype_bytes(t, n));
	if (bad || !k->plain || !k->one || !k->level || !k->block) {
		work_free(k);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

/* Scales of a row, stored at x; what levels 0 and 1 decode to tells its steps. */
static void
begin_row(const struct gptq *g, dtype t, struct work *k, int r, char *x, const float *y)
{
	int64_t n = g->n;

	quant_encode_clipped(t, x, y, n, g->weight, g->within);
	memcpy(k->block, x, (size_t)dtype_bytes(t, n));
	memset(k->level, 0, (size_t)n);
	quant_pack(t, k->block, k->level, n);
	quant_decode(t, k->plain, k->block, n);
	memset(k->level, 1, (size_t)n);
	quant_pack(t, k->block, k->level, n);
	quant_decode(t, k->one, k->block, n);
	for (int64_t j = 0; j < n; j++) {
		int32_t c = g->order[j];

		k->w[r][j] = y[c];
		k->lowest[r][j] = k->plain[c];
		k->step[r][j] = k->one[c] - k->plain[c];
	}
}

/* Round column j of a row; the share of its error that each unit of U's row takes up. */
static float
round_one(struct work *k, int r, int64_t j, int levels, float diagonal)
{
	float step = k->step[r][j], v = k->w[r][j] - k->lowest[r][j], i;

	i = step != 0 ? roundf(v / step) : 0;
	i = i > 0 ? i < (float)(levels - 1) ? i : (float)(levels - 1) : 0;
	k->q[r][j] = (uint8_t)i;
	return (step * i - v) / diagonal;
}

int
gptq_encode(const struct gptq *g, dtype t, void *x, const float *y, int64_t rows,
    struct err *err)
{
	const struct quant_simd *simd = quant_simd();
	int64_t n = g->n, bytes = dtype_bytes(t, n);
	int levels = quant_levels(t);
	struct work k;

	if (work_init(&k, t, n, err) < 0)
		return -1;
	for (int64_t from = 0; from < rows; from += ROWS) {
		int count = rows - from < ROWS ? (int)(rows - from) : ROWS;

		/* Rows that are missing at the end repeat the last one. */
		for (int r = 0; r < ROWS; r++) {
			int64_t i = from + (r < count ? r : count - 1);

			begin_row(g, t, &k, r, (char *)x + i * bytes, y + i * n);
		}
		for (int64_t j = 0; j < n; j++) {
			const float *u = g->u + j * n;
			float *rest[ROWS], share[ROWS];

			for (int r = 0; r < ROWS; r++) {
				share[r] = round_one(&k, r, j, levels, u[j]);
				rest[r] = k.w[r] + j + 1;
			}
			simd->axpy_4(rest, share, u + j + 1, n - j - 1);
		}
		for (int r = 0; r < count; r++) {
			for (int64_t j = 0; j < n; j++)
				k.level[g->order[j]] = k.q[r][j];
			quant_pack(t, (char *)x + (from + r) * bytes, k.level, n);
		}
	}
	work_free(&k);
	return 0;
}
