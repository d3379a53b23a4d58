/*
 * adapter - a few new parameters beside a model that stays as it is
 *
 * LoRA (arXiv 2106.09685) adds s B A to a matrix, A (rank, in) and B (out,
 * rank), s being alpha / rank, or alpha / sqrt(rank) of rsLoRA (2312.03732).
 * DoRA (2402.09353) scales the rows of the sum to lengths of their own.  IA3
 * (2205.05638) multiplies what goes into or comes out of a matrix.  All are
 * compositions of ops; only their parameters are trained.
 *
 * What an adapter is, is a PEFT adapter_config.json: one is made from options,
 * or read from a directory that PEFT or model_save() wrote, and kept.  Linear
 * layers are adapted; heads, embeddings and experts are refused by name.
 */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include "model/model.h"

#define ADAPTER_RANK 4096

enum adapter_type { ADAPTER_LORA, ADAPTER_DORA, ADAPTER_IA3 };

struct adapter_options {
	enum adapter_type type;
	bool		 rslora;
	int64_t		 rank;
	double		 alpha;
	/* "q_proj,v_proj" (ends of modules' names), "/a regular expression/" of whole
	 * names, or "all-linear"; NULL: all-linear, for IA3 its paper's. */
	const char	*targets;
	const char	*rank_pattern, *alpha_pattern;	/* "k_proj=4,..."; NULL: none */
	const char	*base;		/* the model's directory, to be told in the file */
	uint64_t	 seed;
};

/* "lora", "dora", "ia3".  Return 0 or -1. */
int adapter_parse(const char *name, enum adapter_type *type, struct err *err);

/*
 * A new one, or that of a directory; it goes to model.adapter before the model
 * is declared or loaded, which then loads or makes up its parameters too, and
 * freezes all others.  It is the caller's, and must outlive the model.
 */
struct adapter *adapter_new(const struct adapter_options *o, struct err *err);
struct adapter *adapter_open(const char *dir, struct err *err);
void adapter_free(struct adapter *a);

#endif
