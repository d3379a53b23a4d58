/*
 * request - what a text is asked for with, from text and JSON
 *
 * Names and meanings are those of the interfaces that people know (OpenAI's,
 * and vLLM's where that has none); a value of another type, or beyond its
 * limits, is an error that names the key.  What is made lies in an arena.
 */
#ifndef INFER_REQUEST_H
#define INFER_REQUEST_H

#include "base/arena.h"
#include "base/json.h"
#include "infer/scheduler.h"

enum { REQUEST_STOPS = 64, REQUEST_BIASES = 1024 };

/*
 * The tokens of a prompt as the model's documents begin: with BOS when its
 * tokenizer puts one there.  An empty one is the end of the text before.
 */
int prompt_tokens(const struct tokenizer *tok, str prompt, struct ids *ids, struct err *err);
/* The same by an encoder of that tokenizer, for who has many prompts. */
int prompt_encode(struct encoder *e, const struct tokenizer *tok, str prompt, struct ids *ids,
    struct err *err);

/* The id that a text names: a decimal number is one, another text has to be one token. */
int token_named(const struct tokenizer *tok, str name, int32_t *id, struct err *err);

/* Keys of a record that change its request, for records_job.keys and json_scan(). */
enum { REQUEST_KEYS = 19, REQUEST_SEED = 10 };	/* "seed" is one of them */
extern const str request_keys[REQUEST_KEYS];

/*
 * The schema of a "response_format": text, any JSON object, or JSON of a schema.  p NULL:
 * it may be any text.
 */
int request_format(str value, str *schema, struct err *err);

/*
 * Change *r as the members of these keys say; null is as if it were not there.
 * Without request.top no log-probabilities are wanted: it is -1 then.  What it
 * holds of its grammars is to be released once its texts have begun.
 */
int request_read(struct request *r, const struct json_member member[REQUEST_KEYS],
    const struct tokenizer *tok, struct arena *a, struct err *err);

#endif
