/*
 * Evaluation files come in many forms, most of them these: a question under one
 * of a few names; choices as an array, or in an object as Hugging Face's ARC has
 * them; the right one by its number, its letter or its text.
 */
#include <jansson.h>

#include "text/contam.h"
#include "text/records.h"

#define ANSWERS	64

struct loader {
	struct contam	*x;
	int		 eval;
	const struct contam_keys *keys;
};

/* The value of the first key that is there; keys are separated by commas. */
static const json_t *
first_of(const json_t *record, const char *keys)
{
	str rest = str_of(keys);

	while (rest.p != NULL) {
		str key = str_cut(&rest, ',');
		const json_t *value = json_object_getn(record, key.p, (size_t)key.n);

		if (value != NULL && !json_is_null(value))
			return value;
	}
	return NULL;
}

/* All strings in a value, but those of an object's key label. */
static int
strings(const json_t *value, const char **text, int n)
{
	const json_t *each;
	const char *key;
	size_t i;

	if (json_is_string(value) && n < ANSWERS)
		text[n++] = json_string_value(value);
	json_array_foreach(value, i, each)
		n = strings(each, text, n);
	json_object_foreach((json_t *)value, key, each)
		if (strcmp(key, "label") != 0)
			n = strings(each, text, n);
	return n;
}

/* The choice that an answer names: by number from 0, as text too, or by letter. */
static int
choice(const json_t *answer, int choices)
{
	const char *s = json_string_value(answer);
	int64_t i = -1;

	if (json_is_integer(answer))
		i = json_integer_value(answer);
	else if (s != NULL && s[0] != '\0' && s[1] == '\0')
		i = s[0] >= 'A' && s[0] <= 'Z' ? s[0] - 'A' :
		    s[0] >= 'a' && s[0] <= 'z' ? s[0] - 'a' : s[0] - '0';
	return i >= 0 && i < choices ? (int)i : -1;
}

/* The answers, right ones first. */
static int
answers_of(const json_t *record, const struct contam_keys *keys, str *answer)
{
	const json_t *right = first_of(record, keys->answer);
	const char *text[ANSWERS], *said[ANSWERS];
	int choices = strings(first_of(record, keys->choices), text, 0);
	int at = choice(right, choices), n = 0;

	if (at >= 0) {
		answer[n++] = str_of(text[at]);
	} else {
		int saids = strings(right, said, 0);

		for (int i = 0; i < saids; i++)
			answer[n++] = str_of(said[i]);
	}
	for (int i = 0; i < choices && n < ANSWERS; i++)
		if (i != at)
			answer[n++] = str_of(text[i]);
	return n;
}

/* "Question: " is no part of a question. */
static str
unlabelled(str q)
{
	static const char *const label[] = { "Question:", "question:", "Q:", "Problem:" };

	for (size_t i = 0; i < sizeof(label) / sizeof(label[0]); i++)
		if (str_starts(q, str_of(label[i])))
			return (str){ q.p + strlen(label[i]), q.n - (ptrdiff_t)strlen(label[i]) };
	return q;
}

static int
add_record(void *ctx, struct record *r, struct err *err)
{
	struct loader *l = ctx;
	json_t *record = json_doc(r->line, err);
	const char *question[ANSWERS];
	str answer[ANSWERS];
	int n, ret;

	if (record == NULL)
		return -1;
	n = strings(first_of(record, l->keys->question), question, 0);
	if (n == 0)
		ret = err_set(err, ERR_FORMAT, "%s:%lld: no question (keys %s)", r->file,
		    (long long)r->number, l->keys->question);
	else
		ret = contam_add(l->x, l->eval, r->number, unlabelled(str_of(question[0])),
		    answer, answers_of(record, l->keys, answer), err);
	json_decref(record);
	return ret < 0 ? -1 : 0;
}

int
contam_load(struct contam *x, int eval, const char *path,
    const struct contam_keys *keys, struct err *err)
{
	struct loader l = { .x = x, .eval = eval, .keys = keys };
	struct records_job job = { .ctx = &l, .sink = add_record };
	struct records_count count;
	struct team *team = team_new(1, err);
	char *file = (char *)path;
	int ret;

	if (team == NULL)
		return -1;
	ret = records_run(team, &job, &(struct records_io){ 0 }, &file, 1, NULL, &count, err);
	team_free(team);
	return ret;
}
