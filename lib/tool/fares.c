#include "tool/fares.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "text/script.h"

/* What each thread has: its counts go to the pool, for they outlive it. */
struct counter {
	struct tallies	*tallies;
	struct buf	 text;
};

struct pool {
	atomic_int	 n;
	struct tallies	*of[TEAM_MAX];
};

struct fares {
	const struct fares_opts *o;
	const struct filter_opts *io;
	const char	*out;
	struct tokenizer *tokenizer[TALLIES_MOST];
	uint8_t		*script;
	struct pool	*pool;
};

static int
add_model(void *into, const char *arg, struct err *err)
{
	struct fares_opts *o = into;

	if (o->n == TALLIES_MOST)
		return err_set(err, ERR_ARG, "more than %d tokenizers", TALLIES_MOST);
	o->model[o->n++] = arg;
	return 0;
}

static int
parse_format(void *into, const char *arg, struct err *err)
{
	struct fares_opts *o = into;

	o->json = strcmp(arg, "json") == 0;
	if (!o->json && strcmp(arg, "tsv") != 0)
		return err_set(err, ERR_ARG, "'%s' is neither tsv nor json", arg);
	return 0;
}

#define AT(field) offsetof(struct fares_opts, field)

const struct opt fares_options[] = {
	{ .name = "report", .type = OPT_FLAG, .at = AT(on),
	  .help = "do not train, but tell how the tokenizers of -m fare with the texts" },
	{ .letter = 'm', .name = "model", .type = OPT_CALL, .call = add_model, .arg = "tokenizer",
	  .help = "report on this one; may be given again" },
	{ .letter = 'F', .name = "format", .type = OPT_CALL, .call = parse_format,
	  .arg = "tsv|json", .help = "how to write the report (tsv)" },
	{ .name = "language", .type = OPT_STR, .at = AT(language), .arg = "key",
	  .help = "report: key of a record's language (language)" },
	{ 0 }
};

/* Count what the tokenizers make of one text. */
static int
fare(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct fares *f = ctx;
	struct counter *mine = state;
	str language = { NULL, 0 };

	if (mine->tallies == NULL) {
		mine->tallies = tallies_new((const struct tokenizer *const *)f->tokenizer,
		    f->o->n, err);
		if (mine->tallies == NULL)
			return RECORD_BAD;
		f->pool->of[atomic_fetch_add(&f->pool->n, 1)] = mine->tallies;
	}
	if (json_text(r->member[0].value, &mine->text, &language, err) < 0)
		language.p = NULL;
	return tallies_text(mine->tallies, f->script, r->text, language, err) < 0 ? RECORD_BAD :
	    RECORD_KEEP;
}

static void
counter_free(void *state)
{
	buf_free(&((struct counter *)state)->text);
}

static int
no_output(void *ctx, struct record *r, struct err *err)
{
	(void)ctx, (void)r, (void)err;
	return 0;
}

/* All is counted: add up and write. */
static int
write_report(void *ctx, bool failed, struct err *err)
{
	struct fares *f = ctx;
	struct tallies *all;
	struct buf b = { 0 };
	int ret = -1;

	if (failed)
		return 0;
	if ((all = tallies_new((const struct tokenizer *const *)f->tokenizer, f->o->n,
	    err)) == NULL)
		return -1;
	for (int i = 0; i < f->pool->n; i++)
		if (tallies_add(all, f->pool->of[i], err) < 0)
			goto out;
	tool_progress(NULL, f->io->quiet, f->io->verbose);
	if (tallies_write(all, f->o->model, f->o->json, &b, err) == 0)
		ret = file_write(f->out, buf_str(&b), err);
out:
	for (int i = 0; i < f->pool->n; i++)
		tallies_free(f->pool->of[i]);
	tallies_free(all);
	buf_free(&b);
	return ret;
}

int
fares_main(const struct tool *t, struct fares_opts *o, struct filter_opts *io, const char *out,
    char **files)
{
	const str key = str_of(o->language != NULL ? o->language : "language");
	struct pool pool = { 0 };
	struct fares f = { .o = o, .io = io, .out = out, .pool = &pool };
	struct records_job job = {
		.ctx = &f, .field = filter_field(io), .keys = &key, .nkeys = 1, .map = fare,
		.sink = no_output, .state_size = sizeof(struct counter),
		.state_free = counter_free,
	};
	struct err err = { 0 };
	int status;

	if (o->n == 0)
		tool_usage("--report needs a tokenizer: -m");
	if ((f.script = script_new(&err)) == NULL)
		tool_fail(NULL, &err);
	for (int i = 0; i < o->n; i++)
		if ((f.tokenizer[i] = tokenizer_load(o->model[i], &err)) == NULL)
			tool_fail(NULL, &err);
	io->ctx = &f;
	io->end = write_report;
	status = filter_main(t, io, files, &job);
	for (int i = 0; i < o->n; i++)
		tokenizer_free(f.tokenizer[i]);
	free(f.script);
	return status;
}
