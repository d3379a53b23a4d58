/* What asks for texts: chats and completions, from a body to jobs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/progress.h"
#include "infer/request.h"
#include "serve/calls_grammar.h"
#include "serve/reply_impl.h"
#include "token/chat.h"

enum { CHOICES = 128, PROMPTS = 256, TEXTS = 1024, COMPLETION_TOKENS = 16 };

/* Keys of both that the worker does not read alone. */
#define KEY_LIST(X) \
	X(N, "n") X(STREAM, "stream") X(STREAM_OPTIONS, "stream_options") X(SEED, "seed") \
	X(TEMPERATURE, "temperature") X(LOGPROBS, "logprobs") X(MAX_TOKENS, "max_tokens") \
	X(MAX_COMPLETION, "max_completion_tokens") X(PROMPT, "prompt") X(ECHO, "echo") \
	X(SUFFIX, "suffix") X(BEST_OF, "best_of") X(SALT, "cache_salt") X(TOOLS, "tools") \
	X(TOOL_CHOICE, "tool_choice") X(PARALLEL, "parallel_tool_calls") \
	X(PRIORITY, "priority") X(DEADLINE, "deadline") X(TIER, "service_tier") \
	X(FORMAT, "response_format") X(STRUCTURED, "structured_outputs") \
	X(FUNCTIONS, "functions") X(FUNCTION_CALL, "function_call") X(AUDIO, "audio") \
	X(MODALITIES, "modalities") X(WEB_SEARCH, "web_search_options")

enum {
#define X(id, name) id,
	KEY_LIST(X)
#undef X
	KEYS
};

static const str keys[KEYS] = {
#define X(id, name) { name, sizeof(name) - 1 },
	KEY_LIST(X)
#undef X
};

struct asked {
	struct api	*api;
	struct http_call *call;
	struct json_member m[KEYS];
	struct served	*model;
	int		 adapter;
	bool		 chat;
	str		 body, verdict;
	struct guards	*guards;
	int64_t		 n, most;
	uint64_t	 salt;
	struct calls_asked calls;
	struct buf	 grammar;		/* of them, or empty */
	bool		 formed;		/* and of the format that is asked for */
	bool		 thinking;		/* the prompt begins thoughts */
	struct request	 urgency;	/* class, priority and deadline of it */
	struct reply	*reply;
	struct job	*job[PROMPTS];		/* one a prompt: others are copies */
	int		 prompts;
};

static int
read_flag(const struct asked *q, int key, bool *flag, struct err *err)
{
	str v = q->m[key].value;

	*flag = false;
	if (!json_given(v))
		return 0;
	*flag = str_eq(v, S("true"));
	if (!*flag && !str_eq(v, S("false")))
		return err_set(err, ERR_FORMAT, "key '%.*s': neither true nor false",
		    STR_ARG(keys[key]));
	return 0;
}

static int
read_count(const struct asked *q, int key, int64_t least, int64_t most, int64_t *n,
    struct err *err)
{
	str v = q->m[key].value;
	double x;

	if (!json_given(v))
		return 0;
	if (json_number(v, &x, err) < 0)
		return err_wrap(err, "key '%.*s'", STR_ARG(keys[key]));
	if (!(x >= (double)least && x <= (double)most) || x != (double)(int64_t)x)
		return err_set(err, ERR_FORMAT, "key '%.*s': %g is no whole number from %lld to "
		    "%lld", STR_ARG(keys[key]), x, (long long)least, (long long)most);
	*n = (int64_t)x;
	return 0;
}

static int
read_stream(struct asked *q, bool *stream, bool *usage, struct err *err)
{
	const str key[] = { S("include_usage") };
	struct json_member m;
	str v = q->m[STREAM_OPTIONS].value;

	*usage = false;
	if (read_flag(q, STREAM, stream, err) < 0)
		return -1;
	if (!*stream || !json_given(v))
		return 0;
	if (json_scan(v, key, 1, &m, err) < 0)
		return err_wrap(err, "key 'stream_options'");
	*usage = m.value.p != NULL && str_eq(m.value, S("true"));
	return 0;
}

/* ---- prompts ---- */

/* Another prompt's job.  NULL. */
static struct job *
add_job(struct asked *q, struct err *err)
{
	struct job *j;

	if (q->prompts == PROMPTS) {
		err_set(err, ERR_FORMAT, "key 'prompt': more than %d", PROMPTS);
		return NULL;
	}
	if ((j = job_new(q->model, err)) == NULL)
		return NULL;
	q->job[q->prompts++] = j;
	return j;
}

static int
add_prompt(struct asked *q, const json_t *x, struct err *err)
{
	struct job *j = add_job(q, err);

	if (j == NULL)
		return -1;
	if (json_is_string(x))
		return prompt_encode(q->model->encoder, q->model->tok, (str){ json_string_value(x),
		    (ptrdiff_t)json_string_length(x) }, &j->ids, err);
	if (json_array_size(x) == 0)
		return err_set(err, ERR_FORMAT, "neither a text nor tokens");
	return api_read_ids(x, q->model->tok, &j->ids, err);
}

/* A text, or tokens, or an array of either. */
static int
read_prompts(struct asked *q, struct err *err)
{
	struct buf one = { 0 };
	str v = q->m[PROMPT].value;
	json_t *all = NULL, *x;
	const json_t *first;
	int ret = 0;
	size_t i;

	if (!json_given(v))
		return err_set(err, ERR_FORMAT, "key 'prompt': there is none");
	buf_fmt(&one, "[%.*s]", STR_ARG(v));
	if (buf_ok(&one, err) < 0 || (all = json_doc(buf_str(&one), err)) == NULL) {
		buf_free(&one);
		return err_wrap(err, "key 'prompt'");
	}
	first = json_array_get(all, 0);
	if (json_is_array(first) && !json_is_integer(json_array_get(first, 0))) {
		json_t *inner = json_incref(json_array_get(all, 0));

		json_decref(all);
		all = inner;
	}
	if (json_array_size(all) == 0)
		ret = err_set(err, ERR_FORMAT, "there is none");
	json_array_foreach(all, i, x)
		if (ret == 0)
			ret = add_prompt(q, x, err);
	json_decref(all);
	buf_free(&one);
	return ret < 0 ? err_wrap(err, "key 'prompt'") : 0;
}

/* The messages and tools as the template wants them. */
static int
read_chat(struct asked *q, struct chat_record *record, struct err *err)
{
	const struct served *s = q->model;
	struct json_member m[CHAT_KEYS];

	if (calls_ask(&q->calls, q->m[TOOLS].value, q->m[TOOL_CHOICE].value,
	    q->m[PARALLEL].value, err) < 0 ||
	    json_scan(q->body, chat_keys, CHAT_KEYS, m, err) < 0 ||
	    chat_read(m, record, err) < 0)
		return -1;
	if (json_array_size(record->messages) == 0)
		return err_set(err, ERR_FORMAT, "key 'messages': there is none");
	record->in.tools = s->knows_tools ? q->calls.tools : NULL;
	if (calls_messages(record->messages, s->calls, err) < 0)
		return -1;
	return s->knows_tools ? 0 : calls_describe(record->messages, q->calls.tools, err);
}

/* Calls, or the format that is asked for: what may be written, as one grammar. */
static int
read_grammar(struct asked *q, struct err *err)
{
	str format = q->m[FORMAT].value, schema = { NULL, 0 };
	struct buf b = { 0 };
	int ret = 0;

	if (json_given(format) && !json_given(q->m[STRUCTURED].value)) {
		ret = request_format(format, &schema, err);
		if (ret == 0 && schema.p != NULL && schema.p[0] == '"')
			ret = json_text(schema, &b, &schema, err);
		if (ret < 0)
			err_wrap(err, "key 'response_format'");
	}
	q->formed = q->calls.required || schema.p != NULL;
	if (ret == 0)
		ret = calls_grammar(q->model->calls, q->model->tok, &q->calls, schema, q->thinking,
		    &q->grammar, err);
	buf_free(&b);
	return ret;
}

/* What would be missed without a word. */
static int
refuse_others(const struct asked *q, struct err *err)
{
	static const struct { int key; const char *why; } none[] = {
		{ FUNCTIONS, "they are 'tools' now" },
		{ FUNCTION_CALL, "it is 'tool_choice' now" },
		{ AUDIO, "answers are text" },
		{ WEB_SEARCH, "nothing is searched here" },
	};
	json_t *modalities;
	bool text;

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		if (json_given(q->m[none[i].key].value))
			return err_set(err, ERR_FORMAT, "key '%.*s': %s",
			    STR_ARG(keys[none[i].key]), none[i].why);
	if (!json_given(q->m[MODALITIES].value))
		return 0;
	modalities = json_doc(q->m[MODALITIES].value, err);
	text = json_array_size(modalities) == 1 && json_is_string(json_array_get(modalities, 0)) &&
	    strcmp(json_string_value(json_array_get(modalities, 0)), "text") == 0;
	json_decref(modalities);
	return text ? 0 : err_set(err, ERR_FORMAT, "key 'modalities': answers are text");
}

static int
read_messages(struct asked *q, struct err *err)
{
	const struct chat chat = { .template = q->model->template, .tok = q->model->tok };
	struct chat_tokens out = { 0 };
	struct chat_record record = { 0 };
	struct job *j = add_job(q, err);
	time_t now = time(NULL);
	struct tm utc;
	int ret = -1;

	if (j == NULL || refuse_others(q, err) < 0)
		return -1;
	if (q->model->template == NULL)
		return err_set(err, ERR_FORMAT, "model '%s' has no chat template: %s",
		    q->model->name, q->model->no_template.msg);
	if (read_chat(q, &record, err) == 0) {
		record.in.prompt = true;
		record.in.now = gmtime_r(&now, &utc);
		ret = chat_encode(&chat, q->model->encoder, &record.in, &out, err);
	}
	if (ret == 0) {
		q->thinking = calls_begins_thinking(buf_str(&out.text));
		ret = read_grammar(q, err);
	}
	if (ret >= 0) {
		ret = out.ids.n > 0 ? 0 : err_set(err, ERR_FORMAT,
		    "the template makes nothing of the messages");
		j->ids = out.ids;
		out.ids = (struct ids){ 0 };
	}
	chat_tokens_free(&out);
	chat_record_free(&record);
	return ret;
}

/* ---- jobs ---- */

/* What the worker is to know of a job: choice i of its prompt. */
static int
fill_job(const struct asked *q, struct job *j, int i, struct err *err)
{
	j->request = q->model->defaults;
	j->request.adapter = q->adapter;
	j->request.stream = (uint64_t)i;
	j->request.top = -1;
	j->request.salt = q->salt;
	j->request.class = q->urgency.class;
	j->request.priority = q->urgency.priority;
	j->request.deadline = q->urgency.deadline;
	j->most = q->most;
	j->request.special = q->calls.tools != NULL && q->model->special;
	j->draws = !q->api->o.seeded && !json_given(q->m[SEED].value);
	buf_add(&j->body, q->body);
	buf_add(&j->calls, buf_str(&q->grammar));
	j->formed = q->formed;
	return buf_ok(&j->body, err) < 0 ? -1 : buf_ok(&j->calls, err);
}

static struct job *
copy_job(const struct asked *q, const struct job *from, struct err *err)
{
	struct job *j = job_new(q->model, err);

	if (j == NULL)
		return NULL;
	if (ids_room(&j->ids, from->ids.n, err) < 0) {
		job_free(j);
		return NULL;
	}
	memcpy(j->ids.id, from->ids.id, (size_t)from->ids.n * sizeof(*j->ids.id));
	j->ids.n = from->ids.n;
	return j;
}

/* The texts of prompts: to go first, or as the model reads them. */
static int
keep_prompts(const struct asked *q, bool special, struct buf **text, struct err *err)
{
	if ((*text = calloc((size_t)q->prompts, sizeof(**text))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < q->prompts; i++) {
		struct decoder d = { .skip_special = !special };
		const struct ids *ids = &q->job[i]->ids;
		struct buf *b = *text + i;

		if (decode(q->model->tok, &d, ids->id, ids->n, b, err) < 0 ||
		    decode_end(&d, b, err) < 0)
			return -1;
	}
	return 0;
}

/* Answers pass the guard, which has no log-probabilities. */
static int
guard_choices(struct reply *r, struct guards *g, struct err *err)
{
	if (r->logprobs)
		return err_set(err, ERR_FORMAT, "key 'logprobs': answers are filtered here, and "
		    "have none");
	for (int i = 0; i < r->n; i++)
		if ((r->choice[i].check = check_new(g, r->api->errands, r->call,
		    err)) == NULL)
			return -1;
	return 0;
}

static int
make_reply(struct asked *q, struct err *err)
{
	struct reply *r = reply_new(q->api, q->call, q->prompts * (int)q->n, err);
	bool echo;

	if (r == NULL)
		return -1;
	q->reply = r;
	r->tools = json_incref(q->calls.tools);
	r->single = q->calls.single;
	r->thinking = q->thinking;
	r->model = q->model;
	r->chat = q->chat;
	r->per_prompt = (int)q->n;
	r->logprobs = json_given(q->m[LOGPROBS].value) &&
	    !str_eq(q->m[LOGPROBS].value, S("false"));
	buf_add(&r->name, q->adapter > 0 ? served_adapter_name(q->model, q->adapter) :
	    str_of(q->model->name));
	api_id(q->api, q->chat ? "chatcmpl-" : "cmpl-", r->id, sizeof(r->id));
	if (read_stream(q, &r->stream, &r->usage, err) < 0 || read_flag(q, ECHO, &echo, err) < 0 ||
	    (echo && !q->chat && keep_prompts(q, false, &r->echo, err) < 0))
		return -1;
	if (q->api->o.audit != NULL && keep_prompts(q, true, &r->prompt, err) < 0)
		return -1;
	buf_add(&r->verdict, q->verdict);
	if (q->guards != NULL && guards_any(q->guards, GUARD_RESPONSE) &&
	    guard_choices(r, q->guards, err) < 0)
		return -1;
	if (echo && r->logprobs)
		return err_set(err, ERR_FORMAT, "key 'echo': log-probabilities are those of "
		    "what is written, not of the prompt");
	return buf_ok(&r->name, err) < 0 ? -1 : buf_ok(&r->verdict, err);
}

/* Does the same request have the same text, whenever it comes? */
static bool
is_function(const struct asked *q)
{
	double t = q->model->defaults.sampler.temperature;
	struct err err;

	if (q->api->o.seeded || json_given(q->m[SEED].value))
		return true;
	return (!json_given(q->m[TEMPERATURE].value) ||
	    json_number(q->m[TEMPERATURE].value, &t, &err) == 0) && t == 0;
}

/* All that the text of a choice is a function of. */
static int
put_key(const struct asked *q, int i, str parameters, struct buf *key, struct err *err)
{
	const struct ids *ids = &q->job[i / q->reply->per_prompt]->ids;
	int64_t more[] = { q->adapter, atomic_load(&q->model->version),
	    i % q->reply->per_prompt, q->most };

	buf_reset(key);
	buf_add(key, (str){ (const char *)more, sizeof(more) });
	kept_key(key, str_of(q->model->name), ids->id, ids->n, parameters, q->salt);
	return buf_ok(key, err);
}

/* Another one's generation, or what was kept of one.  false: there is none. */
static bool
join(const struct asked *q, struct choice *x, str key)
{
	struct reply *r = q->reply;

	if ((x->g = flights_find(q->api->flights, key, &x->flight)) == NULL)
		return false;
	r->kept += x->flight == NULL;
	metrics_add(q->api->o.metrics, x->flight == NULL ? METRIC_KEPT : METRIC_JOINED, 1);
	return true;
}

/* The job of choice i, unless somebody has it already: then *j is NULL. */
static int
make_job(struct asked *q, int i, str key, struct job **j, struct err *err)
{
	struct reply *r = q->reply;
	struct choice *x = &r->choice[i];
	struct job *first = q->job[i / r->per_prompt];

	*j = NULL;
	if (key.n > 0 && join(q, x, key))
		return 0;
	if ((*j = i % r->per_prompt == 0 ? first : copy_job(q, first, err)) == NULL ||
	    fill_job(q, *j, i % r->per_prompt, err) < 0)
		return -1;
	x->g = generation_hold((*j)->g);
	if (key.n > 0 && (x->flight = flights_add(q->api->flights, key, x->g, err)) == NULL)
		return -1;
	return 0;
}

static int
make_jobs(struct asked *q, struct job **job, struct err *err)
{
	struct buf parameters = { 0 }, key = { 0 };
	bool function = is_function(q);
	int ret = function ? flights_parameters(q->body, &parameters, err) : 0;

	for (int i = 0; i < q->reply->n && ret == 0; i++) {
		if (function)
			ret = put_key(q, i, buf_str(&parameters), &key, err);
		if (ret == 0)
			ret = make_job(q, i, buf_str(&key), &job[i], err);
	}
	buf_free(&parameters);
	buf_free(&key);
	return ret;
}

/* All of them, then their call waits; or none. */
static int
give_jobs(struct asked *q, struct err *err)
{
	struct reply *r = q->reply;
	struct job **job = calloc((size_t)r->n, sizeof(struct job *));
	int ret = job == NULL ? err_set(err, ERR_NOMEM, "out of memory") : make_jobs(q, job, err);

	if (ret == 0)
		reply_wait(r);
	for (int i = 0; job != NULL && i < r->n; i++) {
		if (job[i] == NULL)
			continue;
		if (ret == 0)
			worker_give(q->api->o.worker, job[i]);
		if (ret == 0 && i % r->per_prompt == 0)
			q->job[i / r->per_prompt] = NULL;
		if (ret < 0 && i % r->per_prompt != 0)
			job_free(job[i]);
	}
	free(job);
	return ret;
}

/* Of completions alone. */
static int
read_completion(struct asked *q, struct err *err)
{
	int64_t best = q->n;

	if (json_given(q->m[SUFFIX].value) && !str_eq(q->m[SUFFIX].value, S("\"\"")))
		return err_set(err, ERR_FORMAT, "key 'suffix': texts are not filled in");
	if (read_count(q, BEST_OF, 1, CHOICES, &best, err) < 0)
		return -1;
	if (best != q->n)
		return err_set(err, ERR_FORMAT, "key 'best_of': as many are given as are written");
	return read_prompts(q, err);
}

/* What others computed is found by who has the same key, and names the same salt. */
static int
read_salt(struct asked *q, struct err *err)
{
	const struct key *key = api_key(q->call);
	struct buf b = { 0 };
	str salt = S("");

	if (json_given(q->m[SALT].value) && json_text(q->m[SALT].value, &b, &salt, err) < 0)
		return err_wrap(err, "key 'cache_salt'");
	q->salt = key != NULL ? key->salt : 0;
	if (salt.n > 0)
		q->salt = hash64_seed(salt, q->salt + 1);
	buf_free(&b);
	return 0;
}

/*
 * OpenAI's "flex" may wait, as all may of a key of batches; priorities are vLLM's, of
 * which the lower comes first; a deadline is seconds from now to the first token.
 */
static int
read_urgency(struct asked *q, struct err *err)
{
	const struct key *key = api_key(q->call);
	int64_t priority = 0;
	double seconds = 0;
	str tier = q->m[TIER].value;

	if (read_count(q, PRIORITY, -1000000, 1000000, &priority, err) < 0)
		return -1;
	if (json_given(q->m[DEADLINE].value) && (json_number(q->m[DEADLINE].value, &seconds,
	    err) < 0 || !(seconds > 0 && seconds < 1e6)))
		return err_set(err, ERR_FORMAT, "key 'deadline': no seconds from now");
	if (str_eq(tier, S("\"flex\"")) || (key != NULL && key->class == KEY_BATCH))
		q->urgency.class = CLASS_BATCH;
	q->urgency.priority = (int)-priority + (key != NULL ? (int)key->priority : 0);
	if (seconds > 0)
		q->urgency.deadline = progress_now() + seconds;
	return 0;
}

static int
read_asked(struct asked *q, struct err *err)
{
	if (read_count(q, N, 1, CHOICES, &q->n, err) < 0 ||
	    read_count(q, MAX_COMPLETION, 1, INT32_MAX, &q->most, err) < 0 ||
	    read_count(q, MAX_TOKENS, 1, INT32_MAX, &q->most, err) < 0 ||
	    read_salt(q, err) < 0 || read_urgency(q, err) < 0)
		return -1;
	if (q->most == 0 && (q->most = q->api->o.count) == 0)
		q->most = q->chat ? INT32_MAX : COMPLETION_TOKENS;
	if ((q->chat ? read_messages(q, err) : read_completion(q, err)) < 0)
		return -1;
	if (q->prompts * q->n > TEXTS)
		return err_set(err, ERR_LIMIT, "key 'n': %lld texts of %d prompts each are more "
		    "than %d", (long long)q->n, q->prompts, TEXTS);
	return 0;
}

/* May its key ask for so much now?  If not, it was answered. */
static bool
is_admitted(struct asked *q)
{
	struct key *key = api_key(q->call);
	int64_t prompt = 0, most = 0;
	enum key_refusal why;
	double after;
	char text[24];

	if (key == NULL)
		return true;
	for (int i = 0; i < q->prompts; i++) {
		int64_t room = q->model->context - q->job[i]->ids.n;

		prompt += q->job[i]->ids.n;
		most += q->n * (q->most < room ? q->most : room > 0 ? room : 0);
	}
	why = key_admit(q->api->o.keys, key, prompt, most, progress_now(), &after);
	if (why == KEY_ADMITTED) {
		q->reply->key = key;
		q->reply->most = most;
		return true;
	}
	metrics_rejected(q->api->o.metrics, key_refusal_name(why));
	if (after > 0) {
		snprintf(text, sizeof(text), "%.0f", ceil(after));
		http_set(q->call, "Retry-After", text);
		api_fail(q->call, 429, "rate_limit_exceeded", key_refusal_name(why), NULL, "%s",
		    key_refusal_text(why));
	} else {
		api_fail(q->call, 400, "invalid_request_error", key_refusal_name(why), NULL, "%s",
		    key_refusal_text(why));
	}
	return false;
}

bool
api_text(const struct text_asked *asked)
{
	struct asked q = { .api = asked->api, .call = asked->call, .model = asked->model,
	    .adapter = asked->adapter, .chat = asked->chat, .body = asked->body,
	    .guards = asked->guards, .verdict = asked->verdict, .n = 1 };
	struct http_call *c = asked->call;
	bool waits = false;
	struct err err;

	if (json_scan(asked->body, keys, KEYS, q.m, &err) < 0 || read_asked(&q, &err) < 0 ||
	    make_reply(&q, &err) < 0)
		api_refuse(c, &err);
	else if (is_admitted(&q)) {
		if (!(waits = give_jobs(&q, &err) == 0))
			api_refuse(c, &err);
	}
	if (!waits)
		reply_drop(q.reply);
	for (int i = 0; i < q.prompts; i++)
		if (q.job[i] != NULL)
			job_free(q.job[i]);
	calls_asked_free(&q.calls);
	buf_free(&q.grammar);
	return waits;
}
