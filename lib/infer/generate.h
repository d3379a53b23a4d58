/*
 * generate - a prompt, and the text a model writes after it
 */
#ifndef INFER_GENERATE_H
#define INFER_GENERATE_H

#include "infer/engine.h"
#include "infer/sampler.h"
#include "token/tokenizer.h"

struct generate_options {
	int64_t	max_tokens;		/* at most; the context may end it before */
	bool	ignore_eos;		/* go on after an end of text */
	str	stop;			/* a text that ends it, not part of it; p NULL: none */
	uint64_t stream;		/* of random numbers: one a text */
	/* Text as it comes, whole characters; -1 ends the generation. */
	int	(*write)(void *ctx, str text, struct err *err);
	void	*ctx;
};

enum generate_end { GENERATE_COUNT, GENERATE_EOS, GENERATE_STOP, GENERATE_CONTEXT };

struct generate_report {
	enum generate_end end;
	int64_t	prompt, tokens;		/* counts; tokens drawn, an end of text too */
	double	logp;			/* their mean log-probability, nats */
	double	prompt_seconds, seconds;
};

/*
 * Continue a prompt, with a BOS before it when the tokenizer puts one before
 * texts.  An empty one begins with the BOS, or the EOS when there is none: the
 * end of the document before.
 */
int generate(struct engine *e, const struct tokenizer *tok, struct sampler *sampler,
    str prompt, const struct generate_options *o, struct generate_report *r, struct err *err);

#endif
