/*
 * gguf_impl - models as llama.cpp has them in GGUF: keys, names, forms
 *
 * What a family is called there is in its struct arch_family; how keys and
 * names correspond to struct config and to parameters is in one table each,
 * for both directions.
 */
#ifndef MODEL_GGUF_IMPL_H
#define MODEL_GGUF_IMPL_H

#include "fmt/gguf_write.h"
#include "model/model_impl.h"

/* A value of the family: "llama." + name. */
const struct gguf_value *gguf_family_key(const struct gguf *f, const char *name);

/* The config of a file, with what its tensors tell; and its keys, "general." too. */
int gguf_config_read(struct config *c, const struct gguf *f, struct err *err);
int gguf_config_write(struct gguf_keys *k, const struct config *c, struct err *err);

/* Stretched positions: keys, and tensors of factors. */
#define ROPE_FREQS	"rope_freqs.weight"
#define ROPE_LONG	"rope_factors_long.weight"
#define ROPE_SHORT	"rope_factors_short.weight"

int gguf_rope_read(struct config *c, const struct gguf *f, struct err *err);
int gguf_rope_write(struct gguf_keys *k, const struct config *c, struct err *err);

/* The factors of tensor name, rope_dims / 2 of them; false when the config has none. */
bool gguf_rope_factors(const struct config *c, const char *name, float *to);

/* How the elements of a tensor differ from those of its parameter. */
enum gguf_form {
	GGUF_SAME,
	GGUF_PLUS,		/* w + 1: norms of Gemma */
	GGUF_RATES,		/* -exp(w): Mamba's */
	GGUF_LATENT,		/* by head a transposed part and another, in two tensors */
};

struct gguf_name {
	char		 name[NN_NAME];
	enum gguf_form	 form;
	bool		 wide;		/* fp32 always: llama.cpp reads no other */
	bool		 pairs;		/* rows of heads in pairs, for rope of neighbours */
};

/* What a parameter of this config is called; 0, or -1 when GGUF has no name for it. */
int gguf_name(const struct config *c, const struct param *p, struct gguf_name *n,
    struct err *err);

/* Is the tensor of this name fp32 always, though it is a matrix? */
bool gguf_is_wide(const char *name);

/* The tokenizer of a file; and as the files of Hugging Face, into dir. */
struct tokenizer;
struct tokenizer *gguf_tokenizer(const struct gguf *f, struct err *err);
int gguf_tokens_save(const struct gguf *f, const char *dir, struct err *err);

/* The keys of a directory's tokenizer and chat template; "no_vocab" where there is none. */
int gguf_tokens_write(struct gguf_keys *k, const struct config *c, const char *dir,
    struct err *err);

#endif
