#include "nn/nn_impl.h"

/* The two halves of the input, or of its gradient g, when there is one matrix. */
static void
bind_halves(struct tape *t, const struct op *op, size_t gate, size_t up,
    struct mem g, struct mem u)
{
	tape_bind(t, gate, g);
	tape_bind(t, up, op->in[1] != NULL ? u : mem_at(g, tape_bytes(t, op->f.glu.c)));
}

static void
backward(struct tape *t, struct op *op)
{
	struct tensor *gate = op->in[0], *up = op->in[1];
	struct mem dgate = grad_begin(t, gate);
	struct mem dup = up != NULL ? grad_begin(t, up) : mem_of(NULL);
	union dev_args *a = tape_launch(t, K_GLU_BWD);

	a->glu_bwd.type = gate->type;
	a->glu_bwd.act = op->f.glu.act;
	a->glu_bwd.c = op->f.glu.c;
	a->glu_bwd.ld = op->f.glu.ld;
	BIND_ROWS(t, glu_bwd.t, gate);
	BIND(t, glu_bwd.dy, grad_of(t, op->out[0]));
	bind_halves(t, op, offsetof(union dev_args, glu_bwd.gate),
	    offsetof(union dev_args, glu_bwd.up), mem_of(gate), mem_of(up));
	bind_halves(t, op, offsetof(union dev_args, glu_bwd.dgate),
	    offsetof(union dev_args, glu_bwd.dup), dgate, dup);
	grad_end(t, gate, dgate);
	if (up != NULL)
		grad_end(t, up, dup);
}

static const struct op_kind glu = { "glu", backward, .cheap = true };

struct tensor *
op_glu(struct tape *t, struct tensor *gate, struct tensor *up, enum dev_act act)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;
	int64_t c;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, gate) ||
	    (up == NULL && gate->shape[1] % 2 != 0))
		return tape_fail(t, "glu: gate is no matrix, or of odd width");
	if (up != NULL && (!is_activation(t, up) || up->shape[1] != gate->shape[1] ||
	    !same_rows(up, gate)))
		return tape_fail(t, "glu: gate %s and up %s do not fit", shape_text(gate).s,
		    shape_text(up).s);
	c = up != NULL ? gate->shape[1] : gate->shape[1] / 2;
	y = tape_rows_like(t, gate, c);
	y->needs_grad = tape_wants(t, gate) || tape_wants(t, up);
	op = tape_op(t, &glu);
	op->in[0] = gate;
	op->in[1] = up;
	op->out[0] = y;
	a = tape_launch(t, K_GLU);
	a->glu = (struct k_glu){ .type = gate->type, .act = act, .c = c, .ld = gate->shape[1] };
	op->f = *a;
	BIND_ROWS(t, glu.t, gate);
	BIND(t, glu.y, mem_of(y));
	bind_halves(t, op, offsetof(union dev_args, glu.gate), offsetof(union dev_args, glu.up),
	    mem_of(gate), mem_of(up));
	op->flops = 6.0 * (double)(y->shape[0] * c);
	op->flops_backward = 2 * op->flops;
	op->bytes = 3.0 * (double)tape_bytes(t, y->shape[0] * c);
	return y;
}
