#include "refdev.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

struct refdev {
	struct dev	 dev;
	void		**block;	/* allocations alive */
	int64_t		 n_blocks;
	bool		 failed;
	struct err	 err;
};

static double *
f64(dptr p)
{
	return (double *)(uintptr_t)p.at;
}

static int32_t *
i32(dptr p)
{
	return (int32_t *)(uintptr_t)p.at;
}

static int64_t
count(struct dim d)
{
	return d.n.at == 0 ? d.cap : *i32(d.n) * (d.each > 0 ? d.each : 1);
}

static void
fail(struct refdev *r, const char *why, int64_t at)
{
	if (!r->failed)
		err_set(&r->err, ERR_ARG, "%s at row %lld", why, (long long)at);
	r->failed = true;
}

static void
fill(const struct k_fill *a)
{
	for (int64_t i = 0; i < a->n; i++) {
		if (a->type == DTYPE_I32)
			i32(a->y)[i] = (int32_t)a->value;
		else
			f64(a->y)[i] = a->value;
	}
}

static void
add(const struct k_add *a)
{
	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t i = 0; i < a->c; i++)
			f64(a->y)[t * a->c + i] = f64(a->a)[t * a->c + i] +
			    f64(a->b)[(a->b_row ? 0 : t * a->c) + i];
}

static void
axpby(const struct k_axpby *a)
{
	for (int64_t i = 0; i < a->n; i++)
		f64(a->y)[i] = a->alpha * f64(a->x)[i] +
		    (a->beta == 0 ? 0 : a->beta * f64(a->y)[i]);
}

static void
embed(struct refdev *r, const struct k_embed *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		int32_t id = i32(a->id)[t];

		if (id < 0 || id >= a->v) {
			fail(r, "embed: bad id", t);
			return;
		}
		for (int64_t i = 0; i < a->c; i++)
			f64(a->y)[t * a->c + i] = a->scale * f64(a->w)[id * a->c + i];
	}
}

static void
embed_bwd(struct refdev *r, const struct k_embed_bwd *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		int32_t id = i32(a->id)[t];

		if (id < 0 || id >= a->v) {
			fail(r, "embed_bwd: bad id", t);
			return;
		}
		for (int64_t i = 0; i < a->c; i++) {
			double *w = &f64(a->dw)[id * a->c + i], was = *w;

			*w += a->scale * f64(a->dy)[t * a->c + i];
			if (a->sumsq.at != 0)
				*f64(a->sumsq) += *w * *w - was * was;
		}
	}
}

static void
scatter(struct refdev *r, const struct k_scatter *a)
{
	int64_t parts = a->parts > 0 ? a->parts : 1, each = a->c / parts;
	int64_t block = a->block_size > 0 ? a->block_size : 1;

	for (int64_t t = 0; t < count(a->t); t++) {
		int32_t slot = i32(a->slot)[t];

		if (slot >= a->rows)
			fail(r, "scatter: bad slot", t);
		for (int64_t p = 0; slot >= 0 && slot < a->rows && p < parts; p++)
			memcpy(f64(a->y) + ((slot / block * parts + p) * block + slot % block) *
			    each, f64(a->x) + t * a->ldx + p * each, (size_t)each * sizeof(double));
	}
}

static void
matmul(const struct k_matmul *a)
{
	int64_t m = count(a->m), k = count(a->k);

	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < a->n; j++) {
			double *c = f64(a->c) + i * a->ldc + j, s = 0;

			for (int64_t l = 0; l < k; l++)
				s += f64(a->a)[a->ta ? l * a->lda + i : i * a->lda + l] *
				    f64(a->b)[a->tb ? j * a->ldb + l : l * a->ldb + j];
			*c = a->alpha * s + (a->add ? *c : 0) +
			    (a->bias.at != 0 ? f64(a->bias)[j] : 0);
			if (a->sumsq.at != 0)
				*f64(a->sumsq) += *c * *c;
		}
}

static void
grouped(const struct k_grouped *a)
{
	const int32_t *offset = i32(a->offset);

	for (int64_t e = 0; e < a->groups; e++) {
		struct k_matmul p = a->p;
		int64_t from, rows;

		if (a->offset.at == 0) {
			p.a = dptr_add(p.a, e * a->step_a * 8);
			p.b = dptr_add(p.b, e * a->stride * 8);
			p.c = dptr_add(p.c, e * a->step_c * 8);
			matmul(&p);
			continue;
		}
		from = offset[e];
		rows = offset[e + 1] - from;
		p.a = dptr_add(p.a, from * p.lda * 8);
		if (p.ta) {
			p.k = (struct dim){ .cap = rows };
			p.b = dptr_add(p.b, from * p.ldb * 8);
			p.c = dptr_add(p.c, e * a->stride * 8);
		} else {
			p.m = (struct dim){ .cap = rows };
			p.c = dptr_add(p.c, from * p.ldc * 8);
			p.b = dptr_add(p.b, e * a->stride * 8);
		}
		matmul(&p);
	}
}

static void
bias_bwd(const struct k_bias_bwd *a)
{
	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t i = 0; i < a->c; i++)
			f64(a->db)[i] += f64(a->dy)[t * a->c + i];
}

static void
rmsnorm(const struct k_rmsnorm *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		double *x = f64(a->x) + t * a->c, s = 0, rstd;

		for (int64_t i = 0; i < a->c; i++)
			s += x[i] * x[i];
		rstd = 1 / sqrt(s / (double)a->c + a->eps);
		if (a->rstd.at != 0)
			f64(a->rstd)[t] = rstd;
		for (int64_t i = 0; i < a->c; i++)
			f64(a->y)[t * a->c + i] = x[i] * rstd * (f64(a->w)[i] + a->w_plus);
	}
}

static void
rmsnorm_bwd(const struct k_rmsnorm_bwd *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		double *x = f64(a->x) + t * a->c, *dy = f64(a->dy) + t * a->c;
		double *dx = f64(a->dx) + t * a->c, *w = f64(a->w), rstd = f64(a->rstd)[t], s = 0;

		for (int64_t i = 0; i < a->c; i++) {
			s += dy[i] * (w[i] + a->w_plus) * x[i] * rstd / (double)a->c;
			if (a->dw.at != 0)
				f64(a->dw)[i] += dy[i] * x[i] * rstd;
		}
		for (int64_t i = 0; i < a->c; i++)
			dx[i] = (a->add ? dx[i] : 0) +
			    rstd * (dy[i] * (w[i] + a->w_plus) - x[i] * rstd * s);
	}
}

static void
layernorm(const struct k_layernorm *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		double *x = f64(a->x) + t * a->c, mean = 0, var = 0, rstd;

		for (int64_t i = 0; i < a->c; i++)
			mean += x[i] / (double)a->c;
		for (int64_t i = 0; i < a->c; i++)
			var += (x[i] - mean) * (x[i] - mean) / (double)a->c;
		rstd = 1 / sqrt(var + a->eps);
		if (a->mean.at != 0)
			f64(a->mean)[t] = mean;
		if (a->rstd.at != 0)
			f64(a->rstd)[t] = rstd;
		for (int64_t i = 0; i < a->c; i++)
			f64(a->y)[t * a->c + i] = (x[i] - mean) * rstd * f64(a->w)[i] +
			    (a->b.at != 0 ? f64(a->b)[i] : 0);
	}
}

static void
layernorm_bwd(const struct k_layernorm_bwd *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		double *x = f64(a->x) + t * a->c, *dy = f64(a->dy) + t * a->c;
		double *dx = f64(a->dx) + t * a->c, *w = f64(a->w);
		double mean = f64(a->mean)[t], rstd = f64(a->rstd)[t], g = 0, gh = 0;

		for (int64_t i = 0; i < a->c; i++) {
			double h = (x[i] - mean) * rstd;

			g += dy[i] * w[i] / (double)a->c;
			gh += dy[i] * w[i] * h / (double)a->c;
			if (a->dw.at != 0)
				f64(a->dw)[i] += dy[i] * h;
			if (a->db.at != 0)
				f64(a->db)[i] += dy[i];
		}
		for (int64_t i = 0; i < a->c; i++)
			dx[i] = (a->add ? dx[i] : 0) +
			    rstd * (dy[i] * w[i] - g - (x[i] - mean) * rstd * gh);
	}
}

static void
rope_head(const struct k_rope *a, double *y, const double *x, const double *row)
{
	int64_t half = a->rot / 2;
	bool x_pairs = a->interleaved || (a->to_halves && !a->inverse);
	bool y_pairs = a->interleaved || (a->to_halves && a->inverse);
	double in[1024];

	memcpy(in, x, (size_t)(a->rot) * sizeof(*in));
	for (int64_t i = 0; i < half; i++) {
		int64_t p = x_pairs ? 2 * i : i, q = x_pairs ? p + 1 : i + half;
		int64_t to_p = y_pairs ? 2 * i : i, to_q = y_pairs ? to_p + 1 : i + half;
		double c = row[i], s = a->inverse ? -row[half + i] : row[half + i];
		double u = in[p], v = in[q];

		y[to_p] = u * c - v * s;
		y[to_q] = u * s + v * c;
	}
	for (int64_t i = a->rot; i < a->d; i++)
		y[i] = x[i];
}

static void
rope(struct refdev *r, const struct k_rope *a)
{
	for (int64_t t = 0; t < count(a->t); t++) {
		int64_t pos = a->pos.at != 0 ? i32(a->pos)[t] : t;

		if (pos < 0 || pos >= a->positions) {
			fail(r, "rope: bad position", t);
			return;
		}
		for (int64_t h = 0; h < a->heads; h++)
			rope_head(a, f64(a->y) + t * a->ldy + h * a->d,
			    f64(a->x) + t * a->ldx + h * a->d, f64(a->table) + pos * a->rot);
	}
}

/* Element (i, j) of the matrix is -1 to the number of bits that i and j share. */
static void
hadamard(const struct k_hadamard *a)
{
	double x[HADAMARD_MAX];

	for (int64_t at = 0; at < count(a->t) * a->c; at += a->n) {
		memcpy(x, f64(a->x) + at, (size_t)a->n * sizeof(*x));
		for (int64_t i = 0; i < a->n; i++) {
			double s = 0;

			for (int64_t j = 0; j < a->n; j++)
				s += __builtin_parityll((unsigned long long)(i & j)) ? -x[j] : x[j];
			f64(a->y)[at + i] = s / sqrt((double)a->n);
		}
	}
}

/* ---- attention ---- */

static bool
seen(const struct k_attention *a, int64_t pos, int64_t j)
{
	if (a->causal && j > pos)
		return false;
	return a->window == 0 || pos - j < a->window || j < a->sinks;
}

/* Where key j of a head is in rows of ld, of which a head has d. */
static int64_t
key_at(const struct k_attention *a, int64_t s, int64_t j, int64_t kh, int64_t ld, int64_t d)
{
	int64_t block;

	if (a->block_table.at == 0)
		return (i32(a->cu_seqlens)[s] + j) * ld + kh * d;
	block = i32(a->block_table)[s * a->max_blocks + j / a->block_size];
	return ((block * a->kv_heads + kh) * a->block_size + j % a->block_size) *
	    (ld / a->kv_heads);
}

static double
score(const struct k_attention *a, const double *q, const double *k, double bias)
{
	double s = 0;

	for (int64_t i = 0; i < a->d_qk; i++)
		s += q[i] * k[i];
	s *= a->scale;
	return (a->softcap > 0 ? a->softcap * tanh(s / a->softcap) : s) + bias;
}

static double
key_score(const struct k_attention *a, const double *q, int64_t s, int64_t j, int64_t kh)
{
	return score(a, q, f64(a->k) + key_at(a, s, j, kh, a->ldk, a->d_qk), a->bias.at == 0 ? 0 :
	    f64(a->bias)[key_at(a, s, j, kh, a->kv_heads, 1)]);
}

static void
attend(const struct k_attention *a, int64_t s, int64_t t, int64_t pos, int64_t keys, int64_t h)
{
	int64_t kh = h * a->kv_heads / a->heads;
	const double *q = f64(a->q) + t * a->ldq + h * a->d_qk;
	double *o = f64(a->o) + t * a->ldo + h * a->d_v, top = -HUGE_VAL, sum = 0;

	for (int64_t i = 0; i < a->d_v; i++)
		o[i] = 0;
	for (int64_t j = 0; j < keys; j++)
		if (seen(a, pos, j))
			top = fmax(top, key_score(a, q, s, j, kh));
	for (int64_t j = 0; j < keys; j++) {
		const double *v;
		double p;

		if (!seen(a, pos, j))
			continue;
		v = f64(a->v) + key_at(a, s, j, kh, a->ldv, a->d_v);
		p = exp(key_score(a, q, s, j, kh) - top);
		sum += p;
		for (int64_t i = 0; i < a->d_v; i++)
			o[i] += p * v[i];
	}
	for (int64_t i = 0; sum > 0 && i < a->d_v; i++)
		o[i] /= sum;
	if (a->lse.at != 0)
		f64(a->lse)[t * a->heads + h] = top + log(sum);
}

static void
attention(const struct k_attention *a)
{
	const int32_t *cu = i32(a->cu_seqlens);

	for (int64_t s = 0; s < count(a->seqs); s++) {
		int64_t nq = cu[s + 1] - cu[s], nk = a->key_len.at ? i32(a->key_len)[s] : nq;

		for (int64_t i = 0; i < nq; i++)
			for (int64_t h = 0; h < a->heads; h++)
				attend(a, s, cu[s] + i, nk - nq + i, nk, h);
	}
}

static void
attend_bwd(const struct k_attention_bwd *b, int64_t t, int64_t row, int64_t h, double delta)
{
	const struct k_attention *a = &b->f;
	int64_t kh = h * a->kv_heads / a->heads, qi = t * a->ldq + h * a->d_qk;
	int64_t ki = row * a->ldk + kh * a->d_qk, at = row * a->ldv + kh * a->d_v;
	double s = score(a, f64(a->q) + qi, f64(a->k) + ki, 0);
	double p = exp(s - f64(a->lse)[t * a->heads + h]), dp = 0, ds;

	for (int64_t i = 0; i < a->d_v; i++) {
		double d_o = f64(b->d_o)[t * a->ldo + h * a->d_v + i];

		dp += d_o * f64(a->v)[at + i];
		f64(b->dv)[at + i] += p * d_o;
	}
	ds = p * (dp - delta) * a->scale;
	if (a->softcap > 0)
		ds *= 1 - s * s / (a->softcap * a->softcap);
	for (int64_t i = 0; i < a->d_qk; i++) {
		f64(b->dq)[qi + i] += ds * f64(a->k)[ki + i];
		f64(b->dk)[ki + i] += ds * f64(a->q)[qi + i];
	}
}

static void
zero(dptr p, int64_t rows, int64_t ld, int64_t n)
{
	for (int64_t r = 0; r < rows; r++)
		memset(f64(p) + r * ld, 0, (size_t)n * sizeof(double));
}

static void
attention_bwd(const struct k_attention_bwd *b)
{
	const struct k_attention *a = &b->f;
	const int32_t *cu = i32(a->cu_seqlens);
	int64_t rows = count(a->t);

	zero(b->dq, rows, a->ldq, a->heads * a->d_qk);
	zero(b->dk, rows, a->ldk, a->kv_heads * a->d_qk);
	zero(b->dv, rows, a->ldv, a->kv_heads * a->d_v);
	for (int64_t s = 0; s < count(a->seqs); s++)
		for (int64_t t = cu[s]; t < cu[s + 1]; t++)
			for (int64_t h = 0; h < a->heads; h++) {
				double delta = 0;

				for (int64_t i = 0; i < a->d_v; i++)
					delta += f64(a->o)[t * a->ldo + h * a->d_v + i] *
					    f64(b->d_o)[t * a->ldo + h * a->d_v + i];
				f64(b->delta)[t * a->heads + h] = delta;
				for (int64_t j = cu[s]; j < cu[s + 1]; j++)
					if (seen(a, t - cu[s], j - cu[s]))
						attend_bwd(b, t, j, h, delta);
			}
}

/* ---- activations ---- */

static double
act_of(enum dev_act kind, double x, double *d)
{
	const double a = sqrt(2 / 3.14159265358979323846), b = 0.044715;
	double s;

	switch (kind) {
	case ACT_SILU:
		s = 1 / (1 + exp(-x));
		*d = s * (1 + x * (1 - s));
		return x * s;
	case ACT_GELU:
		s = 0.5 * (1 + erf(x / sqrt(2)));
		*d = s + x * exp(-x * x / 2) * a / 2;
		return x * s;
	case ACT_GELU_TANH:
		s = tanh(a * (x + b * x * x * x));
		*d = 0.5 * (1 + s) + 0.5 * x * (1 - s * s) * a * (1 + 3 * b * x * x);
		return 0.5 * x * (1 + s);
	case ACT_RELU:
		*d = x > 0 ? 1 : 0;
		return x > 0 ? x : 0;
	case ACT_RELU2:
		*d = x > 0 ? 2 * x : 0;
		return x > 0 ? x * x : 0;
	default:
		*d = 1;
		return x;
	}
}

static void
act(const struct k_act *a)
{
	double d;

	for (int64_t i = 0; i < count(a->t) * a->c; i++)
		f64(a->y)[i] = act_of(a->act, f64(a->x)[i], &d);
}

static void
softcap(const struct k_softcap *a)
{
	for (int64_t i = 0; i < count(a->t) * a->c; i++)
		f64(a->y)[i] = a->cap * tanh(f64(a->x)[i] / a->cap);
}

static void
act_bwd(const struct k_act_bwd *a)
{
	double d;

	for (int64_t i = 0; i < count(a->t) * a->c; i++) {
		act_of(a->act, f64(a->x)[i], &d);
		f64(a->dx)[i] = (a->add ? f64(a->dx)[i] : 0) + f64(a->dy)[i] * d;
	}
}

static void
glu(const struct k_glu *a)
{
	double d;

	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t i = 0; i < a->c; i++)
			f64(a->y)[t * a->c + i] = act_of(a->act, f64(a->gate)[t * a->ld + i], &d) *
			    f64(a->up)[t * a->ld + i];
}

static void
glu_bwd(const struct k_glu_bwd *a)
{
	for (int64_t t = 0; t < count(a->t); t++)
		for (int64_t i = 0; i < a->c; i++) {
			int64_t at = t * a->ld + i;
			double dy = f64(a->dy)[t * a->c + i], up = f64(a->up)[at], d, y;

			y = act_of(a->act, f64(a->gate)[at], &d);
			f64(a->dup)[at] = dy * y;
			f64(a->dgate)[at] = dy * up * d;
		}
}

static void
dropout(const struct k_dropout *a)
{
	uint64_t key = rng_u64(a->seed, a->op, (uint64_t)*(int64_t *)(uintptr_t)a->step.at);

	for (int64_t i = 0; i < count(a->t) * a->c; i++) {
		double x = dropout_bits(key, (uint32_t)i) < a->p * 0x1p31 ? 0 :
		    f64(a->x)[i] / (1 - a->p);

		f64(a->y)[i] = x + (a->add ? f64(a->y)[i] : 0);
	}
}

/* ---- the head, sums, the optimizer ---- */

static double
cap(const struct k_xent *a, double x)
{
	return a->softcap > 0 ? a->softcap * tanh(x / a->softcap) : x;
}

static void
xent(struct refdev *r, const struct k_xent *a)
{
	for (int64_t i = 0; i < a->rows && a->row0 + i < count(a->t); i++) {
		const double *x = f64(a->logits) + i * a->ld;
		int64_t t = a->row0 + i;
		int32_t target = a->target.at != 0 ? i32(a->target)[t] : -1;
		double top = -HUGE_VAL, sum = 0, mean = 0, lse;

		if (target >= a->v) {
			fail(r, "xent: bad target", t);
			return;
		}
		for (int64_t j = 0; j < a->v; j++)
			top = fmax(top, cap(a, x[j]));
		for (int64_t j = 0; j < a->v; j++)
			sum += exp(cap(a, x[j]) - top);
		lse = top + log(sum);
		for (int64_t j = 0; j < a->v; j++)
			mean += cap(a, x[j]) * exp(cap(a, x[j]) - lse);
		if (a->lse.at != 0)
			f64(a->lse)[t] = lse;
		if (a->logp.at != 0)
			f64(a->logp)[t] = target < 0 ? 0 : cap(a, x[target]) - lse;
		if (a->entropy.at != 0)
			f64(a->entropy)[t] = lse - mean;
	}
}

static void
xent_bwd(struct refdev *r, const struct k_xent_bwd *b)
{
	const struct k_xent *a = &b->f;

	for (int64_t i = 0; i < a->rows && a->row0 + i < count(a->t); i++) {
		const double *x = f64(a->logits) + i * a->ld;
		double *dx = f64(b->dlogits) + i * b->ld;
		int64_t t = a->row0 + i;
		int32_t target = a->target.at != 0 ? i32(a->target)[t] : -1;
		double dlogp = b->dlogp.at != 0 && target >= 0 ? f64(b->dlogp)[t] : 0;
		double dlse = b->dlse.at != 0 ? f64(b->dlse)[t] : 0;

		dlse -= 2 * b->z * f64(a->lse)[t] * dlogp;
		if (target >= a->v) {
			fail(r, "xent_bwd: bad target", t);
			return;
		}
		for (int64_t j = 0; j < a->v; j++) {
			double y = cap(a, x[j]), p = exp(y - f64(a->lse)[t]);
			double slope = a->softcap > 0 ? 1 - y * y / (a->softcap * a->softcap) : 1;

			dx[j] = (dlogp * ((j == target) - p) + dlse * p) * slope;
		}
	}
}

static void
dot(const struct k_dot *a)
{
	double s = a->add ? *f64(a->out) : 0;

	for (int64_t i = 0; i < count(a->n); i++)
		s += f64(a->a)[i] * (a->b.at != 0 ? f64(a->b)[i] : 1);
	*f64(a->out) = s;
}

static void
sumsq(const struct k_sumsq *a)
{
	for (int64_t i = 0; i < a->n; i++)
		*f64(a->out) += f64(a->x)[i] * f64(a->x)[i];
}

/* ---- the device ---- */

static void
op_launch(struct dev *dev, int kernel, const union dev_args *a)
{
	struct refdev *r = (struct refdev *)dev;

	if (r->failed)
		return;
	switch (kernel) {
	case K_FILL:		fill(&a->fill); break;
	case K_COPY:		memcpy(f64(a->copy.y), f64(a->copy.x), (size_t)a->copy.bytes); break;
	case K_CAST:
		dtype_convert(f64(a->cast.y), a->cast.y_type, f64(a->cast.x), a->cast.x_type,
		    a->cast.n);
		break;
	case K_ADD:		add(&a->add); break;
	case K_AXPBY:		axpby(&a->axpby); break;
	case K_EMBED:		embed(r, &a->embed); break;
	case K_EMBED_BWD:	embed_bwd(r, &a->embed_bwd); break;
	case K_SCATTER:		scatter(r, &a->scatter); break;
	case K_MATMUL:		matmul(&a->matmul); break;
	case K_GROUPED:		grouped(&a->grouped); break;
	case K_BIAS_BWD:	bias_bwd(&a->bias_bwd); break;
	case K_RMSNORM:		rmsnorm(&a->rmsnorm); break;
	case K_RMSNORM_BWD:	rmsnorm_bwd(&a->rmsnorm_bwd); break;
	case K_LAYERNORM:	layernorm(&a->layernorm); break;
	case K_LAYERNORM_BWD:	layernorm_bwd(&a->layernorm_bwd); break;
	case K_ROPE:		rope(r, &a->rope); break;
	case K_HADAMARD:	hadamard(&a->hadamard); break;
	case K_ATTENTION:	attention(&a->attention); break;
	case K_ATTENTION_BWD:	attention_bwd(&a->attention_bwd); break;
	case K_ACT:		act(&a->act); break;
	case K_ACT_BWD:		act_bwd(&a->act_bwd); break;
	case K_SOFTCAP:		softcap(&a->softcap); break;
	case K_GLU:		glu(&a->glu); break;
	case K_GLU_BWD:		glu_bwd(&a->glu_bwd); break;
	case K_DROPOUT:		dropout(&a->dropout); break;
	case K_XENT:		xent(r, &a->xent); break;
	case K_XENT_BWD:	xent_bwd(r, &a->xent_bwd); break;
	case K_CONV:
	case K_CONV_BWD:
	case K_SCAN:
	case K_SCAN_BWD:	ref_recurrence(kernel, a); break;
	case K_DOT:		dot(&a->dot); break;
	case K_SUMSQ:		sumsq(&a->sumsq); break;
	case K_GUARD:
	case K_ADAMW:
	case K_LION:
	case K_ADAFACTOR:
	case K_MOMENTUM:
	case K_NORMALIZE:
	case K_UPDATE:
	case K_EMA:
	case K_SWAP:		ref_optim(kernel, a); break;
	default:
		if (!refdev_moe(kernel, a))
			fail(r, "unknown kernel", kernel);
		break;
	}
}

static dptr
op_alloc(struct dev *dev, int64_t bytes, struct err *err)
{
	struct refdev *r = (struct refdev *)dev;
	size_t size = ((size_t)bytes + 256) & ~(size_t)255;
	void **list = realloc(r->block, (size_t)(r->n_blocks + 1) * sizeof(*list));
	void *p;

	if (list != NULL)
		r->block = list;
	p = list == NULL ? NULL : aligned_alloc(256, size);
	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return (dptr){ 0 };
	}
	memset(p, 0, size);
	r->block[r->n_blocks++] = p;
	return (dptr){ (uintptr_t)p };
}

static void
op_free(struct dev *dev, dptr p)
{
	struct refdev *r = (struct refdev *)dev;

	for (int64_t i = 0; i < r->n_blocks; i++)
		if (r->block[i] == f64(p)) {
			free(r->block[i]);
			r->block[i] = r->block[--r->n_blocks];
			return;
		}
}

static dptr
op_import(struct dev *dev, const void *p, int64_t bytes, struct err *err)
{
	(void)dev;
	(void)bytes;
	(void)err;
	return (dptr){ (uintptr_t)p };
}

static void
op_upload(struct dev *dev, dptr to, const void *from, int64_t bytes)
{
	(void)dev;
	memcpy(f64(to), from, (size_t)bytes);
}

static void
op_download(struct dev *dev, void *to, dptr from, int64_t bytes)
{
	(void)dev;
	memcpy(to, f64(from), (size_t)bytes);
}

static int
op_check(struct dev *dev, int kernel, const union dev_args *a, struct err *err)
{
	(void)dev;
	(void)kernel;
	(void)a;
	(void)err;
	return 0;
}

static int
op_wait(struct dev *dev, struct err *err)
{
	struct refdev *r = (struct refdev *)dev;

	if (!r->failed)
		return 0;
	*err = r->err;
	return -1;
}

static void
op_measure(struct dev *dev, struct dev_info *info)
{
	(void)dev;
	(void)info;
}

static void
op_close(struct dev *dev)
{
	struct refdev *r = (struct refdev *)dev;

	for (int64_t i = 0; i < r->n_blocks; i++)
		free(r->block[i]);
	free(r->block);
	free(r);
}

static const struct dev_ops ref_ops = {
	.name = "ref", .close = op_close, .measure = op_measure,
	.alloc = op_alloc, .free = op_free, .import = op_import,
	.upload = op_upload, .download = op_download,
	.check = op_check, .launch = op_launch, .wait = op_wait,
};

struct dev *
refdev_open(struct team *team, struct err *err)
{
	struct refdev *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	r->dev.ops = &ref_ops;
	r->dev.team = team;
	snprintf(r->dev.info.name, sizeof(r->dev.info.name), "ref");
	return &r->dev;
}
