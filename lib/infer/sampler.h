/*
 * sampler - from logits to a token
 *
 * In this order: biases are added, and what is not allowed is left out; tokens
 * that are among the last ones get penalties; the temperature divides; of the
 * likeliest, top_k are kept; of those, the most typical (arXiv 2202.00666), as
 * many as reach that probability; of those the likeliest that reach top_p
 * (1904.09751); of those the ones of at least min_p of the best (2407.01082).
 * Temperature 0 takes the likeliest then, the lowest id of equal ones.
 *
 * Which of them is drawn is decided by noise that is a function of (seed,
 * stream, index, token), so a text never depends on what else is generated
 * with it, and models of like minds draw alike.
 */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include <stdint.h>

#include "base/err.h"

struct token_bias {
	int32_t	id;
	float	bias;		/* -INFINITY: never */
};

struct sampler {
	double		 temperature;
	int64_t		 top_k;		/* 0: all */
	double		 typical, top_p, min_p;	/* 1, 1 and 0: all */
	/*
	 * Of tokens among the last window ones, prompt included: a logit is
	 * divided by repeat when it is positive, else multiplied (1909.05858);
	 * presence is subtracted, and frequency as often as it is there.
	 */
	double		 repeat, presence, frequency;	/* 1, 0 and 0: none; repeat > 0 */
	int64_t		 window;
	uint64_t	 seed;
	const struct token_bias *bias;
	int64_t		 n_bias;
};

#define SAMPLER_DEFAULTS \
	.temperature = 0.8, .typical = 1, .top_p = 0.95, .repeat = 1, .window = 64, .seed = 1

/* What one draw needs to know. */
struct sampler_at {
	const float	*logits;	/* (V) */
	const int32_t	*before;	/* the tokens so far */
	int64_t		 n_before;
	const uint64_t	*allowed;	/* a bit a token, the lowest first; NULL: all */
	uint64_t	 stream, index;
};

/* Room to work, which samplers that take turns share. */
struct sampler_space;
struct sampler_space *sampler_space_new(int64_t vocab, struct err *err);
void sampler_space_free(struct sampler_space *m);

/* A token, or -1 when none is allowed. */
int32_t sampler_pick(const struct sampler *s, struct sampler_space *m,
    const struct sampler_at *x);

/* Log-probabilities of the model itself, nats: no bias, temperature 1. */
struct token_logp {
	int32_t	id;
	double	logp;
};

double logits_logp(const float *logits, int64_t vocab, int32_t id);

/* The n likeliest, best first. */
void logits_top(struct sampler_space *m, const float *logits, int64_t n, struct token_logp *top);

#endif
