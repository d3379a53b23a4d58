/* Llamas with experts: Mixtral, and Qwen3-MoE, whose experts are small and many. */
#include "model/model_impl.h"

static const char *const honours[] = {
	"num_experts", "num_local_experts", "sliding_window", "use_sliding_window", NULL
};

static const struct arch_names mixtral_names = {
	.embed = "model.embed_tokens", .layer = "model.layers.%lld.", .final_norm = "model.norm",
	.pre_mixer = "input_layernorm", .pre_mlp = "post_attention_layernorm",
	.q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj",
	.out = "self_attn.o_proj", .router = "block_sparse_moe.gate",
	.experts = "block_sparse_moe.experts", .expert_gate = "w1", .expert_up = "w3",
	.expert_down = "w2",
};

/* ---- Mixtral ---- */

static void
defaults_mixtral(struct config *c)
{
	c->router = (struct op_router){ .experts = 8, .top = 2, .groups = 1, .top_groups = 1,
	    .normalize = true, .scale = 1 };
	c->router_aux = 0.02;
	c->rope_theta = 1e6;
}

static void
layers_mixtral(struct config *c)
{
	memset(c->mlp, MLP_EXPERTS, sizeof(c->mlp));
	if (c->window > 0)
		set_local(c, 0, 0);
}

static void
read_mixtral(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->kv_heads = read_size(r, "num_key_value_heads", false, c->heads);
	c->norm_eps = read_real(r, "rms_norm_eps", 1e-5);
	c->act = read_act(r, "hidden_act", "silu");
	c->window = read_size(r, "sliding_window", false, 0);
	c->router.experts = read_size(r, "num_local_experts", false, 8);
	c->router.top = read_size(r, "num_experts_per_tok", false, 2);
	c->router_aux = read_real(r, "router_aux_loss_coef", 0.001);
	layers_mixtral(c);
	read_rope(c, r, 1e6);
}

static void
write_router(const struct config *c, struct writer *w)
{
	write_key(w, "num_experts_per_tok", json_integer(c->router.top));
	write_key(w, "output_router_logits", json_false());
	write_key(w, "router_aux_loss_coef", json_real(c->router_aux));
}

static void
write_mixtral(const struct config *c, struct writer *w)
{
	write_sizes(c, w);
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "num_local_experts", json_integer(c->router.experts));
	write_key(w, "sliding_window", c->window > 0 ? json_integer(c->window) : json_null());
	write_router(c, w);
	write_rope(c, w);
}

/* ---- Qwen3-MoE ---- */

static void
defaults_qwen(struct config *c)
{
	c->qk_norm = QK_NORM_HEAD;
	c->norm_eps = 1e-6;
	c->rope_theta = 1e6;
	c->router = (struct op_router){ .experts = 32, .top = 4, .groups = 1, .top_groups = 1,
	    .normalize = true, .scale = 1 };
	c->router_aux = 0.001;
	c->expert_step = 1;
}

static void
layers_qwen(struct config *c)
{
	for (int64_t i = 0; i < CONFIG_LAYERS; i++)
		c->mlp[i] = (i + 1) % c->expert_step == 0 ? MLP_EXPERTS : MLP_DENSE;
}

/* As many of a token's experts as are wide together as a dense part would be. */
static void
sizes_qwen(struct config *c)
{
	if (c->expert_ffn == 0)
		c->expert_ffn = (c->ffn / c->router.top + 31) / 32 * 32;
}

static void
read_dense_layers(struct config *c, struct reader *r)
{
	const json_t *list = read_value(r, "mlp_only_layers"), *v;
	size_t i;

	if (list != NULL && !json_is_array(list))
		read_fail(r, "'mlp_only_layers' is no list");
	json_array_foreach(list, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) >= CONFIG_LAYERS)
			read_fail(r, "'mlp_only_layers' has what is no layer");
		else
			c->mlp[json_integer_value(v)] = MLP_DENSE;
	}
}

static void
read_qwen(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->head_dim = read_size(r, "head_dim", false, c->width / c->heads);
	c->act = read_act(r, "hidden_act", "silu");
	c->qkv_bias = c->out_bias = read_bool(r, "attention_bias", false);
	if (read_bool(r, "use_sliding_window", false)) {
		c->window = read_size(r, "sliding_window", false, 4096);
		set_local(c, 0, 0);
	}
	/* transformers 5 writes the other name. */
	c->router.experts = read_size(r, "num_experts", false,
	    read_size(r, "num_local_experts", false, 128));
	c->router.top = read_size(r, "num_experts_per_tok", false, 8);
	c->router.normalize = read_bool(r, "norm_topk_prob", false);
	c->router_aux = read_real(r, "router_aux_loss_coef", 0.001);
	c->expert_ffn = read_size(r, "moe_intermediate_size", false, 768);
	c->expert_step = read_size(r, "decoder_sparse_step", false, 1);
	layers_qwen(c);
	read_dense_layers(c, r);
	read_rope(c, r, 10000);
}

static void
write_qwen(const struct config *c, struct writer *w)
{
	json_t *dense = json_array();

	for (int64_t i = 0; i < c->layers; i++)
		if (c->mlp[i] == MLP_DENSE && (i + 1) % c->expert_step == 0)
			w->failed |= json_array_append_new(dense, json_integer(i)) < 0;
	write_sizes(c, w);
	write_key(w, "attention_bias", json_boolean(c->qkv_bias));
	write_key(w, "decoder_sparse_step", json_integer(c->expert_step));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "mlp_only_layers", dense);
	write_key(w, "moe_intermediate_size", json_integer(c->expert_ffn));
	write_key(w, "norm_topk_prob", json_boolean(c->router.normalize));
	write_key(w, "num_experts", json_integer(c->router.experts));
	write_key(w, "sliding_window", c->window > 0 ? json_integer(c->window) : json_null());
	write_key(w, "use_sliding_window", json_boolean(c->window > 0));
	write_router(c, w);
	write_rope(c, w);
}

/* Neither has experts that all tokens pass, and a mixtral's are as wide as its ffn. */
static int
check(const struct config *c, struct err *err)
{
	if (c->shared_experts > 0)
		return err_set(err, ERR_ARG, "%s has no shared experts", arch_name(c->arch));
	if (c->arch == ARCH_MIXTRAL && c->expert_ffn > 0)
		return err_set(err, ERR_ARG, "mixtral: the width of experts is ffn");
	return 0;
}

const struct arch_family arch_mixtral = {
	.name = "mixtral", .model_type = "mixtral", .class_name = "MixtralForCausalLM",
	.gguf = "llama",
	.names = &mixtral_names, .honours = honours, .defaults = defaults_mixtral,
	.layers = layers_mixtral, .read = read_mixtral, .write = write_mixtral,
	.check = check,
};

const struct arch_family arch_qwen3_moe = {
	.name = "qwen3-moe", .model_type = "qwen3_moe", .class_name = "Qwen3MoeForCausalLM",
	.gguf = "qwen3moe",
	.names = &llama_names, .honours = honours, .defaults = defaults_qwen,
	.layers = layers_qwen, .sizes = sizes_qwen, .read = read_qwen, .write = write_qwen,
	.check = check,
};
