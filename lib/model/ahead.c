/*
 * Multi-token prediction as DeepSeek-V3 has it (arXiv 2412.19437, 2.2): behind
 * the trunk, layer n takes what the one before made of token i and the embedding
 * of token i + n, and predicts token i + n + 1 with the trunk's head.  A layer
 * bears the names of one more of the trunk, and four modules of its own.
 */
#include <stdio.h>

#include "model/model_impl.h"

/* ---- parameters ---- */

void
decl_ahead(struct decl *d, int64_t i)
{
	const struct config *c = d->c;

	snprintf(d->prefix, sizeof(d->prefix), d->names->layer, (long long)i);
	decl_norm(d, "enorm", c->width);
	decl_norm(d, "hnorm", c->width);
	decl_linear(d, "eh_proj", d->std, c->width, 2 * c->width, false);
	decl_norm(d, "shared_head.norm", c->width);
	decl_layer(d, i);
}

/* Released files have copies of what is shared. */
bool
is_ahead_copy(const struct config *c, const char *name)
{
	char prefix[NN_NAME];

	for (int64_t i = 0; i < c->ahead; i++) {
		size_t n;

		model_layer_prefix(c, c->layers + i, prefix);
		n = strlen(prefix);
		if (strncmp(name, prefix, n) == 0 &&
		    (strcmp(name + n, "embed_tokens.weight") == 0 ||
		    strcmp(name + n, "shared_head.head.weight") == 0))
			return true;
	}
	return false;
}

/* ---- recording ---- */

static struct tensor *
input(struct build *b, const char *what, int64_t n, dtype type)
{
	char name[64];

	snprintf(name, sizeof(name), "%s %lld ahead", what, (long long)n);
	return tape_input(b->t, name, type, ROWS_TOKENS, 1, (int64_t[]){ tape_tokens(b->t) });
}

/* Before the trunk: all inputs come first. */
void
begin_ahead(struct build *b)
{
	struct model_io *io = b->io;

	io->n_ahead = b->c->ahead;
	for (int64_t n = 0; n < io->n_ahead; n++)
		io->ahead[n] = (struct model_ahead){ .token = input(b, "token", n + 1, DTYPE_I32),
		    .target = input(b, "target", n + 1, DTYPE_I32),
		    .dlogp = input(b, "dlogp", n + 1, tape_wide(b->t)) };
}

void
record_ahead(struct build *b, struct tensor *h, struct tensor *minus_one)
{
	struct tape *t = b->t;
	struct tensor *e;
	char block[48];

	for (int64_t n = 0; n < b->io->n_ahead; n++) {
		struct model_ahead *a = &b->io->ahead[n];
		int64_t i = b->c->layers + n;
		struct op_head head;

		snprintf(block, sizeof(block), "ahead %lld", (long long)(n + 1));
		tape_block(t, block);
		e = op_embed(t, weight(b, b->names->embed, ".weight"), a->token, 1);
		snprintf(b->prefix, sizeof(b->prefix), b->names->layer, (long long)i);
		h = linear(b, op_join(t, norm(b, e, "enorm"), norm(b, h, "hnorm")), "eh_proj");
		h = norm(b, decoder_layer(b, h, i), "shared_head.norm");
		b->prefix[0] = '\0';
		head = op_head(t, h, head_weight(b), a->target, a->dlogp, 0, 0, 0);
		a->loss = op_dot(t, head.logp, minus_one);
	}
}
