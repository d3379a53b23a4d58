#include <inttypes.h>

#include "base/sorter.h"
#include "text/blend_impl.h"

static double
share_of(const struct blend *m, const struct blend_source *s)
{
	return m->size > 0 ? (double)s->size_out / (double)m->size : 0;
}

static json_t *
source_stats(const struct blend *m, const struct blend_source *s)
{
	return json_pack("{s:s%,s:i,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:I,s:I}",
	    "name", s->name.p, (size_t)s->name.n, "files", s->nfiles,
	    "records_in", (json_int_t)s->records, "bad", (json_int_t)s->bad,
	    "bytes_in", (json_int_t)s->count.bytes_in,
	    "text_bytes_in", (json_int_t)s->count.text_in, "size", (json_int_t)s->size,
	    "asked", s->asked, "share", share_of(m, s), "epochs", s->epochs,
	    "records_out", (json_int_t)s->records_out, "size_out", (json_int_t)s->size_out);
}

json_t *
blend_stats(const struct blend *m)
{
	json_t *sources = json_array(), *stats = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o}",
	    "by", blend_unit_name(m->unit), "seed", (json_int_t)m->seed,
	    "records_in", (json_int_t)m->read, "bad", (json_int_t)m->bad,
	    "records_out", (json_int_t)m->records, "size", (json_int_t)m->size, "spilled",
	    (json_int_t)(m->spill.in_files + (m->sorter != NULL ? sorter_spilled(m->sorter) : 0)),
	    "sources", sources);

	for (int i = 0; i < m->n && stats != NULL; i++)
		if (json_array_append_new(sources, source_stats(m, &m->source[i])) < 0) {
			json_decref(stats);
			return NULL;
		}
	return stats;
}

void
blend_table(const struct blend *m, struct buf *b)
{
	buf_add(b, S("source\trecords\tsize\tasked\tshare\tepochs\trecords_out\tsize_out\n"));
	for (int i = 0; i < m->n; i++) {
		const struct blend_source *s = &m->source[i];

		buf_fmt(b, "%.*s\t%" PRId64 "\t%" PRId64 "\t%.6f\t%.6f\t%.4f\t", STR_ARG(s->name),
		    s->records, s->size, s->asked, share_of(m, s), s->epochs);
		buf_fmt(b, "%" PRId64 "\t%" PRId64 "\n", s->records_out, s->size_out);
	}
}
