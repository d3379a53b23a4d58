/* What a shard is, for people and for programs. */
#include <inttypes.h>
#include <stdlib.h>

#include "fmt/provenance.h"
#include "fmt/shard_list.h"

static int
read_all(const char *path, struct shard_summary *s, struct err *err)
{
	struct shard_reader *r = shard_open(path, err);
	struct shard_item item;
	int rc;

	if (r == NULL)
		return -1;
	while ((rc = shard_next(r, &item, err)) == 1)
		continue;
	s->info = *shard_reader_info(r);
	s->hash = shard_reader_hash(r);
	if (rc == 0)
		buf_add(&s->provenance, shard_reader_provenance(r));
	shard_close(r);
	return rc;
}

int
shard_summarize(const char *path, struct shard_summary *s, struct err *err)
{
	struct shard_map *m = strcmp(path, "-") == 0 ? NULL : shard_map_open(path, err);

	buf_reset(&s->provenance);
	/* What cannot be mapped may be a pipe or compressed; else reading says why. */
	if (m == NULL)
		return read_all(path, s, err) == 0 ? buf_ok(&s->provenance, err) : -1;
	s->info = *shard_map_info(m);
	s->hash = shard_map_hash(m);
	buf_add(&s->provenance, shard_map_provenance(m));
	shard_map_close(m);
	return buf_ok(&s->provenance, err);
}

void
shard_summary_free(struct shard_summary *s)
{
	buf_free(&s->provenance);
}

int
shard_list_count(char *const *files, json_t *provenance, int64_t *tokens, struct err *err)
{
	struct shard_summary s = { 0 };
	int rc = 0;

	if (*files == NULL)
		rc = err_set(err, ERR_ARG, "the standard input cannot be read twice: name the "
		    "files");
	for (*tokens = 0; *files != NULL && rc == 0; files++) {
		if (strcmp(*files, "-") == 0)
			rc = err_set(err, ERR_ARG, "the standard input cannot be read twice");
		else if ((rc = shard_summarize(*files, &s, err)) == 0 && provenance != NULL)
			rc = provenance_input(provenance, s.hash, buf_str(&s.provenance), err);
		*tokens += s.info.tokens;
	}
	shard_summary_free(&s);
	return rc;
}

double
shard_fill(const struct shard_info *t)
{
	return t->rows == 0 ? 1 : (double)t->tokens / ((double)t->rows * t->row_len);
}

void
shard_summary_text(const char *path, const struct shard_summary *s, struct buf *b)
{
	const struct shard_info *t = &s->info;
	char tokenizer[33], *text = NULL;
	json_t *made;

	hash128_hex(t->tokenizer, tokenizer);
	buf_fmt(b, "%s:\n", path);
	if (t->packed)
		buf_fmt(b, "  rows          %" PRId64 " of %d tokens, %.2f%% full\n"
		    "  documents     %" PRId64 " in %" PRId64 " segments\n", t->rows,
		    t->row_len, 100 * shard_fill(t), t->docs, t->segments);
	else
		buf_fmt(b, "  documents     %" PRId64 "\n", t->docs);
	buf_fmt(b, "  tokens        %" PRId64 " of %d bits\n", t->tokens,
	    t->vocab <= 65536 ? 16 : 32);
	if (t->masked > 0)
		buf_fmt(b, "  trained on    %" PRId64 " of them\n", t->tokens - t->masked);
	buf_fmt(b, "  source bytes  %" PRId64, t->source_bytes);
	if (t->tokens > 0)
		buf_fmt(b, " (%.3f a token)", (double)t->source_bytes / (double)t->tokens);
	buf_fmt(b, "\n  vocabulary    %d\n", t->vocab);
	if (t->eos >= 0)
		buf_fmt(b, "  end token     %d\n", t->eos);
	if (t->tokenizer.lo != 0 || t->tokenizer.hi != 0)
		buf_fmt(b, "  tokenizer     %s\n", tokenizer);
	made = json_loadb(s->provenance.p, (size_t)s->provenance.n, 0, NULL);
	if (made != NULL && (text = json_dumps(made, JSON_COMPACT)) != NULL)
		buf_fmt(b, "  made by       %s\n", text);
	free(text);
	json_decref(made);
}

void
shard_summary_json(const char *path, const struct shard_summary *s, struct buf *b)
{
	const struct shard_info *t = &s->info;
	char tokenizer[33], *text;
	json_t *o = json_pack("{s:s, s:s}", "file", path, "kind",
	    t->packed ? "rows" : "documents");

	hash128_hex(t->tokenizer, tokenizer);
	if (t->packed) {
		json_object_set_new(o, "row_len", json_integer(t->row_len));
		json_object_set_new(o, "rows", json_integer(t->rows));
		json_object_set_new(o, "fill", json_real(shard_fill(t)));
	}
	json_object_set_new(o, "documents", json_integer(t->docs));
	json_object_set_new(o, "segments", json_integer(t->segments));
	json_object_set_new(o, "tokens", json_integer(t->tokens));
	json_object_set_new(o, "trained", json_integer(t->tokens - t->masked));
	json_object_set_new(o, "source_bytes", json_integer(t->source_bytes));
	json_object_set_new(o, "vocab", json_integer(t->vocab));
	json_object_set_new(o, "eos", t->eos < 0 ? json_null() : json_integer(t->eos));
	json_object_set_new(o, "tokenizer", json_string(tokenizer));
	if (s->provenance.n > 0)
		json_object_set_new(o, "provenance",
		    json_loadb(s->provenance.p, (size_t)s->provenance.n, 0, NULL));
	text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
	if (text == NULL)
		b->failed = true;
	else
		buf_fmt(b, "%s\n", text);
	free(text);
	json_decref(o);
}

static void
item_ids(const struct shard_item *item, struct buf *b)
{
	buf_reset(b);
	for (int32_t s = 0; s < item->nseg; s++)
		for (int32_t i = item->start[s]; i < item->start[s + 1]; i++)
			buf_fmt(b, "%s%s%" PRIu32, i == 0 ? "" : i == item->start[s] ? " | " :
			    " ", item->weight != NULL && item->weight[i] == 0 ? "-" : "",
			    item->token[i]);
	buf_byte(b, '\n');
}

int
shard_list_print(struct shard_list *l, int64_t n, const char *path, struct err *err)
{
	struct out *out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);
	struct shard_item item;
	struct buf text = { 0 };
	int rc = 0;

	if (out == NULL)
		return -1;
	while (n-- > 0 && (rc = shard_list_next(l, &item, err)) == 1) {
		item_ids(&item, &text);
		rc = buf_ok(&text, err);
		if (rc != 0 || (rc = out_write(out, text.p, text.n, err)) != 0)
			break;
	}
	buf_free(&text);
	if (rc == 0 || rc == 1)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}
