#include "train/scorer.h"

#include <math.h>
#include <stdlib.h>

#include "train/share.h"

struct scorer {
	struct tape	*tape;
	struct model_io	 io;
	struct batch	 batch;
	struct dev	*dev;
};

struct scorer *
scorer_new(struct model *model, int64_t max_tokens, struct err *err)
{
	struct scorer *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->dev = model->dev;
	if (batch_init(&s->batch, max_tokens, err) < 0 ||
	    (s->tape = tape_new(model->dev, max_tokens, max_tokens,
	    params_tape(&model->params), err)) == NULL ||
	    model_record_score(model, s->tape, &s->io, 0, err) < 0 ||
	    tape_plan(s->tape, err) < 0) {
		scorer_free(s);
		return NULL;
	}
	return s;
}

void
scorer_free(struct scorer *s)
{
	if (s == NULL)
		return;
	tape_free(s->tape);
	batch_free(&s->batch);
	free(s);
}

void
batch_upload(struct tape *t, const struct model_io *io, const struct batch *b)
{
	for (int64_t s = 0; s < b->seqs; s++) {
		int32_t from = b->cu_seqlens[s], to = b->cu_seqlens[s + 1];
		int32_t base = (int32_t)model_rope_base(io->config, to - from);

		for (int32_t i = from; i < to; i++)
			b->pos[i] = base + i - from;
	}
	tape_set_counts(t, (int32_t)b->tokens, (int32_t)b->seqs);
	tape_upload(t, io->token, b->token, b->tokens);
	tape_upload(t, io->pos, b->pos, b->tokens);
	tape_upload(t, io->target, b->target, b->tokens);
	tape_upload(t, io->cu_seqlens, b->cu_seqlens, b->seqs + 1);
}

int
scorer_batch(struct scorer *s, const struct batch *b, double *nats,
    struct score_report *r, struct err *err)
{
	const double zero = 0;
	double loss;

	if (b->tokens == 0)
		return 0;
	batch_upload(s->tape, &s->io, b);
	tape_upload(s->tape, s->io.loss, &zero, 1);
	tape_forward(s->tape, 0, -1);
	tape_download(s->tape, s->io.loss, &loss, 1);
	if (dev_wait(s->dev, err) < 0)
		return -1;
	*nats += loss;
	r->tokens += b->tokens;
	r->targets += b->targets;
	r->source_bytes += b->source_bytes;
	return 0;
}

void
score_finish(struct score_report *r, double nats)
{
	r->loss = r->targets > 0 ? nats / (double)r->targets : 0;
	r->bits_per_byte = r->source_bytes > 0 ? nats / log(2) / (double)r->source_bytes : 0;
}

/* What ranks scored, to what all of them did. */
static int
add_up(struct comm *comm, double *nats, struct score_report *r, struct err *err)
{
	int64_t n[] = { r->tokens, r->targets, r->source_bytes };

	if (comm_sum_f64(comm, nats, err) < 0 || comm_sum(comm, n, 3, err) < 0)
		return -1;
	r->tokens = n[0];
	r->targets = n[1];
	r->source_bytes = n[2];
	return 0;
}

int
scorer_rows(struct scorer *s, struct loader *rows, struct comm *comm, struct score_report *r,
    struct err *err)
{
	const struct shard_info *info = loader_info(rows);
	int64_t per = s->batch.cap_tokens / info->row_len;
	struct row_range own = share_rows(comm, info->rows);
	double nats = 0;

	*r = (struct score_report){ 0 };
	for (int64_t i = 0; i < own.n; i += per) {
		int64_t n = own.n - i < per ? own.n - i : per;

		if (loader_rows(rows, own.first + i, n, &s->batch, err) < 0 ||
		    scorer_batch(s, &s->batch, &nats, r, err) < 0)
			return -1;
	}
	if (add_up(comm, &nats, r, err) < 0)
		return -1;
	score_finish(r, nats);
	return 0;
}
