/*
 * Any bytes as a training log.  What is read is drawn both ways: every axis
 * must have ticks on it, the chart be UTF-8, and the script have no odd quote.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "eval/chart.h"
#include "eval/gnuplot.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
draw(const struct plot *p)
{
	struct buf b = { 0 };
	struct err err;
	int quotes = 0;
	double at;

	for (int i = 0; i < p->npanels; i++)
		if (p->panel[i].y.nticks < 1 ||
		    !plot_place(&p->panel[i].y, p->panel[i].y.tick[0].at, &at))
			abort();
	if (chart(p, &(struct chart_style){ .width = 60, .height = 8, .utf8 = true }, &b,
	    &err) < 0 || utf8_bad(buf_str(&b)) >= 0)
		abort();
	buf_reset(&b);
	if (gnuplot_script(p, IMAGE_SVG, &b, &err) < 0)
		abort();
	for (ptrdiff_t i = 0; i < b.n; i++)
		quotes += b.p[i] == '\'';
	if (quotes % 2 != 0)
		abort();
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	char path[64];
	struct err err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	for (int i = 0; i < 8; i++) {
		struct plot *plot = plot_new(&(struct plot_options){ .keep_going = i & 1,
		    .log_y = i & 2, .tokens = i & 4, .smooth = i * 3 }, &err);

		if (plot == NULL)
			abort();
		if (plot_read(plot, path, &err) == 0 && plot_finish(plot, &err) == 0)
			draw(plot);
		plot_free(plot);
	}
	close(fd);
	return 0;
}
