/*
 * scan_impl - what the patterns of scan.h are made of
 *
 * One rule a pattern.  Both ways to scan follow it: character by character,
 * and by masks of 64 bytes, once for each instruction set.
 */
#ifndef TOKEN_SCAN_IMPL_H
#define TOKEN_SCAN_IMPL_H

#include "base/isa.h"
#include "token/scan.h"

/* 's 't 're 've 'm 'll 'd */
enum contraction {
	CONTRACTION_NONE,
	CONTRACTION_WORD,	/* words of their own; lower case only */
	CONTRACTION_FOLD,	/* of any case */
	CONTRACTION_LAST	/* of any case, at the end of the letters before */
};

struct rule {
	enum contraction contraction;
	bool	space;		/* a space goes with what follows; else one of any with letters */
	bool	lines;		/* ends of lines go with symbols before, and end white space */
	bool	tail;		/* but at the end of the text it is one word */
	bool	slash;		/* slashes among these too */
	bool	cased;		/* a capital begins a word */
	bool	marks;		/* marks are letters */
	int	digits;		/* the most numbers in a word; 0: any */
	bool	apart;		/* numbers are cut out before all else */
	bool	strict;		/* symbols are \p{P} and \p{S}; ideographs and kana are cut out */
};

static const struct rule scan_rules[] = {
	[SCAN_GPT2] = { CONTRACTION_WORD, .space = true },
	[SCAN_DIGITS] = { CONTRACTION_WORD, .space = true, .digits = 1, .apart = true },
	[SCAN_LLAMA3] = { CONTRACTION_FOLD, .lines = true, .digits = 3 },
	[SCAN_CL100K] = { CONTRACTION_FOLD, .lines = true, .tail = true, .digits = 3 },
	[SCAN_QWEN2] = { CONTRACTION_FOLD, .lines = true, .digits = 1 },
	[SCAN_QWEN35] = { CONTRACTION_FOLD, .lines = true, .digits = 1, .marks = true },
	[SCAN_O200K] = { CONTRACTION_LAST, .lines = true, .slash = true, .cased = true,
	    .digits = 3 },
	[SCAN_TEKKEN] = { CONTRACTION_NONE, .lines = true, .slash = true, .cased = true,
	    .digits = 1 },
	[SCAN_DEEPSEEK] = { CONTRACTION_NONE, .lines = true, .marks = true, .digits = 3,
	    .apart = true, .strict = true },
};

/* Do what with the rule of a kind as a constant, so that each has its own code. */
#define SCAN_KINDS(kind, what)						\
	switch (kind) {							\
	case SCAN_GPT2:		what(scan_rules[SCAN_GPT2]);		\
	case SCAN_DIGITS:	what(scan_rules[SCAN_DIGITS]);		\
	case SCAN_LLAMA3:	what(scan_rules[SCAN_LLAMA3]);		\
	case SCAN_CL100K:	what(scan_rules[SCAN_CL100K]);		\
	case SCAN_QWEN2:	what(scan_rules[SCAN_QWEN2]);		\
	case SCAN_QWEN35:	what(scan_rules[SCAN_QWEN35]);		\
	case SCAN_O200K:	what(scan_rules[SCAN_O200K]);		\
	case SCAN_TEKKEN:	what(scan_rules[SCAN_TEKKEN]);		\
	case SCAN_DEEPSEEK:	what(scan_rules[SCAN_DEEPSEEK]);	\
	default:		break;					\
	}

/*
 * The length of the contraction at p, where there is an apostrophe and left
 * bytes, or 0.  Without case, U+017F (long s) is an s too.
 */
static inline int
contraction(const char *p, ptrdiff_t left, bool fold)
{
	int lower = fold ? 0x20 : 0;
	int a, b;

	if (left < 2)
		return 0;
	a = p[1] | lower;
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return 2;
	if (left < 3)
		return 0;
	b = p[2] | lower;
	if ((b == 'e' && (a == 'r' || a == 'v')) || (b == 'l' && a == 'l'))
		return 3;
	return fold && memcmp(p + 1, "\xc5\xbf", 2) == 0 ? 3 : 0;
}

#define SCAN_ROOM	64	/* for the cuts of one block */

struct scan_simd {
	/*
	 * Cut words off [p + at, end), which is not empty, as long as it is certain
	 * where they end; max is SCAN_ROOM at least.  Return how many: none where the
	 * first has, or touches, what these masks do not tell (beyond ASCII white space
	 * and numbers, or all), or has about 60 bytes.
	 */
	int (*words)(enum scan kind, const uint8_t *class, const char *p, int32_t at,
	    const char *end, int32_t *cut, int max);
};

ISA_TABLE(scan_simd)

/* scan_words() by one of these. */
int scan_words_by(const struct scan_simd *simd, enum scan kind, const uint8_t *class,
    const char *p, const char *end, int32_t *cut, int max);

#endif
