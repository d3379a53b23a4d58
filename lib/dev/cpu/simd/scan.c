/*
 * Recurrences over a sequence: causal convolution and the selective scan.
 *
 * Channels are independent, so a task takes COLUMNS of them through all
 * tokens in order, VW at a time: no sum depends on threads or on how a
 * sequence is cut into passes.  The backward scan keeps states at every
 * PIECE-th token only and computes those between again, piece by piece from
 * the end.  Gradients of b and c are sums over channels: each task writes its
 * part, and the parts are added in order.
 */
#include <string.h>

#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/vmath.h"

enum {
	COLUMNS = 64,			/* channels of a task */
	GROUPS = COLUMNS / VW,
	PIECE = SCAN_PIECE,
	STATES = SCAN_STATES,
	WIDTH = CONV_WIDTH,
};

/* The type is looked up at each vector: the states behind it are what takes time. */
INLINE vf
get(dtype type, dptr p, int64_t i, int64_t n)
{
	return vget(type, cpu_ptr(p), i, n);
}

INLINE void
put(dtype type, dptr p, int64_t i, vf x, int64_t n)
{
	vput(type, cpu_ptr(p), i, x, n);
}

/* ln(1 + e^x): for large x, x; near and below zero the series keeps its digits. */
INLINE vf
softplus(vf x)
{
	vf e = vexp(-vabs(x));

	return vmax(x, (vf){ 0 }) + vlog1p(e);
}

static int64_t
blocks_of(int64_t c)
{
	return (c + COLUMNS - 1) / COLUMNS;
}

/* ---- convolution ---- */

struct conv {
	const struct k_conv *a;
	const struct k_conv_bwd *b;	/* NULL: forward */
	int64_t	seqs;
};

/* The weights of the lanes from channel c0 on, w[j][lane]. */
static void
conv_weights(vf w[WIDTH], const struct k_conv *a, int64_t c0, int64_t n)
{
	for (int64_t j = 0; j < a->width; j++) {
		float t[VW] = { 0 };

		for (int64_t i = 0; i < VW && i < n; i++)
			t[i] = cpu_f32(a->w)[(c0 + i) * a->width + j];
		w[j] = vload(t);
	}
}

/* Rows of state of sequence s, or NULL where there are none. */
static float *
conv_state(const struct k_conv *a, int64_t s)
{
	return a->state.at == 0 ? NULL :
	    cpu_f32(a->state) + (int64_t)cpu_i32(a->slot)[s] * (a->width - 1) * a->c;
}

static void
conv_seq(const struct k_conv *a, int64_t s, int64_t c0, int64_t n)
{
	int64_t from = cpu_i32(a->cu_seqlens)[s], to = cpu_i32(a->cu_seqlens)[s + 1];
	float *state = conv_state(a, s);
	vf w[WIDTH], last[WIDTH] = { 0 }, bias = { 0 };

	if (from == to)
		return;
	conv_weights(w, a, c0, n);
	if (a->bias.at != 0)
		bias = vload_to(cpu_f32(a->bias) + c0, n);
	if (state != NULL && cpu_i32(a->pos)[from] > 0)
		for (int64_t j = 0; j < a->width - 1; j++)
			last[j] = vload_to(state + j * a->c + c0, n);
	for (int64_t t = from; t < to; t++) {
		vf sum = bias;

		last[a->width - 1] = get(a->type, a->x, t * a->ldx + c0, n);
		for (int64_t j = 0; j < a->width; j++)
			sum = vfma(w[j], last[j], sum);
		put(a->type, a->y, t * a->c + c0, sum, n);
		for (int64_t j = 0; j < a->width - 1; j++)
			last[j] = last[j + 1];
	}
	for (int64_t j = 0; state != NULL && j < a->width - 1; j++)
		vstore_to(state + j * a->c + c0, last[j], n);
}

/* From the end: dx[t] gathers what the next width - 1 outputs took of x[t]. */
static void
conv_seq_bwd(const struct k_conv_bwd *b, int64_t s, int64_t c0, int64_t n, vf dw[WIDTH],
    vf *dbias)
{
	const struct k_conv *a = &b->f;
	int64_t from = cpu_i32(a->cu_seqlens)[s], to = cpu_i32(a->cu_seqlens)[s + 1];
	vf w[WIDTH], dy[WIDTH] = { 0 };

	conv_weights(w, a, c0, n);
	for (int64_t t = to - 1; t >= from; t--) {
		vf x = get(a->type, a->x, t * a->ldx + c0, n), sum = { 0 };

		for (int64_t j = 0; j < a->width - 1; j++)
			dy[j] = dy[j + 1];
		dy[a->width - 1] = get(a->type, b->dy, t * a->c + c0, n);
		*dbias += dy[a->width - 1];
		/* dy[width - 1 - i], the gradient at t + i, took x[t] by the same weight. */
		for (int64_t j = 0; j < a->width; j++) {
			sum = vfma(w[j], dy[j], sum);
			dw[j] = vfma(x, dy[j], dw[j]);
		}
		put(a->type, b->dx, t * a->ldx + c0, sum, n);
	}
}

static void
conv_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct conv *v = job->args;
	int64_t c = v->a->c, end = (cpu_to(job, task)) * COLUMNS;

	(void)member;
	for (int64_t c0 = cpu_from(job, task) * COLUMNS; c0 < end && c0 < c; c0 += VW) {
		int64_t n = c - c0 < VW ? c - c0 : VW;
		vf dw[WIDTH] = { 0 }, dbias = { 0 };

		for (int64_t s = 0; s < v->seqs; s++) {
			if (v->b == NULL)
				conv_seq(v->a, s, c0, n);
			else
				conv_seq_bwd(v->b, s, c0, n, dw, &dbias);
		}
		if (v->b == NULL)
			continue;
		for (int64_t j = 0; v->b->dw.at != 0 && j < v->a->width; j++)
			for (int64_t i = 0; i < n; i++)
				cpu_f32(v->b->dw)[(c0 + i) * v->a->width + j] += dw[j][i];
		if (v->b->dbias.at != 0)
			vstore_to(cpu_f32(v->b->dbias) + c0,
			    vload_to(cpu_f32(v->b->dbias) + c0, n) + dbias, n);
	}
}

static void
conv_run(struct cpu *c, const struct k_conv *a, const struct k_conv_bwd *b)
{
	struct conv v = { .a = a, .b = b, .seqs = cpu_count(c, a->seqs) };
	struct cpu_job job = { .c = c, .args = &v, .n = blocks_of(a->c), .step = 1 };
	int64_t t = cpu_count(c, a->t);

	if (t > 0 && v.seqs > 0)
		cpu_run(&job, t * GROUPS * a->width, conv_task);
}

void
OF_ISA(k_conv)(struct cpu *c, const union dev_args *args)
{
	conv_run(c, &args->conv, NULL);
}

void
OF_ISA(k_conv_bwd)(struct cpu *c, const union dev_args *args)
{
	conv_run(c, &args->conv_bwd.f, &args->conv_bwd);
}

/* ---- the scan, forward ---- */

/* a (n, lane) of the lanes from c0 on. */
static void
decay_rates(vf *rate, const struct k_scan *a, int64_t c0, int64_t lanes)
{
	for (int64_t k = 0; k < a->n; k++) {
		float t[VW] = { 0 };

		for (int64_t i = 0; i < lanes; i++)
			t[i] = cpu_f32(a->a_log)[(c0 + i) * a->n + k];
		rate[k] = -vexp(vload(t));
	}
}

static float *
scan_state(const struct k_scan *a, int64_t s)
{
	return a->state.at == 0 ? NULL :
	    cpu_f32(a->state) + (int64_t)cpu_i32(a->slot)[s] * a->n * a->c;
}

/* Rows of b and c at t as floats. */
struct bc {
	float b[STATES], c[STATES];
};

static void
load_bc(struct bc *r, const struct k_scan *a, int64_t t)
{
	for (int64_t k = 0; k < a->n; k += VW) {
		int64_t n = a->n - k;

		vstore_to(r->b + k, get(a->type, a->b, t * a->n + k, n), n);
		vstore_to(r->c + k, get(a->type, a->c_in, t * a->n + k, n), n);
	}
}

static void
scan_seq(const struct k_scan *a, int64_t s, int64_t c0, int64_t lanes, const vf *rate)
{
	int64_t from = cpu_i32(a->cu_seqlens)[s], to = cpu_i32(a->cu_seqlens)[s + 1];
	float *state = scan_state(a, s);
	vf h[STATES], d = vload_to(cpu_f32(a->d) + c0, lanes);

	if (from == to)
		return;
	for (int64_t k = 0; k < a->n; k++)
		h[k] = state != NULL && cpu_i32(a->pos)[from] > 0 ?
		    vload_to(state + k * a->c + c0, lanes) : (vf){ 0 };
	for (int64_t t = from; t < to; t++) {
		vf x = get(a->type, a->x, t * a->ldx + c0, lanes);
		vf dt = softplus(get(a->type, a->dt, t * a->c + c0, lanes));
		vf z = get(a->type, a->z, t * a->ldz + c0, lanes), y = x * d, in = dt * x;
		struct bc r;

		if (a->saved.at != 0 && t % PIECE == 0)
			for (int64_t k = 0; k < a->n; k++)
				vstore_to(cpu_f32(a->saved) + (t / PIECE * a->n + k) * a->c + c0,
				    h[k], lanes);
		load_bc(&r, a, t);
		for (int64_t k = 0; k < a->n; k++) {
			h[k] = vfma(h[k], vexp(dt * rate[k]), in * r.b[k]);
			y = vfma(h[k], vset(r.c[k]), y);
		}
		put(a->type, a->y, t * a->c + c0, y * z * vsigmoid(z), lanes);
	}
	for (int64_t k = 0; state != NULL && k < a->n; k++)
		vstore_to(state + k * a->c + c0, h[k], lanes);
}

static void
scan_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_scan *a = job->args;
	int64_t seqs = *(const int64_t *)job->tmp, end = cpu_to(job, task) * COLUMNS;
	vf rate[STATES];

	(void)member;
	for (int64_t c0 = cpu_from(job, task) * COLUMNS; c0 < end && c0 < a->c; c0 += VW) {
		int64_t lanes = a->c - c0 < VW ? a->c - c0 : VW;

		decay_rates(rate, a, c0, lanes);
		for (int64_t s = 0; s < seqs; s++)
			scan_seq(a, s, c0, lanes, rate);
	}
}

void
OF_ISA(k_scan)(struct cpu *c, const union dev_args *args)
{
	const struct k_scan *a = &args->scan;
	int64_t seqs = cpu_count(c, a->seqs), t = cpu_count(c, a->t);
	struct cpu_job job = { .c = c, .args = a, .tmp = &seqs, .n = blocks_of(a->c), .step = 1 };

	if (t > 0 && seqs > 0)
		cpu_run(&job, t * GROUPS * a->n * 8, scan_task);
}

/* ---- backward ---- */

/* Gradients that a group of lanes carries from piece to piece, and its constants. */
struct lanes {
	vf	rate[STATES], dh[STATES], drate[STATES], dd;
};

/* One member's memory: lanes of a task, states and decays of a piece, parts of db and dc. */
struct scratch {
	struct lanes lanes[GROUPS];
	vf	h[PIECE + 1][STATES], decay[PIECE][STATES];
	vf	db[PIECE][STATES], dc[PIECE][STATES];
	vf	y[PIECE];
	struct bc bc[PIECE];
	bool	first[PIECE];		/* a sequence starts here */
};

struct backward {
	const struct k_scan_bwd *b;
	struct scratch	*scratch;	/* one a member */
	float		*part;		/* (blocks, T, 2 n) */
	int64_t		 tokens, seqs;
};

/* States, decays and outputs of tokens [t0, t0 + n) again. */
static void
replay(struct scratch *s, const struct k_scan *a, const struct lanes *l, int64_t t0, int64_t n,
    int64_t c0, int64_t lanes)
{
	vf d = vload_to(cpu_f32(a->d) + c0, lanes);

	for (int64_t k = 0; k < a->n; k++)
		s->h[0][k] = vload_to(cpu_f32(a->saved) + (t0 / PIECE * a->n + k) * a->c + c0,
		    lanes);
	for (int64_t i = 0; i < n; i++) {
		int64_t t = t0 + i;
		vf x = get(a->type, a->x, t * a->ldx + c0, lanes), y = x * d;
		vf dt = softplus(get(a->type, a->dt, t * a->c + c0, lanes)), in = dt * x;

		/* A sequence that starts here takes nothing from the one before. */
		for (int64_t k = 0; k < a->n; k++) {
			s->decay[i][k] = s->first[i] ? (vf){ 0 } : vexp(dt * l->rate[k]);
			s->h[i + 1][k] = vfma(s->h[i][k], s->decay[i][k], in * s->bc[i].b[k]);
			y = vfma(s->h[i + 1][k], vset(s->bc[i].c[k]), y);
		}
		s->y[i] = y;
	}
}

/* The gradients of token t0 + i, given those of the tokens behind it. */
static void
token_bwd(struct scratch *s, const struct k_scan_bwd *b, struct lanes *l, int64_t t0, int64_t i,
    int64_t c0, int64_t lanes)
{
	const struct k_scan *a = &b->f;
	int64_t t = t0 + i;
	vf x = get(a->type, a->x, t * a->ldx + c0, lanes);
	vf raw = get(a->type, a->dt, t * a->c + c0, lanes), dt = softplus(raw);
	vf z = get(a->type, a->z, t * a->ldz + c0, lanes), sig = vsigmoid(z);
	vf g = get(a->type, b->dy, t * a->c + c0, lanes), dx, ddt = { 0 }, in = dt * x, din = { 0 };

	put(a->type, b->dz, t * a->ldz + c0, g * s->y[i] * sig * (1.0f + z * (1.0f - sig)), lanes);
	g *= z * sig;
	l->dd = vfma(g, x, l->dd);
	dx = g * vload_to(cpu_f32(a->d) + c0, lanes);
	for (int64_t k = 0; k < a->n; k++) {
		vf dh = vfma(g, vset(s->bc[i].c[k]), l->dh[k]), e = s->decay[i][k];
		vf da = dh * s->h[i][k] * e;

		s->dc[i][k] = vfma(g, s->h[i + 1][k], s->dc[i][k]);
		s->db[i][k] = vfma(dh, in, s->db[i][k]);
		din = vfma(dh, vset(s->bc[i].b[k]), din);
		ddt = vfma(da, l->rate[k], ddt);
		l->drate[k] = vfma(da, dt, l->drate[k]);
		l->dh[k] = dh * e;
	}
	put(a->type, b->dx, t * a->ldx + c0, vfma(din, dt, dx), lanes);
	put(a->type, b->ddt, t * a->c + c0, vfma(din, x, ddt) * vsigmoid(raw), lanes);
}

/* Mark where sequences start among tokens [t0, t0 + n); *s is the last one that starts before. */
static void
mark_first(struct scratch *m, const int32_t *cu, int64_t *s, int64_t t0, int64_t n)
{
	memset(m->first, 0, sizeof(m->first));
	for (; *s >= 0 && cu[*s] >= t0; --*s)
		if (cu[*s] < t0 + n)
			m->first[cu[*s] - t0] = true;
}

static void
piece_bwd(struct scratch *m, const struct backward *w, int64_t block, int64_t t0, int64_t n)
{
	const struct k_scan *a = &w->b->f;
	float *part = w->part + (block * w->tokens + t0) * 2 * a->n;

	memset(m->db, 0, sizeof(m->db));
	memset(m->dc, 0, sizeof(m->dc));
	for (int64_t i = 0; i < n; i++)
		load_bc(&m->bc[i], a, t0 + i);
	for (int64_t g = 0; g < GROUPS && block * COLUMNS + g * VW < a->c; g++) {
		int64_t c0 = block * COLUMNS + g * VW, lanes = a->c - c0 < VW ? a->c - c0 : VW;

		replay(m, a, &m->lanes[g], t0, n, c0, lanes);
		for (int64_t i = n - 1; i >= 0; i--)
			token_bwd(m, w->b, &m->lanes[g], t0, i, c0, lanes);
	}
	for (int64_t i = 0; i < n; i++)
		for (int64_t k = 0; k < a->n; k++) {
			part[i * 2 * a->n + k] = vsum(m->db[i][k]);
			part[i * 2 * a->n + a->n + k] = vsum(m->dc[i][k]);
		}
}

/* Add what the tokens gave to the gradients of the parameters of a block. */
static void
params_bwd(const struct scratch *m, const struct k_scan_bwd *b, int64_t block)
{
	const struct k_scan *a = &b->f;

	for (int64_t g = 0; g < GROUPS; g++)
		for (int64_t i = 0; i < VW; i++) {
			int64_t c = block * COLUMNS + g * VW + i;

			if (c >= a->c)
				return;
			if (b->dd.at != 0)
				cpu_f32(b->dd)[c] += m->lanes[g].dd[i];
			/* the rate is -e^a_log, its own derivative */
			for (int64_t k = 0; b->da_log.at != 0 && k < a->n; k++)
				cpu_f32(b->da_log)[c * a->n + k] += m->lanes[g].drate[k][i] *
				    m->lanes[g].rate[k][i];
		}
}

static void
scan_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct backward *w = job->args;
	const struct k_scan *a = &w->b->f;
	struct scratch *m = &w->scratch[member];

	for (int64_t block = cpu_from(job, task); block < cpu_to(job, task); block++) {
		int64_t s = w->seqs - 1;

		for (int64_t g = 0; g < GROUPS && block * COLUMNS + g * VW < a->c; g++) {
			int64_t c0 = block * COLUMNS + g * VW;

			memset(&m->lanes[g], 0, sizeof(m->lanes[g]));
			decay_rates(m->lanes[g].rate, a, c0, a->c - c0 < VW ? a->c - c0 : VW);
		}
		for (int64_t t0 = (w->tokens - 1) / PIECE * PIECE; t0 >= 0; t0 -= PIECE) {
			int64_t n = w->tokens - t0 < PIECE ? w->tokens - t0 : PIECE;

			mark_first(m, cpu_i32(a->cu_seqlens), &s, t0, n);
			piece_bwd(m, w, block, t0, n);
		}
		params_bwd(m, w->b, block);
	}
}

/* db and dc of tokens: the blocks' parts in order. */
static void
sum_parts_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct backward *w = job->args;
	const struct k_scan *a = &w->b->f;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		float sum[2 * STATES] = { 0 };

		for (int64_t block = 0; block < blocks_of(a->c); block++)
			for (int64_t k = 0; k < 2 * a->n; k++)
				sum[k] += w->part[(block * w->tokens + t) * 2 * a->n + k];
		for (int64_t k = 0; k < a->n; k += VW) {
			int64_t n = a->n - k;

			put(a->type, w->b->db, t * a->n + k, vload_to(sum + k, n), n);
			put(a->type, w->b->dc, t * a->n + k, vload_to(sum + a->n + k, n), n);
		}
	}
}

void
OF_ISA(k_scan_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_scan *a = &args->scan_bwd.f;
	struct backward w = { .b = &args->scan_bwd, .tokens = cpu_count(c, a->t),
		.seqs = cpu_count(c, a->seqs) };
	struct cpu_job job = { .c = c, .args = &w, .n = blocks_of(a->c), .step = 1 };
	struct cpu_job sum = { .c = c, .args = &w, .n = w.tokens };
	int64_t members = team_size(c->dev.team) * (int64_t)sizeof(struct scratch);

	if (w.tokens <= 0 || w.seqs <= 0)
		return;
	w.scratch = cpu_scratch(c, members + job.n * w.tokens * 2 * a->n * (int64_t)sizeof(float));
	if (w.scratch == NULL)
		return;
	w.part = (float *)(void *)((char *)w.scratch + members);
	cpu_run(&job, w.tokens * GROUPS * a->n * 24, scan_bwd_task);
	cpu_run(&sum, job.n * a->n, sum_parts_task);
}
