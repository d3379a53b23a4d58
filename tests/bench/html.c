/*
 * How fast is the extraction of pages, and which part of its time makes their trees?
 *
 *	html [-r rounds] file|directory ...	MB/s of html_parse(), of the whole
 *		extraction, and the part
 *
 * All pages are read into memory first.  A round is all pages; rounds of the
 * two alternate and the best of each counts.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/progress.h"
#include "text/encoding.h"
#include "text/files.h"
#include "text/html_impl.h"
#include "text/kind.h"

#define PAGES	20000
#define BYTES	((int64_t)64 << 20)	/* of pages, at most */

struct pages {
	struct buf	page[PAGES];
	int		n;
	int64_t		bytes;
};

static void
die(const struct err *err)
{
	fprintf(stderr, "html: %s\n", err->msg);
	exit(2);
}

static void
slurp(struct files *f, struct buf *b)
{
	struct err err = { 0 };
	ptrdiff_t got;

	do {
		char *at = buf_room(b, 65536);

		if (at == NULL || (got = files_read(f, at, 65536, &err)) < 0)
			die(&err);
		b->n += got;
	} while (got > 0);
}

static void
load(struct pages *p, char *const *paths, int n)
{
	const struct files_opts opts = { .depth = 8, .ratio = 1000, .hold = 1 << 26 };
	struct err err = { 0 };
	struct files *f = files_open(paths, n, &opts, &err);
	struct file file;
	int got;

	if (f == NULL)
		die(&err);
	while (p->n < PAGES && p->bytes < BYTES && (got = files_next(f, &file, &err)) != 0) {
		if (got < 0)
			die(&err);
		if (kind_of(file.name, file.head, S("text")) != KIND_HTML)
			continue;
		slurp(f, &p->page[p->n]);
		p->bytes += p->page[p->n++].n;
	}
	files_close(f);
}

static double
parse_all(const struct pages *p, const struct arena *a)
{
	double start = progress_now();
	struct err err = { 0 };

	for (int i = 0; i < p->n; i++) {
		struct arena scratch = *a;
		struct html_tree t;

		if (html_parse(&t, buf_str(&p->page[i]), false, &scratch, &err) < 0)
			die(&err);
	}
	return progress_now() - start;
}

static double
extract_all(const struct pages *p, struct arena *a, int64_t *text)
{
	struct html_about about = { 0 };
	struct buf out = { 0 }, utf8 = { 0 };
	double start = progress_now();
	struct err err = { 0 };

	*text = 0;
	for (int i = 0; i < p->n; i++) {
		str s;

		html_about_reset(&about);
		buf_reset(&out);
		if (encoding_to_utf8(buf_str(&p->page[i]), S(""), true, &utf8, &s, &err) < 0 ||
		    html_extract(s, false, HTML_TEXT, &out, &about, *a, NULL, &err) < 0)
			die(&err);
		*text += out.n;
	}
	buf_free(&out);
	buf_free(&utf8);
	html_about_free(&about);
	return progress_now() - start;
}

int
main(int argc, char **argv)
{
	struct pages *p = calloc(1, sizeof(*p));
	double parser = 0, whole = 0, t;
	struct err err = { 0 };
	struct arena a;
	int64_t text = 0;
	int rounds = 5;

	if (argc > 2 && strcmp(argv[1], "-r") == 0) {
		rounds = (int)strtol(argv[2], NULL, 10);
		argv += 2;
		argc -= 2;
	}
	if (argc < 2 || p == NULL) {
		fprintf(stderr, "usage: html [-r rounds] file|directory ...\n");
		return 2;
	}
	if (arena_init(&a, (ptrdiff_t)2 << 30, &err) < 0)
		die(&err);
	load(p, argv + 1, argc - 1);
	for (int i = 0; i < rounds; i++) {
		t = parse_all(p, &a);
		parser = i == 0 || t < parser ? t : parser;
		t = extract_all(p, &a, &text);
		whole = i == 0 || t < whole ? t : whole;
	}
	printf("pages\t%d\nbytes\t%lld\ntext bytes\t%lld\n", p->n, (long long)p->bytes,
	    (long long)text);
	printf("parse MB/s\t%.1f\nextract MB/s\t%.1f\npart\t%.2f\n",
	    (double)p->bytes / parser / 1e6, (double)p->bytes / whole / 1e6, parser / whole);
	return 0;
}
