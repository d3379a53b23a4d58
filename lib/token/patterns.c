#include "token/patterns.h"

#include "base/json.h"

static const struct {
	const char	*name;
	struct pattern	 pattern;
} known[] = {
	{ "gpt2", { .scan = SCAN_GPT2 } },
	{ "digits", { .scan = SCAN_GPT2, .digits = true } },
	{ "llama3", { .scan = SCAN_LLAMA3 } },
	{ "cl100k", { .scan = SCAN_LLAMA3 } },
	{ "qwen2", { .scan = SCAN_QWEN2 } },
	{ "qwen3.5", { .scan = SCAN_QWEN35 } },
	{ "o200k", { .scan = SCAN_O200K } },
	{ "tekken", { .scan = SCAN_TEKKEN } },
	{ "deepseek", { .scan = SCAN_DEEPSEEK } },
	{ "none", { .scan = SCAN_NONE } },
};

int
pattern_named(struct pattern *p, const char *name, struct err *err)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(name, known[i].name) == 0) {
			*p = known[i].pattern;
			return 0;
		}
	return err_set(err, ERR_ARG, "unknown pattern '%s': " PATTERN_NAMES, name);
}

static void
put_split(struct buf *out, const char *regex)
{
	buf_add(out, S("{\"type\": \"Split\", \"pattern\": {\"Regex\": "));
	json_quote(out, str_of(regex));
	buf_add(out, S("}, \"behavior\": \"Isolated\", \"invert\": false},\n    "));
}

void
pattern_text(struct buf *out, const struct pattern *p)
{
	bool gpt2 = p->regex == NULL && p->scan == SCAN_GPT2;
	bool splits = p->regex != NULL || (!gpt2 && p->scan != SCAN_NONE);

	if (p->digits || splits)
		buf_add(out, S("{\"type\": \"Sequence\", \"pretokenizers\": [\n    "));
	if (p->digits)
		buf_add(out, S("{\"type\": \"Digits\", \"individual_digits\": true},\n    "));
	if (p->regex != NULL)
		put_split(out, p->regex);
	for (int i = 0; p->regex == NULL && splits && scan_pattern(p->scan, i) != NULL; i++)
		put_split(out, scan_pattern(p->scan, i));
	buf_fmt(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
	    "\"trim_offsets\": true, \"use_regex\": %s}", gpt2 ? "true" : "false");
	if (p->digits || splits)
		buf_add(out, S("]}"));
}

struct pretoken *
pattern_compile(const struct pattern *p, struct err *err)
{
	struct pretoken *made = NULL;
	struct buf text = { 0 };
	json_t *json;

	pattern_text(&text, p);
	if (buf_ok(&text, err) == 0) {
		json = json_loadb(text.p, (size_t)text.n, 0, NULL);
		if (json == NULL)
			err_set(err, ERR_ARG, "the pattern is not UTF-8");
		else
			made = pretoken_new(json, err);
		json_decref(json);
	}
	buf_free(&text);
	return made;
}
