#define PCRE2_CODE_UNIT_WIDTH 8
#include "token/pretoken.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/buf.h"
#include "token/scan.h"
#include "token/uclass.h"

#define PATTERN_MAX	((ptrdiff_t)64 << 10)

enum stage_kind { STAGE_SCAN, STAGE_DIGITS, STAGE_SPLIT };
enum behavior { REMOVED, ISOLATED, MERGED_PREVIOUS, MERGED_NEXT, CONTIGUOUS };

struct stage {
	enum stage_kind	kind;
	enum scan	scan;
	enum behavior	behavior;	/* of SPLIT, and of DIGITS: ISOLATED is one by one */
	bool		invert;
	pcre2_code	*code;
};

struct pretoken {
	struct stage	 stage[PRETOKEN_STAGES];
	int		 n;
	enum scan	 last;		/* how the slices of the last stage are cut */
	bool		 prefix;
	bool		 bytes;		/* ByteLevel or BERT's was there: nothing may follow */
	uint8_t		*class;
};

/* A part of a slice: what matched, or what lies between matches. */
struct range {
	const char	*p, *end;
	bool		 match;
};

/* Where a stage is in its slice. */
struct place {
	str		 slice;
	const char	*at;		/* up to here all is given out */
	struct range	 found;		/* a match not given out yet, when p != NULL */
	struct range	 ahead;		/* a range not given out yet, when p != NULL */
};

struct pretoken_walk {
	const struct pretoken *p;
	struct place	 place[PRETOKEN_STAGES];
	str		 rest;		/* of the slice that is being cut */
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack	*stack;
};

/* ---- from JSON ---- */

static struct stage *
add_stage(struct pretoken *p, enum stage_kind kind, struct err *err)
{
	if (p->bytes || p->n == PRETOKEN_STAGES) {
		err_set(err, ERR_FORMAT, "%s", p->bytes ?
		    "a pre-tokenizer after ByteLevel or BertPreTokenizer is not supported" :
		    "more than 16 pre-tokenizers");
		return NULL;
	}
	p->stage[p->n] = (struct stage){ .kind = kind };
	return &p->stage[p->n++];
}

#define SPACES	"\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}" \
		"\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

#define GROUPS	32		/* depth of groups in a pattern */

/* A pattern on its way from Oniguruma's syntax to that of PCRE2. */
struct translation {
	struct buf	*out;
	str		 in;
	ptrdiff_t	 i;
	ptrdiff_t	 atom;		/* where what a quantifier refers to begins in out */
	ptrdiff_t	 group[GROUPS];
	int		 depth;
	bool		 class;
};

/* An escape: \s and \S by hand, for PCRE2 counts U+180E as space; \h differs. */
static int
put_escape(struct translation *t, struct err *err)
{
	char c = t->i + 1 < t->in.n ? t->in.p[t->i + 1] : '\0';
	const char *brace;
	ptrdiff_t n = 2;

	if (c == 'h' || c == 'H' || c == '\0')
		return err_set(err, ERR_FORMAT, "\\%c in a pattern is not supported", c);
	if (c == 's') {
		buf_add(t->out, t->class ? S(SPACES) : S("[" SPACES "]"));
	} else if (c == 'S' && !t->class) {
		buf_add(t->out, S("[^" SPACES "]"));
	} else {
		if ((c == 'p' || c == 'P' || c == 'x') && t->i + 2 < t->in.n &&
		    t->in.p[t->i + 2] == '{' &&
		    (brace = memchr(t->in.p + t->i, '}', (size_t)(t->in.n - t->i))) != NULL)
			n = brace + 1 - (t->in.p + t->i);
		buf_add(t->out, (str){ t->in.p + t->i, n });
	}
	t->i += n;
	return 0;
}

/* {n,m}+ is no possessive quantifier there, but + of what is repeated. */
static bool
put_interval(struct translation *t)
{
	const char *p = t->in.p + t->i, *end = t->in.p + t->in.n, *q = p + 1;
	char *at;

	while (q < end && ((*q >= '0' && *q <= '9') || *q == ','))
		q++;
	if (q == p + 1 || q >= end || *q != '}')
		return false;
	q++;
	buf_add(t->out, (str){ p, q - p });
	t->i += q - p;
	if (q < end && *q == '+' && buf_room(t->out, 4) != NULL) {
		at = t->out->p + t->atom;
		memmove(at + 3, at, (size_t)(t->out->n - t->atom));
		memcpy(at, "(?:", 3);
		t->out->n += 3;
		buf_byte(t->out, ')');
	}
	return true;
}

static int
put_char(struct translation *t, struct err *err)
{
	char c = t->in.p[t->i], next = t->i + 1 < t->in.n ? t->in.p[t->i + 1] : '\0';

	if (t->class) {
		if ((c == '&' && next == '&') || (c == '[' && next != ':'))
			return err_set(err, ERR_FORMAT, "%c in a class is not supported", c);
		t->class = c != ']';
	} else if (c == '{' && put_interval(t)) {
		return 0;
	} else if (c == '(') {
		if (t->depth == GROUPS)
			return err_set(err, ERR_FORMAT,
			    "a pattern with groups %d deep", GROUPS + 1);
		t->group[t->depth++] = t->out->n;
	} else if (c == ')' && t->depth > 0) {
		t->atom = t->group[--t->depth];
	} else if (strchr("*+?", c) == NULL && ((uint8_t)c & 0xc0) != 0x80) {
		t->atom = t->out->n;
		t->class = c == '[';
	}
	buf_byte(t->out, c);
	t->i++;
	return 0;
}

/* Tokenizers' patterns are Oniguruma's; write what PCRE2 takes for the same. */
static int
translate(struct buf *b, str pattern, struct err *err)
{
	struct translation t = { .out = b, .in = pattern };

	while (t.i < pattern.n) {
		int ret;

		if (pattern.p[t.i] == '\\') {
			if (!t.class)
				t.atom = b->n;
			ret = put_escape(&t, err);
		} else {
			ret = put_char(&t, err);
		}
		if (ret < 0)
			return -1;
	}
	return buf_ok(b, err);
}

static pcre2_code *
compile(str pattern, bool literal, struct err *err)
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;
	struct buf b = { 0 };
	pcre2_code *code = NULL;
	PCRE2_SIZE at;
	int error;

	if (pattern.n == 0 || pattern.n > PATTERN_MAX) {
		err_set(err, ERR_FORMAT, "a pattern of %td bytes", pattern.n);
		return NULL;
	}
	if (literal) {
		options = PCRE2_UTF | PCRE2_LITERAL;
		buf_add(&b, pattern);
	} else if (translate(&b, pattern, err) < 0) {
		buf_free(&b);
		return NULL;
	}
	if (buf_ok(&b, err) == 0) {
		code = pcre2_compile((PCRE2_SPTR)b.p, (PCRE2_SIZE)b.n, options, &error, &at, NULL);
		if (code == NULL) {
			PCRE2_UCHAR why[160] = "";

			pcre2_get_error_message(error, why, sizeof(why));
			err_set(err, ERR_FORMAT, "pattern '%.*s': %s",
			    (int)(pattern.n < 200 ? pattern.n : 200), pattern.p, (char *)why);
		} else {
			pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
		}
	}
	buf_free(&b);
	return code;
}

static bool
flag(const json_t *json, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(json, key);

	return v == NULL ? otherwise : json_is_true(v);
}

static int
behavior_of(const char *s, enum behavior *b, struct err *err)
{
	static const char *const name[] = {
		[REMOVED] = "Removed", [ISOLATED] = "Isolated",
		[MERGED_PREVIOUS] = "MergedWithPrevious", [MERGED_NEXT] = "MergedWithNext",
		[CONTIGUOUS] = "Contiguous",
	};

	for (size_t i = 0; s != NULL && i < sizeof(name) / sizeof(*name); i++)
		if (strcmp(s, name[i]) == 0) {
			*b = (enum behavior)i;
			return 0;
		}
	return err_set(err, ERR_FORMAT, "Split behavior '%s' is not supported",
	    s == NULL ? "" : s);
}

static int
add_split(struct pretoken *p, const json_t *json, struct err *err)
{
	const json_t *pattern = json_object_get(json, "pattern");
	const json_t *regex = json_object_get(pattern, "Regex");
	const json_t *literal = json_object_get(pattern, "String");
	const json_t *v = regex != NULL ? regex : literal;
	struct stage *s = add_stage(p, STAGE_SPLIT, err);
	str text;

	if (s == NULL)
		return -1;
	if (!json_is_string(v))
		return err_set(err, ERR_FORMAT, "Split without a pattern");
	if (behavior_of(json_string_value(json_object_get(json, "behavior")), &s->behavior,
	    err) < 0)
		return -1;
	s->invert = flag(json, "invert", false);
	text = (str){ json_string_value(v), (ptrdiff_t)json_string_length(v) };
	s->scan = regex != NULL ? scan_of(&text, 1) : SCAN_NONE;
	/* These patterns match everywhere, so what is between matches is empty. */
	if (s->scan != SCAN_NONE && ((s->behavior == ISOLATED && !s->invert) ||
	    (s->behavior == REMOVED && s->invert))) {
		s->kind = STAGE_SCAN;
		return 0;
	}
	s->code = compile(text, regex == NULL, err);
	return s->code == NULL ? -1 : 0;
}

static int
add_byte_level(struct pretoken *p, const json_t *json, struct err *err)
{
	struct stage *s;

	if (flag(json, "add_prefix_space", true)) {
		if (p->n > 0)
			return err_set(err, ERR_FORMAT, "ByteLevel with add_prefix_space after "
			    "another pre-tokenizer is not supported");
		p->prefix = true;
	}
	if (flag(json, "use_regex", true)) {
		if ((s = add_stage(p, STAGE_SCAN, err)) == NULL)
			return -1;
		s->scan = SCAN_GPT2;
	} else if (p->bytes) {
		return err_set(err, ERR_FORMAT, "ByteLevel twice is not supported");
	}
	p->bytes = true;
	return 0;
}

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

	if (type == NULL)
		return err_set(err, ERR_FORMAT, "a pre-tokenizer without a type");
	if (strcmp(type, "Split") == 0)
		return add_split(p, json, err);
	if (strcmp(type, "ByteLevel") == 0)
		return add_byte_level(p, json, err);
	if (strcmp(type, "Digits") == 0) {
		if ((s = add_stage(p, STAGE_DIGITS, err)) == NULL)
			return -1;
		s->behavior = flag(json, "individual_digits", false) ? ISOLATED : CONTIGUOUS;
		return 0;
	}
	if (strcmp(type, "BertPreTokenizer") == 0) {
		if ((s = add_stage(p, STAGE_SCAN, err)) == NULL)
			return -1;
		s->scan = SCAN_BERT;
		p->bytes = true;
		return 0;
	}
	if (strcmp(type, "Sequence") == 0 && json_is_array(list) && depth < 4) {
		for (size_t i = 0; i < json_array_size(list); i++) {
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
	return err_set(err, ERR_FORMAT, "pre-tokenizer %.64s is not supported", type);
}

struct pretoken *
pretoken_new(const json_t *json, struct err *err)
{
	struct pretoken *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((p->class = uclass_new(err)) == NULL || add(p, json, 0, err) < 0)
		goto fail;
	if (!p->bytes) {
		err_set(err, ERR_FORMAT, "a pre-tokenizer without ByteLevel is not supported");
		goto fail;
	}
	if (p->n > 0 && p->stage[p->n - 1].kind == STAGE_SCAN)
		p->last = p->stage[--p->n].scan;
	if (p->last == SCAN_GPT2 && p->n == 1 && p->stage[0].kind == STAGE_DIGITS &&
	    p->stage[0].behavior == ISOLATED) {
		p->last = SCAN_DIGITS;
		p->n = 0;
	}
	return p;
fail:
	pretoken_free(p);
	return NULL;
}

void
pretoken_free(struct pretoken *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < p->n; i++)
		pcre2_code_free(p->stage[i].code);
	free(p->class);
	free(p);
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

bool
pretoken_is_bert(const struct pretoken *p)
{
	return p->last == SCAN_BERT;
}

const uint8_t *
pretoken_class(const struct pretoken *p)
{
	return p->class;
}

/* ---- walking ---- */

struct pretoken_walk *
pretoken_walk_new(const struct pretoken *p, struct err *err)
{
	struct pretoken_walk *w = calloc(1, sizeof(*w));

	if (w == NULL)
		goto fail;
	w->p = p;
	w->match = pcre2_match_data_create(1, NULL);
	w->context = pcre2_match_context_create(NULL);
	w->stack = pcre2_jit_stack_create(32 << 10, 8 << 20, NULL);
	if (w->match == NULL || w->context == NULL || w->stack == NULL)
		goto fail;
	pcre2_jit_stack_assign(w->context, NULL, w->stack);
	return w;
fail:
	pretoken_walk_free(w);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

void
pretoken_walk_free(struct pretoken_walk *w)
{
	if (w == NULL)
		return;
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->context);
	pcre2_jit_stack_free(w->stack);
	free(w);
}

static void
place_init(struct place *p, str slice)
{
	*p = (struct place){ .slice = slice, .at = slice.p };
}

void
pretoken_start(struct pretoken_walk *w, str text)
{
	w->rest = (str){ NULL, 0 };
	for (int i = 1; i < w->p->n; i++)
		place_init(&w->place[i], w->rest);
	if (w->p->n == 0)
		w->rest = text;
	else
		place_init(&w->place[0], text);
}

/* Find the first match at or after place->at.  Return 1, 0, -1. */
static int
find_split(struct pretoken_walk *w, const struct stage *s, struct place *p, struct err *err)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(w->match);
	int got = pcre2_match(s->code, (PCRE2_SPTR)p->slice.p, (PCRE2_SIZE)p->slice.n,
	    (PCRE2_SIZE)(p->at - p->slice.p), PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, w->match,
	    w->context);

	if (got == PCRE2_ERROR_NOMATCH)
		return 0;
	if (got < 0)
		return err_set(err, ERR_FORMAT, "a pre-tokenizer pattern gives up on this text "
		    "(PCRE2 error %d)", got);
	/* \K could put the start behind the end. */
	if (v[0] >= v[1] || p->slice.p + v[0] < p->at)
		return err_set(err, ERR_FORMAT, "a pattern with \\K is not supported");
	p->found = (struct range){ p->slice.p + v[0], p->slice.p + v[1], true };
	return 1;
}

static int
find_digits(struct pretoken_walk *w, const struct stage *s, struct place *p)
{
	const char *end = p->slice.p + p->slice.n, *at = p->at, *start = NULL;

	while (at < end) {
		int len;
		bool digit = (uclass_at(w->p->class, at, end, &len) & UC_N) != 0;

		if (start != NULL && (!digit || s->behavior == ISOLATED))
			break;
		if (digit && start == NULL)
			start = at;
		at += len;
	}
	if (start == NULL)
		return 0;
	p->found = (struct range){ start, at, true };
	return 1;
}

/* The next match or gap.  Return 1, 0 at the end, -1. */
static int
range_next(struct pretoken_walk *w, const struct stage *s, struct place *p, struct range *r,
    struct err *err)
{
	const char *end = p->slice.p + p->slice.n;
	int got = 1;

	if (p->at == end)
		return 0;
	if (p->found.p == NULL)
		got = s->kind == STAGE_SPLIT ? find_split(w, s, p, err) : find_digits(w, s, p);
	if (got < 0)
		return -1;
	if (got == 0) {
		*r = (struct range){ p->at, end, false };
	} else if (p->found.p > p->at) {
		*r = (struct range){ p->at, p->found.p, false };
	} else {
		*r = p->found;
		p->found.p = NULL;
	}
	p->at = r->end;
	r->match ^= s->invert;
	return 1;
}

static bool
joins(enum behavior b, const struct range *left, const struct range *right)
{
	if (b == MERGED_PREVIOUS)
		return right->match && !left->match;
	if (b == MERGED_NEXT)
		return left->match && !right->match;
	return b == CONTIGUOUS && left->match == right->match;
}

/* The next slice of a stage that is not scanned by hand. */
static int
split_next(struct pretoken_walk *w, const struct stage *s, struct place *p, str *slice,
    struct err *err)
{
	struct range r = p->ahead, next;
	int got = r.p != NULL;

	p->ahead.p = NULL;
	for (;;) {
		if (!got && (got = range_next(w, s, p, &r, err)) <= 0)
			return got;
		if (s->kind == STAGE_DIGITS || s->behavior != REMOVED || !r.match)
			break;
		got = 0;
	}
	slice->p = r.p;
	while (s->kind == STAGE_SPLIT && s->behavior >= MERGED_PREVIOUS) {
		if ((got = range_next(w, s, p, &next, err)) < 0)
			return -1;
		if (got == 0)
			break;
		if (!joins(s->behavior, &r, &next)) {
			p->ahead = next;
			break;
		}
		r = next;
	}
	slice->n = r.end - slice->p;
	return 1;
}

static int
stage_next(struct pretoken_walk *w, int i, str *slice, struct err *err)
{
	const struct stage *s = &w->p->stage[i];
	struct place *p = &w->place[i];
	const char *end = p->slice.p + p->slice.n;
	int32_t cut;

	if (s->kind != STAGE_SCAN)
		return split_next(w, s, p, slice, err);
	if (p->at == end)
		return 0;
	scan_words(s->scan, w->p->class, p->at, end, &cut, 1);
	*slice = (str){ p->at, cut };
	p->at += cut;
	return 1;
}

/* The next slice of the last stage. */
static int
slice_next(struct pretoken_walk *w, str *slice, struct err *err)
{
	int n = w->p->n, i = n - 1;

	while (i >= 0) {
		int got = stage_next(w, i, slice, err);

		if (got < 0)
			return -1;
		if (got == 0) {
			i--;
			continue;
		}
		if (i == n - 1)
			return 1;
		place_init(&w->place[++i], *slice);
	}
	return 0;
}

int
pretoken_next(struct pretoken_walk *w, const char **base, int32_t *cut, int max,
    struct err *err)
{
	int n;

	while (w->rest.n == 0) {
		int got = w->p->n > 0 ? slice_next(w, &w->rest, err) : 0;

		if (got <= 0)
			return got;
	}
	*base = w->rest.p;
	n = scan_words(w->p->last, w->p->class, *base, *base + w->rest.n, cut, max);
	w->rest.p += cut[n - 1];
	w->rest.n -= cut[n - 1];
	return n;
}
