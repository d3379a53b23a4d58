/*
 * pretoken_impl - the stages that a text goes through
 */
#ifndef TOKEN_PRETOKEN_IMPL_H
#define TOKEN_PRETOKEN_IMPL_H

#include "token/onig.h"
#include "token/pretoken.h"

enum stage_kind {
	STAGE_SCAN,		/* scan.h; SCAN_NONE does not cut */
	STAGE_CHARS,		/* at characters of a kind */
	STAGE_SPLIT,		/* at what a pattern matches */
	STAGE_LENGTH		/* after so many characters */
};
enum stage_chars { CHARS_NUMBER, CHARS_PUNCT, CHARS_SPACE, CHARS_ONE };
enum behavior { REMOVED, ISOLATED, MERGED_PREVIOUS, MERGED_NEXT, CONTIGUOUS };

/* What becomes of a slice before it is cut. */
enum rewrite {
	REWRITE_NOT,
	REWRITE_SPACE,		/* a space before it, unless it begins with one */
	REWRITE_MARK,		/* spaces are marks; and one before it, likewise */
	REWRITE_BYTES		/* each byte is the character of bytemap.h */
};
enum prepend { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS };

struct stage {
	enum stage_kind	kind;
	enum scan	scan;
	enum stage_chars chars;
	enum behavior	behavior;	/* of SPLIT and CHARS */
	bool		invert;
	struct onig	*pattern;
	int32_t		one;		/* CHARS_ONE: this one; REWRITE_MARK: the mark */
	int64_t		length;
	enum rewrite	rewrite;
	enum prepend	prepend;	/* of REWRITE_MARK */
};

struct pretoken {
	struct stage	 stage[PRETOKEN_STAGES];
	int		 n;
	enum scan	 last;		/* how the slices of the last stage are cut */
	bool		 prefix;
	bool		 bytes;		/* words are bytes, the last stage said */
	uint8_t		*class;
};

#endif
