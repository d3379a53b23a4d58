/* Exporting: the layouts are in shard_convert.h and foreign_impl.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "fmt/foreign_impl.h"
#include "fmt/ids.h"
#include "fmt/shard_convert.h"

struct foreign_writer {
	enum foreign	 kind;
	struct out	*out, *index;	/* index: megatron's */
	int		 size;		/* bytes of an id */
	int64_t		 tokens;	/* so far */
	bool		 count;		/* the header awaits their number */
	struct buf	 ids, len;
};

/* Bytes of an id, or 0 when the format has no room for this vocabulary. */
static int
id_size(enum foreign kind, int32_t vocab)
{
	switch (kind) {
	case FOREIGN_NANOGPT:
		return vocab <= 65536 ? 2 : 0;
	case FOREIGN_LLMC:
		return vocab <= 65536 ? 2 : 4;
	default:
		return vocab < MEGATRON_U16 ? 2 : 4;
	}
}

static int
too_many(int64_t tokens, struct err *err)
{
	return err_set(err, ERR_LIMIT, "%lld tokens are too many for one file of llm.c: split "
	    "the input", (long long)tokens);
}

static int
put_header(struct foreign_writer *w, const struct shard_info *info, struct err *err)
{
	int32_t head[LLMC_HEADER / 4] = { 0 };

	if (w->kind != FOREIGN_LLMC)
		return 0;
	if (info->tokens > INT32_MAX)
		return too_many(info->tokens, err);
	w->count = info->tokens < 0;
	head[0] = w->size == 2 ? LLMC_MAGIC16 : LLMC_MAGIC32;
	head[1] = w->size == 2 ? LLMC_VERSION16 : LLMC_VERSION32;
	head[2] = (int32_t)info->tokens;
	return out_write(w->out, head, sizeof(head), err);
}

static int
open_outputs(struct foreign_writer *w, const char *path, struct err *err)
{
	struct codec_spec plain = { CODEC_PLAIN, 0 };
	char name[FOREIGN_PATH];
	str prefix;

	if (w->kind != FOREIGN_MEGATRON) {
		w->out = out_open(path, plain, err);
		return w->out == NULL ? -1 : 0;
	}
	prefix = str_of(path);
	if (str_ends(prefix, S(".bin")))
		prefix.n -= 4;
	if (snprintf(name, sizeof(name), "%.*s.bin", STR_ARG(prefix)) >= (int)sizeof(name))
		return err_set(err, ERR_LIMIT, "%.200s...: the name is too long", path);
	w->out = out_open(name, plain, err);
	snprintf(name, sizeof(name), "%.*s.idx", STR_ARG(prefix));
	w->index = w->out == NULL ? NULL : out_open(name, plain, err);
	return w->index == NULL ? -1 : 0;
}

struct foreign_writer *
foreign_create(enum foreign kind, const char *path, const struct shard_info *info,
    struct err *err)
{
	struct foreign_writer *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	w->kind = kind;
	w->size = id_size(kind, info->vocab);
	w->len.limit = w->ids.limit = (ptrdiff_t)1 << 40;
	if (w->size == 0) {
		err_set(err, ERR_ARG, "a vocabulary of %d does not fit nanoGPT's 16 bits",
		    info->vocab);
		foreign_abort(w);
		return NULL;
	}
	if (open_outputs(w, path, err) != 0 || put_header(w, info, err) != 0) {
		foreign_abort(w);
		return NULL;
	}
	return w;
}

int
foreign_put(struct foreign_writer *w, const struct shard_item *item, struct err *err)
{
	if (item->weight != NULL && memchr(item->weight, 0, (size_t)item->n) != NULL)
		return err_set(err, ERR_ARG, "some tokens are not trained on, which this format "
		    "cannot say");
	w->tokens += item->n;
	if (w->count && w->tokens > INT32_MAX)
		return too_many(w->tokens, err);
	if (w->size == 4) {
		if (out_write(w->out, item->token, (ptrdiff_t)item->n * 4, err) != 0)
			return -1;
	} else {
		uint16_t *to;

		buf_reset(&w->ids);
		to = (uint16_t *)(void *)buf_room(&w->ids, (ptrdiff_t)item->n * 2);
		if (to == NULL)
			return buf_ok(&w->ids, err);
		ids_simd()->narrow(to, item->token, item->n);
		if (out_write(w->out, to, (ptrdiff_t)item->n * 2, err) != 0)
			return -1;
	}
	if (w->kind != FOREIGN_MEGATRON)
		return 0;
	if (item->start == NULL)
		buf_add(&w->len, (str){ (const char *)&item->n, sizeof(item->n) });
	for (int32_t s = 0; s < item->nseg; s++) {
		int32_t n = item->start[s + 1] - item->start[s];

		buf_add(&w->len, (str){ (const char *)&n, sizeof(n) });
	}
	return buf_ok(&w->len, err);
}

static int
put_index(struct foreign_writer *w, struct err *err)
{
	const int32_t *len = (const int32_t *)(const void *)w->len.p;
	int64_t nseq = w->len.n / 4, bounds = nseq + 1, version = 1, at = 0;
	char type = w->size == 2 ? 8 : 4;

	if (out_write(w->index, MEGATRON_MAGIC, 9, err) != 0 ||
	    out_write(w->index, &version, 8, err) != 0 ||
	    out_write(w->index, &type, 1, err) != 0 ||
	    out_write(w->index, &nseq, 8, err) != 0 ||
	    out_write(w->index, &bounds, 8, err) != 0 ||
	    (nseq > 0 && out_write(w->index, len, nseq * 4, err) != 0))
		return -1;
	for (int64_t i = 0; i < nseq; i++) {
		if (out_write(w->index, &at, 8, err) != 0)
			return -1;
		at += (int64_t)len[i] * w->size;
	}
	for (int64_t i = 0; i < bounds; i++)
		if (out_write(w->index, &i, 8, err) != 0)
			return -1;
	return 0;
}

static void
writer_free(struct foreign_writer *w)
{
	buf_free(&w->ids);
	buf_free(&w->len);
	free(w);
}

int
foreign_finish(struct foreign_writer *w, struct err *err)
{
	int32_t tokens = (int32_t)w->tokens;
	int rc;

	if ((w->index != NULL && put_index(w, err) != 0) ||
	    (w->count && out_patch(w->out, 8, &tokens, sizeof(tokens), err) != 0)) {
		foreign_abort(w);
		return -1;
	}
	rc = out_commit(w->out, err);
	if (rc == 0 && w->index != NULL)
		rc = out_commit(w->index, err);
	else
		out_abort(w->index);
	writer_free(w);
	return rc;
}

void
foreign_abort(struct foreign_writer *w)
{
	if (w == NULL)
		return;
	out_abort(w->out);
	out_abort(w->index);
	writer_free(w);
}

static int
export_list(enum foreign kind, struct shard_list *l, const char *path,
    const struct shard_info *info, struct err *err)
{
	struct foreign_writer *w = foreign_create(kind, path, info, err);
	struct shard_item item;
	int rc;

	if (w == NULL)
		return -1;
	while ((rc = shard_list_next(l, &item, err)) == 1)
		if ((rc = foreign_put(w, &item, err)) != 0)
			break;
	if (rc == 0)
		return foreign_finish(w, err);
	foreign_abort(w);
	return -1;
}

int
foreign_export(enum foreign kind, char *const *files, const char *path, struct err *err)
{
	struct shard_list *l = shard_list_open(files, NULL, err);
	struct shard_info info;
	int rc = 0;

	if (l == NULL)
		return -1;
	info = *shard_list_info(l);
	if (kind == FOREIGN_LLMC)
		rc = shard_list_count(files, NULL, &info.tokens, err);
	if (rc == 0)
		rc = export_list(kind, l, path, &info, err);
	shard_list_close(l);
	return rc;
}
