/*
 * Mamba's mixer (arXiv 2312.00752): two branches of the input, one through a
 * short convolution and the selective scan, whose steps, inputs and outputs
 * come from the branch itself, one as its gate.  Hybrids put a norm on each
 * of the three.
 */
#include <math.h>
#include <stdio.h>

#include "model/model_impl.h"

/* Names of the mixer's modules follow the layer's prefix, which ends where this says. */
static size_t
enter(char prefix[NN_NAME], const struct arch_names *names)
{
	size_t n = strlen(prefix);

	snprintf(prefix + n, NN_NAME - n, "%s", names->scan);
	return n;
}

void
decl_scan(struct decl *d)
{
	const struct scan_sizes *s = &d->c->scan;
	const int64_t conv[] = { s->inner, 1, s->taps }, rates[] = { s->inner, s->states };
	size_t outer = enter(d->prefix, d->names);

	decl_linear(d, "in_proj", d->std, 2 * s->inner, d->c->width, s->bias);
	decl_wide(d, "conv1d", ".weight", INIT_NORMAL, 1 / sqrt(3 * (double)s->taps), 3, conv);
	if (s->conv_bias)
		decl_param(d, "conv1d", ".bias", INIT_ZEROS, 0, 1, &s->inner);
	decl_linear(d, "x_proj", d->std, s->rank + 2 * s->states, s->inner, false);
	if (s->norms) {
		decl_norm(d, "dt_layernorm", s->rank);
		decl_norm(d, "b_layernorm", s->states);
		decl_norm(d, "c_layernorm", s->states);
	}
	decl_linear(d, "dt_proj", 1 / sqrt(3 * (double)s->rank), s->inner, s->rank, false);
	decl_param(d, "dt_proj", ".bias", INIT_STEPS, 0, 1, &s->inner);
	decl_wide(d, "A_log", "", INIT_LOGS, 0, 2, rates);
	decl_param(d, "D", "", INIT_ONES, 0, 1, &s->inner);
	decl_linear(d, "out_proj", d->out_std, d->c->width, s->inner, s->bias);
	d->prefix[outer] = '\0';
}

struct tensor *
scan_mixer(struct build *b, struct tensor *x, int64_t layer)
{
	const struct scan_sizes *s = &b->c->scan;
	struct tensor *conv_state = b->cache != NULL ? &b->cache->conv[layer] : NULL;
	struct tensor *state = b->cache != NULL ? &b->cache->scan[layer] : NULL;
	struct op_sequences q = { .cu_seqlens = b->io->cu_seqlens };
	struct tensor *half[2], *part[2], *bc[2];
	struct op_scan_in in;
	size_t outer = enter(b->prefix, b->names);

	if (b->cache != NULL) {
		q.pos = b->io->pos;
		q.slot = b->io->state_slot;
	}
	op_split(b->t, linear(b, x, "in_proj"), s->inner, half);
	x = op_conv(b->t, half[0], weight(b, "conv1d", ".weight"), weight(b, "conv1d", ".bias"),
	    &q, conv_state);
	x = op_act(b->t, x, b->c->act);
	op_split(b->t, linear(b, x, "x_proj"), s->rank, part);
	op_split(b->t, part[1], s->states, bc);
	if (s->norms) {
		part[0] = norm(b, part[0], "dt_layernorm");
		bc[0] = norm(b, bc[0], "b_layernorm");
		bc[1] = norm(b, bc[1], "c_layernorm");
	}
	in = (struct op_scan_in){ .x = x, .dt = linear(b, part[0], "dt_proj"), .z = half[1],
		.b = bc[0], .c = bc[1], .a_log = weight(b, "A_log", ""), .d = weight(b, "D", "") };
	x = linear(b, op_scan(b->t, &in, &q, state), "out_proj");
	b->prefix[outer] = '\0';
	return x;
}

int
scan_check(const struct config *c, struct err *err)
{
	const struct scan_sizes *s = &c->scan;

	if (s->inner < 1 || s->inner > SIZE_LIMIT || s->rank < 1 || s->rank > SIZE_LIMIT)
		return err_set(err, ERR_ARG, "inner width or rank of steps out of range");
	if (s->states < 1 || s->states > SCAN_STATES)
		return err_set(err, ERR_LIMIT, "%lld states a channel: at most %d",
		    (long long)s->states, SCAN_STATES);
	if (s->taps < 1 || s->taps > CONV_WIDTH)
		return err_set(err, ERR_LIMIT, "a convolution of %lld tokens: at most %d",
		    (long long)s->taps, CONV_WIDTH);
	if (c->act != ACT_SILU)
		return err_set(err, ERR_ARG, "a scan is gated by silu");
	return 0;
}
