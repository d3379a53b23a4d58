/* Activations and gated units. */
#include "dev/cuda/common.cuh"

/* 1 / (1 + e^-x), and 1 less that, neither by a difference */
DEVICE float
sigmoid(float x, float *rest)
{
	float e = expf(-fmaxf(x, -85.0f)), s = 1 / (1 + e);

	*rest = e * s;
	return s;
}

/* act(x), and its derivative in *d */
DEVICE float
act_of(enum dev_act kind, float x, float *d)
{
	const float a = 0.797884561f, b = 0.044715f;	/* a: sqrt(2 / pi) */
	float s, u, rest;

	switch (kind) {
	case ACT_SILU:
		s = sigmoid(x, &rest);
		*d = s * (1 + x * rest);
		return x * s;
	case ACT_GELU:
		s = 0.5f * erfcf(x * -0.707106781f);
		*d = s + x * 0.398942280f * expf(-0.5f * x * x);
		return x * s;
	case ACT_GELU_TANH:
		/* (1 + tanh(t)) / 2 is sigmoid(2 t) */
		u = x * x;
		s = sigmoid(x * (2 * a + 2 * a * b * u), &rest);
		*d = s + x * s * rest * (2 * a + 6 * a * b * u);
		return x * s;
	case ACT_RELU:
		*d = x > 0 ? 1 : 0;
		return x > 0 ? x : 0;
	case ACT_RELU2:
		u = x > 0 ? x : 0;
		*d = u + u;
		return u * u;
	default:
		*d = 1;
		return x;
	}
}

template <typename T> DEVICE void
act(const struct k_act &a, const struct cuda_run &r)
{
	const T *x[1] = { at<T>(a.x) };

	map(first_of_all(), step_of_all(), at<T>(a.y), x, rows_of(a.t, r) * a.c,
	    [&](const float *v, int64_t) { float d; return act_of(a.act, v[0], &d); });
}
TYPED(act, k_act)

template <typename T> DEVICE void
act_bwd(const struct k_act_bwd &a, const struct cuda_run &r)
{
	const T *x[3] = { at<T>(a.dy), at<T>(a.x), a.add ? at<T>(a.dx) : at<T>(a.dy) };

	map(first_of_all(), step_of_all(), at<T>(a.dx), x, rows_of(a.t, r) * a.c,
	    [&](const float *v, int64_t) {
		float d;

		act_of(a.act, v[1], &d);
		return v[0] * d + (a.add ? v[2] : 0);
	    });
}
TYPED(act_bwd, k_act_bwd)

template <typename T> DEVICE void
softcap(const struct k_softcap &a, const struct cuda_run &r)
{
	const T *x[1] = { at<T>(a.x) };
	float cap = (float)a.cap;

	map(first_of_all(), step_of_all(), at<T>(a.y), x, rows_of(a.t, r) * a.c,
	    [&](const float *v, int64_t) { return cap * tanhf(v[0] / cap); });
}
TYPED(softcap, k_softcap)

/* A block takes a row at a time. */
template <typename T> DEVICE void
glu(const struct k_glu &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);

	for (int64_t t = blockIdx.x; t < rows; t += gridDim.x) {
		const T *x[2] = { at<T>(a.gate) + t * a.ld, at<T>(a.up) + t * a.ld };

		map(threadIdx.x, blockDim.x, at<T>(a.y) + t * a.c, x, a.c,
		    [&](const float *v, int64_t) {
			float d;

			return act_of(a.act, v[0], &d) * v[1];
		    });
	}
}
TYPED(glu, k_glu)

/* Two outputs, which may be the inputs: what is read is so before either is written. */
template <typename T, int N> DEVICE void
glu_grads(enum dev_act act, T *dgate, T *dup, const T *dy, const T *gate, const T *up)
{
	struct alignas(N * sizeof(T)) some { T x[N]; };
	some g = *(const some *)gate, u = *(const some *)up, d = *(const some *)dy;

#pragma unroll
	for (int j = 0; j < N; j++) {
		float slope, y = get(&d.x[j]), s = act_of(act, get(&g.x[j]), &slope);

		put(&g.x[j], y * get(&u.x[j]) * slope);
		put(&u.x[j], y * s);
	}
	*(some *)dgate = g;
	*(some *)dup = u;
}

/* A block takes a row at a time. */
template <typename T> DEVICE void
glu_bwd(const struct k_glu_bwd &a, const struct cuda_run &r)
{
	constexpr int EACH = 16 / sizeof(T);
	int64_t rows = rows_of(a.t, r);

	for (int64_t t = blockIdx.x; t < rows; t += gridDim.x) {
		const T *x[4] = { at<T>(a.dy) + t * a.c, at<T>(a.gate) + t * a.ld,
			at<T>(a.up) + t * a.ld, at<T>(a.dup) + t * a.ld };
		T *y = at<T>(a.dgate) + t * a.ld, *z = at<T>(a.dup) + t * a.ld;
		int64_t done = lie_well<T, 4>(y, x) ? a.c / EACH * EACH : 0;

		for (int64_t i = threadIdx.x * EACH; i < done; i += THREADS * EACH)
			glu_grads<T, EACH>(a.act, y + i, z + i, x[0] + i, x[1] + i, x[2] + i);
		for (int64_t i = done + threadIdx.x; i < a.c; i += THREADS)
			glu_grads<T, 1>(a.act, y + i, z + i, x[0] + i, x[1] + i, x[2] + i);
	}
}
TYPED(glu_bwd, k_glu_bwd)
