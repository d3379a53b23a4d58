/*
 * llm-plot - draw the curves of training logs
 *
 * Reads logs of llm-train and writes one picture: an image that gnuplot draws,
 * or a chart of characters for a terminal.  Memory: 16 bytes a value drawn, and
 * the longest log.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/stream.h"
#include "eval/chart.h"
#include "eval/gnuplot.h"
#include "tool/tool.h"

enum format { FORMAT_NONE, FORMAT_TEXT, FORMAT_PNG, FORMAT_SVG };

struct plotter {
	struct plot_options o;
	const char	*output;
	enum format	 format;
};

#define AT(field) offsetof(struct plotter, field)

static int
set_format(void *into, const char *arg, struct err *err)
{
	static const char *const name[] = { NULL, "text", "png", "svg" };
	enum format *format = into;

	for (int i = FORMAT_TEXT; i <= FORMAT_SVG; i++)
		if (strcmp(arg, name[i]) == 0) {
			*format = (enum format)i;
			return 0;
		}
	return err_set(err, ERR_ARG, "'%s' is not text, png or svg", arg);
}

static int
set_keys(void *into, const char *arg, struct err *err)
{
	struct plot_options *o = into;
	str rest = str_of(arg);

	o->nkeys = 0;
	while (rest.p != NULL) {
		str key = str_cut(&rest, ',');

		if (key.n == 0 || key.n >= PLOT_NAME)
			return err_set(err, ERR_ARG, "'%s' is no list of keys", arg);
		for (int i = 0; i < o->nkeys; i++)
			if (str_eq(o->key[i], key))
				return err_set(err, ERR_ARG, "'%.*s' is there twice", STR_ARG(key));
		if (o->nkeys == PLOT_KEYS)
			return err_set(err, ERR_LIMIT, "more than %d keys", PLOT_KEYS);
		o->key[o->nkeys++] = key;
	}
	return 0;
}

static int
set_x(void *into, const char *arg, struct err *err)
{
	bool *tokens = into;

	*tokens = strcmp(arg, "tokens") == 0;
	if (!*tokens && strcmp(arg, "step") != 0)
		return err_set(err, ERR_ARG, "'%s' is not step or tokens", arg);
	return 0;
}

static const struct opt opts[] = {
	{ 'o', "output", OPT_STR, AT(output), "FILE", "write to a file: .png, .svg or .txt" },
	{ 'F', "format", OPT_CALL, AT(format), "NAME",
	    "png, svg or text (by the file's name, or text)", .call = set_format },
	{ 0, "keys", OPT_CALL, AT(o), "K,...", "what to draw (loss,valid_loss)",
	    .call = set_keys },
	{ 'x', "x-axis", OPT_CALL, AT(o.tokens), "NAME", "draw over step or tokens (step)",
	    .call = set_x },
	{ 0, "log-y", OPT_FLAG, AT(o.log_y), .help = "logarithmic vertical axis" },
	{ 0, "smooth", OPT_I64, AT(o.smooth), "N", "mean of N steps, the raw curve faint behind",
	    .min = 1, .max = 1e9 },
	{ 'k', "keep-going", OPT_FLAG, AT(o.keep_going), .help = "pass over bad lines" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-plot", .synopsis = "[log ...]",
	.summary = "draw the curves of training logs", .opts = opts,
};

static enum format
format_of(const char *output)
{
	str name;

	if (output == NULL || strcmp(output, "-") == 0)
		return FORMAT_TEXT;
	name = str_of(output);
	if (str_ends(name, S(".png")))
		return FORMAT_PNG;
	if (str_ends(name, S(".svg")))
		return FORMAT_SVG;
	if (!str_ends(name, S(".txt")))
		tool_usage("-o, --output: '%s' ends with neither .png, .svg nor .txt, and -F says "
		    "no format", output);
	return FORMAT_TEXT;
}

/* What the terminal can show, when it is one; else what any file may hold. */
static struct chart_style
style_of(const char *output)
{
	struct chart_style s = { .width = 80, .height = 20 };
	const char *no_color = getenv("NO_COLOR");
	struct winsize w;

	setlocale(LC_CTYPE, "");
	s.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (output != NULL || !isatty(STDOUT_FILENO))
		return s;
	s.colour = no_color == NULL || *no_color == '\0';
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		s.width = w.ws_col;
	return s;
}

static void
complain(void *ctx, const char *message)
{
	(void)ctx;
	tool_warn("%s", message);
}

static int
draw(const struct plot *p, enum format format, const char *output, struct buf *picture,
    struct err *err)
{
	struct chart_style style;
	struct buf script = { 0 };
	int ret;

	if (format == FORMAT_TEXT) {
		style = style_of(output);
		return chart(p, &style, picture, err);
	}
	ret = gnuplot_script(p, format == FORMAT_PNG ? IMAGE_PNG : IMAGE_SVG, &script, err);
	if (ret == 0)
		ret = gnuplot_run(buf_str(&script), picture, err);
	buf_free(&script);
	return ret;
}

int
main(int argc, char **argv)
{
	struct plotter t = { .o = { .complain = complain } };
	char **logs = tool_start(&tool, argc, argv, &t);
	struct buf picture = { 0 };
	struct plot *p;
	struct out *out;
	struct err err;
	int64_t bad;

	if (t.output != NULL && strcmp(t.output, "-") == 0)
		t.output = NULL;
	if (t.format == FORMAT_NONE)
		t.format = format_of(t.output);
	if (t.format != FORMAT_TEXT && t.output == NULL && isatty(STDOUT_FILENO))
		tool_usage("the standard output is a terminal: -o FILE takes an image");
	if ((p = plot_new(&t.o, &err)) == NULL)
		tool_fail(NULL, &err);
	if (*logs == NULL && plot_read(p, "-", &err) < 0)
		tool_fail(NULL, &err);
	for (; *logs != NULL; logs++)
		if (plot_read(p, *logs, &err) < 0)
			tool_fail(NULL, &err);
	if (plot_finish(p, &err) < 0 || draw(p, t.format, t.output, &picture, &err) < 0 ||
	    (out = out_open(t.output, (struct codec_spec){ 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	if (out_write(out, picture.p, picture.n, &err) < 0) {
		out_abort(out);
		tool_fail(NULL, &err);
	}
	if (out_commit(out, &err) < 0)
		tool_fail(NULL, &err);
	bad = p->bad;
	buf_free(&picture);
	plot_free(p);
	return tool_finish(bad > 0 ? TOOL_NO : 0);
}
