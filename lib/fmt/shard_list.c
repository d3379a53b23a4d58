#include "fmt/shard_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fmt/provenance.h"

struct shard_list {
	char *const	*file;		/* the next */
	const char	*name;		/* of the one that is open */
	struct shard_reader *r;		/* NULL: at the end */
	struct shard_info info;
	json_t		*provenance;
};

static int
open_next(struct shard_list *l, const char *name, struct err *err)
{
	l->r = shard_open(name, err);
	if (l->r == NULL)
		return -1;
	if (l->name == NULL) {
		l->info = *shard_reader_info(l->r);
		l->info.docs = l->info.rows = l->info.segments = 0;
		l->info.tokens = l->info.source_bytes = l->info.masked = 0;
	} else if (shard_same(&l->info, shard_reader_info(l->r), err) != 0) {
		return err_wrap(err, "%s: differs from the first file", name);
	}
	l->name = name;
	return 0;
}

struct shard_list *
shard_list_open(char *const *files, json_t *provenance, struct err *err)
{
	struct shard_list *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	l->provenance = provenance;
	l->file = *files == NULL ? files : files + 1;
	if (open_next(l, *files == NULL ? "-" : *files, err) != 0) {
		shard_list_close(l);
		return NULL;
	}
	return l;
}

const struct shard_info *
shard_list_info(const struct shard_list *l)
{
	return &l->info;
}

/* The open file is at its end: take what is known only then. */
static int
close_one(struct shard_list *l, struct err *err)
{
	const struct shard_info *t = shard_reader_info(l->r);
	int rc = 0;

	l->info.docs += t->docs;
	l->info.rows += t->rows;
	l->info.segments += t->segments;
	l->info.tokens += t->tokens;
	l->info.masked += t->masked;
	l->info.source_bytes += t->source_bytes;
	if (l->provenance != NULL)
		rc = provenance_input(l->provenance, shard_reader_hash(l->r),
		    shard_reader_provenance(l->r), err);
	shard_close(l->r);
	l->r = NULL;
	return rc;
}

int
shard_list_next(struct shard_list *l, struct shard_item *item, struct err *err)
{
	while (l->r != NULL) {
		int rc = shard_next(l->r, item, err);

		if (rc != 0)
			return rc;
		if (close_one(l, err) != 0)
			return -1;
		if (*l->file != NULL && open_next(l, *l->file++, err) != 0)
			return -1;
	}
	return 0;
}

int64_t
shard_list_pos(const struct shard_list *l)
{
	return l->r == NULL ? 0 : shard_reader_pos(l->r);
}

int64_t
shard_list_size(const struct shard_list *l)
{
	return l->r == NULL ? -1 : shard_reader_size(l->r);
}

void
shard_list_close(struct shard_list *l)
{
	if (l == NULL)
		return;
	shard_close(l->r);
	free(l);
}

int
shard_finish_from(struct shard_writer *w, const json_t *provenance, struct err *err)
{
	struct buf text = { 0 };
	int rc = 0;

	if (provenance != NULL)
		rc = provenance_text(provenance, &text, err) == 0 ?
		    shard_set_provenance(w, buf_str(&text), err) : -1;
	buf_free(&text);
	if (rc == 0)
		return shard_finish(w, err);
	shard_abort(w);
	return -1;
}

int
shard_join(struct shard_list *l, struct shard_writer *w, const json_t *provenance,
    struct err *err)
{
	struct shard_item item;
	int rc;

	while ((rc = shard_list_next(l, &item, err)) == 1)
		if ((rc = shard_put(w, &item, err)) != 0)
			break;
	if (rc == 0)
		return shard_finish_from(w, provenance, err);
	shard_abort(w);
	return -1;
}

static struct shard_writer *
create_part(const struct shard_split *s, int64_t part, const struct shard_info *info,
    struct err *err)
{
	char path[4096];
	struct out *out;

	if (snprintf(path, sizeof(path), "%s/%05" PRId64 ".shard", s->dir, part) >=
	    (int)sizeof(path)) {
		err_set(err, ERR_LIMIT, "%.200s...: the name is too long", s->dir);
		return NULL;
	}
	out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);
	return out == NULL ? NULL : shard_create(out, info, (str){ NULL, 0 }, err);
}

/* Is the part full, when seen tokens came before the next item? */
static bool
part_ends(const struct shard_split *s, int64_t part, int64_t seen, int64_t tokens)
{
	if (s->parts == 0)
		return tokens >= s->size;
	/* floor(tokens * (part + 1) / parts), and no overflow */
	return part + 1 < s->parts && seen >= s->tokens / s->parts * (part + 1) +
	    s->tokens % s->parts * (part + 1) / s->parts;
}

/* Finish the file of a part and begin the next.  NULL: failed, and it is freed. */
static struct shard_writer *
turn(const struct shard_split *s, struct shard_writer *w, int64_t part,
    const struct shard_info *info, struct err *err)
{
	return shard_finish_from(w, s->provenance, err) != 0 ? NULL :
	    create_part(s, part, info, err);
}

int
shard_split(struct shard_list *l, const struct shard_split *s, struct err *err)
{
	const struct shard_info *info = shard_list_info(l);
	struct shard_writer *w;
	int64_t part = 0, seen = 0;
	struct shard_item item;
	int rc;

	if (mkdir(s->dir, 0777) != 0 && errno != EEXIST)
		return err_sys(err, "%s: cannot create", s->dir);
	w = create_part(s, 0, info, err);
	if (w == NULL)
		return -1;
	while ((rc = shard_list_next(l, &item, err)) == 1) {
		while (part_ends(s, part, seen, shard_writer_info(w)->tokens))
			if ((w = turn(s, w, ++part, info, err)) == NULL)
				return -1;
		if ((rc = shard_put(w, &item, err)) != 0)
			break;
		seen += item.n;
	}
	if (rc != 0) {
		shard_abort(w);
		return -1;
	}
	while (part + 1 < s->parts)
		if ((w = turn(s, w, ++part, info, err)) == NULL)
			return -1;
	return shard_finish_from(w, s->provenance, err);
}
