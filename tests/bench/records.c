/*
 * How fast is a filter that does nothing, and where does the time go?
 *
 *	records [-j threads] [-m] file		MB/s of the whole, and of its parts
 *
 * The file is read once before, so that it is in the page cache.  -m asks for
 * the text as a job would that looks at it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_simd.h"
#include "base/progress.h"
#include "text/records.h"

#define ROUNDS 5

static void
die(const struct err *err)
{
	fprintf(stderr, "records: %s\n", err->msg);
	exit(2);
}

/* One round of each part over the bytes; the sum keeps it from being dropped. */
static int64_t
part(int which, str all, struct buf *b, struct buf *quoted)
{
	const str key[] = { S("text") };
	struct json_member m;
	struct err err;
	int64_t sum = 0;
	str rest = all;

	if (which == 0)
		return utf8_bad(all);
	if (which == 1)
		return json_lines(all);
	while (rest.n > 0) {
		str line = str_cut(&rest, '\n'), text;

		if (line.n == 0)
			continue;
		sum++;
		if (which < 3)
			continue;
		if (json_scan(line, key, 1, &m, &err) < 0)
			die(&err);
		if (which < 4 || m.value.p == NULL)
			continue;
		if (json_text(m.value, b, &text, &err) < 0)
			die(&err);
		sum += text.n;
		if (which < 5)
			continue;
		buf_reset(quoted);
		json_quote(quoted, text);
	}
	return sum;
}

static double
run(struct team *team, char *file, bool want_text, struct records_count *c)
{
	struct records_job job = { .field = want_text ? S("text") : (str){ NULL, 0 } };
	struct records_io io = { 0 };
	struct err err;
	double start = progress_now();

	if (records_run(team, &job, &io, &file, 1, "/dev/null", c, &err) < 0)
		die(&err);
	return progress_now() - start;
}

int
main(int argc, char **argv)
{
	static const char *const name[] = {
		"UTF-8", "count lines", "find lines", "+ JSON", "+ unescape", "+ quote",
	};
	struct err err;
	struct records_count c;
	struct buf b = { 0 }, quoted = { 0 };
	bool want_text = false;
	int threads = 1, got;
	struct team *team;
	str all;

	while ((got = getopt(argc, argv, "j:m")) != -1) {
		if (got == 'j')
			threads = (int)strtol(optarg, NULL, 10);
		else if (got == 'm')
			want_text = true;
		else
			return 2;
	}
	if (optind + 1 != argc || (team = team_new(threads, &err)) == NULL) {
		fprintf(stderr, "usage: records [-j threads] [-m] file\n");
		return 2;
	}
	if (file_map(argv[optind], &all, &err) < 0)
		die(&err);
	for (int which = 0; which < 6; which++) {
		double best = 1e9;

		for (int i = 0; i < ROUNDS; i++) {
			double start = progress_now(), took;
			volatile int64_t sum = part(which, all, &b, &quoted);

			(void)sum;
			took = progress_now() - start;
			best = took < best ? took : best;
		}
		printf("%-12s %8.0f MB/s\n", name[which], (double)all.n / best / 1e6);
	}
	for (int i = 0; i < ROUNDS; i++) {
		double took = run(team, argv[optind], want_text, &c);

		printf("%-12s %8.0f MB/s  %lld records, %lld bytes of text\n", "records_run",
		    (double)all.n / took / 1e6, (long long)c.read, (long long)c.text_in);
	}
	team_free(team);
	buf_free(&b);
	buf_free(&quoted);
	return 0;
}
