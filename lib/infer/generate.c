#include "infer/generate.h"

#include <math.h>

#include "base/progress.h"

/* Everything one generation owns. */
struct gen {
	struct engine	*e;
	const struct tokenizer *tok;
	const struct generate_options *o;
	struct seq	*seq;
	struct ids	 prompt;
	struct decoder	 decoder;
	struct buf	 text;		/* decoded and not yet written */
	bool		 stopped;
};

/*
 * The prompt as the model's documents begin: with BOS when its tokenizer puts
 * one there.  An empty one is the end of the text before it.
 */
static int
push_prompt(struct gen *g, str prompt, struct err *err)
{
	struct encoder *enc = encoder_new(g->tok, err);
	int32_t first = -1;
	int ret = -1;

	if (enc == NULL)
		return -1;
	if (encode(enc, prompt, 0, &g->prompt, err) < 0)
		goto out;
	if (tokenizer_adds_bos(g->tok) || g->prompt.n == 0)
		first = tokenizer_bos(g->tok);
	if (first < 0 && g->prompt.n == 0)
		first = tokenizer_eos(g->tok);
	if (first >= 0 && seq_push(g->seq, &first, 1, err) < 0)
		goto out;
	if (first < 0 && g->prompt.n == 0)
		err_set(err, ERR_ARG, "an empty prompt, and the model has no BOS or EOS");
	else
		ret = seq_push(g->seq, g->prompt.id, g->prompt.n, err);
out:
	encoder_free(enc);
	return ret;
}

/* The longest end of text that could be the beginning of the stop text. */
static ptrdiff_t
held_back(str text, str stop)
{
	ptrdiff_t n = text.n < stop.n - 1 ? text.n : stop.n - 1;

	for (; n > 0; n--)
		if (memcmp(text.p + text.n - n, stop.p, (size_t)n) == 0)
			return n;
	return 0;
}

/* Hand on what is decoded, up to the stop text or what may become it. */
static int
flush(struct gen *g, bool last, struct err *err)
{
	str text = buf_str(&g->text), stop = g->o->stop;
	ptrdiff_t keep = 0;

	if (buf_ok(&g->text, err) < 0)
		return -1;
	if (stop.p != NULL && stop.n > 0 && text.n > 0) {
		const char *at = memmem(text.p, (size_t)text.n, stop.p, (size_t)stop.n);

		if (at != NULL) {
			text.n = at - text.p;
			g->stopped = true;
		} else if (!last) {
			keep = held_back(text, stop);
		}
	}
	text.n -= keep;
	if (text.n > 0 && g->o->write(g->o->ctx, text, err) < 0)
		return -1;
	if (keep > 0)
		memmove(g->text.p, text.p + text.n, (size_t)keep);
	g->text.n = keep;
	return 0;
}

static double
log_probability(const float *logits, int64_t n, int32_t id)
{
	double max = -HUGE_VAL, sum = 0;

	for (int64_t i = 0; i < n; i++)
		max = fmax(max, (double)logits[i]);
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - max);
	return (double)logits[id] - max - log(sum);
}

static int
loop(struct gen *g, const struct config *c, struct sampler *sampler,
    struct generate_report *r, struct err *err)
{
	r->end = GENERATE_COUNT;
	while (r->tokens < g->o->max_tokens) {
		const float *logits;
		int32_t id;

		if (engine_run(g->e, &g->seq, 1, err) < 0)
			return -1;
		logits = seq_logits(g->seq);
		if (r->tokens == 0)
			r->prompt_seconds = progress_now() - r->prompt_seconds;
		id = sampler_pick(sampler, logits, g->o->stream, (uint64_t)seq_length(g->seq));
		r->logp += log_probability(logits, c->vocab, id);
		r->tokens++;
		if (config_is_eos(c, id) && !g->o->ignore_eos) {
			r->end = GENERATE_EOS;
			return 0;
		}
		if (decode(g->tok, &g->decoder, &id, 1, &g->text, err) < 0 ||
		    flush(g, false, err) < 0)
			return -1;
		if (g->stopped) {
			r->end = GENERATE_STOP;
			return 0;
		}
		if (seq_length(g->seq) == c->context) {
			r->end = GENERATE_CONTEXT;
			return 0;
		}
		if (seq_push(g->seq, &id, 1, err) < 0)
			return -1;
	}
	return 0;
}

int
generate(struct engine *e, const struct tokenizer *tok, struct sampler *sampler,
    str prompt, const struct generate_options *o, struct generate_report *r, struct err *err)
{
	struct gen g = { .e = e, .tok = tok, .o = o, .decoder = { .skip_special = true } };
	double start = progress_now();
	int ret = -1;

	*r = (struct generate_report){ .prompt_seconds = start };
	if ((g.seq = seq_new(e, err)) == NULL || push_prompt(&g, prompt, err) < 0)
		goto out;
	r->prompt = seq_length(g.seq);
	/* What is decoded is a continuation: a leading space is its own. */
	g.decoder.started = true;
	if (loop(&g, engine_config(e), sampler, r, err) < 0 ||
	    (!g.stopped && decode_end(&g.decoder, &g.text, err) < 0) ||
	    (!g.stopped && flush(&g, true, err) < 0))
		goto out;
	r->seconds = progress_now() - start - r->prompt_seconds;
	if (r->tokens > 0)
		r->logp /= (double)r->tokens;
	ret = 0;
out:
	seq_free(g.seq);
	ids_free(&g.prompt);
	buf_free(&g.text);
	return ret;
}
