#include "tool/chats.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/chat.h"

#define AT(field) .at = offsetof(struct chats, field)

const struct opt chats_options[] = {
	{ .name = "parse-special", .type = OPT_FLAG, AT(special),
	  .help = "names of special tokens in texts become these tokens" },
	{ .name = "chat", .type = OPT_FLAG, AT(on),
	  .help = "records are conversations: write them by the model's chat template" },
	{ .name = "template", .type = OPT_STR, AT(path), .arg = "file",
	  .help = "chat: by this template (.jinja), or that of this model" },
	{ .name = "train-on", .type = OPT_STR, AT(train), .arg = "assistant|last|all",
	  .help = "chat: train on what the assistant says, its last turn, or all (assistant)" },
	{ .name = "date", .type = OPT_STR, AT(date), .arg = "yyyy-mm-dd",
	  .help = "chat: the day that templates may ask for" },
	{ 0 }
};

static const char *const trains[] = { "assistant", "last", "all" };

static enum chat_train
train_on(const char *name)
{
	int i = tool_choice(name, trains, 3);

	if (i < 0)
		tool_usage("--train-on %s: not assistant, last or all", name);
	return (enum chat_train)i;
}

static void
read_date(const char *s, struct tm *day)
{
	struct tm asked = { 0 };
	int end = 0, y, m, d;
	time_t at;

	if (sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &end) == 3 && s[end] == '\0') {
		asked = (struct tm){ .tm_year = y - 1900, .tm_mon = m - 1, .tm_mday = d };
		at = timegm(&asked);
		/* There is such a day when it is still that one. */
		if (gmtime_r(&at, day) != NULL && day->tm_mday == d && day->tm_mon == m - 1)
			return;
	}
	tool_usage("--date %s: no day, yyyy-mm-dd", s);
}

void
chats_start(struct chats *c, const char *model, const struct tokenizer *tok,
    const char *field, bool mask, struct records_job *job)
{
	struct err err = { 0 };

	if (!c->on) {
		if (c->path != NULL || c->train != NULL || c->date != NULL)
			tool_usage("--template, --train-on and --date are for --chat");
		if (mask)
			tool_usage("-F mask is for --chat: all of a text is trained on");
		return;
	}
	c->chat = (struct chat){ .tok = tok, .train = train_on(c->train), .special = c->special };
	if (c->date != NULL)
		read_date(c->date, &c->day);
	c->template = template_load(c->path != NULL ? c->path : model, NULL, &err);
	if (c->template == NULL)
		tool_fail(NULL, &err);
	c->chat.template = c->template;
	memcpy(c->keys, chat_keys, sizeof(c->keys));
	if (field != NULL)
		c->keys[0] = str_of(field);
	job->field = (str){ NULL, 0 };
	job->keys = c->keys;
	job->nkeys = CHAT_KEYS;
}

void
chats_end(struct chats *c)
{
	template_free(c->template);
}

int
chats_encode(const struct chats *c, struct encoder *e, const struct record *r,
    struct chat_tokens *out, str *text, struct err *err)
{
	struct chat_record rec;
	int ret;

	*text = r->text;
	if (!c->on) {
		out->ids.n = 0;
		return encode(e, r->text, ENCODE_CHECKED | (c->special ? ENCODE_SPECIAL : 0),
		    &out->ids, err);
	}
	if (chat_read(r->member, &rec, err) < 0)
		return -1;
	rec.in.now = c->date != NULL ? &c->day : NULL;
	ret = chat_encode(&c->chat, e, &rec.in, out, err);
	chat_record_free(&rec);
	*text = buf_str(&out->text);
	return ret;
}

void
chats_note(const struct chats *c, json_t *options)
{
	char hash[17];

	if (c->special)
		json_object_set_new(options, "parse-special", json_true());
	if (!c->on)
		return;
	snprintf(hash, sizeof(hash), "%016llx",
	    (unsigned long long)template_fingerprint(c->template));
	json_object_set_new(options, "template", json_string(hash));
	json_object_set_new(options, "train-on", json_string(trains[c->chat.train]));
	if (c->date != NULL)
		json_object_set_new(options, "date", json_string(c->date));
}
