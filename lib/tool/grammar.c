#include "tool/grammar.h"

#include "base/stream.h"

#define AT(field) offsetof(struct grammar_opts, field)

const struct opt grammar_options[] = {
	{ 0, "grammar", OPT_STR, AT(gbnf), "FILE", "texts are of this grammar, in GBNF" },
	{ 0, "regex", OPT_STR, AT(regex), "RE", "texts are of this regular expression" },
	{ 0, "json-schema", OPT_STR, AT(schema), "FILE", "texts are JSON of this schema" },
	{ 0 }
};

static struct constraint *
of_file(struct grammar_opts *o, enum grammar_kind kind, const char *path, struct err *err)
{
	struct constraint *c = NULL;
	struct arena a;
	str source;

	if (arena_init(&a, 2 * GRAMMAR_TEXT_MAX, err) < 0)
		return NULL;
	source = file_slurp(&a, path, GRAMMAR_TEXT_MAX, err);
	if (source.p != NULL && (c = grammars_hold(o->made, kind, source, err)) == NULL)
		err_wrap(err, "%s", path);
	arena_free(&a);
	return c;
}

void
grammar_begin(struct grammar_opts *o, const struct config *c, const struct tokenizer *tok,
    struct request *r)
{
	struct err err;

	if ((o->gbnf != NULL) + (o->regex != NULL) + (o->schema != NULL) > 1)
		tool_usage("one of --grammar, --regex and --json-schema");
	if ((r->grammars = o->made = grammars_new(tok, c, &err)) == NULL)
		tool_fail(NULL, &err);
	if (o->gbnf != NULL)
		r->constraint = of_file(o, GRAMMAR_GBNF, o->gbnf, &err);
	else if (o->schema != NULL)
		r->constraint = of_file(o, GRAMMAR_SCHEMA, o->schema, &err);
	else if (o->regex == NULL)
		return;
	else if ((r->constraint = grammars_hold(o->made, GRAMMAR_REGEX, str_of(o->regex),
	    &err)) == NULL)
		err_wrap(&err, "--regex");
	if (r->constraint == NULL)
		tool_fail(NULL, &err);
}

void
grammar_end(struct grammar_opts *o)
{
	grammars_free(o->made);
}
