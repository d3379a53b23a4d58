#include "tool/grammar.h"

#include "base/stream.h"
#include "infer/grammar.h"
#include "infer/matcher.h"

#define AT(field) offsetof(struct grammar_opts, field)

const struct opt grammar_options[] = {
	{ 0, "grammar", OPT_STR, AT(gbnf), "FILE", "texts are of this grammar, in GBNF" },
	{ 0, "regex", OPT_STR, AT(regex), "RE", "texts are of this regular expression" },
	{ 0, "json-schema", OPT_STR, AT(schema), "FILE", "texts are JSON of this schema" },
	{ 0 }
};

static struct grammar *
read_grammar(const struct grammar_opts *o, const struct tokenizer *tok, struct err *err)
{
	const char *path = o->schema != NULL ? o->schema : o->gbnf;
	struct grammar *g = NULL;
	struct arena a;
	str source;

	if (o->regex != NULL) {
		if ((g = grammar_regex(str_of(o->regex), err)) == NULL)
			err_wrap(err, "--regex");
		return g;
	}
	if (arena_init(&a, 2 * GRAMMAR_TEXT_MAX, err) < 0)
		return NULL;
	source = file_slurp(&a, path, GRAMMAR_TEXT_MAX, err);
	if (source.p != NULL) {
		g = o->schema == NULL ? grammar_gbnf(source, tok, err) :
		    grammar_schema(source, &(struct schema_options){ 0 }, err);
		if (g == NULL)
			err_wrap(err, "%s", path);
	}
	arena_free(&a);
	return g;
}

struct constraint *
grammar_begin(struct grammar_opts *o, const struct config *c, const struct tokenizer *tok)
{
	int32_t eos[1 + CONFIG_EOS_MORE], n = 0;
	struct err err;

	if (o->gbnf == NULL && o->regex == NULL && o->schema == NULL)
		return NULL;
	if ((o->gbnf != NULL) + (o->regex != NULL) + (o->schema != NULL) > 1)
		tool_usage("one of --grammar, --regex and --json-schema");
	if (c->eos >= 0)
		eos[n++] = c->eos;
	for (int i = 0; i < c->n_eos_more; i++)
		eos[n++] = c->eos_more[i];
	if ((o->grammar = read_grammar(o, tok, &err)) == NULL ||
	    (o->trie = token_trie_new(tok, eos, n, &err)) == NULL ||
	    (o->constraint = constraint_new(o->grammar, o->trie, &err)) == NULL)
		tool_fail(NULL, &err);
	return o->constraint;
}

void
grammar_end(struct grammar_opts *o)
{
	constraint_free(o->constraint);
	token_trie_free(o->trie);
	grammar_free(o->grammar);
}
