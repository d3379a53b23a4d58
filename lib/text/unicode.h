/*
 * unicode - decoding, classes and normal forms of UTF-8 text
 *
 * Everything here expects valid UTF-8, as json_scan() and utf8_bad() leave it;
 * broken bytes never make a function read outside its slice, and decode as
 * U+FFFD one by one.  Properties come from utf8proc at run time.
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Classes; a character may have several. */
#define UNI_SPACE	0x001	/* White_Space and U+001C..U+001F, as Python's isspace */
#define UNI_LETTER	0x002	/* L* */
#define UNI_UPPER	0x004	/* Lu Lt, and letters without case: see uni_class() */
#define UNI_LOWER	0x008	/* Ll, and letters without case */
#define UNI_DIGIT	0x010	/* Nd */
#define UNI_PUNCT	0x020	/* P* */
#define UNI_ICON	0x040	/* So */
#define UNI_CURRENCY	0x080	/* Sc */
#define UNI_TERMINAL	0x100	/* Sentence_Terminal: . ? ! and their like */
#define UNI_CONTROL	0x200	/* Cc */
#define UNI_LINE	0x400	/* ends a line: \n \v \f \r U+001C..1E U+0085 U+2028 U+2029 */
#define UNI_MARK	0x800	/* M* */

/* Of ASCII, and of any: for uni_class() only. */
extern const uint16_t uni_ascii[128];
unsigned uni_class_of(int32_t c);

/* Of one code point.  A letter without case (Lm, Lo) is UPPER and LOWER. */
static inline unsigned
uni_class(int32_t c)
{
	return c >= 0 && c < 0x80 ? uni_ascii[c] : uni_class_of(c);
}

/* Decode more than one byte: for utf8_next() only. */
int32_t utf8_decode(const char **at, const char *end);

/* The character at *at < end; *at moves behind it. */
static inline int32_t
utf8_next(const char **at, const char *end)
{
	unsigned char c = (unsigned char)**at;

	if (c < 0x80) {
		(*at)++;
		return c;
	}
	return utf8_decode(at, end);
}

/* The character that ends at *at > start; *at moves before it. */
int32_t utf8_prev(const char *start, const char **at);

bool uni_is_white(int32_t c);	/* White_Space */

/* \w of UTS #18: alphabetic characters, marks, digits, connectors, joiners. */
bool uni_is_word(int32_t c);

/* Of a script that writes words without spaces: Han, kana, Thai, Lao, Khmer, Myanmar. */
bool uni_stands_alone(int32_t c);

/* Write c (a valid code point) to p and return its bytes, 1 to 4. */
int utf8_put(char p[4], int32_t c);

/* Characters in s. */
ptrdiff_t utf8_count(str s);

/* s without UNI_SPACE at its ends. */
str uni_trim(str s);

/* The part of s that is ASCII from its start on: its length. */
ptrdiff_t ascii_span(str s);

enum uni_form { UNI_NONE, UNI_NFC, UNI_NFKC, UNI_NFD, UNI_NFKD };

/*
 * Append text in a normal form (UAX #15) to out.  Return 1; or 0, and out is
 * untouched, when text is in that form as it is.  -1 when memory fails.
 * Time is linear in the text, however many marks a character has.
 */
int uni_normalize(struct buf *out, str text, enum uni_form form, struct err *err);

#endif
