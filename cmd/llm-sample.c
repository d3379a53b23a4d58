/*
 * llm-sample - take records by rate or by count
 *
 * A record is taken or not by a hash of its id, or of its text when it has no
 * id, and the seed: the same choice in any order, on any number of threads,
 * and file by file as in one run.  A rate takes the hashes below a limit, in
 * one pass.  A count takes exactly the n smallest: a first pass finds the
 * limit (16 bytes a record taken), the second is the pass of a rate.  Input
 * that cannot be read twice is kept in a temporary file for that.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "text/sample.h"
#include "tool/filter.h"
#include "tool/reread.h"

struct sample {
	struct filter_opts io;
	int64_t		 seed;		/* -s */
	double		 rate;		/* -n 2%; below 0: a count */
	int64_t		 count;		/* -n 1000 */
	struct sample_key last;		/* the greatest that is taken */
	int64_t		 equal;		/* records with that very key left to take */
	struct smallest	 smallest;	/* of the first pass */
	bool		 all, none;
};

static int
parse_n(void *into, const char *arg, struct err *err)
{
	static const char suffix[] = "kMGT";
	struct sample *s = into;
	char *end;
	double x = strtod(arg, &end);
	const char *unit = *end != '\0' ? strchr(suffix, *end) : NULL;

	if (end == arg || !isfinite(x) || x < 0)
		return err_set(err, ERR_ARG, "'%s' is neither a count nor a rate like 2%%", arg);
	if (strcmp(end, "%") == 0) {
		if (x > 100)
			return err_set(err, ERR_ARG, "%s is more than all", arg);
		s->rate = x / 100;
		return 0;
	}
	if (unit != NULL && end[1] == '\0')
		x *= pow(1000, (double)(unit - suffix + 1));
	else if (*end != '\0')
		return err_set(err, ERR_ARG, "'%s' is neither a count nor a rate like 2%%", arg);
	if (x != floor(x) || x > 1e15)
		return err_set(err, ERR_ARG, "'%s' is no count (a rate is written 2%%)", arg);
	s->rate = -1;
	s->count = (int64_t)x;
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 'n', .name = "count", .type = OPT_CALL, .arg = "count|rate%",
	  .help = "take this many records, or this rate of them", .call = parse_n },
	{ .letter = 's', .name = "seed", .type = OPT_I64, .at = offsetof(struct sample, seed),
	  .arg = "seed", .help = "choose others with another seed (0)" },
	FILTER_OPTIONS(struct sample, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-sample",
	.synopsis = "-n count|rate% [file ...]",
	.summary  = "take records by rate or by count",
	.opts     = opts,
};

enum { MEMBER_ID, MEMBER_TEXT };

static void
buf_state_free(void *state)
{
	buf_free(state);
}

/* The id's text, or else the text's.  Return 0 or -1. */
static int
identity(const struct record *r, struct buf *b, str *what, struct err *err)
{
	str text = r->member[MEMBER_TEXT].value;
	int got = sample_id(r->member[MEMBER_ID].value, b, what, err);

	if (got != 0)
		return got < 0 ? -1 : 0;
	if (text.p == NULL)
		return err_set(err, ERR_FORMAT, "no key 'id' and no text");
	return json_text(text, b, what, err);
}

static int
take(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct sample *s = ctx;
	struct sample_key k;
	str what;

	if (s->all || s->none) {
		if (r->member[MEMBER_ID].value.p == NULL && r->member[MEMBER_TEXT].value.p == NULL)
			return err_set(err, ERR_FORMAT, "no key 'id' and no text");
		return s->all ? RECORD_KEEP : RECORD_DROP;
	}
	if (identity(r, state, &what, err) < 0)
		return RECORD_BAD;
	k.id = hash64_seed(what, (uint64_t)s->seed);
	if (k.id != s->last.id)
		return k.id < s->last.id ? RECORD_KEEP : RECORD_DROP;
	k.line = s->rate < 0 ? hash64(r->line) : 0;
	r->tag[0] = k.id;
	r->tag[1] = k.line;
	return sample_less(s->last, k) ? RECORD_DROP : RECORD_KEEP;
}

/* Of equal records at the limit only so many are taken. */
static int
take_equal(void *ctx, struct record *r, struct err *err)
{
	struct sample *s = ctx;

	(void)err;
	if (r->tag[0] != s->last.id || r->tag[1] != s->last.line)
		return RECORD_KEEP;
	return s->equal-- > 0 ? RECORD_KEEP : RECORD_DROP;
}

static int
first_map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct sample *s = ctx;
	str what;

	if (identity(r, state, &what, err) < 0)
		return RECORD_BAD;
	r->tag[0] = hash64_seed(what, (uint64_t)s->seed);
	r->tag[1] = hash64(r->line);
	return RECORD_KEEP;
}

static int
first_sink(void *ctx, struct record *r, struct err *err)
{
	struct sample *s = ctx;

	return smallest_add(&s->smallest, (struct sample_key){ r->tag[0], r->tag[1] }, err);
}

/* Find the limit that takes s->count records of files. */
static void
first_pass(struct sample *s, char **files, int n, const str *keys)
{
	struct records_job job = {
		.ctx = s, .keys = keys, .nkeys = 2, .map = first_map, .sink = first_sink,
		.state_size = sizeof(struct buf), .state_free = buf_state_free,
	};
	struct records_io io = {
		.keep_going = s->io.keep_going || s->io.bad != NULL || tool_given("max-bad"),
	};
	struct records_count count;
	struct err err = { 0 };
	struct team *team = team_new(tool_threads(s->io.threads, 1), &err);

	s->smallest.n = s->count;
	if (team == NULL || records_run(team, &job, &io, files, n, NULL, &count, &err) < 0)
		tool_fail(NULL, &err);
	team_free(team);
	s->all = s->smallest.held < s->count || count.kept == s->count;
	s->last = smallest_last(&s->smallest, &s->equal);
	smallest_free(&s->smallest);
}

int
main(int argc, char **argv)
{
	struct sample s = { .rate = -1, .count = -1 };
	char **files = tool_start(&tool, argc, argv, &s);
	str keys[2] = { S("id"), filter_field(&s.io) };
	struct records_job job = {
		.ctx = &s, .keys = keys, .nkeys = 2, .map = take,
		.state_size = sizeof(struct buf), .state_free = buf_state_free,
	};
	int n = 0;

	if (s.rate < 0 && s.count < 0)
		tool_usage("-n is missing: how many records?");
	while (files[n] != NULL)
		n++;
	if (s.rate >= 0) {
		s.all = s.rate >= 1;
		s.none = !sample_limit(s.rate, &s.last.id);
		s.last.line = UINT64_MAX;
	} else if (s.count == 0) {
		s.none = true;
	} else {
		off_t start = reread_prepare(files, n, NULL);

		first_pass(&s, files, n, keys);
		reread_stdin(start);
		if (!s.all)
			job.order = take_equal;
		s.io.across = true;
	}
	return filter_main(&tool, &s.io, files, &job);
}
