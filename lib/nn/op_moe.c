#include "nn/moe.h"

#include "nn/nn_impl.h"

/* ---- routing ---- */

enum { LOGITS, BIAS, ID, SHARE };

/* The offsets of a layer. */
static struct mem
offset_of(const struct op_routing *r)
{
	return mem_at(mem_of(r->offset), r->layer * (r->experts + 1) * (int64_t)sizeof(int32_t));
}

static void
backward_route(struct tape *t, struct op *op)
{
	struct tensor *logits = op->in[LOGITS];
	struct mem dx;
	union dev_args *a;

	if (!tape_wants(t, logits))
		return;
	dx = grad_begin(t, logits);
	a = tape_launch(t, K_ROUTE_BWD);
	a->route_bwd = op->f.route_bwd;
	BIND_ROWS(t, route_bwd.f.t, logits);
	BIND(t, route_bwd.f.id, mem_of(op->in[ID]));
	BIND(t, route_bwd.f.logits, mem_of(logits));
	BIND(t, route_bwd.dlogits, dx);
	BIND(t, route_bwd.dweight, grad_of(t, op->out[0]));
	BIND(t, route_bwd.offset, op->kept[0]);
	BIND(t, route_bwd.share, mem_of(op->in[SHARE]));
	grad_end(t, logits, dx);
}

static const struct op_kind route = { "route", backward_route };

static void
launch_sort(struct tape *t, const struct op_routing *r)
{
	union dev_args *a = tape_launch(t, K_ROUTE_SORT);

	a->route_sort.experts = r->experts;
	a->route_sort.top = r->top;
	BIND_ROWS(t, route_sort.t, r->id);
	BIND(t, route_sort.id, mem_of(r->id));
	BIND(t, route_sort.offset, offset_of(r));
	BIND(t, route_sort.token, mem_of(r->token));
	BIND(t, route_sort.row, mem_of(r->row));
}

/* What the layer has to say to the losses. */
static void
launch_sum(struct tape *t, const struct tensor *logits, const struct op_router *router,
    const struct op_balance *b, int64_t layer)
{
	union dev_args *a = tape_launch(t, K_ROUTE_SUM);

	a->route_sum.type = logits->type;
	a->route_sum.experts = router->experts;
	a->route_sum.sigmoid = router->sigmoid;
	BIND_ROWS(t, route_sum.t, logits);
	BIND(t, route_sum.sum, mem_at(mem_of(b->sum),
	    layer * (router->experts + 1) * (int64_t)sizeof(double)));
	BIND(t, route_sum.logits, mem_of(logits));
}

static struct tensor *
choices(struct tape *t, const struct tensor *like, int64_t top)
{
	return tape_new_tensor(t, DTYPE_I32, like->rows, 2, (int64_t[]){ like->shape[0], top });
}

static struct tensor *
offsets(struct tape *t, int64_t layers, int64_t experts)
{
	return tape_new_tensor(t, DTYPE_I32, ROWS_FIXED, 2, (int64_t[]){ layers, experts + 1 });
}

static bool
router_fits(const struct tape *t, const struct tensor *logits, const struct tensor *bias,
    const struct op_router *o)
{
	return is_matrix(logits) && logits->type == tape_wide(t) &&
	    logits->shape[1] == o->experts && o->top >= 1 && o->top <= o->experts &&
	    (bias == NULL || (bias->ndim == 1 && bias->shape[0] == o->experts &&
	    bias->type == tape_wide(t)));
}

struct op_routing
op_route(struct tape *t, struct tensor *logits, struct tensor *bias,
    const struct op_router *o, struct op_balance *b)
{
	struct op_routing r = { .experts = o->experts, .top = o->top };
	struct tensor *none = tape_none(t);
	union dev_args *a;
	struct op *op;

	r.weight = r.id = r.token = r.row = r.offset = none;
	if (tape_failed(t))
		return r;
	if (!router_fits(t, logits, bias, o) ||
	    (b != NULL && (b->next >= b->layers || b->experts != o->experts))) {
		tape_fail(t, "route: logits %s and bias %s do not fit %lld of %lld experts",
		    shape_text(logits).s, shape_text(bias).s, (long long)o->top,
		    (long long)o->experts);
		return r;
	}
	r.weight = tape_rows_wide(t, logits, o->top);
	r.weight->needs_grad = tape_wants(t, logits);
	r.id = choices(t, logits, o->top);
	r.token = choices(t, logits, o->top);
	r.row = choices(t, logits, o->top);
	r.offset = b != NULL ? b->offset : offsets(t, 1, o->experts);
	r.layer = b != NULL ? b->next++ : 0;
	op = tape_op(t, &route);
	op->in[LOGITS] = logits;
	op->in[BIAS] = bias;
	op->in[ID] = r.id;
	op->in[SHARE] = b != NULL ? b->share : NULL;
	op->out[0] = r.weight;
	op->kept[0] = mem_of(r.offset);
	op->f.route_bwd = (struct k_route_bwd){ .f = { .type = logits->type,
	    .experts = o->experts, .top = o->top, .groups = o->groups,
	    .top_groups = o->top_groups, .sigmoid = o->sigmoid, .pairs = o->pairs,
	    .normalize = o->normalize, .scale = o->scale }, .layers = b != NULL ? b->layers : 1,
	    .aux = b != NULL ? b->aux : 0, .z = b != NULL ? b->z : 0 };
	a = tape_launch(t, K_ROUTE);
	a->route = op->f.route_bwd.f;
	BIND_ROWS(t, route.t, logits);
	BIND(t, route.id, mem_of(r.id));
	BIND(t, route.weight, mem_of(r.weight));
	BIND(t, route.logits, mem_of(logits));
	BIND(t, route.bias, mem_of(bias));
	launch_sort(t, &r);
	if (b != NULL)
		launch_sum(t, logits, o, b, r.layer);
	op->flops = 8.0 * (double)(logits->shape[0] * o->experts);
	op->flops_backward = 2 * op->flops;
	op->bytes = 2.0 * (double)(logits->shape[0] * o->experts * dtype_size(logits->type));
	return r;
}

/* ---- losses and loads of all layers ---- */

static const struct op_kind balance = { "balance", NULL, .once = true };

void
op_balance_begin(struct tape *t, struct op_balance *b, int64_t layers, int64_t experts,
    double aux, double z)
{
	int64_t one = 1, shape[2] = { layers, experts };

	*b = (struct op_balance){ .layers = layers, .experts = experts, .aux = aux, .z = z };
	b->share = tape_input(t, "share", tape_wide(t), ROWS_FIXED, 1, &one);
	b->offset = offsets(t, layers, experts);
	b->sum = tape_new_tensor(t, DTYPE_F64, ROWS_FIXED, 2, (int64_t[]){ layers, experts + 1 });
	b->count = tape_new_tensor(t, DTYPE_I32, ROWS_FIXED, 2, shape);
	b->loss = tape_new_tensor(t, DTYPE_F64, ROWS_FIXED, 1, (int64_t[]){ 2 });
	tape_output(t, b->offset);
	tape_keep(t, b->count);
	tape_keep(t, b->loss);
}

void
op_balance_end(struct tape *t, struct op_balance *b, const struct tensor *rows)
{
	union dev_args *a;

	if (tape_failed(t))
		return;
	if (b->next != b->layers) {
		tape_fail(t, "balance: %lld layers of %lld were recorded", (long long)b->next,
		    (long long)b->layers);
		return;
	}
	tape_op(t, &balance)->out[0] = b->loss;
	a = tape_launch(t, K_BALANCE);
	a->balance.experts = b->experts;
	a->balance.layers = b->layers;
	BIND_ROWS(t, balance.t, rows);
	BIND(t, balance.count, mem_of(b->count));
	BIND(t, balance.loss, mem_of(b->loss));
	BIND(t, balance.offset, mem_of(b->offset));
	BIND(t, balance.sum, mem_of(b->sum));
}

/* ---- rows to experts and back ---- */

enum { ROWS, WEIGHT, ORDER };

/* dx = the sum of the gradients of its rows */
static void
backward_dispatch(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[ROWS];
	bool add;
	struct mem dx;
	union dev_args *a;

	if (!tape_wants(t, x))
		return;
	dx = grad_add(t, x, &add);
	a = tape_launch(t, K_COMBINE);
	a->combine.type = x->type;
	a->combine.top = op->in[ORDER]->shape[1];
	a->combine.c = x->shape[1];
	a->combine.add = add;
	BIND_ROWS(t, combine.t, x);
	BIND(t, combine.y, dx);
	BIND(t, combine.x, grad_of(t, op->out[0]));
	BIND(t, combine.row, mem_of(op->in[ORDER]));
}

static const struct op_kind dispatch = { "dispatch", backward_dispatch, .cheap = true };

struct tensor *
op_dispatch(struct tape *t, struct tensor *x, const struct op_routing *r)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || !same_rows(x, r->row))
		return tape_fail(t, "dispatch: x %s is not what was routed", shape_text(x).s);
	y = tape_rows_like(t, x, r->top * x->shape[1]);
	y->needs_grad = tape_wants(t, x);
	op = tape_op(t, &dispatch);
	op->in[ROWS] = x;
	op->in[ORDER] = r->row;
	op->out[0] = y;
	a = tape_launch(t, K_EMBED);
	a->embed = (struct k_embed){ .type = x->type, .v = x->shape[0], .c = x->shape[1],
	    .scale = 1 };
	tape_bind_dim(t, offsetof(union dev_args, embed.t), x, 0, x->shape[0], r->top);
	BIND(t, embed.y, mem_of(y));
	BIND(t, embed.w, mem_of(x));
	BIND(t, embed.id, mem_of(r->token));
	op->bytes = 2.0 * (double)tape_bytes(t, y->shape[0] * y->shape[1]);
	return y;
}

static void
backward_combine(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[ROWS], *w = op->in[WEIGHT], *y = op->out[0];
	struct mem dx = grad_begin(t, x);
	struct mem dw = tape_wants(t, w) ? grad_begin(t, w) : mem_of(NULL);
	union dev_args *a = tape_launch(t, K_COMBINE_BWD);

	a->combine_bwd.type = x->type;
	a->combine_bwd.top = w->shape[1];
	a->combine_bwd.c = y->shape[1];
	BIND_ROWS(t, combine_bwd.t, y);
	BIND(t, combine_bwd.dx, dx);
	BIND(t, combine_bwd.dweight, dw);
	BIND(t, combine_bwd.dy, grad_of(t, y));
	BIND(t, combine_bwd.x, mem_of(x));
	BIND(t, combine_bwd.row, mem_of(op->in[ORDER]));
	BIND(t, combine_bwd.weight, mem_of(w));
	grad_end(t, x, dx);
	if (tape_wants(t, w))
		grad_end(t, w, dw);
}

static const struct op_kind combine = { "combine", backward_combine };

struct tensor *
op_combine(struct tape *t, struct tensor *x, const struct op_routing *r)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || !same_rows(x, r->row) || x->shape[1] % r->top != 0)
		return tape_fail(t, "combine: x %s is not what was dispatched", shape_text(x).s);
	y = tape_rows_like(t, x, x->shape[1] / r->top);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, r->weight);
	op = tape_op(t, &combine);
	op->in[ROWS] = x;
	op->in[WEIGHT] = r->weight;
	op->in[ORDER] = r->row;
	op->out[0] = y;
	a = tape_launch(t, K_COMBINE);
	a->combine.type = x->type;
	a->combine.top = r->top;
	a->combine.c = y->shape[1];
	BIND_ROWS(t, combine.t, x);
	BIND(t, combine.y, mem_of(y));
	BIND(t, combine.x, mem_of(x));
	BIND(t, combine.row, mem_of(r->row));
	BIND(t, combine.weight, mem_of(r->weight));
	op->flops = 2.0 * (double)(x->shape[0] * x->shape[1]);
	op->flops_backward = 2 * op->flops;
	op->bytes = (double)tape_bytes(t, x->shape[0] * (x->shape[1] + y->shape[1]));
	return y;
}

/* ---- products with the experts' matrices ---- */

enum { X, W };

/* Rows of all experts: T k of them. */
static void
bind_expert_rows(struct tape *t, size_t field, const struct op *op)
{
	const struct tensor *x = op->in[X], *w = op->in[W];

	tape_bind_dim(t, field, x, 0, x->shape[0], x->shape[1] / w->shape[2]);
}

#define BIND_EXPERT_ROWS(t, field, op) \
	bind_expert_rows((t), offsetof(union dev_args, field), (op))

/* y = x w^T, dx = dy w, by expert */
static void
launch_rows(struct tape *t, const struct op *op, bool forward, bool add, struct mem c,
    struct mem from)
{
	const struct tensor *x = op->in[X], *w = op->in[W];
	int64_t n = w->shape[1], k = w->shape[2];
	union dev_args *a = tape_launch(t, K_GROUPED);

	a->grouped = (struct k_grouped){ .groups = w->shape[0], .stride = n * k,
	    .p = { .c_type = x->type, .a_type = x->type, .b_type = w->type,
	    .k = { .cap = forward ? k : n }, .n = forward ? n : k, .lda = forward ? k : n,
	    .ldb = k, .ldc = forward ? n : k, .tb = forward, .add = add, .alpha = 1 } };
	BIND_EXPERT_ROWS(t, grouped.p.m, op);
	BIND(t, grouped.p.c, c);
	BIND(t, grouped.p.a, from);
	BIND(t, grouped.p.b, mem_of(w));
	BIND(t, grouped.offset, op->kept[0]);
}

/* dw += dy^T x, by expert */
static void
backward_experts_w(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[X], *w = op->in[W];
	int64_t n = w->shape[1], k = w->shape[2];
	bool add;
	struct mem dw = grad_add(t, w, &add);
	union dev_args *a = tape_launch(t, K_GROUPED);

	a->grouped = (struct k_grouped){ .groups = w->shape[0], .stride = n * k,
	    .p = { .c_type = tape_wide(t), .a_type = x->type, .b_type = x->type,
	    .m = { .cap = n }, .n = k, .lda = n, .ldb = k, .ldc = k, .ta = true, .add = add,
	    .alpha = 1 } };
	BIND_EXPERT_ROWS(t, grouped.p.k, op);
	BIND(t, grouped.p.c, dw);
	BIND(t, grouped.p.a, grad_of(t, op->out[0]));
	BIND(t, grouped.p.b, mem_of(x));
	BIND(t, grouped.offset, op->kept[0]);
}

static void
backward_experts(struct tape *t, struct op *op)
{
	bool add;
	struct mem dx;

	if (tape_wants(t, op->in[W]))
		backward_experts_w(t, op);
	if (!tape_wants(t, op->in[X]))
		return;
	dx = grad_add(t, op->in[X], &add);
	launch_rows(t, op, false, add, dx, grad_of(t, op->out[0]));
}

static const struct op_kind experts = { "experts", backward_experts };

struct tensor *
op_experts(struct tape *t, struct tensor *x, struct tensor *w, const struct op_routing *r)
{
	struct tensor *y;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (w == NULL || w->ndim != 3 || w->param == NULL || w->shape[0] != r->experts ||
	    !is_activation(t, x) || x->shape[1] != r->top * w->shape[2] ||
	    !same_rows(x, r->row))
		return tape_fail(t, "experts: x %s and w %s do not fit", shape_text(x).s,
		    shape_text(w).s);
	y = tape_rows_like(t, x, r->top * w->shape[1]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w);
	op = tape_op(t, &experts);
	op->in[X] = x;
	op->in[W] = w;
	op->out[0] = y;
	op->kept[0] = offset_of(r);
	launch_rows(t, op, true, false, mem_of(y), mem_of(x));
	op->flops = 2.0 * (double)(x->shape[0] * x->shape[1]) * (double)w->shape[1];
	op->flops_backward = op->flops * (tape_wants(t, x) + tape_wants(t, w));
	op->bytes = (double)tape_bytes(t, x->shape[0] * (x->shape[1] + y->shape[1])) +
	    (double)dtype_bytes(w->type, w->shape[0] * w->shape[1] * w->shape[2]);
	return y;
}
