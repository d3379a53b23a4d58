#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/stream.h"
#include "eval/chart.h"
#include "eval/gnuplot.h"
#include "eval/plot.h"
#include "../tap.h"

static char path[] = "/tmp/t_plot.XXXXXX";

static struct plot *
plot_of(const char *text, const struct plot_options *o, struct err *err)
{
	struct plot *p = plot_new(o, err);

	if (p == NULL || file_write(path, str_of(text), err) < 0 || plot_read(p, path, err) < 0 ||
	    plot_finish(p, err) < 0) {
		plot_free(p);
		return NULL;
	}
	return p;
}

static bool
fails(const char *text, const struct plot_options *o, const char *message)
{
	struct err err = { 0 };
	struct plot *p = plot_of(text, o, &err);

	plot_free(p);
	if (p == NULL && strstr(err.msg, message) != NULL)
		return true;
	printf("# %s\n", p != NULL ? "no error" : err.msg);
	return false;
}

/* Are the ticks rising, inside, labelled apart, and not too many? */
static bool
sound(double lo, double hi, bool log, int want, double least)
{
	struct plot_axis a = { .log = log };
	double at, before = -1;

	plot_axis(&a, lo, hi, want, least);
	if (a.nticks < 1 || a.nticks > PLOT_TICKS || a.lo > lo || a.hi < hi || a.lo >= a.hi)
		return false;
	for (int i = 0; i < a.nticks; i++) {
		if (!plot_place(&a, a.tick[i].at, &at) || at <= before)
			return false;
		if (i > 0 && strcmp(a.tick[i].label, a.tick[i - 1].label) == 0)
			return false;
		before = at;
	}
	return true;
}

static void
test_axes(void)
{
	static const double sizes[] = { 1e-9, 1e-4, 0.3, 1, 7.7, 999, 12345, 3e6, 4.9e9, 1e99 };
	struct plot_axis a = { 0 };
	bool all = true;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (int want = 2; want < 12; want++)
			for (int log = 0; log < 2; log++) {
				all &= sound(sizes[i] / 3, sizes[i], log, want, 0);
				all &= sound(sizes[i] / 1e5, sizes[i], log, want, 0);
				all &= log || sound(-sizes[i], sizes[i], false, want, 0);
			}
	ok(all, "ticks rise, lie on the axis and have labels of their own");
	ok(sound(5, 5, false, 8, 1) && sound(0, 0, false, 8, 0) && sound(2, 2, true, 6, 0),
	    "one value has an axis too");
	plot_axis(&a, 0, 4915200, 8, 1);
	ok(a.nticks > 4 && strcmp(a.tick[0].label, "0") == 0 &&
	    strcmp(a.tick[1].label, "1M") == 0, "millions are called M, and 0 is 0");
	plot_axis(&a, 1, 3, 8, 1);
	ok(a.nticks == 3 && strcmp(a.tick[1].label, "2") == 0, "no ticks between steps");
}

static void
test_curves(void)
{
	static const char log[] =
	    "{\"step\":1,\"loss\":4,\"tokens\":10}\n"
	    "{\"step\":2,\"loss\":99,\"tokens\":10,\"skipped\":\"loss spike\"}\n"
	    "{\"step\":2,\"valid_loss\":5}\n"
	    "{\"step\":2,\"sample\":\"text\"}\n"
	    "{\"event\":\"no step\"}\n"
	    "{\"step\":3,\"loss\":null,\"tokens\":10}\n"
	    "{\"step\":4,\"loss\":2,\"tokens\":10}\n"
	    "{\"step\":5,\"loss\":7,\"tokens\":10}\n"
	    "{\"step\":5,\"valid_loss\":8}\n"
	    "{\"step\":4,\"loss\":3,\"tokens\":10}\n"
	    "{\"step\":5,\"lo";
	struct err err = { 0 };
	struct plot *p = plot_of(log, &(struct plot_options){ 0 }, &err);
	const struct plot_point *v;

	ok(p != NULL, "a log with everything is read");
	if (p == NULL) {
		printf("# %s\n", err.msg);
		return;
	}
	v = plot_points(&p->curve[0].points);
	ok(p->ncurves == 2 && p->npanels == 1 && !p->curve[0].sparse && p->curve[1].sparse,
	    "loss and valid_loss share a panel");
	ok(plot_count(&p->curve[0].points) == 2 && v[0].x == 1 && v[0].y == 4 && v[1].x == 4 &&
	    v[1].y == 3, "a step taken again replaces; null and skipped are left out");
	ok(plot_count(&p->curve[1].points) == 1 &&
	    plot_points(&p->curve[1].points)[0].x == 2, "validations beyond it go, too");
	ok(plot_count(&p->skipped[0]) == 1 && plot_points(&p->skipped[0])[0].x == 2 &&
	    plot_points(&p->skipped[0])[0].y == 4, "a skip is marked where the curve was");
	plot_free(p);

	p = plot_of("{\"step\":1,\"loss\":4,\"tokens\":10}\n{\"step\":2,\"loss\":3,\"tokens\":20}\n",
	    &(struct plot_options){ .tokens = true }, &err);
	ok(p != NULL && plot_points(&p->curve[0].points)[1].x == 30, "tokens add up");
	plot_free(p);
}

static void
test_smooth(void)
{
	struct buf log = { 0 };
	struct err err = { 0 };
	const struct plot_point *v;
	struct plot *p;
	bool near = true;

	for (int i = 1; i <= 100; i++)
		buf_fmt(&log, "{\"step\":%d,\"loss\":%d}\n", i, 200 - i + (i % 2 ? 5 : -5));
	buf_byte(&log, '\0');
	p = plot_of(log.p, &(struct plot_options){ .smooth = 10 }, &err);
	ok(p != NULL && plot_count(&p->curve[0].smooth) == 100, "every step has a mean");
	for (int i = 0; p != NULL && i < 95; i++) {
		v = &plot_points(&p->curve[0].smooth)[i];
		/* 11 values of alternating 5: one is left over. */
		near &= i < 5 || fabs(v->y - (200 - v->x)) < 5.0 / 11 + 1e-9;
	}
	ok(near, "the mean of a falling line lies on it, without delay");
	plot_free(p);
	buf_free(&log);
}

static void
test_bad(void)
{
	const struct plot_options plain = { 0 }, norm = { .key = { S("norm") }, .nkeys = 1 },
	    log_y = { .log_y = true };

	ok(fails("", &plain, ": no step has a value of 'loss'"), "an empty log");
	ok(fails("{\"step\":1,\"loss\":1}\nx\n", &plain, ":2: "), "a bad line is named");
	ok(fails("{\"step\":1,\"loss\":\"1\"}\n", &plain, ":1: 'loss' is no number"), "a string");
	ok(fails("{\"step\":1,\"loss\":1e200}\n", &plain, "is no number"), "a huge number");
	ok(fails("{\"step\":[],\"loss\":1}\n", &plain, ":1: 'step' is no number"), "a bad step");
	ok(fails("{\"step\":1,\"loss\":1}\n", &norm, "no step has a value of 'norm'"), "no such key");
	ok(fails("{\"step\":1,\"loss\":-1}\n", &log_y, "has a logarithm"), "no logarithm");
}

static bool
has(const struct buf *b, const char *s)
{
	return memmem(b->p, (size_t)b->n, s, strlen(s)) != NULL;
}

static void
test_chart(void)
{
	struct buf b = { 0 };
	struct err err = { 0 };
	struct plot *p = plot_of("{\"step\":0,\"loss\":1}\n{\"step\":100,\"loss\":0}\n"
	    "{\"step\":100,\"valid_loss\":0.5}\n", &(struct plot_options){ 0 }, &err);
	int lines = 0, longest = 0, width = 0;

	ok(p != NULL && chart(p, &(struct chart_style){ .width = 60, .height = 10 }, &b, &err) == 0,
	    "a chart in ASCII");
	for (ptrdiff_t i = 0; i < b.n; i++) {
		width = b.p[i] == '\n' ? 0 : width + 1;
		longest = width > longest ? width : longest;
		lines += b.p[i] == '\n';
		if ((unsigned char)b.p[i] >= 0x80 || b.p[i] == '\033')
			lines = -1000;
	}
	ok(lines == 13 && longest <= 60, "has its height and width, and ASCII alone");
	ok(has(&b, "b valid_loss") && has(&b, "  step\n"), "a legend and an axis");
	buf_reset(&b);
	ok(p != NULL && chart(p, &(struct chart_style){ .width = 1, .height = 1, .utf8 = true,
	    .colour = true }, &b, &err) == 0 && utf8_bad(buf_str(&b)) < 0, "a tiny one in Braille and colour");
	ok(has(&b, "\033[34m") && has(&b, "\033[0m") && has(&b, "\u2514"), "has them");
	buf_free(&b);
	plot_free(p);
}

static void
test_script(void)
{
	struct buf b = { 0 };
	struct err err = { 0 };
	struct plot *p = plot_new(&(struct plot_options){ .key = { S("a") }, .nkeys = 1 }, &err);
	int quotes = 0;

	ok(file_write(path, S("{\"step\":1,\"a\":2}\n{\"step\":2,\"a\":3}\n"), &err) == 0 &&
	    plot_read(p, path, &err) == 0 && plot_finish(p, &err) == 0, "a plot");
	snprintf(p->curve[0].name, sizeof(p->curve[0].name), "%s", "it's `id` \n @x \\");
	ok(gnuplot_script(p, IMAGE_SVG, &b, &err) == 0 && has(&b, "'it''s `id` ? @x \\'"),
	    "a name is quoted");
	for (ptrdiff_t i = 0; i < b.n; i++)
		quotes += b.p[i] == '\'';
	ok(quotes % 2 == 0, "all quotes are closed");
	plot_free(p);
	buf_free(&b);
}

int
main(void)
{
	int fd = mkstemp(path);

	ok(fd >= 0, "a file to write to");
	test_axes();
	test_curves();
	test_smooth();
	test_bad();
	test_chart();
	test_script();
	close(fd);
	unlink(path);
	return tap_done();
}
