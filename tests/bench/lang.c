/*
 * How fast is llm-lang, and how fast CLD2 alone on the same texts, without reading
 * and writing?
 *
 *	lang file.jsonl llm-lang [option ...]
 *
 * Prints both in MB/s of the file, records and all: by CPU time, for the machine may
 * be shared; the best of rounds that take turns.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/stream.h"
#include "text/lang.h"
#include "../clock.h"

#define ROUNDS	5
#define LIMIT	((ptrdiff_t)1 << 31)

static struct err err;

static void
check(bool good)
{
	if (!good) {
		fprintf(stderr, "lang: %s\n", err.msg);
		exit(2);
	}
}

/* CPU seconds of a command. */
static double
run(char **argv)
{
	struct rusage u;
	int status, null;
	pid_t child = fork();

	if (child == 0) {
		null = open("/dev/null", O_WRONLY);
		if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0)
			execvp(argv[0], argv);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &u) < 0 || status != 0) {
		fprintf(stderr, "lang: %s failed\n", argv[0]);
		exit(2);
	}
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* Texts of the file, unescaped, in the arena. */
static int64_t
load(str all, struct arena *a, str *text)
{
	const str key = S("text");
	struct buf b = { 0 };
	int64_t n = 0;

	while (all.p != NULL) {
		str line = str_cut(&all, '\n'), s;
		struct json_member m;

		if (line.n == 0)
			continue;
		check(json_scan(line, &key, 1, &m, &err) == 0 && m.value.p != NULL &&
		    json_text(m.value, &b, &s, &err) == 0);
		text[n] = arena_str(a, s, &err);
		check(text[n++].p != NULL);
	}
	buf_free(&b);
	return n;
}

static double
detect_all(const str *text, int64_t n)
{
	double start = cpu_seconds();
	struct lang_found f;
	int64_t known = 0;

	for (int64_t i = 0; i < n; i++) {
		check(lang_detect(text[i], false, LANG_NONE, &f, &err) == 0);
		known += f.n > 0;
	}
	check(known > 0);
	return cpu_seconds() - start;
}

int
main(int argc, char **argv)
{
	double tool = 1e9, alone = 1e9;
	struct arena a;
	int64_t n;
	str all, *text;

	if (argc < 3) {
		fprintf(stderr, "usage: lang file.jsonl llm-lang [option ...]\n");
		return 2;
	}
	check(lang_check(&err) == 0);
	check(arena_init(&a, 2 * LIMIT, &err) == 0);
	all = file_slurp(&a, argv[1], LIMIT / 2, &err);
	check(all.p != NULL);
	text = arena_alloc(&a, json_lines(all) + 1, (ptrdiff_t)sizeof(*text), &err);
	check(text != NULL);
	n = load(all, &a, text);
	/* The command's operand is the file, in the place of its name here. */
	for (int i = 1; i + 1 < argc; i++) {
		char *next = argv[i + 1];

		argv[i + 1] = argv[i];
		argv[i] = next;
	}
	for (int r = 0; r < ROUNDS; r++) {
		double t = run(argv + 1), c = detect_all(text, n);

		tool = t < tool ? t : tool;
		alone = c < alone ? c : alone;
	}
	printf("%.1f %.1f\n", (double)all.n / tool / 1e6, (double)all.n / alone / 1e6);
	arena_free(&a);
	return 0;
}
