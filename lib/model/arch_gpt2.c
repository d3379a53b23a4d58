/* GPT-2: layer norms, learned positions, one projection for q, k and v, biases everywhere. */
#include "model/model_impl.h"

static const struct arch_names names = {
	.embed = "transformer.wte", .positions = "transformer.wpe",
	.layer = "transformer.h.%lld.", .final_norm = "transformer.ln_f",
	.pre_mixer = "ln_1", .pre_mlp = "ln_2",
	.qkv = "attn.c_attn", .out = "attn.c_proj", .up = "mlp.c_fc", .down = "mlp.c_proj",
	.turned = true,
};

/* The first release names the trunk alone. */
static const char *const prefixes[][2] = {
	{ "wte.", "transformer.wte." }, { "wpe.", "transformer.wpe." },
	{ "h.", "transformer.h." }, { "ln_f.", "transformer.ln_f." }, { NULL, NULL }
};

static void
defaults(struct config *c)
{
	c->norm = NORM_LAYER;
	c->pos = POS_LEARNED;
	c->act = ACT_GELU_TANH;
	c->gated = false;
	c->qkv_bias = c->out_bias = c->ffn_bias = true;
	c->rope_theta = 0;
}

static void
read(struct config *c, struct reader *r)
{
	c->width = read_size(r, "n_embd", true, 1);
	c->layers = read_size(r, "n_layer", true, 1);
	c->heads = c->kv_heads = read_size(r, "n_head", true, 1);
	c->head_dim = c->width / c->heads;
	c->ffn = read_size(r, "n_inner", false, 4 * c->width);
	c->context = read_size(r, "n_positions", false, 1024);
	c->act = read_act(r, "activation_function", "gelu_new");
	c->tied = read_bool(r, "tie_word_embeddings", true);
	c->norm_eps = read_real(r, "layer_norm_epsilon", 1e-5);
}

static void
write(const struct config *c, struct writer *w)
{
	write_key(w, "activation_function", json_string(act_name(c)));
	write_key(w, "attn_pdrop", json_real(0));
	write_key(w, "embd_pdrop", json_real(0));
	write_key(w, "layer_norm_epsilon", json_real(c->norm_eps));
	write_key(w, "n_embd", json_integer(c->width));
	write_key(w, "n_head", json_integer(c->heads));
	write_key(w, "n_inner", json_integer(c->ffn));
	write_key(w, "n_layer", json_integer(c->layers));
	write_key(w, "n_positions", json_integer(c->context));
	write_key(w, "resid_pdrop", json_real(0));
}

static int
check(const struct config *c, struct err *err)
{
	if (c->heads != c->kv_heads || c->heads * c->head_dim != c->width)
		return err_set(err, ERR_ARG, "gpt2: width is not heads times head size, "
		    "or keys have heads of their own");
	return 0;
}

const struct arch_family arch_gpt2 = {
	.name = "gpt2", .model_type = "gpt2", .class_name = "GPT2LMHeadModel",
	.gguf = "gpt2",
	.names = &names, .prefixes = prefixes, .defaults = defaults, .read = read,
	.write = write, .check = check,
};
