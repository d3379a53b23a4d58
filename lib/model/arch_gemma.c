/*
 * Gemma: norms of 1 + w, embeddings times sqrt(width), GELU.  2: norms before
 * and after each half of a layer, soft caps, every other layer local.  3: norms
 * of each head of q and k, five local layers to a full one, with a rotary base
 * of their own, and no caps.
 */
#include "model/model_impl.h"

static const struct arch_names sandwich = {
	.embed = "model.embed_tokens", .layer = "model.layers.%lld.", .final_norm = "model.norm",
	.pre_mixer = "input_layernorm", .post_mixer = "post_attention_layernorm",
	.pre_mlp = "pre_feedforward_layernorm", .post_mlp = "post_feedforward_layernorm",
	.q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj",
	.out = "self_attn.o_proj", .q_norm = "self_attn.q_norm", .k_norm = "self_attn.k_norm",
	.gate = "mlp.gate_proj", .up = "mlp.up_proj", .down = "mlp.down_proj",
};

static const char *const honours[] = {
	"attn_logit_softcapping", "final_logit_softcapping", "layer_types",
	"query_pre_attn_scalar", "sliding_window", NULL
};

/* Files of models that see name the language model so, by release. */
static const char *const prefixes[][2] = {
	{ "language_model.model.", "model." }, { "model.language_model.", "model." },
	{ "language_model.lm_head.", "lm_head." }, { NULL, NULL }
};

static const char *const ballast[] = {
	"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
	"model.multi_modal_projector.", NULL
};

static void
defaults(struct config *c)
{
	c->act = ACT_GELU_TANH;
	c->norm_eps = 1e-6;
	c->norm_plus = 1;
	c->embed_scaled = true;
}

static void
defaults2(struct config *c)
{
	defaults(c);
	c->attn_softcap = 50;
	c->final_softcap = 30;
	c->window = 4096;
}

static void
defaults3(struct config *c)
{
	defaults(c);
	c->qk_norm = QK_NORM_HEAD;
	c->rope_theta = 1e6;
	c->rope_local_theta = 10000;
	c->window = 512;
}

static void
layers2(struct config *c)
{
	set_local(c, 0, 2);
}

static void
layers3(struct config *c)
{
	set_local(c, 0, 6);
}

static void
read_common(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->head_dim = read_size(r, "head_dim", false, 256);
	c->context = read_size(r, "max_position_embeddings", false, 8192);
	c->tied = read_bool(r, "tie_word_embeddings", true);
	c->qkv_bias = c->out_bias = read_bool(r, "attention_bias", false);
}

/* hidden_act of the first files says gelu, and means its approximation. */
static void
read1(struct config *c, struct reader *r)
{
	const char *act = json_string_value(read_value(r, "hidden_activation"));

	read_common(c, r);
	if (act != NULL)
		c->act = read_act(r, "hidden_activation", NULL);
	else
		c->act = read_act(r, "hidden_act", "gelu_pytorch_tanh");
	if (c->act == ACT_GELU)
		c->act = ACT_GELU_TANH;
	read_rope(c, r, 10000);
}

static double
read_cap(struct reader *r, const char *key, double def)
{
	return json_is_null(json_object_get(r->doc, key)) ? 0 : read_real(r, key, def);
}

static void
read_later(struct config *c, struct reader *r)
{
	read_common(c, r);
	c->act = read_act(r, "hidden_activation", "gelu_pytorch_tanh");
	c->attn_scalar = read_real(r, "query_pre_attn_scalar", 256);
	c->window = read_size(r, "sliding_window", false, 4096);
}

static void
read2(struct config *c, struct reader *r)
{
	read_later(c, r);
	c->attn_softcap = read_cap(r, "attn_logit_softcapping", 50);
	c->final_softcap = read_cap(r, "final_logit_softcapping", 30);
	layers2(c);
	read_layer_types(c, r);
	read_rope(c, r, 10000);
}

/* No attention of Gemma 3 has a cap in transformers, whatever its config says. */
static void
read3(struct config *c, struct reader *r)
{
	read_later(c, r);
	c->heads = read_size(r, "num_attention_heads", false, 8);
	c->kv_heads = read_size(r, "num_key_value_heads", false, 4);
	c->context = read_size(r, "max_position_embeddings", false, 131072);
	c->final_softcap = read_cap(r, "final_logit_softcapping", 0);
	if (read_cap(r, "attn_logit_softcapping", 0) != 0)
		read_fail(r, "'attn_logit_softcapping' is not supported in gemma3");
	set_local(c, 0, read_size(r, "sliding_window_pattern", false, 6));
	read_layer_types(c, r);
	read_rope(c, r, 1e6);
}

static void
write(const struct config *c, struct writer *w)
{
	write_sizes(c, w);
	write_key(w, "attention_bias", json_boolean(c->qkv_bias));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "hidden_activation", json_string(act_name(c)));
	write_rope(c, w);
}

static void
write_cap(struct writer *w, const char *key, double cap)
{
	write_key(w, key, cap > 0 ? json_real(cap) : json_null());
}

static void
write_later(const struct config *c, struct writer *w)
{
	write(c, w);
	write_cap(w, "attn_logit_softcapping", c->attn_softcap);
	write_cap(w, "final_logit_softcapping", c->final_softcap);
	write_number(w, "query_pre_attn_scalar", c->attn_scalar > 0 ? c->attn_scalar :
	    (double)c->head_dim);
	write_key(w, "sliding_window", json_integer(c->window));
	write_layer_types(c, w);
}

const struct arch_family arch_gemma = {
	.name = "gemma", .model_type = "gemma", .class_name = "GemmaForCausalLM",
	.gguf = "gemma",
	.names = &llama_names, .defaults = defaults, .read = read1, .write = write,
};

const struct arch_family arch_gemma2 = {
	.name = "gemma2", .model_type = "gemma2", .class_name = "Gemma2ForCausalLM",
	.gguf = "gemma2",
	.names = &sandwich, .honours = honours, .defaults = defaults2, .layers = layers2,
	.read = read2, .write = write_later,
};

const struct arch_family arch_gemma3 = {
	.name = "gemma3", .model_type = "gemma3_text", .class_name = "Gemma3ForCausalLM",
	.gguf = "gemma3",
	.names = &sandwich, .honours = honours, .prefixes = prefixes, .ballast = ballast,
	.defaults = defaults3, .layers = layers3, .read = read3, .write = write_later,
};
