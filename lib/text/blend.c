#include "text/blend.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/sorter.h"
#include "text/lines.h"
#include "text/blend_impl.h"
#include "text/sample.h"

/* ---- the index ---- */

/* What a thread has: the name of a record, and then the caller's own. */
struct state {
	struct buf	name;
	void		(*theirs_free)(void *state);
	_Alignas(16) char theirs[];
};

enum { MEMBER_ID, MEMBER_COUNT, MEMBER_SORT };

/* The job of one source. */
struct indexer {
	struct blend	  *m;
	struct blend_source *s;
};

static void
state_free(void *state)
{
	struct state *s = state;

	buf_free(&s->name);
	if (s->theirs_free != NULL)
		s->theirs_free(s->theirs);
}

static int
number_of(str key, str value, double *x, struct err *err)
{
	struct err ignored;

	if (value.p == NULL)
		return err_set(err, ERR_FORMAT, "no key '%.*s'", STR_ARG(key));
	if (json_number(value, x, &ignored) < 0)
		return err_set(err, ERR_FORMAT, "key '%.*s' is not a number", STR_ARG(key));
	return 0;
}

static int
measure(const struct blend *m, struct state *s, const struct record *r, int64_t *n, struct err *err)
{
	double x;

	if (m->unit == BLEND_RECORDS) {
		*n = 1;
		return 0;
	}
	if (m->unit == BLEND_BYTES) {
		*n = r->text.n;
		return 0;
	}
	if (m->measure != NULL) {
		s->theirs_free = m->state_free;
		if (m->measure(m->ctx, s->theirs, r->text, n, err) < 0)
			return -1;
	} else {
		if (number_of(m->count_key, r->member[MEMBER_COUNT].value, &x, err) < 0)
			return -1;
		if (!(x >= 0 && x < (double)BLEND_SIZE_MAX) || x != (double)(int64_t)x)
			return err_set(err, ERR_FORMAT, "key '%.*s' is no number of tokens",
			    STR_ARG(m->count_key));
		*n = (int64_t)x;
	}
	if (*n >= BLEND_SIZE_MAX)
		return err_set(err, ERR_FORMAT, "a record of %lld tokens", (long long)*n);
	return 0;
}

/* The bits of x, such that they are in the order of numbers. */
static uint64_t
ordered(double x)
{
	uint64_t bits;

	x += 0.0;		/* there is one zero */
	memcpy(&bits, &x, sizeof(bits));
	return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static int
index_map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct blend *m = ((const struct indexer *)ctx)->m;
	struct state *s = state;
	double x;
	int64_t n;
	str id;
	int got = sample_id(r->member[MEMBER_ID].value, &s->name, &id, err);

	if (got < 0 || measure(m, s, r, &n, err) < 0)
		return RECORD_BAD;
	if (got == 0 && r->text.p == NULL) {
		err_set(err, ERR_FORMAT, "no key 'id' and no text");
		return RECORD_BAD;
	}
	r->tag[0] = (uint64_t)n << 32 |
	    hash64_seed(got > 0 ? id : r->text, (uint64_t)m->seed) >> 32;
	if (m->sort_key.p != NULL) {
		if (number_of(m->sort_key, r->member[MEMBER_SORT].value, &x, err) < 0)
			return RECORD_BAD;
		r->tag[1] = m->descending ? ~ordered(x) : ordered(x);
	}
	return RECORD_KEEP;
}

/* Room for the entry of line i. */
static int
index_room(struct blend *m, struct blend_source *s, int64_t i, struct err *err)
{
	int64_t piece = i / BLEND_PIECE;

	if (i % BLEND_PIECE != 0)
		return 0;
	if (piece == s->cap) {
		int64_t cap = s->cap > 0 ? 2 * s->cap : 16;
		void *entry = realloc(s->entry, (size_t)cap * sizeof(*s->entry));
		void *key;

		if (entry != NULL)
			s->entry = entry;
		key = realloc(s->key, (size_t)cap * sizeof(*s->key));
		if (key != NULL)
			s->key = key;
		if (entry == NULL || key == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s->cap = cap;
	}
	s->key[piece] = NULL;
	s->entry[piece] = spill_bytes(&m->spill, BLEND_PIECE * (int64_t)sizeof(**s->entry), err);
	if (s->entry[piece] == NULL || m->sort_key.p == NULL)
		return s->entry[piece] == NULL ? -1 : 0;
	s->key[piece] = spill_bytes(&m->spill, BLEND_PIECE * (int64_t)sizeof(**s->key), err);
	return s->key[piece] == NULL ? -1 : 0;
}

/* Lines up to n that are not in the index were bad. */
static int
index_skip(struct blend *m, struct blend_source *s, int64_t n, struct err *err)
{
	for (; s->nlines < n; s->nlines++) {
		if (index_room(m, s, s->nlines, err) < 0)
			return -1;
		s->entry[s->nlines / BLEND_PIECE][s->nlines % BLEND_PIECE] =
		    (struct blend_entry){ BLEND_SKIP, 0 };
	}
	return 0;
}

static int
index_sink(void *ctx, struct record *r, struct err *err)
{
	struct indexer *x = ctx;
	struct blend_source *s = x->s;
	int64_t i = r->index, at = i % BLEND_PIECE;

	if (index_skip(x->m, s, i, err) < 0 || index_room(x->m, s, i, err) < 0)
		return -1;
	s->entry[i / BLEND_PIECE][at] =
	    (struct blend_entry){ (uint32_t)(r->tag[0] >> 32), (uint32_t)r->tag[0] };
	if (s->key[i / BLEND_PIECE] != NULL)
		s->key[i / BLEND_PIECE][at] = r->tag[1];
	s->nlines++;
	s->records++;
	s->size += (int64_t)(r->tag[0] >> 32);
	return 0;
}

int
blend_index(struct blend *m, struct team *team, const struct records_io *io, struct err *err)
{
	const str keys[] = { S("id"), m->count_key, m->sort_key };
	struct indexer x = { .m = m };
	struct records_job job = {
		.ctx = &x, .field = m->field, .keys = keys,
		.nkeys = m->sort_key.p != NULL ? MEMBER_SORT + 1 : MEMBER_COUNT + 1,
		.optional = m->unit != BLEND_BYTES && m->measure == NULL,
		.map = index_map, .sink = index_sink,
		.state_size = (int64_t)sizeof(struct state) + m->state_size,
		.state_free = state_free,
	};

	spill_init(&m->spill, m->work, m->memory / 4);
	for (int i = 0; i < m->n; i++) {
		struct blend_source *s = x.s = &m->source[i];

		if (records_run(team, &job, io, s->file, s->nfiles, NULL, &s->count, err) < 0 ||
		    index_skip(m, s, s->count.read, err) < 0)
			return -1;
		s->bad = s->count.bad;
		m->read += s->count.read;
		m->bad += s->bad;
	}
	return 0;
}

/* ---- the records of one source ---- */

struct blend_run {
	struct lines	*lines;
	int64_t		 epoch, at;	/* line to be read */
	struct blend_entry entry;		/* of the line read last */
	bool		 ready, dry;	/* there is a record; there will be none */
	str		 line;
	int64_t		 size, got;
};

static bool
more_epochs(const struct blend_source *s, int64_t epoch)
{
	return epoch < s->whole || (epoch == s->whole && s->limit > 0);
}

static int
changed(const struct blend_source *s, struct err *err)
{
	return err_set(err, ERR_IO, "%.*s: a file changed while it was read", STR_ARG(s->name));
}

/* The next record that is taken, in the order of the files.  Return 1, 0 at the end, -1. */
static int
pull(struct blend_source *s, str *line, struct err *err)
{
	struct blend_run *r = s->run;

	while (more_epochs(s, r->epoch)) {
		int got;

		if (r->lines == NULL && (r->lines = lines_open(s->file, s->nfiles, err)) == NULL)
			return -1;
		if ((got = lines_next(r->lines, line, err)) < 0)
			return -1;
		if (got == 0) {
			if (r->at != s->nlines)
				return changed(s, err);
			lines_close(r->lines);
			r->lines = NULL;
			r->epoch++;
			r->at = 0;
			continue;
		}
		if (r->at == s->nlines)
			return changed(s, err);
		r->entry = blend_entry(s, r->at++);
		if (r->entry.size == BLEND_SKIP ||
		    (r->epoch == s->whole && r->entry.hash >= s->limit))
			continue;
		return line->p != NULL ? 1 : changed(s, err);
	}
	return 0;
}

/* Before a line in the sorter is its size. */
static int
add_sorted(struct blend *m, int source, str line, struct err *err)
{
	struct blend_source *s = &m->source[source];
	const struct blend_run *r = s->run;
	struct sorter_key key = { (uint64_t)r->epoch, 0 };
	int64_t i = r->at - 1;

	if (m->sort_key.p != NULL)
		key = (struct sorter_key){ s->key[i / BLEND_PIECE][i % BLEND_PIECE], key.a };
	else
		key.b = rng_u64((uint64_t)m->seed, hash64(s->name) + key.a, (uint64_t)i);
	buf_reset(&m->line);
	buf_add(&m->line, (str){ (const char *)&r->entry.size, sizeof(r->entry.size) });
	buf_add(&m->line, line);
	if (buf_ok(&m->line, err) < 0)
		return -1;
	return sorter_add(m->sorter, source, key, buf_str(&m->line), err);
}

static int
begin(struct blend *m, struct err *err)
{
	struct blend_run *run = arena_new(m->arena, struct blend_run, m->n, err);

	if (run == NULL)
		return -1;
	for (int i = 0; i < m->n; i++)
		m->source[i].run = &run[i];
	if (!m->shuffle && m->sort_key.p == NULL)
		return 0;
	m->sorter = sorter_new(m->work, m->memory - m->memory / 4, m->n, err);
	if (m->sorter == NULL)
		return -1;
	for (int i = 0; i < m->n; i++) {
		int got;
		str line;

		while ((got = pull(&m->source[i], &line, err)) > 0)
			if (add_sorted(m, i, line, err) < 0)
				return -1;
		if (got < 0)
			return -1;
	}
	return sorter_end(m->sorter, err);
}

/* Have the source's next record ready, unless it is dry.  Return 0 or -1. */
static int
prepare(struct blend *m, int source, struct err *err)
{
	struct blend_source *s = &m->source[source];
	struct blend_run *r = s->run;
	uint32_t size;
	int got;

	if (r->ready || r->dry)
		return 0;
	if (m->sorter == NULL) {
		got = pull(s, &r->line, err);
		r->size = r->entry.size;
	} else if ((got = sorter_next(m->sorter, source, &r->line, err)) > 0) {
		memcpy(&size, r->line.p, sizeof(size));
		r->line = (str){ r->line.p + sizeof(size), r->line.n - (ptrdiff_t)sizeof(size) };
		r->size = size;
	}
	r->ready = got > 0;
	r->dry = got == 0;
	return got < 0 ? -1 : 0;
}

/* ---- which source is next ---- */

static int
stage_at(const struct blend *m, double *begins)
{
	double sum = 0, at = 0;
	int stage;

	if (m->nstages == 1) {
		*begins = 0;
		return 0;
	}
	for (int i = 0; i < m->nstages; i++)
		sum += m->stage != NULL ? m->stage[i] : 1;
	for (stage = 0; stage < m->nstages - 1; stage++) {
		double part = (m->stage != NULL ? m->stage[stage] : 1) / sum;

		if ((double)m->taken < (at + part) * (double)m->size)
			break;
		at += part;
	}
	*begins = at * (double)m->size;
	return stage;
}

/* What the source should have given before this stage, and in it. */
static double
due(const struct blend *m, const struct blend_source *s, int stage, double begins)
{
	double sum = 0, x = s->share[stage] * ((double)m->taken - begins);

	for (int i = 0; i < m->nstages; i++)
		sum += m->stage != NULL ? m->stage[i] : 1;
	for (int i = 0; i < stage; i++)
		x += s->share[i] * (m->stage != NULL ? m->stage[i] : 1) / sum * (double)m->size;
	return x;
}

/*
 * With e[j] what source j lacks of its share p[j], a record of size n of source i makes
 * it e[j] + p[j] n, and for i itself less by n.  The sum of the squares grows by
 *	2 n (sum(e p) - e[i]) + n^2 (1 + sum(p^2) - 2 p[i]).
 * Return the source for which that is least, or -1 when all are dry.
 */
static int
next_source(const struct blend *m)
{
	double begins, ep = 0, pp = 0, least = 0;
	int stage = stage_at(m, &begins), best = -1;

	for (int i = 0; i < m->n; i++) {
		const struct blend_source *s = &m->source[i];
		double p = s->share[stage];

		ep += p * (due(m, s, stage, begins) - (double)s->run->got);
		pp += p * p;
	}
	for (int i = 0; i < m->n; i++) {
		const struct blend_source *s = &m->source[i];
		double n = (double)s->run->size, e, grows;

		if (!s->run->ready)
			continue;
		e = due(m, s, stage, begins) - (double)s->run->got;
		grows = 2 * n * (ep - e) + n * n * (1 + pp - 2 * s->share[stage]);
		if (best < 0 || grows < least) {
			best = i;
			least = grows;
		}
	}
	return best;
}

/* Write the source's name into a line. */
static int
put_name(struct blend *m, const struct blend_source *s, str *line, struct err *err)
{
	struct json_set set = { .key = m->source_key };

	buf_reset(&m->line);
	json_quote(&m->line, s->name);
	set.value = buf_str(&m->line);
	buf_reset(&m->named);
	if (buf_ok(&m->line, err) < 0 || json_splice(&m->named, *line, &set, 1, err) < 0)
		return -1;
	*line = buf_str(&m->named);
	return 0;
}

int
blend_next(struct blend *m, str *line, struct err *err)
{
	struct blend_run *r;
	int best;

	if (m->source[0].run == NULL && begin(m, err) < 0)
		return -1;
	for (int i = 0; i < m->n; i++)
		if (prepare(m, i, err) < 0)
			return -1;
	if ((best = next_source(m)) < 0)
		return 0;
	r = m->source[best].run;
	r->ready = false;
	r->got += r->size;
	m->taken += r->size;
	*line = r->line;
	if (m->source_key.p != NULL && put_name(m, &m->source[best], line, err) < 0)
		return -1;
	return 1;
}

void
blend_free(struct blend *m)
{
	for (int i = 0; i < m->n; i++) {
		struct blend_source *s = &m->source[i];

		if (s->run != NULL)
			lines_close(s->run->lines);
		free(s->entry);
		free(s->key);
	}
	sorter_free(m->sorter);
	spill_free(&m->spill);
	buf_free(&m->line);
	buf_free(&m->named);
}
