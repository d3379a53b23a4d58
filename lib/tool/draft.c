#include "tool/draft.h"

#define AT(field) offsetof(struct draft_opts, field)

const struct opt draft_options[] = {
	{ 0, "draft", OPT_STR, AT(model), "DIR", "guess tokens ahead by this smaller model" },
	{ 0, "lookup", OPT_FLAG, AT(lookup), .help = "guess them by what the text had before" },
	{ 0, "early-exit", OPT_I64, AT(early), "N", "guess them by the model's first N layers",
	    .min = 1, .max = CONFIG_LAYERS },
	{ 0, "draft-max", OPT_I64, AT(most), "N", "the most tokens to guess at once (8)",
	    .min = 1, .max = DRAFT_MAX },
	{ 0, "draft-always", OPT_FLAG, AT(always), .help = "guess where it does not pay, too" },
	{ 0 }
};

static bool
wanted(const struct draft_opts *o)
{
	return o->model != NULL || o->lookup || o->early > 0;
}

void
draft_prepare(const struct draft_opts *o, struct engine_options *eo)
{
	if ((o->model != NULL) + o->lookup + (o->early > 0) > 1)
		tool_usage("one of --draft, --lookup and --early-exit");
	if (wanted(o))
		eo->rows = draft_rows(eo->seqs);
	eo->early = o->early;
}

void
draft_begin(struct draft_opts *o, struct engine *e, struct dev *dev,
    const struct tokenizer *tok, struct scheduler *s)
{
	const struct engine_options *eo = engine_settings(e);
	struct err err;

	if (!wanted(o))
		return;
	if (draft_check(engine_config(e), &err) < 0)
		tool_fail(NULL, &err);
	if (o->lookup)
		o->draft = draft_lookup(o->most, &err);
	else if (o->model == NULL)
		o->draft = draft_early(e, o->most, &err);
	else
		o->draft = draft_model(o->model, dev, tok, eo->seqs > 1 ? eo->seqs : 0,
		    eo->cache, o->most, &err);
	if (o->draft == NULL)
		tool_fail(NULL, &err);
	if (o->always)
		draft_always(o->draft);
	scheduler_guess(s, o->draft);
}

void
draft_tell(const struct draft_opts *o)
{
	const struct draft_report *r;

	if (o->draft == NULL)
		return;
	r = draft_report(o->draft);
	tool_warn("%lld passes, %lld tokens guessed, %lld of them rightly", (long long)r->steps,
	    (long long)r->guesses, (long long)r->right);
}

void
draft_end(struct draft_opts *o)
{
	draft_free(o->draft);
}
