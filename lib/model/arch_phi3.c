/* Phi-3 and 3.5: a Llama with fused projections, longrope, and heads that turn in part. */
#include "model/model_impl.h"

static const struct arch_names names = {
	.embed = "model.embed_tokens", .layer = "model.layers.%lld.", .final_norm = "model.norm",
	.pre_mixer = "input_layernorm", .pre_mlp = "post_attention_layernorm",
	.qkv = "self_attn.qkv_proj", .out = "self_attn.o_proj",
	.gate_up = "mlp.gate_up_proj", .down = "mlp.down_proj",
};

static const char *const honours[] = { "partial_rotary_factor", "sliding_window", NULL };

static void
layers(struct config *c)
{
	if (c->window > 0)
		set_local(c, 0, 0);
}

static void
read(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->head_dim = c->width / c->heads;
	c->context = read_size(r, "max_position_embeddings", false, 4096);
	c->norm_eps = read_real(r, "rms_norm_eps", 1e-5);
	c->act = read_act(r, "hidden_act", "silu");
	c->window = read_value(r, "sliding_window") != NULL ?
	    read_size(r, "sliding_window", true, 1) : 0;
	layers(c);
	read_rope(c, r, 10000);
}

static void
write(const struct config *c, struct writer *w)
{
	write_sizes(c, w);
	write_key(w, "embd_pdrop", json_real(0));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "original_max_position_embeddings", json_integer(c->rope.original > 0 ?
	    c->rope.original : c->context));
	write_key(w, "resid_pdrop", json_real(0));
	write_key(w, "sliding_window", c->window > 0 ? json_integer(c->window) : json_null());
	write_rope(c, w);
}

static int
check(const struct config *c, struct err *err)
{
	if (c->heads * c->head_dim != c->width)
		return err_set(err, ERR_ARG, "phi3: width is not heads times head size");
	if (c->rope.kind != ROPE_DEFAULT && c->rope.kind != ROPE_LONGROPE)
		return err_set(err, ERR_ARG, "phi3: rope scaling other than longrope");
	return 0;
}

const struct arch_family arch_phi3 = {
	.name = "phi3", .model_type = "phi3", .class_name = "Phi3ForCausalLM",
	.gguf = "phi3",
	.names = &names, .honours = honours, .layers = layers, .read = read, .write = write,
	.check = check,
};
