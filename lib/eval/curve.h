/*
 * curve - one curve as an image: the gnuplot script for it
 */
#ifndef EVAL_CURVE_H
#define EVAL_CURVE_H

#include "eval/gnuplot.h"

struct curve {
	const char	*x_label, *y_label;	/* ours: they are not quoted */
	bool		 log_x;
	double		 mark;			/* a line at this x; 0: none */
	const double	*x, *y;
	int64_t		 n;
};

/* Append the script; values of y that are not finite are left out.  Return 0 or -1. */
int curve_script(const struct curve *c, enum image image, struct buf *script, struct err *err);

#endif
