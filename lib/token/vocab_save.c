#include "token/vocab_save.h"

#include <stdlib.h>

#include "token/known.h"
#include "token/tokenizer_save.h"

/* The first special token that has one of these names, or the first of all. */
static str
pick(const str *special, int32_t n, const char *const *known)
{
	if (n == 0)
		return (str){ NULL, 0 };
	for (; *known != NULL; known++)
		for (int32_t i = 0; i < n; i++)
			if (str_eq(special[i], str_of(*known)))
				return special[i];
	return special[0];
}

/* With the roles of the special tokens, which are the first n. */
static int
save(struct tokenizer_parts *parts, int32_t n, const char *dir, struct err *err)
{
	uint8_t *added = calloc((size_t)parts->n, 1);
	int ret;

	if (added == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < n; i++)
		added[i] = ADDED_SPECIAL;
	if (parts->unigram)
		added[parts->unk_id] = ADDED_SPECIAL;
	parts->added = added;
	parts->bos = pick(parts->token, n, known_bos);
	parts->eos = pick(parts->token, n, known_eos);
	ret = tokenizer_save(parts, dir, err);
	free(added);
	return ret;
}

int
bpe_save(const struct bpe_model *m, const struct pattern *pattern, const char *dir,
    struct err *err)
{
	struct tokenizer_parts parts = { .n = m->n, .token = m->token, .bytes = true,
	    .merge = (const int32_t (*)[2])m->merge, .nmerges = m->nmerges,
	    .pattern = pattern->scan, .digits = pattern->digits, .regex = pattern->regex };

	return save(&parts, m->nspecial, dir, err);
}

int
unigram_save(const struct unigram_model *m, const char *dir, struct err *err)
{
	struct tokenizer_parts parts = { .n = m->n, .token = m->token, .logp = m->logp,
	    .sentence = true, .unigram = true, .prefix = true, .fallback = m->fallback,
	    .unk = m->token[m->unknown], .unk_id = m->unknown };

	return save(&parts, m->unknown, dir, err);
}
