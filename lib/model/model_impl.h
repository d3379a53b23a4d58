/*
 * model_impl - between the files of lib/model
 *
 * A family is a table (arch_*.c) and perhaps functions for what no other has.
 * config.c reads what they share, declare.c and decoder.c go through the
 * layers by the kinds in struct config and the family's names.
 */
#ifndef MODEL_MODEL_IMPL_H
#define MODEL_MODEL_IMPL_H

#include "model/model.h"

/* ---- reading config.json: the first failure sticks ---- */

struct reader {
	const json_t	*doc;
	struct err	*err;
	bool		 bad;
};

#define SIZE_LIMIT ((int64_t)1 << 31)	/* no dimension of a model is larger */

const json_t *read_value(const struct reader *r, const char *key);	/* null is NULL */
int read_fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* must: it has to be there; else def stands in. */
int64_t read_size(struct reader *r, const char *key, bool must, int64_t def);
double read_real(struct reader *r, const char *key, double def);
bool read_bool(struct reader *r, const char *key, bool def);
enum dev_act read_act(struct reader *r, const char *key, const char *def);

/* hidden_size and the other keys of all Llama-like families. */
void read_sizes(struct config *c, struct reader *r);
/* rope_theta and rope_scaling, or rope_parameters; theta where there is none. */
void read_rope(struct config *c, struct reader *r, double theta);
/* layer_types, where there is one, into c->mixer */
void read_layer_types(struct config *c, struct reader *r);
/* Layers from first on are local, but for each nth (0: none). */
void set_local(struct config *c, int64_t first, int64_t nth);

/* ---- writing it: a failure (memory) sticks ---- */

struct writer {
	json_t	*o;
	bool	 failed;
};

void write_key(struct writer *w, const char *key, json_t *v);
/* An integer when it is one. */
void write_number(struct writer *w, const char *key, double v);
const char *act_name(const struct config *c);
void write_sizes(const struct config *c, struct writer *w);	/* what read_sizes() read */
void write_rope(const struct config *c, struct writer *w);
void write_layer_types(const struct config *c, struct writer *w);
int config_write_tokens(const struct config *c, json_t *o, struct err *err);

/* ---- families ---- */

/*
 * Names of modules, as in the files; NULL where there is no such module, which
 * is how layers differ: norms before or after, fused projections, no gate.
 */
struct arch_names {
	const char	*embed, *positions, *segments, *embed_norm, *final_norm;
	const char	*layer;		/* a prefix, with %lld for its number */
	const char	*pre_mixer, *post_mixer, *pre_mlp, *post_mlp;	/* norms of width */
	const char	*q, *k, *v, *qkv, *out, *q_norm, *k_norm;
	const char	*gate, *up, *gate_up, *down;
	const char	*scan;		/* prefix of the modules of MIXER_SCAN */
	/* the router's module, and that of experts with their three matrices */
	const char	*router, *experts, *expert_gate, *expert_up, *expert_down;
	const char	*shared;	/* with matrices named as gate_proj */
	bool		 turned;	/* matrices of layers lie (in, out) in files */
};

struct arch_family {
	const char	*name;		/* for people */
	const char	*model_type, *class_name;
	const char	*gguf;		/* general.architecture of llama.cpp; NULL: not supported */
	const struct arch_names *names;
	/* Keys that change a result for others (config.c), and that read() takes care of. */
	const char *const *honours;
	/* Where names in files may begin otherwise: pairs of theirs and ours. */
	const char *const (*prefixes)[2];
	const char *const *ballast;	/* prefixes of tensors that are no part of the model */
	void		(*defaults)(struct config *c);
	void		(*layers)(struct config *c);	/* kinds of layers; NULL: all 0 */
	void		(*sizes)(struct config *c);	/* those no other has, where they are 0 */
	void		(*read)(struct config *c, struct reader *r);
	void		(*write)(const struct config *c, struct writer *w);
	int		(*check)(const struct config *c, struct err *err);	/* or NULL */
	bool		ahead;		/* may have layers that predict ahead */
};

const struct arch_family *arch_family(enum arch arch);
const struct arch_family *arch_of_type(const char *model_type);

extern const struct arch_family arch_llama, arch_gpt2, arch_mistral, arch_qwen2, arch_qwen3,
    arch_gemma, arch_gemma2, arch_gemma3, arch_phi3, arch_olmo2, arch_mamba, arch_jamba,
    arch_mixtral, arch_qwen3_moe, arch_deepseek_v2, arch_deepseek_v3, arch_bert;
extern const struct arch_names llama_names;

/* ---- declaring parameters, or only counting them ---- */

struct decl {
	struct model	*m;		/* NULL: only count */
	const struct config *c;
	const struct arch_names *names;
	struct err	*err;
	double		 std, out_std;	/* out: of projections into the residual stream */
	double		 share;		/* of a matrix that a token passes, for FLOPs: 1 */
	bool		 hidden;	/* inside a layer */
	bool		 failed;
	char		 prefix[NN_NAME];	/* of names: the layer's */
	int64_t		 elements;	/* counted */
	double		 active;	/* of them, by their share */
	double		 used;		/* elements of matrices that a token passes */
};

/* name + suffix (".weight") of any shape; a matrix has weight decay.  Adds its weight too. */
void decl_param(struct decl *d, const char *name, const char *suffix, enum init_kind init,
    double std, int ndim, const int64_t *shape);
/* name.weight (n, k), and name.bias (n) */
void decl_linear(struct decl *d, const char *name, double std, int64_t n, int64_t k, bool bias);
/* A wide parameter that is no matrix between layers, of any shape. */
void decl_wide(struct decl *d, const char *name, const char *suffix, enum init_kind init,
    double std, int ndim, const int64_t *shape);
/* name.weight, and .bias of a layer norm; nothing when name is NULL */
void decl_norm(struct decl *d, const char *name, int64_t n);
/* A vector of zeros that no gradient trains. */
void decl_buffer(struct decl *d, const char *name, int64_t n);
/*
 * A parameter (count, n, k) whose weights in files are given one by one, in
 * any order, with decl_weight(): rows of k, at elements from the beginning.
 */
void decl_stack(struct decl *d, const char *name, double std, int64_t count, int64_t n,
    int64_t k);
void decl_weight(struct decl *d, int64_t at, int64_t n, int64_t k, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* What of a layer MIXER_SCAN declares, records and checks. */
void decl_scan(struct decl *d);
int scan_check(const struct config *c, struct err *err);
int64_t expert_width(const struct config *c);
int experts_check(const struct config *c, struct err *err);
int latent_check(const struct config *c, struct err *err);
void decl_experts(struct decl *d);
void decl_latent(struct decl *d);
/* One layer of the trunk, and one that predicts ahead. */
void decl_layer(struct decl *d, int64_t i);
void decl_ahead(struct decl *d, int64_t i);
bool is_ahead_copy(const struct config *c, const char *name);
/* Has p weights of linear layers: matrices of layers, of experts too, but for routers? */
bool is_linear(const struct config *c, const struct param *p);

/* Has the cache of a layer MIXER_LATENT latents, each of which is key and value? */
bool latent_cached(const struct model *m, int64_t layer);

/* ---- rotary positions ---- */

int64_t rope_dims(const struct config *c);
int rope_check(const struct config *c, struct err *err);
/* What yarn has scores multiplied by in DeepSeek. */
double rope_score_scale(const struct config *c);
/* A table for op_rope() of so many positions; NULL: no memory. */
struct tensor *rope_table(struct tape *t, const struct config *c, bool local, int64_t positions,
    struct err *err);

/* ---- recording ---- */

/* What the layers of one recording share. */
struct build {
	struct model	*m;
	const struct config *c;
	const struct arch_names *names;
	struct tape	*t;
	struct model_io	*io;
	const struct model_cache *cache;
	int64_t		 layers;	/* of the trunk */
	struct tensor	*rope[2];	/* by MIXER_FULL, MIXER_LOCAL */
	struct tensor	*turn;		/* rows of them that tokens have; NULL: each its own */
	struct op_mask	 mask[2];
	uint64_t	 drops;		/* dropouts so far */
	char		 prefix[NN_NAME];	/* of names: the layer's */
	struct err	*err;
};

struct tensor *scan_mixer(struct build *b, struct tensor *x, int64_t layer);

/* The tensor prefix + name + suffix, or NULL: a missing one is the op's failure. */
struct tensor *weight(struct build *b, const char *name, const char *suffix);
/* The matrix of a linear layer, as it is computed with. */
struct tensor *matrix(struct build *b, const char *name);
/* x through name.weight and, where there is one, name.bias */
struct tensor *linear(struct build *b, struct tensor *x, const char *name);
/* The norm of that name; x itself when it is NULL. */
struct tensor *norm(struct build *b, struct tensor *x, const char *name);
/* Heads of d elements as the cache has them; a second time, as they were. */
struct tensor *turned(struct build *b, struct tensor *x, int64_t d);
/* To keys and values of this pass, or of the cache with them; without k and v, q is all three. */
struct tensor *attend(struct build *b, int64_t layer, struct tensor *q, struct tensor *k,
    struct tensor *v);
struct tensor *latent_attention(struct build *b, struct tensor *x, int64_t layer);
struct tensor *experts(struct build *b, struct tensor *x);
/* One layer of the trunk, whose names have b->prefix meanwhile. */
struct tensor *decoder_layer(struct build *b, struct tensor *h, int64_t i);
struct tensor *head_weight(struct build *b);
/* The losses of what predicts further ahead, from the trunk's output. */
void begin_ahead(struct build *b);
void record_ahead(struct build *b, struct tensor *h, struct tensor *minus_one);

#endif
