#include "text/judge.h"

#include <math.h>

#include "base/json.h"
#include "text/signals.h"

/* Families of which a list is there; -1 when a condition asks for one that is not. */
static int
find_lists(const struct judge *j, unsigned *families, struct err *err)
{
	const struct quality *q = &j->quality;

	*families = 0;
	for (int i = 0; i < QUALITY_RULES; i++) {
		int list = quality_list_of(i);

		if (list >= 0 && quality_has_list(q, list))
			*families |= 1u << quality_family_of(i);
		else if (list >= 0 && rules_ask(&j->rules, i))
			return err_set(err, ERR_ARG, "no list for %.*s was given", q->name[i].n,
			    q->name[i].p);
	}
	return 0;
}

int
judge_plan(struct judge *j, struct err *err)
{
	struct quality *q = &j->quality;
	unsigned asked = rules_families(&j->rules), lists;

	if (find_lists(j, &lists, err) < 0)
		return -1;
	for (int i = 0; i < QUALITY_RULES; i++) {
		unsigned family = 1u << quality_family_of(i);
		int list = quality_list_of(i);

		if (!q->on[i])
			continue;
		asked |= family;
		if (list >= 0 && (lists & family) == 0)
			return err_set(err, ERR_ARG, "no list for %s was given",
			    quality_rules[i].name);
		q->on[i] = list < 0 || quality_has_list(q, list);
	}
	if (asked == 0 && !j->signals)
		return err_set(err, ERR_ARG, "no rule is selected");
	j->families = j->signals ? SIGNALS_FAMILIES : asked & SIGNALS_FAMILIES;
	j->url = (asked >> FAMILY_URL & 1) != 0;
	j->by_values = j->signals || j->rules.n > 0;
	return 0;
}

void
judge_free(struct judge *j)
{
	quality_free(&j->quality);
	rules_free(&j->rules);
}

void
judge_state_free(struct judge_state *s)
{
	quality_state_free(&s->quality);
	buf_free(&s->url);
	buf_free(&s->tags);
}

/* Values that were stored, or all that are needed, or the selected rules' verdict. */
static int
look(const struct judge *j, struct judge_state *s, const struct judge_record *r,
    struct judge_finding *x, struct err *err)
{
	const struct quality *q = &j->quality;
	struct quality_verdict *v = &x->verdict;

	x->stored = r->signals.p != NULL &&
	    signals_read(q, r->signals, r->text, j->families, x->value) == 1;
	if (x->stored) {
		*v = (struct quality_verdict){ .rule = -1, .text = r->text };
		if (j->url && quality_url_values(q, &s->quality, x->value, err) < 0)
			return -1;
	} else if (!j->by_values) {
		return quality_judge(q, &s->quality, r->text, v, err);
	} else if (quality_signals(q, &s->quality, r->text,
	    j->families | (j->url ? 1u << FAMILY_URL : 0), x->value, v, err) < 0) {
		return -1;
	}
	if (!j->signals)
		quality_apply(q, x->value, v);
	return 0;
}

/* The file's lines in order, until one keeps or drops. */
static int
act(const struct judge *j, struct judge_state *s, struct judge_finding *x, struct err *err)
{
	const struct rules_line *l;
	int at = 0;

	buf_reset(&s->tags);
	while ((l = rules_next(&j->rules, &at, x->value)) != NULL) {
		if (l->action != RULES_TAG) {
			x->line = l;
			break;
		}
		buf_fmt(&s->tags, "%s\"%s\"", s->tags.n > 0 ? "," : "", l->tag);
	}
	if (buf_ok(&s->tags, err) < 0)
		return -1;
	x->tags = buf_str(&s->tags);
	return x->line == NULL || x->line->action == RULES_KEEP;
}

int
judge_text(const struct judge *j, struct judge_state *s, const struct judge_record *r,
    struct judge_finding *x, struct err *err)
{
	x->line = NULL;
	x->tags = S("");
	s->quality.url = S("");
	if (j->url && r->url.n > 0 && r->url.p[0] == '"' &&
	    json_text(r->url, &s->url, &s->quality.url, err) < 0)
		return -1;
	if (look(j, s, r, x, err) < 0)
		return -1;
	if (j->signals || x->verdict.rule >= 0 || j->rules.n == 0)
		return x->verdict.rule < 0;
	return act(j, s, x, err);
}

void
judge_write(struct buf *b, const struct judge *j, const struct judge_finding *x)
{
	int rule = x->verdict.rule;
	const char *comma = "";

	buf_byte(b, '{');
	if (x->line != NULL && x->line->action == RULES_DROP) {
		const struct rules_condition *c = &x->line->condition[0];
		const struct quality_name *name = &j->quality.name[c->rule];

		buf_fmt(b, "\"line\":%d,\"rule\":\"%.*s\",\"value\":%.6g,\"limit\":%.6g",
		    x->line->number, name->n, name->p, x->value[c->rule], c->limit);
		comma = ",";
	} else if (rule >= 0) {
		buf_fmt(b, "\"rule\":\"%s\",\"value\":%.6g,\"limit\":%.6g",
		    quality_rules[rule].name, x->verdict.value, j->quality.limit[rule]);
		comma = ",";
	}
	if (x->tags.n > 0) {
		buf_fmt(b, "%s\"tags\":[", comma);
		buf_add(b, x->tags);
		buf_byte(b, ']');
	}
	buf_byte(b, '}');
}
