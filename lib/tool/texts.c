#include "tool/texts.h"

#include <math.h>
#include <stdlib.h>

#define AT(field) offsetof(struct texts_opts, field)

static int
add(void *into, const char *arg, struct err *err)
{
	struct texts_list *l = into;

	if (*arg == '\0')
		return err_set(err, ERR_ARG, "an empty text");
	if (l->n == REQUEST_BIASES)
		return err_set(err, ERR_ARG, "more than %d times", REQUEST_BIASES);
	l->arg[l->n++] = arg;
	return 0;
}

static int
add_stop(void *into, const char *arg, struct err *err)
{
	if (((struct texts_list *)into)->n == REQUEST_STOPS)
		return err_set(err, ERR_ARG, "more than %d times", REQUEST_STOPS);
	return add(into, arg, err);
}

const struct opt sampling_options[] = {
	{ 'T', "temperature", OPT_F64, AT(temperature), "X", "0 is greedy (0.8)",
	    .min = 0, .max = 100 },
	{ 0, "top-k", OPT_I64, AT(top_k), "N", "draw from the N likeliest, 0: all (0)",
	    .min = 0, .max = 1e9 },
	{ 0, "typical", OPT_F64, AT(typical), "P", "draw from the most typical that reach P (1)",
	    .min = 0, .max = 1 },
	{ 0, "top-p", OPT_F64, AT(top_p), "P", "draw from those that reach P together (0.95)",
	    .min = 0, .max = 1 },
	{ 0, "min-p", OPT_F64, AT(min_p), "P", "draw from those P times as likely as the best (0)",
	    .min = 0, .max = 1 },
	{ 0, "repeat-penalty", OPT_F64, AT(repeat), "X",
	    "divide logits of tokens that were there (1)", .min = 0.01, .max = 100 },
	{ 0, "presence-penalty", OPT_F64, AT(presence), "X", "take X off such logits (0)",
	    .min = -100, .max = 100 },
	{ 0, "frequency-penalty", OPT_F64, AT(frequency), "X",
	    "take X off as often as a token was there (0)", .min = -100, .max = 100 },
	{ 0, "penalty-window", OPT_I64, AT(window), "N", "the last tokens that count as there (64)",
	    .min = 0, .max = 1e9 },
	{ 0, "bias", OPT_CALL, AT(bias), "TOKEN=X", "add X to a token's logit", .call = add },
	{ 0, "ban", OPT_CALL, AT(ban), "TOKEN", "never draw this token", .call = add },
	{ 0, "stop", OPT_CALL, AT(stop), "TEXT", "end before this text; several may be given",
	    .call = add_stop },
	{ 0, "ignore-eos", OPT_FLAG, AT(ignore_eos), .help = "go on after an end of text" },
	{ 0 }
};

const struct opt texts_options[] = {
	{ 'n', "count", OPT_I64, AT(count), "N", "most tokens to write (128)",
	    .min = 1, .max = 1e9 },
	{ .type = OPT_GROUP, .group = sampling_options },
	{ 's', "seed", OPT_I64, AT(seed), "N", "seed of the draws (1)", .min = 0, .max = 9e18 },
	{ 0, "logprobs", OPT_I64, AT(logprobs), "N",
	    "log-probabilities of tokens and of N others, in records", .min = 0,
	    .max = TEXT_TOP },
	{ 0 }
};

/* "TOKEN=X": the last = counts, for a token may have one. */
static void
read_bias(const char *arg, const struct tokenizer *tok, struct token_bias *b)
{
	const char *eq = strrchr(arg, '=');
	char *end = NULL;
	struct err err;

	if (eq != NULL)
		b->bias = strtof(eq + 1, &end);
	if (eq == NULL || eq == arg || end == eq + 1 || *end != '\0' || isnan(b->bias))
		tool_usage("--bias %s: not TOKEN=X", arg);
	if (token_named(tok, (str){ arg, eq - arg }, &b->id, &err) < 0)
		tool_die("--bias %s: %s", arg, err.msg);
}

void
texts_request(const struct texts_opts *o, const struct tokenizer *tok, struct arena *a,
    struct request *r)
{
	struct err err;
	str *stop = arena_new(a, str, o->stop.n, &err);
	struct token_bias *bias = arena_new(a, struct token_bias, o->bias.n + o->ban.n, &err);

	if (stop == NULL || bias == NULL)
		tool_fail(NULL, &err);
	for (int i = 0; i < o->stop.n; i++)
		stop[i] = str_of(o->stop.arg[i]);
	for (int i = 0; i < o->bias.n; i++)
		read_bias(o->bias.arg[i], tok, &bias[i]);
	for (int i = 0; i < o->ban.n; i++) {
		struct token_bias *b = &bias[o->bias.n + i];

		b->bias = -INFINITY;
		if (token_named(tok, str_of(o->ban.arg[i]), &b->id, &err) < 0)
			tool_die("--ban %s: %s", o->ban.arg[i], err.msg);
	}
	*r = (struct request){
		.sampler = { .temperature = o->temperature, .top_k = o->top_k,
		    .typical = o->typical, .top_p = o->top_p, .min_p = o->min_p,
		    .repeat = o->repeat, .presence = o->presence, .frequency = o->frequency,
		    .window = o->window, .seed = (uint64_t)o->seed,
		    .bias = bias, .n_bias = o->bias.n + o->ban.n },
		.max_tokens = o->count, .ignore_eos = o->ignore_eos, .stop = stop,
		.n_stop = o->stop.n, .top = o->logprobs,
	};
}
