#include "token/bpe_save.h"

#include <stdlib.h>

#include "token/known.h"
#include "token/tokenizer_save.h"

/* The first special token that has one of these names, or the first of all. */
static str
pick(const struct bpe_model *m, const char *const *known)
{
	if (m->nspecial == 0)
		return (str){ NULL, 0 };
	for (; *known != NULL; known++)
		for (int32_t i = 0; i < m->nspecial; i++)
			if (str_eq(m->token[i], str_of(*known)))
				return m->token[i];
	return m->token[0];
}

int
bpe_save(const struct bpe_model *m, const struct pattern *pattern, const char *dir,
    struct err *err)
{
	uint8_t *added = calloc((size_t)m->n, 1);
	struct tokenizer_parts parts = { .n = m->n, .token = m->token, .added = added,
	    .bytes = true, .merge = (const int32_t (*)[2])m->merge, .nmerges = m->nmerges,
	    .pattern = pattern->scan, .digits = pattern->digits, .regex = pattern->regex,
	    .bos = pick(m, known_bos), .eos = pick(m, known_eos) };
	int ret;

	if (added == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < m->nspecial; i++)
		added[i] = ADDED_SPECIAL;
	ret = tokenizer_save(&parts, dir, err);
	free(added);
	return ret;
}
