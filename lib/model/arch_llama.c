/* Llama 2 and 3, and what took its shape as it is: SmolLM, SmolLM2, TinyLlama, Yi ... */
#include "model/model_impl.h"

static void
read(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->act = read_act(r, "hidden_act", "silu");
	c->qkv_bias = c->out_bias = read_bool(r, "attention_bias", false);
	c->ffn_bias = read_bool(r, "mlp_bias", false);
	read_rope(c, r, 10000);
}

static void
write(const struct config *c, struct writer *w)
{
	write_sizes(c, w);
	write_key(w, "attention_bias", json_boolean(c->qkv_bias));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "mlp_bias", json_boolean(c->ffn_bias));
	write_rope(c, w);
}

const struct arch_family arch_llama = {
	.name = "llama", .model_type = "llama", .class_name = "LlamaForCausalLM",
	.gguf = "llama", .names = &llama_names, .read = read, .write = write,
};
