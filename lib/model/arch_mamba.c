/*
 * Mamba: layers of nothing but the scan; and Jamba, where every so many layers
 * attend, without positions, and each is followed by a gated MLP or, every so
 * many, by experts.
 */
#include <stdio.h>

#include "model/model_impl.h"

static const struct arch_names mamba_names = {
	.embed = "backbone.embeddings", .layer = "backbone.layers.%lld.",
	.final_norm = "backbone.norm_f", .pre_mixer = "norm", .scan = "mixer.",
};

static const struct arch_names jamba_names = {
	.embed = "model.embed_tokens", .layer = "model.layers.%lld.",
	.final_norm = "model.final_layernorm",
	.pre_mixer = "input_layernorm", .pre_mlp = "pre_ff_layernorm",
	.q = "self_attn.q_proj", .k = "self_attn.k_proj", .v = "self_attn.v_proj",
	.out = "self_attn.o_proj", .scan = "mamba.",
	.gate = "feed_forward.gate_proj", .up = "feed_forward.up_proj",
	.down = "feed_forward.down_proj", .router = "feed_forward.router",
	.experts = "feed_forward.experts", .expert_gate = "gate_proj", .expert_up = "up_proj",
	.expert_down = "down_proj",
};

/* The first files have another name for the table. */
static const char *const mamba_prefixes[][2] = {
	{ "backbone.embedding.", "backbone.embeddings." }, { NULL, NULL }
};

/* A rank is a number or "auto": a sixteenth of the width. */
static int64_t
read_rank(const struct config *c, struct reader *r, const char *key)
{
	const json_t *v = read_value(r, key);

	if (v == NULL || json_is_string(v))
		return (c->width + 15) / 16;
	return read_size(r, key, true, 1);
}

/* ---- Mamba ---- */

/* Nothing attends: sizes of heads and MLPs are those of none. */
static void
mamba_defaults(struct config *c)
{
	c->pos = POS_NONE;
	c->heads = c->kv_heads = c->head_dim = c->ffn = 1;
	c->context = 1 << 20;
	c->scan = (struct scan_sizes){ .states = 16, .taps = 4, .conv_bias = true };
}

static void
mamba_layers(struct config *c)
{
	memset(c->mixer, MIXER_SCAN, sizeof(c->mixer));
	memset(c->mlp, MLP_NONE, sizeof(c->mlp));
}

static void
mamba_read(struct config *c, struct reader *r)
{
	struct scan_sizes *s = &c->scan;

	c->width = read_size(r, "hidden_size", true, 1);
	c->layers = read_size(r, "num_hidden_layers", true, 1);
	c->context = read_size(r, "max_position_embeddings", false, c->context);
	c->act = read_act(r, "hidden_act", "silu");
	c->tied = read_bool(r, "tie_word_embeddings", true);
	c->norm_eps = read_real(r, "layer_norm_epsilon", 1e-5);
	s->inner = read_size(r, "intermediate_size", false,
	    (int64_t)(read_real(r, "expand", 2) * (double)c->width));
	s->states = read_size(r, "state_size", false, 16);
	s->taps = read_size(r, "conv_kernel", false, 4);
	s->rank = read_rank(c, r, "time_step_rank");
	s->bias = read_bool(r, "use_bias", false);
	s->conv_bias = read_bool(r, "use_conv_bias", true);
	mamba_layers(c);
}

static void
mamba_write(const struct config *c, struct writer *w)
{
	const struct scan_sizes *s = &c->scan;

	write_key(w, "conv_kernel", json_integer(s->taps));
	write_number(w, "expand", (double)s->inner / (double)c->width);
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "hidden_size", json_integer(c->width));
	write_key(w, "intermediate_size", json_integer(s->inner));
	write_key(w, "layer_norm_epsilon", json_real(c->norm_eps));
	write_key(w, "max_position_embeddings", json_integer(c->context));
	write_key(w, "num_hidden_layers", json_integer(c->layers));
	write_key(w, "state_size", json_integer(s->states));
	write_key(w, "time_step_rank", json_integer(s->rank));
	write_key(w, "use_bias", json_boolean(s->bias));
	write_key(w, "use_conv_bias", json_boolean(s->conv_bias));
}

/* transformers makes the inner width of these two, and does not read it. */
static int
mamba_check(const struct config *c, struct err *err)
{
	if (c->scan.inner % c->width != 0)
		return err_set(err, ERR_ARG, "mamba: inner width %lld is no multiple of %lld",
		    (long long)c->scan.inner, (long long)c->width);
	return scan_check(c, err);
}

/* ---- Jamba ---- */

static void
jamba_defaults(struct config *c)
{
	c->pos = POS_NONE;
	c->norm_eps = 1e-6;
	c->scan = (struct scan_sizes){ .states = 16, .taps = 4, .conv_bias = true, .norms = true };
	c->router = (struct op_router){ .experts = 1, .top = 1, .groups = 1, .top_groups = 1,
	    .scale = 1 };
}

/* Layers that are of a kind: each period-th, from offset on; the others are of another. */
struct pattern {
	int64_t	period, offset;
};

static void
set_pattern(uint8_t *kind, int64_t layers, struct pattern p, uint8_t one, uint8_t other)
{
	for (int64_t i = 0; i < layers && i < CONFIG_LAYERS; i++)
		kind[i] = i % p.period == p.offset ? one : other;
}

static struct pattern
find_pattern(const uint8_t *kind, int64_t layers, uint8_t one)
{
	int64_t first = 0, next;

	while (first < layers && kind[first] != one)
		first++;
	next = first + 1;
	while (next < layers && kind[next] != one)
		next++;
	return (struct pattern){ next < layers ? next - first : layers + 1, first };
}

/* period and offset keys, "attn" and "expert" before them. */
static struct pattern
read_pattern(struct reader *r, const char *of, struct pattern def)
{
	char period[40], offset[40];
	struct pattern p;
	double at;

	snprintf(period, sizeof(period), "%s_layer_period", of);
	snprintf(offset, sizeof(offset), "%s_layer_offset", of);
	p.period = read_size(r, period, false, def.period);
	at = read_real(r, offset, (double)def.offset);
	if (!(at >= 0) || at >= (double)p.period)
		read_fail(r, "'%s' is not below '%s'", offset, period);
	p.offset = r->bad ? 0 : (int64_t)at;
	return p;
}

static void
write_pattern(struct writer *w, const char *of, struct pattern p)
{
	char key[40];

	snprintf(key, sizeof(key), "%s_layer_offset", of);
	write_key(w, key, json_integer(p.offset));
	snprintf(key, sizeof(key), "%s_layer_period", of);
	write_key(w, key, json_integer(p.period));
}

static const struct pattern attends = { 8, 4 }, routes = { 2, 1 };

static void
set_layers(struct config *c, struct pattern attn, struct pattern expert)
{
	set_pattern(c->mixer, c->layers, attn, MIXER_FULL, MIXER_SCAN);
	if (c->router.experts > 1)
		set_pattern(c->mlp, c->layers, expert, MLP_EXPERTS, MLP_DENSE);
}

static void
jamba_layers(struct config *c)
{
	set_layers(c, attends, routes);
}

static void
jamba_read(struct config *c, struct reader *r)
{
	struct scan_sizes *s = &c->scan;
	struct pattern attn = read_pattern(r, "attn", attends);
	struct pattern expert = read_pattern(r, "expert", routes);

	read_sizes(c, r);
	c->act = read_act(r, "hidden_act", "silu");
	c->norm_eps = read_real(r, "rms_norm_eps", 1e-6);
	c->context = read_size(r, "max_position_embeddings", false, 262144);
	c->router.experts = read_size(r, "num_experts", false,
	    read_size(r, "num_local_experts", false, 16));
	c->router.top = read_size(r, "num_experts_per_tok", false, 2);
	c->router_aux = read_real(r, "router_aux_loss_coef", 0.001);
	s->inner = read_size(r, "mamba_expand", false, 2) * c->width;
	s->states = read_size(r, "mamba_d_state", false, 16);
	s->taps = read_size(r, "mamba_d_conv", false, 4);
	s->rank = read_rank(c, r, "mamba_dt_rank");
	s->bias = read_bool(r, "mamba_proj_bias", false);
	s->conv_bias = read_bool(r, "mamba_conv_bias", true);
	set_layers(c, attn, expert);
}

static struct pattern
attn_of(const struct config *c)
{
	return find_pattern(c->mixer, c->layers, MIXER_FULL);
}

static struct pattern
expert_of(const struct config *c)
{
	return c->router.experts > 1 ? find_pattern(c->mlp, c->layers, MLP_EXPERTS) : routes;
}

static void
jamba_write(const struct config *c, struct writer *w)
{
	const struct scan_sizes *s = &c->scan;

	write_sizes(c, w);
	write_pattern(w, "attn", attn_of(c));
	write_pattern(w, "expert", expert_of(c));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "mamba_conv_bias", json_boolean(s->conv_bias));
	write_key(w, "mamba_d_conv", json_integer(s->taps));
	write_key(w, "mamba_d_state", json_integer(s->states));
	write_key(w, "mamba_dt_rank", json_integer(s->rank));
	write_key(w, "mamba_expand", json_integer(s->inner / c->width));
	write_key(w, "mamba_proj_bias", json_boolean(s->bias));
	write_key(w, "num_experts", json_integer(c->router.experts));
	write_key(w, "num_experts_per_tok", json_integer(c->router.top));
	write_key(w, "router_aux_loss_coef", json_real(c->router_aux));
}

static int
jamba_check(const struct config *c, struct err *err)
{
	struct pattern attn = attn_of(c), expert = expert_of(c);

	for (int64_t i = 0; i < c->layers; i++)
		if ((c->mixer[i] == MIXER_FULL) != (i % attn.period == attn.offset) ||
		    (c->router.experts > 1 &&
		    (c->mlp[i] == MLP_EXPERTS) != (i % expert.period == expert.offset)))
			return err_set(err, ERR_ARG, "jamba: layers of a kind are at uneven "
			    "distances");
	if (c->head_dim * c->heads != c->width)
		return err_set(err, ERR_ARG, "jamba: width is not heads times head size");
	return mamba_check(c, err);
}

static const char *const honours[] = { "num_experts", "num_local_experts", NULL };

const struct arch_family arch_mamba = {
	.name = "mamba", .model_type = "mamba", .class_name = "MambaForCausalLM",
	.gguf = "mamba",
	.names = &mamba_names, .prefixes = mamba_prefixes, .defaults = mamba_defaults,
	.layers = mamba_layers, .read = mamba_read, .write = mamba_write, .check = mamba_check,
};

const struct arch_family arch_jamba = {
	.name = "jamba", .model_type = "jamba", .class_name = "JambaForCausalLM",
	.gguf = "jamba", .names = &jamba_names, .honours = honours, .defaults = jamba_defaults,
	.layers = jamba_layers, .read = jamba_read, .write = jamba_write, .check = jamba_check,
};
