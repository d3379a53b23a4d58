/*
 * BERT and the encoders after it (MiniLM, BGE, E5): every token sees all others,
 * norms come after the sums, and there is no head.  What was trained on top of it
 * (a pooler, masked words, classes) is no part of it.  Texts are segment 0.
 */
#include "model/model_impl.h"

static const struct arch_names names = {
	.embed = "embeddings.word_embeddings", .positions = "embeddings.position_embeddings",
	.segments = "embeddings.token_type_embeddings", .embed_norm = "embeddings.LayerNorm",
	.layer = "encoder.layer.%lld.",
	.post_mixer = "attention.output.LayerNorm", .post_mlp = "output.LayerNorm",
	.q = "attention.self.query", .k = "attention.self.key", .v = "attention.self.value",
	.out = "attention.output.dense", .up = "intermediate.dense", .down = "output.dense",
};

static const char *const prefixes[][2] = { { "bert.", "" }, { NULL, NULL } };

/* The tensors of what is on top. */
static const char *const ballast[] = {
	"pooler.", "cls.", "classifier.", "embeddings.position_ids", NULL
};

static void
defaults(struct config *c)
{
	c->norm = NORM_LAYER;
	c->norm_eps = 1e-12;
	c->pos = POS_LEARNED;
	c->act = ACT_GELU;
	c->gated = false;
	c->encoder = true;
	c->segments = 2;
	c->qkv_bias = c->out_bias = c->ffn_bias = true;
	c->rope_theta = 0;
}

static void
read(struct config *c, struct reader *r)
{
	const json_t *kind = read_value(r, "position_embedding_type");

	c->width = read_size(r, "hidden_size", true, 1);
	c->layers = read_size(r, "num_hidden_layers", true, 1);
	c->heads = c->kv_heads = read_size(r, "num_attention_heads", true, 1);
	c->head_dim = c->width / c->heads;
	c->ffn = read_size(r, "intermediate_size", true, 1);
	c->context = read_size(r, "max_position_embeddings", false, 512);
	c->segments = read_size(r, "type_vocab_size", false, 2);
	c->act = read_act(r, "hidden_act", "gelu");
	c->norm_eps = read_real(r, "layer_norm_eps", 1e-12);
	if (read_bool(r, "is_decoder", false))
		read_fail(r, "'is_decoder' is not supported");
	if (kind != NULL && (!json_is_string(kind) ||
	    strcmp(json_string_value(kind), "absolute") != 0))
		read_fail(r, "'position_embedding_type' is not absolute");
}

static void
write(const struct config *c, struct writer *w)
{
	write_key(w, "attention_probs_dropout_prob", json_real(0));
	write_key(w, "hidden_act", json_string(act_name(c)));
	write_key(w, "hidden_dropout_prob", json_real(0));
	write_key(w, "hidden_size", json_integer(c->width));
	write_key(w, "intermediate_size", json_integer(c->ffn));
	write_key(w, "layer_norm_eps", json_real(c->norm_eps));
	write_key(w, "max_position_embeddings", json_integer(c->context));
	write_key(w, "num_attention_heads", json_integer(c->heads));
	write_key(w, "num_hidden_layers", json_integer(c->layers));
	write_key(w, "position_embedding_type", json_string("absolute"));
	write_key(w, "type_vocab_size", json_integer(c->segments));
}

static int
check(const struct config *c, struct err *err)
{
	if (c->heads != c->kv_heads || c->heads * c->head_dim != c->width)
		return err_set(err, ERR_ARG, "bert: width is not heads times head size, "
		    "or keys have heads of their own");
	if (!c->encoder || !c->tied || c->segments < 1 || c->segments > SIZE_LIMIT)
		return err_set(err, ERR_ARG, "bert: no encoder, or without segments");
	return 0;
}

const struct arch_family arch_bert = {
	.name = "bert", .model_type = "bert", .class_name = "BertModel",
	.gguf = "bert",
	.names = &names, .prefixes = prefixes, .ballast = ballast, .defaults = defaults,
	.read = read, .write = write, .check = check,
};
