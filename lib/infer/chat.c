#include "infer/chat.h"

#include <time.h>

#include "token/chat.h"

int
chat_say(json_t *messages, const char *role, str content, struct err *err)
{
	json_t *m = json_pack("{s:s, s:s%}", "role", role, "content", content.p,
	    (size_t)content.n);

	if (m == NULL || json_array_append_new(messages, m) < 0)
		return err_set(err, ERR_NOMEM, "a message that is no text, or out of memory");
	return 0;
}

int
chat_prompt(const struct template *t, const struct tokenizer *tok, const json_t *messages,
    struct ids *ids, struct err *err)
{
	const struct chat c = { .template = t, .tok = tok };
	struct template_input in = { .messages = messages, .prompt = true };
	struct encoder *e = encoder_new(tok, err);
	struct chat_tokens out = { .ids = *ids };
	time_t now = time(NULL);
	struct tm utc;
	int ret = -1;

	in.now = gmtime_r(&now, &utc);
	if (e != NULL && chat_check(messages, err) == 0)
		ret = chat_encode(&c, e, &in, &out, err);
	if (ret == 0 && out.ids.n == 0)
		ret = err_set(err, ERR_FORMAT, "the template makes nothing of the messages");
	*ids = out.ids;
	out.ids = (struct ids){ 0 };
	chat_tokens_free(&out);
	encoder_free(e);
	return ret;
}
