/* Convolution and selective scan of refdev, as kernels.h defines them. */
#include <math.h>
#include <stdlib.h>

#include "refdev.h"

static double *
f64(dptr p)
{
	return (double *)(uintptr_t)p.at;
}

static const int32_t *
i32(dptr p)
{
	return (const int32_t *)(uintptr_t)p.at;
}

static int64_t
count(struct dim d)
{
	return d.n.at == 0 ? d.cap : *i32(d.n);
}

/* ---- convolution ---- */

/* Input at t - back of the sequence that starts at from; what came before is in state. */
static double
conv_input(const struct k_conv *a, int64_t s, int64_t from, int64_t t, int64_t c)
{
	if (t >= from)
		return f64(a->x)[t * a->ldx + c];
	if (a->state.at == 0 || i32(a->pos)[from] == 0)
		return 0;
	return f64(a->state)[(i32(a->slot)[s] * (a->width - 1) + a->width - 1 + t - from) *
	    a->c + c];
}

static void
conv_channel(const struct k_conv *a, int64_t s, int64_t c)
{
	int64_t from = i32(a->cu_seqlens)[s], to = i32(a->cu_seqlens)[s + 1];
	double last[CONV_WIDTH];

	if (from == to)
		return;
	for (int64_t t = from; t < to; t++) {
		double y = a->bias.at != 0 ? f64(a->bias)[c] : 0;

		for (int64_t j = 0; j < a->width; j++)
			y += f64(a->w)[c * a->width + j] *
			    conv_input(a, s, from, t - a->width + 1 + j, c);
		f64(a->y)[t * a->c + c] = y;
	}
	if (a->state.at == 0)
		return;
	for (int64_t j = 0; j < a->width - 1; j++)
		last[j] = conv_input(a, s, from, to - a->width + 1 + j, c);
	for (int64_t j = 0; j < a->width - 1; j++)
		f64(a->state)[(i32(a->slot)[s] * (a->width - 1) + j) * a->c + c] = last[j];
}

static void
conv_channel_bwd(const struct k_conv_bwd *b, int64_t s, int64_t c)
{
	const struct k_conv *a = &b->f;
	int64_t from = i32(a->cu_seqlens)[s], to = i32(a->cu_seqlens)[s + 1];

	for (int64_t t = from; t < to; t++)
		f64(b->dx)[t * a->ldx + c] = 0;
	for (int64_t t = from; t < to; t++) {
		double dy = f64(b->dy)[t * a->c + c];

		if (b->dbias.at != 0)
			f64(b->dbias)[c] += dy;
		for (int64_t j = 0; j < a->width; j++) {
			int64_t at = t - a->width + 1 + j;

			if (at < from)
				continue;
			f64(b->dx)[at * a->ldx + c] += dy * f64(a->w)[c * a->width + j];
			if (b->dw.at != 0)
				f64(b->dw)[c * a->width + j] += dy * f64(a->x)[at * a->ldx + c];
		}
	}
}

/* ---- the scan ---- */

static double
softplus(double x)
{
	return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double
sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double *
state_of(const struct k_scan *a, int64_t s, int64_t n, int64_t c)
{
	return &f64(a->state)[(i32(a->slot)[s] * a->n + n) * a->c + c];
}

/* y without the gate at each token, and the states after it when h is not NULL, (tokens, n). */
static void
scan_channel(const struct k_scan *a, int64_t s, int64_t c, double *h, bool write)
{
	int64_t from = i32(a->cu_seqlens)[s], to = i32(a->cu_seqlens)[s + 1];
	double now[SCAN_STATES] = { 0 };

	if (from == to)
		return;
	for (int64_t n = 0; a->state.at != 0 && i32(a->pos)[from] > 0 && n < a->n; n++)
		now[n] = *state_of(a, s, n, c);
	for (int64_t t = from; t < to; t++) {
		double x = f64(a->x)[t * a->ldx + c], z = f64(a->z)[t * a->ldz + c];
		double dt = softplus(f64(a->dt)[t * a->c + c]), y = f64(a->d)[c] * x;

		for (int64_t n = 0; n < a->n; n++) {
			if (write && a->saved.at != 0 && t % SCAN_PIECE == 0)
				f64(a->saved)[(t / SCAN_PIECE * a->n + n) * a->c + c] = now[n];
			now[n] = now[n] * exp(-exp(f64(a->a_log)[c * a->n + n]) * dt) +
			    dt * x * f64(a->b)[t * a->n + n];
			y += now[n] * f64(a->c_in)[t * a->n + n];
			if (h != NULL)
				h[(t - from) * a->n + n] = now[n];
		}
		if (write)
			f64(a->y)[t * a->c + c] = y * z * sigmoid(z);
	}
	for (int64_t n = 0; write && a->state.at != 0 && n < a->n; n++)
		*state_of(a, s, n, c) = now[n];
}

/* One token of the backward scan; dh comes from the token behind it. */
static void
scan_token_bwd(const struct k_scan_bwd *b, int64_t c, int64_t t, const double *h,
    const double *before, double *dh)
{
	const struct k_scan *a = &b->f;
	double x = f64(a->x)[t * a->ldx + c], z = f64(a->z)[t * a->ldz + c];
	double raw = f64(a->dt)[t * a->c + c], dt = softplus(raw), sig = sigmoid(z);
	double y = f64(a->d)[c] * x, g = f64(b->dy)[t * a->c + c], dx, ddt = 0;

	for (int64_t n = 0; n < a->n; n++)
		y += h[n] * f64(a->c_in)[t * a->n + n];
	f64(b->dz)[t * a->ldz + c] = g * y * sig * (1 + z * (1 - sig));
	g *= z * sig;
	dx = g * f64(a->d)[c];
	if (b->dd.at != 0)
		f64(b->dd)[c] += g * x;
	for (int64_t n = 0; n < a->n; n++) {
		double rate = -exp(f64(a->a_log)[c * a->n + n]), e = exp(rate * dt), da;

		dh[n] += g * f64(a->c_in)[t * a->n + n];
		f64(b->dc)[t * a->n + n] += g * h[n];
		f64(b->db)[t * a->n + n] += dh[n] * dt * x;
		dx += dh[n] * dt * f64(a->b)[t * a->n + n];
		da = before != NULL ? dh[n] * before[n] * e : 0;
		ddt += dh[n] * x * f64(a->b)[t * a->n + n] + da * rate;
		if (b->da_log.at != 0)
			f64(b->da_log)[c * a->n + n] += da * dt * rate;
		dh[n] *= e;
	}
	f64(b->dx)[t * a->ldx + c] = dx;
	f64(b->ddt)[t * a->c + c] = ddt * sigmoid(raw);
}

static void
scan_channel_bwd(const struct k_scan_bwd *b, int64_t s, int64_t c)
{
	const struct k_scan *a = &b->f;
	int64_t from = i32(a->cu_seqlens)[s], to = i32(a->cu_seqlens)[s + 1];
	double *h = calloc((size_t)((to - from) * a->n) + 1, sizeof(*h)), dh[SCAN_STATES] = { 0 };

	if (h == NULL)
		abort();
	scan_channel(a, s, c, h, false);
	for (int64_t t = to - 1; t >= from; t--)
		scan_token_bwd(b, c, t, h + (t - from) * a->n,
		    t > from ? h + (t - from - 1) * a->n : NULL, dh);
	free(h);
}

static void
scan_bwd(const struct k_scan_bwd *b)
{
	const struct k_scan *a = &b->f;

	for (int64_t i = 0; i < count(a->t) * a->n; i++)
		f64(b->db)[i] = f64(b->dc)[i] = 0;
	for (int64_t s = 0; s < count(a->seqs); s++)
		for (int64_t c = 0; c < a->c; c++)
			scan_channel_bwd(b, s, c);
}

void
ref_recurrence(int kernel, const union dev_args *a)
{
	const struct k_conv *v = kernel == K_CONV ? &a->conv : &a->conv_bwd.f;

	if (kernel == K_SCAN_BWD) {
		scan_bwd(&a->scan_bwd);
	} else if (kernel == K_SCAN) {
		for (int64_t s = 0; s < count(a->scan.seqs); s++)
			for (int64_t c = 0; c < a->scan.c; c++)
				scan_channel(&a->scan, s, c, NULL, true);
	} else {
		for (int64_t s = 0; s < count(v->seqs); s++)
			for (int64_t c = 0; c < v->c; c++) {
				if (kernel == K_CONV)
					conv_channel(v, s, c);
				else
					conv_channel_bwd(&a->conv_bwd, s, c);
			}
	}
}
