/*
 * quality_impl - what the families of quality rules share
 */
#ifndef TEXT_QUALITY_IMPL_H
#define TEXT_QUALITY_IMPL_H

#include <math.h>

#include "base/hash.h"
#include "base/isa.h"
#include "text/quality.h"
#include "text/unicode.h"

/* One text on its way through the families. */
struct quality_run {
	const struct quality	*q;
	struct quality_state	*s;
	struct quality_verdict	*v;
	double			*value;		/* measure all, fail none; or NULL */
	str			 text;
	bool			 have_words;	/* s->words are those of text */
	bool			 trial;		/* all that edits is on, and the text stays */
	ptrdiff_t		 chars;		/* of text; -1: not counted */
	int			 seen;		/* QUALITY_* of text; -1: not looked */
	int64_t			 removed[QUALITY_RULES];
};

/* What one look at the whole text finds, so that lines need fewer. */
#define QUALITY_LINE_ENDS	1	/* others than \n */
#define QUALITY_PHRASES		2	/* parts of what the c4 rules look for */
#define QUALITY_SIGNS		4	/* #, three full stops, perhaps an ellipsis */

struct quality_simd {
	int (*look)(const char *p, ptrdiff_t n);
};

ISA_TABLE(quality_simd)

/* Set run->seen unless it is. */
void quality_look(struct quality_run *run);

/* What of the phrases a line has. */
#define HAS_JAVASCRIPT	1u
#define HAS_POLICY	2u
#define HAS_LOREM	4u
#define HAS_CURLY	8u
#define HAS_SQUARE	16u
unsigned quality_phrases(str line);

/* Each judges run->text: 1 when a rule failed, 0, or -1 when memory fails. */
int quality_gopher(struct quality_run *run, struct err *err);
int quality_repeat(struct quality_run *run, struct err *err);
int quality_c4(struct quality_run *run, struct err *err);
int quality_mc4(struct quality_run *run, struct err *err);
int quality_fineweb(struct quality_run *run, struct err *err);
int quality_line_rules(struct quality_run *run, struct err *err);
int quality_nemo(struct quality_run *run, struct err *err);
int quality_code(struct quality_run *run, struct err *err);
int quality_tokens(struct quality_run *run, struct err *err);
int quality_bad_words(struct quality_run *run, struct err *err);
int quality_url(struct quality_run *run, struct err *err);

/* Is the rule's value wanted? */
static inline bool
wanted(const struct quality_run *run, int rule)
{
	return run->value != NULL || run->q->on[rule];
}

/* Does the rule remove lines, or parts of them? */
static inline bool
edits(const struct quality_run *run, int rule)
{
	return run->trial || run->q->on[rule];
}

/* Note the value of a rule.  True when it is selected and passes its limit. */
static inline bool
fails(struct quality_run *run, int rule, double value)
{
	double limit = run->q->limit[rule];

	if (run->value != NULL) {
		run->value[rule] = value;
		return false;
	}
	if (!run->q->on[rule])
		return false;
	if (!quality_breaks(rule, value, limit))
		return false;
	run->v->rule = rule;
	run->v->value = value;
	return true;
}

static inline double
share(int64_t part, int64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

/* s->words of run->text.  Return 0 or -1. */
int quality_words(struct quality_run *run, struct err *err);
ptrdiff_t quality_chars(struct quality_run *run);

/* Where an edited text goes: it is not where run->text is.  And how it gets there. */
struct buf *quality_edit_start(struct quality_run *run);
void quality_edit_end(struct quality_run *run, const struct buf *b);

/* How many tokens run->text has, or -1. */
int64_t quality_count_tokens(struct quality_run *run, struct err *err);

/*
 * The words of a line by white space alone, up to enough, and the longest one's
 * characters; 0 when the line has fewer bytes than long_word and enough words.
 */
int64_t quality_white_words(str line, double enough, double long_word, int64_t *longest);

/* Cut the next line off *at by Python's splitlines(); false at the end. */
struct quality_lines {
	const char	*at, *end;
	bool		 plain;		/* \n alone ends lines here */
};
struct quality_lines quality_lines(struct quality_run *run);
bool quality_line(struct quality_lines *l, str *line);

/* Fill q->stop.  Return 0, or -1 when two stop words want one slot. */
int quality_stop_words(struct quality *q, struct err *err);

/* Lines or paragraphs that were seen before in the text, and their characters. */
struct quality_item {
	uint64_t	hash;
	int64_t		chars;
};
struct quality_repeats {
	int64_t	items, repeated, chars;
};
int quality_item_add(struct quality_state *s, str item, int64_t chars, struct err *err);

/* Count over what was added since the last call, and forget it. */
int quality_items_end(struct quality_state *s, struct quality_repeats *r, struct err *err);

/*
 * A table of at least 2n slots, all 0, for open addressing: *mask is its size
 * less one.  NULL when memory fails.
 */
uint32_t *quality_table(struct quality_state *s, ptrdiff_t n, uint64_t *mask, struct err *err);

static inline uint64_t
quality_slot(uint64_t hash, uint64_t mask)
{
	return (hash * 0x9e3779b97f4a7c15u >> 32) & mask;
}

#endif
