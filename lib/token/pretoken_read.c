/* The stages, from tokenizer.json. */
#include <stdlib.h>

#include "text/unicode.h"
#include "token/pretoken_impl.h"
#include "token/uclass.h"

static struct stage *
add_stage(struct pretoken *p, enum stage_kind kind, struct err *err)
{
	/* What follows ByteLevel sees its characters. */
	if (p->bytes && pretoken_spell(p, err) < 0)
		return NULL;
	if (p->n == PRETOKEN_STAGES) {
		err_set(err, ERR_LIMIT, "more than %d pre-tokenizers", PRETOKEN_STAGES);
		return NULL;
	}
	p->stage[p->n] = (struct stage){ .kind = kind };
	return &p->stage[p->n++];
}

static bool
flag(const json_t *json, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(json, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static int
behavior_of(const json_t *json, enum behavior otherwise, enum behavior *b, struct err *err)
{
	static const char *const name[] = {
		[REMOVED] = "Removed", [ISOLATED] = "Isolated",
		[MERGED_PREVIOUS] = "MergedWithPrevious", [MERGED_NEXT] = "MergedWithNext",
		[CONTIGUOUS] = "Contiguous",
	};
	const char *s = json_string_value(json_object_get(json, "behavior"));

	*b = otherwise;
	if (s == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(name) / sizeof(*name); i++)
		if (strcmp(s, name[i]) == 0) {
			*b = (enum behavior)i;
			return 0;
		}
	return err_set(err, ERR_FORMAT, "behavior '%.64s' is not supported", s);
}

/* A member that is one character, or otherwise when it is not there. */
static int
char_of(const json_t *json, const char *key, int32_t otherwise, int32_t *c, struct err *err)
{
	const json_t *v = json_object_get(json, key);
	const char *p = json_string_value(v), *end;

	*c = otherwise;
	if (p == NULL && otherwise >= 0)
		return 0;
	end = p != NULL ? p + json_string_length(v) : NULL;
	if (p != end)
		*c = utf8_next(&p, end);
	return p != NULL && *c >= 0 && p == end ? 0 : err_set(err, ERR_FORMAT,
	    "%s of a pre-tokenizer is not one character", key);
}

static int
add_split(struct pretoken *p, const json_t *json, struct err *err)
{
	const json_t *pattern = json_object_get(json, "pattern");
	const json_t *regex = json_object_get(pattern, "Regex");
	struct stage *s = add_stage(p, STAGE_SPLIT, err);

	if (s == NULL || behavior_of(json, REMOVED, &s->behavior, err) < 0)
		return -1;
	s->invert = flag(json, "invert", false);
	if (json_is_string(regex))
		s->scan = scan_of(&(str){ json_string_value(regex),
		    (ptrdiff_t)json_string_length(regex) }, 1);
	/* These patterns match everywhere, so what is between matches is empty. */
	if (s->scan != SCAN_NONE && ((s->behavior == ISOLATED && !s->invert) ||
	    (s->behavior == REMOVED && s->invert))) {
		s->kind = STAGE_SCAN;
		return 0;
	}
	s->pattern = onig_read(pattern, "Split", err);
	return s->pattern == NULL ? -1 : 0;
}

static int
add_byte_level(struct pretoken *p, const json_t *json, struct err *err)
{
	bool prefix = flag(json, "add_prefix_space", true);
	bool regex = flag(json, "use_regex", true);
	struct stage *s;

	if (prefix && p->n == 0 && !p->bytes)
		p->prefix = true;
	if (regex || (prefix && !p->prefix)) {
		if ((s = add_stage(p, STAGE_SCAN, err)) == NULL)
			return -1;
		s->scan = regex ? SCAN_GPT2 : SCAN_NONE;
		s->rewrite = prefix && !p->prefix ? REWRITE_SPACE : REWRITE_NOT;
	} else if (p->bytes && pretoken_spell(p, err) < 0) {
		return -1;
	}
	p->bytes = true;
	return 0;
}

static int
add_chars(struct pretoken *p, enum stage_chars chars, enum behavior behavior, struct err *err)
{
	struct stage *s = add_stage(p, STAGE_CHARS, err);

	if (s == NULL)
		return -1;
	s->chars = chars;
	s->behavior = behavior;
	return 0;
}

static int
add_digits(struct pretoken *p, const json_t *json, struct err *err)
{
	return add_chars(p, CHARS_NUMBER,
	    flag(json, "individual_digits", false) ? ISOLATED : CONTIGUOUS, err);
}

static int
add_punctuation(struct pretoken *p, const json_t *json, struct err *err)
{
	enum behavior behavior;

	return behavior_of(json, ISOLATED, &behavior, err) < 0 ? -1 :
	    add_chars(p, CHARS_PUNCT, behavior, err);
}

static int
add_bert(struct pretoken *p, const json_t *json, struct err *err)
{
	(void)json;
	return add_chars(p, CHARS_SPACE, REMOVED, err) < 0 ? -1 :
	    add_chars(p, CHARS_PUNCT, ISOLATED, err);
}

static int
add_whitespace_split(struct pretoken *p, const json_t *json, struct err *err)
{
	(void)json;
	return add_chars(p, CHARS_SPACE, REMOVED, err);
}

static int
add_whitespace(struct pretoken *p, const json_t *json, struct err *err)
{
	struct stage *s = add_stage(p, STAGE_SPLIT, err);

	(void)json;
	if (s == NULL)
		return -1;
	/* This one is no pattern of Oniguruma, and has joiners in \w. */
	s->pattern = onig_new(S("[[:word:]\\x{200c}\\x{200d}]+|"
	    "[^[:word:]\\x{200c}\\x{200d}\\s]+"), false, err);
	s->behavior = REMOVED;
	s->invert = true;
	return s->pattern == NULL ? -1 : 0;
}

static int
add_delimiter(struct pretoken *p, const json_t *json, struct err *err)
{
	int32_t one;

	if (char_of(json, "delimiter", -1, &one, err) < 0 ||
	    add_chars(p, CHARS_ONE, REMOVED, err) < 0)
		return -1;
	p->stage[p->n - 1].one = one;
	return 0;
}

static int
add_length(struct pretoken *p, const json_t *json, struct err *err)
{
	const json_t *length = json_object_get(json, "length");
	struct stage *s = add_stage(p, STAGE_LENGTH, err);

	if (s == NULL)
		return -1;
	s->length = json_is_integer(length) ? json_integer_value(length) : 5;
	return s->length > 0 ? 0 : err_set(err, ERR_FORMAT, "FixedLength of no length");
}

static int
add_metaspace(struct pretoken *p, const json_t *json, struct err *err)
{
	const char *scheme = json_string_value(json_object_get(json, "prepend_scheme"));
	struct stage *s = add_stage(p, STAGE_CHARS, err);

	if (s == NULL || char_of(json, "replacement", -1, &s->one, err) < 0)
		return -1;
	if (!flag(json, "split", true)) {
		s->kind = STAGE_SCAN;
		s->scan = SCAN_NONE;
	}
	s->chars = CHARS_ONE;
	s->behavior = MERGED_NEXT;
	s->rewrite = REWRITE_MARK;
	s->prepend = PREPEND_ALWAYS;
	if (!flag(json, "add_prefix_space", true) ||
	    (scheme != NULL && strcmp(scheme, "never") == 0))
		s->prepend = PREPEND_NEVER;
	else if (scheme != NULL && strcmp(scheme, "first") == 0)
		s->prepend = PREPEND_FIRST;
	else if (scheme != NULL && strcmp(scheme, "always") != 0)
		return err_set(err, ERR_FORMAT, "prepend_scheme '%.64s' is not supported", scheme);
	return 0;
}

static const struct {
	const char	*type;
	int		(*add)(struct pretoken *, const json_t *, struct err *);
} kinds[] = {
	{ "Split", add_split }, { "ByteLevel", add_byte_level }, { "Digits", add_digits },
	{ "Punctuation", add_punctuation }, { "BertPreTokenizer", add_bert },
	{ "Whitespace", add_whitespace }, { "WhitespaceSplit", add_whitespace_split },
	{ "CharDelimiterSplit", add_delimiter }, { "FixedLength", add_length },
	{ "Metaspace", add_metaspace },
};

/* What SCAN_SPLITS of a Sequence do that are known in a row. */
static enum scan
known_splits(const json_t *list, size_t from)
{
	str pattern[SCAN_SPLITS];

	for (size_t i = 0; i < SCAN_SPLITS; i++) {
		const json_t *split = json_array_get(list, from + i);
		const json_t *regex = json_object_get(json_object_get(split, "pattern"), "Regex");
		const char *behavior = json_string_value(json_object_get(split, "behavior"));

		if (!json_is_string(regex) || behavior == NULL ||
		    strcmp(behavior, "Isolated") != 0 || flag(split, "invert", false))
			return SCAN_NONE;
		pattern[i] = (str){ json_string_value(regex),
		    (ptrdiff_t)json_string_length(regex) };
	}
	return scan_of(pattern, SCAN_SPLITS);
}

static int
add(struct pretoken *p, const json_t *json, int depth, struct err *err)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	const json_t *list = json_object_get(json, "pretokenizers");
	struct stage *s;
	size_t i;

	if (type == NULL)
		return err_set(err, ERR_FORMAT, "a pre-tokenizer without a type");
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(type, kinds[i].type) == 0)
			return kinds[i].add(p, json, err);
	if (strcmp(type, "Sequence") != 0 || !json_is_array(list) || depth == 4)
		return err_set(err, ERR_FORMAT, "pre-tokenizer %.64s is not supported", type);
	for (i = 0; i < json_array_size(list); i++) {
		enum scan known = known_splits(list, i);

		if (known == SCAN_NONE) {
			if (add(p, json_array_get(list, i), depth + 1, err) < 0)
				return -1;
			continue;
		}
		if ((s = add_stage(p, STAGE_SCAN, err)) == NULL)
			return -1;
		s->scan = known;
		i += SCAN_SPLITS - 1;
	}
	return 0;
}

struct pretoken *
pretoken_new(const json_t *json, struct err *err)
{
	struct pretoken *p = calloc(1, sizeof(*p));
	const struct stage *last;

	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((p->class = uclass_new(err)) == NULL ||
	    (!json_is_null(json) && add(p, json, 0, err) < 0)) {
		pretoken_free(p);
		return NULL;
	}
	last = &p->stage[p->n > 0 ? p->n - 1 : 0];
	if (p->n > 0 && last->kind == STAGE_SCAN && last->rewrite == REWRITE_NOT) {
		p->last = last->scan;
		p->n--;
	}
	if (p->last == SCAN_GPT2 && p->n == 1 && p->stage[0].kind == STAGE_CHARS &&
	    p->stage[0].chars == CHARS_NUMBER && p->stage[0].behavior == ISOLATED) {
		p->last = SCAN_DIGITS;
		p->n = 0;
	}
	return p;
}

void
pretoken_free(struct pretoken *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < PRETOKEN_STAGES; i++)
		onig_free(p->stage[i].pattern);
	free(p->class);
	free(p);
}

/* A stage that was taken for the last one is one of several now. */
static struct stage *
append(struct pretoken *p, enum scan scan, struct err *err)
{
	if (p->n == PRETOKEN_STAGES) {
		err_set(err, ERR_LIMIT, "more than %d pre-tokenizers", PRETOKEN_STAGES);
		return NULL;
	}
	p->stage[p->n] = (struct stage){ .kind = STAGE_SCAN, .scan = scan };
	return &p->stage[p->n++];
}

int
pretoken_spell(struct pretoken *p, struct err *err)
{
	struct stage *s;

	if (p->last != SCAN_NONE && append(p, p->last, err) == NULL)
		return -1;
	p->last = SCAN_NONE;
	if ((s = append(p, SCAN_NONE, err)) == NULL)
		return -1;
	s->rewrite = REWRITE_BYTES;
	p->bytes = false;
	return 0;
}

bool
pretoken_keep_space(struct pretoken *p)
{
	const struct stage *s = p->stage;

	if (p->n != 2 || p->last != SCAN_NONE || s[0].kind != STAGE_CHARS ||
	    s[0].chars != CHARS_SPACE || s[1].kind != STAGE_CHARS ||
	    s[1].chars != CHARS_PUNCT || s[1].behavior != ISOLATED)
		return false;
	p->n = 0;
	p->last = SCAN_BERT;
	return true;
}

bool
pretoken_bytes(const struct pretoken *p)
{
	return p->bytes;
}

bool
pretoken_prefix(const struct pretoken *p)
{
	return p->prefix;
}

bool
pretoken_parts(const struct pretoken *p, enum scan *pattern, bool *digits)
{
	*digits = p->last == SCAN_DIGITS;
	*pattern = *digits ? SCAN_GPT2 : p->last;
	return !p->prefix && p->last <= SCAN_DIGITS && p->n == 0;
}

const uint8_t *
pretoken_class(const struct pretoken *p)
{
	return p->class;
}
