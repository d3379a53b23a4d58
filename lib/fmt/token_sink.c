#include "fmt/token_sink.h"

#include "base/buf.h"
#include "fmt/provenance.h"

int
token_sink_open(struct token_sink *s, enum foreign kind, const char *path,
    struct codec_spec codec, const struct shard_info *info, json_t *provenance,
    struct err *err)
{
	struct out *out;

	*s = (struct token_sink){ .provenance = provenance };
	if (kind != FOREIGN_NONE) {
		s->foreign = foreign_create(kind, path, info, err);
		return s->foreign == NULL ? -1 : 0;
	}
	if ((s->hash = hasher_new(err)) == NULL)
		return -1;
	if ((out = out_open(path, codec, err)) == NULL ||
	    (s->shard = shard_create(out, info, (str){ NULL, 0 }, err)) == NULL) {
		token_sink_abort(s);
		return -1;
	}
	return 0;
}

int
token_sink_put(struct token_sink *s, const struct shard_item *doc, uint64_t text,
    struct err *err)
{
	if (s->foreign != NULL)
		return foreign_put(s->foreign, doc, err);
	hasher_add(s->hash, (str){ (const char *)&text, sizeof(text) });
	return shard_put(s->shard, doc, err);
}

static int
put_provenance(struct token_sink *s, struct err *err)
{
	struct buf text = { 0 };
	int ret = 0;

	if (provenance_input(s->provenance, hasher_end64(s->hash), (str){ NULL, 0 }, err) < 0 ||
	    provenance_text(s->provenance, &text, err) < 0 ||
	    shard_set_provenance(s->shard, buf_str(&text), err) < 0)
		ret = -1;
	buf_free(&text);
	return ret;
}

int
token_sink_finish(struct token_sink *s, struct err *err)
{
	int ret;

	if (s->shard != NULL && s->provenance != NULL && put_provenance(s, err) < 0) {
		token_sink_abort(s);
		return -1;
	}
	ret = s->shard != NULL ? shard_finish(s->shard, err) : foreign_finish(s->foreign, err);
	hasher_free(s->hash);
	*s = (struct token_sink){ 0 };
	return ret;
}

void
token_sink_abort(struct token_sink *s)
{
	shard_abort(s->shard);
	foreign_abort(s->foreign);
	hasher_free(s->hash);
	*s = (struct token_sink){ 0 };
}

ptrdiff_t
token_line(char *to, const int32_t *id, int64_t n)
{
	char *p = to;

	for (int64_t i = 0; i < n; i++) {
		char digit[TOKEN_LINE];
		uint32_t x = (uint32_t)id[i];
		int d = 0;

		if (i > 0)
			*p++ = ' ';
		do
			digit[d++] = (char)('0' + x % 10);
		while ((x /= 10) > 0);
		while (d > 0)
			*p++ = digit[--d];
	}
	*p++ = '\n';
	return p - to;
}
