#include "token/bpe_train.h"

#include <stdlib.h>

#include "base/arena.h"
#include "token/bytemap.h"
#include "token/strmap.h"

/*
 * All distinct words lie in one row, a wall before, between and after them.  A
 * symbol covers the cells of its bytes: sym[] at its first cell is its id, and
 * span[] at its first and last cell its length, so that both neighbours are
 * found at once.
 */
enum { WALL = -1, GONE = -2 };

struct pair {
	uint64_t	key;		/* left << 32 | right */
	int64_t		count;
	int64_t		put;		/* where in the list its next occurrence goes */
	int32_t		pending;	/* occurrences made by the merge at hand */
};

/*
 * A pair in the heap, with its count as it was then, and its occurrences.  All
 * of them come up at once, when the younger of its two tokens is made.
 */
struct entry {
	int64_t		count;
	int64_t		off;		/* in train.list */
	int32_t		n;
	uint32_t	pair;
};

struct train {
	struct arena	 arena;
	int32_t		*sym, *span, *word;	/* a cell each */
	int64_t		 ncells;
	int64_t		*count;			/* of each word */
	int64_t		 nwords;
	int32_t		*list;			/* positions of occurrences */
	int64_t		 nlist;
	struct pair	*pair;
	int64_t		 npairs, cap_pairs;
	uint32_t	*slot;			/* pair + 1, 0: empty */
	int64_t		 nslots;
	struct entry	*heap;
	int64_t		 nheap, cap_heap;
	/* what the merge at hand has made */
	struct { uint32_t pair; int32_t at; } *made;
	int64_t		 nmade, cap_made;
	uint32_t	*touched;
	int64_t		 ntouched, cap_touched;
	struct bpe_model *model;
	struct strmap	 names;			/* of the model's tokens */
	int64_t		 npool, cap_pool;
	int64_t		*name_off;		/* token i is at pool + name_off[i] */
};

/* Make room for one more element of *p. */
static int
grow(void *p, int64_t n, int64_t *cap, size_t size, struct err *err)
{
	int64_t more = *cap < 1024 ? 1024 : *cap + *cap / 2;
	void *q;

	if (n < *cap)
		return 0;
	memcpy(&q, p, sizeof(q));
	if ((q = realloc(q, (size_t)more * size)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the pairs of the vocabulary");
	memcpy(p, &q, sizeof(q));
	*cap = more;
	return 0;
}

#define GROW(array, n, cap, err) grow(&(array), (n), &(cap), sizeof(*(array)), (err))

static uint64_t
mix(uint64_t key)
{
	key *= 0x9e3779b97f4a7c15u;
	return key ^ key >> 29;
}

static int
grow_slots(struct train *t, struct err *err)
{
	int64_t n = t->nslots == 0 ? 1 << 16 : 2 * t->nslots;
	uint32_t *slot = calloc((size_t)n, sizeof(*slot));

	if (slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the pairs of the vocabulary");
	for (int64_t i = 0; i < t->npairs; i++) {
		uint64_t k = mix(t->pair[i].key) & (uint64_t)(n - 1);

		while (slot[k] != 0)
			k = (k + 1) & (uint64_t)(n - 1);
		slot[k] = (uint32_t)i + 1;
	}
	free(t->slot);
	t->slot = slot;
	t->nslots = n;
	return 0;
}

/* The index of a pair, made when it is new; -1 on failure. */
static int64_t
pair_of(struct train *t, int32_t left, int32_t right, struct err *err)
{
	uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right, mask, k;

	if (2 * t->npairs >= t->nslots && grow_slots(t, err) < 0)
		return -1;
	mask = (uint64_t)t->nslots - 1;
	for (k = mix(key) & mask; t->slot[k] != 0; k = (k + 1) & mask)
		if (t->pair[t->slot[k] - 1].key == key)
			return t->slot[k] - 1;
	if (GROW(t->pair, t->npairs, t->cap_pairs, err) < 0)
		return -1;
	t->pair[t->npairs] = (struct pair){ .key = key };
	t->slot[k] = (uint32_t)++t->npairs;
	return t->npairs - 1;
}

/* Does a come out of the heap before b? */
static bool
before(const struct train *t, const struct entry *a, const struct entry *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	return t->pair[a->pair].key < t->pair[b->pair].key;
}

static int
push(struct train *t, struct entry e, struct err *err)
{
	int64_t i = t->nheap;

	if (GROW(t->heap, t->nheap, t->cap_heap, err) < 0)
		return -1;
	t->nheap++;
	for (int64_t up; i > 0 && before(t, &e, &t->heap[up = (i - 1) / 2]); i = up)
		t->heap[i] = t->heap[up];
	t->heap[i] = e;
	return 0;
}

static struct entry
pop(struct train *t)
{
	struct entry top = t->heap[0], e = t->heap[--t->nheap];
	int64_t i = 0, kid;

	while ((kid = 2 * i + 1) < t->nheap) {
		if (kid + 1 < t->nheap && before(t, &t->heap[kid + 1], &t->heap[kid]))
			kid++;
		if (!before(t, &t->heap[kid], &e))
			break;
		t->heap[i] = t->heap[kid];
		i = kid;
	}
	t->heap[i] = e;
	return top;
}

/* n occurrences of a pair are new at cell `at'. */
static int
made(struct train *t, int32_t left, int32_t right, int32_t at, int64_t n, struct err *err)
{
	int64_t p = pair_of(t, left, right, err);

	if (p < 0 || GROW(t->made, t->nmade, t->cap_made, err) < 0 ||
	    GROW(t->touched, t->ntouched, t->cap_touched, err) < 0)
		return -1;
	t->pair[p].count += n;
	if (t->pair[p].pending++ == 0)
		t->touched[t->ntouched++] = (uint32_t)p;
	t->made[t->nmade].pair = (uint32_t)p;
	t->made[t->nmade++].at = at;
	return 0;
}

static int
lost(struct train *t, int32_t left, int32_t right, int64_t n, struct err *err)
{
	int64_t p = pair_of(t, left, right, err);

	if (p < 0)
		return -1;
	t->pair[p].count -= n;
	return 0;
}

/* Gather what was made by pair, and queue it. */
static int
queue_made(struct train *t, struct err *err)
{
	for (int64_t i = 0; i < t->ntouched; i++) {
		struct pair *p = &t->pair[t->touched[i]];

		p->put = t->nlist;
		t->nlist += p->pending;
		if (p->count > 0 && push(t, (struct entry){ p->count, p->put, p->pending,
		    t->touched[i] }, err) < 0)
			return -1;
		p->pending = 0;
	}
	for (int64_t i = 0; i < t->nmade; i++)
		t->list[t->pair[t->made[i].pair].put++] = t->made[i].at;
	t->nmade = t->ntouched = 0;
	return 0;
}

/* Merge the symbols at cell `at' and after it, which are a and b, into id. */
static int
merge_at(struct train *t, int32_t at, int32_t a, int32_t b, int32_t id, struct err *err)
{
	int32_t right = at + t->span[at], end = right + t->span[right];
	int32_t left = at - t->span[at - 1];
	int64_t n = t->count[t->word[at]];

	if (t->sym[left] != WALL && (lost(t, t->sym[left], a, n, err) < 0 ||
	    made(t, t->sym[left], id, left, n, err) < 0))
		return -1;
	t->sym[right] = GONE;
	t->sym[at] = id;
	t->span[at] = t->span[end - 1] = end - at;
	if (t->sym[end] != WALL && (lost(t, b, t->sym[end], n, err) < 0 ||
	    made(t, id, t->sym[end], at, n, err) < 0))
		return -1;
	return 0;
}

/* Merge the occurrences of e's pair; those that overlap, the left one. */
static int
merge_all(struct train *t, const struct entry *e, int32_t id, struct err *err)
{
	int32_t a = (int32_t)(t->pair[e->pair].key >> 32);
	int32_t b = (int32_t)(uint32_t)t->pair[e->pair].key;

	for (int64_t i = 0; i < e->n; i++) {
		int32_t at = t->list[e->off + i];

		if (t->sym[at] == a && t->sym[at + t->span[at]] == b &&
		    merge_at(t, at, a, b, id, err) < 0)
			return -1;
	}
	return queue_made(t, err);
}

/* Append a token's bytes (left and right) to the model. */
static int
name_token(struct train *t, str left, str right, struct err *err)
{
	struct bpe_model *m = t->model;
	int64_t n = left.n + right.n;

	if (t->npool + n > t->cap_pool) {
		int64_t cap = 2 * (t->npool + n) + 4096;
		char *old = m->pool, *p = malloc((size_t)cap);

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for the vocabulary");
		if (t->npool > 0)
			memcpy(p, old, (size_t)t->npool);
		m->pool = p;
		t->cap_pool = cap;
		for (int32_t i = 0; i < m->n; i++)
			m->token[i].p = p + t->name_off[i];
		memcpy(p + t->npool, left.p, (size_t)left.n);
		memcpy(p + t->npool + left.n, right.p, (size_t)right.n);
		free(old);
	} else {
		memcpy(m->pool + t->npool, left.p, (size_t)left.n);
		memcpy(m->pool + t->npool + left.n, right.p, (size_t)right.n);
	}
	t->name_off[m->n] = t->npool;
	m->token[m->n++] = (str){ m->pool + t->npool, n };
	t->npool += n;
	return 0;
}

static int
first_tokens(struct train *t, int32_t vocab, const str *special, int nspecial, struct err *err)
{
	struct bpe_model *m = t->model;
	struct bytemap map;

	if (nspecial > BPE_SPECIALS || vocab < 256 + nspecial)
		return err_set(err, ERR_ARG, "a vocabulary needs %d tokens at least, for bytes and "
		    "special tokens", 256 + nspecial);
	m->token = calloc((size_t)vocab, sizeof(*m->token));
	m->merge = calloc((size_t)vocab, sizeof(*m->merge));
	t->name_off = calloc((size_t)vocab, sizeof(*t->name_off));
	if (m->token == NULL || m->merge == NULL || t->name_off == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %d tokens", (int)vocab);
	if (strmap_init(&t->names, vocab, m->token, err) < 0)
		return -1;
	for (int i = 0; i < nspecial; i++) {
		if (special[i].n < 2)
			return err_set(err, ERR_ARG, "a special token has two bytes at least");
		if (name_token(t, special[i], S(""), err) < 0)
			return -1;
		if (strmap_add(&t->names, i) != i)
			return err_set(err, ERR_ARG, "special token '%.*s' is there twice",
			    STR_ARG(special[i]));
	}
	m->nspecial = nspecial;
	bytemap_init(&map);
	for (int i = 0; i < 256; i++) {
		char c = (char)map.order[i];

		if (name_token(t, (str){ &c, 1 }, S(""), err) < 0)
			return -1;
		strmap_add(&t->names, nspecial + i);
	}
	return 0;
}

struct counted {
	str	word;
	int64_t	count;
};

static int
by_bytes(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	int d = memcmp(x->word.p, y->word.p,
	    (size_t)(x->word.n < y->word.n ? x->word.n : y->word.n));

	return d != 0 ? d : (x->word.n > y->word.n) - (x->word.n < y->word.n);
}

/* Lay the words out, in an order that does not depend on who counted them. */
static int
lay_out(struct train *t, const struct words *words, struct err *err)
{
	int64_t n = words_distinct(words), cells = words_bytes(words) + n + 1, at = 0, i = 0;
	struct counted *w = malloc((size_t)(n + 1) * sizeof(*w));
	int32_t id[256], cell = 0;

	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld words", (long long)n);
	while (words_next(words, &at, &w[i].word, &w[i].count))
		i++;
	qsort(w, (size_t)n, sizeof(*w), by_bytes);
	for (int k = 0; k < 256; k++)
		id[(uint8_t)t->model->token[t->model->nspecial + k].p[0]] = t->model->nspecial + k;
	if (arena_init(&t->arena, cells * 24 + n * 8 + (1 << 16), err) < 0 ||
	    (t->sym = arena_new(&t->arena, int32_t, cells, err)) == NULL ||
	    (t->span = arena_new(&t->arena, int32_t, cells, err)) == NULL ||
	    (t->word = arena_new(&t->arena, int32_t, cells, err)) == NULL ||
	    (t->list = arena_new(&t->arena, int32_t, 3 * cells, err)) == NULL ||
	    (t->count = arena_new(&t->arena, int64_t, n, err)) == NULL) {
		free(w);
		return -1;
	}
	t->sym[cell] = WALL;
	t->span[cell++] = 1;
	for (i = 0; i < n; i++) {
		t->count[i] = w[i].count;
		for (ptrdiff_t k = 0; k < w[i].word.n; k++, cell++) {
			t->sym[cell] = id[(uint8_t)w[i].word.p[k]];
			t->span[cell] = 1;
			t->word[cell] = (int32_t)i;
		}
		t->sym[cell] = WALL;
		t->span[cell++] = 1;
	}
	t->nwords = n;
	t->ncells = cell;
	free(w);
	return 0;
}

/* Count and queue the pairs of neighbours that are there at first. */
static int
first_pairs(struct train *t, struct err *err)
{
	for (int32_t i = 1; i + 1 < t->ncells; i++)
		if (t->sym[i] != WALL && t->sym[i + 1] != WALL &&
		    made(t, t->sym[i], t->sym[i + 1], i, t->count[t->word[i]], err) < 0)
			return -1;
	return queue_made(t, err);
}

/*
 * Make the token of a pair.  Return 1, 0 when it is spelt like a special one,
 * -1.  No other can be spelt like it: since a pair is merged wherever it is,
 * the same string between the same ends is always made of the same two.
 */
static int
make_token(struct train *t, uint64_t key, struct err *err)
{
	struct bpe_model *m = t->model;
	int32_t id = m->n;

	if (name_token(t, m->token[key >> 32], m->token[(uint32_t)key], err) < 0)
		return -1;
	if (strmap_add(&t->names, id) != id) {
		t->npool = t->name_off[--m->n];
		return 0;
	}
	m->merge[m->nmerges][0] = (int32_t)(key >> 32);
	m->merge[m->nmerges++][1] = (int32_t)(uint32_t)key;
	return 1;
}

static int
merge_loop(struct train *t, int32_t vocab, struct err *err)
{
	while (t->model->n < vocab && t->nheap > 0) {
		struct entry e = pop(t);
		const struct pair *p = &t->pair[e.pair];
		int made_it;

		if (e.count != p->count) {
			e.count = p->count;
			if (push(t, e, err) < 0)
				return -1;
			continue;
		}
		if (e.count < 1)
			break;
		if ((made_it = make_token(t, p->key, err)) < 0 ||
		    (made_it > 0 && merge_all(t, &e, t->model->n - 1, err) < 0))
			return -1;
	}
	return 0;
}

static int64_t
count_symbols(const struct train *t)
{
	int64_t n = 0;

	for (int64_t i = 1; i < t->ncells; i += t->span[i])
		if (t->sym[i] != WALL)
			n += t->count[t->word[i]];
	return n;
}

int
bpe_train(const struct words *words, int32_t vocab, const str *special, int nspecial,
    struct bpe_model *m, struct err *err)
{
	struct train t = { .model = m };
	int ret = -1;

	*m = (struct bpe_model){ 0 };
	if (first_tokens(&t, vocab, special, nspecial, err) == 0 &&
	    lay_out(&t, words, err) == 0 && first_pairs(&t, err) == 0 &&
	    merge_loop(&t, vocab, err) == 0) {
		m->encoded = words_short(words) + count_symbols(&t);
		ret = 0;
	}
	arena_free(&t.arena);
	strmap_free(&t.names);
	free(t.pair);
	free(t.slot);
	free(t.heap);
	free(t.made);
	free(t.touched);
	free(t.name_off);
	if (ret < 0)
		bpe_model_free(m);
	return ret;
}

void
bpe_model_free(struct bpe_model *m)
{
	free(m->token);
	free(m->merge);
	free(m->pool);
	*m = (struct bpe_model){ 0 };
}
