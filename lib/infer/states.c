#include <stdlib.h>

#include "infer/matcher_impl.h"

/* ---- unique things ---- */

static uint64_t
mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

static uint64_t
hash_frame(const struct frame *f)
{
	return mix(mix(mix(1, (uint32_t)f->parent), (uint32_t)f->code), (uint32_t)f->count);
}

static uint64_t
hash_set(const place *config, int32_t n, bool done, bool open)
{
	uint64_t h = mix(2, (uint64_t)done * 2 + open);

	for (int32_t i = 0; i < n; i++)
		h = mix(h, config[i]);
	return h;
}

static uint64_t
hash_item(const struct item *t)
{
	return mix(mix(mix(3, (uint32_t)t->frame), (uint32_t)t->code), (uint32_t)t->fresh);
}

/*
 * Indices grow within room for their most: a page that is not used yet costs
 * nothing.
 */
enum { INDEX_FIRST = 1024 };

static void
index_put(struct index *x, uint64_t hash, int32_t number)
{
	int64_t i = (int64_t)(hash & (uint64_t)(x->cap - 1));

	while (x->slot[i] != 0)
		i = (i + 1) & (x->cap - 1);
	x->slot[i] = number + 1;
}

/* Is there no room for another, with half of it empty? */
static bool
index_full(const struct index *x, int32_t n)
{
	return 2 * ((int64_t)n + 1) > x->cap;
}

static void
index_double(struct index *x)
{
	memset(x->slot, 0, (size_t)x->cap * sizeof(*x->slot));
	x->cap *= 2;
}

static int
limit(struct err *err)
{
	return err_set(err, ERR_LIMIT, "the grammar has too many ways to read this text");
}

int32_t
frame_of(struct constraint *c, int32_t parent, int32_t code, int32_t count, struct err *err)
{
	struct states *s = &c->s;
	struct frame f = { parent, code, count, s->frame[parent].depth + 1 };
	int64_t i = (int64_t)(hash_frame(&f) & (uint64_t)(s->frames.cap - 1));

	for (; s->frames.slot[i] != 0; i = (i + 1) & (s->frames.cap - 1)) {
		const struct frame *o = &s->frame[s->frames.slot[i] - 1];

		if (o->parent == parent && o->code == code && o->count == count)
			return s->frames.slot[i] - 1;
	}
	if (s->n_frames == FRAMES_MAX)
		return limit(err);
	s->frame[s->n_frames] = f;
	if (index_full(&s->frames, s->n_frames)) {
		index_double(&s->frames);
		for (int32_t k = FRAMES_FIXED; k < s->n_frames; k++)
			index_put(&s->frames, hash_frame(&s->frame[k]), k);
	}
	index_put(&s->frames, hash_frame(&f), s->n_frames);
	return s->n_frames++;
}

static int
by_value(const void *a, const void *b)
{
	const place *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int32_t
deepest(const struct states *s, const place *config, int32_t n)
{
	int32_t depth = 0;

	for (int32_t i = 0; i < n; i++)
		if (s->frame[place_frame(config[i])].depth > depth)
			depth = s->frame[place_frame(config[i])].depth;
	return depth;
}

/* Sort, drop those that are there twice, and count the stacks. */
static int32_t
put_in_order(place *config, int32_t n, int32_t *stacks)
{
	int32_t kept = 0;

	if (n > 24) {
		qsort(config, (size_t)n, sizeof(*config), by_value);
	} else {
		for (int32_t i = 1; i < n; i++) {
			uint64_t x = config[i];
			int32_t k = i;

			for (; k > 0 && config[k - 1] > x; k--)
				config[k] = config[k - 1];
			config[k] = x;
		}
	}
	*stacks = 0;
	for (int32_t i = 0; i < n; i++) {
		if (i > 0 && config[i] == config[i - 1])
			continue;
		if (i == 0 || place_frame(config[i]) != place_frame(config[i - 1]))
			++*stacks;
		config[kept++] = config[i];
	}
	return kept;
}

int32_t
set_of(struct constraint *c, place *config, int32_t n, bool done, bool open, struct err *err)
{
	struct states *s = &c->s;
	int32_t stacks;
	uint64_t hash;
	int64_t i;

	n = put_in_order(config, n, &stacks);
	if (stacks > MATCHER_STACKS)
		return limit(err);
	hash = hash_set(config, n, done, open);
	i = (int64_t)(hash & (uint64_t)(s->sets.cap - 1));
	for (; s->sets.slot[i] != 0; i = (i + 1) & (s->sets.cap - 1)) {
		const struct set *o = &s->set[s->sets.slot[i] - 1];

		if (o->n == n && o->done == done && o->open == open &&
		    memcmp(s->config + o->first, config, (size_t)n * sizeof(*config)) == 0)
			return s->sets.slot[i] - 1;
	}
	if (s->n_sets == s->sets_max || n > CONFIGS_MAX - s->n_configs)
		return limit(err);
	s->set[s->n_sets] = (struct set){ s->n_configs, n, deepest(s, config, n), 0,
	    done, open };
	memcpy(s->config + s->n_configs, config, (size_t)n * sizeof(*config));
	s->n_configs += n;
	if (index_full(&s->sets, s->n_sets)) {
		index_double(&s->sets);
		for (int32_t k = 0; k < s->n_sets; k++) {
			const struct set *o = &s->set[k];

			index_put(&s->sets, hash_set(s->config + o->first, o->n, o->done,
			    o->open), k);
		}
	}
	index_put(&s->sets, hash, s->n_sets);
	return s->n_sets++;
}

int
states_init(struct states *s, const struct grammar *g, struct err *err)
{
	struct arena *a = &s->arena;

	*s = (struct states){ .sets_max = TRANS_MAX / g->n_classes };
	if (s->sets_max > SETS_MAX)
		s->sets_max = SETS_MAX;
	if (arena_init(a, CONSTRAINT_BYTES, err) < 0)
		return -1;
	s->frame = arena_new(a, struct frame, FRAMES_MAX, err);
	s->config = arena_new(a, place, CONFIGS_MAX, err);
	s->set = arena_new(a, struct set, s->sets_max, err);
	s->trans = arena_new(a, int32_t, (ptrdiff_t)s->sets_max * g->n_classes, err);
	s->frames = (struct index){ arena_new(a, int32_t, 4 * FRAMES_MAX, err), INDEX_FIRST };
	s->sets = (struct index){ arena_new(a, int32_t, 4 * SETS_MAX, err), INDEX_FIRST };
	if (s->frame == NULL || s->config == NULL || s->set == NULL || s->trans == NULL ||
	    s->frames.slot == NULL || s->sets.slot == NULL) {
		arena_free(a);
		return -1;
	}
	s->n_frames = FRAMES_FIXED;
	/* The dead set is the first. */
	index_put(&s->sets, hash_set(NULL, 0, false, false), SET_DEAD);
	s->n_sets = 1;
	return 0;
}

/* ---- what follows without a byte ---- */

int
closure_init(struct constraint *c, struct err *err)
{
	struct closure *w = &c->closure;

	w->item = arena_new(&c->scratch, struct item, CLOSURE_MAX, err);
	w->out = arena_new(&c->scratch, place, CLOSURE_MAX, err);
	w->seen = (struct index){ arena_new(&c->scratch, int32_t, 4 * CLOSURE_MAX, err), 64 };
	return w->item == NULL || w->out == NULL || w->seen.slot == NULL ? -1 : 0;
}

/* The table is small while the closure is, so that emptying it costs little. */
static void
closure_start(struct closure *w)
{
	w->n = w->n_out = 0;
	w->done = w->open = false;
	memset(w->seen.slot, 0, (size_t)w->seen.cap * sizeof(*w->seen.slot));
	w->seen.cap = 64;
}

static int
push(struct constraint *c, int32_t code, int32_t frame, int32_t fresh, struct err *err)
{
	struct closure *w = &c->closure;
	struct item t = { code, frame, fresh };
	int64_t i = (int64_t)(hash_item(&t) & (uint64_t)(w->seen.cap - 1));

	for (; w->seen.slot[i] != 0; i = (i + 1) & (w->seen.cap - 1)) {
		const struct item *o = &w->item[w->seen.slot[i] - 1];

		if (o->code == code && o->frame == frame && o->fresh == fresh)
			return 0;
	}
	if (w->n == CLOSURE_MAX || ++c->work > WORK_MAX)
		return limit(err);
	w->item[w->n] = t;
	if (index_full(&w->seen, w->n)) {
		index_double(&w->seen);
		for (int32_t k = 0; k < w->n; k++)
			index_put(&w->seen, hash_item(&w->item[k]), k);
	}
	index_put(&w->seen, hash_item(&t), w->n++);
	return 0;
}

/* Push a frame; one too deep is a way that is closed. */
static int
enter(struct constraint *c, int32_t parent, int32_t code, int32_t count, int32_t fresh,
    struct err *err)
{
	int32_t f;

	if (c->s.frame[parent].depth >= MATCHER_DEPTH)
		return 0;
	if ((f = frame_of(c, parent, code, count, err)) < 0)
		return -1;
	return push(c, c->g->code[code].x, f, fresh, err);
}

/* The end of a rule, or of a round of a repetition. */
static int
leave(struct constraint *c, struct item t, struct err *err)
{
	struct frame f = c->s.frame[t.frame];
	const struct code *i = &c->g->code[f.code];
	int32_t count, parent_fresh = t.fresh > 0 ? t.fresh - 1 : 0;

	if (t.frame == FRAME_BOTTOM || t.frame == FRAME_FLOOR) {
		*(t.frame == FRAME_BOTTOM ? &c->closure.done : &c->closure.open) = true;
		return 0;
	}
	if (i->op == OP_CALL)
		return push(c, i->y, f.parent, parent_fresh, err);
	/* A round without a byte counts for nothing. */
	if (t.fresh > 0)
		return 0;
	count = f.count + 1;
	if (i->max == INT32_MAX && count > i->min)
		count = i->min;
	if (count < i->max && enter(c, f.parent, f.code, count, 1, err) < 0)
		return -1;
	return count >= i->min ? push(c, i->y, f.parent, 0, err) : 0;
}

static int
follow(struct constraint *c, struct item t, struct err *err)
{
	struct closure *w = &c->closure;
	const struct code *i = &c->g->code[t.code];

	switch (i->op) {
	case OP_END:
		return leave(c, t, err);
	case OP_BYTE:
		w->out[w->n_out++] = place_of(t.code, t.frame);
		return 0;
	case OP_SPLIT:
		if (push(c, i->x, t.frame, t.fresh, err) < 0)
			return -1;
		return push(c, i->y, t.frame, t.fresh, err);
	case OP_CALL:
		/* A call that is the last thing to do leaves nothing to come back to. */
		if (c->g->code[i->y].op == OP_END)
			return push(c, i->x, t.frame, t.fresh, err);
		return enter(c, t.frame, t.code, 0, t.fresh + 1, err);
	case OP_REPEAT:
		if (enter(c, t.frame, t.code, 0, t.fresh + 1, err) < 0)
			return -1;
		return i->min == 0 ? push(c, i->y, t.frame, t.fresh, err) : 0;
	default:
		return 0;
	}
}

static int32_t
closure_end(struct constraint *c, struct err *err)
{
	struct closure *w = &c->closure;

	for (int32_t i = 0; i < w->n; i++)
		if (follow(c, w->item[i], err) < 0)
			return -1;
	return set_of(c, w->out, w->n_out, w->done, w->open, err);
}

int32_t
set_at(struct constraint *c, int32_t code, int32_t frame, struct err *err)
{
	closure_start(&c->closure);
	if (push(c, code, frame, 0, err) < 0)
		return -1;
	return closure_end(c, err);
}

int32_t
set_step(struct constraint *c, int32_t set, int32_t class, struct err *err)
{
	const struct set *s = &c->s.set[set];
	uint8_t byte = c->g->byte_of[class];
	int32_t next;

	closure_start(&c->closure);
	c->work += s->n;
	for (int32_t i = 0; i < s->n; i++) {
		place at = c->s.config[s->first + i];
		const struct code *code = &c->g->code[place_code(at)];

		if (byte < code->lo || byte > code->hi)
			continue;
		if (push(c, code->x, place_frame(at), 0, err) < 0)
			return -1;
	}
	if ((next = closure_end(c, err)) >= 0)
		c->s.trans[(int64_t)set * c->g->n_classes + class] = next + 1;
	return next;
}
