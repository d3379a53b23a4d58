/* Activations and gated units. */
#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/vmath.h"

/* 1 / (1 + e^-x), and 1 less that, neither by a difference. */
INLINE vf
sigmoid(vf x, vf *rest)
{
	vf e = vexp(-vmax(vset(-85.0f), x)), s = 1.0f / (1.0f + e);

	*rest = e * s;
	return s;
}

/* act(x) and, where d is not NULL, its derivative. */
INLINE vf
act(enum dev_act kind, vf x, vf *d)
{
	const float a = 0.797884561f, b = 0.044715f;	/* sqrt(2 / pi) */
	vf s, u, r;

	switch (kind) {
	case ACT_SILU:
		s = sigmoid(x, &r);
		if (d != NULL)
			*d = s * (1.0f + x * r);
		return x * s;
	case ACT_GELU:
		s = vnormal(x);
		if (d != NULL)
			*d = s + x * 0.398942280f * vexp(-0.5f * x * x);
		return x * s;
	case ACT_GELU_TANH:
		/* (1 + tanh(t)) / 2 is sigmoid(2 t) */
		u = x * x;
		s = sigmoid(x * (2 * a + 2 * a * b * u), &r);
		if (d != NULL)
			*d = s + x * s * r * (2 * a + 6 * a * b * u);
		return x * s;
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

/* Call a function of an activation and a type with both constants, so that each is compiled. */
#define OF_TYPES(kind, type, call) do {					\
	switch (type) {							\
	case DTYPE_BF16:	call(kind, DTYPE_BF16); break;		\
	case DTYPE_F16:		call(kind, DTYPE_F16); break;		\
	default:		call(kind, DTYPE_F32); break;		\
	}								\
} while (0)
#define EACH_ACT(kind, type, call) do {					\
	switch (kind) {							\
	case ACT_SILU:		OF_TYPES(ACT_SILU, type, call); break;	\
	case ACT_GELU:		OF_TYPES(ACT_GELU, type, call); break;	\
	case ACT_GELU_TANH:	OF_TYPES(ACT_GELU_TANH, type, call); break;	\
	case ACT_RELU:		OF_TYPES(ACT_RELU, type, call); break;	\
	case ACT_RELU2:		OF_TYPES(ACT_RELU2, type, call); break;	\
	default:		OF_TYPES(ACT_NONE, type, call); break;	\
	}								\
} while (0)

INLINE void
act_span(enum dev_act kind, dtype type, const struct k_act *a, int64_t from, int64_t to)
{
	const void *x = cpu_ptr(a->x);
	void *y = cpu_ptr(a->y);
	int64_t i = from;

	for (; i + VW <= to; i += VW)
		vput(type, y, i, act(kind, vget(type, x, i, VW), NULL), VW);
	if (i < to)
		vput(type, y, i, act(kind, vget(type, x, i, to - i), NULL), to - i);
}

static void
act_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_act *a = job->args;
	int64_t from = cpu_from(job, task) * a->c, to = cpu_to(job, task) * a->c;

	(void)member;
#define CALL(kind, type) act_span(kind, type, a, from, to)
	EACH_ACT(a->act, a->type, CALL);
#undef CALL
}

void
OF_ISA(k_act)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->act.t) };

	cpu_run(&job, 8 * a->act.c / VW, act_task);
}

INLINE void
act_bwd_at(enum dev_act kind, dtype type, const struct k_act_bwd *a, int64_t i, int64_t n)
{
	vf d;

	act(kind, vget(type, cpu_ptr(a->x), i, n), &d);
	d *= vget(type, cpu_ptr(a->dy), i, n);
	if (a->add)
		d += vget(type, cpu_ptr(a->dx), i, n);
	vput(type, cpu_ptr(a->dx), i, d, n);
}

INLINE void
act_bwd_span(enum dev_act kind, dtype type, const struct k_act_bwd *a, int64_t from, int64_t to)
{
	int64_t i = from;

	for (; i + VW <= to; i += VW)
		act_bwd_at(kind, type, a, i, VW);
	if (i < to)
		act_bwd_at(kind, type, a, i, to - i);
}

static void
act_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_act_bwd *a = job->args;
	int64_t from = cpu_from(job, task) * a->c, to = cpu_to(job, task) * a->c;

	(void)member;
#define CALL(kind, type) act_bwd_span(kind, type, a, from, to)
	EACH_ACT(a->act, a->type, CALL);
#undef CALL
}

void
OF_ISA(k_act_bwd)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->act_bwd.t) };

	cpu_run(&job, 10 * a->act_bwd.c / VW, act_bwd_task);
}

/* Elements [i, i + n) of row t. */
INLINE void
glu_at(enum dev_act kind, dtype type, const struct k_glu *a, int64_t t, int64_t i, int64_t n)
{
	vf g = act(kind, vget(type, cpu_ptr(a->gate), t * a->ld + i, n), NULL);

	vput(type, cpu_ptr(a->y), t * a->c + i,
	    g * vget(type, cpu_ptr(a->up), t * a->ld + i, n), n);
}

INLINE void
glu_row(enum dev_act kind, dtype type, const struct k_glu *a, int64_t t)
{
	int64_t i = 0;

	for (; i + VW <= a->c; i += VW)
		glu_at(kind, type, a, t, i, VW);
	if (i < a->c)
		glu_at(kind, type, a, t, i, a->c - i);
}

static void
glu_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_glu *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(kind, type) glu_row(kind, type, a, t)
		EACH_ACT(a->act, a->type, CALL);
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
glu_bwd_at(enum dev_act kind, dtype type, const struct k_glu_bwd *a, int64_t t, int64_t i,
    int64_t n)
{
	int64_t at = t * a->ld + i;
	vf d, g = vget(type, cpu_ptr(a->dy), t * a->c + i, n);
	vf u = vget(type, cpu_ptr(a->up), at, n);
	vf y = act(kind, vget(type, cpu_ptr(a->gate), at, n), &d);

	vput(type, cpu_ptr(a->dup), at, g * y, n);
	vput(type, cpu_ptr(a->dgate), at, g * u * d, n);
}

INLINE void
glu_bwd_row(enum dev_act kind, dtype type, const struct k_glu_bwd *a, int64_t t)
{
	int64_t i = 0;

	for (; i + VW <= a->c; i += VW)
		glu_bwd_at(kind, type, a, t, i, VW);
	if (i < a->c)
		glu_bwd_at(kind, type, a, t, i, a->c - i);
}

static void
glu_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_glu_bwd *a = job->args;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
#define CALL(kind, type) glu_bwd_row(kind, type, a, t)
		EACH_ACT(a->act, a->type, CALL);
#undef CALL
	}
}

void
OF_ISA(k_glu_bwd)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->glu_bwd.t) };

	cpu_run(&job, 12 * a->glu_bwd.c / VW, glu_bwd_task);
}

INLINE void
softcap_span(dtype type, const struct k_softcap *a, int64_t from, int64_t to)
{
	const float cap = (float)a->cap;

	for (int64_t i = from; i < to; i += VW)
		vput(type, cpu_ptr(a->y), i,
		    cap * vtanh(vget(type, cpu_ptr(a->x), i, to - i) / cap), to - i);
}

static void
softcap_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_softcap *a = job->args;
	int64_t from = cpu_from(job, task) * a->c, to = cpu_to(job, task) * a->c;

	(void)member;
#define CALL(type) softcap_span(type, a, from, to)
	EACH_TYPE(a->type, CALL);
#undef CALL
}

void
OF_ISA(k_softcap)(struct cpu *c, const union dev_args *a)
{
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->softcap.t) };

	cpu_run(&job, 8 * a->softcap.c / VW, softcap_task);
}
