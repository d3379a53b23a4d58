#include "tool/labelled.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/progress.h"
#include "text/sample.h"

enum { MEMBER_ID, MEMBER_LABEL };

/* What a thread has. */
struct state {
	struct buf		name;
	struct classifier_state	apply;
};

/* What is known of a text, in the batch's scratch. */
struct found {
	struct features	features;
	const float	*p;
	str		 label;
	bool		 held_out;
};

struct reader {
	struct labelled	*l;
	str		 label;		/* of all records; p NULL: of their key */
	struct progress	 progress;
	uint64_t	 limit;
	bool		 holds;
};

static void
state_free(void *state)
{
	struct state *s = state;

	buf_free(&s->name);
	classifier_state_free(&s->apply);
}

/* A string's text, or a number, true or false as it stands. */
static int
find_label(const struct reader *x, struct state *s, struct record *r, str *label, struct err *err)
{
	str value = r->member[MEMBER_LABEL].value;

	*label = x->label;
	if (label->p != NULL)
		return 0;
	if (value.p == NULL)
		return err_set(err, ERR_FORMAT, "no key '%.*s'", STR_ARG(x->l->key));
	if (value.p[0] == '"') {
		if (json_text(value, &s->name, label, err) < 0)
			return -1;
	} else if (value.p[0] == '{' || value.p[0] == '[' || str_eq(value, S("null"))) {
		return err_set(err, ERR_FORMAT, "key '%.*s' is no label", STR_ARG(x->l->key));
	} else {
		*label = value;
	}
	if (memchr(label->p, '\0', (size_t)label->n) != NULL || label->n == 0)
		return err_set(err, ERR_FORMAT, "key '%.*s' is no label", STR_ARG(x->l->key));
	*label = arena_str(r->scratch, *label, err);
	return label->p != NULL ? 0 : -1;
}

/* Copy what was computed to where it lives until the sink saw it. */
static int
find_text(const struct reader *x, struct state *s, struct record *r, struct found *f,
    struct err *err)
{
	const struct classifier *c = x->l->classifier;
	const struct features *now = &s->apply.features;

	if (c != NULL) {
		float *p = arena_new(r->scratch, float, c->nlabels, err);
		int got = p == NULL ? -1 : classifier_apply(c, &s->apply, r->text, err);

		if (got > 0)
			memcpy(p, s->apply.p, (size_t)c->nlabels * sizeof(*p));
		f->p = p;
		return got < 0 ? -1 : 0;
	}
	if (features_of(&x->l->features, r->text, &s->apply.features, err) < 0)
		return -1;
	f->features.n = now->n;
	if (now->n == 0)
		return 0;
	f->features.id = arena_new(r->scratch, uint32_t, now->n, err);
	if (f->features.id == NULL)
		return -1;
	memcpy(f->features.id, now->id, (size_t)now->n * sizeof(*now->id));
	return 0;
}

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct reader *x = ctx;
	struct state *s = state;
	struct found *f = arena_new(r->scratch, struct found, 1, err);
	str id;
	int got;

	if (f == NULL || find_label(x, s, r, &f->label, err) < 0)
		return RECORD_BAD;
	if ((got = sample_id(r->member[MEMBER_ID].value, &s->name, &id, err)) < 0)
		return RECORD_BAD;
	f->held_out = x->holds &&
	    hash64_seed(got > 0 ? id : r->text, (uint64_t)x->l->seed) <= x->limit;
	if (x->l->classifier != NULL && classifier_label(x->l->classifier, f->label) < 0) {
		err_set(err, ERR_FORMAT, "the classifier does not know the label '%.*s'",
		    STR_ARG(f->label));
		return RECORD_BAD;
	}
	if (find_text(x, s, r, f, err) < 0)
		return RECORD_BAD;
	r->tag[0] = (uint64_t)(uintptr_t)f;
	return RECORD_KEEP;
}

/* The place of a label among the sorted ones, there or to be. */
static int
place_of(const struct labelled *l, str label, bool *there)
{
	int low = 0, high = l->nlabels;

	*there = false;
	while (low < high) {
		int at = low + (high - low) / 2;
		str s = str_of(l->label[l->sorted[at]]);
		int order = memcmp(s.p, label.p, (size_t)(s.n < label.n ? s.n : label.n));

		if (order == 0)
			order = s.n < label.n ? -1 : s.n > label.n;
		if (order == 0) {
			*there = true;
			return at;
		}
		if (order < 0)
			low = at + 1;
		else
			high = at;
	}
	return low;
}

/* The number of a label; a new one gets the next. */
static int
number_of(struct labelled *l, str label, struct err *err)
{
	bool there;
	int at = place_of(l, label, &there);

	if (there)
		return l->sorted[at];
	if (l->nlabels == CLASSIFIER_LABELS)
		return err_set(err, ERR_LIMIT, "more than %d labels", CLASSIFIER_LABELS);
	if (l->nlabels == l->cap) {
		int cap = l->cap > 0 ? 2 * l->cap : 16;
		char **p = realloc(l->label, (size_t)cap * sizeof(*p));
		int *q;

		if (p != NULL)
			l->label = p;
		if ((q = realloc(l->sorted, (size_t)cap * sizeof(*q))) != NULL)
			l->sorted = q;
		if (p == NULL || q == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->cap = cap;
	}
	if ((l->label[l->nlabels] = strndup(label.p, (size_t)label.n)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memmove(&l->sorted[at + 1], &l->sorted[at], (size_t)(l->nlabels - at) * sizeof(*l->sorted));
	l->sorted[at] = l->nlabels;
	return l->nlabels++;
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	struct reader *x = ctx;
	struct labelled *l = x->l;
	const struct found *f = (const struct found *)(uintptr_t)r->tag[0];
	int label = l->classifier != NULL ? classifier_label(l->classifier, f->label) :
	    number_of(l, f->label, err);

	if (label < 0)
		return -1;
	return l->each(l->ctx, label, f->held_out, &f->features, f->p, err);
}

static void
show(void *ctx, int64_t records, int64_t done, int64_t total)
{
	struct reader *x = ctx;

	tool_progress_of(&x->progress, x->l->count.read + records, "records", done, total,
	    x->l->io->quiet, x->l->io->verbose);
}

static void
complain(void *ctx, const char *message)
{
	if (!((struct reader *)ctx)->l->io->quiet)
		tool_warn("%s", message);
}

/* The files of one label, or of none. */
static int
read_files(struct reader *x, struct team *team, const struct records_io *io, char **file, int n,
    struct err *err)
{
	const str keys[] = { S("id"), x->l->key };
	struct records_job job = {
		.ctx = x, .field = filter_field(x->l->io), .keys = keys, .nkeys = 2,
		.map = map, .sink = sink, .state_size = sizeof(struct state),
		.state_free = state_free,
	};
	struct records_count count;
	int ret = records_run(team, &job, io, file, n, NULL, &count, err);

	x->l->count.read += count.read;
	x->l->count.bad += count.bad;
	x->l->count.text_in += count.text_in;
	return ret;
}

static int
read_words(struct reader *x, struct team *team, const struct records_io *io, char **word,
    struct err *err)
{
	int i = 0, from;

	do {
		str w = word[i] != NULL ? str_of(word[i]) : S("");

		x->label = (str){ NULL, 0 };
		if (w.n > 1 && w.p[w.n - 1] == '=') {
			x->label = (str){ w.p, w.n - 1 };
			if (word[++i] == NULL)
				return err_set(err, ERR_ARG, "%s: no files follow", w.p);
		}
		from = i;
		while (word[i] != NULL && (i == from || !str_ends(str_of(word[i]), S("="))))
			i++;
		if (read_files(x, team, io, word + from, i - from, err) < 0)
			return -1;
	} while (word[i] != NULL);
	return 0;
}

int
labelled_read(struct labelled *l, char **words, struct err *err)
{
	const struct filter_opts *o = l->io;
	struct reader x = { .l = l };
	struct records_io io = {
		.progress = show, .complain = complain, .ctx = &x,
		.keep_going = o->keep_going || o->bad != NULL || tool_given("max-bad"),
	};
	struct team *team = team_new(tool_threads(o->threads, 1), err);
	int ret;

	x.holds = sample_limit(l->held_out, &x.limit);
	progress_start(&x.progress, o->verbose ? 1 : 0.25);
	if (team == NULL)
		return -1;
	if (o->bad != NULL && (io.bad = out_open(o->bad, (struct codec_spec){ 0 }, err)) == NULL) {
		team_free(team);
		return -1;
	}
	ret = read_words(&x, team, &io, words, err);
	team_free(team);
	tool_progress(NULL, o->quiet, o->verbose);
	if (io.bad != NULL && ret < 0)
		out_abort(io.bad);
	else if (io.bad != NULL)
		ret = out_commit(io.bad, err);
	return ret;
}

void
labelled_free(struct labelled *l)
{
	for (int i = 0; i < l->nlabels; i++)
		free(l->label[i]);
	free(l->label);
	free(l->sorted);
}
