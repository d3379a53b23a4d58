/*
 * config.json and weights: what is read, what is refused and named.
 */
#include <stdlib.h>
#include <unistd.h>

#include "../tap.h"
#include "base/stream.h"
#include "fmt/safetensors.h"
#include "model/sizes.h"

static struct err err;
static struct dev *dev;

#define LLAMA "\"model_type\": \"llama\", \"vocab_size\": 64, \"hidden_size\": 16, " \
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"intermediate_size\": 24"
#define GPT2 "\"model_type\": \"gpt2\", \"vocab_size\": 64, \"n_embd\": 16, \"n_layer\": 2, " \
    "\"n_head\": 4"

static int
read_text(struct config *c, const char *text)
{
	json_t *doc = json_loads(text, 0, NULL);
	int ret = doc != NULL ? config_read(c, doc, &err) : -2;

	json_decref(doc);
	return ret;
}

/* Refused, and the message has the words. */
static void
refused(const char *text, const char *words)
{
	struct config c;
	char what[256];
	int ret = read_text(&c, text);

	snprintf(what, sizeof(what), "refused: %s", words);
	ok(ret == -1 && strstr(err.msg, words) != NULL, what);
	if (ret == -1 && strstr(err.msg, words) == NULL)
		printf("# %s\n", err.msg);
}

static void
test_defaults(void)
{
	struct config c;

	ok(read_text(&c, "{" LLAMA "}") == 0 && c.kv_heads == 4 && c.head_dim == 4 &&
	    c.norm_eps == 1e-6 && c.rope_theta == 10000 && !c.tied && !c.qkv_bias &&
	    c.act == ACT_SILU && c.eos == -1 && c.bos == -1 && c.rope.factor == 0,
	    "llama: what is not there is as in transformers");
	ok(read_text(&c, "{" GPT2 "}") == 0 && c.ffn == 64 && c.tied && c.context == 1024 &&
	    c.act == ACT_GELU_TANH && c.norm_eps == 1e-5 && c.qkv_bias,
	    "gpt2: what is not there is as in transformers");
	ok(read_text(&c, "{" GPT2 ", \"n_inner\": null, \"activation_function\": \"gelu\"}") == 0 &&
	    c.ffn == 64 && c.act == ACT_GELU, "null is not there; exact gelu");
	ok(read_text(&c, "{" LLAMA ", \"eos_token_id\": [3, 5, 7], \"bos_token_id\": 1}") == 0 &&
	    c.eos == 3 && config_is_eos(&c, 5) && config_is_eos(&c, 7) && config_is_eos(&c, 3) &&
	    !config_is_eos(&c, 1) && !config_is_eos(&c, -1) && c.bos == 1, "several ends of text");
}

static void
test_rope(void)
{
	struct config a, b;

	ok(read_text(&a, "{" LLAMA ", \"rope_theta\": 500000, \"rope_scaling\": {"
	    "\"rope_type\": \"llama3\", \"factor\": 32, \"low_freq_factor\": 1, "
	    "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 8192}}") == 0 &&
	    a.rope_theta == 500000 && a.rope.factor == 32 && a.rope.original == 8192,
	    "rope_theta and rope_scaling");
	ok(read_text(&b, "{" LLAMA ", \"rope_parameters\": {\"rope_theta\": 500000, "
	    "\"rope_type\": \"llama3\", \"factor\": 32, \"low_freq_factor\": 1, "
	    "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 8192}}") == 0 &&
	    memcmp(&a, &b, sizeof(a)) == 0, "rope_parameters of transformers 5: the same");
	ok(read_text(&a, "{" LLAMA ", \"rope_scaling\": {\"type\": \"default\"}}") == 0 &&
	    a.rope.factor == 0, "the old name of the default");
	refused("{" LLAMA ", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 4}}", "'dynamic'");
	refused("{" LLAMA ", \"rope_parameters\": {\"rope_type\": \"linear\"}}", "out of range");
	refused("{" LLAMA ", \"rope_parameters\": {\"partial_rotary_factor\": 1.5}}",
	    "'partial_rotary_factor'");
	refused("{" LLAMA ", \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 4}}",
	    "original_max_position_embeddings");
	refused("{" LLAMA ", \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 0.1, "
	    "\"original_max_position_embeddings\": 32}}", "out of range");
}

static void
test_refused(void)
{
	struct config c;

	refused("[]", "not a JSON object");
	refused("{}", "'model_type'");
	refused("{\"model_type\": \"mamba\"}", "'mamba'");
	refused("{\"model_type\": \"llama\"}", "'vocab_size'");
	refused("{" LLAMA ", \"hidden_size\": -4}", "'hidden_size'");
	refused("{" LLAMA ", \"hidden_size\": \"16\"}", "'hidden_size'");
	refused("{" LLAMA ", \"hidden_size\": 1e99}", "'hidden_size'");
	refused("{" LLAMA ", \"vocab_size\": 9223372036854775807}", "'vocab_size'");
	refused("{" LLAMA ", \"hidden_act\": \"mish\"}", "'mish'");
	refused("{" LLAMA ", \"hidden_act\": 3}", "'hidden_act'");
	refused("{" LLAMA ", \"num_key_value_heads\": 3}", "no multiple of 3");
	refused("{" LLAMA ", \"head_dim\": 3}", "odd");
	refused("{" LLAMA ", \"attention_bias\": 1}", "'attention_bias'");
	refused("{" LLAMA ", \"eos_token_id\": 64}", "outside the vocabulary");
	refused("{" LLAMA ", \"eos_token_id\": [1, 64]}", "outside the vocabulary");
	refused("{" LLAMA ", \"eos_token_id\": [1,2,3,4,5,6,7,8,9]}", "at most 8");
	refused("{" LLAMA ", \"eos_token_id\": \"x\"}", "'eos_token_id'");
	refused("{" LLAMA ", \"sliding_window\": 4096}", "'sliding_window'");
	refused("{" LLAMA ", \"quantization_config\": {\"bits\": 4}}", "'quantization_config'");
	refused("{" LLAMA ", \"layer_types\": [\"full_attention\", \"sliding_attention\"]}",
	    "'layer_types'");
	refused("{" LLAMA ", \"rope_interleaved\": true}", "'rope_interleaved'");
	refused("{" GPT2 ", \"scale_attn_weights\": false}", "'scale_attn_weights'");
	refused("{" GPT2 ", \"scale_attn_by_inverse_layer_idx\": true}", "'scale_attn_by");
	refused("{" GPT2 ", \"n_head\": 3}", "width is not heads times head size");
	ok(read_text(&c, "{" LLAMA ", \"sliding_window\": null, \"rope_interleaved\": false, "
	    "\"pretraining_tp\": 1, \"use_cache\": true, \"whatever\": [1]}") == 0,
	    "keys that change nothing are passed over");
}

/* config -> file -> config -> file */
static void
test_written(void)
{
	const char *text[] = { "{" LLAMA ", \"tie_word_embeddings\": true, \"mlp_bias\": true, "
	    "\"attention_bias\": true, \"eos_token_id\": [3, 5], \"hidden_act\": \"relu2\"}",
	    "{" GPT2 ", \"n_inner\": 40, \"bos_token_id\": 0, \"tie_word_embeddings\": false}" };
	struct config a, b;
	json_t *one, *two;

	for (int i = 0; i < 2; i++) {
		if (read_text(&a, text[i]) < 0 || (one = config_write(&a, &err)) == NULL ||
		    config_read(&b, one, &err) < 0 || (two = config_write(&b, &err)) == NULL) {
			ok(false, err.msg);
			continue;
		}
		ok(memcmp(&a, &b, sizeof(a)) == 0 && json_equal(one, two),
		    "written and read, it is the same");
		json_decref(one);
		json_decref(two);
	}
}

/* ---- weights ---- */

struct change {
	const char *drop, *add, *shape, *type, *prefix;
	int	 dtype;
};

static char dir[] = "/tmp/t_config.XXXXXX";

/* Write a model directory with every tensor 0.5, changed in one way. */
static void
write_model(const struct model *m, const struct change *ch)
{
	struct st_tensor t[64];
	char path[64], name[64][NN_NAME];
	uint16_t *half = calloc(20000, sizeof(*half));
	float *full = calloc(20000, sizeof(*full));
	struct st_write w = { .tensor = t };
	json_t *doc = config_write(&m->config, &err);

	for (int i = 0; i < 20000; i++) {
		half[i] = ch->dtype == DTYPE_BF16 ? f32_to_bf16(0.5f) : f32_to_f16(0.5f);
		full[i] = 0.5f;
	}
	for (int i = 0; i < m->params.n; i++) {
		const struct param *p = &m->params.p[i];
		bool turned = m->config.arch == ARCH_GPT2 && p->ndim == 2 && strstr(p->name, ".h.");
		dtype type = ch->dtype ? (dtype)ch->dtype : DTYPE_F32;

		if (ch->drop != NULL && strcmp(ch->drop, p->name) == 0)
			continue;
		snprintf(name[w.n], NN_NAME, "%s", p->name + (ch->prefix != NULL &&
		    strncmp(p->name, ch->prefix, strlen(ch->prefix)) == 0 ?
		    strlen(ch->prefix) : 0));
		if (ch->type != NULL && strcmp(ch->type, p->name) == 0)
			type = DTYPE_I16;
		t[w.n] = (struct st_tensor){ .name = name[w.n], .type = type, .ndim = p->ndim,
		    .bytes = p->n * dtype_size(type),
		    .data = type == DTYPE_F32 ? (void *)full : (void *)half };
		for (int k = 0; k < p->ndim; k++)
			t[w.n].shape[k] = p->shape[turned ? p->ndim - 1 - k : k];
		if (ch->shape != NULL && strcmp(ch->shape, p->name) == 0) {
			t[w.n].shape[0] /= 2;
			t[w.n].bytes /= 2;
		}
		w.n++;
	}
	if (ch->add != NULL)
		t[w.n++] = (struct st_tensor){ .name = ch->add, .type = DTYPE_F32, .ndim = 2,
		    .shape = { m->config.vocab, m->config.width },
		    .bytes = 4 * m->config.vocab * m->config.width, .data = full };
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	if (st_save(path, &w, &err) < 0)
		printf("Bail out! %s\n", err.msg);
	snprintf(path, sizeof(path), "%s/config.json", dir);
	if (json_doc_save(path, doc, &err) < 0)
		printf("Bail out! %s\n", err.msg);
	json_decref(doc);
	free(half);
	free(full);
}

/* words NULL: it loads, and all is 0.5. */
static void
try_load(const struct model *like, struct change ch, const char *words, const char *what)
{
	struct model m = { .dev = NULL };
	float v[2] = { 0 };
	int ret;

	write_model(like, &ch);
	ret = model_load(&m, dir, dev, false, &err);
	if (words != NULL) {
		ok(ret < 0 && strstr(err.msg, words) != NULL && strstr(err.msg, dir) != NULL, what);
	} else if (ret == 0) {
		dev_download(dev, v, m.params.p[0].data, 4);
		dev_download(dev, v + 1, m.params.p[3].data, 4);
		ret = dev_wait(dev, &err);
		ok(ret == 0 && v[0] == 0.5f && v[1] == 0.5f, what);
	} else {
		ok(false, what);
	}
	if (words == NULL ? ret < 0 : strstr(err.msg, words) == NULL)
		printf("# %s\n", err.msg);
	model_free(&m);
}

static void
test_weights(void)
{
	struct config c;
	struct model llama = { .dev = NULL }, gpt2 = llama;

	read_text(&c, "{" LLAMA ", \"tie_word_embeddings\": true}");
	if (model_declare(&llama, &c, &err) < 0 || mkdtemp(dir) == NULL)
		printf("Bail out! %s\n", err.msg);
	read_text(&c, "{" GPT2 ", \"n_positions\": 32}");
	if (model_declare(&gpt2, &c, &err) < 0)
		printf("Bail out! %s\n", err.msg);
	try_load(&llama, (struct change){ .dtype = 0 }, NULL, "fp32 weights");
	try_load(&llama, (struct change){ .dtype = DTYPE_F16 }, NULL, "fp16 weights");
	try_load(&llama, (struct change){ .dtype = DTYPE_BF16 }, NULL, "bf16 weights");
	try_load(&gpt2, (struct change){ .prefix = "transformer." }, NULL, "gpt2 without prefix");
	try_load(&gpt2, (struct change){ .dtype = DTYPE_F16 }, NULL, "gpt2 with it");
	try_load(&llama, (struct change){ .add = "lm_head.weight" }, NULL,
	    "a head that is stored though it is tied, and equal");
	try_load(&llama, (struct change){ .add = "model.layers.0.self_attn.rotary_emb.inv_freq" },
	    NULL, "frequencies of old releases");
	try_load(&llama, (struct change){ .drop = "model.norm.weight" },
	    "no tensor 'model.norm.weight'", "a missing tensor is named");
	try_load(&llama, (struct change){ .add = "model.layers.2.mlp.up_proj.weight" },
	    "'model.layers.2.mlp.up_proj.weight' is not of this model", "one too many is named");
	try_load(&llama, (struct change){ .shape = "model.layers.1.mlp.up_proj.weight" },
	    "'model.layers.1.mlp.up_proj.weight' is (12, 16), not (24, 16)",
	    "one of another shape is named");
	try_load(&gpt2, (struct change){ .shape = "transformer.h.1.attn.c_attn.weight" },
	    "is (8, 48), not (48, 16) transposed", "and so in gpt2");
	try_load(&llama, (struct change){ .type = "model.norm.weight" }, "is I16",
	    "one of integers is named");
	ok(model_remove(dir, &err) == 0 && access(dir, F_OK) < 0, "the directory is removed");
	ok(model_load(&gpt2, "/nothing", dev, false, &err) < 0 &&
	    strstr(err.msg, "/nothing") != NULL, "a directory that is not there is named");
	model_free(&llama);
	model_free(&gpt2);
}

static void
test_sizes(void)
{
	static const int64_t want[] = { 1000000, 5000000, 30000000, 135000000, 360000000,
	    1000000000, 8000000000 };
	struct config c;
	struct model m = { .dev = NULL };
	int64_t n = 0;

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		config_default(&c, i % 2 ? ARCH_GPT2 : ARCH_LLAMA);
		c.vocab = 4096;
		ok(config_complete(&c, want[i], &err) == 0 &&
		    llabs(config_params(&c) - want[i]) <= want[i] / 10, "sizes by rule are near");
	}
	for (int i = 0; i < 2; i++) {
		config_default(&c, i ? ARCH_GPT2 : ARCH_LLAMA);
		c.vocab = 300;
		c.width = 64;
		c.layers = 3;
		c.tied = i;
		c.qkv_bias = c.out_bias = c.ffn_bias = true;
		if (config_complete(&c, 0, &err) < 0 || model_declare(&m, &c, &err) < 0)
			printf("Bail out! %s\n", err.msg);
		n = 0;
		for (int k = 0; k < m.params.n; k++)
			n += m.params.p[k].n;
		ok(n == config_params(&c), "parameters counted are those declared");
		model_free(&m);
	}
}

int
main(void)
{
	dev = dev_open("cpu", NULL, 0, &err);
	if (dev == NULL) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	test_defaults();
	test_rope();
	test_refused();
	test_written();
	test_weights();
	test_sizes();
	dev_close(dev);
	return tap_done();
}
