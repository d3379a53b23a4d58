#include "train/balance.h"

#define BALANCE_RATE 1e-3	/* DeepSeek-V3's */

int
balance_options(struct model *m, struct train_options *o, struct err *err)
{
	struct config *c = &m->config;

	if (config_expert_layers(c, c->layers) == 0) {
		if (o->router_aux > 0 || o->router_z > 0 || o->balance_rate > 0)
			return err_set(err, ERR_ARG, "a model without experts has no "
			    "--aux-loss, --router-z-loss or --balance-rate");
		o->balance_rate = 0;
		return 0;
	}
	if (!c->router_bias && o->balance_rate > 0)
		return err_set(err, ERR_ARG, "routers of %s have no biases for --balance-rate",
		    arch_name(c->arch));
	if (o->router_aux >= 0)
		c->router_aux = o->router_aux;
	c->router_z = o->router_z;
	if (o->balance_rate < 0)
		o->balance_rate = c->router_bias ? BALANCE_RATE : 0;
	return 0;
}

void
balance_begin(struct tape *t, const struct model_io *io, double share)
{
	float x = (float)share;

	if (io->balance.layers == 0)
		return;
	tape_upload(t, io->balance.share, &x, 1);
	tape_zero(t, io->balance.loss);
	tape_zero(t, io->balance.count);
}

void
balance_end(struct model *m, struct tape *t, const struct model_io *io, dptr step, double rate,
    double loss[2])
{
	const struct op_balance *b = &io->balance;
	int64_t layer = 0;

	loss[0] = loss[1] = 0;
	if (b->layers == 0)
		return;
	tape_download(t, b->loss, loss, 2);
	for (int i = 0; i < m->params.n && rate > 0 && layer < b->layers; i++) {
		const struct param *p = &m->params.p[i];

		/* In order of layers, as the counts are. */
		if (!str_ends(str_of(p->name), S("e_score_correction_bias")))
			continue;
		dev_launch(m->dev, K_BALANCE_BIAS, &(union dev_args){ .balance_bias = {
		    .bias = p->data, .step = step, .experts = b->experts, .rate = rate,
		    .count = dptr_add(b->count->data, layer++ * b->experts * 4) } });
	}
}
