/*
 * Who has a place: texts begin while all that have one can write a little more in
 * what is left of the cache, and are taken off it when it is full.
 */
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "infer/scheduler_impl.h"

#define PATIENCE 10	/* seconds, of a text without a deadline */

enum {
	MORE = 4 * CACHE_BLOCK,	/* tokens that each can write after one has begun */
	STAY = CACHE_BLOCK	/* tokens that one writes between being taken off twice */
};

/* ---- order ---- */

/* When the rest of what it is to be given has to begin; those without a deadline in turn. */
static double
latest(const struct scheduler *s, const struct text *t)
{
	return t->r.deadline > 0 ?
	    t->r.deadline - (double)(t->n - t->given) * s->token_seconds : t->came + PATIENCE;
}

bool
text_before(const struct scheduler *s, const struct text *a, const struct text *b)
{
	double x = s->spent[a->r.class], y = s->spent[b->r.class];

	if (a->r.class != b->r.class)
		return x != y ? x < y : a->r.class < b->r.class;
	if (a->r.priority != b->r.priority)
		return a->r.priority > b->r.priority;
	x = latest(s, a);
	y = latest(s, b);
	return x != y ? x < y : a->number < b->number;
}

void
class_spend(struct scheduler *s, enum text_class class, int64_t tokens)
{
	static const double share[TEXT_CLASSES] = { [CLASS_INTERACTIVE] = 7, [CLASS_BATCH] = 1 };

	s->spent[class] += (double)tokens / share[class];
	if (class == CLASS_INTERACTIVE)
		s->interactive = progress_now();
}

void
class_join(struct scheduler *s, enum text_class class)
{
	enum text_class other = class == CLASS_BATCH ? CLASS_INTERACTIVE : CLASS_BATCH;
	const struct text *t = s->line.first;

	for (; t != NULL && t->r.class != class; t = t->next)
		;
	for (int i = 0; i < s->n && t == NULL; i++)
		if (s->text[i]->r.class == class)
			t = s->text[i];
	if (t == NULL && s->spent[class] < s->spent[other])
		s->spent[class] = s->spent[other];
}

/* ---- room ---- */

static int64_t
blocks_of(const struct scheduler *s, int64_t tokens)
{
	int64_t holds = engine_holds(s->e);

	return ((tokens < holds ? tokens : holds) + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

/* Blocks that it has. */
static int64_t
has(const struct scheduler *s, const struct text *t)
{
	return t->seq == NULL ? 0 : blocks_of(s, seq_computed(t->seq));
}

/* Blocks that it is to have room for. */
static int64_t
needs(const struct scheduler *s, const struct text *t)
{
	int64_t n = t->given < t->n ? t->n : seq_length(t->seq);
	int64_t left = t->r.max_tokens - t->report.tokens;

	return blocks_of(s, n + (left < MORE ? left : MORE));
}

/* Is it to give its place to another one? */
static bool
gives_way(const struct scheduler *s, const struct text *t, const struct text *to)
{
	if (t->r.seq != NULL || t->report.tokens < t->safe || !text_before(s, to, t))
		return false;
	return t->r.class > to->r.class ||
	    (t->r.class == to->r.class && t->r.priority < to->r.priority);
}

/*
 * Blocks that those with a place are still to have; or, but for those that give way to
 * one, and then less what these have.
 */
static int64_t
promised(const struct scheduler *s, const struct text *to)
{
	int64_t blocks = 0;

	for (int i = 0; i < s->n; i++) {
		const struct text *t = s->text[i];

		if (to != NULL && gives_way(s, t, to))
			blocks -= has(s, t);
		else if (needs(s, t) > has(s, t))
			blocks += needs(s, t) - has(s, t);
	}
	return blocks;
}

/* ---- to begin ---- */

/* A sequence with all that is there already of what it is to be given. */
static int
open_seq(struct scheduler *s, struct text *t, struct err *err)
{
	int64_t n;

	t->seq = t->r.seq;
	if (t->seq == NULL && (t->seq = seq_new(s->e, err)) == NULL)
		return -1;
	seq_adapt(t->seq, t->r.adapter);
	seq_salt(t->seq, t->r.salt);
	seq_keep(t->seq, t->token, t->n);
	if ((n = seq_find(t->seq, t->token, t->n, err)) < 0)
		return -1;
	t->given = n;
	return 0;
}

static void
close_seq(struct text *t)
{
	if (t->r.seq == NULL)
		seq_free(t->seq);
	t->seq = NULL;
	t->given = 0;
	guess_free(&t->guess);
}

int
text_begin(struct scheduler *s, struct text *t, struct err *err)
{
	int64_t room, cached;

	if (s->n == s->o.seqs)
		return 0;
	if (open_seq(s, t, err) < 0)
		return -1;
	room = engine_unused(s->e) / CACHE_BLOCK + has(s, t);
	if (s->n > 0 && needs(s, t) + promised(s, NULL) > room) {
		close_seq(t);
		return 0;
	}
	if (blocks_of(s, t->n) > room)
		return err_set(err, ERR_LIMIT, "%lld tokens in a cache for %lld",
		    (long long)t->n, (long long)room * CACHE_BLOCK);
	if (t->began == 0) {
		t->began = progress_now();
		t->report.waited = t->began - t->came;
		/* The last token of the prompt is run again: its logits are needed. */
		cached = seq_computed(t->seq);
		t->report.cached = cached < t->n ? cached : t->n - 1;
	}
	s->text[s->n++] = t;
	return 1;
}

int
scheduler_add(struct scheduler *s, const struct request *r, struct err *err)
{
	struct text *t;
	int got;

	if (s->line.n > 0)
		return 0;
	if ((t = text_new(s, r, err)) == NULL)
		return -1;
	if ((got = text_begin(s, t, err)) <= 0)
		text_free(t);
	return got;
}

/* ---- to go ---- */

int
text_take_off(struct scheduler *s, struct text *t, struct err *err)
{
	int at = 0;

	if (t->given == t->n) {
		int64_t n = seq_length(t->seq);
		int32_t *p = realloc(t->own, (size_t)n * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		memcpy(p, seq_tokens(t->seq), (size_t)n * sizeof(*p));
		t->token = t->own = p;
		t->n = n;
	}
	close_seq(t);
	t->safe = t->report.tokens + STAY;
	t->report.taken_off++;
	while (s->text[at] != t)
		at++;
	memmove(s->text + at, s->text + at + 1, (size_t)(--s->n - at) * sizeof(struct text *));
	line_put(s, t);
	return 0;
}

struct text *
text_in_the_way(const struct scheduler *s, const struct text *to)
{
	struct text *last = NULL;

	/* What others have of its tokens it may share: then this is more than it needs. */
	if (blocks_of(s, to->n) + promised(s, to) >
	    engine_unused(s->e) / CACHE_BLOCK)
		return NULL;
	for (int i = 0; i < s->n; i++)
		if (gives_way(s, s->text[i], to) &&
		    (last == NULL || text_before(s, last, s->text[i])))
			last = s->text[i];
	return last;
}

struct text *
text_least(const struct scheduler *s)
{
	struct text *last = NULL;

	for (int i = 0; i < s->n && s->n > 1; i++)
		if (s->text[i]->r.seq == NULL &&
		    (last == NULL || text_before(s, last, s->text[i])))
			last = s->text[i];
	return last;
}
