/*
 * texts - options that say how texts are written: count, sampling, stops
 */
#ifndef TOOL_TEXTS_H
#define TOOL_TEXTS_H

#include "infer/request.h"
#include "tool/tool.h"

/* An option that may be given several times. */
struct texts_list {
	const char	*arg[REQUEST_BIASES];
	int		 n;
};

struct texts_opts {
	int64_t		 count, top_k, window, seed, logprobs;
	double		 temperature, typical, top_p, min_p, repeat, presence, frequency;
	struct texts_list stop, bias, ban;
	bool		 ignore_eos;
};

extern const struct opt texts_options[];
extern const struct opt sampling_options[];	/* those but count, seed and log-probabilities */

/* For the option table: TEXTS_OPTIONS(struct gen, texts). */
#define TEXTS_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = texts_options }

#define SAMPLING_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = sampling_options }

#define TEXTS_DEFAULTS \
	{ .count = 128, .window = 64, .seed = 1, .logprobs = -1, .temperature = 0.8, \
	  .typical = 1, .top_p = 0.95, .repeat = 1 }

/* The request they make, but for its prompt and callbacks; dies for a token that is none. */
void texts_request(const struct texts_opts *o, const struct tokenizer *tok, struct arena *a,
    struct request *r);

#endif
