/* Activations and gated units. */
#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/vmath.h"

/* act(x) and, where d is not NULL, its derivative. */
INLINE vf
act(enum dev_act kind, vf x, vf *d)
{
	const float a = 0.797884561f, b = 0.044715f;	/* sqrt(2 / pi) */
	vf s, u, t;

	switch (kind) {
	case ACT_SILU:
		s = vsigmoid(x);
		if (d != NULL)
			*d = s * (1.0f + x * (1.0f - s));
		return x * s;
	case ACT_GELU:
		s = 0.5f * (1.0f + verf(x * 0.707106781f));
		if (d != NULL)
			*d = s + x * 0.398942280f * vexp(-0.5f * x * x);
		return x * s;
	case ACT_GELU_TANH:
		u = x * x;
		t = vtanh(x * a * (1.0f + b * u));
		if (d != NULL)
			*d = 0.5f * (1.0f + t) +
			    0.5f * x * (1.0f - t * t) * a * (1.0f + 3.0f * b * u);
		return 0.5f * x * (1.0f + t);
	case ACT_RELU:
	case ACT_RELU2:
		u = vmax((vf){ 0 }, x);
		if (d != NULL)
			*d = kind == ACT_RELU2 ? u + u :
			    vsel(x > 0.0f, vset(1.0f), (vf){ 0 });
		return kind == ACT_RELU2 ? u * u : u;
	default:
		if (d != NULL)
			*d = vset(1.0f);
		return x;
	}
}

/* Call a row function with the activation a constant, so that it is compiled for each. */
#define EACH_ACT(kind, call) do {					\
	switch (kind) {							\
	case ACT_SILU:		call(ACT_SILU); break;			\
	case ACT_GELU:		call(ACT_GELU); break;			\
	case ACT_GELU_TANH:	call(ACT_GELU_TANH); break;		\
	case ACT_RELU:		call(ACT_RELU); break;			\
	case ACT_RELU2:		call(ACT_RELU2); break;			\
	default:		call(ACT_NONE); break;			\
	}								\
} while (0)

INLINE void
act_row(enum dev_act kind, float *y, const float *x, int64_t c)
{
	for (int64_t i = 0; i < c; i += VW)
		vstore_to(y + i, act(kind, vload_to(x + i, c - i), NULL), c - i);
}

static void
act_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_act *a = job->args;
	int64_t at = cpu_from(job, task) * a->c, n = cpu_to(job, task) * a->c - at;

	(void)member;
#define CALL(kind) act_row(kind, cpu_f32(a->y) + at, cpu_f32(a->x) + at, n)
	EACH_ACT(a->act, CALL);
#undef CALL
}

void
OF_ISA(k_act)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->act.t) };

	cpu_run(&job, 8 * a->act.c / VW, act_task);
}

INLINE void
act_bwd_row(enum dev_act kind, float *dx, const float *dy, const float *x, int64_t c, bool add)
{
	for (int64_t i = 0; i < c; i += VW) {
		int64_t n = c - i;
		vf d;

		act(kind, vload_to(x + i, n), &d);
		d *= vload_to(dy + i, n);
		if (add)
			d += vload_to(dx + i, n);
		vstore_to(dx + i, d, n);
	}
}

static void
act_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_act_bwd *a = job->args;
	int64_t at = cpu_from(job, task) * a->c, n = cpu_to(job, task) * a->c - at;
	const float *dy = cpu_f32(a->dy) + at, *x = cpu_f32(a->x) + at;
	float *dx = cpu_f32(a->dx) + at;

	(void)member;
#define CALL(kind) act_bwd_row(kind, dx, dy, x, n, a->add)
	EACH_ACT(a->act, CALL);
#undef CALL
}

void
OF_ISA(k_act_bwd)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->act_bwd.t) };

	cpu_run(&job, 10 * a->act_bwd.c / VW, act_bwd_task);
}

INLINE void
glu_row(enum dev_act kind, float *y, const float *gate, const float *up, int64_t c)
{
	for (int64_t i = 0; i < c; i += VW) {
		int64_t n = c - i;

		vstore_to(y + i, act(kind, vload_to(gate + i, n), NULL) * vload_to(up + i, n), n);
	}
}

static void
glu_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_glu *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		const float *gate = cpu_f32(a->gate) + t * a->ld, *up = cpu_f32(a->up) + t * a->ld;
		float *y = cpu_f32(a->y) + t * a->c;

#define CALL(kind) glu_row(kind, y, gate, up, a->c)
		EACH_ACT(a->act, CALL);
#undef CALL
	}
}

void
OF_ISA(k_glu)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->glu.t) };

	cpu_run(&job, 8 * a->glu.c / VW, glu_task);
}

INLINE void
glu_bwd_row(enum dev_act kind, float *dgate, float *dup, const float *dy, const float *gate,
    const float *up, int64_t c)
{
	for (int64_t i = 0; i < c; i += VW) {
		int64_t n = c - i;
		vf d, y, g = vload_to(dy + i, n), u = vload_to(up + i, n);

		y = act(kind, vload_to(gate + i, n), &d);
		vstore_to(dup + i, g * y, n);
		vstore_to(dgate + i, g * u * d, n);
	}
}

static void
glu_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_glu_bwd *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		int64_t at = t * a->ld;
		const float *gate = cpu_f32(a->gate) + at, *up = cpu_f32(a->up) + at;
		const float *dy = cpu_f32(a->dy) + t * a->c;
		float *dgate = cpu_f32(a->dgate) + at, *dup = cpu_f32(a->dup) + at;

#define CALL(kind) glu_bwd_row(kind, dgate, dup, dy, gate, up, a->c)
		EACH_ACT(a->act, CALL);
#undef CALL
	}
}

void
OF_ISA(k_glu_bwd)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->glu_bwd.t) };

	cpu_run(&job, 12 * a->glu_bwd.c / VW, glu_bwd_task);
}
