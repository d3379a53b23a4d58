#include "tool/teach.h"

#include <stdlib.h>

#include "eval/roc.h"
#include "fmt/provenance.h"
#include "tool/labelled.h"

struct teacher {
	const struct teach *t;
	struct labelled	 labelled;
	struct lessons	 lessons, out;
	struct outcome	 outcome;
	json_t		*losses;
};

static void
write_stats(const struct teacher *x, const struct tool *tool, json_t *stats)
{
	const struct labelled *l = &x->labelled;
	const char *path = x->t->io->stats != NULL ? x->t->io->stats : "-";
	struct err err;

	if (json_object_set_new(stats, "tool", json_string(tool->name)) < 0 ||
	    json_object_set_new(stats, "version", json_string(VERSION)) < 0 ||
	    json_object_set_new(stats, "records_in", json_integer(l->count.read)) < 0 ||
	    json_object_set_new(stats, "bad", json_integer(l->count.bad)) < 0)
		tool_die("out of memory");
	if (json_doc_save(path, stats, &err) < 0)
		tool_fail(NULL, &err);
}

/* Read the records; each() gets them. */
static void
read_records(struct teacher *x, char **words)
{
	const struct teach *t = x->t;
	struct labelled *l = &x->labelled;
	struct err err;

	l->io = t->io;
	l->key = str_of(t->label_key);
	l->seed = t->train.seed;
	l->features = t->train.features;
	l->ctx = x;
	if (labelled_read(l, words, &err) < 0)
		tool_fail(NULL, &err);
}

static int
end(struct teacher *x)
{
	const struct records_count *n = &x->labelled.count;
	bool many = n->bad > 0 && (double)n->bad > x->t->io->max_bad * (double)n->read;

	labelled_free(&x->labelled);
	return tool_finish(many ? TOOL_NO : 0);
}

/* ---- training ---- */

static int
take_lesson(void *ctx, int label, bool held_out, const struct features *f, const float *p,
    struct err *err)
{
	struct teacher *x = ctx;

	(void)p;
	return lessons_add(held_out ? &x->out : &x->lessons, f, label, err);
}

static void
told_epoch(void *ctx, int epoch, double loss)
{
	struct teacher *x = ctx;

	json_array_append_new(x->losses, json_real(loss));
	if (x->t->io->verbose)
		tool_warn("epoch %d: loss %.6f", epoch + 1, loss);
}

/* Labels in byte order, and lessons with their numbers in it. */
static char **
order_labels(struct teacher *x)
{
	const struct labelled *l = &x->labelled;
	char **label = calloc((size_t)l->nlabels + 1, sizeof(*label));
	int *to = calloc((size_t)l->nlabels + 1, sizeof(*to));

	if (label == NULL || to == NULL)
		tool_die("out of memory");
	for (int i = 0; i < l->nlabels; i++) {
		label[i] = l->label[l->sorted[i]];
		to[l->sorted[i]] = i;
	}
	lessons_relabel(&x->lessons, to);
	lessons_relabel(&x->out, to);
	free(to);
	return label;
}

/* Calibrate on what was held out, and see how it does there. */
static json_t *
try_held_out(struct teacher *x, struct classifier *c)
{
	struct classifier_state s = { 0 };
	json_t *report;
	struct err err;
	int label, got;

	if ((x->out.n > 0 && classifier_calibrate(c, &x->out, &err) < 0) ||
	    outcome_begin(&x->outcome, c->label, c->nlabels, &err) < 0)
		tool_fail(NULL, &err);
	for (int64_t i = 0; i < x->out.n; i++) {
		got = classifier_lesson(c, &s, &x->out, i, &label, &err);
		if (got < 0 || outcome_add(&x->outcome, label, got > 0 ? s.p : NULL, &err) < 0)
			tool_fail(NULL, &err);
	}
	classifier_state_free(&s);
	if ((report = outcome_end(&x->outcome)) == NULL)
		tool_die("out of memory");
	return report;
}

static void
save(const struct teacher *x, const struct tool *tool, const struct classifier *c)
{
	const struct teach *t = x->t;
	struct err err;
	json_t *p = provenance_new(tool->name, VERSION, &err), *o;
	struct buf text = { 0 };

	if (p == NULL)
		tool_fail(NULL, &err);
	o = provenance_options(p);
	json_object_set_new(o, "seed", json_integer(t->train.seed));
	json_object_set_new(o, "epochs", json_integer(t->train.epochs));
	json_object_set_new(o, "rate", json_real(t->train.rate));
	json_object_set_new(o, "held_out", json_real(t->held_out));
	json_object_set_new(o, "records", json_integer(x->lessons.n));
	json_object_set_new(o, "records_held_out", json_integer(x->out.n));
	if (provenance_text(p, &text, &err) < 0)
		tool_fail(NULL, &err);
	buf_byte(&text, '\0');
	if (buf_ok(&text, &err) < 0 || classifier_save(c, t->model, text.p, &err) < 0)
		tool_fail(NULL, &err);
	buf_free(&text);
	json_decref(p);
}

int
teach_train(struct teach *t, const struct tool *tool, char **words)
{
	struct teacher x = { .t = t, .labelled = { .each = take_lesson, .held_out = t->held_out } };
	struct classifier *c;
	json_t *stats, *report;
	struct err err;
	char **label;

	spill_init(&x.lessons.spill, tool_work(t->work), t->memory);
	spill_init(&x.out.spill, tool_work(t->work), t->memory / 4);
	read_records(&x, words);
	if (x.labelled.nlabels < 2)
		tool_die("%s label, and a classifier needs two", x.labelled.nlabels == 0 ? "no" :
		    "one");
	label = order_labels(&x);
	t->train.label = label;
	t->train.nlabels = x.labelled.nlabels;
	t->train.epoch = told_epoch;
	t->train.ctx = &x;
	x.losses = json_array();
	if ((c = classifier_train(&t->train, &x.lessons, &err)) == NULL)
		tool_fail(NULL, &err);
	report = try_held_out(&x, c);
	save(&x, tool, c);
	stats = json_pack("{s:I,s:I,s:I,s:o,s:f,s:f,s:o}", "records", (json_int_t)x.lessons.n,
	    "records_held_out", (json_int_t)x.out.n, "features",
	    (json_int_t)x.lessons.features, "loss", x.losses, "slope", c->slope, "shift",
	    c->shift, "held_out", report);
	if (stats == NULL)
		tool_die("out of memory");
	if (t->io->verbose && x.out.n > 0)
		tool_warn("%lld records held out, %.4f of them labelled rightly",
		    (long long)x.out.n, (double)x.outcome.right / (double)x.out.n);
	if (t->io->stats != NULL)
		write_stats(&x, tool, stats);
	json_decref(stats);
	lessons_free(&x.lessons);
	lessons_free(&x.out);
	classifier_free(c);
	free(label);
	return end(&x);
}

/* ---- trying ---- */

static int
take_try(void *ctx, int label, bool held_out, const struct features *f, const float *p,
    struct err *err)
{
	struct teacher *x = ctx;

	(void)held_out;
	(void)f;
	return outcome_add(&x->outcome, label, p, err);
}

int
teach_test(struct teach *t, const struct tool *tool, const struct classifier *c, char **words)
{
	struct teacher x = { .t = t, .labelled = { .each = take_try, .classifier = c } };
	struct err err;
	json_t *report;

	if (outcome_begin(&x.outcome, c->label, c->nlabels, &err) < 0)
		tool_fail(NULL, &err);
	read_records(&x, words);
	if ((report = outcome_end(&x.outcome)) == NULL)
		tool_die("out of memory");
	write_stats(&x, tool, report);
	json_decref(report);
	return end(&x);
}
