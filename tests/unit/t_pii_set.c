/*
 * The labelled sets of tests/golden/pii.py: what is found of them, and how much of that is
 * right, to the byte.  The rules were made with the first in view; the second was not looked at
 * but to measure.  With PII_SHOW in the environment it says what is wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/stream.h"
#include "text/pii.h"

#include "../tap.h"

static struct err err;

struct tally {
	int64_t	labelled, found, right, hit;
};

static int
kind_of(const char *name)
{
	for (int i = 0; i < PII_KINDS; i++)
		if (strcmp(name, pii_kinds[i].name) == 0)
			return i;
	return -1;
}

/* Compare one record's labels with what is found; with show, say where they differ. */
static void
compare(json_t *record, struct tally *t, bool show)
{
	static const struct pii_rules rules = { .kinds = ~0u };
	const char *p = json_string_value(json_object_get(record, "text"));
	str text = { p, (ptrdiff_t)json_string_length(json_object_get(record, "text")) };
	json_t *labels = json_object_get(record, "spans");
	struct pii_scan scan = { .rules = &rules };
	size_t n = json_array_size(labels), i;
	bool *seen = calloc(n + 1, 1);
	struct pii_span s;

	for (i = 0; i < n; i++)
		t[kind_of(json_string_value(json_array_get(json_array_get(labels, i), 0)))].labelled++;
	while (pii_next(&scan, text, false, &s) > 0) {
		bool right = false;

		t[s.kind].found++;
		for (i = 0; i < n; i++) {
			json_t *l = json_array_get(labels, i);

			if (kind_of(json_string_value(json_array_get(l, 0))) == (int)s.kind &&
			    json_integer_value(json_array_get(l, 1)) == s.start &&
			    json_integer_value(json_array_get(l, 2)) == s.end)
				right = seen[i] = true;
		}
		t[s.kind].right += right;
		if (show && !right)
			printf("# wrong %s: %.*s[%.*s]%.*s\n", pii_kinds[s.kind].name,
			    (int)(s.start < 40 ? s.start : 40), text.p + (s.start < 40 ? 0 : s.start - 40),
			    (int)(s.end - s.start), text.p + s.start,
			    (int)(text.n - s.end < 20 ? text.n - s.end : 20), text.p + s.end);
	}
	for (i = 0; i < n && show; i++) {
		json_t *l = json_array_get(labels, i);
		int64_t start = json_integer_value(json_array_get(l, 1));
		int64_t end = json_integer_value(json_array_get(l, 2));

		if (!seen[i])
			printf("# missed %s: %.*s[%.*s]\n", json_string_value(json_array_get(l, 0)),
			    (int)(start < 40 ? start : 40), text.p + (start < 40 ? 0 : start - 40),
			    (int)(end - start), text.p + start);
	}
	free(seen);
}

static void
test_set(const char *name, const char *path)
{
	struct tally t[PII_KINDS + 1] = { 0 };
	struct arena a = { 0 };
	str all;

	if (arena_init(&a, 64 << 20, &err) < 0 ||
	    (all = file_slurp(&a, path, 16 << 20, &err)).p == NULL) {
		printf("# %s\n", err.msg);
		ok(false, path);
		return;
	}
	while (all.n > 0) {
		str line = str_cut(&all, '\n');
		json_t *record = json_loadb(line.p, (size_t)line.n, 0, NULL);

		if (record == NULL)
			break;
		compare(record, t, getenv("PII_SHOW") != NULL);
		json_decref(record);
	}
	arena_free(&a);
	printf("# %s\tlabelled\tfound\tprecision\trecall\n", name);
	for (int i = 0; i <= PII_KINDS; i++) {
		printf("# %s\t%lld\t%lld\t%.4f\t%.4f\n", i < PII_KINDS ? pii_kinds[i].name : "all",
		    (long long)t[i].labelled, (long long)t[i].found,
		    (double)t[i].right / (double)t[i].found,
		    (double)t[i].right / (double)t[i].labelled);
		if (i == PII_KINDS)
			break;
		t[PII_KINDS].labelled += t[i].labelled;
		t[PII_KINDS].found += t[i].found;
		t[PII_KINDS].right += t[i].right;
	}
	ok(t[PII_KINDS].labelled >= 2000, "there are 2000 labels");
	ok((double)t[PII_KINDS].right >= 0.97 * (double)t[PII_KINDS].found, "precision is 0.97");
	ok((double)t[PII_KINDS].right >= 0.95 * (double)t[PII_KINDS].labelled, "recall is 0.95");
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		test_set(argv[i], argv[i]);
	if (argc == 1) {
		test_set("seen", "tests/data/pii/seen.jsonl.gz");
		test_set("held", "tests/data/pii/held.jsonl.gz");
	}
	return tap_done();
}
