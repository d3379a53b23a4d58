/* OLMo 2: norms after attention and mlp alone, and of all heads of q and k at once. */
#include "model/model_impl.h"

static const struct arch_names names = {
	.embed = "model.embed_tokens", .layer = "model.layers.%lld.", .final_norm = "model.norm",
	.post_mixer = "post_attention_layernorm", .post_mlp = "post_feedforward_layernorm",
	.q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj",
	.out = "self_attn.o_proj", .q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
	.gate = "mlp.gate_proj", .up = "mlp.up_proj", .down = "mlp.down_proj",
};

static void
defaults(struct config *c)
{
	c->qk_norm = QK_NORM_WHOLE;
	c->norm_eps = 1e-6;
	c->rope_theta = 500000;
}

static void
read(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->norm_eps = read_real(r, "rms_norm_eps", 1e-5);
	c->act = read_act(r, "hidden_act", "silu");
	c->qkv_bias = c->out_bias = read_bool(r, "attention_bias", false);
	read_rope(c, r, 10000);
}

static void
write(const struct config *c, struct writer *w)
{
	write_sizes(c, w);
	write_key(w, "attention_bias", json_boolean(c->qkv_bias));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_rope(c, w);
}

const struct arch_family arch_olmo2 = {
	.name = "olmo2", .model_type = "olmo2", .class_name = "Olmo2ForCausalLM",
	.gguf = "olmo2", .names = &names, .defaults = defaults, .read = read, .write = write,
};
