#include "eval/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SUB_X 2		/* dots of a cell of Braille */
#define SUB_Y 4

/* What a cell shows: dots, or a letter above them, in the colour of the last. */
struct cell {
	unsigned char	dots, mark, colour;
};

struct canvas {
	const struct plot *p;
	const struct chart_style *style;
	struct cell	*cell;
	int		 cols, rows, sub_x, sub_y;
	const struct plot_axis *y;
};

static const int ansi[] = { 34, 33, 32, 31, 35, 36, 94, 93 };

#define NCOLOURS ((int)(sizeof(ansi) / sizeof(ansi[0])))
#define SKIP_COLOUR 91

/* Curves in the order of the legend: a, b, ... */
static char
letter(int curve)
{
	return curve < 26 ? (char)('a' + curve) : curve < 52 ? (char)('A' + curve - 26) : '*';
}

/* Does one need the letters to tell the lines of a panel apart? */
static bool
lettered(const struct canvas *v, int panel)
{
	int lines = 0;

	for (int i = 0; i < v->p->ncurves; i++)
		lines += v->p->curve[i].panel == panel && !v->p->curve[i].sparse &&
		    v->p->curve[i].points.n > 0;
	return lines > 1 && !v->style->colour;
}

static int
colour_of(const struct plot *p, int curve)
{
	const struct plot_curve *c = &p->curve[curve];

	/* One run: each key its own; several: each run. */
	return ansi[(p->nlogs > 1 ? c->log : c->key) % NCOLOURS];
}

static bool
place(const struct canvas *v, struct plot_point p, int *x, int *y)
{
	double fx, fy;

	if (!plot_place(&v->p->x, p.x, &fx) || !plot_place(v->y, p.y, &fy))
		return false;
	*x = (int)lround(fx * (v->cols * v->sub_x - 1));
	*y = (int)lround((1 - fy) * (v->rows * v->sub_y - 1));
	return true;
}

static void
dot(struct canvas *v, int x, int y, int colour)
{
	/* Unicode numbers the dots 1 2 3 7 down the left and 4 5 6 8 down the right. */
	static const unsigned char bit[SUB_Y][SUB_X] = {
		{ 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 }
	};
	struct cell *c = &v->cell[y / v->sub_y * v->cols + x / v->sub_x];

	c->dots |= bit[y % v->sub_y][x % v->sub_x];
	c->colour = (unsigned char)colour;
}

static void
mark(struct canvas *v, int x, int y, char what, int colour)
{
	struct cell *c = &v->cell[y / v->sub_y * v->cols + x / v->sub_x];

	c->mark = (unsigned char)what;
	c->colour = (unsigned char)colour;
}

/* From one dot to the next, each column or row once, whichever are more. */
static void
line(struct canvas *v, int x0, int y0, int x1, int y1, int colour)
{
	int n = abs(x1 - x0) > abs(y1 - y0) ? abs(x1 - x0) : abs(y1 - y0);

	for (int i = 0; i <= n; i++)
		dot(v, n > 0 ? x0 + (int)lround((double)i * (x1 - x0) / n) : x0,
		    n > 0 ? y0 + (int)lround((double)i * (y1 - y0) / n) : y0, colour);
}

static void
draw(struct canvas *v, int curve)
{
	const struct plot_curve *c = &v->p->curve[curve];
	const struct buf *points = c->smooth.n > 0 ? &c->smooth : &c->points;
	int colour = colour_of(v->p, curve), x, y, x0 = -1, y0 = 0;

	for (int64_t i = 0; i < plot_count(points); i++) {
		if (!place(v, plot_points(points)[i], &x, &y))
			continue;
		if (c->sparse)
			mark(v, x, y, letter(curve), colour);
		else
			line(v, x0 < 0 ? x : x0, x0 < 0 ? y : y0, x, y, colour);
		x0 = x;
		y0 = y;
	}
	if (x0 >= 0 && !c->sparse && lettered(v, c->panel))
		mark(v, x0, y0, letter(curve), colour);
}

static void
draw_skipped(struct canvas *v, int panel)
{
	int x, y;

	for (int l = 0; panel == 0 && l < v->p->nlogs; l++)
		for (int64_t i = 0; i < plot_count(&v->p->skipped[l]); i++)
			if (place(v, plot_points(&v->p->skipped[l])[i], &x, &y))
				mark(v, x, y, 'x', SKIP_COLOUR);
}

/* ---- writing ---- */

static void
braille(struct buf *b, unsigned char dots)
{
	/* U+2800 and the dots' bits. */
	buf_byte(b, (char)0xe2);
	buf_byte(b, (char)(0xa0 | dots >> 6));
	buf_byte(b, (char)(0x80 | (dots & 0x3f)));
}

static void
put_row(const struct canvas *v, struct buf *b, int row)
{
	int now = 0, last = v->cols;

	while (last > 0 && v->cell[row * v->cols + last - 1].dots == 0 &&
	    v->cell[row * v->cols + last - 1].mark == 0)
		last--;
	for (int i = 0; i < last; i++) {
		struct cell c = v->cell[row * v->cols + i];
		int want = c.dots != 0 || c.mark != 0 ? c.colour : now;

		if (v->style->colour && want != now)
			buf_fmt(b, "\033[%dm", now = want);
		if (c.mark != 0)
			buf_byte(b, (char)c.mark);
		else if (c.dots == 0)
			buf_byte(b, ' ');
		else if (v->style->utf8)
			braille(b, c.dots);
		else
			buf_byte(b, '.');
	}
	if (now != 0)
		buf_add(b, S("\033[0m"));
	buf_byte(b, '\n');
}

static const char *
tick_at(const struct canvas *v, int row)
{
	double at;

	for (int i = 0; i < v->y->nticks; i++)
		if (plot_place(v->y, v->y->tick[i].at, &at) &&
		    lround((1 - at) * (v->rows - 1)) == row)
			return v->y->tick[i].label;
	return NULL;
}

static void
put_x_axis(const struct canvas *v, struct buf *b, int margin)
{
	const struct plot_axis *x = &v->p->x;
	char labels[CHART_WIDTH + 64];
	bool tick[CHART_WIDTH] = { false };
	int end = 0;
	double at;

	memset(labels, ' ', sizeof(labels));
	for (int i = 0; i < x->nticks; i++) {
		int n = (int)strlen(x->tick[i].label), col, from;

		if (!plot_place(x, x->tick[i].at, &at))
			continue;
		col = (int)lround(at * (v->cols - 1));
		from = margin + 1 + col - n / 2;
		if (from + n > margin + 1 + v->cols)
			from = margin + 1 + v->cols - n;
		if (from < 0)
			from = 0;
		if (end > 0 && from <= end)
			continue;
		tick[col] = true;
		memcpy(labels + from, x->tick[i].label, (size_t)n);
		end = from + n;
	}
	buf_fmt(b, "%*s%s", margin, "", v->style->utf8 ? "\u2514" : "+");
	for (int i = 0; i < v->cols; i++)
		buf_fmt(b, "%s", v->style->utf8 ? tick[i] ? "\u252c" : "\u2500" :
		    tick[i] ? "+" : "-");
	buf_fmt(b, "\n%.*s  %s\n", end, labels, v->p->x_label);
}

/* Control characters of a name are not the terminal's to obey. */
static void
put_name(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		bool c1 = (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] >= 0x80 &&
		    (unsigned char)s[1] < 0xa0;

		buf_byte(b, (unsigned char)*s < ' ' || *s == 0x7f || c1 ? '?' : *s);
		s += c1;
	}
}

/* Where a legend is: it goes on in the next line when one is full. */
struct legend {
	struct buf	*b;
	int		 margin, column, width;
};

/* Room for two spaces, a sign, a space and a name; characters as columns. */
static void
legend_room(struct legend *l, const char *name)
{
	int n = 4;

	for (; *name != '\0'; name++)
		n += ((unsigned char)*name & 0xc0) != 0x80;
	if (l->column > l->margin && l->column + n > l->width) {
		buf_fmt(l->b, "\n%*s", l->margin, "");
		l->column = l->margin;
	}
	buf_add(l->b, S("  "));
	l->column += n;
}

static void
put_legend(const struct canvas *v, struct buf *b, int panel, int margin)
{
	struct legend l = { b, margin - 1, margin + 2, v->style->width };
	int64_t skipped = 0;

	buf_fmt(b, "%*s", margin + 1, "");
	put_name(b, v->p->panel[panel].label);
	buf_byte(b, ':');
	l.column += (int)strlen(v->p->panel[panel].label);
	for (int i = 0; i < v->p->ncurves; i++) {
		const struct plot_curve *c = &v->p->curve[i];

		if (c->panel != panel || c->points.n == 0)
			continue;
		legend_room(&l, c->name);
		if (v->style->colour)
			buf_fmt(b, "\033[%dm", colour_of(v->p, i));
		if (c->sparse || lettered(v, panel))
			buf_fmt(b, "%c ", letter(i));
		else
			buf_fmt(b, "%s ", v->style->utf8 ? "\u2812" : ".");
		put_name(b, c->name);
		if (v->style->colour)
			buf_add(b, S("\033[0m"));
	}
	for (int i = 0; panel == 0 && i < v->p->nlogs; i++)
		skipped += plot_count(&v->p->skipped[i]);
	if (skipped > 0) {
		legend_room(&l, "skipped");
		buf_add(b, S("x skipped"));
	}
	buf_byte(b, '\n');
}

static void
put_panel(struct canvas *v, struct buf *b, int panel, int margin)
{
	v->y = &v->p->panel[panel].y;
	memset(v->cell, 0, (size_t)(v->cols * v->rows) * sizeof(v->cell[0]));
	/* Points of validations go above the lines. */
	for (int sparse = 0; sparse < 2; sparse++)
		for (int i = 0; i < v->p->ncurves; i++)
			if (v->p->curve[i].panel == panel && v->p->curve[i].sparse == sparse)
				draw(v, i);
	draw_skipped(v, panel);
	put_legend(v, b, panel, margin);
	for (int row = 0; row < v->rows; row++) {
		const char *label = tick_at(v, row);

		buf_fmt(b, "%*s%s", margin, label != NULL ? label : "", v->style->utf8 ?
		    label != NULL ? "\u2524" : "\u2502" : label != NULL ? "+" : "|");
		put_row(v, b, row);
	}
	put_x_axis(v, b, margin);
}

int
chart(const struct plot *p, const struct chart_style *style, struct buf *b, struct err *err)
{
	int width = style->width < 40 ? 40 : style->width, margin = 1, n;
	struct canvas v = { .p = p, .style = style, .sub_x = style->utf8 ? SUB_X : 1,
	    .sub_y = style->utf8 ? SUB_Y : 1,
	    .rows = p->npanels > 1 ? style->height / 2 : style->height };

	for (int i = 0; i < p->npanels; i++)
		for (int t = 0; t < p->panel[i].y.nticks; t++)
			if ((n = (int)strlen(p->panel[i].y.tick[t].label)) > margin)
				margin = n;
	if (width > CHART_WIDTH)
		width = CHART_WIDTH;
	/* The name of the horizontal axis follows its labels. */
	v.cols = width - margin - 1 - 2 - (int)strlen(p->x_label);
	if (v.rows < 4)
		v.rows = 4;
	v.cell = calloc((size_t)(v.cols * v.rows), sizeof(v.cell[0]));
	if (v.cell == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < p->npanels; i++)
		put_panel(&v, b, i, margin);
	free(v.cell);
	return buf_ok(b, err);
}
