/*
 * How fast are the steps of llm-normalize and llm-filter on the texts of a
 * file, without reading and writing?
 *
 *	filter file.jsonl	MB/s of text by CPU time, best of five rounds
 *
 * CPU time, because the machine may be shared; the texts are in memory.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/stream.h"
#include "text/english.h"
#include "text/normalize.h"
#include "text/quality.h"
#include "../clock.h"

#define ROUNDS	5
#define LIMIT	((ptrdiff_t)1 << 31)

struct texts {
	str	*text;
	int64_t	 n, bytes;
};

static struct err err;

static void
check(int failed)
{
	if (failed < 0) {
		fprintf(stderr, "filter: %s\n", err.msg);
		exit(2);
	}
}

static struct texts
load(const char *path, struct arena *a)
{
	str all = file_slurp(a, path, LIMIT / 2, &err), key = S("text");
	struct texts t = { 0 };
	struct buf b = { 0 };
	str rest = all;

	check(all.p == NULL ? -1 : 0);
	while (rest.p != NULL) {
		str_cut(&rest, '\n');
		t.n++;
	}
	t.text = arena_alloc(a, t.n, (ptrdiff_t)sizeof(*t.text), &err);
	check(t.text == NULL ? -1 : 0);
	t.n = 0;
	for (rest = all; rest.p != NULL;) {
		str line = str_cut(&rest, '\n'), text;
		struct json_member m;

		if (line.n == 0)
			continue;
		check(json_scan(line, &key, 1, &m, &err));
		check(m.value.p == NULL ? -1 : json_text(m.value, &b, &text, &err));
		t.text[t.n] = arena_str(a, text, &err);
		check(t.text[t.n].p == NULL ? -1 : 0);
		t.bytes += t.text[t.n++].n;
	}
	buf_free(&b);
	return t;
}

enum { COUNT, NORMALIZE, WORDS, RULES };

static int64_t
step(int what, const struct quality *q, str text)
{
	static struct normalizer z = { .form = UNI_NFC };
	static struct english_words w;
	static struct quality_state s;
	struct quality_verdict v;
	str out;

	switch (what) {
	case COUNT:
		return utf8_count(text);
	case NORMALIZE:
		check(text_normalize(&z, text, &out, &err));
		return out.n;
	case WORDS:
		check(english_split(q->words, text, &w, &err));
		return w.n;
	default:
		check(quality_judge(q, &s, text, &v, &err));
		return v.rule;
	}
}

static void
time_step(const char *name, int what, const char *rules, const struct texts *t)
{
	double best = 1e9;
	struct quality q;
	int64_t sum = 0;

	check(quality_init(&q, &err));
	if (rules != NULL)
		check(quality_select(&q, str_of(rules), &err));
	for (int r = 0; r < ROUNDS; r++) {
		double start = cpu_seconds(), took;

		for (int64_t i = 0; i < t->n; i++)
			sum += step(what, &q, t->text[i]);
		took = cpu_seconds() - start;
		if (took < best)
			best = took;
	}
	printf("%-28s %8.0f MB/s  (%lld)\n", name, (double)t->bytes / best / 1e6,
	    (long long)(sum / ROUNDS));
	quality_free(&q);
}

int
main(int argc, char **argv)
{
	static const char *const rules[] = { "gopher.min-words", "gopher", "c4", "fineweb",
	    "gopher,c4", "gopher,c4,fineweb" };
	struct arena a;
	struct texts t;

	if (argc != 2) {
		fprintf(stderr, "usage: filter file.jsonl\n");
		return 2;
	}
	check(arena_init(&a, 2 * LIMIT, &err));
	t = load(argv[1], &a);
	printf("%lld texts, %.1f MB\n", (long long)t.n, (double)t.bytes / 1e6);
	time_step("count characters", COUNT, NULL, &t);
	time_step("normalize", NORMALIZE, NULL, &t);
	time_step("words", WORDS, NULL, &t);
	for (int i = 0; i < (int)(sizeof(rules) / sizeof(rules[0])); i++)
		time_step(rules[i], RULES, rules[i], &t);
	arena_free(&a);
	return 0;
}
