/*
 * model - a decoder built from its config.json, its weights in and out
 *
 * One decoder serves every architecture, encoders of text too; what differs is
 * data in struct config.  A model owns its parameters on one device; tapes built from it
 * share them.  A model directory is Hugging Face's layout: config.json,
 * generation_config.json, model.safetensors (or sharded), tokenizer files.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdatomic.h>

#include "base/json.h"
#include "nn/moe.h"

/* A family of architectures: its file arch_*.c says how its config.json and tensors are named. */
enum arch {
	ARCH_LLAMA, ARCH_GPT2, ARCH_MISTRAL, ARCH_QWEN2, ARCH_QWEN3, ARCH_GEMMA, ARCH_GEMMA2,
	ARCH_GEMMA3, ARCH_PHI3, ARCH_OLMO2, ARCH_MAMBA, ARCH_JAMBA, ARCH_MIXTRAL,
	ARCH_QWEN3_MOE, ARCH_DEEPSEEK_V2, ARCH_DEEPSEEK_V3, ARCH_BERT,
	ARCH_COUNT, ARCH_ENCODERS = ARCH_BERT	/* which come last */
};

enum norm_kind { NORM_RMS, NORM_LAYER };
enum pos_kind { POS_ROPE, POS_LEARNED, POS_NONE };
enum qk_norm { QK_NORM_NONE, QK_NORM_HEAD, QK_NORM_WHOLE };	/* a head's width, or all heads' */

/* The two halves of a layer: what mixes tokens, and what follows it. */
enum mixer_kind {
	MIXER_FULL, MIXER_LOCAL,	/* attention to all tokens, or to a window */
	MIXER_LATENT,			/* to all, by latents */
	MIXER_SCAN			/* Mamba's selective scan */
};
enum mlp_kind { MLP_DENSE, MLP_EXPERTS, MLP_NONE };

#define CONFIG_EOS_MORE 7
#define AHEAD_MAX 4
#define CONFIG_LAYERS 4096
#define ROPE_PAIRS 128		/* for which longrope lists factors */

/* How rotary positions are stretched to longer contexts, as in config.json's rope_scaling. */
enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, ROPE_LONGROPE };

struct rope_scaling {
	enum rope_kind	kind;
	bool		truncate;	/* yarn: whole dimensions as bounds */
	double		factor;		/* 0: context / original */
	double		low, high;	/* llama3 */
	/* yarn; mscale 0: not given */
	double		beta_fast, beta_slow, mscale, mscale_all_dim;
	double		attention;	/* yarn, longrope: on cos and sin; 0: by the factor */
	int64_t		original;	/* the context before */
	double		near[ROPE_PAIRS], far[ROPE_PAIRS];	/* longrope's short and long */
};

/* Sizes of MIXER_SCAN: channels, states and taps of each, and the rank of their steps. */
struct scan_sizes {
	int64_t		inner, states, taps, rank;
	bool		bias, conv_bias;	/* of projections, of the convolution */
	bool		norms;		/* of steps, inputs and outputs */
};

/* A config of zeros but for sizes, norm_eps and rope_theta is a Llama. */
struct config {
	enum arch	arch;
	dtype		dtype;		/* of weights in files, by config.json */
	int64_t		vocab, width, layers, heads, kv_heads, head_dim, ffn, context;
	enum norm_kind	norm;
	enum pos_kind	pos;
	enum dev_act	act;
	enum qk_norm	qk_norm;
	bool		gated;		/* act(gate) * up */
	bool		qkv_bias, out_bias, ffn_bias;
	bool		tied;		/* the head is the embedding */
	bool		encoder;	/* tokens see all others, norms follow sums, no head */
	int64_t		segments;	/* of an encoder's texts: embeddings for each */
	double		norm_eps, norm_plus;		/* norms multiply by w + norm_plus */
	bool		embed_scaled;	/* embeddings are multiplied by sqrt(width) */
	double		attn_scalar;	/* scores are divided by its root; 0: head_dim */
	double		attn_softcap, final_softcap;	/* 0: none */
	int64_t		window;		/* of MIXER_LOCAL: tokens seen, itself counted */
	uint8_t		mixer[CONFIG_LAYERS], mlp[CONFIG_LAYERS];	/* of each layer */
	struct scan_sizes scan;
	/* MLP_EXPERTS */
	struct op_router router;
	bool		router_bias;	/* added to scores when experts are chosen */
	double		router_aux, router_z;	/* factors of losses: nn/moe.h */
	int64_t		expert_ffn;	/* 0: ffn */
	int64_t		shared_experts;	/* more of them, that all tokens pass */
	int64_t		dense_layers;	/* the first layers, without experts */
	int64_t		expert_step;	/* each so many-th layer has experts */
	/* MIXER_LATENT, where head_dim is that of queries and keys, rope_dims its end */
	int64_t		q_rank, kv_rank, v_dim;	/* q_rank 0: queries come from no latent */
	int64_t		ahead;		/* layers behind that predict tokens further on (MTP) */
	/* rotary positions */
	double		rope_theta, rope_local_theta;	/* local 0: no difference, and no scaling */
	int64_t		rope_dims;	/* that turn, of a head; 0: all */
	bool		rope_interleaved;	/* pairs lie side by side */
	struct rope_scaling rope;
	int32_t		bos, eos, pad;	/* -1: none */
	int32_t		eos_more[CONFIG_EOS_MORE];	/* where config.json lists several */
	int		n_eos_more;
	double		init_std;
};

/* "llama", and back: -1 for an unknown name, llm-init's or config.json's. */
const char *arch_name(enum arch arch);
int arch_named(const char *name);

/* What never has to be asked for: kinds, epsilon, theta, no bos and eos.  Sizes are 0. */
void config_default(struct config *c, enum arch arch);

/* Fill kinds of layers by the family's rule, for a config that was made and not read. */
void config_layers(struct config *c);

/* From config.json; an unknown model_type or a key we cannot honour is an error naming it. */
int config_read(struct config *c, const json_t *doc, struct err *err);
int config_load(struct config *c, const char *path, struct err *err);	/* file, directory, GGUF */
int config_check(const struct config *c, struct err *err);
json_t *config_write(const struct config *c, struct err *err);
/* Has it states that go on from token to token, so that no token can be taken back? */
bool config_recurrent(const struct config *c);
bool config_is_eos(const struct config *c, int32_t id);

int64_t config_params(const struct config *c);		/* elements, tied counted once */
int64_t config_active(const struct config *c);		/* those of them that a token uses */
/* What names of a layer's parameters begin with. */
void model_layer_prefix(const struct config *c, int64_t layer, char prefix[NN_NAME]);

/* How many of the first n layers have experts. */
int64_t config_expert_layers(const struct config *c, int64_t n);
/* FLOPs of one token, forward: 2 a weight used + attention in sequences of context tokens. */
double config_flops(const struct config *c, int64_t context);

/*
 * A tensor of the files: n elements of a parameter from element at on.  Most
 * are a whole parameter; experts are stacked in one, and have a tensor each.
 */
struct weight {
	char		 name[NN_NAME];
	int		 param;
	int64_t		 at, n;
	int		 ndim;
	int64_t		 shape[4];	/* in the file */
	bool		 turned;	/* the file has the transpose */
	bool		 pairs;		/* rows of heads in pairs, where the file has halves */
	dtype		 type;		/* in the file it came from; NONE: from none */
};

struct model {
	struct config	 config;
	struct params	 params;
	struct weight	*weight;	/* in the order of the parameters */
	int		 n_weights, cap_weights;
	double		 dropout;	/* embd_pdrop and resid_pdrop, in tapes that train */
	uint64_t	 seed;		/* of dropout */
	dtype		 fake_quant;	/* what layers' matrices are rounded to; NONE: nothing */
	double		 z_loss;	/* op_head()'s, when a score tape is recorded */
	struct dev	*dev;		/* NULL: weights are in the files alone */
	struct sources	*files;		/* that they came from */
	bool		 writable;	/* set before loading: no weight stays in a mapping */
	struct adapter	*adapter;	/* adapter.h; NULL: none */
	struct adapters	*adapters;	/* adapters.h: several, to generate with; NULL: none */
	struct inputs	*inputs;	/* inputs.h: what is recorded is noted there; NULL */
};

/*
 * The parameters' names and shapes, without memory: to record tapes that are
 * only laid out.  *m is zeroed, but for params.compute (nn.h), adapter and adapters.
 */
int model_declare(struct model *m, const struct config *c, struct err *err);

/*
 * Random weights by seed; or those at path: a directory, or a GGUF file, of any
 * type that is read.  Without grads, and of what an adapter freezes, matrices
 * are used where the file is mapped, when kernels read them so; quantized ones
 * stay so.  *m as above; model_free() it also after a failure.
 */
int model_init(struct model *m, const struct config *c, struct dev *dev, bool grads,
    uint64_t seed, struct err *err);
int model_load(struct model *m, const char *path, struct dev *dev, bool grads, struct err *err);
/* The weights of the same model at path, with model_load()'s errors. */
int model_reload(struct model *m, const char *path, struct err *err);

/* Declared, with its files mapped and no weight in memory: to be read and saved only. */
int model_open(struct model *m, const char *path, struct err *err);
/*
 * Bytes of the weights of an opened model as model_load() without grads would have them,
 * those that stay in the files too; their types are settled by this.  -1: a failure.
 */
int64_t model_weights(struct model *m, struct err *err);
/*
 * Read each page of the weights that a loaded model has in its files, so that whoever
 * computes does not wait for them.  It ends early when *stop is set.
 */
void model_touch(const struct model *m, const atomic_bool *stop);
/* All elements of a weight as they lie in its parameter, from device or files. */
int model_read(struct model *m, int weight, float *y, struct err *err);
/*
 * Parameter i as another model of the same shape has it: *p with its bytes, or
 * where rows of heads lie in the other order (GGUF has pairs) with those in
 * *copy, which the caller frees also after a failure.
 */
int model_lend(const struct model *m, int i, const struct model *to, struct param *p,
    void **copy, struct err *err);
void model_free(struct model *m);

/*
 * Write config.json, generation_config.json and model.safetensors into dir; of
 * a model with an adapter, the adapter's files alone.
 * Tensors are of a float type, or each of the one it was loaded in (NONE;
 * what was not loaded is fp32): then they are those of the files, bit for
 * bit, when nothing trained them.  Past part bytes (0: 5 GB) they go to
 * several files and an index, as Hugging Face has them.
 */
int model_save(struct model *m, const char *dir, dtype type, int64_t part, struct err *err);

/* The tokenizer of a directory, a tokenizer.json or a GGUF file. */
struct tokenizer;
struct tokenizer *model_tokenizer(const char *path, struct err *err);

/* Copy its files: those that are there, or as they would be. */
int model_copy_tokenizer(const char *from, const char *to, struct err *err);

/* Remove the files that these two write, and the directory when nothing else is in it. */
int model_remove(const char *dir, struct err *err);

/*
 * A directory that is whole or not there: make aside, a name of MODEL_PATH bytes
 * beside dir, which must not exist; fill it; and rename it to dir, or remove it
 * when status, that of the filling, is not 0 (err is filled then).
 */
#define MODEL_PATH 4096
int model_aside(const char *dir, char *aside, struct err *err);
int model_settle(const char *aside, const char *dir, int status, struct err *err);

/*
 * A paged cache of keys and values: blocks of block_size rows of each layer,
 * in the order of K_SCATTER with a part for each head of keys; block number b is
 * number b * stride[0] in tables, or b * stride[1] in those of layers MIXER_LOCAL
 * that have blocks of their own.  Of latent attention
 * it has a latent and the part that turns in place of keys, and no values, but where
 * an adapter is on what heads make of a latent.  Their type may
 * be less than that of activations: F32, BF16, F16, Q8_0 or Q4_0.  For the last
 * two heads are turned by op_hadamard() before, unless plain says not to: that
 * spreads the few large elements that would take the precision of all others.
 * Layers that scan keep a state in each slot, of which a sequence has one.
 * Any number of tapes read and write it; it is one allocation.
 */
struct model_cache {
	struct tensor	*k, *v;		/* one a layer; k holds all four arrays */
	struct tensor	*conv, *scan;	/* states of MIXER_SCAN: (slots, ..), wide */
	struct cache_sizes {
		int64_t	blocks, block_size, slots;
		int64_t	local;		/* blocks of layers MIXER_LOCAL; 0: as of others */
		dtype	type;		/* NONE: that of activations */
		bool	plain;
	} sizes;
	int64_t		 stride[2];
	int64_t		 bytes;
	struct dev	*dev;
	dptr		 memory;
};

/* dev NULL: only its shapes and bytes, for tapes that are laid out. */
int model_cache_init(struct model_cache *cache, const struct model *m, struct dev *dev,
    const struct cache_sizes *sizes, struct err *err);
void model_cache_free(struct model_cache *cache);

/*
 * Blocks that layers MIXER_LOCAL need for so many sequences: each has its window and
 * LOCAL_SPARE tokens before it, and together what a pass adds.  0: not less than all.
 */
enum { LOCAL_SPARE = 64 };
int64_t model_cache_local(const struct config *c, int64_t seqs, int64_t pass,
    int64_t block_size, int64_t all);

/*
 * What is added to the positions 0, 1, 2 ... of a sequence of this length, for
 * model_io.pos: where rotary tables differ by length (longrope), those of long
 * sequences lie behind.  One that grows past the bound is computed anew.
 */
int64_t model_rope_base(const struct config *c, int64_t length);

/* Rows of model_io.rope, F32 or F64, for n tokens at these positions, which have no limit. */
void model_rope_rows(const struct config *c, bool local, const int32_t *pos, int64_t n,
    dtype type, void *rows);

/* What a recorded forward takes and gives. */
struct model_io {
	const struct config *config;
	struct tensor	*token, *pos;		/* (T) int32 */
	struct tensor	*segment;		/* (T) int32, of encoders; NULL */
	struct tensor	*cu_seqlens;		/* (S + 1) int32 */
	/* training and scoring: */
	struct tensor	*target, *dlogp;	/* (T); dlogp NULL without gradients */
	struct tensor	*step;			/* (1) int64, with dropout: other for each pass */
	struct op_head	 head;
	struct tensor	*loss;			/* (1) f64: sum of -logp over targets, added up */
	struct op_balance balance;		/* of experts, with gradients; layers 0: none */
	/*
	 * Each layer that predicts ahead, with MODEL_AHEAD: the n-th takes token n
	 * places on, and its target is n on from target; no token is any id.
	 */
	struct model_ahead {
		struct tensor	*token, *target, *dlogp;	/* (T) */
		struct tensor	*loss;				/* (1) f64 */
	} ahead[AHEAD_MAX];
	int64_t		n_ahead;
	/* generation: */
	struct tensor	*rope[2];		/* (T, rot) wide: of layers, local ones; or NULL */
	struct tensor	*slot, *key_len, *block_table;
	struct tensor	*local_slot, *local_table;	/* with blocks of their own; NULL */
	struct tensor	*state_slot;		/* (S) int32: of a sequence's states in the cache */
	struct tensor	*first;			/* (N + 1) int32: rows of adapters, behind others */
	struct tensor	*row;			/* (R) int32: tokens whose logits are wanted */
	struct tensor	*logits;		/* (R, V) */
	/* embedding: */
	struct tensor	*hidden;		/* (T, width), behind the last norm */
};

/*
 * Record training or scoring of packed tokens: head and loss.  A tape with
 * gradients gets dlogp, unless MODEL_NO_DLOGP is among the flags: an objective
 * then gives the gradient of head.logp (tape_seed() or ops behind it).  With
 * MODEL_AHEAD one that has dlogp has the losses of config.ahead layers too.
 */
enum { MODEL_NO_DLOGP = 256, MODEL_AHEAD = 512 };

int model_record_score(struct model *m, struct tape *t, struct model_io *io, unsigned head_flags,
    struct err *err);

/* Record whole sequences without a cache: logits of up to max_rows of their tokens. */
int model_record_logits(struct model *m, struct tape *t, int64_t max_rows, struct model_io *io,
    struct err *err);

/* Record whole sequences, and what the model makes of each token: no head. */
int model_record_hidden(struct model *m, struct tape *t, struct model_io *io, struct err *err);

/* Record generation: logits of up to max_rows tokens, keys and values through a cache. */
int model_record_generate(struct model *m, struct tape *t, const struct model_cache *cache,
    int64_t max_blocks, int64_t max_rows, struct model_io *io, struct err *err);
/* The same by the first layers alone, and the head: a guess. */
int model_record_early(struct model *m, struct tape *t, const struct model_cache *cache,
    int64_t layers, int64_t max_blocks, int64_t max_rows, struct model_io *io, struct err *err);

#endif
