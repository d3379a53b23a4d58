#include "token/sentence.h"

#include <string.h>

#include "text/unicode.h"

#define SPAN	((ptrdiff_t)1 << 29)
#define MARK "\xe2\x96\x81"	/* U+2581 */

static bool
is(const json_t *json, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(json, key));

	return s != NULL && strcmp(s, value) == 0;
}

int
sentence_normalizer(struct sentence *s, const json_t *json, struct err *err)
{
	if (is(json, "type", "Prepend")) {
		if (!is(json, "prepend", MARK))
			return err_set(err, ERR_FORMAT, "Prepend of what is not U+2581 is not "
			    "supported");
		s->prefix = true;
		return 1;
	}
	if (!is(json, "type", "Replace"))
		return 0;
	if (!is(json_object_get(json, "pattern"), "String", " ") || !is(json, "content", MARK))
		return err_set(err, ERR_FORMAT, "Replace of what is no space is not supported");
	s->on = true;
	return 1;
}

/* WhitespaceSplit, then Metaspace of each word. */
static int
words_pre(struct sentence *s, const json_t *json, struct err *err)
{
	const json_t *list = json_object_get(json, "pretokenizers");
	int ret;

	if (!is(json, "type", "Sequence") || json_array_size(list) != 2 ||
	    !is(json_array_get(list, 0), "type", "WhitespaceSplit") ||
	    !is(json_array_get(list, 1), "type", "Metaspace"))
		return 0;
	if ((ret = sentence_pre(s, json_array_get(list, 1), err)) < 0)
		return ret;
	if (!s->prefix || s->first || !s->split)
		return err_set(err, ERR_FORMAT, "WhitespaceSplit with a Metaspace that does not "
		    "put a space before each word is not supported");
	s->words = true;
	return 1;
}

int
sentence_pre(struct sentence *s, const json_t *json, struct err *err)
{
	const json_t *scheme = json_object_get(json, "prepend_scheme");
	const json_t *space = json_object_get(json, "add_prefix_space");

	/* Without any, text is one word; and no space is left that Split could find. */
	if (s->on && (json_is_null(json) || (is(json, "type", "Split") &&
	    is(json_object_get(json, "pattern"), "String", " "))))
		return 1;
	if (!is(json, "type", "Metaspace"))
		return words_pre(s, json, err);
	if (!is(json, "replacement", MARK))
		return err_set(err, ERR_FORMAT, "Metaspace of what is not U+2581 is not "
		    "supported");
	s->on = s->lacking = s->late = true;
	s->split = !json_is_false(json_object_get(json, "split"));
	s->first = is(json, "prepend_scheme", "first");
	s->prefix = scheme != NULL ? !is(json, "prepend_scheme", "never") :
	    !json_is_false(space);
	return 1;
}

ptrdiff_t
sentence_bytes(char *to, str name)
{
	char *at = to;

	while (name.n > 0) {
		const char *mark = memchr(name.p, MARK[0], (size_t)name.n);
		ptrdiff_t n = mark != NULL ? mark - name.p : name.n;

		memmove(at, name.p, (size_t)n);
		at += n;
		name = (str){ name.p + n, name.n - n };
		if (name.n == 0)
			break;
		n = str_starts(name, S(MARK)) ? 3 : 1;
		*at++ = n == 3 ? ' ' : MARK[0];
		name = (str){ name.p + n, name.n - n };
	}
	return at - to;
}

int
sentence_byte(str name)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *a, *b;

	if (name.n != 6 || !str_starts(name, S("<0x")) || name.p[5] != '>')
		return -1;
	a = memchr(digits, name.p[3], 16);
	b = memchr(digits, name.p[4], 16);
	return a == NULL || b == NULL ? -1 : (int)((a - digits) * 16 + (b - digits));
}

bool
sentence_inner(str s)
{
	for (ptrdiff_t i = 1; i < s.n; i++)
		if (s.p[i] == ' ' && s.p[i - 1] != ' ')
			return true;
	return false;
}

/* The next word of *text, which ends at white space, is cut off. */
static str
next_word(str *text)
{
	const char *p = text->p, *end = text->p + text->n, *from = p, *to;

	for (to = p; p < end; to = p) {
		int32_t c = utf8_next(&p, end);

		/* As Rust's is_whitespace(). */
		if (c < 0x80 ? c != ' ' && (c < '\t' || c > '\r') :
		    (uni_class(c) & UNI_SPACE) == 0)
			continue;
		if (to > from)
			break;
		from = p;
	}
	*text = (str){ p, end - p };
	return (str){ from, to > from ? to - from : 0 };
}

void
sentence_text(const struct sentence *s, struct buf *to, str text, bool prefix)
{
	struct sentence each = *s;
	char *at;

	if (s->words) {
		each.words = false;
		while (text.n > 0) {
			str word = next_word(&text);

			if (word.n > 0)
				sentence_text(&each, to, word, !str_starts(word, S(MARK)));
		}
		return;
	}
	if ((at = buf_room(to, text.n + 1)) == NULL)
		return;
	if (prefix) {
		*at++ = ' ';
		to->n++;
	}
	to->n += sentence_bytes(at, text);
}

static uint16_t
pair_at(const char *p)
{
	uint16_t both;

	memcpy(&both, p, sizeof(both));
	return both;
}

static void
set_cut(struct sentence_cuts *c, int a, int b, bool on)
{
	char both[2] = { (char)a, (char)b };

	c->between[pair_at(both)] = on;
}

void
sentence_cuts(struct sentence_cuts *c, const struct sentence *s, const str *token, int32_t n)
{
	/* Characters stay whole. */
	for (int a = 0; a < 256; a++)
		for (int b = 0; b < 256; b++)
			set_cut(c, a, b, (token != NULL && (b & 0xc0) != 0x80) ||
			    (b == ' ' && a != ' ' && !s->whole));
	for (int32_t i = 0; token != NULL && i < n; i++)
		for (ptrdiff_t k = 1; k < token[i].n; k++)
			c->between[pair_at(token[i].p + k - 1)] = 0;
	for (int a = 0; s->split && a < 256; a++)
		set_cut(c, a, ' ', true);
}

/* No branch asks where words end: none could be foretold. */
int
sentence_words(const struct sentence_cuts *c, const char *p, const char *end, int32_t *cut,
    int max)
{
	const char *at = p;
	int n = 0;

	while (end - at > 1 && at - p < SPAN) {
		ptrdiff_t some = end - at - 1;

		if (max - n <= SENTENCE_ROOM / 2)
			return n;
		if (some > max - n - 1)
			some = max - n - 1;
		for (ptrdiff_t i = 0; i < some; i++) {
			cut[n] = (int32_t)(at - p + i + 1);
			n += c->between[pair_at(at + i)];
		}
		at += some;
	}
	cut[n] = (int32_t)(at - p + 1);
	return n + 1;
}
