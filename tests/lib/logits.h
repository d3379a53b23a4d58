/* What models make of the same tokens: for unit tests that compare them. */
#ifndef TESTS_LOGITS_H
#define TESTS_LOGITS_H

#include <stdlib.h>

#include "model/adapter.h"
#include "near.h"
#include "../tap.h"

enum { TOKENS = 24 };

static struct err err;
static struct dev *dev;

static void
must(int got, const char *what)
{
	if (got >= 0)
		return;
	printf("Bail out! %s: %s\n", what, err.msg);
	exit(1);
}

/* Of 24 tokens in one sequence; NULL: the model does not load, and err says why. */
static float *
logits_of(const char *path, const char *adapter, int64_t *n)
{
	struct model m = { .dev = NULL, .adapter = adapter == NULL ? NULL :
	    adapter_open(adapter, &err) };
	struct adapter *a = m.adapter;
	struct model_io io;
	struct tape *t = NULL;
	int32_t token[TOKENS], pos[TOKENS], row[TOKENS], cu[2] = { 0, TOKENS };
	float *y = NULL;

	if (model_load(&m, path, dev, false, &err) < 0)
		goto out;
	for (int i = 0; i < TOKENS; i++) {
		token[i] = (int32_t)((i * 7 + 3) % m.config.vocab);
		pos[i] = i + (int32_t)model_rope_base(&m.config, TOKENS);
		row[i] = i;
	}
	must((t = tape_new(dev, TOKENS, 1, 0, &err)) == NULL ? -1 : 0, "tape");
	must(model_record_logits(&m, t, TOKENS, &io, &err), "recording");
	must(tape_plan(t, &err), "plan");
	*n = TOKENS * m.config.vocab;
	y = calloc((size_t)*n, sizeof(*y));
	tape_set_counts(t, TOKENS, 1);
	tape_set_wanted(t, TOKENS);
	tape_upload(t, io.token, token, TOKENS);
	tape_upload(t, io.pos, pos, TOKENS);
	tape_upload(t, io.cu_seqlens, cu, 2);
	tape_upload(t, io.row, row, TOKENS);
	tape_forward(t, 0, -1);
	tape_download(t, io.logits, y, *n);
	must(dev_wait(dev, &err), "logits");
out:
	tape_free(t);
	model_free(&m);
	adapter_free(a);
	return y;
}

#endif
