/*
 * DeepSeek-V2 and V3: latent attention, experts beside those that all tokens
 * pass, dense layers first.  V3 chooses by sigmoid scores with a bias that
 * balances experts without a loss (arXiv 2412.19437).
 */
#include <math.h>

#include "model/model_impl.h"

static const char *const honours[] = { "num_experts", "num_local_experts", NULL };

static void
layers(struct config *c)
{
	memset(c->mixer, MIXER_LATENT, sizeof(c->mixer));
	for (int64_t i = 0; i < CONFIG_LAYERS; i++)
		c->mlp[i] = i < c->dense_layers ? MLP_DENSE : MLP_EXPERTS;
}

/* Parts of a head are to each other as in the models released. */
static void
sizes(struct config *c)
{
	int64_t whole = c->width / c->heads;

	c->kv_heads = c->heads;
	if (c->rope_dims == 0) {
		c->rope_dims = (whole / 2 + 1) / 2 * 2;
		c->head_dim = whole + c->rope_dims;
		c->v_dim = whole;
		c->kv_rank = 4 * whole < c->width ? 4 * whole : (c->width + 1) / 2;
	}
	if (c->expert_ffn == 0)
		c->expert_ffn = (c->ffn / (c->router.top + c->shared_experts) + 31) / 32 * 32;
}

static void
defaults2(struct config *c)
{
	c->norm_eps = 1e-6;
	c->tied = false;
	c->rope_interleaved = true;
	c->dense_layers = c->shared_experts = 1;
	c->router = (struct op_router){ .experts = 32, .top = 4, .groups = 1, .top_groups = 1,
	    .scale = 1 };
	c->router_aux = 0.001;
}

static void
defaults3(struct config *c)
{
	defaults2(c);
	c->router.sigmoid = c->router.pairs = c->router.normalize = true;
	c->router_aux = 0;
	c->router_bias = true;
}

/* ---- reading ---- */

/* A size that may be 0 or null. */
static int64_t
read_count(struct reader *r, const char *key, int64_t def)
{
	const json_t *v = json_object_get(r->doc, key);

	if (json_is_null(v) || (json_is_integer(v) && json_integer_value(v) == 0))
		return 0;
	return read_size(r, key, false, def);
}

/* Keys of the models' own code that change a result. */
static void
read_fixed(struct reader *r, const char *scoring)
{
	const json_t *v = read_value(r, "scoring_func");

	if (v != NULL && (!json_is_string(v) || strcmp(json_string_value(v), scoring) != 0))
		read_fail(r, "'scoring_func': only %s is supported here", scoring);
	if (read_size(r, "moe_layer_freq", false, 1) != 1)
		read_fail(r, "'moe_layer_freq': only 1 is supported");
}

static void
read_groups(struct config *c, struct reader *r, int64_t groups, int64_t top)
{
	c->router.groups = read_size(r, "n_group", false, groups);
	c->router.top_groups = read_size(r, "topk_group", false, top);
}

static void
read_common(struct config *c, struct reader *r)
{
	int64_t nope;

	read_sizes(c, r);
	c->act = read_act(r, "hidden_act", "silu");
	c->qkv_bias = c->out_bias = read_bool(r, "attention_bias", false);
	c->kv_heads = c->heads;
	c->q_rank = read_count(r, "q_lora_rank", 1536);
	c->kv_rank = read_size(r, "kv_lora_rank", false, 512);
	nope = read_size(r, "qk_nope_head_dim", false, 128);
	c->rope_dims = read_size(r, "qk_rope_head_dim", false, 64);
	c->v_dim = read_size(r, "v_head_dim", false, 128);
	c->head_dim = nope + c->rope_dims;
	c->router_aux = read_real(r, "router_aux_loss_coef", 0);
	read_rope(c, r, 10000);
	c->attn_scalar = (double)c->head_dim / pow(rope_score_scale(c), 2);
}

static void
read2(struct config *c, struct reader *r)
{
	const json_t *method = read_value(r, "topk_method");
	const char *name = method == NULL ? "greedy" : json_string_value(method);

	read_common(c, r);
	read_fixed(r, "softmax");
	c->ffn_bias = read_bool(r, "mlp_bias", false);
	c->dense_layers = read_count(r, "first_k_dense_replace", 0);
	c->shared_experts = read_count(r, "n_shared_experts", 2);
	c->expert_ffn = read_size(r, "moe_intermediate_size", false, 1407);
	c->router.experts = read_size(r, "n_routed_experts", false, 64);
	c->router.top = read_size(r, "num_experts_per_tok", true, 1);
	c->router.scale = read_real(r, "routed_scaling_factor", 1);
	if (read_bool(r, "norm_topk_prob", false))
		read_fail(r, "'norm_topk_prob' is not supported in deepseek_v2");
	if (name != NULL && strcmp(name, "group_limited_greedy") == 0)
		read_groups(c, r, 1, 1);
	else if (name == NULL || strcmp(name, "greedy") != 0)
		read_fail(r, "'topk_method': greedy or group_limited_greedy");
	layers(c);
}

static void
read3(struct config *c, struct reader *r)
{
	read_common(c, r);
	read_fixed(r, "sigmoid");
	c->rope_interleaved = read_bool(r, "rope_interleave", true);
	c->dense_layers = read_count(r, "first_k_dense_replace", 3);
	c->shared_experts = read_count(r, "n_shared_experts", 1);
	c->expert_ffn = read_size(r, "moe_intermediate_size", false, 2048);
	c->router.experts = read_size(r, "n_routed_experts", false, 256);
	c->router.top = read_size(r, "num_experts_per_tok", false, 8);
	c->router.scale = read_real(r, "routed_scaling_factor", 2.5);
	c->router.normalize = read_bool(r, "norm_topk_prob", true);
	read_groups(c, r, 8, 4);
	c->ahead = read_count(r, "num_nextn_predict_layers", 0);
	layers(c);
}

/* ---- writing ---- */

static void
write(const struct config *c, struct writer *w)
{
	struct config like = *c;

	/* What transformers calls a head here, for its positions. */
	like.head_dim = c->rope_dims;
	like.rope_dims = 0;
	write_sizes(&like, w);
	write_rope(&like, w);
	write_key(w, "attention_bias", json_boolean(c->qkv_bias));
	write_key(w, "first_k_dense_replace", json_integer(c->dense_layers));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "kv_lora_rank", json_integer(c->kv_rank));
	write_key(w, "moe_intermediate_size", json_integer(c->expert_ffn));
	write_key(w, "n_group", json_integer(c->router.groups));
	write_key(w, "n_routed_experts", json_integer(c->router.experts));
	write_key(w, "n_shared_experts", json_integer(c->shared_experts));
	write_key(w, "norm_topk_prob", json_boolean(c->router.normalize));
	write_key(w, "num_experts_per_tok", json_integer(c->router.top));
	write_key(w, "q_lora_rank", c->q_rank > 0 ? json_integer(c->q_rank) : json_null());
	write_key(w, "qk_nope_head_dim", json_integer(c->head_dim - c->rope_dims));
	write_key(w, "qk_rope_head_dim", json_integer(c->rope_dims));
	write_key(w, "routed_scaling_factor", json_real(c->router.scale));
	if (c->router_aux > 0)
		write_key(w, "router_aux_loss_coef", json_real(c->router_aux));
	write_key(w, "topk_group", json_integer(c->router.top_groups));
	write_key(w, "v_head_dim", json_integer(c->v_dim));
	if (c->arch == ARCH_DEEPSEEK_V2) {
		write_key(w, "mlp_bias", json_boolean(c->ffn_bias));
		write_key(w, "topk_method", json_string(c->router.groups > 1 ?
		    "group_limited_greedy" : "greedy"));
	} else {
		write_key(w, "num_nextn_predict_layers", json_integer(c->ahead));
		write_key(w, "rope_interleave", json_boolean(c->rope_interleaved));
	}
}

/* transformers and others divide a width by heads, though no head has that size. */
static int
check(const struct config *c, struct err *err)
{
	if (c->arch == ARCH_DEEPSEEK_V2 && c->width % c->heads != 0)
		return err_set(err, ERR_ARG, "width is no multiple of heads");
	return latent_check(c, err);
}

const struct arch_family arch_deepseek_v2 = {
	.name = "deepseek-v2", .model_type = "deepseek_v2", .class_name = "DeepseekV2ForCausalLM",
	.gguf = "deepseek2",
	.names = &llama_names, .honours = honours, .defaults = defaults2, .layers = layers,
	.sizes = sizes, .read = read2, .write = write, .check = check,
};

const struct arch_family arch_deepseek_v3 = {
	.name = "deepseek-v3", .model_type = "deepseek_v3", .class_name = "DeepseekV3ForCausalLM",
	.gguf = "deepseek2",
	.names = &llama_names, .honours = honours, .defaults = defaults3, .layers = layers,
	.sizes = sizes, .read = read3, .write = write, .check = check,
	.ahead = true,
};
