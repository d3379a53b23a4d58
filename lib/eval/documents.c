#include "eval/documents.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fmt/shard.h"
#include "text/records.h"

static bool
is_shard(const char *path)
{
	static const char magic[] = "\x8cllm";
	char head[sizeof(magic) - 1];
	int fd;
	bool is;

	if (strcmp(path, "-") == 0)
		return true;
	/* Who opens it as a shard says why that fails. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return true;
	is = read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
	    memcmp(head, magic, sizeof(head)) == 0;
	close(fd);
	return is;
}

/* The tokenizer's ids are not the model's, when the shard knows. */
static int
same_tokenizer(const struct documents *d, const struct shard_info *info, struct err *err)
{
	hash128 ours = d->fingerprint, theirs = info->tokenizer;

	if (d->tokenizer != NULL)
		ours = tokenizer_fingerprint(d->tokenizer);
	if ((ours.lo == 0 && ours.hi == 0) || (theirs.lo == 0 && theirs.hi == 0) ||
	    (ours.lo == theirs.lo && ours.hi == theirs.hi))
		return 0;
	return err_set(err, ERR_FORMAT, "made with another tokenizer than the %s",
	    d->tokenizer != NULL ? "model's" : "training shard's");
}

static int
each_item(const struct documents *d, const struct shard_item *item, struct err *err)
{
	for (int32_t s = 0; s < item->nseg; s++) {
		int32_t at = item->start[s], n = item->start[s + 1] - at;

		if (d->each(d->ctx, item->token + at, n, item->nseg == 1 ? item->source_bytes :
		    item->seg_bytes[s], err) < 0)
			return -1;
	}
	return 0;
}

static int
each_of_shard(const struct documents *d, const char *path, struct err *err)
{
	struct shard_reader *r = shard_open(path, err);
	struct shard_item item;
	int got;

	if (r == NULL)
		return -1;
	got = same_tokenizer(d, shard_reader_info(r), err);
	while (got == 0 && (got = shard_next(r, &item, err)) > 0)
		got = each_item(d, &item, err);
	shard_close(r);
	if (got < 0)
		return err_wrap(err, "%s", strcmp(path, "-") == 0 ? "stdin" : path);
	return 0;
}

/* ---- records ---- */

static void
state_free(void *state)
{
	encoded_free(state);
}

int64_t
documents_tokens(const struct tokenizer *t, const struct ids *ids, uint32_t *token)
{
	int64_t n = 0;

	if (tokenizer_adds_bos(t))
		token[n++] = (uint32_t)tokenizer_bos(t);
	for (int64_t i = 0; i < ids->n; i++)
		token[n++] = (uint32_t)ids->id[i];
	if (tokenizer_eos(t) >= 0)
		token[n++] = (uint32_t)tokenizer_eos(t);
	return n;
}

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct documents *d = ctx;
	struct encoded *e = state;
	uint32_t *token;

	if (encode_text(e, d->tokenizer, r->text, err) < 0 ||
	    (token = arena_new(r->scratch, uint32_t, e->ids.n + 2, err)) == NULL)
		return RECORD_BAD;
	r->tag[0] = (uint64_t)(uintptr_t)token;
	r->tag[1] = (uint64_t)documents_tokens(d->tokenizer, &e->ids, token);
	return RECORD_KEEP;
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	const struct documents *d = ctx;

	return d->each(d->ctx, (const uint32_t *)(uintptr_t)r->tag[0], (int64_t)r->tag[1],
	    r->text.n, err);
}

static int
each_of_records(const struct documents *d, const char *path, struct err *err)
{
	char *file = (char *)path;
	struct records_job job = {
		.ctx = (void *)d, .field = d->field.p != NULL ? d->field : S("text"),
		.map = map, .state_size = sizeof(struct encoded), .state_free = state_free,
		.sink = sink,
	};
	struct records_count count;
	struct team *team;
	int ret;

	if (d->tokenizer == NULL)
		return err_set(err, ERR_FORMAT, "%s: not a shard, and records need the "
		    "tokenizer of a model", path);
	/* A team of its own: each() may well use the device's. */
	if ((team = team_new(1, err)) == NULL)
		return -1;
	ret = records_run(team, &job, &(struct records_io){ 0 }, &file, 1, NULL, &count, err);
	team_free(team);
	return ret;
}

int
documents_each(const struct documents *d, const char *path, struct err *err)
{
	if (is_shard(path))
		return each_of_shard(d, path, err);
	return each_of_records(d, path, err);
}
