/*
 * gnuplot - a plot as an image, drawn by gnuplot(1)
 *
 * gnuplot is started as it is, without a shell and without its start-up files,
 * and reads one script with the data in it.  What comes from outside (names of
 * runs and keys) stands in single quotes, where gnuplot expands nothing.
 */
#ifndef EVAL_GNUPLOT_H
#define EVAL_GNUPLOT_H

#include "base/buf.h"
#include "eval/plot.h"

enum image { IMAGE_PNG, IMAGE_SVG };

/* Append the script.  Return 0 or -1. */
int gnuplot_script(const struct plot *p, enum image image, struct buf *script, struct err *err);

/*
 * Run a script and append what it draws to image.  A missing gnuplot, or one
 * that complains, is an error with its first line.
 */
int gnuplot_run(str script, struct buf *image, struct err *err);

#endif
