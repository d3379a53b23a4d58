#include "token/words.h"

#include <stdlib.h>

#include "base/hash.h"

struct entry {
	uint64_t	hash;
	int64_t		count;		/* 0: empty */
	int64_t		off;
	int64_t		n;
};

struct words {
	struct entry	*slot;
	int64_t		 nslots, used;
	char		*pool;
	int64_t		 n, cap;
	int64_t		 total, shorts;
};

struct words *
words_new(struct err *err)
{
	struct words *w = calloc(1, sizeof(*w));

	if (w != NULL) {
		w->nslots = 1 << 12;
		w->slot = calloc((size_t)w->nslots, sizeof(*w->slot));
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
	free(w->pool);
	free(w);
}

static int
grow_slots(struct words *w, struct err *err)
{
	int64_t n = 2 * w->nslots;
	struct entry *slot = calloc((size_t)n, sizeof(*slot));

	if (slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld distinct words",
		    (long long)w->used);
	for (int64_t i = 0; i < w->nslots; i++) {
		uint64_t k = w->slot[i].hash & (uint64_t)(n - 1);

		if (w->slot[i].count == 0)
			continue;
		while (slot[k].count != 0)
			k = (k + 1) & (uint64_t)(n - 1);
		slot[k] = w->slot[i];
	}
	free(w->slot);
	w->slot = slot;
	w->nslots = n;
	return 0;
}

static int
grow_pool(struct words *w, int64_t n, struct err *err)
{
	int64_t cap = w->cap == 0 ? 1 << 16 : w->cap;
	char *p;

	if (w->n + n > WORDS_MAX)
		return err_set(err, ERR_LIMIT,
		    "more than %lld bytes of distinct words: train on a sample, or with a pattern "
		    "that cuts text into words", (long long)WORDS_MAX);
	while (cap < w->n + n)
		cap *= 2;
	if ((p = realloc(w->pool, (size_t)cap)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld distinct words",
		    (long long)w->used);
	w->pool = p;
	w->cap = cap;
	return 0;
}

int
words_add(struct words *w, str word, int64_t n, struct err *err)
{
	uint64_t hash = hash64(word), mask = (uint64_t)w->nslots - 1, i = hash & mask;

	w->total += n * word.n;
	if (word.n < 2) {
		w->shorts += n * word.n;
		return 0;
	}
	for (; w->slot[i].count != 0; i = (i + 1) & mask)
		if (w->slot[i].hash == hash &&
		    str_eq((str){ w->pool + w->slot[i].off, w->slot[i].n }, word)) {
			w->slot[i].count += n;
			return 0;
		}
	if (w->n + word.n > w->cap && grow_pool(w, word.n, err) < 0)
		return -1;
	if (2 * w->used >= w->nslots) {
		if (grow_slots(w, err) < 0)
			return -1;
		mask = (uint64_t)w->nslots - 1;
		for (i = hash & mask; w->slot[i].count != 0; i = (i + 1) & mask)
			;
	}
	memcpy(w->pool + w->n, word.p, (size_t)word.n);
	w->slot[i] = (struct entry){ hash, n, w->n, word.n };
	w->n += word.n;
	w->used++;
	return 0;
}

int
words_add_text(struct words *w, enum scan kind, const uint8_t *class, str text,
    struct err *err)
{
	const char *end = text.p + text.n;
	int32_t cut[256];

	while (text.p < end) {
		int n = scan_words(kind, class, text.p, end, cut, 256);
		int32_t from = 0;

		for (int i = 0; i < n; i++) {
			if (words_add(w, (str){ text.p + from, cut[i] - from }, 1, err) < 0)
				return -1;
			from = cut[i];
		}
		text.p += from;
	}
	return 0;
}

int
words_merge(struct words *w, const struct words *from, struct err *err)
{
	int64_t at = 0, count;
	str word;

	while (words_next(from, &at, &word, &count))
		if (words_add(w, word, count, err) < 0)
			return -1;
	w->total += from->shorts;
	w->shorts += from->shorts;
	return 0;
}

int64_t
words_distinct(const struct words *w)
{
	return w->used;
}

int64_t
words_bytes(const struct words *w)
{
	return w->n;
}

int64_t
words_total(const struct words *w)
{
	return w->total;
}

int64_t
words_short(const struct words *w)
{
	return w->shorts;
}

bool
words_next(const struct words *w, int64_t *at, str *word, int64_t *count)
{
	for (; *at < w->nslots; ++*at) {
		const struct entry *e = &w->slot[*at];

		if (e->count == 0)
			continue;
		*word = (str){ w->pool + e->off, e->n };
		*count = e->count;
		++*at;
		return true;
	}
	return false;
}
