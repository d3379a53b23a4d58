#include "toytok.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "text/unicode.h"

static const char *const pieces[] = {
	"\"}", "\",", "\":", "\": \"", "\": ", "{\"", "[{", "[[", "]]", "}}", "}]", "]}", "}, {", ",\"",
	", \"", "\"},", "\"}]", "],", "[]", "{}", "\n", "\n ", "\n  ", "\n    ", "  ", "    ", "true",
	"false", "null", "tr", "ue", "nul", "al", "se", "12", "123", "1234567890", "00", "0.", ".5", "-1",
	"e+", "e10", "1e", "name", "age", "the", " the", "a\"", "\\n", "\\\"", "\\u00", "\\u", "\\\\", "\\",
	"abc", "aaaa", "aaaaaaaa", "bbbb", "xx", "foo", "bar", "foo\", \"bar", "\"foo\"", "\"a\":", "\"b\":1",
	"\xc3\xa9", "\xe2\x82", "\x82\xac", "\xf0\x9f", "\x98\x80", "\xf0\x9f\x98\x80", "a\xc3", "\xa9z",
	"\xc3\xa9\xc3",
	"(", "((", "))", "()", "+", "+1", "1+", "a=", "12 ", "x\" ", "\t", "]", "],\n", "20", "2024-01-0", "T12:",
};

/* As GPT-2's vocabulary spells bytes. */
static void
spell(struct buf *b, str bytes)
{
	for (ptrdiff_t i = 0; i < bytes.n; i++) {
		uint8_t x = (uint8_t)bytes.p[i];
		int32_t c = x;
		char utf8[4];

		if (x < 0x21 || (x > 0x7e && x < 0xa1) || x == 0xad) {
			c = 256;
			for (int k = 0; k < x; k++)
				c += k < 0x21 || (k > 0x7e && k < 0xa1) || k == 0xad;
		}
		buf_add(b, (str){ utf8, utf8_put(utf8, c) });
	}
}

static void
add(struct buf *b, str bytes, int id)
{
	struct buf name = { 0 };

	spell(&name, bytes);
	buf_fmt(b, "%s", id > 0 ? "," : "");
	json_quote(b, buf_str(&name));
	buf_fmt(b, ":%d", id);
	buf_free(&name);
}

void
toytok_file(struct buf *b)
{
	static const char *const special[] = { "<think>", "</think>", "<eos>" };
	int id = 0;

	buf_add(b, S("{\"model\":{\"type\":\"BPE\",\"vocab\":{"));
	for (; id < 256; id++)
		add(b, (str){ &(char){ (char)id }, 1 }, id);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
		if (pieces[i][1] != '\0')
			add(b, str_of(pieces[i]), id++);
	buf_add(b, S("},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
	    "\"trim_offsets\":true,\"use_regex\":true},\"decoder\":{\"type\":\"ByteLevel\","
	    "\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},\"added_tokens\":["));
	for (int i = 0; i < 3; i++)
		buf_fmt(b, "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,"
		    "\"rstrip\":false,\"normalized\":false,\"special\":true}", i > 0 ? "," : "", id++,
		    special[i]);
	buf_add(b, S("]}"));
}

struct tokenizer *
toytok(void)
{
	struct buf b = { 0 };
	struct err err = { 0 };
	struct tokenizer *t;

	toytok_file(&b);
	t = tokenizer_parse(buf_str(&b), &err);
	buf_free(&b);
	if (t == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	return t;
}
