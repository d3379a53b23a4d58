/*
 * lang - in which language a text is, by CLD2
 *
 * CLD2 counts n-grams of letters: digits, marks and blanks are no evidence.  All
 * strings given out are constants.  Any thread may call any function.
 */
#ifndef TEXT_LANG_H
#define TEXT_LANG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define LANG_TOP	3	/* languages that are told of a text */
#define LANG_NUMBERS	700	/* above all numbers of languages */
#define LANG_NONE	26	/* the number of no language */
#define LANG_UNKNOWN	"und"	/* and its code */

struct lang_share {
	int		 number;
	const char	*code;		/* BCP 47: "en", "zh-Hant" */
	int		 percent;	/* of the letters */
	double		 density;	/* points of its n-grams for each KiB of letters */
};

struct lang_found {
	struct lang_share top[LANG_TOP];	/* by share: the first is the text's language */
	int		 n;		/* 0: none is known; top[0] is LANG_NONE then */
	int64_t		 letters;	/* bytes that were judged */
	bool		 reliable;	/* CLD2's word: the first is well ahead of the others */
};

/* Return 0, or -1 with what to install when this was built without CLD2. */
int lang_check(struct err *err);

/*
 * Judge UTF-8 text.  guess: answer also where a text is short or mixed; hint: the
 * number of a language that is likelier than others, or LANG_NONE.
 */
int lang_detect(str text, bool guess, int hint, struct lang_found *found, struct err *err);

/*
 * One number of 0 to 1 for thresholds: the share of the first language, and
 * half of it where that is not reliable.
 */
double lang_score(const struct lang_found *found);

/* Are both of one group of languages that are often mistaken for one another, as cs and sk? */
bool lang_alike(int a, int b);

/* Code and English name of a number from 0 on; NULL where it is no language. */
const char *lang_code(int number);
const char *lang_name(int number);

/* Does code fall under range (RFC 4647, basic filtering: zh has zh-Hant)?  "*" has all. */
bool lang_within(const char *code, str range);

/* Languages to keep, and the least score of each: "en:0.65,de:0.5,*:0.8". */
#define LANG_KEEPS	256

struct lang_keeps {
	struct lang_keep {
		str	range;		/* in the list that was read */
		double	min;		/* 0 without a score */
	}		 of[LANG_KEEPS];
	int		 n;
};

int lang_keeps_read(struct lang_keeps *k, str list, struct err *err);

/* What is said of a code: the longest range that has it, or NULL. */
const struct lang_keep *lang_keeps_find(const struct lang_keeps *k, const char *code);

/*
 * Judge each line of a text in the language whole.  Appends to runs, as JSON, the
 * runs of lines in one language, "[[1,4,\"en\"],[5,5,\"de\"]]", and to left the text
 * without lines in a language that is neither the text's, where that has one, nor
 * named in keeps.
 * Return how many those are, or -1.
 *
 * A line is in the language of its text unless it has LANG_LINE bytes of letters
 * and is surely in another one that is not lang_alike(); what has no letters goes
 * with the line before it.
 */
#define LANG_LINE	40

int64_t lang_lines(str text, int whole, const struct lang_keeps *keep, struct buf *runs,
    struct buf *left, struct err *err);

/* Version of CLD2 and date of its tables. */
const char *lang_version(void);

#endif
