/*
 * How fast does text in memory become ids?
 *
 *	encode [-n runs] tokenizer file ...	MB/s of each file, cold and warm
 *
 * A file is cut at newlines into texts of about six kilobytes.  Cold is with a
 * new encoder; warm is the best of the runs after it.  Processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/stream.h"
#include "token/tokenizer.h"
#include "../clock.h"

#define TEXT		6000
#define FILE_MAX	((ptrdiff_t)1 << 30)

static void
die(const struct err *err)
{
	fprintf(stderr, "encode: %s\n", err->msg);
	exit(2);
}

/* Encode all of it, text by text.  Return how long it took. */
static double
pass(struct encoder *e, str all, int64_t *tokens)
{
	struct err err = { 0 };
	struct ids ids = { 0 };
	double start = cpu_seconds();

	*tokens = 0;
	while (all.n > 0) {
		ptrdiff_t n = all.n > TEXT ? TEXT : all.n;
		const char *at = memchr(all.p + n, '\n', (size_t)(all.n - n));

		n = at == NULL ? all.n : at + 1 - all.p;
		ids.n = 0;
		if (encode(e, (str){ all.p, n }, 0, &ids, &err) < 0)
			die(&err);
		*tokens += ids.n;
		all.p += n;
		all.n -= n;
	}
	start = cpu_seconds() - start;
	ids_free(&ids);
	return start;
}

int
main(int argc, char **argv)
{
	struct err err = { 0 };
	struct arena a = { 0 };
	struct tokenizer *t;
	double start = cpu_seconds();
	int runs = 5, c;

	while ((c = getopt(argc, argv, "n:")) != -1)
		runs = c == 'n' ? (int)strtol(optarg, NULL, 10) : runs;
	if (optind + 1 >= argc || arena_init(&a, FILE_MAX, &err) < 0) {
		fprintf(stderr, "usage: encode [-n runs] tokenizer file ...\n");
		return 2;
	}
	if ((t = tokenizer_load(argv[optind], &err)) == NULL)
		die(&err);
	printf("load\t%.1f ms\n", (cpu_seconds() - start) * 1e3);
	for (int i = optind + 1; i < argc; i++) {
		struct encoder *e = encoder_new(t, &err);
		str all = file_slurp(&a, argv[i], FILE_MAX, &err);
		double cold, warm = 1e9, size = (double)all.n * 1e-6;
		int64_t tokens;

		if (e == NULL || all.p == NULL)
			die(&err);
		cold = pass(e, all, &tokens);
		for (int r = 0; r < runs; r++) {
			double s = pass(e, all, &tokens);

			warm = s < warm ? s : warm;
		}
		printf("%s\t%.1f cold\t%.1f warm\tMB/s\t%.3f bytes a token\n", argv[i],
		    size / cold, size / warm, (double)all.n / (double)tokens);
		encoder_free(e);
	}
	tokenizer_free(t);
	arena_free(&a);
	return 0;
}
