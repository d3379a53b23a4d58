/*
 * Mamba: layers of nothing but the scan; and Jamba, where every so many layers
 * attend, without positions, and each is followed by a gated MLP.
 */
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
	.down = "feed_forward.down_proj",
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
}

/* Which layers attend: each period-th, from offset on. */
static void
set_mixers(struct config *c, int64_t period, int64_t offset)
{
	for (int64_t i = 0; i < c->layers && i < CONFIG_LAYERS; i++)
		c->mixer[i] = i % period == offset ? MIXER_FULL : MIXER_SCAN;
}

static void
jamba_layers(struct config *c)
{
	set_mixers(c, 8, 4);
}

static void
jamba_read(struct config *c, struct reader *r)
{
	struct scan_sizes *s = &c->scan;
	int64_t period = read_size(r, "attn_layer_period", false, 8);
	double offset = read_real(r, "attn_layer_offset", 4);

	read_sizes(c, r);
	c->act = read_act(r, "hidden_act", "silu");
	c->norm_eps = read_real(r, "rms_norm_eps", 1e-6);
	c->context = read_size(r, "max_position_embeddings", false, 262144);
	if (!(offset >= 0) || offset >= (double)period)
		read_fail(r, "'attn_layer_offset' is not below 'attn_layer_period'");
	if (read_size(r, "num_experts", false, 16) != 1)
		read_fail(r, "'num_experts': only 1 is supported in jamba");
	s->inner = read_size(r, "mamba_expand", false, 2) * c->width;
	s->states = read_size(r, "mamba_d_state", false, 16);
	s->taps = read_size(r, "mamba_d_conv", false, 4);
	s->rank = read_rank(c, r, "mamba_dt_rank");
	s->bias = read_bool(r, "mamba_proj_bias", false);
	s->conv_bias = read_bool(r, "mamba_conv_bias", true);
	set_mixers(c, period, (int64_t)offset);
}

/* The period and offset of the layers that attend. */
static void
find_mixers(const struct config *c, int64_t *period, int64_t *offset)
{
	int64_t n = c->layers, first = 0, next;

	while (first < n && c->mixer[first] == MIXER_SCAN)
		first++;
	next = first + 1;
	while (next < n && c->mixer[next] == MIXER_SCAN)
		next++;
	*period = next < n ? next - first : n + 1;
	*offset = first;
}

static void
jamba_write(const struct config *c, struct writer *w)
{
	const struct scan_sizes *s = &c->scan;
	int64_t period, offset;

	find_mixers(c, &period, &offset);
	write_sizes(c, w);
	write_key(w, "attn_layer_offset", json_integer(offset));
	write_key(w, "attn_layer_period", json_integer(period));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "mamba_conv_bias", json_boolean(s->conv_bias));
	write_key(w, "mamba_d_conv", json_integer(s->taps));
	write_key(w, "mamba_d_state", json_integer(s->states));
	write_key(w, "mamba_dt_rank", json_integer(s->rank));
	write_key(w, "mamba_expand", json_integer(s->inner / c->width));
	write_key(w, "mamba_proj_bias", json_boolean(s->bias));
	write_key(w, "num_experts", json_integer(1));
	write_key(w, "num_experts_per_tok", json_integer(1));
}

static int
jamba_check(const struct config *c, struct err *err)
{
	int64_t period, offset;

	find_mixers(c, &period, &offset);
	for (int64_t i = 0; i < c->layers; i++)
		if ((c->mixer[i] == MIXER_FULL) != (i % period == offset))
			return err_set(err, ERR_ARG, "jamba: layers attend at uneven distances");
	if (c->head_dim * c->heads != c->width)
		return err_set(err, ERR_ARG, "jamba: width is not heads times head size");
	return mamba_check(c, err);
}

static const char *const honours[] = { "num_experts", NULL };

const struct arch_family arch_mamba = {
	.name = "mamba", .model_type = "mamba", .class_name = "MambaForCausalLM",
	.names = &mamba_names, .prefixes = mamba_prefixes, .defaults = mamba_defaults,
	.layers = mamba_layers, .read = mamba_read, .write = mamba_write, .check = mamba_check,
};

const struct arch_family arch_jamba = {
	.name = "jamba", .model_type = "jamba", .class_name = "JambaForCausalLM",
	.names = &jamba_names, .honours = honours, .defaults = jamba_defaults,
	.layers = jamba_layers, .read = jamba_read, .write = jamba_write, .check = jamba_check,
};
