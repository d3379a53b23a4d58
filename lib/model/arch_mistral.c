/* Mistral: a Llama whose layers attend to a window, in its first releases. */
#include "model/model_impl.h"

static const char *const honours[] = { "sliding_window", NULL };

static void
layers(struct config *c)
{
	if (c->window > 0)
		set_local(c, 0, 0);
}

/* transformers has a window of 4096 where the key is not there at all. */
static void
read(struct config *c, struct reader *r)
{
	read_sizes(c, r);
	c->kv_heads = read_size(r, "num_key_value_heads", false, 8);
	c->act = read_act(r, "hidden_act", "silu");
	c->window = json_is_null(json_object_get(r->doc, "sliding_window")) ? 0 :
	    read_size(r, "sliding_window", false, 4096);
	layers(c);
	read_rope(c, r, 10000);
}

static void
write(const struct config *c, struct writer *w)
{
	write_sizes(c, w);
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "sliding_window", c->window > 0 ? json_integer(c->window) : json_null());
	write_rope(c, w);
}

const struct arch_family arch_mistral = {
	.name = "mistral", .model_type = "mistral", .class_name = "MistralForCausalLM",
	.gguf = "llama",
	.names = &llama_names, .honours = honours, .layers = layers, .read = read,
	.write = write,
};
