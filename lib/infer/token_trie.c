#include "infer/token_trie.h"

#include <stdlib.h>

#include "infer/grammar_impl.h"

#define TOKEN_BYTES_MAX	65535

/* A path to a token: its first eight bytes as a number, so that few are compared. */
struct path {
	uint64_t	key;
	str		bytes;
	int32_t		id;
};

str
token_trie_text(const struct token_trie *t, int32_t id)
{
	str s = { NULL, 0 };

	if (id >= 0 && id < t->vocab && !tokenizer_is_special(t->tok, id))
		s = tokenizer_bytes(t->tok, id);
	/* A byte that UTF-8 has not is no text. */
	if (s.n > TOKEN_BYTES_MAX || (s.n > 0 && memchr(s.p, TOKEN_MARK, (size_t)s.n) != NULL))
		s.n = 0;
	return s;
}

static uint64_t
first_eight(str s)
{
	uint8_t b[8] = { 0 };
	uint64_t x;

	memcpy(b, s.p, s.n < 8 ? (size_t)s.n : 8);
	memcpy(&x, b, 8);
	return __builtin_bswap64(x);
}

static int
by_bytes(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	ptrdiff_t n = x->bytes.n < y->bytes.n ? x->bytes.n : y->bytes.n;
	int order;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	order = memcmp(x->bytes.p, y->bytes.p, (size_t)n);
	if (order == 0)
		order = (x->bytes.n > y->bytes.n) - (x->bytes.n < y->bytes.n);
	return order != 0 ? order : x->id - y->id;
}

/* How many bytes two paths have in common. */
static ptrdiff_t
common(str a, str b)
{
	ptrdiff_t n = a.n < b.n ? a.n : b.n, i = 0;

	while (i < n && a.p[i] == b.p[i])
		i++;
	return i;
}

/* Count (node NULL) or fill the nodes of sorted paths. */
static int32_t
lay(const struct path *p, int32_t n, struct token_node *node, int32_t *open, int32_t *id)
{
	str last = { NULL, 0 };
	int64_t at = 0;

	for (int32_t i = 0; i < n; i++) {
		ptrdiff_t keep = common(last, p[i].bytes);

		for (ptrdiff_t d = last.n; node != NULL && d > keep; d--)
			node[open[d]].next = (int32_t)at;
		for (ptrdiff_t d = keep; d < p[i].bytes.n; d++, at++) {
			if (node == NULL)
				continue;
			open[d + 1] = (int32_t)at;
			node[at] = (struct token_node){ .tokens = i, .depth = (uint16_t)(d + 1),
			    .byte = (uint8_t)p[i].bytes.p[d] };
		}
		if (id != NULL)
			id[i] = p[i].id;
		last = p[i].bytes;
	}
	for (ptrdiff_t d = last.n; node != NULL && d > 0; d--)
		node[open[d]].next = (int32_t)at;
	return at < INT32_MAX ? (int32_t)at : -1;
}

/* Every token by its text and by its id. */
static int32_t
list(struct token_trie *t, struct path *path, char *mark)
{
	int32_t n = 0;

	for (int32_t id = 0; id < t->vocab; id++) {
		str s = token_trie_text(t, id);

		if (s.n > 0)
			path[n++] = (struct path){ first_eight(s), s, id };
	}
	qsort(path, (size_t)n, sizeof(*path), by_bytes);
	/* No text has the mark, and no byte is above it: these come last as they are. */
	for (int32_t id = 0; id < t->vocab; id++, mark += 5) {
		mark[0] = (char)TOKEN_MARK;
		for (int i = 0; i < 4; i++)
			mark[1 + i] = (char)(id >> (24 - 8 * i));
		path[n] = (struct path){ first_eight((str){ mark, 5 }), { mark, 5 }, id };
		n++;
	}
	return n;
}

static int
build(struct token_trie *t, struct err *err)
{
	struct path *path = calloc(2 * (size_t)t->vocab + 1, sizeof(*path));
	char *mark = calloc((size_t)t->vocab + 1, 5);
	int32_t *open = NULL, n;
	int ret = -1;

	if (path == NULL || mark == NULL)
		goto out;
	n = list(t, path, mark);
	for (int32_t i = 0; i < n; i++)
		if (path[i].bytes.n > t->longest)
			t->longest = (int32_t)path[i].bytes.n;
	if ((t->n = lay(path, n, NULL, NULL, NULL)) < 0 ||
	    (open = calloc((size_t)t->longest + 1, sizeof(*open))) == NULL ||
	    (t->node = calloc((size_t)t->n + 1, sizeof(*t->node))) == NULL ||
	    (t->id = calloc((size_t)n + 1, sizeof(*t->id))) == NULL)
		goto out;
	lay(path, n, t->node, open, t->id);
	t->node[t->n].tokens = n;
	ret = 0;
out:
	free(path);
	free(mark);
	free(open);
	return ret < 0 ? err_set(err, ERR_NOMEM, "out of memory for the tokens") : 0;
}

struct token_trie *
token_trie_new(const struct tokenizer *tok, const int32_t *eos, int32_t n_eos, struct err *err)
{
	struct token_trie *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for the tokens");
		return NULL;
	}
	t->tok = tok;
	t->vocab = tokenizer_vocab(tok);
	for (int32_t i = 0; i < n_eos && t->n_eos < 16; i++)
		if (eos[i] >= 0 && eos[i] < t->vocab)
			t->eos[t->n_eos++] = eos[i];
	if (build(t, err) == 0)
		return t;
	token_trie_free(t);
	return NULL;
}

void
token_trie_free(struct token_trie *t)
{
	if (t == NULL)
		return;
	free(t->node);
	free(t->id);
	free(t);
}
