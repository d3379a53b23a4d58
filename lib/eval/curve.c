#include "eval/curve.h"

#include <math.h>

int
curve_script(const struct curve *c, enum image image, struct buf *b, struct err *err)
{
	buf_fmt(b, "set terminal %s\n", image == IMAGE_PNG ? "pngcairo size 900,540" :
	    "svg size 900,540 dynamic");
	buf_fmt(b, "$c << end\n");
	for (int64_t i = 0; i < c->n; i++)
		if (isfinite(c->y[i]))
			buf_fmt(b, "%.9g %.9g\n", c->x[i], c->y[i]);
	buf_fmt(b, "end\nset xlabel '%s'\nset ylabel '%s'\nunset key\n", c->x_label, c->y_label);
	buf_fmt(b, "set border 3\nset grid\nset tics nomirror out\n%s",
	    c->log_x ? "set logscale x\nset format x '%.0e'\n" : "");
	if (c->mark > 0)
		buf_fmt(b, "set arrow from first %.9g, graph 0 to first %.9g, graph 1 nohead "
		    "dashtype 2 lc rgb '#aa3377'\n", c->mark, c->mark);
	buf_fmt(b, "plot $c using 1:2 with linespoints pt 7 ps 0.4 lw 2 lc rgb '#4477aa'\n");
	return buf_ok(b, err);
}
