#include "token/chat.h"

#include <stdlib.h>

enum { MESSAGES, TURNS, TOOLS, DOCUMENTS, MORE };

const str chat_keys[CHAT_KEYS] = {
	[MESSAGES] = { "messages", 8 }, [TURNS] = { "conversations", 13 }, [TOOLS] = { "tools", 5 },
	[DOCUMENTS] = { "documents", 9 }, [MORE] = { "chat_template_kwargs", 20 },
};

void
chat_tokens_free(struct chat_tokens *t)
{
	ids_free(&t->ids);
	buf_free(&t->mask);
	buf_free(&t->text);
	buf_free(&t->cuts);
}

/* ---- where bytes of the text are among the ids ---- */

struct place {
	struct encoder		*e;
	const struct tokenizer	*tok;
	const struct encode_parts *parts;
	const struct ids	*ids;
	struct ids		 again;		/* of a part of a piece */
	int64_t			 cut;		/* the one at or before the last byte asked for */
	/* of its ids, those before id are the first at bytes of it */
	int64_t			 id;
	ptrdiff_t		 at;
	bool			 plain;		/* so far its ids are its bytes */
};

static const struct encode_cut *
cut_at(const struct place *p, int64_t i)
{
	return (const struct encode_cut *)(const void *)p->parts->cuts.p + i;
}

static int64_t
cuts(const struct place *p)
{
	return p->parts->cuts.n / (ptrdiff_t)sizeof(struct encode_cut);
}

static ptrdiff_t
bytes_of(const struct tokenizer *tok, const struct ids *ids)
{
	ptrdiff_t n = 0;

	for (int64_t i = 0; i < ids->n; i++)
		n += tokenizer_bytes(tok, ids->id[i]).n;
	return n;
}

/* Go on through ids of the piece while they are its bytes and end at or before byte b. */
static void
walk(struct place *p, ptrdiff_t b, int64_t end)
{
	str text = p->parts->text;
	ptrdiff_t from = cut_at(p, p->cut)->at;

	while (p->plain && p->id < end) {
		str token = tokenizer_bytes(p->tok, p->ids->id[p->id]);

		p->plain = from + p->at + token.n <= text.n && (token.n == 0 ||
		    memcmp(token.p, text.p + from + p->at, (size_t)token.n) == 0);
		if (!p->plain || from + p->at + token.n > b)
			return;
		p->at += token.n;
		p->id++;
	}
}

/*
 * The id whose token has byte b of the text, and whether it begins there.  Where ids do
 * not stand for the text's own bytes (it was normalized, or has a space before it) the
 * piece is encoded up to b, and the bytes of both are counted.  Bytes that are asked for
 * do not go back.
 */
static int
find_id(struct place *p, ptrdiff_t b, int64_t *id, bool *begins, struct err *err)
{
	int64_t cut = p->cut, end;
	ptrdiff_t want, at = 0;

	while (cut + 1 < cuts(p) && cut_at(p, cut + 1)->at <= b)
		cut++;
	if (cut != p->cut) {
		p->cut = cut;
		p->id = cut_at(p, cut)->id;
		p->at = 0;
		p->plain = true;
	}
	end = cut + 1 < cuts(p) ? cut_at(p, cut + 1)->id : p->ids->n;
	walk(p, b, end);
	*id = p->id;
	*begins = cut_at(p, cut)->at + p->at == b;
	if (p->plain || *begins)
		return 0;
	p->again.n = 0;
	if (encode_piece(p->e, p->parts, cut_at(p, cut)->at, b, &p->again, err) < 0)
		return -1;
	want = bytes_of(p->tok, &p->again);
	for (*id = cut_at(p, cut)->id; *id < end; (*id)++) {
		ptrdiff_t n = tokenizer_bytes(p->tok, p->ids->id[*id]).n;

		if (at + n > want)
			break;
		at += n;
	}
	*begins = at == want;
	return 0;
}

static int
mark_spans(struct place *p, const struct template_spans *s, char *mask, struct err *err)
{
	for (ptrdiff_t i = 0; i < s->n; i++) {
		int64_t first, last;
		bool begins;

		if (s->at[i].start == s->at[i].end)
			continue;
		if (find_id(p, s->at[i].start, &first, &begins, err) < 0 ||
		    find_id(p, s->at[i].end, &last, &begins, err) < 0)
			return -1;
		last += !begins && last < p->ids->n;
		memset(mask + first, 1, (size_t)(last - first));
	}
	return 0;
}

static int
make_mask(const struct chat *c, struct encoder *e, const struct encode_parts *parts,
    const struct template_spans *answers, struct chat_tokens *out, struct err *err)
{
	struct place p = { .e = e, .tok = c->tok, .parts = parts, .ids = &out->ids,
	    .plain = true };
	char *mask;
	int ret;

	if ((mask = buf_room(&out->mask, out->ids.n)) == NULL)
		return buf_ok(&out->mask, err);
	out->mask.n = out->ids.n;
	memset(mask, c->train == CHAT_ALL, (size_t)out->ids.n);
	ret = c->train == CHAT_ALL ? 0 : mark_spans(&p, answers, mask, err);
	ids_free(&p.again);
	for (int64_t i = 0; i < out->ids.n; i++)
		out->trained += mask[i];
	return ret;
}

static str
token_text(const struct tokenizer *tok, int32_t id)
{
	return id < 0 ? (str){ NULL, 0 } : tokenizer_bytes(tok, id);
}

int
chat_encode(const struct chat *c, struct encoder *e, const struct template_input *given,
    struct chat_tokens *out, struct err *err)
{
	struct template_input in = *given;
	struct template_marks marks = { 0 };
	struct encode_parts parts = { .cuts = out->cuts };
	bool answers = !in.prompt && c->train != CHAT_ALL;
	int ret;

	in.bos = token_text(c->tok, tokenizer_bos(c->tok));
	in.eos = token_text(c->tok, tokenizer_eos(c->tok));
	buf_reset(&out->text);
	buf_reset(&out->mask);
	out->ids.n = out->trained = 0;
	ret = answers ? template_render_answers(c->template, &in, &out->text, &marks,
	    c->train == CHAT_LAST, err) :
	    template_render(c->template, &in, &out->text, &marks, err);
	if (ret == 0) {
		parts.text = out->text.n > 0 ? buf_str(&out->text) : S("");
		parts.said = marks.said.at;
		parts.nsaid = c->special ? 0 : marks.said.n;
		ret = encode_parts(e, &parts, &out->ids, err);
	}
	if (ret == 0 && !in.prompt)
		ret = make_mask(c, e, &parts, &marks.answers, out, err);
	out->cuts = parts.cuts;
	template_marks_free(&marks);
	return ret;
}

/* ---- records ---- */

int
chat_check(const json_t *messages, struct err *err)
{
	json_t *m;
	size_t i;

	if (!json_is_array(messages))
		return err_set(err, ERR_FORMAT, "the messages are no array");
	json_array_foreach(messages, i, m)
		if (!json_is_string(json_object_get(m, "role")))
			return err_set(err, ERR_FORMAT, "message %zu has no role", i + 1);
	return 0;
}

static const char *
role_of(const char *from)
{
	static const char *const role[][2] = {
		{ "human", "user" }, { "user", "user" }, { "gpt", "assistant" },
		{ "assistant", "assistant" }, { "model", "assistant" }, { "system", "system" },
		{ "tool", "tool" }, { "function", "tool" }, { "observation", "tool" },
	};

	for (size_t i = 0; from != NULL && i < sizeof(role) / sizeof(*role); i++)
		if (strcmp(from, role[i][0]) == 0)
			return role[i][1];
	return NULL;
}

/* ShareGPT's turns, from and value, as messages. */
static json_t *
from_turns(const json_t *turns, struct err *err)
{
	json_t *messages = json_array(), *turn, *m;
	size_t i;

	json_array_foreach(turns, i, turn) {
		const char *from = json_string_value(json_object_get(turn, "from"));
		const char *role = role_of(from);

		if (json_object_get(turn, "role") != NULL) {
			json_array_append(messages, turn);
			continue;
		}
		if (role == NULL) {
			err_set(err, ERR_FORMAT, "conversations: turn %zu is from '%.60s', which "
			    "is no role that is known", i + 1, from != NULL ? from : "nobody");
			json_decref(messages);
			return NULL;
		}
		m = json_pack("{s:s, s:O?}", "role", role, "content",
		    json_object_get(turn, "value"));
		json_array_append_new(messages, m);
	}
	if (messages == NULL || json_array_size(messages) != json_array_size(turns)) {
		err_set(err, ERR_NOMEM, "out of memory");
		json_decref(messages);
		return NULL;
	}
	return messages;
}

/* A value; tools and documents may be JSON in a string, as some data sets have them. */
static json_t *
read_value(int key, str s, struct err *err)
{
	struct buf b = { 0 };
	json_t *v = NULL;

	if (s.p[0] == '"' && (key == TOOLS || key == DOCUMENTS)) {
		if (json_text(s, &b, &s, err) == 0)
			v = json_doc(s, err);
	} else if (s.p[0] != '[' && s.p[0] != '{') {
		err_set(err, ERR_FORMAT, "neither array nor object");
	} else {
		v = json_doc(s, err);
	}
	buf_free(&b);
	if (v == NULL)
		err_wrap(err, "key '%.*s'", STR_ARG(chat_keys[key]));
	return v;
}

int
chat_read(const struct json_member *member, struct chat_record *r, struct err *err)
{
	*r = (struct chat_record){ 0 };
	for (int i = 0; i < CHAT_KEYS; i++) {
		str s = member[i].value;

		if (!json_given(s))
			continue;
		if ((r->value[i] = read_value(i, s, err)) == NULL)
			goto fail;
	}
	if (r->value[MESSAGES] == NULL && r->value[TURNS] == NULL) {
		err_set(err, ERR_FORMAT, "no key 'messages'");
		goto fail;
	}
	if (r->value[MESSAGES] == NULL &&
	    (r->value[MESSAGES] = from_turns(r->value[TURNS], err)) == NULL)
		goto fail;
	if (chat_check(r->value[MESSAGES], err) < 0)
		goto fail;
	r->messages = r->value[MESSAGES];
	r->in = (struct template_input){ .messages = r->messages, .tools = r->value[TOOLS],
	    .documents = r->value[DOCUMENTS], .more = r->value[MORE] };
	return 0;
fail:
	chat_record_free(r);
	return -1;
}

void
chat_record_free(struct chat_record *r)
{
	for (int i = 0; i < CHAT_KEYS; i++)
		json_decref(r->value[i]);
	*r = (struct chat_record){ 0 };
}
