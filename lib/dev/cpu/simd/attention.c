/* Attention, forward and backward, one query at a time. */
#include <math.h>

#include "dev/cpu/simd/simd.h"

/* A sequence's queries, keys and where it starts. */
struct span {
	int64_t	q0, nq, nk;
};

static struct span
span_of(const struct k_attention *a, int64_t s)
{
	const int32_t *cu = cpu_i32(a->cu_seqlens);
	struct span p = { cu[s], cu[s + 1] - cu[s], cu[s + 1] - cu[s] };

	if (a->key_len.at != 0)
		p.nk = cpu_i32(a->key_len)[s];
	return p;
}

static bool
seen(const struct k_attention *a, int64_t pos, int64_t j)
{
	if (a->causal && j > pos)
		return false;
	return a->window == 0 || pos - j < a->window || j < a->sinks;
}

static int64_t
key_row(const struct k_attention *a, int64_t s, const struct span *p, int64_t j)
{
	if (a->block_table.at == 0)
		return p->q0 + j;
	return cpu_i32(a->block_table)[s * a->max_blocks + j / a->block_size] * a->block_size +
	    j % a->block_size;
}

static float
score(const struct k_attention *a, const float *q, const float *k)
{
	float s = 0;

	for (int64_t i = 0; i < a->d_qk; i++)
		s += q[i] * k[i];
	s *= (float)a->scale;
	return a->softcap > 0 ? (float)a->softcap * tanhf(s / (float)a->softcap) : s;
}

static void
query(const struct k_attention *a, int64_t s, const struct span *p, int64_t i, int64_t h)
{
	int64_t pos = p->nk - p->nq + i, kh = h * a->kv_heads / a->heads;
	const float *q = cpu_f32(a->q) + (p->q0 + i) * a->ldq + h * a->d_qk;
	float *o = cpu_f32(a->o) + (p->q0 + i) * a->ldo + h * a->d_v, m = -INFINITY, l = 0;

	for (int64_t e = 0; e < a->d_v; e++)
		o[e] = 0;
	for (int64_t j = 0; j < p->nk; j++)
		if (seen(a, pos, j))
			m = fmaxf(m, score(a, q, cpu_f32(a->k) +
			    key_row(a, s, p, j) * a->ldk + kh * a->d_qk));
	for (int64_t j = 0; j < p->nk; j++)
		if (seen(a, pos, j)) {
			int64_t r = key_row(a, s, p, j);
			const float *v = cpu_f32(a->v) + r * a->ldv + kh * a->d_v;
			float w = expf(score(a, q, cpu_f32(a->k) + r * a->ldk + kh * a->d_qk) - m);

			l += w;
			for (int64_t e = 0; e < a->d_v; e++)
				o[e] += w * v[e];
		}
	for (int64_t e = 0; l > 0 && e < a->d_v; e++)
		o[e] /= l;
	if (a->lse.at != 0)
		cpu_f32(a->lse)[(p->q0 + i) * a->heads + h] = m + logf(l);
}

void
OF_ISA(k_attention)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention *a = &args->attention;
	int64_t seqs = cpu_count(c, a->seqs);

	for (int64_t s = 0; s < seqs; s++) {
		struct span p = span_of(a, s);

		for (int64_t i = 0; i < p.nq; i++)
			for (int64_t h = 0; h < a->heads; h++)
				query(a, s, &p, i, h);
	}
}

static void
pair_bwd(const struct k_attention_bwd *b, int64_t qr, int64_t kr, int64_t h, float delta)
{
	const struct k_attention *a = &b->f;
	int64_t kh = h * a->kv_heads / a->heads, qi = qr * a->ldq + h * a->d_qk;
	int64_t ki = kr * a->ldk + kh * a->d_qk, vi_ = kr * a->ldv + kh * a->d_v;
	const float *q = cpu_f32(a->q) + qi, *k = cpu_f32(a->k) + ki, *v = cpu_f32(a->v) + vi_;
	const float *d_o = cpu_f32(b->d_o) + qr * a->ldo + h * a->d_v;
	float s = score(a, q, k), p = expf(s - cpu_f32(a->lse)[qr * a->heads + h]), dp = 0, ds;

	for (int64_t e = 0; e < a->d_v; e++) {
		dp += d_o[e] * v[e];
		cpu_f32(b->dv)[vi_ + e] += p * d_o[e];
	}
	ds = p * (dp - delta) * (float)a->scale;
	if (a->softcap > 0)
		ds *= 1 - s * s / (float)(a->softcap * a->softcap);
	for (int64_t e = 0; e < a->d_qk; e++) {
		cpu_f32(b->dq)[qi + e] += ds * k[e];
		cpu_f32(b->dk)[ki + e] += ds * q[e];
	}
}

static void
zero(float *p, int64_t ld, int64_t rows, int64_t n)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < n; i++)
			p[r * ld + i] = 0;
}

void
OF_ISA(k_attention_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_attention_bwd *b = &args->attention_bwd;
	const struct k_attention *a = &b->f;
	int64_t seqs = cpu_count(c, a->seqs), rows = cpu_count(c, a->t);

	if (seqs < 0 || rows < 0)
		return;
	zero(cpu_f32(b->dq), a->ldq, rows, a->heads * a->d_qk);
	zero(cpu_f32(b->dk), a->ldk, rows, a->kv_heads * a->d_qk);
	zero(cpu_f32(b->dv), a->ldv, rows, a->kv_heads * a->d_v);
	for (int64_t s = 0; s < seqs; s++) {
		struct span p = span_of(a, s);

		for (int64_t i = 0; i < p.nq; i++)
			for (int64_t h = 0; h < a->heads; h++) {
				int64_t at = (p.q0 + i) * a->ldo + h * a->d_v;
				float delta = 0;

				for (int64_t e = 0; e < a->d_v; e++)
					delta += cpu_f32(a->o)[at + e] * cpu_f32(b->d_o)[at + e];
				for (int64_t j = 0; j < p.nk; j++)
					if (seen(a, i, j))
						pair_bwd(b, p.q0 + i, p.q0 + j, h, delta);
			}
	}
}
