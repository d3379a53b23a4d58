/*
 * embed - texts to vectors, by an encoder, a decoder or a table
 *
 * What a model makes of each token of a text (behind its last norm) is pooled to
 * one vector.  A table of model2vec has a vector for each token, and needs no
 * device.  How texts are put together into passes never changes a bit.
 */
#ifndef INFER_EMBED_H
#define INFER_EMBED_H

#include "model/model.h"
#include "model/pooling.h"
#include "token/tokenizer.h"

#define EMBED_PASS 2048		/* tokens of a pass, and room for the longest text */
#define EMBED_SEQS 256		/* texts of a pass */
#define EMBED_MOST 8192		/* tokens of a text, where nothing says fewer */

struct embed_options {
	enum pooling	pooling;	/* NONE: a vector for each token */
	int		normalize;	/* to length 1: 1, 0, or -1 as the model says */
	int64_t		most;		/* tokens of a text, all included; 0: the model's */
};

/* Is at path a table? */
bool embed_is_table(const char *path);

/*
 * From a model directory or GGUF, with what says there how vectors are pooled.
 * dev may be NULL for a table.  An embedder is one thread's.
 */
struct embedder;
struct embedder *embed_open(const char *path, struct dev *dev, const struct embed_options *o,
    struct err *err);
void embed_close(struct embedder *e);		/* NULL: nothing */

/*
 * Its two halves: what is asked of it below but embed_run(), and the weights, which come
 * and go.  embed_bytes() is what these take, with what a pass needs, of one that was declared
 * and not loaded; -1: a failure.
 */
struct embedder *embed_declare(const char *path, const struct embed_options *o,
    struct err *err);
int64_t embed_bytes(const struct embedder *e, struct err *err);
int embed_load(struct embedder *e, struct dev *dev, struct err *err);
void embed_unload(struct embedder *e);		/* also after a failure */
void embed_touch(const struct embedder *e, const atomic_bool *stop);	/* model_touch() */

int64_t embed_width(const struct embedder *e);
const struct embed_options *embed_settings(const struct embedder *e);	/* what was said or found */
const struct tokenizer *embed_tokenizer(const struct embedder *e);

/*
 * Append a text's ids, cut to what is looked at, with what its tokenizer puts
 * around.  Any number of threads, each with an encoder of its own.
 */
int embed_ids(const struct embedder *e, struct encoder *enc, str text, struct ids *ids,
    struct err *err);

/*
 * The vectors of n texts, whose ids are [cu[i], cu[i + 1]): (n, width), or with
 * POOL_NONE (cu[n], width).  A text without ids has zeros.
 */
int embed_run(struct embedder *e, const int32_t *id, const int32_t *cu, int64_t n, float *out,
    struct err *err);

#endif
