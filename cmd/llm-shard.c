/*
 * llm-shard - look at token files, check, cut, join and convert them
 *
 * What it does is the -t of the call.  Information comes from headers, so it
 * is quick for a file of any size; everything else reads the shards as streams
 * of documents or rows, in memory for one block of them.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fmt/provenance.h"
#include "fmt/shard.h"
#include "fmt/shard_convert.h"
#include "fmt/shard_list.h"
#include "model/model.h"
#include "token/tokenizer.h"
#include "tool/tool.h"

struct job {
	int		 action;	/* an index of actions */
	const char	*format;	/* -F */
	const char	*output, *model;
	int64_t		 count, size;	/* -n, --size */
	int64_t		 vocab, eos;
	bool		 quiet, verbose, no_provenance;
	json_t		*provenance;
};

typedef int action_fn(struct job *j, char **file);

static action_fn info, verify, head, split, join, import, export;

/* What -t can be, and the options that mean something there. */
static const struct {
	const char	*name;
	action_fn	*run;
	const char	*takes;
} actions[] = {
	{ "info", info, "format" },
	{ "verify", verify, "" },
	{ "head", head, "count" },
	{ "split", split, "output count size no-provenance" },
	{ "join", join, "output no-provenance" },
	{ "import", import, "format model output vocab eos no-provenance" },
	{ "export", export, "format output" },
};

#define NACTIONS (int)(sizeof(actions) / sizeof(*actions))

static int
parse_action(void *into, const char *arg, struct err *err)
{
	struct job *j = into;

	for (int i = 0; i < NACTIONS; i++)
		if (strcmp(arg, actions[i].name) == 0) {
			j->action = i;
			return 0;
		}
	return err_set(err, ERR_ARG, "cannot '%s': info, verify, head, split, join, import and "
	    "export are known", arg);
}

#define AT(field) .at = offsetof(struct job, field)

static const struct opt opts[] = {
	{ .letter = 't', .name = "type", .type = OPT_CALL, .arg = "action", .call = parse_action,
	  .help = "info (default), verify, head, split, join, import or export" },
	{ .letter = 'F', .name = "format", .type = OPT_STR, AT(format), .arg = "format",
	  .help = "info: text or json; import, export: nanogpt, llmc or megatron" },
	{ .letter = 'o', .name = "output", .type = OPT_STR, AT(output), .arg = "path",
	  .help = "write to path (split: a directory) instead of standard output" },
	{ .letter = 'n', .name = "count", .type = OPT_I64, AT(count), .arg = "n",
	  .help = "head: print n items (10); split: into n files", .min = 0, .max = 1e12 },
	{ .name = "size", .type = OPT_I64, AT(size), .arg = "tokens",
	  .help = "split: end a file after this many tokens", .min = 1, .max = 1e15 },
	{ .letter = 'm', .name = "model", .type = OPT_STR, AT(model), .arg = "tokenizer",
	  .help = "import: the tokenizer that the ids are of; it knows the next two" },
	{ .name = "vocab", .type = OPT_I64, AT(vocab), .arg = "n",
	  .help = "import: token ids are below n", .min = 1, .max = INT32_MAX },
	{ .name = "eos", .type = OPT_I64, AT(eos), .arg = "id",
	  .help = "import: the token that separates documents", .min = 0, .max = INT32_MAX },
	{ .name = "no-provenance", .type = OPT_FLAG, AT(no_provenance),
	  .help = "leave out what a shard was made by and from" },
	{ .letter = 'q', .name = "quiet", .type = OPT_FLAG, AT(quiet),
	  .help = "verify: say nothing about bad files" },
	{ .letter = 'v', .name = "verbose", .type = OPT_FLAG, AT(verbose),
	  .help = "verify: name good files too" },
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-shard",
	.synopsis = "[-t action] [file ...]",
	.summary  = "look at token files, check, cut, join and convert them",
	.opts     = opts,
};

static void
must(int rc, const struct err *err)
{
	if (rc != 0)
		tool_fail(NULL, err);
}

static int
info(struct job *j, char **file)
{
	bool json = j->format != NULL && strcmp(j->format, "json") == 0;
	struct shard_summary s = { 0 };
	struct buf text = { 0 };
	struct err err;

	if (j->format != NULL && !json && strcmp(j->format, "text") != 0)
		tool_usage("-F: no format '%s' of info: text and json are known", j->format);
	for (; *file != NULL; file++) {
		must(shard_summarize(*file, &s, &err), &err);
		(json ? shard_summary_json : shard_summary_text)(*file, &s, &text);
		must(buf_ok(&text, &err), &err);
		fwrite(text.p, 1, (size_t)text.n, stdout);
		buf_reset(&text);
	}
	buf_free(&text);
	shard_summary_free(&s);
	return 0;
}

static int
verify(struct job *j, char **file)
{
	int status = 0;
	struct err err;

	for (; *file != NULL; file++) {
		if (shard_verify(*file, NULL, &err) == 0) {
			if (j->verbose)
				tool_warn("%s: good", *file);
			continue;
		}
		if (err.code != ERR_FORMAT)
			tool_fail(NULL, &err);
		if (!j->quiet)
			tool_warn("%s", err.msg);
		status = TOOL_NO;
	}
	return status;
}

static struct shard_list *
list_open(char **file, json_t *provenance)
{
	struct err err;
	struct shard_list *l = shard_list_open(file, provenance, &err);

	if (l == NULL)
		tool_fail(NULL, &err);
	return l;
}

static int
head(struct job *j, char **file)
{
	struct shard_list *l = list_open(file, NULL);
	struct err err;

	must(shard_list_print(l, j->count, NULL, &err), &err);
	shard_list_close(l);
	return 0;
}

static struct shard_writer *
create(const char *path, const struct shard_info *of)
{
	struct err err;
	struct out *out;
	struct shard_writer *w;

	if (path == NULL && isatty(STDOUT_FILENO))
		tool_usage("a shard is no text for a terminal (-o path, or a pipe)");
	out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, &err);
	w = out == NULL ? NULL : shard_create(out, of, (str){ NULL, 0 }, &err);
	if (w == NULL)
		tool_fail(NULL, &err);
	return w;
}

static int
join(struct job *j, char **file)
{
	struct shard_list *l = list_open(file, j->provenance);
	struct shard_writer *w = create(j->output, shard_list_info(l));
	struct err err;

	must(shard_join(l, w, j->provenance, &err), &err);
	shard_list_close(l);
	return 0;
}

static int
split(struct job *j, char **file)
{
	struct shard_split s = { .dir = j->output, .size = j->size };
	struct shard_list *l;
	struct err err;

	if (j->output == NULL || tool_given("size") == tool_given("count") || j->count < 1)
		tool_usage("split needs a directory (-o), and a number of files (-n) or a "
		    "--size");
	if (tool_given("count"))
		s.parts = j->count;
	must(shard_list_count(file, j->provenance, &s.tokens, &err), &err);
	s.provenance = j->provenance;
	l = list_open(file, NULL);
	must(shard_split(l, &s, &err), &err);
	shard_list_close(l);
	return 0;
}

static enum foreign
foreign(const struct job *j)
{
	enum foreign f = foreign_of(j->format == NULL ? "" : j->format);

	if (f == FOREIGN_NONE)
		tool_usage("whose file? (-F nanogpt, llmc or megatron)");
	return f;
}

/* What a tokenizer knows of its ids. */
static void
ask_tokenizer(const char *path, struct shard_info *of)
{
	struct err err;
	struct tokenizer *t = model_tokenizer(path, &err);

	if (t == NULL)
		tool_fail(NULL, &err);
	of->tokenizer = tokenizer_fingerprint(t);
	of->vocab = tokenizer_vocab(t);
	of->eos = tokenizer_eos(t);
	tokenizer_free(t);
}

static int
import(struct job *j, char **file)
{
	enum foreign kind = foreign(j);
	struct shard_info of = { .eos = -1 };
	struct err err;

	if (*file == NULL)
		tool_usage("import needs files: they are mapped");
	if (j->model != NULL)
		ask_tokenizer(j->model, &of);
	if (tool_given("eos"))
		of.eos = (int32_t)j->eos;
	if (tool_given("vocab"))
		of.vocab = (int32_t)j->vocab;
	if (of.vocab == 0)
		must(foreign_vocab_all(kind, file, &of.vocab, &err), &err);
	must(foreign_import(kind, file, of.eos, create(j->output, &of), j->provenance, &err), &err);
	return 0;
}

static int
export(struct job *j, char **file)
{
	enum foreign kind = foreign(j);
	struct err err;

	if (kind == FOREIGN_MEGATRON && j->output == NULL)
		tool_usage("megatron's two files need a name: -o prefix");
	must(foreign_export(kind, file, j->output, &err), &err);
	return 0;
}

/* An option that means nothing to the action is an error, not ignored. */
static void
check_options(const struct job *j)
{
	static const char *const some[] = { "output", "model", "no-provenance", "format",
	    "count", "size", "vocab", "eos" };

	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++) {
		if (!tool_given(some[i]))
			continue;
		if (strstr(actions[j->action].takes, some[i]) == NULL)
			tool_usage("--%s means nothing to '%s'", some[i],
			    actions[j->action].name);
		/* The first three do not change what is written, or are in the shard. */
		if (i >= 3)
			json_object_set_new(provenance_options(j->provenance), some[i],
			    json_string(tool_arg(some[i])));
	}
}

int
main(int argc, char **argv)
{
	static char *only_stdin[] = { "-", NULL };
	struct job j = { .count = 10 };
	char **file = tool_start(&tool, argc, argv, &j);
	struct err err;
	int status;

	if (!j.no_provenance) {
		j.provenance = provenance_new(tool.name, VERSION, &err);
		if (j.provenance == NULL)
			tool_fail(NULL, &err);
		json_object_set_new(provenance_options(j.provenance), "type",
		    json_string(actions[j.action].name));
	}
	check_options(&j);
	if (*file == NULL && (actions[j.action].run == info || actions[j.action].run == verify))
		file = only_stdin;
	status = actions[j.action].run(&j, file);
	json_decref(j.provenance);
	return tool_finish(status);
}
