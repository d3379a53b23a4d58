#include <math.h>
#include <stdlib.h>

#include "text/blend_impl.h"

#define BUCKETS	((int64_t)1 << 16)

/* ---- how much of each ---- */

static double
most_of(const struct blend *m, const struct blend_source *s)
{
	return (s->most > 0 ? s->most : m->epochs) * (double)s->size;
}

/* The shares of one stage: weights to the power of 1 / temperature, of which the sum is 1. */
static int
stage_shares(struct blend *m, int stage, struct err *err)
{
	double sum = 0;

	for (int i = 0; i < m->n; i++) {
		struct blend_source *s = &m->source[i];
		double w = s->weight[s->nweights > 1 ? stage : 0];

		if (w < 0)
			w = (double)s->size;
		if (s->size == 0 && w > 0 && m->fill)
			w = 0;
		s->share[stage] = w > 0 ? pow(w, 1 / m->temperature) : 0;
		sum += s->share[stage];
	}
	if (!(sum > 0) || !isfinite(sum))
		return err_set(err, ERR_ARG, "%s of stage %d", sum > 0 ? "too large weights" :
		    "no source has a weight above 0, so there is nothing", stage + 1);
	for (int i = 0; i < m->n; i++)
		m->source[i].share[stage] /= sum;
	return 0;
}

static double
stage_part(const struct blend *m, int stage)
{
	double sum = 0;

	if (m->stage == NULL)
		return 1.0 / m->nstages;
	for (int i = 0; i < m->nstages; i++)
		sum += m->stage[i];
	return m->stage[stage] / sum;
}

static int
shares(struct blend *m, struct err *err)
{
	for (int i = 0; i < m->n; i++) {
		m->source[i].share = arena_new(m->arena, double, m->nstages, err);
		if (m->source[i].share == NULL)
			return -1;
	}
	for (int stage = 0; stage < m->nstages; stage++)
		if (stage_shares(m, stage, err) < 0)
			return -1;
	for (int i = 0; i < m->n; i++) {
		m->source[i].asked = 0;
		for (int stage = 0; stage < m->nstages; stage++)
			m->source[i].asked += m->source[i].share[stage] * stage_part(m, stage);
	}
	return 0;
}

/* How much there is when the first source has been taken as often as it may be. */
static double
all_there_is(const struct blend *m)
{
	double all = HUGE_VAL;

	for (int i = 0; i < m->n; i++)
		if (m->source[i].asked > 0)
			all = fmin(all, most_of(m, &m->source[i]) / m->source[i].asked);
	return floor(all);
}

static int
too_little(const struct blend *m, const struct blend_source *s, double want, struct err *err)
{
	return err_set(err, ERR_ARG, "%.*s: %.0f %s are asked for, and %lld are there: "
	    "%.4g epochs, of at most %.4g", STR_ARG(s->name), want, blend_unit_name(m->unit),
	    (long long)s->size, want / (double)s->size, most_of(m, s) / (double)s->size);
}

/*
 * What each source gives of so much: its share, or all that it may when that is less, and
 * then the others share the rest among them as before.
 */
static int
amounts(struct blend *m, double all, double *want, struct err *err)
{
	double left = all, sum = 1;
	bool again = true;

	for (int i = 0; i < m->n; i++)
		want[i] = -1;
	while (again) {
		double had = left, parts = sum;

		again = false;
		for (int i = 0; i < m->n; i++) {
			const struct blend_source *s = &m->source[i];
			double part = parts > 0 ? had * s->asked / parts : 0;
			double most = most_of(m, s);

			if (want[i] >= 0 || part <= most * (1 + 1e-12))
				continue;
			if (!m->fill)
				return too_little(m, s, part, err);
			want[i] = most;
			left -= most;
			sum -= s->asked;
			again = true;
		}
	}
	m->lacks = left > 1 && sum < 1e-9;
	for (int i = 0; i < m->n; i++)
		if (want[i] < 0)
			want[i] = sum > 0 ? left * m->source[i].asked / sum : 0;
	return 0;
}

/* ---- which records ---- */

/* The sizes of the hashes that begin with high, by the 16 bits behind it; -1: by the first. */
static void
count_hashes(const struct blend_source *s, int64_t high, int64_t *sum)
{
	memset(sum, 0, (size_t)BUCKETS * sizeof(*sum));
	for (int64_t i = 0; i < s->nlines; i++) {
		struct blend_entry e = blend_entry(s, i);

		if (e.size == BLEND_SKIP)
			continue;
		if (high < 0)
			sum[e.hash >> 16] += e.size;
		else if (e.hash >> 16 == high)
			sum[e.hash & 0xffff] += e.size;
	}
}

/* The first bucket at whose end the sum is want or more; *before it, the sum. */
static int64_t
reach(const int64_t *sum, double want, int64_t *before)
{
	int64_t at = 0;

	while (at < BUCKETS - 1 && (double)(*before + sum[at]) < want)
		*before += sum[at++];
	return at;
}

/* The limit below which hashes have a size as near to want as can be. */
static uint64_t
limit_of(const struct blend_source *s, double want, int64_t *sum)
{
	int64_t before = 0, high, low;

	count_hashes(s, -1, sum);
	high = reach(sum, want, &before);
	count_hashes(s, high, sum);
	low = reach(sum, want, &before);
	if ((double)(before + sum[low]) - want <= want - (double)before)
		low++;
	return (uint64_t)(high << 16) + (uint64_t)low;
}

static void
choose(struct blend_source *s, double want, int64_t *sum)
{
	double n = (double)s->size, rest;
	int64_t records = 0, size = 0;

	s->whole = n > 0 ? (int64_t)floor(want / n + 1e-9) : 0;
	rest = want - (double)s->whole * n;
	s->limit = 0;
	if (s->times >= 0)
		s->limit = (uint64_t)ldexp(fmax(0, s->times - (double)s->whole), 32);
	else if (rest >= 0.5)
		s->limit = limit_of(s, rest, sum);
	for (int64_t i = 0; i < s->nlines && s->limit > 0; i++) {
		struct blend_entry e = blend_entry(s, i);

		if (e.size == BLEND_SKIP || e.hash >= s->limit)
			continue;
		records++;
		size += e.size;
	}
	s->records_out = s->whole * s->records + records;
	s->size_out = s->whole * s->size + size;
	s->epochs = n > 0 ? (double)s->size_out / n : 0;
}

/* Shares as they came out, so that all sources end together. */
static void
settle_shares(struct blend *m)
{
	m->size = m->records = 0;
	for (int i = 0; i < m->n; i++) {
		m->size += m->source[i].size_out;
		m->records += m->source[i].records_out;
	}
	for (int stage = 0; stage < m->nstages; stage++) {
		double sum = 0;

		for (int i = 0; i < m->n; i++) {
			struct blend_source *s = &m->source[i];

			if (m->nstages == 1)
				s->share[0] = (double)s->size_out;
			else if (s->asked > 0)
				s->share[stage] *= (double)s->size_out / s->asked;
			sum += s->share[stage];
		}
		for (int i = 0; i < m->n && sum > 0; i++)
			m->source[i].share[stage] /= sum;
	}
}

/* Every source is to give something: is there anything? */
static int
check_sources(const struct blend *m, struct err *err)
{
	for (int i = 0; i < m->n; i++) {
		const struct blend_source *s = &m->source[i];
		bool asked = s->times > 0;

		for (int k = 0; k < s->nweights; k++)
			asked = asked || (s->times < 0 && s->weight[k] > 0);
		if (asked && s->size == 0 && !m->fill)
			return err_set(err, ERR_ARG, "%.*s: %s", STR_ARG(s->name),
			    s->records == 0 ? "no records" : "records, but nothing in them");
	}
	return 0;
}

static int
by_weight(struct blend *m, double *want, struct err *err)
{
	double sum = 0;

	for (int i = 0; i < m->n; i++)
		sum += (double)m->source[i].size;
	/* No records at all, and none asked for. */
	if (sum == 0 && m->wanted == 0)
		return 0;
	if (shares(m, err) < 0)
		return -1;
	return amounts(m, m->wanted > 0 ? (double)m->wanted : all_there_is(m), want, err);
}

int
blend_plan(struct blend *m, struct err *err)
{
	double *want = arena_new(m->arena, double, m->n, err);
	int64_t *sum = arena_new(m->arena, int64_t, BUCKETS, err);
	double all = 0;
	bool times = m->n > 0 && m->source[0].times >= 0;

	if (want == NULL || sum == NULL || check_sources(m, err) < 0)
		return -1;
	for (int i = 0; i < m->n; i++) {
		m->source[i].share = arena_new(m->arena, double, m->nstages, err);
		if (m->source[i].share == NULL)
			return -1;
		if (times)
			want[i] = m->source[i].times * (double)m->source[i].size;
		all += want[i];
	}
	if (!times && by_weight(m, want, err) < 0)
		return -1;
	for (int i = 0; i < m->n; i++) {
		if (times)
			m->source[i].asked = all > 0 ? want[i] / all : 0;
		choose(&m->source[i], want[i], sum);
	}
	settle_shares(m);
	return 0;
}
