/* The guard of a step and AdamW. */
#include <math.h>
#include <string.h>

#include "dev/cpu/simd/simd.h"

enum { RING = sizeof(((struct dev_history *)0)->loss) / sizeof(double) };

/* The middle of n > 0 values, which are sorted. */
static double
median(double *x, int64_t n)
{
	for (int64_t i = 1; i < n; i++) {
		double v = x[i];
		int64_t j = i;

		for (; j > 0 && x[j - 1] > v; j--)
			x[j] = x[j - 1];
		x[j] = v;
	}
	return n % 2 != 0 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Is x more than mads deviations above the median of the ring? */
static bool
spikes(double x, const double *ring, int64_t n, double mads)
{
	double t[RING], mid, mad;

	memcpy(t, ring, (size_t)n * sizeof(*t));
	mid = median(t, n);
	for (int64_t i = 0; i < n; i++)
		t[i] = fabs(ring[i] - mid);
	mad = fmax(median(t, n), GUARD_MIN_MAD * fabs(mid));
	return x > mid + mads * mad;
}

void
OF_ISA(k_guard)(struct cpu *c, const union dev_args *args)
{
	const struct k_guard *a = &args->guard;
	struct dev_step *s = cpu_ptr(a->step);
	struct dev_history *h = cpu_ptr(a->history);
	int64_t n = h->n < RING ? h->n : RING;
	double loss = s->loss / s->targets;

	(void)c;
	s->norm = sqrt(s->sumsq);
	s->scale = a->clip > 0 && s->norm > a->clip ? a->clip / s->norm : 1;
	s->skip = 0;
	if (!isfinite(loss) || !isfinite(s->norm))
		s->skip = 1;
	else if (a->mads > 0 && n > 0 && h->n >= a->least) {
		if (spikes(loss, h->loss, n, a->mads))
			s->skip = 2;
		else if (spikes(s->norm, h->norm, n, a->mads))
			s->skip = 3;
	}
	if (s->skip != 0) {
		s->scale = 0;
		s->skipped++;
		return;
	}
	s->skipped = 0;
	s->step++;
	h->loss[h->n % RING] = loss;
	h->norm[h->n % RING] = s->norm;
	h->n++;
}

/* What is the same for every element of one update. */
struct update {
	float	scale, b1, b2, lr1, rsqrt_c2, eps, keep;
};

static void
adamw_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_adamw *a = job->args;
	const struct update u = *(const struct update *)job->tmp;
	int64_t from = cpu_from(job, task), to = cpu_to(job, task);
	const float *g = cpu_f32(a->g);
	float *p = cpu_f32(a->p), *m = cpu_f32(a->m), *v = cpu_f32(a->v);

	(void)member;
	for (int64_t i = from; i < to; i += VW) {
		int64_t n = to - i;
		vf d = vload_to(g + i, n) * u.scale;
		vf first = u.b1 * vload_to(m + i, n) + (1 - u.b1) * d;
		vf second = u.b2 * vload_to(v + i, n) + (1 - u.b2) * d * d;

		vstore_to(m + i, first, n);
		vstore_to(v + i, second, n);
		vstore_to(p + i, u.keep * vload_to(p + i, n) -
		    u.lr1 * first / (vsqrt(second) * u.rsqrt_c2 + u.eps), n);
	}
	if (a->p_out.at != 0)
		dtype_convert((char *)cpu_ptr(a->p_out) + from * dtype_size(a->p_type), a->p_type,
		    p + from, DTYPE_F32, to - from);
}

void
OF_ISA(k_adamw)(struct cpu *c, const union dev_args *args)
{
	const struct k_adamw *a = &args->adamw;
	const struct dev_step *s = cpu_ptr(a->step);
	double lr = s->lr * a->lr_scale, t = (double)s->step;
	struct update u = {
		.scale = (float)s->scale, .b1 = (float)a->beta1, .b2 = (float)a->beta2,
		.lr1 = (float)(lr / (1 - pow(a->beta1, t))),
		.rsqrt_c2 = (float)(1 / sqrt(1 - pow(a->beta2, t))),
		.eps = (float)a->eps, .keep = (float)(1 - lr * a->decay),
	};
	struct cpu_job job = { .c = c, .args = args, .tmp = &u, .n = a->n, .step = 16384 };

	if (s->skip == 0)
		cpu_run(&job, 2, adamw_task);
}
