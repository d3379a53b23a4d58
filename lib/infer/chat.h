/*
 * chat - from messages to the tokens of a prompt
 */
#ifndef INFER_CHAT_H
#define INFER_CHAT_H

#include <jansson.h>

#include "token/template.h"
#include "token/tokenizer.h"

/*
 * Replace ids by what the template makes of the messages (an array of objects with
 * role and content) and of the beginning of an answer, as chat_encode() does.  The
 * time is UTC.
 */
int chat_prompt(const struct template *t, const struct tokenizer *tok, const json_t *messages,
    struct ids *ids, struct err *err);

/* Append {"role": role, "content": content} to the messages. */
int chat_say(json_t *messages, const char *role, str content, struct err *err);

#endif
