/*
 * chart - a plot in characters
 *
 * With UTF-8 a cell is eight dots of Braille; without, a cell is a letter.  In
 * colour the curves have one each; without, the end of each line and the points
 * of validations are marked by the letter that the legend gives them.
 */
#ifndef EVAL_CHART_H
#define EVAL_CHART_H

#include "base/buf.h"
#include "eval/plot.h"

#define CHART_WIDTH 1000		/* columns at most */

struct chart_style {
	int	width;			/* of all, in columns; 40 at least */
	int	height;			/* rows of the one panel; several are half as high */
	bool	utf8, colour;
};

/* Append the chart as lines.  Return 0 or -1. */
int chart(const struct plot *p, const struct chart_style *style, struct buf *b, struct err *err);

#endif
