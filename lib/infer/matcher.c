#include "infer/matcher.h"

#include <stdlib.h>

#include "infer/matcher_impl.h"

#define SCRATCH_BYTES	((ptrdiff_t)64 << 20)

static int
open_up(struct constraint *c, struct err *err)
{
	if (states_init(&c->s, c->g, err) < 0 ||
	    arena_init(&c->scratch, SCRATCH_BYTES, err) < 0 || closure_init(c, err) < 0)
		return -1;
	if (c->trie != NULL && mask_init(c, err) < 0)
		return -1;
	c->start = set_at(c, c->g->start, FRAME_BOTTOM, err);
	return c->start < 0 ? -1 : 0;
}

struct constraint *
constraint_new(const struct grammar *g, const struct token_trie *trie, struct err *err)
{
	struct constraint *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	c->g = g;
	c->trie = trie;
	c->list.prev = c->list.next = &c->list;
	if (open_up(c, err) == 0)
		return c;
	constraint_free(c);
	return NULL;
}

void
constraint_free(struct constraint *c)
{
	if (c == NULL)
		return;
	arena_free(&c->s.arena);
	arena_free(&c->scratch);
	arena_free(&c->masks);
	free(c);
}

bool
constraint_unused(const struct constraint *c)
{
	return c->list.next == &c->list;
}

/* ---- emptying what is full ---- */

/* The frame in new states that a frame of old ones is. */
static int32_t
move_frame(struct constraint *c, const struct states *old, int32_t frame, struct err *err)
{
	int32_t chain[MATCHER_DEPTH + 1], n = 0;

	for (; frame >= FRAMES_FIXED; frame = old->frame[frame].parent)
		chain[n++] = frame;
	while (n > 0 && frame >= 0) {
		const struct frame *f = &old->frame[chain[--n]];

		frame = frame_of(c, frame, f->code, f->count, err);
	}
	return frame;
}

static int32_t
move_set(struct constraint *c, const struct states *old, int32_t set, struct err *err)
{
	const struct set *s = &old->set[set];

	for (int32_t i = 0; i < s->n; i++) {
		place at = old->config[s->first + i];
		int32_t f = move_frame(c, old, place_frame(at), err);

		if (f < 0)
			return -1;
		c->closure.out[i] = place_of(place_code(at), f);
	}
	return set_of(c, c->closure.out, s->n, s->done, s->open, err);
}

static bool
nearly_full(const struct constraint *c)
{
	const struct states *s = &c->s;

	return s->n_frames > FRAMES_MAX / 4 * 3 || s->n_configs > CONFIGS_MAX / 4 * 3 ||
	    s->n_sets > s->sets_max / 4 * 3 ||
	    (c->trie != NULL && c->masks.end - c->masks.at < (c->masks.end - c->masks.base) / 4);
}

int
constraint_collect(struct constraint *c, struct err *err)
{
	struct states old = c->s;
	struct matcher *m;

	c->work = 0;
	if (!nearly_full(c))
		return 0;
	if (states_init(&c->s, c->g, err) < 0) {
		c->s = old;
		return -1;
	}
	/* All that is kept was there before, in the same limits: none can be passed. */
	c->start = move_set(c, &old, c->start, err);
	for (m = c->list.next; m != &c->list && c->start >= 0; m = m->next)
		if ((m->set = move_set(c, &old, m->set, err)) < 0)
			m->set = SET_DEAD;
	arena_free(&old.arena);
	return c->trie == NULL ? 0 : mask_init(c, err);
}

/* ---- matchers ---- */

static void
link_to(struct matcher *m, struct constraint *c, int32_t set)
{
	*m = (struct matcher){ c, &c->list, c->list.next, set };
	m->prev->next = m;
	m->next->prev = m;
}

void
matcher_start(struct matcher *m, struct constraint *c)
{
	link_to(m, c, c->start);
}

void
matcher_copy(struct matcher *m, const struct matcher *from)
{
	link_to(m, from->c, from->set);
}

void
matcher_end(struct matcher *m)
{
	if (m->c == NULL)
		return;
	m->prev->next = m->next;
	m->next->prev = m->prev;
	m->c = NULL;
}

static int32_t
run(struct constraint *c, int32_t set, str bytes, struct err *err)
{
	for (ptrdiff_t i = 0; i < bytes.n && set > SET_DEAD; i++) {
		/* A long text is many calls. */
		if ((i & 1023) == 1023)
			c->work = 0;
		set = set_next(c, set, (uint8_t)bytes.p[i], err);
	}
	return set;
}

static int
go_to(struct matcher *m, int32_t set)
{
	if (set < 0)
		return -1;
	if (set == SET_DEAD)
		return 0;
	m->set = set;
	return 1;
}

int
matcher_bytes(struct matcher *m, str bytes, struct err *err)
{
	struct constraint *c = m->c;
	struct matcher at;
	int went = 1;

	matcher_copy(&at, m);
	while (bytes.n > 0 && went > 0) {
		str part = { bytes.p, bytes.n < 4096 ? bytes.n : 4096 };

		went = constraint_collect(c, err) < 0 ? -1 : go_to(&at, run(c, at.set, part, err));
		bytes = (str){ bytes.p + part.n, bytes.n - part.n };
	}
	if (went > 0)
		m->set = at.set;
	matcher_end(&at);
	return went;
}

/* Where either of two sets leads. */
static int32_t
either(struct constraint *c, int32_t a, int32_t b, struct err *err)
{
	const struct set *x = &c->s.set[a], *y = &c->s.set[b];

	if (x->n + y->n > CLOSURE_MAX)
		return err_set(err, ERR_LIMIT, "the grammar has too many ways to read this text");
	memcpy(c->closure.out, c->s.config + x->first, (size_t)x->n * sizeof(place));
	memcpy(c->closure.out + x->n, c->s.config + y->first, (size_t)y->n * sizeof(place));
	return set_of(c, c->closure.out, x->n + y->n, x->done || y->done, false, err);
}

int
matcher_token(struct matcher *m, int32_t id, struct err *err)
{
	struct constraint *c = m->c;
	char mark[5] = { (char)TOKEN_MARK, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8),
	    (char)id };
	str text = token_trie_text(c->trie, id);
	int32_t set = SET_DEAD, other;

	for (int32_t i = 0; i < c->trie->n_eos; i++)
		if (id == c->trie->eos[i])
			return 0;
	if (constraint_collect(c, err) < 0)
		return -1;
	if (text.n > 0 && (set = run(c, m->set, text, err)) < 0)
		return -1;
	if (c->g->tokens) {
		if ((other = run(c, m->set, (str){ mark, 5 }, err)) < 0)
			return -1;
		if (other != SET_DEAD)
			set = set == SET_DEAD ? other : either(c, set, other, err);
	}
	return go_to(m, set);
}

bool
matcher_done(const struct matcher *m)
{
	return m->c->s.set[m->set].done;
}

bool
matcher_can_go_on(const struct matcher *m)
{
	return m->c->s.set[m->set].n > 0;
}
