#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/script.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/buf.h"
#include "text/unicode.h"

#define END	0x110000	/* code points */

/* Code of ISO 15924, name in Unicode, which PCRE2 knows it by. */
static const struct {
	const char	*code, *name;
} scripts[] = {
	[SCRIPT_OTHER] = { "Zzzz", "Other" },
	[SCRIPT_COMMON] = { "Zyyy", "Common" },
	[SCRIPT_INHERITED] = { "Zinh", "Inherited" },
	[SCRIPT_LATIN] = { "Latn", "Latin" },
	[SCRIPT_HAN] = { "Hani", "Han" },
	[SCRIPT_HIRAGANA] = { "Hira", "Hiragana" },
	[SCRIPT_KATAKANA] = { "Kana", "Katakana" },
	{ "Arab", "Arabic" }, { "Armn", "Armenian" }, { "Beng", "Bengali" },
	{ "Bopo", "Bopomofo" }, { "Brai", "Braille" }, { "Cans", "Canadian_Aboriginal" },
	{ "Cher", "Cherokee" }, { "Copt", "Coptic" }, { "Cyrl", "Cyrillic" },
	{ "Deva", "Devanagari" }, { "Ethi", "Ethiopic" }, { "Geor", "Georgian" },
	{ "Glag", "Glagolitic" }, { "Goth", "Gothic" }, { "Grek", "Greek" },
	{ "Gujr", "Gujarati" }, { "Guru", "Gurmukhi" }, { "Hang", "Hangul" },
	{ "Hebr", "Hebrew" }, { "Java", "Javanese" }, { "Knda", "Kannada" },
	{ "Khmr", "Khmer" }, { "Laoo", "Lao" }, { "Mlym", "Malayalam" },
	{ "Mong", "Mongolian" }, { "Mymr", "Myanmar" }, { "Nkoo", "Nko" }, { "Ogam", "Ogham" },
	{ "Olck", "Ol_Chiki" }, { "Orya", "Oriya" }, { "Runr", "Runic" },
	{ "Sinh", "Sinhala" }, { "Sund", "Sundanese" }, { "Syrc", "Syriac" },
	{ "Taml", "Tamil" }, { "Telu", "Telugu" }, { "Thaa", "Thaana" }, { "Thai", "Thai" },
	{ "Tibt", "Tibetan" }, { "Tfng", "Tifinagh" }, { "Vaii", "Vai" }, { "Yiii", "Yi" },
};
#define NAMES	(int)(sizeof(scripts) / sizeof(*scripts))

const char *
script_name(int script)
{
	return script < NAMES ? scripts[script].name : NULL;
}

/* The characters of a run of one script begin a match of its group. */
static pcre2_code *
compile(struct err *err)
{
	struct buf b = { 0 };
	pcre2_code *code = NULL;
	PCRE2_SIZE at;
	int why;

	/* What is not assigned is most: it goes first, and is no group. */
	buf_add(&b, S("\\p{Cn}+"));
	for (int i = SCRIPT_COMMON; i < NAMES; i++)
		buf_fmt(&b, "|(\\p{sc:%s}+)", scripts[i].name);
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
	    PCRE2_NO_UTF_CHECK, match, NULL)) > 0) {
		const char *p = text.p + v[0], *end = text.p + v[1];

		while (group > 1 && p < end)
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

/* One character of kana in so many of Japanese; Chinese has fewer. */
#define KANA_ONE_IN	20

const char *
script_of_text(const uint8_t *table, str text)
{
	const char *p = text.p, *end = p + text.n;
	int64_t n[NAMES] = { 0 }, latin = 0, kana, han;
	int best = SCRIPT_COMMON;

	while (p < end)
		if ((signed char)*p >= 0)
			latin += (uint8_t)((*p++ | 0x20) - 'a') < 26;
		else
			n[table[utf8_next(&p, end)]]++;
	n[SCRIPT_LATIN] += latin;
	kana = n[SCRIPT_HIRAGANA] + n[SCRIPT_KATAKANA];
	han = n[SCRIPT_HAN] + kana;
	n[SCRIPT_HAN] = han;
	n[SCRIPT_COMMON] = n[SCRIPT_INHERITED] = 0;
	for (int i = 0; i < NAMES; i++)
		if (n[i] > n[best])
			best = i;
	return best == SCRIPT_HAN && kana * KANA_ONE_IN >= han ? "Jpan" : scripts[best].code;
}
