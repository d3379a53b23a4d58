#include "eval/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/stream.h"

/* Values beyond are refused, and logarithms of ones below 1 / HUGEST left out. */
#define HUGEST 1e100

/* Keys that are read in every line, before those that are plotted. */
enum { KEY_STEP, KEY_TOKENS, KEY_SKIPPED, KEY_VALID, KEY_OURS };

static const struct {
	const char	*key, *label;
} known[] = {
	{ "loss", "loss, nats a token" },
	{ "valid_loss", "loss, nats a token" },
	{ "bits_per_byte", "bits per byte" },
	{ "norm", "norm of the gradient" },
	{ "rate", "learning rate" },
	{ "tokens", "tokens a step" },
	{ "tokens_per_second", "tokens a second" },
	{ "mfu", "MFU" },
};

static const char *
label_of(str key, char *s, size_t size)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_eq(key, str_of(known[i].key)))
			return known[i].label;
	snprintf(s, size, "%.*s", STR_ARG(key));
	return s;
}

struct plot *
plot_new(const struct plot_options *o, struct err *err)
{
	struct plot *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	p->o = *o;
	if (o->nkeys == 0) {
		p->o.key[0] = S("loss");
		p->o.key[1] = S("valid_loss");
		p->o.nkeys = 2;
	}
	p->curve = calloc((size_t)(PLOT_LOGS * p->o.nkeys), sizeof(p->curve[0]));
	p->skipped = calloc(PLOT_LOGS, sizeof(p->skipped[0]));
	if (p->curve == NULL || p->skipped == NULL) {
		plot_free(p);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return p;
}

void
plot_free(struct plot *p)
{
	if (p == NULL)
		return;
	for (int i = 0; p->curve != NULL && i < p->nlogs * p->o.nkeys; i++) {
		buf_free(&p->curve[i].points);
		buf_free(&p->curve[i].smooth);
	}
	for (int i = 0; p->skipped != NULL && i < p->nlogs; i++)
		buf_free(&p->skipped[i]);
	free(p->curve);
	free(p->skipped);
	free(p);
}

/* ---- reading ---- */

static void
add(struct buf *points, double x, double y)
{
	struct plot_point p = { x, y };

	buf_add(points, (str){ (const char *)&p, (ptrdiff_t)sizeof(p) });
}

/* Drop what a log said of this x and beyond before it came back to it. */
static void
go_back(struct buf *points, double x)
{
	const struct plot_point *p = plot_points(points);
	int64_t n = plot_count(points);

	while (n > 0 && p[n - 1].x >= x)
		n--;
	points->n = n * (ptrdiff_t)sizeof(*p);
}

/* A value that may be missing or null: 1 when it is there, 0, -1. */
static int
value(str key, str raw, double *x, struct err *err)
{
	struct err why;

	if (!json_given(raw))
		return 0;
	if (json_number(raw, x, &why) < 0 || !(fabs(*x) < HUGEST))
		return err_set(err, ERR_FORMAT, "'%.*s' is no number", STR_ARG(key));
	return 1;
}

/* One line of log l; *total counts its tokens. */
static int
read_line(struct plot *p, int l, str line, double *total, struct err *err)
{
	str key[KEY_OURS + PLOT_KEYS] = { S("step"), S("tokens"), S("skipped"), S("valid_loss") };
	struct json_member m[KEY_OURS + PLOT_KEYS];
	struct plot_curve *c = p->curve + l * p->o.nkeys;
	double step, tokens = 0, x, y[PLOT_KEYS];
	int has[PLOT_KEYS], got;

	memcpy(key + KEY_OURS, p->o.key, (size_t)p->o.nkeys * sizeof(key[0]));
	if (json_scan(line, key, KEY_OURS + p->o.nkeys, m, err) < 0)
		return -1;
	if ((got = value(key[KEY_STEP], m[KEY_STEP].value, &step, err)) <= 0)
		return got;
	if (value(key[KEY_TOKENS], m[KEY_TOKENS].value, &tokens, err) < 0)
		return -1;
	for (int k = 0; k < p->o.nkeys; k++)
		if ((has[k] = value(p->o.key[k], m[KEY_OURS + k].value, &y[k], err)) < 0)
			return -1;
	*total += tokens;
	x = p->o.tokens ? *total : step;
	/* A step, not a validation after it: what was beyond is void. */
	if (m[KEY_TOKENS].value.p != NULL)
		for (int k = 0; k <= p->o.nkeys; k++)
			go_back(k < p->o.nkeys ? &c[k].points : &p->skipped[l], x);
	if (m[KEY_SKIPPED].value.p != NULL) {
		go_back(&p->skipped[l], x);
		add(&p->skipped[l], x, 0);
		return buf_ok(&p->skipped[l], err);
	}
	for (int k = 0; k < p->o.nkeys; k++) {
		if (!has[k])
			continue;
		c[k].sparse = m[KEY_VALID].value.p != NULL;
		go_back(&c[k].points, x);
		add(&c[k].points, x, y[k]);
		if (buf_ok(&c[k].points, err) < 0)
			return -1;
	}
	return 0;
}

/* "runs/a/log.jsonl" is of run "a", "b.jsonl" of "b". */
static void
name_of(const char *path, char *name, size_t size)
{
	str s = str_of(path);

	if (str_ends(s, S("/log.jsonl")))
		s.n -= S("/log.jsonl").n;
	else if (str_ends(s, S(".jsonl")))
		s.n -= S(".jsonl").n;
	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	for (ptrdiff_t i = s.n; i-- > 0; )
		if (s.p[i] == '/' && i + 1 < s.n) {
			s = (str){ s.p + i + 1, s.n - i - 1 };
			break;
		}
	if (strcmp(path, "-") == 0)
		s = S("stdin");
	snprintf(name, size, "%.*s", STR_ARG(s));
}

static int
bad_line(struct plot *p, const char *path, int64_t number, struct err *err)
{
	err_wrap(err, "%s:%lld", strcmp(path, "-") == 0 ? "stdin" : path, (long long)number);
	if (!p->o.keep_going || err->code != ERR_FORMAT)
		return -1;
	p->bad++;
	if (p->o.complain != NULL)
		p->o.complain(p->o.ctx, err->msg);
	return 0;
}

int
plot_read(struct plot *p, const char *path, struct err *err)
{
	struct arena a;
	struct err why;
	double total = 0;
	int64_t number = 0;
	int l = p->nlogs, ret = 0;
	str rest;

	if (l == PLOT_LOGS)
		return err_set(err, ERR_LIMIT, "more than %d logs", PLOT_LOGS);
	if (arena_init(&a, 2 * PLOT_LOG_MAX, err) < 0)
		return -1;
	p->path[l] = path;
	name_of(path, p->log[l], sizeof(p->log[l]));
	p->nlogs++;
	if ((rest = file_slurp(&a, path, PLOT_LOG_MAX, err)).p == NULL)
		ret = -1;
	while (ret == 0 && rest.n > 0) {
		bool whole = memchr(rest.p, '\n', (size_t)rest.n) != NULL;
		str line = str_cut(&rest, '\n');

		number++;
		if (read_line(p, l, line, &total, &why) < 0 &&
		    (whole || why.code != ERR_FORMAT) &&
		    (ret = bad_line(p, path, number, &why)) < 0)
			*err = why;
	}
	arena_free(&a);
	return ret;
}

/* ---- axes ---- */

static double
scaled(const struct plot_axis *a, double v)
{
	return a->log ? log10(v) : v;
}

bool
plot_place(const struct plot_axis *a, double v, double *at)
{
	if (a->log && v <= 0)
		return false;
	*at = (scaled(a, v) - scaled(a, a->lo)) / (scaled(a, a->hi) - scaled(a, a->lo));
	return *at >= -1e-9 && *at <= 1 + 1e-9;
}

/* step: between ticks, which says how many digits tell them apart. */
static void
label(struct plot_tick *t, double step, double largest)
{
	static const char *const unit[] = { "", "k", "M", "G", "T" };
	int u = 0, digits;

	/* 5000 stays, 20k and 5M do not. */
	while (u < 4 && largest >= (u == 0 ? 1e4 : 1e3)) {
		largest /= 1000;
		step /= 1000;
		u++;
	}
	digits = step > 0 ? (int)ceil(-log10(step) - 1e-9) : 0;
	/* 2.5 needs one digit more than its size says. */
	if (digits >= 0 && fabs(step * pow(10, digits) - round(step * pow(10, digits))) > 1e-6)
		digits++;
	if (t->at == 0)
		snprintf(t->label, sizeof(t->label), "0");
	else if (digits > 5 || largest >= 1e4)
		snprintf(t->label, sizeof(t->label), "%.4g", t->at);
	else
		snprintf(t->label, sizeof(t->label), "%.*f%s", digits > 0 ? digits : 0,
		    t->at / pow(1000, u), unit[u]);
}

static double
round_step(double raw)
{
	double mag = pow(10, floor(log10(raw))), part = raw / mag;

	return mag * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 2.5 ? 2.5 : part <= 5 ? 5 : 10);
}

static void
ticks_linear(struct plot_axis *a, int want, double least)
{
	double step = fmax(round_step((a->hi - a->lo) / want), least);
	double largest = fmax(fabs(a->lo), fabs(a->hi));

	a->nticks = 0;
	for (double k = ceil(a->lo / step - 1e-9); k * step <= a->hi + 1e-9 * step &&
	    a->nticks < PLOT_TICKS; k++) {
		struct plot_tick *t = &a->tick[a->nticks++];

		t->at = k == 0 ? 0 : k * step;
		label(t, step, largest);
	}
}

/* 1, 2 and 5 of each decade, or 1 of some decades when there are many. */
static void
ticks_log(struct plot_axis *a, int want)
{
	static const double part[] = { 1, 2, 5 };
	double decades = log10(a->hi / a->lo);
	int parts = decades * 3 <= want ? 3 : 1, every = 1;

	while (decades / every > want)
		every++;
	a->nticks = 0;
	for (double d = floor(log10(a->lo)); d <= ceil(log10(a->hi)); d += every)
		for (int i = 0; i < parts; i++) {
			double at = part[i] * pow(10, d);

			if (at < a->lo * (1 - 1e-9) || at > a->hi * (1 + 1e-9) ||
			    a->nticks == PLOT_TICKS)
				continue;
			a->tick[a->nticks].at = at;
			snprintf(a->tick[a->nticks].label, sizeof(a->tick[0].label),
			    "%g", at);
			a->nticks++;
		}
}

void
plot_axis(struct plot_axis *a, double lo, double hi, int want, double least)
{
	if (want > PLOT_TICKS - 2)
		want = PLOT_TICKS - 2;
	if (hi - lo <= 1e-9 * fabs(hi)) {
		double half = a->log ? 0.1 * lo : fmax(fabs(lo) * 0.05, least > 0 ? 1 : 1e-9);

		lo -= half;
		hi += half;
	}
	a->lo = lo;
	a->hi = hi;
	if (a->log)
		ticks_log(a, want);
	/* A logarithmic axis of less than a decade is divided evenly. */
	if (!a->log || a->nticks < 3)
		ticks_linear(a, want, least);
}

/* Widen *lo to *hi to the points of a curve that its axis can show. */
static void
widen(const struct buf *points, bool log_y, double *lo, double *hi, double *x_lo, double *x_hi)
{
	const struct plot_point *p = plot_points(points);

	for (int64_t i = 0; i < plot_count(points); i++) {
		if (log_y && p[i].y < 1 / HUGEST)
			continue;
		*lo = fmin(*lo, p[i].y);
		*hi = fmax(*hi, p[i].y);
		*x_lo = fmin(*x_lo, p[i].x);
		*x_hi = fmax(*x_hi, p[i].x);
	}
}

static int
axes(struct plot *p, struct err *err)
{
	double x_lo = HUGE_VAL, x_hi = -HUGE_VAL;

	for (int i = 0; i < p->npanels; i++) {
		struct plot_axis *y = &p->panel[i].y;
		double lo = HUGE_VAL, hi = -HUGE_VAL, pad;

		y->log = p->o.log_y;
		for (int c = 0; c < p->ncurves; c++)
			if (p->curve[c].panel == i)
				widen(&p->curve[c].points, y->log, &lo, &hi, &x_lo, &x_hi);
		if (lo > hi)
			return err_set(err, ERR_FORMAT, "no value of '%s' is above 0, so "
			    "none has a logarithm", p->panel[i].label);
		pad = y->log ? pow(hi / lo, 0.04) : (hi - lo) * 0.04;
		/* What is never negative starts no lower than 0. */
		if (y->log)
			plot_axis(y, lo / pad, hi * pad, 7, 0);
		else
			plot_axis(y, lo >= 0 ? fmax(lo - pad, 0) : lo - pad, hi + pad, 7, 0);
	}
	plot_axis(&p->x, x_lo, x_hi, 8, 1);
	snprintf(p->x_label, sizeof(p->x_label), "%s", p->o.tokens ? "tokens" : "step");
	return 0;
}

/* ---- the whole ---- */

/*
 * The mean of the n steps around each, which does not lag behind as a mean of
 * the last n would.  Near the first steps, where a loss falls steeply, the
 * window is narrower; at the end it is cut off on the right.
 */
static int
smooth(struct plot_curve *c, int64_t n, struct err *err)
{
	const struct plot_point *p = plot_points(&c->points);
	int64_t all = plot_count(&c->points), from = 0, to = 0;
	double sum = 0;

	for (int64_t i = 0; i < all; i++) {
		int64_t half = i < n / 2 ? i : n / 2;

		for (; to < all && to <= i + half; to++)
			sum += p[to].y;
		for (; from < i - half; from++)
			sum -= p[from].y;
		add(&c->smooth, p[i].x, sum / (double)(to - from));
	}
	return buf_ok(&c->smooth, err);
}

/* A skipped step is marked at the height of the curve before it. */
static void
mark_skipped(struct plot *p, int l)
{
	const struct buf *points = &p->curve[l * p->o.nkeys].points;
	const struct plot_point *c = plot_points(points);
	struct plot_point *s = (struct plot_point *)(void *)p->skipped[l].p;
	int64_t n = plot_count(points), at = 0;

	for (int64_t i = 0; i < plot_count(&p->skipped[l]); i++) {
		while (at + 1 < n && c[at + 1].x <= s[i].x)
			at++;
		s[i].y = n > 0 ? c[at].y : 0;
	}
}

/* When two runs have one name, all go by their paths. */
static void
name_logs(struct plot *p)
{
	bool twice = false;

	for (int i = 0; i < p->nlogs; i++)
		for (int j = 0; j < i; j++)
			twice |= strcmp(p->log[i], p->log[j]) == 0;
	for (int i = 0; twice && i < p->nlogs; i++)
		snprintf(p->log[i], sizeof(p->log[i]), "%s", p->path[i]);
}

static int
panels(struct plot *p, struct err *err)
{
	char own[PLOT_NAME];

	for (int k = 0; k < p->o.nkeys; k++) {
		const char *text = label_of(p->o.key[k], own, sizeof(own));
		int64_t n = 0;
		int i = 0;

		for (int l = 0; l < p->nlogs; l++)
			n += plot_count(&p->curve[l * p->o.nkeys + k].points);
		if (n == 0 && (p->o.nkeys == 1 || k == 0 || !str_eq(p->o.key[k], S("valid_loss"))))
			return err_set(err, ERR_FORMAT, "%s: no step has a value of '%.*s'",
			    p->nlogs != 1 ? "logs" : strcmp(p->path[0], "-") == 0 ? "stdin" :
			    p->path[0], STR_ARG(p->o.key[k]));
		while (i < p->npanels && strcmp(p->panel[i].label, text) != 0)
			i++;
		if (i == p->npanels)
			snprintf(p->panel[p->npanels++].label, PLOT_NAME, "%s", text);
		for (int l = 0; l < p->nlogs; l++)
			p->curve[l * p->o.nkeys + k].panel = i;
	}
	return 0;
}

int
plot_finish(struct plot *p, struct err *err)
{
	name_logs(p);
	if (panels(p, err) < 0)
		return -1;
	p->ncurves = p->nlogs * p->o.nkeys;
	for (int i = 0; i < p->ncurves; i++) {
		struct plot_curve *c = &p->curve[i];

		c->log = i / p->o.nkeys;
		c->key = i % p->o.nkeys;
		snprintf(c->name, sizeof(c->name), "%s%s%.*s", p->nlogs > 1 ? p->log[c->log] : "",
		    p->nlogs > 1 ? " " : "", STR_ARG(p->o.key[c->key]));
		if (p->o.smooth > 1 && !c->sparse && smooth(c, p->o.smooth, err) < 0)
			return -1;
	}
	for (int l = 0; l < p->nlogs; l++)
		mark_skipped(p, l);
	return axes(p, err);
}
