#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/script.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/buf.h"
#include "text/unicode.h"

#define END	0x110000	/* code points */

static const char *const names[] = {
	[SCRIPT_OTHER] = "Other", [SCRIPT_COMMON] = "Common", [SCRIPT_INHERITED] = "Inherited",
	[SCRIPT_LATIN] = "Latin", [SCRIPT_HAN] = "Han", [SCRIPT_HIRAGANA] = "Hiragana",
	[SCRIPT_KATAKANA] = "Katakana",
	"Arabic", "Armenian", "Bengali", "Bopomofo", "Braille", "Canadian_Aboriginal", "Cherokee",
	"Coptic", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Glagolitic", "Gothic",
	"Greek", "Gujarati", "Gurmukhi", "Hangul", "Hebrew", "Javanese", "Kannada", "Khmer",
	"Lao", "Malayalam", "Mongolian", "Myanmar", "Nko", "Ogham", "Ol_Chiki", "Oriya", "Runic",
	"Sinhala", "Sundanese", "Syriac", "Tamil", "Telugu", "Thaana", "Thai", "Tibetan",
	"Tifinagh", "Vai", "Yi",
};
#define NAMES	(int)(sizeof(names) / sizeof(*names))

const char *
script_name(int script)
{
	return script < NAMES ? names[script] : NULL;
}

/* The characters of a run of one script begin a match of its group. */
static pcre2_code *
compile(struct err *err)
{
	struct buf b = { 0 };
	pcre2_code *code = NULL;
	PCRE2_SIZE at;
	int why;

	for (int i = SCRIPT_COMMON; i < NAMES; i++)
		buf_fmt(&b, "%s(\\p{sc:%s}+)", i > SCRIPT_COMMON ? "|" : "", names[i]);
	if (buf_ok(&b, err) == 0) {
		code = pcre2_compile((PCRE2_SPTR)b.p, (PCRE2_SIZE)b.n, PCRE2_UTF, &why, &at, NULL);
		if (code == NULL)
			err_set(err, ERR_FORMAT, "PCRE2 cannot tell scripts (error %d)", why);
		else	/* without it, it takes a second */
			pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	}
	buf_free(&b);
	return code;
}

/* Every character of the planes that have scripts, in order. */
static int
all_characters(struct buf *b, struct err *err)
{
	char p[4];

	for (int32_t c = 0; c < END; c++)
		if ((c < 0x40000 && (c < 0xd800 || c > 0xdfff)) || c >> 16 == 0xe)
			buf_add(b, (str){ p, utf8_put(p, c) });
	return buf_ok(b, err);
}

static int
fill(uint8_t *table, const pcre2_code *code, pcre2_match_data *match, str text, struct err *err)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(match);
	PCRE2_SIZE at = 0;
	int group;

	while ((group = pcre2_match(code, (PCRE2_SPTR)text.p, (PCRE2_SIZE)text.n, at,
	    PCRE2_NO_UTF_CHECK, match, NULL)) > 1) {
		const char *p = text.p + v[0], *end = text.p + v[1];

		while (p < end)
			table[utf8_next(&p, end)] = (uint8_t)(group - 1);
		at = v[1];
	}
	if (group != PCRE2_ERROR_NOMATCH)
		return err_set(err, ERR_NOMEM, "PCRE2 cannot tell scripts (error %d)", group);
	return 0;
}

uint8_t *
script_new(struct err *err)
{
	pcre2_code *code = compile(err);
	pcre2_match_data *match = code == NULL ? NULL :
	    pcre2_match_data_create_from_pattern(code, NULL);
	uint8_t *table = calloc(END, 1);
	struct buf text = { 0 };
	int ret = -1;

	if (code != NULL && (match == NULL || table == NULL))
		err_set(err, ERR_NOMEM, "out of memory");
	else if (code != NULL && all_characters(&text, err) == 0)
		ret = fill(table, code, match, buf_str(&text), err);
	buf_free(&text);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
	if (ret < 0) {
		free(table);
		return NULL;
	}
	return table;
}
