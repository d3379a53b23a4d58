/*
 * Parameters and the tensors of GGUF.  A module is found in the names of its
 * family, or among those that only one kind of mixer has.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/gguf_impl.h"

/* Of those that struct arch_names has. */
struct field {
	size_t		 at;
	const char	*theirs;
};

static const struct field whole[] = {
	{ offsetof(struct arch_names, embed), "token_embd" },
	{ offsetof(struct arch_names, positions), "position_embd" },
	{ offsetof(struct arch_names, segments), "token_types" },
	{ offsetof(struct arch_names, embed_norm), "token_embd_norm" },
	{ offsetof(struct arch_names, final_norm), "output_norm" },
};

/* Where norms follow sums. */
static const struct field encoder[] = {
	{ offsetof(struct arch_names, post_mixer), "attn_output_norm" },
	{ offsetof(struct arch_names, post_mlp), "layer_output_norm" },
};

static const struct field layer[] = {
	{ offsetof(struct arch_names, pre_mixer), "attn_norm" },
	{ offsetof(struct arch_names, post_mixer), "post_attention_norm" },
	{ offsetof(struct arch_names, pre_mlp), "ffn_norm" },
	{ offsetof(struct arch_names, post_mlp), "post_ffw_norm" },
	{ offsetof(struct arch_names, q), "attn_q" },
	{ offsetof(struct arch_names, k), "attn_k" },
	{ offsetof(struct arch_names, v), "attn_v" },
	{ offsetof(struct arch_names, qkv), "attn_qkv" },
	{ offsetof(struct arch_names, out), "attn_output" },
	{ offsetof(struct arch_names, q_norm), "attn_q_norm" },
	{ offsetof(struct arch_names, k_norm), "attn_k_norm" },
	{ offsetof(struct arch_names, gate), "ffn_gate" },
	{ offsetof(struct arch_names, up), "ffn_up" },
	{ offsetof(struct arch_names, gate_up), "ffn_up" },
	{ offsetof(struct arch_names, down), "ffn_down" },
	{ offsetof(struct arch_names, router), "ffn_gate_inp" },
};

static const struct field expert[] = {	/* after names->experts */
	{ offsetof(struct arch_names, expert_gate), "ffn_gate_exps" },
	{ offsetof(struct arch_names, expert_up), "ffn_up_exps" },
	{ offsetof(struct arch_names, expert_down), "ffn_down_exps" },
};

#define N(table) (sizeof(table) / sizeof(*(table)))

/* Of those that it has not: in a layer, after names->shared, and after names->scan. */
static const char *const latent[][2] = {
	{ "self_attn.q_a_proj", "attn_q_a" }, { "self_attn.q_a_layernorm", "attn_q_a_norm" },
	{ "self_attn.q_b_proj", "attn_q_b" }, { "self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa" },
	{ "self_attn.kv_a_layernorm", "attn_kv_a_norm" }, { "self_attn.kv_b_proj", "attn_kv_b" },
	{ "eh_proj", "nextn.eh_proj" }, { "enorm", "nextn.enorm" }, { "hnorm", "nextn.hnorm" },
	{ "shared_head.norm", "nextn.shared_head_norm" },
};

static const char *const shared[][2] = {
	{ "gate_proj", "ffn_gate_shexp" }, { "up_proj", "ffn_up_shexp" },
	{ "down_proj", "ffn_down_shexp" },
};

static const char *const scan[][2] = {
	{ "in_proj", "ssm_in" }, { "conv1d", "ssm_conv1d" }, { "x_proj", "ssm_x" },
	{ "dt_proj", "ssm_dt" }, { "A_log", "ssm_a" }, { "D", "ssm_d" },
	{ "out_proj", "ssm_out" }, { "dt_layernorm", "ssm_dt_norm" },
	{ "b_layernorm", "ssm_b_norm" }, { "c_layernorm", "ssm_c_norm" },
};

/* Those that stay fp32 though they are matrices. */
static const char *const wide[] = { "ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d",
	"ssm_a" };

static const char *
find_literal(const char *const (*table)[2], size_t n, const char *module)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i][0], module) == 0)
			return table[i][1];
	return NULL;
}

static const char *
find_field(const struct field *table, size_t n, const struct arch_names *names,
    const char *module)
{
	for (size_t i = 0; i < n; i++) {
		const char *ours = *(const char *const *)((const char *)names + table[i].at);

		if (ours != NULL && strcmp(ours, module) == 0)
			return table[i].theirs;
	}
	return NULL;
}

/* What follows prefix and a separator in name, or NULL. */
static const char *
after(const char *name, const char *prefix, const char *separator)
{
	size_t n = prefix == NULL ? 0 : strlen(prefix), m = strlen(separator);

	return prefix != NULL && strncmp(name, prefix, n) == 0 &&
	    strncmp(name + n, separator, m) == 0 ? name + n + m : NULL;
}

static const char *
find_layer(const struct config *c, const char *module)
{
	const struct arch_names *n = arch_family(c->arch)->names;
	const char *rest, *theirs = c->encoder ? find_field(encoder, N(encoder), n, module) : NULL;

	if (theirs != NULL || (theirs = find_field(layer, N(layer), n, module)) != NULL)
		return theirs;
	if ((rest = after(module, n->experts, ".")) != NULL)
		return find_field(expert, N(expert), n, rest);
	if ((rest = after(module, n->shared, ".")) != NULL)
		return find_literal(shared, N(shared), rest);
	if ((rest = after(module, n->scan, "")) != NULL)
		return find_literal(scan, N(scan), rest);
	return find_literal(latent, N(latent), module);
}

static const char *
find_whole(const struct arch_names *n, const char *module)
{
	return strcmp(module, "lm_head") == 0 ? "output" :
	    find_field(whole, N(whole), n, module);
}

/* Cut "model.layers.12." off the name of a layer's parameter; -1: it is none. */
static int64_t
cut_layer(const struct arch_names *n, const char **name)
{
	size_t head = (size_t)(strchr(n->layer, '%') - n->layer);
	char *rest;
	int64_t i;

	if (strncmp(*name, n->layer, head) != 0)
		return -1;
	i = strtoll(*name + head, &rest, 10);
	*name = rest + 1;
	return i;
}

bool
gguf_is_wide(const char *name)
{
	for (size_t i = 0; i < N(wide); i++)
		if (strstr(name, wide[i]) != NULL)
			return true;
	return false;
}

static void
describe(const struct config *c, const struct param *p, const char *theirs, bool weight,
    struct gguf_name *n)
{
	bool llama = strcmp(arch_family(c->arch)->gguf, "llama") == 0;

	n->form = strcmp(theirs, "ssm_a") == 0 ? GGUF_RATES :
	    strcmp(theirs, "attn_kv_b") == 0 ? GGUF_LATENT :
	    p->ndim == 1 && weight && c->norm_plus == 1 ? GGUF_PLUS : GGUF_SAME;
	n->pairs = llama && (strcmp(theirs, "attn_q") == 0 || strcmp(theirs, "attn_k") == 0);
	n->wide = p->ndim == 1 || gguf_is_wide(theirs);
}

int
gguf_name(const struct config *c, const struct param *p, struct gguf_name *n, struct err *err)
{
	static const char *const suffixes[] = { ".weight", ".bias", ".e_score_correction_bias" };
	const struct arch_names *names = arch_family(c->arch)->names;
	const char *name = p->name, *suffix = "", *theirs;
	int64_t i = cut_layer(names, &name);
	char module[NN_NAME];

	snprintf(module, sizeof(module), "%s", name);
	for (size_t k = 0; k < N(suffixes); k++)
		if (str_ends(str_of(module), str_of(suffixes[k]))) {
			suffix = suffixes[k];
			module[strlen(module) - strlen(suffix)] = '\0';
			break;
		}
	theirs = i >= 0 ? find_layer(c, module) : find_whole(names, module);
	if (theirs == NULL)
		return err_set(err, ERR_ARG, "parameter '%s' has no name in GGUF", p->name);
	describe(c, p, theirs, suffix == suffixes[0], n);
	if (suffix == suffixes[2])
		snprintf(n->name, sizeof(n->name), "blk.%" PRId64 ".exp_probs_b.bias", i);
	else if (i >= 0)
		snprintf(n->name, sizeof(n->name), "blk.%" PRId64 ".%s%s", i, theirs, suffix);
	else
		snprintf(n->name, sizeof(n->name), "%s%s", theirs, suffix);
	return 0;
}
