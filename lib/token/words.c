#include "token/words.h"

#include <stdlib.h>

#include "base/buf.h"
#include "token/wordkey.h"

#define FIRST_BITS	12		/* of the number of slots, at first */
#define SLACK		1024		/* slots behind the last that a hash has: no wrapping */
#define AHEAD		64		/* words whose slots are fetched at once */

struct slot {
	int64_t		count;		/* 0: empty */
	int64_t		n;
	struct word_key	key;		/* of a long word, b is where it lies in pool */
};

/* Slots ascend by hash but for those that collided: a sorted run is nearly there. */
struct words {
	struct slot	*slot;
	int		 bits;		/* of the number of slots */
	int64_t		 used, bytes;
	struct buf	 pool;
	int64_t		 memory, total;
	struct runs	*runs;
	bool		 settled;	/* what is in one run; distinct and bytes are of that */
	int64_t		 at;		/* of words_next() and of the run that is written */
};

static int64_t
nslots(int bits)
{
	return ((int64_t)1 << bits) + SLACK;
}

struct words *
words_new(int64_t memory, struct runs *runs, struct err *err)
{
	struct words *w = calloc(1, sizeof(*w));

	if (w != NULL) {
		w->memory = memory;
		w->runs = runs;
		w->bits = FIRST_BITS;
		w->pool.limit = PTRDIFF_MAX / 4;
		w->slot = calloc((size_t)nslots(w->bits), sizeof(*w->slot));
		if (w->slot != NULL)
			return w;
	}
	free(w);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

void
words_free(struct words *w)
{
	if (w == NULL)
		return;
	free(w->slot);
	buf_free(&w->pool);
	free(w);
}

static str
text_of(const struct words *w, const struct slot *s)
{
	if (s->n <= WORD_SHORT)
		return (str){ (const char *)&s->key, s->n };
	return (str){ w->pool.p + s->key.b, s->n };
}

static uint64_t
hash_of(const struct slot *s)
{
	struct word_key k = { s->key.a, s->n <= WORD_SHORT ? s->key.b : 0 };

	return word_hash(k, s->n);
}

static struct slot *
first_slot(const struct words *w, uint64_t hash)
{
	return &w->slot[hash >> (64 - w->bits)];
}

/* The slot of a word, or the empty one that it would have; NULL: there is none. */
static struct slot *
find(const struct words *w, struct slot *s, struct word_key k, str word)
{
	const struct slot *end = &w->slot[nslots(w->bits)];

	for (; s < end; s++) {
		if (s->count == 0)
			return s;
		if (s->n != word.n || s->key.a != k.a)
			continue;
		if (word.n <= WORD_SHORT ? s->key.b == k.b :
		    memcmp(w->pool.p + s->key.b, word.p, (size_t)word.n) == 0)
			return s;
	}
	return NULL;
}

static int
grow(struct words *w, struct err *err)
{
	struct words was = *w;

	for (;;) {
		int64_t i, n = nslots(was.bits);

		w->bits++;
		if ((w->slot = calloc((size_t)nslots(w->bits), sizeof(*w->slot))) == NULL) {
			*w = was;
			return err_set(err, ERR_NOMEM, "out of memory for %lld distinct words",
			    (long long)w->used);
		}
		for (i = 0; i < n; i++) {
			const struct slot *end = &w->slot[nslots(w->bits)];
			struct slot *s;

			if (was.slot[i].count == 0)
				continue;
			s = first_slot(w, hash_of(&was.slot[i]));
			while (s < end && s->count != 0)
				s++;
			if (s == end)
				break;
			*s = was.slot[i];
		}
		if (i == n)
			break;
		free(w->slot);
	}
	free(was.slot);
	return 0;
}

static bool
before(const struct words *w, const struct slot *a, const struct slot *b)
{
	uint64_t x = hash_of(a), y = hash_of(b);

	if (x != y)
		return x < y;
	if (a->n != b->n)
		return a->n < b->n;
	return memcmp(text_of(w, a).p, text_of(w, b).p, (size_t)a->n) < 0;
}

/* Close the gaps between slots and sort them: each is near its place. */
static void
sort(struct words *w)
{
	int64_t n = 0;

	for (int64_t i = 0; i < nslots(w->bits); i++) {
		struct slot s = w->slot[i];
		int64_t k = n;

		if (s.count == 0)
			continue;
		for (; k > 0 && before(w, &s, &w->slot[k - 1]); k--)
			w->slot[k] = w->slot[k - 1];
		w->slot[k] = s;
		n++;
	}
}

static int
next_sorted(void *from, struct counted *c, struct err *err)
{
	struct words *w = from;
	const struct slot *s = &w->slot[w->at];

	(void)err;
	if (w->at == w->used)
		return 0;
	w->at++;
	*c = (struct counted){ text_of(w, s), s->count, hash_of(s) };
	return 1;
}

static void
clear(struct words *w)
{
	memset(w->slot, 0, (size_t)nslots(w->bits) * sizeof(*w->slot));
	buf_reset(&w->pool);
	w->used = w->bytes = w->at = 0;
}

static int
spill(struct words *w, struct err *err)
{
	sort(w);
	w->at = 0;
	if (runs_add(w->runs, next_sorted, w, err) < 0)
		return -1;
	clear(w);
	return 0;
}

/* Room for one more word, of n bytes in the pool: in a larger table or in an empty one. */
static int
make_room(struct words *w, bool slots, int64_t n, struct err *err)
{
	int64_t table = nslots(w->bits) * (int64_t)sizeof(*w->slot), pool = w->pool.cap;

	if (w->pool.n + n > pool)
		pool = 3 * pool + n;
	if ((slots ? 3 * table : table) + pool > w->memory && w->used > 0)
		return spill(w, err);
	return slots ? grow(w, err) : 0;
}

static int
insert(struct words *w, struct word_key k, uint64_t hash, str word, int64_t n, struct err *err)
{
	bool far = word.n > WORD_SHORT, full = 4 * (w->used + 1) > 3 * ((int64_t)1 << w->bits);
	struct slot *s = find(w, first_slot(w, hash), k, word);

	if ((full || s == NULL || (far && w->pool.n + word.n > w->pool.cap)) &&
	    make_room(w, full || s == NULL, far ? word.n : 0, err) < 0)
		return -1;
	while ((s = find(w, first_slot(w, hash), k, word)) == NULL)
		if (grow(w, err) < 0)
			return -1;
	if (far) {
		k.b = (uint64_t)w->pool.n;
		buf_add(&w->pool, word);
		if (buf_ok(&w->pool, err) < 0)
			return -1;
	}
	*s = (struct slot){ n, word.n, k };
	w->used++;
	w->bytes += word.n;
	return 0;
}

static int
add(struct words *w, struct word_key k, uint64_t hash, str word, int64_t n, struct err *err)
{
	struct slot *s = find(w, first_slot(w, hash), k, word);

	w->total += n * word.n;
	if (s == NULL || s->count == 0)
		return insert(w, k, hash, word, n, err);
	s->count += n;
	return 0;
}

int
words_add(struct words *w, str word, int64_t n, struct err *err)
{
	struct word_key k = word_key(word);

	return add(w, k, word_hash(k, word.n), word, n, err);
}

/* Slots are far from each other in memory: what several need comes while others are counted. */
static int
add_words(struct words *w, const char *p, const int32_t *cut, int n, int32_t from,
    struct err *err)
{
	struct word_key key[AHEAD];
	uint64_t hash[AHEAD];
	int32_t at = from;

	for (int i = 0; i < n; at = cut[i++]) {
		str word = { p + at, cut[i] - at };

		key[i] = word_key(word);
		hash[i] = word_hash(key[i], word.n);
		__builtin_prefetch(first_slot(w, hash[i]), 1);
	}
	at = from;
	for (int i = 0; i < n; at = cut[i++])
		if (add(w, key[i], hash[i], (str){ p + at, cut[i] - at }, 1, err) < 0)
			return -1;
	return 0;
}

int
words_add_text(struct words *w, struct pretoken_walk *walk, str text, struct err *err)
{
	int32_t cut[AHEAD];
	const char *base, *end;
	int n;

	if (pretoken_start(walk, text, true, err) < 0)
		return -1;
	while ((n = pretoken_next(walk, &base, &end, cut, AHEAD, err)) > 0)
		if (add_words(w, base, cut, n, 0, err) < 0)
			return -1;
	return n;
}

/* An empty table takes the other's slots as they are. */
static void
take(struct words *w, struct words *from)
{
	struct words was = *w;

	*w = *from;
	w->memory = was.memory;
	w->total += was.total;
	from->slot = was.slot;
	from->bits = was.bits;
	from->pool = was.pool;
}

int
words_merge(struct words *w, struct words *from, struct err *err)
{
	int64_t total = w->total + from->total, n = (int64_t)1 << from->bits;

	if (w->used == 0) {
		take(w, from);
		clear(from);
		return 0;
	}
	/* In the order of hashes they would crowd the first slots of a table that grows. */
	for (int64_t i = 0; i < n + SLACK; i++) {
		const struct slot *s = &from->slot[i < n ? i * 0x9e3779b1 & (n - 1) : i];

		if (s->count != 0 && words_add(w, text_of(from, s), s->count, err) < 0)
			return -1;
	}
	w->total = total;
	clear(from);
	return 0;
}

int
words_settle(struct words *w, struct err *err)
{
	w->at = 0;
	if (runs_bytes(w->runs) == 0)
		return 0;
	if (spill(w, err) < 0)
		return -1;
	free(w->slot);
	w->slot = NULL;
	buf_free(&w->pool);
	w->settled = true;
	return runs_settle(w->runs, &w->used, &w->bytes, err);
}

int64_t
words_distinct(const struct words *w)
{
	return w->used;
}

int64_t
words_bytes(const struct words *w)
{
	return w->bytes;
}

int64_t
words_total(const struct words *w)
{
	return w->total;
}

int
words_next(struct words *w, str *word, int64_t *count, struct err *err)
{
	struct counted c;
	int got;

	if (w->settled) {
		if ((got = runs_next(w->runs, &c, err)) > 0) {
			*word = c.word;
			*count = c.count;
		}
		return got;
	}
	while (w->at < nslots(w->bits) && w->slot[w->at].count == 0)
		w->at++;
	if (w->at == nslots(w->bits)) {
		w->at = 0;
		return 0;
	}
	*word = text_of(w, &w->slot[w->at]);
	*count = w->slot[w->at++].count;
	return 1;
}
