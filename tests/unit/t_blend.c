/*
 * Mixtures: shares at every point of the output, against the blended index of
 * Megatron-LM's rule; how often sources are taken; supersets; what is missing.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/sorter.h"
#include "text/blend_impl.h"
#include "../tap.h"

#define SOURCES 8

static char dir[] = "/tmp/t_blend.XXXXXX";

/* Source i: n records of sizes up to so much. */
static void
make_source(int i, int n, int longest)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d", dir, i);
	if ((f = fopen(path, "w")) == NULL)
		abort();
	for (int k = 0; k < n; k++)
		fprintf(f, "{\"id\":\"%d-%d\",\"token_count\":%d,\"source\":%d}\n%s", i, k,
		    longest == 1 ? 1 : (int)(rng_u64(9, (uint64_t)i, (uint64_t)k) %
		    (uint64_t)longest), i, k % 10 == 3 ? "\n" : "");
	fclose(f);
}

/* A run: weights as words, and what came of each source. */
struct run {
	struct blend	m;
	struct arena	a;
	struct err	err;
	int64_t		got[SOURCES];
	double		worst;		/* difference of a source from its share, at any point */
	int		first[64];	/* sources of the first records */
	int64_t		n;
};

static int
plan(struct run *r, const char *const *weight, int n)
{
	static char words[3 * SOURCES][64];
	char *word[3 * SOURCES];
	struct records_io io = { 0 };
	struct team *team = team_new(1, &r->err);
	int nwords = 0, ret;

	for (int i = 0; i < n; i++) {
		snprintf(words[nwords], sizeof(words[0]), "s%d=%s", i, weight[i]);
		word[nwords] = words[nwords];
		nwords++;
		snprintf(words[nwords], sizeof(words[0]), "%s/%d", dir, i);
		word[nwords] = words[nwords];
		nwords++;
	}
	word[nwords] = NULL;
	if (arena_init(&r->a, (ptrdiff_t)1 << 30, &r->err) < 0)
		abort();
	r->m.unit = BLEND_TOKENS;
	r->m.count_key = S("token_count");
	r->m.field = S("text");
	r->m.work = "/tmp";
	if (r->m.memory == 0)
		r->m.memory = (int64_t)1 << 30;
	if (r->m.temperature == 0)
		r->m.temperature = 1;
	if (r->m.epochs == 0)
		r->m.epochs = 1;
	ret = blend_words(&r->m, &r->a, NULL, word, &r->err);
	if (ret == 0)
		ret = blend_index(&r->m, team, &io, &r->err);
	if (ret == 0)
		ret = blend_plan(&r->m, &r->err);
	team_free(team);
	return ret;
}

static int
field(str line, const char *key)
{
	const char *at = strstr(line.p, key);

	return (int)strtol(at + strlen(key) + 2, NULL, 10);
}

/* Take all, and see how far from the shares it ever is. */
static bool
drain(struct run *r)
{
	int64_t sum = 0;
	int got;
	str line;

	while ((got = blend_next(&r->m, &line, &r->err)) > 0) {
		int source = field(line, "source"), size = field(line, "token_count");

		if (r->n < 64)
			r->first[r->n] = source;
		r->n++;
		r->got[source] += size;
		sum += size;
		for (int i = 0; i < r->m.n && r->m.nstages == 1; i++) {
			double d = fabs(r->m.source[i].share[0] * (double)sum - (double)r->got[i]);

			r->worst = d > r->worst ? d : r->worst;
		}
	}
	for (int i = 0; i < r->m.n; i++)
		if (r->got[i] != r->m.source[i].size_out)
			return false;
	return got == 0 && r->n == r->m.records;
}

static void
end(struct run *r)
{
	blend_free(&r->m);
	arena_free(&r->a);
}

/* As Megatron-LM's index: what lacks most goes first, which of two that lack as much is free. */
static bool
as_megatron(const struct run *r)
{
	int64_t got[SOURCES] = { 0 };

	for (int k = 0; k < 64; k++) {
		double most = -1e9, taken = -1e9;

		for (int i = 0; i < r->m.n; i++) {
			double lacks = r->m.source[i].share[0] * (k + 1) - (double)got[i];

			most = lacks > most ? lacks : most;
			if (i == r->first[k])
				taken = lacks;
		}
		if (taken < most - 1e-9)
			return false;
		got[r->first[k]]++;
	}
	return true;
}

static void
check_order(void)
{
	static const char *const even[] = { "0.5", "0.3", "0.15", "0.05" };
	static const char *const skewed[] = { "50", "1", "1", "1", "1", "1", "1", "1" };
	struct run r = { 0 };

	for (int i = 0; i < SOURCES; i++)
		make_source(i, 2000, 1);
	ok(plan(&r, even, 4) == 0 && drain(&r), "records of one size: all that was planned");
	ok(as_megatron(&r), "in the order of Megatron-LM's index");
	ok(r.worst <= 1, "no source is ever a record from its share");
	end(&r);
	r = (struct run){ 0 };
	ok(plan(&r, skewed, 8) == 0 && drain(&r), "one large and many small");
	ok(r.worst <= 1.5, "and none more than a record and a half");
	end(&r);
	for (int i = 0; i < SOURCES; i++)
		make_source(i, 2000, i == 1 ? 100 : 1000);
	r = (struct run){ 0 };
	ok(plan(&r, even, 4) == 0 && drain(&r), "records of many sizes");
	ok(r.worst <= 1000, "no source is ever the longest record from its share");
	end(&r);
}

static void
check_amounts(void)
{
	static const char *const half[] = { "1", "1" }, *const sizes[] = { "", "" };
	static const char *const often[] = { "0.25x", "2.5x" }, *const more[] = { "0.5x", "1x" };
	static const char *const cap[] = { "1:3", "1" }, *const staged[] = { "1,0", "0,1" };
	struct run r = { 0 };
	int64_t quarter;

	make_source(0, 4000, 100);
	make_source(1, 1000, 100);
	r.m.wanted = 20000;
	ok(plan(&r, half, 2) == 0 && llabs(r.m.size - 20000) <= 100, "a size is met to a record");
	ok(llabs(r.m.source[0].size_out - 10000) <= 50, "and halves are halves");
	end(&r);
	r = (struct run){ .m.wanted = 200000 };
	ok(plan(&r, half, 2) == -1 && strstr(r.err.msg, "s1: 100000 tokens are asked for") != NULL &&
	    strstr(r.err.msg, "epochs, of at most 1") != NULL, "what is missing is said");
	end(&r);
	r = (struct run){ .m.wanted = 200000, .m.fill = true };
	ok(plan(&r, half, 2) == 0 && !r.m.lacks && r.m.source[1].whole == 1 &&
	    llabs(r.m.size - 200000) <= 100, "or filled from others");
	end(&r);
	r = (struct run){ .m.wanted = 900000, .m.fill = true };
	ok(plan(&r, half, 2) == 0 && r.m.lacks && r.m.records == 5000, "as far as they go");
	end(&r);
	r = (struct run){ .m.epochs = 2 };
	ok(plan(&r, cap, 2) == 0 && r.m.source[1].epochs == 2 && r.m.source[1].limit == 0,
	    "without a size the first source that is used up ends it");
	end(&r);
	r = (struct run){ 0 };
	ok(plan(&r, sizes, 2) == 0 && r.m.records == 5000 && drain(&r), "sizes as weights: all");
	end(&r);
	r = (struct run){ .m.temperature = 2, .m.epochs = 10 };
	ok(plan(&r, sizes, 2) == 0 && fabs(r.m.source[0].asked / r.m.source[1].asked -
	    sqrt((double)r.m.source[0].size / (double)r.m.source[1].size)) < 1e-9,
	    "temperature 2 is the square root");
	end(&r);
	r = (struct run){ 0 };
	ok(plan(&r, often, 2) == 0 && r.m.source[1].whole == 2 && drain(&r) &&
	    fabs((double)r.m.source[0].records_out - 1000) < 100, "a quarter, and twice and a half");
	quarter = (int64_t)r.m.source[0].limit;
	end(&r);
	r = (struct run){ 0 };
	ok(plan(&r, more, 2) == 0 && (int64_t)r.m.source[0].limit > quarter,
	    "a half takes what a quarter does");
	end(&r);
	r = (struct run){ .m.shuffle = true, .m.memory = SORTER_MIN };
	ok(plan(&r, often, 2) == 0 && drain(&r) && r.worst <= 100, "shuffled, the shares hold");
	end(&r);
	r = (struct run){ .m.epochs = 1 };
	ok(plan(&r, staged, 2) == 0 && r.m.nstages == 2 && drain(&r) && r.first[0] == 0 &&
	    r.first[63] == 0, "stages: one source, then the other");
	end(&r);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return 1;
	check_order();
	check_amounts();
	for (int i = 0; i < SOURCES; i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%d", dir, i);
		unlink(path);
	}
	rmdir(dir);
	return tap_done();
}
