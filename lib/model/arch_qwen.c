/* Qwen2: biases of q, k and v.  Qwen3: norms of each head of q and k instead. */
#include "model/model_impl.h"

static const char *const honours[] = {
	"layer_types", "sliding_window", "use_sliding_window", NULL
};

static void
defaults2(struct config *c)
{
	c->qkv_bias = true;
	c->norm_eps = 1e-6;
	c->rope_theta = 1e6;
}

static void
defaults3(struct config *c)
{
	c->qk_norm = QK_NORM_HEAD;
	c->norm_eps = 1e-6;
	c->rope_theta = 1e6;
}

static void
read(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->act = read_act(r, "hidden_act", "silu");
	if (read_bool(r, "use_sliding_window", false)) {
		c->window = read_size(r, "sliding_window", false, 4096);
		set_local(c, (int64_t)read_real(r, "max_window_layers", 28), 0);
	}
	read_layer_types(c, r);
	read_rope(c, r, 10000);
}

static void
read3(struct config *c, struct reader *r)
{
	read(c, r);
	c->head_dim = read_size(r, "head_dim", false, 128);
	c->qkv_bias = c->out_bias = read_bool(r, "attention_bias", false);
}

static void
write(const struct config *c, struct writer *w)
{
	int64_t full = 0;

	write_sizes(c, w);
	if (c->arch == ARCH_QWEN3)
		write_key(w, "attention_bias", json_boolean(c->qkv_bias));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "sliding_window", c->window > 0 ? json_integer(c->window) : json_null());
	write_key(w, "use_sliding_window", json_boolean(c->window > 0));
	while (full < c->layers && c->mixer[full] == MIXER_FULL)
		full++;
	write_key(w, "max_window_layers", json_integer(full));
	write_layer_types(c, w);
	write_rope(c, w);
}

/* Qwen2's heads are the width divided, and transformers reads no other size. */
static int
check2(const struct config *c, struct err *err)
{
	if (c->heads * c->head_dim != c->width)
		return err_set(err, ERR_ARG, "qwen2: width is not heads times head size");
	return 0;
}

const struct arch_family arch_qwen2 = {
	.name = "qwen2", .model_type = "qwen2", .class_name = "Qwen2ForCausalLM",
	.gguf = "qwen2",
	.names = &llama_names, .honours = honours, .defaults = defaults2, .read = read,
	.write = write, .check = check2,
};

const struct arch_family arch_qwen3 = {
	.name = "qwen3", .model_type = "qwen3", .class_name = "Qwen3ForCausalLM",
	.gguf = "qwen3",
	.names = &llama_names, .honours = honours, .defaults = defaults3, .read = read3,
	.write = write,
};
