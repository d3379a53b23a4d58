#include "eval/ranker.h"

#include <math.h>

static int
by_likeness(const struct ranker *r, struct ranker_state *s, str text, struct ranked *v,
    struct err *err)
{
	static const char *const third[] = { "tail", "middle", "head" };
	int got = surprise_of(r->surprise, &s->surprise, text, &v->score, err);

	v->rank = -(double)INFINITY;
	if (got <= 0)
		return got;
	v->rank = (double)(float)-v->score;
	v->label = third[(v->rank >= r->cut[0]) + (v->rank >= r->cut[1])];
	return 0;
}

int
ranker_judge(const struct ranker *r, struct ranker_state *s, str text, struct ranked *v,
    struct err *err)
{
	const struct classifier *c = r->classifier;
	int best = r->kept >= 0 ? r->kept : 0, got;
	const float *p;

	*v = (struct ranked){ 0 };
	if (r->surprise != NULL)
		return by_likeness(r, s, text, v, err);
	if ((got = classifier_apply(c, &s->classifier, text, err)) <= 0)
		return got;
	p = s->classifier.p;
	for (int i = 0; i < c->nlabels && r->kept < 0; i++)
		if (p[i] >= p[best])	/* of equals the last, as fastText does */
			best = i;
	v->label = c->label[best];
	v->score = v->rank = (double)p[best];
	return 0;
}

void
ranker_state_free(struct ranker_state *s)
{
	classifier_state_free(&s->classifier);
	surprise_state_free(&s->surprise);
}
