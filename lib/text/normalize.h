/*
 * normalize - one spelling of the same text
 *
 * In this order, and again until nothing changes, so that normalizing twice
 * is normalizing once:
 *
 *   entities   of HTML become characters, in a text that has no tag
 *   mojibake   UTF-8 that was read as another encoding and encoded again is
 *              repaired where that is certain: see mojibake_repair()
 *   tidy       characters that are no text go; line ends become \n; blanks
 *              and blank lines are folded: see text_tidy()
 *   form       NFC or NFKC
 *
 * Takes valid UTF-8 and gives valid UTF-8.
 */
#ifndef TEXT_NORMALIZE_H
#define TEXT_NORMALIZE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "text/unicode.h"

/* Owns its buffers; all zero with a form set is ready for use. */
struct normalizer {
	enum uni_form	form;
	bool		keep_entities;
	int		use;
	struct buf	buf[2];
};

/*
 * Return 0 when text is normal as it is; 1 and the text in *out, good until
 * the next call; -1 when memory fails or the text passes the buffers' limit.
 */
int text_normalize(struct normalizer *z, str text, str *out, struct err *err);
void normalizer_free(struct normalizer *z);

/*
 * The steps, each alone: append the new text to out (which is empty) and
 * return 1, or return 0 when text needs no change.
 *
 * Tidying removes C0 controls but \t and \n, DEL, terminal escapes, U+FEFF,
 * soft hyphens, U+200B, U+2060, U+FFF9..FFFB and noncharacters; a C1 control
 * becomes the character that CP1252 has there; \r\n, \r, \v, \f and U+2028
 * become \n, U+2029 \n\n.  Inside a line a run of blanks becomes one space (a
 * single tab stays), blanks that indent a line stay, those that end it go.
 * Blank lines are one between others, none at the start or the end.
 */
int text_tidy(struct buf *out, str text, struct err *err);

/*
 * A line is repaired whose characters in one encoding (Latin-1, CP1252, 1251, 1250,
 * 1253, 1254, 1257, ISO 8859-2, Mac Roman, CP437) are UTF-8 as a whole, in which
 * bytes a0 may have become spaces and others U+FFFD.  Of another line, a run of
 * characters that CP1252 or Latin-1 has above ASCII is, when its bytes are UTF-8 as a
 * whole.  Neither is where a writer can have meant them.
 */
int mojibake_repair(struct buf *out, str text, struct err *err);

/* &eacute; and &#233; in a text without '<'. */
int entities_decode(struct buf *out, str text, struct err *err);

#endif
