/*
 * llm-normalize - one spelling of the same text
 *
 * Decodes entities, repairs mojibake that is certain, removes what is no text, folds blank
 * space and brings the rest to a Unicode normal form.  A record whose text is
 * normal keeps its bytes.  Normalizing twice is normalizing once.
 *
 * Time is linear in the text; memory is one batch of records a thread.
 */
#include "text/normalize.h"
#include "tool/filter.h"

struct normalize {
	struct filter_opts io;
	const char	*form;		/* -t */
	bool		 keep_entities;
	enum uni_form	 uni;
	str		 field;
};

static const struct opt opts[] = {
	{ .letter = 't', .name = "type", .type = OPT_STR,
	  .at = offsetof(struct normalize, form), .arg = "nfc|nfkc|none",
	  .help = "Unicode normal form (nfc)" },
	{ .name = "keep-entities", .type = OPT_FLAG,
	  .at = offsetof(struct normalize, keep_entities),
	  .help = "leave &amp; and other entities of HTML as they are" },
	FILTER_OPTIONS(struct normalize, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-normalize",
	.synopsis = "[file ...]",
	.summary  = "one spelling of the same text",
	.opts     = opts,
};

static enum uni_form
form_of(const char *name)
{
	if (name == NULL || strcmp(name, "nfc") == 0)
		return UNI_NFC;
	if (strcmp(name, "nfkc") == 0)
		return UNI_NFKC;
	if (strcmp(name, "none") == 0)
		return UNI_NONE;
	tool_usage("-t: '%s' is none of nfc, nfkc, none", name);
}

static int
normalize(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct normalize *n = ctx;
	struct normalizer *z = state;
	str text;
	int changed;

	z->form = n->uni;
	z->keep_entities = n->keep_entities;
	changed = text_normalize(z, r->text, &text, err);
	if (changed < 0 || (changed > 0 && record_set_text(r, n->field, text, err) < 0))
		return RECORD_BAD;
	return RECORD_KEEP;
}

static void
state_free(void *state)
{
	normalizer_free(state);
}

int
main(int argc, char **argv)
{
	struct normalize n = { 0 };
	char **files = tool_start(&tool, argc, argv, &n);
	struct records_job job = {
		.ctx = &n, .map = normalize,
		.state_size = sizeof(struct normalizer), .state_free = state_free,
	};

	n.uni = form_of(n.form);
	n.field = job.field = filter_field(&n.io);
	return filter_main(&tool, &n.io, files, &job);
}
