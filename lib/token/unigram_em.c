#include <math.h>
#include <stdlib.h>

#include "text/unicode.h"
#include "token/unigram_train_impl.h"

#define TASK	4096			/* parts, or pieces, that a thread takes at once */
#define NODES	(PART_MAX + 8)		/* places in a part */
#define RARE	0.5			/* pieces that are there less often are dropped */

/* A piece in a part: from the place at to the place end. */
struct edge {
	int32_t	at, end, id;
};

/* What a thread has. */
struct worker {
	int64_t		*sum;		/* of each piece */
	struct edge	*edge;
	int64_t		 n;
	double		*forward, *backward, *rest;	/* of each place */
	int32_t		*last;		/* the edge that leads best to a place */
};

struct lattice {
	struct subwords	*pieces;
	const struct corpus *c;
	struct darts	 trie;
	struct worker	*worker;
	int		 workers;
	double		 scale;		/* sums are integers, this many to one */
	double		*loss;		/* of each piece */
	double		 total;		/* of all sums */
};

/* ---- begin and end ---- */

static int
build_trie(struct lattice *l, struct err *err)
{
	struct darts_key *key = malloc((size_t)(l->pieces->n + 1) * sizeof(*key));
	int ret;

	if (key == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for pieces");
	for (int64_t i = 0; i < l->pieces->n; i++)
		key[i] = (struct darts_key){ l->pieces->piece[i].text, (int32_t)i };
	ret = darts_build(&l->trie, key, l->pieces->n, err);
	free(key);
	return ret;
}

static bool
worker_init(struct worker *w, int64_t pieces)
{
	w->sum = calloc((size_t)pieces + 1, sizeof(*w->sum));
	w->edge = malloc(NODES * PIECE_CHARS * sizeof(*w->edge));
	w->forward = malloc(NODES * sizeof(*w->forward));
	w->backward = malloc(NODES * sizeof(*w->backward));
	w->rest = malloc(NODES * sizeof(*w->rest));
	w->last = malloc(NODES * sizeof(*w->last));
	return w->sum != NULL && w->edge != NULL && w->forward != NULL && w->backward != NULL &&
	    w->rest != NULL && w->last != NULL;
}

static int
lattice_init(struct lattice *l, struct subwords *p, const struct corpus *c, struct team *team,
    struct err *err)
{
	*l = (struct lattice){ .pieces = p, .c = c, .workers = team_size(team) };
	l->scale = ldexp(1, 61 - ilogb((double)c->total + 1));
	if ((l->worker = calloc((size_t)l->workers, sizeof(*l->worker))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < l->workers; i++)
		if (!worker_init(&l->worker[i], p->n))
			return err_set(err, ERR_NOMEM, "out of memory for pieces");
	return build_trie(l, err);
}

static void
lattice_free(struct lattice *l)
{
	for (int i = 0; l->worker != NULL && i < l->workers; i++) {
		struct worker *w = &l->worker[i];

		free(w->sum);
		free(w->edge);
		free(w->forward);
		free(w->backward);
		free(w->rest);
		free(w->last);
	}
	free(l->worker);
	free(l->loss);
	darts_free(&l->trie);
}

/* The sums of all threads in those of the first. */
static const int64_t *
add_up(struct lattice *l)
{
	for (int64_t k = 0; k < l->pieces->n; k++) {
		for (int i = 1; i < l->workers; i++)
			l->worker[0].sum[k] += l->worker[i].sum[k];
		l->total += (double)l->worker[0].sum[k];
	}
	return l->worker[0].sum;
}

/* ---- lattices ---- */

/* All pieces in text but one; they ascend by where they begin. */
static void
find_edges(const struct lattice *l, struct worker *w, str text, int64_t but)
{
	w->n = 0;
	for (ptrdiff_t at = 0; at < text.n; at++) {
		uint32_t node = darts_root(&l->trie);
		int32_t id;

		if (((uint8_t)text.p[at] & 0xc0) == 0x80)
			continue;
		for (ptrdiff_t i = at; i < text.n &&
		    darts_step(&l->trie, &node, (uint8_t)text.p[i], &id); i++)
			if (id >= 0 && id != but)
				w->edge[w->n++] = (struct edge){ (int32_t)at, (int32_t)i + 1, id };
	}
}

/* Add exp(x) to a sum that is exp(*most) * *rest. */
static void
add_log(double *most, double *rest, double x)
{
	if (*rest == 0) {
		*most = x;
		*rest = 1;
	} else if (x <= *most) {
		*rest += exp(x - *most);
	} else {
		*rest = *rest * exp(*most - x) + 1;
		*most = x;
	}
}

/* All ways from the begin to each place; the logarithm of their sum at the end. */
static double
all_ways(const struct lattice *l, struct worker *w, int32_t n)
{
	int32_t place = 0;

	memset(w->rest, 0, (size_t)(n + 1) * sizeof(*w->rest));
	w->forward[0] = 0;
	for (int64_t i = 0; i < w->n; i++) {
		const struct edge *e = &w->edge[i];

		if (e->at > place) {
			place = e->at;
			w->forward[place] += log(w->rest[place]);
		}
		add_log(&w->forward[e->end], &w->rest[e->end],
		    w->forward[e->at] + l->pieces->piece[e->id].score);
	}
	return w->forward[n] + log(w->rest[n]);
}

/* Add up how often each piece is there, over all ways to cut the part. */
static void
expect(const struct lattice *l, struct worker *w, const struct part *part)
{
	double all, count = (double)part->count * l->scale;

	find_edges(l, w, (str){ l->c->text + part->at, part->n }, -1);
	all = all_ways(l, w, part->n);
	memset(w->rest, 0, (size_t)(part->n + 1) * sizeof(*w->rest));
	w->backward[part->n] = 0;
	for (int64_t i = w->n - 1; i >= 0; i--) {
		const struct edge *e = &w->edge[i];
		double x = l->pieces->piece[e->id].score + w->backward[e->end];

		w->sum[e->id] += (int64_t)(exp(w->forward[e->at] + x - all) * count + 0.5);
		add_log(&w->backward[e->at], &w->rest[e->at], x);
		if (i == 0 || w->edge[i - 1].at < e->at)
			w->backward[e->at] += log(w->rest[e->at]);
	}
}

/* The best way through the edges to place n: false when there is none. */
static bool
best_way(const struct lattice *l, struct worker *w, int32_t n)
{
	for (int32_t i = 1; i <= n; i++)
		w->last[i] = -1;
	w->forward[0] = 0;
	for (int32_t i = 0; i < w->n; i++) {
		const struct edge *e = &w->edge[i];
		double x;

		if (e->at > 0 && w->last[e->at] < 0)
			continue;
		x = w->forward[e->at] + l->pieces->piece[e->id].score;
		if (w->last[e->end] < 0 || x > w->forward[e->end]) {
			w->forward[e->end] = x;
			w->last[e->end] = i;
		}
	}
	return w->last[n] >= 0;
}

/* ---- the steps ---- */

static int64_t
tasks(int64_t n)
{
	return (n + TASK - 1) / TASK;
}

static void
expect_task(void *ctx, int64_t task, int member)
{
	const struct lattice *l = ctx;

	for (int64_t i = task * TASK; i < (task + 1) * TASK && i < l->c->nparts; i++)
		expect(l, &l->worker[member], &l->c->part[i]);
}

/* By its asymptotic series. */
static double
digamma(double x)
{
	double y = 0, z;

	for (; x < 7; x++)
		y -= 1 / x;
	x -= 0.5;
	z = 1 / (x * x);
	return y + log(x) +
	    z * (1.0 / 24 - z * (7.0 / 960 - z * (31.0 / 8064 - z * 127.0 / 30720)));
}

int
em_step(struct subwords *p, const struct corpus *c, struct team *team, double *tokens,
    struct err *err)
{
	struct lattice l;
	const int64_t *sum;
	int64_t n = 0;
	double all = 0;

	if (lattice_init(&l, p, c, team, err) < 0) {
		lattice_free(&l);
		return -1;
	}
	team_run(team, tasks(c->nparts), expect_task, &l);
	sum = add_up(&l);
	for (int64_t i = 0; i < p->n; i++) {
		struct subword *w = &p->piece[i];
		double times = (double)sum[i] / l.scale;

		if (times < RARE && !w->single)
			continue;
		times = times < RARE ? RARE : times;
		all += times;
		p->piece[n] = *w;
		p->piece[n++].score = digamma(times);
	}
	p->n = n;
	for (int64_t i = 0; i < n; i++)
		p->piece[i].score -= digamma(all);
	*tokens = l.total / l.scale;
	lattice_free(&l);
	return 0;
}

/* Count the pieces of the best way to cut each part. */
static void
best_task(void *ctx, int64_t task, int member)
{
	const struct lattice *l = ctx;
	struct worker *w = &l->worker[member];

	for (int64_t i = task * TASK; i < (task + 1) * TASK && i < l->c->nparts; i++) {
		const struct part *part = &l->c->part[i];

		find_edges(l, w, (str){ l->c->text + part->at, part->n }, -1);
		if (!best_way(l, w, part->n))
			continue;
		for (int32_t at = part->n; at > 0; at = w->edge[w->last[at]].at)
			w->sum[w->edge[w->last[at]].id] += part->count;
	}
}

/* What the likelihood of the corpus loses without a piece, when others stand in for it. */
static double
loss_of(const struct lattice *l, struct worker *w, const int64_t *times, int64_t i)
{
	const struct subword *p = &l->pieces->piece[i];
	int32_t n = (int32_t)p->text.n;
	double mine = (double)times[i], others = 0, all, k = 0;

	find_edges(l, w, p->text, i);
	if (p->single || !best_way(l, w, n))
		return HUGE_VAL;
	if (times[i] == 0 || w->forward[n] > p->score)
		return -HUGE_VAL;
	for (int32_t at = n; at > 0; at = w->edge[w->last[at]].at)
		k++;
	all = log(l->total + mine * (k - 1));
	for (int32_t at = n; at > 0; at = w->edge[w->last[at]].at)
		others += log((double)times[w->edge[w->last[at]].id] + mine) - all;
	return mine / (double)l->c->weight * (log(mine) - log(l->total) - others);
}

static void
loss_task(void *ctx, int64_t task, int member)
{
	const struct lattice *l = ctx;

	for (int64_t i = task * TASK; i < (task + 1) * TASK && i < l->pieces->n; i++)
		l->loss[i] = loss_of(l, &l->worker[member], l->worker[0].sum, i);
}

static int
by_loss(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* Keep n pieces, of equal ones at the limit the first; single characters always. */
static int
keep_best(struct lattice *l, int64_t n, struct err *err)
{
	struct subwords *p = l->pieces;
	double *sorted = malloc((size_t)(p->n + 1) * sizeof(*sorted)), least;
	int64_t kept = 0, equal = n;

	if (sorted == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for pieces");
	memcpy(sorted, l->loss, (size_t)p->n * sizeof(*sorted));
	qsort(sorted, (size_t)p->n, sizeof(*sorted), by_loss);
	least = sorted[n < p->n ? n - 1 : p->n - 1];
	for (int64_t i = 0; i < n && i < p->n && sorted[i] > least; i++)
		equal--;
	free(sorted);
	for (int64_t i = 0; i < p->n; i++) {
		bool keep = l->loss[i] > least || (l->loss[i] == least && equal-- > 0);

		if ((keep && l->loss[i] > -HUGE_VAL) || p->piece[i].single)
			p->piece[kept++] = p->piece[i];
	}
	p->n = kept;
	return 0;
}

int
prune_pieces(struct subwords *p, const struct corpus *c, int64_t n, struct team *team,
    struct err *err)
{
	struct lattice l;
	int ret = lattice_init(&l, p, c, team, err);

	if (ret == 0 && (l.loss = malloc((size_t)(p->n + 1) * sizeof(*l.loss))) == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory for pieces");
	if (ret == 0) {
		team_run(team, tasks(c->nparts), best_task, &l);
		add_up(&l);
		team_run(team, tasks(p->n), loss_task, &l);
		ret = keep_best(&l, n, err);
	}
	lattice_free(&l);
	return ret;
}
