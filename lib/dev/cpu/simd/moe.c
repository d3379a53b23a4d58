/*
 * Routing to experts: choice, its gradient, sorting, balance.
 *
 * A row's choice depends on that row alone.  Rows of E scores are short, so
 * they are worked on in the stack.
 */
#include <math.h>

#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/vmath.h"

/* Room to store whole vectors at the end. */
struct row {
	float	p[ROUTE_MAX_EXPERTS + VW];
};

/* p = softmax(x).  Return log-sum-exp. */
static float
softmax_row(float *p, const float *x, int64_t n)
{
	float top = x[0], sum = 0;

	for (int64_t i = 1; i < n; i++)
		top = x[i] > top ? x[i] : top;
	for (int64_t i = 0; i < n; i += VW)
		vstore_to(p + i, vexp(vload_to(x + i, n - i) - top), n - i);
	for (int64_t i = 0; i < n; i++)
		sum += p[i];
	for (int64_t i = 0; i < n; i++)
		p[i] /= sum;
	return top + logf(sum);
}

static void
score_row(float *p, const float *x, int64_t n, bool sigmoid)
{
	if (!sigmoid) {
		softmax_row(p, x, n);
		return;
	}
	for (int64_t i = 0; i < n; i += VW)
		vstore_to(p + i, vsigmoid(vload_to(x + i, n - i)), n - i);
}

/* The places of the k largest of key[0..n), largest first; a NaN is no larger than -inf. */
static void
top_of(int32_t *id, const float *key, int64_t n, int64_t k)
{
	int64_t have = 0;

	for (int64_t e = 0; e < n; e++) {
		int64_t at = have < k ? have++ : k;

		for (; at > 0 && (key[e] > key[id[at - 1]] ||
		    (key[id[at - 1]] != key[id[at - 1]] && key[e] == key[e])); at--)
			if (at < k)
				id[at] = id[at - 1];
		if (at < k)
			id[at] = (int32_t)e;
	}
}

/* Experts outside the best groups get a key of -inf. */
static void
limit_groups(const struct k_route *a, float *key)
{
	int64_t size = a->experts / a->groups;
	float best[ROUTE_MAX_EXPERTS];
	int32_t id[ROUTE_MAX_EXPERTS];
	bool in[ROUTE_MAX_EXPERTS] = { false };

	for (int64_t g = 0; g < a->groups; g++) {
		int32_t two[2] = { 0 };

		top_of(two, key + g * size, size, size > 1 ? 2 : 1);
		best[g] = key[g * size + two[0]];
		if (a->pairs && size > 1)
			best[g] += key[g * size + two[1]];
	}
	top_of(id, best, a->groups, a->top_groups);
	for (int64_t g = 0; g < a->top_groups; g++)
		in[id[g]] = true;
	for (int64_t e = 0; e < a->experts; e++)
		if (!in[e / size])
			key[e] = -INFINITY;
}

/* What the chosen scores are multiplied by. */
static float
weight_scale(const struct k_route *a, const float *score, const int32_t *id)
{
	float sum = 0;

	if (!a->normalize)
		return (float)a->scale;
	for (int64_t j = 0; j < a->top; j++)
		sum += score[id[j]];
	return (float)a->scale / (sum + 1e-20f);
}

static void
route_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_route *a = job->args;
	int64_t n = a->experts;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		const float *x = cpu_f32(a->logits) + t * n;
		int32_t *id = cpu_i32(a->id) + t * a->top;
		float *w = cpu_f32(a->weight) + t * a->top, scale;
		struct row score, key;

		score_row(score.p, x, n, a->sigmoid);
		/* Softmax keeps the order: logits tell apart what rounds to one score. */
		for (int64_t e = 0; e < n; e++)
			key.p[e] = a->bias.at != 0 ? score.p[e] + cpu_f32(a->bias)[e] :
			    a->sigmoid || a->pairs ? score.p[e] : x[e];
		if (a->groups > 1)
			limit_groups(a, key.p);
		top_of(id, key.p, n, a->top);
		scale = weight_scale(a, score.p, id);
		for (int64_t j = 0; j < a->top; j++)
			w[j] = scale * score.p[id[j]];
	}
}

void
OF_ISA(k_route)(struct cpu *c, const union dev_args *args)
{
	const struct k_route *a = &args->route;
	struct cpu_job job = { .c = c, .args = a, .n = cpu_count(c, a->t) };

	cpu_run(&job, 4 * a->experts, route_task);
}

/* ---- its gradient ---- */

/* The gradient of the balance loss in p, one row for all tokens. */
struct balance {
	struct row	 grad;
	float		 z;	/* times log-sum-exp and softmax: of the other loss */
};

static void
balance_grad(const struct k_route_bwd *a, struct balance *b)
{
	int64_t n = a->f.experts, all = 0;
	const int32_t *offset = cpu_i32(a->offset);
	float share;

	for (int64_t e = 0; e < n; e++)
		b->grad.p[e] = 0;
	b->z = 0;
	if (a->share.at == 0)
		return;
	share = *cpu_f32(a->share);
	b->z = 2 * share * (float)a->z;
	for (int64_t l = 0; l < a->layers; l++)
		all += offset[l * (n + 1) + n];
	if (all == 0)
		return;
	for (int64_t e = 0; e < n; e++) {
		int64_t here = 0;

		for (int64_t l = 0; l < a->layers; l++)
			here += offset[l * (n + 1) + e + 1] - offset[l * (n + 1) + e];
		/* f_e, over the layers again: the mean of p is over them too. */
		b->grad.p[e] = share * (float)(a->aux * (double)n * (double)here *
		    (double)a->f.top / ((double)all * (double)a->layers));
	}
}

/* g += the gradient of the chosen scores. */
static void
weight_grad(const struct k_route *a, const float *score, const int32_t *id, const float *dw,
    float *g)
{
	float scale = weight_scale(a, score, id), mean = 0;

	if (a->normalize)
		for (int64_t j = 0; j < a->top; j++)
			mean += dw[j] * scale * score[id[j]] / (float)a->scale;
	for (int64_t j = 0; j < a->top; j++)
		g[id[j]] += scale * (dw[j] - mean);
}

/* g becomes the gradient of the logits. */
static void
through_scores(const struct k_route_bwd *a, const struct balance *b, const float *x,
    const float *score, float *g)
{
	int64_t n = a->f.experts;
	float dot = 0, sum = 0, lse;
	struct row p;

	if (a->f.sigmoid) {
		for (int64_t e = 0; e < n; e++) {
			sum += score[e];
			dot += score[e] * b->grad.p[e];
		}
		sum += 1e-20f;
		for (int64_t e = 0; e < n; e++)
			g[e] = (g[e] + (b->grad.p[e] - dot / sum) / sum) * score[e] *
			    (1 - score[e]);
	} else {
		for (int64_t e = 0; e < n; e++) {
			g[e] += b->grad.p[e];
			dot += score[e] * g[e];
		}
		for (int64_t e = 0; e < n; e++)
			g[e] = score[e] * (g[e] - dot);
	}
	if (b->z == 0)
		return;
	lse = softmax_row(p.p, x, n);
	for (int64_t e = 0; e < n; e++)
		g[e] += b->z * lse * p.p[e];
}

static void
route_bwd_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_route_bwd *a = job->args;
	const struct balance *b = job->tmp;
	int64_t n = a->f.experts, k = a->f.top;

	(void)member;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		const float *x = cpu_f32(a->f.logits) + t * n;
		struct row score, g;

		score_row(score.p, x, n, a->f.sigmoid);
		for (int64_t e = 0; e < n; e++)
			g.p[e] = 0;
		if (a->dweight.at != 0)
			weight_grad(&a->f, score.p, cpu_i32(a->f.id) + t * k,
			    cpu_f32(a->dweight) + t * k, g.p);
		through_scores(a, b, x, score.p, g.p);
		for (int64_t e = 0; e < n; e++)
			cpu_f32(a->dlogits)[t * n + e] = g.p[e];
	}
}

/* Are all ids experts?  What is computed there comes from the device, not from the host. */
static bool
experts_ok(struct cpu *c, const int32_t *id, int64_t n, int64_t experts)
{
	for (int64_t i = 0; i < n; i++)
		if (id[i] < 0 || id[i] >= experts) {
			cpu_fail(c, ERR_ARG, "expert %d at assignment %lld is outside 0..%lld",
			    id[i], (long long)i, (long long)experts - 1);
			return false;
		}
	return true;
}

void
OF_ISA(k_route_bwd)(struct cpu *c, const union dev_args *args)
{
	const struct k_route_bwd *a = &args->route_bwd;
	struct balance b;
	struct cpu_job job = { .c = c, .args = a, .tmp = &b, .n = cpu_count(c, a->f.t) };

	if (job.n <= 0 || !experts_ok(c, cpu_i32(a->f.id), job.n * a->f.top, a->f.experts))
		return;
	balance_grad(a, &b);
	cpu_run(&job, 4 * a->f.experts, route_bwd_task);
}

/* ---- sorting ---- */

void
OF_ISA(k_route_sort)(struct cpu *c, const union dev_args *args)
{
	const struct k_route_sort *a = &args->route_sort;
	int64_t n = cpu_count(c, a->t) * a->top, from = 0;
	const int32_t *id = cpu_i32(a->id);
	int32_t *offset = cpu_i32(a->offset), next[ROUTE_MAX_EXPERTS] = { 0 };

	if (n < 0 || !experts_ok(c, id, n, a->experts))
		return;
	for (int64_t i = 0; i < n; i++)
		next[id[i]]++;
	for (int64_t e = 0; e < a->experts; e++) {
		offset[e] = (int32_t)from;
		from += next[e];
		next[e] = offset[e];
	}
	offset[a->experts] = (int32_t)from;
	for (int64_t i = 0; i < n; i++) {
		int32_t row = next[id[i]]++;

		cpu_i32(a->row)[i] = row;
		cpu_i32(a->token)[row] = (int32_t)(i / a->top);
	}
}

/* ---- losses and balance ---- */

/* Sums of a chunk of tokens. */
static void
route_sum_task(void *ctx, int64_t task, int member)
{
	const struct cpu_job *job = ctx;
	const struct k_route_sum *a = job->args;
	int64_t n = a->experts;
	double *sum = (double *)job->tmp + task * (n + 1);

	(void)member;
	for (int64_t e = 0; e <= n; e++)
		sum[e] = 0;
	for (int64_t t = cpu_from(job, task); t < cpu_to(job, task); t++) {
		const float *x = cpu_f32(a->logits) + t * n;
		double lse, all = 0;
		struct row p;

		lse = (double)softmax_row(p.p, x, n);
		if (a->sigmoid)
			score_row(p.p, x, n, true);
		for (int64_t e = 0; e < n; e++)
			all += (double)p.p[e];
		for (int64_t e = 0; e < n; e++)
			sum[e] += (double)p.p[e] / (all + 1e-20);
		sum[n] += lse * lse;
	}
}

void
OF_ISA(k_route_sum)(struct cpu *c, const union dev_args *args)
{
	const struct k_route_sum *a = &args->route_sum;
	int64_t t = cpu_count(c, a->t), n = a->experts, chunks;
	struct cpu_job job = { .c = c, .args = a, .n = t, .step = CHUNK_ROWS };
	double *sum = cpu_ptr(a->sum), *part;

	if (t < 0)
		return;
	chunks = (t + CHUNK_ROWS - 1) / CHUNK_ROWS;
	part = job.tmp = cpu_scratch(c, (chunks + 1) * (n + 1) * (int64_t)sizeof(double));
	if (part == NULL)
		return;
	cpu_run(&job, 4 * n, route_sum_task);
	for (int64_t e = 0; e <= n; e++) {
		sum[e] = 0;
		for (int64_t i = 0; i < chunks; i++)
			sum[e] += part[i * (n + 1) + e];
	}
}

void
OF_ISA(k_balance)(struct cpu *c, const union dev_args *args)
{
	const struct k_balance *a = &args->balance;
	int64_t t = cpu_count(c, a->t), n = a->experts;
	const int32_t *offset = cpu_i32(a->offset);
	const double *sum = cpu_ptr(a->sum);
	double *loss = cpu_ptr(a->loss), layers = (double)a->layers;

	if (t <= 0)
		return;
	for (int64_t e = 0; e < n; e++) {
		double here = 0, p = 0;

		for (int64_t l = 0; l < a->layers; l++) {
			int64_t at = l * (n + 1) + e;

			cpu_i32(a->count)[l * n + e] += offset[at + 1] - offset[at];
			here += offset[at + 1] - offset[at];
			p += sum[at];
		}
		/* T E (here / (layers T)) (p / (layers T)) */
		loss[0] += (double)n * here * p / (layers * layers * (double)t);
	}
	for (int64_t l = 0; l < a->layers; l++)
		loss[1] += sum[l * (n + 1) + n];
}

void
OF_ISA(k_balance_bias)(struct cpu *c, const union dev_args *args)
{
	const struct k_balance_bias *a = &args->balance_bias;
	const struct dev_step *s = cpu_ptr(a->step);
	int32_t *count = cpu_i32(a->count);
	int64_t all = 0;

	(void)c;
	for (int64_t e = 0; e < a->experts; e++)
		all += count[e];
	for (int64_t e = 0; e < a->experts; e++) {
		int64_t more = count[e] * a->experts - all;

		if (s->skip == 0)
			cpu_f32(a->bias)[e] += (float)a->rate *
			    (float)(more < 0 ? 1 : more > 0 ? -1 : 0);
		count[e] = 0;
	}
}
