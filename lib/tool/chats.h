/*
 * chats - records that are texts or conversations, as a tool's options say
 */
#ifndef TOOL_CHATS_H
#define TOOL_CHATS_H

#include <time.h>

#include "text/records.h"
#include "token/chat.h"
#include "tool/tool.h"

struct chats {
	bool		 special, on;		/* --parse-special, --chat */
	const char	*path, *train, *date;	/* --template, --train-on, --date */
	struct chat	 chat;
	struct template	*template;
	struct tm	 day;
	str		 keys[CHAT_KEYS];
};

extern const struct opt chats_options[];
#define CHATS_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = chats_options }

/*
 * Load the template, the model's unless another is named, and have the job ask for what a
 * record may have; field is that of the messages, unless NULL.  Without --chat only check
 * that no other option of these is there, and no mask is asked for.  Exits when that
 * fails.
 */
void chats_start(struct chats *c, const char *model, const struct tokenizer *tok,
    const char *field, bool mask, struct records_job *job);
void chats_end(struct chats *c);

/* The ids of a record, with --chat the mask too, and the text that they are of. */
int chats_encode(const struct chats *c, struct encoder *e, const struct record *r,
    struct chat_tokens *out, str *text, struct err *err);

/* What of the options is to be known of a result. */
void chats_note(const struct chats *c, json_t *options);

#endif
