#include "tool/stages_impl.h"

static int
put_sign(void *ctx, struct record *r, struct err *err)
{
	const struct dedup *d = ctx;
	struct mapper *m = d->user;
	const struct dedup_sign *s = (const struct dedup_sign *)(uintptr_t)r->tag[0];

	return signs_put(&m->writer, &(struct sign){
		.index = r->index - m->s->io->first, .name = s->name,
		.key = d->method->sets ? (const char *)s->doc.key : (const char *)&s->hash,
		.set = s->doc.set, .n = s->doc.n,
	}, err);
}

struct records_job
mapper_job(const struct stages *s)
{
	struct records_job job = s->job;

	job.order = NULL;
	job.sink = put_sign;
	return job;
}

int
mapper_begin(struct mapper *m, struct out *out, struct err *err)
{
	const struct dedup *d = m->s->d;
	struct buf settings = { 0 };
	int ret = -1;

	m->out = out;
	if (out != NULL && dedup_settings(d, &settings, err) == 0)
		ret = signs_begin(&m->writer, out, buf_str(&settings), d->method->key_bytes(d),
		    err);
	buf_free(&settings);
	if (ret < 0) {
		out_abort(out);
		m->out = NULL;
	}
	return ret;
}

int
mapper_end(struct mapper *m, const struct records_count *c, bool failed, struct err *err)
{
	struct out *out = m->out;
	int ret = failed ? -1 : signs_finish(&m->writer, c->read, c->text_in, err);

	signs_writer_free(&m->writer);
	m->out = NULL;
	if (ret == 0)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}

static int
begin(void *ctx, const char *path, struct codec_spec codec, struct err *err)
{
	return mapper_begin(ctx, out_open(path, codec, err), err);
}

static int
end(void *ctx, bool failed, struct err *err)
{
	struct mapper *m = ctx;

	return mapper_end(m, m->s->io->run, failed, err);
}

int
stage_map(struct stages *s, char **files)
{
	struct mapper m = { .s = s };
	struct records_job job = mapper_job(s);

	if (s->io->codec != NULL)
		tool_usage("-z: files of signs are not compressed");
	s->d->named = true;
	s->d->user = &m;
	s->io->begin = begin;
	s->io->end = end;
	s->io->suffix = ".signs";
	s->io->ctx = &m;
	s->io->more_stats = NULL;
	return filter_main(s->tool, s->io, files, &job);
}
