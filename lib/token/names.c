#include "token/names.h"

#include "text/unicode.h"

/* The token of a character, with what goes before and behind it at its place. */
static int32_t
find(const struct names *s, const struct strmap *words, str c, bool first, bool last)
{
	char name[2 * NAMES_AFFIX + 4];
	ptrdiff_t before = first ? 0 : s->n_affix[0], behind = last ? s->n_affix[1] : 0;

	if (before + behind == 0)
		return strmap_find(words, c);
	memcpy(name, s->affix[0], (size_t)before);
	memcpy(name + before, c.p, (size_t)c.n);
	memcpy(name + before + c.n, s->affix[1], (size_t)behind);
	return strmap_find(words, (str){ name, before + c.n + behind });
}

/* The tokens of the bytes of a character, if each has one. */
static int
put_bytes(const struct bpe *bpe, str c, int32_t *id)
{
	for (ptrdiff_t i = 0; i < c.n; i++)
		if ((id[i] = bpe->byte_id[(uint8_t)c.p[i]]) < 0)
			return 0;
	return (int)c.n;
}

int64_t
names_word(const struct names *s, const struct strmap *words, const struct bpe *bpe,
    struct bpe_scratch *scratch, str word, int32_t *id, struct err *err)
{
	const char *p = word.p, *end = word.p + word.n;
	bool unknown = false;		/* one waits, as in the reference, behind bytes even */
	int64_t n = 0;
	int32_t got;
	int bytes;

	if (s->whole) {
		if ((id[0] = strmap_find(words, word)) < 0)
			id[0] = s->unknown;
		return id[0] >= 0 ? 1 : err_set(err, ERR_FORMAT, "the tokenizer has no token for "
		    "'%.*s'", (int)(word.n < 99 ? word.n : 99), word.p);
	}
	while (p < end) {
		str c = { p, 0 };

		utf8_next(&p, end);
		c.n = p - c.p;
		got = find(s, words, c, c.p == word.p, p == end);
		if (got < 0 && s->fallback && (bytes = put_bytes(bpe, c, id + n)) > 0) {
			n += bytes;
			continue;
		}
		if (got < 0 && s->unknown < 0)
			return err_set(err, ERR_FORMAT, "the tokenizer has no token for '%.*s'",
			    (int)c.n, c.p);
		if (unknown && !(got < 0 && s->fuse))
			id[n++] = s->unknown;
		if (got >= 0)
			id[n++] = got;
		unknown = got < 0;
	}
	if (unknown)
		id[n++] = s->unknown;
	return bpe_merge_ids(bpe, scratch, id, n, err);
}
