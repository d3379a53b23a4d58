/*
 * plot - the curves in training logs
 *
 * A log is lines of JSON as llm-train(1) writes them.  Each key that is asked
 * for is a curve of each log, over steps or tokens; keys of one unit share a
 * panel.  The plot owns all of it until plot_free().  chart.h and gnuplot.h
 * draw it.  Memory: 16 bytes a value, 32 when smoothed.
 */
#ifndef EVAL_PLOT_H
#define EVAL_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define PLOT_KEYS	8		/* and panels */
#define PLOT_LOGS	64
#define PLOT_NAME	128		/* bytes of a name */
#define PLOT_TICKS	16
#define PLOT_LOG_MAX	((ptrdiff_t)1 << 30)	/* bytes of one log */

struct plot_options {
	str	key[PLOT_KEYS];
	int	nkeys;			/* 0: loss, and valid_loss where there is one */
	bool	tokens;			/* over tokens seen, not over steps */
	bool	log_y;
	int64_t	smooth;			/* mean of so many steps; 0, 1: none */
	bool	keep_going;		/* pass over bad lines */
	void	(*complain)(void *ctx, const char *message);	/* of each one, or NULL */
	void	*ctx;
};

struct plot_point {
	double	x, y;
};

struct plot_curve {
	char	name[2 * PLOT_NAME];	/* for the legend */
	int	log, key, panel;
	bool	sparse;			/* from validations: points are to be seen */
	struct buf points;		/* struct plot_point, x rising */
	struct buf smooth;		/* the same, smoothed; empty without */
};

struct plot_axis {
	double	lo, hi;
	bool	log;
	int	nticks;
	struct plot_tick {
		double	at;
		char	label[24];
	}	tick[PLOT_TICKS];
};

struct plot_panel {
	char	label[PLOT_NAME];
	struct plot_axis y;
};

struct plot {
	struct plot_options o;
	int	nlogs, ncurves, npanels;
	char	log[PLOT_LOGS][PLOT_NAME];	/* a run's name each */
	const char *path[PLOT_LOGS];	/* borrowed */
	struct plot_curve *curve;	/* of log l and key k: [l * nkeys + k] */
	struct buf *skipped;		/* of each log: where steps were skipped */
	struct plot_panel panel[PLOT_KEYS];
	struct plot_axis x;
	char	x_label[PLOT_NAME];
	int64_t	bad;			/* lines that were passed over */
};

/* The keys' bytes are borrowed. */
struct plot *plot_new(const struct plot_options *o, struct err *err);

/*
 * Read one log ("-": standard input), plain or compressed.  A last line
 * without its newline may be a step that is being written, and is passed over
 * when it is no JSON.  A step that is logged again replaces what came after
 * it.  Messages name file and line.
 */
int plot_read(struct plot *p, const char *path, struct err *err);

/* After the last log: names, smoothing, axes.  A key without a value is an error. */
int plot_finish(struct plot *p, struct err *err);
void plot_free(struct plot *p);

static inline int64_t
plot_count(const struct buf *points)
{
	return points->n / (ptrdiff_t)sizeof(struct plot_point);
}

static inline const struct plot_point *
plot_points(const struct buf *points)
{
	return (const struct plot_point *)(const void *)points->p;
}

/* Put where a value is on the axis, 0 to 1, into *at; false when it is not on it. */
bool plot_place(const struct plot_axis *a, double value, double *at);

/*
 * Limits and at most want round ticks (PLOT_TICKS at most) for values from lo
 * to hi.  least is the smallest step between ticks, or 0.
 */
void plot_axis(struct plot_axis *a, double lo, double hi, int want, double least);

#endif
