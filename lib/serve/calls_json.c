#include "serve/calls_impl.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
open_level(struct calls_json *j, bool array)
{
	uint64_t bit;

	if (j->depth == JSON_DEPTH)
		return -1;
	bit = (uint64_t)1 << (j->depth & 63);
	if (array)
		j->arrays[j->depth >> 6] |= bit;
	else
		j->arrays[j->depth >> 6] &= ~bit;
	j->depth++;
	j->at = array ? JSON_FIRST_VALUE : JSON_FIRST_KEY;
	return 0;
}

static bool
in_array(const struct calls_json *j)
{
	return (j->arrays[(j->depth - 1) >> 6] >> ((j->depth - 1) & 63) & 1) != 0;
}

static int
close_level(struct calls_json *j, bool array)
{
	if (j->depth == 0 || in_array(j) != array)
		return -1;
	j->depth--;
	j->at = JSON_NEXT;
	return 0;
}

static int
begin_text(struct calls_json *j, bool key)
{
	j->key = key;
	j->at = JSON_TEXT;
	return 0;
}

static int
begin_word(struct calls_json *j, const char *rest)
{
	j->rest = rest;
	j->at = JSON_WORD;
	return 0;
}

static int
begin_value(struct calls_json *j, char c)
{
	switch (c) {
	case '{':
	case '[':
		return open_level(j, c == '[');
	case '"':
		return begin_text(j, false);
	case 't':
		return begin_word(j, "rue");
	case 'f':
		return begin_word(j, "alse");
	case 'n':
		return begin_word(j, "ull");
	case '-':
		j->at = JSON_MINUS;
		return 0;
	case '0':
		j->at = JSON_ZERO;
		return 0;
	default:
		j->at = JSON_WHOLE;
		return is_digit(c) ? 0 : -1;
	}
}

/* After a value: a comma, or the end of what it is in. */
static int
after_value(struct calls_json *j, char c)
{
	if (c == '}' || c == ']')
		return close_level(j, c == ']');
	if (c != ',' || j->depth == 0)
		return -1;
	j->at = in_array(j) ? JSON_VALUE : JSON_KEY;
	return 0;
}

static int
in_text(struct calls_json *j, char c)
{
	if (c == '\\')
		j->at = JSON_ESCAPE;
	else if (c == '"')
		j->at = j->key ? JSON_COLON : JSON_NEXT;
	return 0;
}

static int
in_escape(struct calls_json *j, char c)
{
	if (j->at == JSON_ESCAPE) {
		j->rest = "xxxx";
		j->at = c == 'u' ? JSON_HEX : JSON_TEXT;
		return strchr("\"\\/bfnrtu", c) != NULL && c != '\0' ? 0 : -1;
	}
	if (*++j->rest == '\0')
		j->at = JSON_TEXT;
	return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f') ? 0 : -1;
}

static int
in_word(struct calls_json *j, char c)
{
	if (c != *j->rest++)
		return -1;
	if (*j->rest == '\0')
		j->at = JSON_NEXT;
	return 0;
}

/* A number has no end of its own: what is no part of it comes after it. */
static int
in_number(struct calls_json *j, char c)
{
	bool e = c == 'e' || c == 'E';
	int at = j->at;

	if (is_digit(c)) {
		static const int next[] = { [JSON_MINUS] = JSON_WHOLE,
			[JSON_WHOLE] = JSON_WHOLE,
			[JSON_POINT] = JSON_FRACTION,
			[JSON_FRACTION] = JSON_FRACTION,
			[JSON_E] = JSON_EXPONENT,
			[JSON_SIGN] = JSON_EXPONENT,
			[JSON_EXPONENT] = JSON_EXPONENT };

		j->at = at == JSON_MINUS && c == '0' ? JSON_ZERO : next[at];
		return at == JSON_ZERO ? -1 : 0;
	}
	if (c == '.' && (at == JSON_ZERO || at == JSON_WHOLE)) {
		j->at = JSON_POINT;
		return 0;
	}
	if (e && (at == JSON_ZERO || at == JSON_WHOLE || at == JSON_FRACTION)) {
		j->at = JSON_E;
		return 0;
	}
	if ((c == '+' || c == '-') && at == JSON_E) {
		j->at = JSON_SIGN;
		return 0;
	}
	if (at == JSON_MINUS || at == JSON_POINT || at == JSON_E || at == JSON_SIGN)
		return -1;
	j->at = JSON_NEXT;
	return is_space(c) ? 0 : after_value(j, c);
}

int
calls_json_byte(struct calls_json *j, char c)
{
	if (j->at <= JSON_NEXT && is_space(c))
		return 0;
	switch (j->at) {
	case JSON_FIRST_VALUE:
		if (c == ']')
			return close_level(j, true);
		return begin_value(j, c);
	case JSON_VALUE:
		return begin_value(j, c);
	case JSON_FIRST_KEY:
		if (c == '}')
			return close_level(j, false);
		return c == '"' ? begin_text(j, true) : -1;
	case JSON_KEY:
		return c == '"' ? begin_text(j, true) : -1;
	case JSON_COLON:
		j->at = JSON_VALUE;
		return c == ':' ? 0 : -1;
	case JSON_NEXT:
		return after_value(j, c);
	case JSON_TEXT:
		return in_text(j, c);
	case JSON_ESCAPE:
	case JSON_HEX:
		return in_escape(j, c);
	case JSON_WORD:
		return in_word(j, c);
	default:
		return in_number(j, c);
	}
}
