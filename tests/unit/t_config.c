/*
 * config.json and weights: what is read, what is refused and named.
 */
#include <glob.h>
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

/* ---- families ---- */

#define SIZES "\"vocab_size\": 64, \"hidden_size\": 16, \"num_hidden_layers\": 12, " \
    "\"num_attention_heads\": 4, \"intermediate_size\": 24"
#define OF(type) "\"model_type\": \"" type "\", " SIZES

static void
test_windows(void)
{
	struct config c;

	ok(read_text(&c, "{" OF("mistral") ", \"num_attention_heads\": 8}") == 0 &&
	    c.window == 4096 && c.mixer[11] == MIXER_LOCAL && c.kv_heads == 8,
	    "mistral: a window of 4096 where it is not there");
	ok(read_text(&c, "{" OF("mistral") ", \"num_key_value_heads\": 2, "
	    "\"sliding_window\": null}") == 0 && c.window == 0 && c.mixer[0] == MIXER_FULL &&
	    c.kv_heads == 2, "mistral: null is none");
	ok(read_text(&c, "{" OF("qwen2") ", \"sliding_window\": 7}") == 0 && c.window == 0 &&
	    c.mixer[11] == MIXER_FULL && c.qkv_bias && !c.out_bias,
	    "qwen2: no window unless it is used");
	ok(read_text(&c, "{" OF("qwen3") ", \"sliding_window\": 7, \"use_sliding_window\": true, "
	    "\"max_window_layers\": 10}") == 0 && c.window == 7 && c.mixer[9] == MIXER_FULL &&
	    c.mixer[10] == MIXER_LOCAL && c.head_dim == 128 && c.qk_norm == QK_NORM_HEAD,
	    "qwen3: the layers from max_window_layers on");
	ok(read_text(&c, "{" OF("gemma2") "}") == 0 && c.window == 4096 &&
	    c.mixer[0] == MIXER_LOCAL && c.mixer[1] == MIXER_FULL && c.attn_softcap == 50 &&
	    c.final_softcap == 30 && c.attn_scalar == 256 && c.norm_plus == 1 && c.tied,
	    "gemma2: every other layer, and its defaults");
	ok(read_text(&c, "{" OF("gemma3_text") "}") == 0 && c.mixer[4] == MIXER_LOCAL &&
	    c.mixer[5] == MIXER_FULL && c.mixer[11] == MIXER_FULL && c.rope_theta == 1e6 &&
	    c.rope_local_theta == 1e4 && c.final_softcap == 0, "gemma3: five of six");
	ok(read_text(&c, "{" OF("gemma3_text") ", \"sliding_window_pattern\": 2, "
	    "\"rope_local_base_freq\": 5000, \"rope_theta\": 7}") == 0 &&
	    c.mixer[1] == MIXER_FULL && c.mixer[2] == MIXER_LOCAL && c.rope_local_theta == 5000 &&
	    c.rope_theta == 7, "gemma3: one of two");
	ok(read_text(&c, "{\"model_type\": \"gemma3\", \"vision_config\": {}, \"text_config\": {"
	    OF("gemma3_text") "}}") == 0 && c.layers == 12 && c.arch == ARCH_GEMMA3,
	    "gemma3 that sees: its text_config");
	ok(read_text(&c, "{" OF("gemma") ", \"hidden_act\": \"gelu\"}") == 0 &&
	    c.act == ACT_GELU_TANH && c.embed_scaled, "gemma: gelu is its approximation");
	refused("{" OF("gemma2") ", \"layer_types\": [\"full_attention\"]}", "no list of 12");
	refused("{" OF("qwen3") ", \"num_hidden_layers\": 1, \"layer_types\": [\"chunked\"]}",
	    "'chunked'");
	refused("{" OF("qwen3") ", \"num_hidden_layers\": 1, "
	    "\"layer_types\": [\"sliding_attention\"]}", "no sliding_window");
	refused("{" OF("gemma3_text") ", \"attn_logit_softcapping\": 50}", "attn_logit_softcapping");
	refused("{" OF("gemma2") ", \"use_bidirectional_attention\": true}", "bidirectional");
	refused("{" OF("gemma2") ", \"attn_logit_softcapping\": -1}", "soft cap");
	refused("{" OF("olmo2") ", \"sliding_window\": 4}", "'sliding_window'");
}

static void
test_phi3(void)
{
	struct config c;

	ok(read_text(&c, "{" OF("phi3") ", \"hidden_size\": 32, \"sliding_window\": 9, "
	    "\"original_max_position_embeddings\": 64, \"max_position_embeddings\": 256, "
	    "\"partial_rotary_factor\": 0.75, \"rope_scaling\": {\"type\": \"su\", "
	    "\"short_factor\": [1, 1, 2], \"long_factor\": [3, 4, 5]}}") == 0 &&
	    c.rope.kind == ROPE_LONGROPE && c.rope.original == 64 && c.rope_dims == 6 &&
	    c.rope.far[2] == 5 && c.rope.near[2] == 2 && c.mixer[3] == MIXER_LOCAL,
	    "phi3: longrope by its first name, part of a head");
	ok(model_rope_base(&c, 64) == 0 && model_rope_base(&c, 65) == 64,
	    "sequences longer than the original have the far table");
	refused("{" OF("phi3") ", \"rope_scaling\": {\"type\": \"longrope\", "
	    "\"short_factor\": [1], \"long_factor\": [1, 2]}}", "'short_factor'");
	refused("{" OF("phi3") ", \"rope_scaling\": {\"type\": \"longrope\", "
	    "\"short_factor\": [1, 0], \"long_factor\": [1, 2]}}", "positive");
	refused("{" OF("phi3") ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}}",
	    "longrope");
	refused("{" OF("phi3") ", \"partial_rotary_factor\": 0.3}", "odd");
}

/* Any family: sizes, counts and config.json agree. */
static void
test_family(enum arch arch)
{
	struct model m = { .dev = NULL };
	struct config c, again;
	json_t *doc = NULL;
	int64_t n = 0, matrices;
	char what[96];

	config_default(&c, arch);
	c.vocab = 300;
	c.width = 64;
	c.layers = 3;
	config_layers(&c);
	if (config_complete(&c, 0, &err) < 0 || model_declare(&m, &c, &err) < 0)
		printf("Bail out! %s\n", err.msg);
	for (int k = 0; k < m.params.n; k++)
		n += m.params.p[k].n;
	snprintf(what, sizeof(what), "%s: parameters counted are those declared", arch_name(arch));
	ok(n == config_params(&c), what);
	snprintf(what, sizeof(what), "%s: work is that of all matrices, and attention",
	    arch_name(arch));
	matrices = n - 300 * 64 - (c.pos == POS_LEARNED ? c.context * 64 : 0);
	/* A scan works the same at any length; a token passes some of the experts. */
	ok(config_flops(&c, 64) > 2.0 * (c.router.experts > 0 ? 0.1 : 0.95) * (double)matrices &&
	    (config_recurrent(&c) || config_flops(&c, 128) > config_flops(&c, 64)), what);
	snprintf(what, sizeof(what), "%s: written and read", arch_name(arch));
	doc = config_write(&c, &err);
	ok(doc != NULL && config_read(&again, doc, &err) == 0 &&
	    config_params(&again) == n && memcmp(c.mixer, again.mixer, sizeof(c.mixer)) == 0 &&
	    c.rope_theta == again.rope_theta && c.norm_plus == again.norm_plus, what);
	json_decref(doc);
	model_free(&m);
	config_default(&c, arch);
	c.vocab = 4096;
	snprintf(what, sizeof(what), "%s: about 30M", arch_name(arch));
	ok(config_complete(&c, 30000000, &err) == 0 &&
	    llabs(config_params(&c) - 30000000) <= 3000000, what);
}

static void
test_families(void)
{
	for (int i = 0; i < ARCH_COUNT; i++) {
		ok(arch_named(arch_name((enum arch)i)) == i, "a name, and back");
		test_family((enum arch)i);
	}
	ok(arch_named("nothing") < 0, "no such name");
}

/* ---- experts: sizes of released models, and how many parameters transformers makes of them ---- */

#define MOE(type, rest) "{\"model_type\": \"" type "\", \"tie_word_embeddings\": false, " rest "}"
#define LATENT "\"kv_lora_rank\": 512, \"qk_nope_head_dim\": 128, \"qk_rope_head_dim\": 64, " \
	"\"v_head_dim\": 128, \"moe_layer_freq\": 1, "
#define MIXTRAL "\"hidden_size\": 4096, \"intermediate_size\": 14336, " \
	"\"num_hidden_layers\": 32, \"num_attention_heads\": 32, \"num_key_value_heads\": 8, " \
	"\"vocab_size\": 32000, \"num_local_experts\": 8, \"num_experts_per_tok\": 2"
#define QWEN "\"hidden_size\": 2048, \"intermediate_size\": 6144, " \
	"\"moe_intermediate_size\": 768, \"num_hidden_layers\": 48, " \
	"\"num_attention_heads\": 32, \"num_key_value_heads\": 4, \"head_dim\": 128, " \
	"\"vocab_size\": 151936, \"num_experts\": 128, \"num_experts_per_tok\": 8, " \
	"\"norm_topk_prob\": true"
#define V2 LATENT "\"hidden_size\": 2048, \"intermediate_size\": 10944, " \
	"\"moe_intermediate_size\": 1408, \"num_hidden_layers\": 27, " \
	"\"num_attention_heads\": 16, \"q_lora_rank\": null, \"n_routed_experts\": 64, " \
	"\"n_shared_experts\": 2, \"num_experts_per_tok\": 6, \"first_k_dense_replace\": 1, " \
	"\"vocab_size\": 102400, \"scoring_func\": \"softmax\", \"n_group\": 1, " \
	"\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 40, \"mscale\": 0.707, " \
	"\"mscale_all_dim\": 0.707, \"original_max_position_embeddings\": 4096}"
#define V3 LATENT "\"hidden_size\": 7168, \"intermediate_size\": 18432, " \
	"\"moe_intermediate_size\": 2048, \"num_hidden_layers\": 61, " \
	"\"num_attention_heads\": 128, \"q_lora_rank\": 1536, \"n_routed_experts\": 256, " \
	"\"n_shared_experts\": 1, \"num_experts_per_tok\": 8, \"first_k_dense_replace\": 3, " \
	"\"vocab_size\": 129280, \"scoring_func\": \"sigmoid\", \"n_group\": 8, " \
	"\"topk_group\": 4, \"topk_method\": \"noaux_tc\""

static void
test_experts(void)
{
	static const struct { const char *name, *text; int64_t params, active; } released[] = {
		{ "Mixtral 8x7B", MOE("mixtral", MIXTRAL), 46702792704, 12879925248 },
		{ "Qwen3 30B A3B", MOE("qwen3_moe", QWEN), 30532122624, 3353032704 },
		{ "DeepSeek V2 Lite", MOE("deepseek_v2", V2), 15706484224, 2661150208 },
		/* With its 14848 biases. */
		{ "DeepSeek V3", MOE("deepseek_v3", V3), 671026404352 + 14848, 37552297472 },
	};
	struct config c;

	for (size_t i = 0; i < sizeof(released) / sizeof(*released); i++) {
		bool good = read_text(&c, released[i].text) == 0 &&
		    config_params(&c) == released[i].params &&
		    config_active(&c) == released[i].active;

		if (!good)
			printf("# %s: %lld, %lld active\n", err.msg, (long long)config_params(&c),
			    (long long)config_active(&c));
		ok(good, released[i].name);
	}
	refused(MOE("mixtral", MIXTRAL ", \"num_experts_per_tok\": 9"), "9 experts a token, of 8");
	refused(MOE("mixtral", MIXTRAL ", \"num_local_experts\": 1025"), "1025 experts");
	refused(MOE("mixtral", MIXTRAL ", \"num_local_experts\": -1"), "'num_local_experts'");
	refused(MOE("mixtral", MIXTRAL ", \"router_aux_loss_coef\": -1"), "a factor is out of range");
	refused(MOE("qwen3_moe", QWEN ", \"mlp_only_layers\": [0.5]"), "'mlp_only_layers'");
	refused(MOE("qwen3_moe", QWEN ", \"mlp_only_layers\": 1"), "'mlp_only_layers'");
	refused(MOE("qwen3_moe", QWEN ", \"decoder_sparse_step\": 0"), "'decoder_sparse_step'");
	refused(MOE("deepseek_v2", V2 ", \"topk_method\": \"best\""), "'topk_method'");
	refused(MOE("deepseek_v2", V2 ", \"norm_topk_prob\": true"), "'norm_topk_prob'");
	refused(MOE("deepseek_v2", V2 ", \"scoring_func\": \"sigmoid\""), "'scoring_func'");
	refused(MOE("deepseek_v2", V2 ", \"moe_layer_freq\": 2"), "'moe_layer_freq'");
	refused(MOE("deepseek_v2", V2 ", \"qk_rope_head_dim\": 63"), "odd");
	refused(MOE("deepseek_v3", V3 ", \"n_group\": 7"), "groups do not fit 256");
	refused(MOE("deepseek_v3", V3 ", \"topk_group\": 9"), "groups do not fit 256");
	refused(MOE("deepseek_v3", V3 ", \"num_nextn_predict_layers\": 5"), "predict ahead");
}

static void
test_refused(void)
{
	struct config c;

	refused("[]", "not a JSON object");
	refused("{}", "'model_type'");
	refused("{\"model_type\": \"no_such\"}", "'no_such'");
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
written(const json_t *doc, const char *what)
{
	struct config a, b;
	json_t *one = NULL, *two = NULL;
	bool same = config_read(&a, doc, &err) == 0 && (one = config_write(&a, &err)) != NULL &&
	    config_read(&b, one, &err) == 0 && (two = config_write(&b, &err)) != NULL;

	ok(same && memcmp(&a, &b, sizeof(a)) == 0 && json_equal(one, two), what);
	if (!same)
		printf("# %s\n", err.msg);
	json_decref(one);
	json_decref(two);
}

static void
test_written(void)
{
	const char *text[] = { "{" LLAMA ", \"tie_word_embeddings\": true, \"mlp_bias\": true, "
	    "\"attention_bias\": true, \"eos_token_id\": [3, 5], \"hidden_act\": \"relu2\"}",
	    "{" GPT2 ", \"n_inner\": 40, \"bos_token_id\": 0, \"tie_word_embeddings\": false}",
	    "{" LLAMA ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"mscale\": 0.7, "
	    "\"mscale_all_dim\": 0.5, \"attention_factor\": 1.5, \"truncate\": false, "
	    "\"original_max_position_embeddings\": 512}, \"dtype\": \"bfloat16\"}",
	    "{" LLAMA ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5}, "
	    "\"torch_dtype\": \"float16\"}" };
	json_t *doc;
	glob_t found;

	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++) {
		doc = json_loads(text[i], 0, NULL);
		written(doc, "written and read, it is the same");
		json_decref(doc);
	}
	if (glob("tests/data/model/*/config.json", 0, NULL, &found) != 0)
		printf("Bail out! no models\n");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		doc = json_load_file(found.gl_pathv[i], 0, NULL);
		written(doc, found.gl_pathv[i]);
		json_decref(doc);
	}
	globfree(&found);
}

/* ---- weights ---- */

struct change {
	const char *drop, *add, *shape, *type, *prefix, *instead;
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
		bool turned = m->weight[i].turned;
		dtype type = ch->dtype ? (dtype)ch->dtype : DTYPE_F32;

		if (ch->drop != NULL && strcmp(ch->drop, p->name) == 0)
			continue;
		if (ch->prefix != NULL && strncmp(p->name, ch->prefix, strlen(ch->prefix)) == 0)
			snprintf(name[w.n], NN_NAME, "%s%s", ch->instead != NULL ? ch->instead : "",
			    p->name + strlen(ch->prefix));
		else
			snprintf(name[w.n], NN_NAME, "%s", p->name);
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
		for (int i = 0; i < 2 && ret == 0; i++)
			ret = param_download(&m.params, &m.params.p[3 * i], 0, 1, v + i,
			    DTYPE_F32, &err);
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
	struct model llama = { .dev = NULL }, gpt2 = llama, gemma = llama;

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
	read_text(&c, "{" OF("gemma3_text") ", \"num_hidden_layers\": 1}");
	if (model_declare(&gemma, &c, &err) < 0)
		printf("Bail out! %s\n", err.msg);
	try_load(&gemma, (struct change){ .prefix = "model.", .instead = "language_model.model.",
	    .add = "vision_tower.patch.weight" }, NULL, "gemma3 of a model that sees");
	try_load(&gemma, (struct change){ .prefix = "model.", .instead = "model.language_model.",
	    .add = "model.multi_modal_projector.weight" }, NULL, "and as transformers 5 names it");
	try_load(&gemma, (struct change){ .add = "language_model.model.norm.weight" },
	    "are the same", "both names of one tensor");
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
	model_free(&gemma);
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
	test_windows();
	test_phi3();
	test_families();
	test_experts();
	test_refused();
	test_written();
	test_weights();
	test_sizes();
	dev_close(dev);
	return tap_done();
}
