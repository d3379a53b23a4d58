/*
 * chat - conversations to token ids, and which of these are trained on
 *
 * The text is what the template makes of the messages; its ids are those of
 * the reference for that text, but that special tokens are the template's
 * alone: what was said is text, so that nobody speaks in another's name.
 */
#ifndef TOKEN_CHAT_H
#define TOKEN_CHAT_H

#include "base/json.h"
#include "token/template.h"
#include "token/tokenizer.h"

enum chat_train {
	CHAT_ASSISTANT,		/* what the assistant says */
	CHAT_LAST,		/* the last thing that it says */
	CHAT_ALL		/* everything */
};

struct chat {
	const struct template	*template;
	const struct tokenizer	*tok;
	enum chat_train		 train;
	bool			 special;	/* special tokens that were said are special too */
};

/* A thread's own, used again and again. */
struct chat_tokens {
	struct ids	 ids;
	struct buf	 mask;		/* of each id, a byte: 1 trained, 0 not */
	int64_t		 trained;	/* how many are 1 */
	struct buf	 text;		/* what the template made */
	struct buf	 cuts;
};
void chat_tokens_free(struct chat_tokens *t);

/*
 * Replace out by the ids of the messages; in->bos and eos are set here.  A token
 * that is in part the assistant's is trained on.  With prompt, which is for
 * answering and not for training, the mask stays empty.
 */
int chat_encode(const struct chat *c, struct encoder *e, const struct template_input *in,
    struct chat_tokens *out, struct err *err);

/*
 * From a record: messages (or conversations, as ShareGPT has them: from and value),
 * tools, documents, and chat_template_kwargs, an object of variables.  member has
 * the values of chat_keys.
 */
#define CHAT_KEYS 5
extern const str chat_keys[CHAT_KEYS];

struct chat_record {
	json_t			*value[CHAT_KEYS];
	json_t			*messages;	/* those of in, which may be changed */
	struct template_input	 in;
};
int chat_read(const struct json_member *member, struct chat_record *r, struct err *err);
void chat_record_free(struct chat_record *r);

/* Each is an object with a role. */
int chat_check(const json_t *messages, struct err *err);

#endif
