#include "infer/grammars.h"

#include <stdlib.h>
#include <string.h>

struct kept {
	struct kept	*next;
	enum grammar_kind kind;
	struct buf	 source;
	struct grammar	*grammar;
	struct constraint *constraint;
	int		 held;
};

struct grammars {
	const struct tokenizer *tok;
	int32_t		 eos[1 + CONFIG_EOS_MORE], n_eos;
	struct token_trie *trie;	/* made when the first one is */
	struct kept	*first;		/* in the order of their last use */
};

struct grammars *
grammars_new(const struct tokenizer *tok, const struct config *c, struct err *err)
{
	struct grammars *g = calloc(1, sizeof(*g));

	if (g == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	g->tok = tok;
	if (c->eos >= 0)
		g->eos[g->n_eos++] = c->eos;
	for (int i = 0; i < c->n_eos_more; i++)
		g->eos[g->n_eos++] = c->eos_more[i];
	return g;
}

static void
drop(struct kept *k)
{
	constraint_free(k->constraint);
	grammar_free(k->grammar);
	buf_free(&k->source);
	free(k);
}

void
grammars_free(struct grammars *g)
{
	if (g == NULL)
		return;
	for (struct kept *k = g->first, *next; k != NULL; k = next) {
		next = k->next;
		drop(k);
	}
	token_trie_free(g->trie);
	free(g);
}

/* Drop the unused ones that come behind so many others. */
static void
drop_old(struct grammars *g)
{
	int unused = 0;

	for (struct kept **at = &g->first, *k; (k = *at) != NULL;) {
		if (k->held == 0 && constraint_unused(k->constraint) && ++unused > GRAMMARS_KEPT) {
			*at = k->next;
			drop(k);
		} else {
			at = &k->next;
		}
	}
}

static int
make(struct grammars *g, struct kept *k, str source, struct err *err)
{
	buf_add(&k->source, source);
	if (buf_ok(&k->source, err) < 0)
		return -1;
	k->grammar = k->kind == GRAMMAR_GBNF ? grammar_gbnf(source, g->tok, err) :
	    k->kind == GRAMMAR_REGEX ? grammar_regex(source, err) :
	    grammar_schema(source, &(struct schema_options){ 0 }, err);
	if (k->grammar == NULL)
		return -1;
	if (g->trie == NULL &&
	    (g->trie = token_trie_new(g->tok, g->eos, g->n_eos, err)) == NULL)
		return -1;
	k->constraint = constraint_new(k->grammar, g->trie, err);
	return k->constraint == NULL ? -1 : 0;
}

/* The one of this source, out of the list; NULL when there is none. */
static struct kept *
take(struct grammars *g, enum grammar_kind kind, str source)
{
	for (struct kept **at = &g->first, *k; (k = *at) != NULL; at = &k->next)
		if (k->kind == kind && str_eq(buf_str(&k->source), source)) {
			*at = k->next;
			return k;
		}
	return NULL;
}

struct constraint *
grammars_hold(struct grammars *g, enum grammar_kind kind, str source, struct err *err)
{
	struct kept *k = take(g, kind, source);

	if (k == NULL) {
		if ((k = calloc(1, sizeof(*k))) == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return NULL;
		}
		k->kind = kind;
		if (make(g, k, source, err) < 0) {
			drop(k);
			return NULL;
		}
	}
	k->held++;
	k->next = g->first;
	g->first = k;
	drop_old(g);
	return k->constraint;
}

void
grammars_release(struct grammars *g, struct constraint *c)
{
	for (struct kept *k = g != NULL && c != NULL ? g->first : NULL; k != NULL; k = k->next)
		if (k->constraint == c)
			k->held--;
}
