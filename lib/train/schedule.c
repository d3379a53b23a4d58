#include "train/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
	[SCHEDULE_COSINE] = "cosine",
	[SCHEDULE_LINEAR] = "linear",
	[SCHEDULE_WSD] = "wsd",
	[SCHEDULE_CONSTANT] = "constant",
};

int
schedule_parse(const char *name, enum schedule_shape *shape, struct err *err)
{
	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
		if (strcmp(name, names[i]) == 0) {
			*shape = (enum schedule_shape)i;
			return 0;
		}
	}
	return err_set(err, ERR_ARG,
	    "unknown schedule '%s': cosine, linear, wsd or constant", name);
}

const char *
schedule_name(enum schedule_shape shape)
{
	return names[shape];
}

/* 1 - sqrt(what is left of the decay part), from its first step to the last. */
static double
wsd_fall(const struct schedule *s, int64_t step)
{
	double part = s->decay * (double)s->steps;
	double left = (double)(s->steps - 1 - step);

	return left < part - 1 ? sqrt((part - 1 - left) / (part - 1)) : 0;
}

double
schedule_rate(const struct schedule *s, int64_t step)
{
	double at = 1, span = (double)(s->steps - s->warmup), fall = 0;

	if (s->shape == SCHEDULE_RISING)
		return s->peak * pow(s->floor, 1 - (double)step / fmax(1, (double)(s->steps - 1)));
	if (step < s->warmup)
		return s->peak * (double)(step + 1) / (double)s->warmup;
	if (span > 1 && (double)(step - s->warmup) < span - 1)
		at = (double)(step - s->warmup) / (span - 1);
	switch (s->shape) {
	case SCHEDULE_COSINE:
		fall = 0.5 * (1 - cos(3.14159265358979323846 * at));
		break;
	case SCHEDULE_LINEAR:
		fall = at;
		break;
	case SCHEDULE_WSD:
		fall = wsd_fall(s, step < s->steps ? step : s->steps - 1);
		break;
	case SCHEDULE_CONSTANT:
	case SCHEDULE_RISING:
		break;
	}
	return s->peak * (1 - (1 - s->floor) * fall);
}

int
ramp_parse(const char *text, struct ramp *r, struct err *err)
{
	const char *p = text;

	*r = (struct ramp){ 0 };
	while (p != NULL) {
		struct ramp_part part;
		char *end;

		part.tokens = strtoll(p, &end, 10);
		if (end == p || *end != ':' || part.tokens < 1)
			return err_set(err, ERR_ARG, "'%s' does not begin with TOKENS:STEPS", p);
		p = end + 1;
		part.steps = strtoll(p, &end, 10);
		if (end == p || (*end != '\0' && *end != ',') || part.steps < 1 ||
		    part.steps > INT64_MAX / part.tokens / RAMP_PARTS)
			return err_set(err, ERR_ARG, "'%s' does not begin with a number of "
			    "steps", p);
		if (r->n == RAMP_PARTS)
			return err_set(err, ERR_LIMIT, "more than %d parts", RAMP_PARTS);
		r->part[r->n++] = part;
		p = *end == ',' ? end + 1 : NULL;
	}
	return 0;
}

int64_t
ramp_tokens(const struct ramp *r, int64_t batch, int64_t step)
{
	for (int i = 0; i < r->n; i++) {
		if (step < r->part[i].steps)
			return r->part[i].tokens;
		step -= r->part[i].steps;
	}
	return batch;
}

int64_t
ramp_before(const struct ramp *r, int64_t batch, int64_t step)
{
	int64_t tokens = 0;

	for (int i = 0; i < r->n; i++) {
		int64_t n = step < r->part[i].steps ? step : r->part[i].steps;

		tokens += n * r->part[i].tokens;
		step -= n;
	}
	return tokens + step * batch;
}

int64_t
ramp_steps(const struct ramp *r, int64_t batch, double tokens)
{
	int64_t steps = 0;

	for (int i = 0; i < r->n; i++) {
		double all = (double)r->part[i].tokens * (double)r->part[i].steps;

		if (tokens <= all)
			return steps + (int64_t)ceil(tokens / (double)r->part[i].tokens);
		tokens -= all;
		steps += r->part[i].steps;
	}
	return steps + (int64_t)ceil(tokens / (double)batch);
}
