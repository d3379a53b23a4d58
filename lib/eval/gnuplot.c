#include "eval/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define THIN 1500	/* columns that a curve is thinned to: more are not to be seen */

/* A colour of each run, and a darker one of the same hue for its validations. */
static const struct {
	const char *line, *dark;
} colours[] = {
	{ "3f7fbf", "1b3f6b" }, { "d9772b", "8a3f0a" }, { "4f9a4f", "225522" },
	{ "b5485d", "6b1a2b" }, { "7d63b5", "42307a" }, { "8a7355", "4d3c24" },
	{ "2f9c9c", "0f5656" }, { "b58fb0", "6e4369" },
};

#define NCOLOURS ((int)(sizeof(colours) / sizeof(colours[0])))

/* In single quotes: a quote is doubled, and a line never ends. */
static void
quoted(struct buf *b, const char *s)
{
	buf_byte(b, '\'');
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			buf_byte(b, '\'');
		buf_byte(b, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
	}
	buf_byte(b, '\'');
}

static void
point(struct buf *b, struct plot_point p)
{
	buf_fmt(b, "%.9g %.9g\n", p.x, p.y);
}

/* The lowest and the highest of each column, in their order. */
static void
thinned(struct buf *b, const struct plot *p, const struct buf *points)
{
	const struct plot_point *v = plot_points(points);
	int64_t n = plot_count(points), i = 0;

	while (n > 2 * THIN && i < n) {
		int64_t lo = i, hi = i;
		double column = floor((v[i].x - p->x.lo) / (p->x.hi - p->x.lo) * THIN);

		for (; i < n &&
		    floor((v[i].x - p->x.lo) / (p->x.hi - p->x.lo) * THIN) == column; i++) {
			if (v[i].y < v[lo].y)
				lo = i;
			if (v[i].y > v[hi].y)
				hi = i;
		}
		point(b, v[lo < hi ? lo : hi]);
		if (lo != hi)
			point(b, v[lo < hi ? hi : lo]);
	}
	for (; i < n; i++)
		point(b, v[i]);
}

static void
block(struct buf *b, const struct plot *p, const char *kind, int i, const struct buf *points)
{
	if (points->n == 0)
		return;
	buf_fmt(b, "$%s%d << EOD\n", kind, i);
	thinned(b, p, points);
	buf_add(b, S("EOD\n"));
}

static void
tics(struct buf *b, const char *axis, const struct plot_axis *a)
{
	buf_fmt(b, "set %stics (", axis);
	for (int i = 0; i < a->nticks; i++) {
		buf_fmt(b, "%s", i > 0 ? ", " : "");
		quoted(b, a->tick[i].label);
		buf_fmt(b, " %.15g", a->tick[i].at);
	}
	buf_add(b, S(")\n"));
}

/* How curve i looks: the raw one faint when there is a smooth one. */
static void
curve(struct buf *b, const struct plot *p, int i)
{
	const struct plot_curve *c = &p->curve[i];
	const char *line = colours[c->log % NCOLOURS].line, *dark = colours[c->log % NCOLOURS].dark;

	if (c->points.n == 0)
		return;
	if (c->sparse) {
		buf_fmt(b, ", $c%d using 1:2 with linespoints lw 1.2 dt 3 pt 7 ps 0.7 "
		    "lc rgb '#%s' title ", i, dark);
	} else if (c->smooth.n > 0) {
		buf_fmt(b, ", $c%d using 1:2 with lines lw 1 lc rgb '#b0%s' notitle, "
		    "$s%d using 1:2 with lines lw 2.2 lc rgb '#%s' title ", i, line, i, line);
	} else {
		buf_fmt(b, ", $c%d using 1:2 with %s lw 1.6 lc rgb '#%s' title ", i,
		    plot_count(&c->points) == 1 ? "points pt 7" : "lines", line);
	}
	quoted(b, c->name);
}

static void
panel(struct buf *b, const struct plot *p, int n)
{
	const struct plot_axis *y = &p->panel[n].y;
	bool marked = false;

	tics(b, "y", y);
	buf_fmt(b, "%sset logscale y\nset ylabel ", y->log ? "" : "un");
	quoted(b, p->panel[n].label);
	buf_add(b, S("\nset xlabel "));
	quoted(b, n == p->npanels - 1 ? p->x_label : "");
	/* NaN holds the first place, so that a comma can go before every curve. */
	buf_fmt(b, "\nplot [%.15g:%.15g] [%.15g:%.15g] NaN notitle", p->x.lo, p->x.hi,
	    y->lo, y->hi);
	for (int i = 0; i < p->ncurves; i++)
		if (p->curve[i].panel == n)
			curve(b, p, i);
	for (int l = 0; n == 0 && l < p->nlogs; l++) {
		if (p->skipped[l].n == 0)
			continue;
		buf_fmt(b, ", $k%d using 1:2 with points pt 2 ps 1 lw 1.8 lc rgb '#c02020' %s", l,
		    marked ? "notitle" : "title 'skipped'");
		marked = true;
	}
	buf_byte(b, '\n');
}

int
gnuplot_script(const struct plot *p, enum image image, struct buf *b, struct err *err)
{
	int height = p->npanels == 1 ? 600 : 160 + 280 * p->npanels;

	buf_fmt(b, "set encoding utf8\nset terminal %s noenhanced size %d,%d background '#ffffff' "
	    "font '%s'\n", image == IMAGE_PNG ? "pngcairo" : "svg", 1000, height,
	    image == IMAGE_PNG ? "Sans,11" : "sans-serif,14");
	for (int i = 0; i < p->ncurves; i++) {
		block(b, p, "c", i, &p->curve[i].points);
		block(b, p, "s", i, &p->curve[i].smooth);
	}
	for (int l = 0; l < p->nlogs; l++)
		block(b, p, "k", l, &p->skipped[l]);
	buf_add(b, S("set border 3 lw 1 lc rgb '#808080'\n"
	    "set grid xtics ytics back lt 1 lw 0.6 lc rgb '#e4e4e4'\n"
	    "set tics nomirror out scale 0.5 textcolor rgb '#404040'\n"
	    "set key outside center top horizontal Left reverse samplen 2 width 1 "
	    "textcolor rgb '#202020'\n"
	    "set lmargin 11\nset rmargin 4\n"));
	if (p->npanels > 1)
		buf_fmt(b, "set multiplot layout %d,1\n", p->npanels);
	tics(b, "x", &p->x);
	for (int i = 0; i < p->npanels; i++)
		panel(b, p, i);
	if (p->npanels > 1)
		buf_add(b, S("unset multiplot\n"));
	return buf_ok(b, err);
}

/* ---- running it ---- */

/* A file without a name that holds bytes, read from its start. */
static int
file_of(str bytes, struct err *err)
{
	int fd = memfd_create("gnuplot", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "cannot make a file in memory");
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, (size_t)bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_sys(err, "cannot write a file in memory");
			close(fd);
			return -1;
		}
		bytes = (str){ bytes.p + n, bytes.n - n };
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		err_sys(err, "cannot read a file in memory");
		close(fd);
		return -1;
	}
	return fd;
}

static int
file_read(int fd, struct buf *b, struct err *err)
{
	char part[65536];

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot read what gnuplot wrote");
	for (;;) {
		ssize_t n = read(fd, part, sizeof(part));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot read what gnuplot wrote");
		if (n == 0)
			return buf_ok(b, err);
		buf_add(b, (str){ part, n });
	}
}

/* gnuplot with these descriptors as its standard ones; its status. */
static int
spawn(const int fd[3], int *status, struct err *err)
{
	char *argv[] = { (char *)"gnuplot", (char *)"-d", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int e = posix_spawn_file_actions_init(&actions);

	for (int i = 0; e == 0 && i < 3; i++)
		e = posix_spawn_file_actions_adddup2(&actions, fd[i], i);
	if (e == 0)
		e = posix_spawnp(&pid, "gnuplot", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (e == ENOENT)
		return err_set(err, ERR_IO, "no gnuplot to draw images with: install the package "
		    "gnuplot-nox (or gnuplot), or ask for -F text");
	if (e != 0) {
		errno = e;
		return err_sys(err, "cannot start gnuplot");
	}
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "cannot wait for gnuplot");
	return 0;
}

/* What it said, as one line: its complaint follows the line it stopped at. */
static int
complain(int fd, int status, struct err *err)
{
	struct buf b = { 0 };
	struct err ignored;
	str rest, line, said = S("it says nothing");

	if (file_read(fd, &b, &ignored) == 0)
		for (rest = buf_str(&b); rest.n > 0; ) {
			line = str_cut(&rest, '\n');
			while (line.n > 0 && (*line.p == ' ' || *line.p == '^')) {
				line.p++;
				line.n--;
			}
			if (line.n > 0)
				said = line;
		}
	err_set(err, ERR_IO, "gnuplot failed with status %d: %.*s",
	    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), (int)(said.n < 300 ?
	    said.n : 300), said.p);
	buf_free(&b);
	return -1;
}

int
gnuplot_run(str script, struct buf *image, struct err *err)
{
	int fd[3] = { -1, -1, -1 }, status = 0, ret = -1;
	ptrdiff_t before = image->n;

	if ((fd[0] = file_of(script, err)) >= 0 && (fd[1] = file_of(S(""), err)) >= 0 &&
	    (fd[2] = file_of(S(""), err)) >= 0 && spawn(fd, &status, err) == 0 &&
	    (ret = file_read(fd[1], image, err)) == 0 &&
	    (status != 0 || image->n == before))
		ret = complain(fd[2], status, err);
	for (int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return ret;
}
