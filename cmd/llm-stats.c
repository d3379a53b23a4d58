/*
 * llm-stats - tell what is in a corpus, and what a stage changed
 *
 * Reads each record once and counts: sizes and lengths, languages, domains, words
 * and their growth, texts and lines that come again, every number in the records,
 * and, of records that were dropped, why.  Several corpora stand side by side.
 *
 * Texts are read on all threads and counted in order, so the report is the same
 * for any number of threads.  Memory: some 60 MB a corpus at most, whatever its size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/stream.h"
#include "token/tokenizer.h"
#include "tool/filter.h"
#include "tool/stats.h"

enum { TEXT, JSON, TSV, HTML };
static const char *const formats[] = { "text", "json", "tsv", "html" };

struct stats {
	struct filter_opts io;
	const char	*format, *output, *model, *dropped;
	bool		 join;
	int		 as;
	struct tokenizer *tokenizer;
	struct survey	*survey;	/* of each corpus, and of what was dropped */
	const char	*path[STATS_CORPORA + 1];
	int		 n, corpora;
};

#define AT(field) offsetof(struct stats, field)

static const struct opt opts[] = {
	{ .letter = 'F', .name = "format", .type = OPT_STR, .at = AT(format),
	  .arg = "text|json|tsv|html", .help = "write the report so (text)" },
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(output), .arg = "file",
	  .help = "write it to this file" },
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "tokenizer",
	  .help = "count tokens of this tokenizer too" },
	{ .name = "join", .type = OPT_FLAG, .at = AT(join),
	  .help = "take all files as one corpus" },
	{ .name = "dropped", .type = OPT_STR, .at = AT(dropped), .arg = "file",
	  .help = "records that a stage dropped: count why, and show some" },
	FILTER_INPUT_OPTIONS(struct stats, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-stats",
	.synopsis = "[[name=]file ...]",
	.summary  = "tell what is in a corpus, and what a stage changed",
	.opts     = opts,
};

static int
read_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct stats *s = ctx;
	struct survey_record *read = survey_read(r, err);

	if (read == NULL)
		return RECORD_BAD;
	if (s->tokenizer != NULL &&
	    (read->tokens = encode_text(state, s->tokenizer, r->text, err)) < 0)
		return RECORD_BAD;
	r->tag[0] = (uintptr_t)read;
	return RECORD_KEEP;
}

static void
state_free(void *state)
{
	encoded_free(state);
}

/* Which corpus is a file of?  Those that are joined, and the standard input, are the first. */
static struct survey *
survey_of(const struct stats *s, const char *file)
{
	for (int i = s->n - 1; i > 0; i--)
		if (s->path[i] != NULL && strcmp(s->path[i], file) == 0)
			return &s->survey[i];
	return &s->survey[0];
}

static int
count_record(void *ctx, struct record *r, struct err *err)
{
	struct stats *s = ctx;

	return survey_add(survey_of(s, r->file), r,
	    (const struct survey_record *)(uintptr_t)r->tag[0], err);
}

static int
write_report(void *ctx, bool failed, struct err *err)
{
	struct stats *s = ctx;
	struct buf b = { 0 };
	json_t *report;
	char *text;
	int ret;

	if (failed)
		return 0;
	for (int i = 0; i < s->n; i++)
		if (survey_end(&s->survey[i], err) < 0)
			return -1;
	report = stats_report(s->survey, s->corpora, s->dropped != NULL ?
	    &s->survey[s->corpora] : NULL);
	if (s->as == JSON) {
		text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		buf_add(&b, str_of(text));
		buf_byte(&b, '\n');
		free(text);
	} else {
		(s->as == TSV ? stats_tsv : s->as == HTML ? stats_html : stats_text)(report, &b);
	}
	json_decref(report);
	tool_progress(NULL, s->io.quiet, s->io.verbose);
	ret = buf_ok(&b, err) < 0 ? -1 : file_write(s->output, buf_str(&b), err);
	buf_free(&b);
	return ret;
}

/* A report is made of objects that nobody checks: memory must not fail. */
static void *
checked_malloc(size_t n)
{
	void *p = malloc(n);

	if (p == NULL)
		tool_die("out of memory");
	return p;
}

/* name=file: the name in the report; it must not be a file that is there. */
static const char *
cut_name(char **file)
{
	char *equals = strchr(*file, '=');
	const char *name = *file;

	if (equals == NULL || equals == *file || memchr(name, '/', (size_t)(equals - name)) != NULL)
		return name;
	*equals = '\0';
	*file = equals + 1;
	return name;
}

/* Names and paths of the corpora; files become those to read, the dropped one last. */
static char **
name_corpora(struct stats *s, char **files)
{
	char **read;
	int n = 0;

	while (files[n] != NULL)
		n++;
	s->corpora = s->join || n == 0 ? 1 : n;
	if (s->corpora > STATS_CORPORA)
		tool_usage("more than %d corpora (--join takes all files as one)", STATS_CORPORA);
	s->n = s->corpora + (s->dropped != NULL);
	s->survey = calloc((size_t)s->n, sizeof(*s->survey));
	read = calloc((size_t)n + 3, sizeof(*read));
	if (s->survey == NULL || read == NULL)
		tool_die("out of memory");
	for (int i = 0; i < n; i++) {
		const char *name = s->join ? "corpus" : cut_name(&files[i]);

		read[i] = files[i];
		if (s->join)
			continue;
		s->survey[i].name = name;
		s->path[i] = files[i];
		for (int k = 0; k < i; k++)
			if (strcmp(s->path[k], files[i]) == 0)
				tool_usage("%s: is there twice", files[i]);
	}
	if (s->join || n == 0)
		s->survey[0].name = "corpus";
	if (s->dropped != NULL) {
		if (n == 0)
			read[n++] = (char *)(uintptr_t)"-";
		s->path[s->corpora] = s->dropped;
		s->survey[s->corpora].name = "dropped";
		read[n] = (char *)(uintptr_t)s->dropped;
	}
	return read;
}

int
main(int argc, char **argv)
{
	struct stats s = { 0 };
	struct records_job job = {
		.ctx = &s, .keys = survey_keys, .nkeys = SURVEY_KEYS, .map = read_record,
		.sink = count_record, .state_size = sizeof(struct encoded),
		.state_free = state_free,
	};
	struct err err = { 0 };
	char **files = tool_start(&tool, argc, argv, &s), **read;
	int status;

	s.as = tool_choice(s.format, formats, 4);
	if (s.as < 0)
		tool_usage("-F: '%s' is none of text, json, tsv, html", s.format);
	read = name_corpora(&s, files);
	json_set_alloc_funcs(checked_malloc, free);
	if (s.model != NULL && (s.tokenizer = tokenizer_load(s.model, &err)) == NULL)
		tool_fail(NULL, &err);
	job.field = filter_field(&s.io);
	s.io.ctx = &s;
	s.io.end = write_report;
	status = filter_main(&tool, &s.io, read, &job);
	tokenizer_free(s.tokenizer);
	for (int i = 0; i < s.n; i++)
		survey_free(&s.survey[i]);
	free(s.survey);
	free(read);
	return status;
}
