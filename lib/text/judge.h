/*
 * judge - what becomes of a text: rules, and a file of them, on values that were
 * stored or are computed
 *
 * Rules that are selected come first, then the lines of the file in order.  Where
 * only selected rules are asked for and no values are stored, the first that fails
 * ends the work; else all values of the families that are asked for are known.
 */
#ifndef TEXT_JUDGE_H
#define TEXT_JUDGE_H

#include "text/rules.h"

/* Set up quality and rules, then judge_plan(); for any thread from then on. */
struct judge {
	struct quality	quality;
	struct rules	rules;
	bool		signals;	/* all values are wanted, and every text is kept */
	/* judge_plan()'s */
	unsigned	families;	/* whose values are wanted, but for URLs */
	bool		by_values, url;	/* values are needed; those of URLs are */
};

/*
 * Look whether what is asked for can be had.  A rule that has no list is dropped, if
 * another of its family has one.  Return 0, or -1 when a list is missing, or
 * nothing is asked for.
 */
int judge_plan(struct judge *j, struct err *err);
void judge_free(struct judge *j);

/* Memory of one thread; all zero to begin with. */
struct judge_state {
	struct quality_state quality;
	struct buf	url, tags;
};
void judge_state_free(struct judge_state *s);

/* What is known of a record: raw JSON, p NULL where there is none. */
struct judge_record {
	str	text;		/* this is plain */
	str	signals, url;
};

struct judge_finding {
	struct quality_verdict verdict;	/* of the selected rules; the text as edited */
	const struct rules_line *line;	/* that dropped it or kept it, or NULL */
	bool	stored;			/* values were */
	str	tags;			/* "a","b"; good until the next call */
	double	value[QUALITY_RULES];	/* NAN where not known */
};

/* Return 1 to keep it, 0 to drop it, -1. */
int judge_text(const struct judge *j, struct judge_state *s, const struct judge_record *r,
    struct judge_finding *x, struct err *err);

/* Append {"rule","value","limit"}, "line" and "tags" where there are any. */
void judge_write(struct buf *b, const struct judge *j, const struct judge_finding *x);

#endif
