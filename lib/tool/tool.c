#include "tool/tool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/team.h"
#include "base/number.h"
#include "tool/tool_impl.h"

/* The one thing of its kind in the project: who this process is. */
static struct {
	const struct tool *tool;
	struct option_list list;
	bool	given[OPTIONS_MAX];
	const char *arg[OPTIONS_MAX];	/* as it was given last */
	bool	progress;		/* a progress line is on the terminal */
} self;

/*
 * One write for the whole line, so that tools which share a terminal or a log
 * do not cut each other's messages.  Bytes that could drive a terminal become
 * '?': C0, DEL, and C1 as UTF-8 writes them.
 */
static void
say(const char *fmt, va_list ap)
{
	char line[4096];
	int n, head;

	tool_progress(NULL, false, false);
	fflush(stdout);
	head = snprintf(line, sizeof(line) / 2, "%s: ",
	    self.tool != NULL ? self.tool->name : "llm");
	n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	if (n < 0)
		n = 0;
	n += head;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c < ' ' || c == 0x7f)
			line[i] = '?';
		else if (c == 0xc2 && i + 1 < n && (unsigned char)line[i + 1] >= 0x80 &&
		    (unsigned char)line[i + 1] < 0xa0)
			line[i] = line[i + 1] = '?';
	}
	line[n++] = '\n';
	fwrite(line, 1, (size_t)n, stderr);
	fflush(stderr);
}

void
tool_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void
tool_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	exit(TOOL_FAIL);
}

void
tool_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fprintf(stderr, "usage: %s [options] %s\n", self.tool->name, self.tool->synopsis);
	exit(TOOL_FAIL);
}

void
tool_fail(const char *what, const struct err *err)
{
	if (what != NULL)
		tool_die("%s: %s", what, err->msg);
	tool_die("%s", err->msg);
}

/* Put the table and its groups into one list, ours at the end. */
static void
flatten(struct option_list *l, const struct opt *o, size_t at)
{
	for (; o->type != OPT_END; o++) {
		if (o->type == OPT_GROUP) {
			flatten(l, o->group, at + o->at);
			continue;
		}
		assert(l->n < OPTIONS_MAX);
		l->opt[l->n] = o;
		l->at[l->n++] = at + o->at;
	}
}

static const struct opt own[] = {
	{ .letter = 'h', .name = "help", .type = OPT_FLAG,
	  .help = "print this help and exit" },
	{ .letter = 'V', .name = "version", .type = OPT_FLAG,
	  .help = "print the version and exit" },
	{ .name = "completion", .type = OPT_STR, .arg = "bash|zsh",
	  .help = "print a completion script for the shell and exit" },
	{ 0 }
};

/* Answer the options that every tool has; others come back. */
static void
answer(const struct opt *o, const char *arg)
{
	if (o == &own[0])
		options_help(self.tool, &self.list);
	else if (o == &own[1])
		printf("%s %s\n", self.tool->name, VERSION);
	else if (o != &own[2])
		return;
	else if (strcmp(arg, "bash") == 0)
		options_bash(self.tool, &self.list);
	else if (strcmp(arg, "zsh") == 0)
		options_zsh(self.tool, &self.list);
	else
		tool_usage("--completion: no script for '%s': bash and zsh are known", arg);
	exit(tool_finish(0));
}

/*
 * A file that is opened while 0, 1 or 2 is closed would become that stream.
 * These take the place, and fail when they are used.
 */
static void
hold_streams(void)
{
	int fd;

	while ((fd = open("/dev/null", O_WRONLY)) == 0)
		;
	if (fd == 1 || fd == 2) {
		close(fd);
		while ((fd = open("/dev/null", O_RDONLY)) >= 0 && fd <= 2)
			;
	}
	if (fd > 2)
		close(fd);
}

/*
 * jansson builds and prints documents that lack a part when memory ends, and
 * does not tell.  No tool can go on then, so it ends here.
 */
static void *
json_alloc(size_t n)
{
	void *p = malloc(n);

	if (p == NULL)
		tool_die("out of memory");
	return p;
}

/* The name as the user may have typed it. */
static const char *
shown(const struct opt *o, char *s, size_t size)
{
	if (o->letter != 0)
		snprintf(s, size, "-%c, --%s", o->letter, o->name);
	else
		snprintf(s, size, "--%s", o->name);
	return s;
}

static _Noreturn void
bad_option(int got, char **argv)
{
	char name[80];

	if (optopt > OPTIONS_BASE) {
		const struct opt *o = self.list.opt[optopt - OPTIONS_BASE - 1];

		shown(o, name, sizeof(name));
		if (got == ':')
			tool_usage("%s: %s is missing", name, o->arg);
		tool_usage("%s: takes no argument", name);
	}
	if (optopt == 0)
		tool_usage("unknown option '%s'", argv[optind - 1]);
	for (int i = 0; i < self.list.n; i++)
		if (self.list.opt[i]->letter == optopt)
			tool_usage("%s: %s is missing",
			    shown(self.list.opt[i], name, sizeof(name)), self.list.opt[i]->arg);
	tool_usage("unknown option '-%c'", optopt);
}

char **
tool_start(const struct tool *t, int argc, char **argv, void *into)
{
	struct option longs[OPTIONS_MAX + 1] = { 0 };
	char shorts[2 * OPTIONS_MAX + 2] = ":", *s = shorts + 1;
	int got;

	self.tool = t;
	hold_streams();
	/* A shell or a scheduler may have left these ignored or deadly. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);
	json_set_alloc_funcs(json_alloc, free);
	flatten(&self.list, t->opts, 0);
	flatten(&self.list, own, 0);
	for (int i = 0; i < self.list.n; i++) {
		const struct opt *o = self.list.opt[i];
		bool flag = o->type == OPT_FLAG;

		longs[i] = (struct option){ o->name, flag ? no_argument : required_argument,
		    NULL, OPTIONS_BASE + 1 + i };
		if (o->letter == 0)
			continue;
		assert(strchr(shorts, o->letter) == NULL);
		*s++ = o->letter;
		if (!flag)
			*s++ = ':';
	}
	opterr = 0;
	while ((got = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct opt *o;
		struct err err;
		char name[80];
		int i = got - OPTIONS_BASE - 1;

		if (got == '?' || got == ':')
			bad_option(got, argv);
		for (int j = 0; i < 0 && j < self.list.n; j++)
			if (self.list.opt[j]->letter == got)
				i = j;
		o = self.list.opt[i];
		answer(o, optarg);
		self.given[i] = true;
		self.arg[i] = optarg;
		if (option_set(o, optarg, (char *)into + self.list.at[i], &err) == -1)
			tool_usage("%s: %s", shown(o, name, sizeof(name)), err.msg);
	}
	return argv + optind;
}

bool
tool_given(const char *long_name)
{
	for (int i = 0; i < self.list.n; i++)
		if (strcmp(self.list.opt[i]->name, long_name) == 0)
			return self.given[i];
	return false;
}

int
tool_choice(const char *given, const char *const *name, int n)
{
	for (int i = 0; i < n; i++)
		if (given == NULL || strcmp(given, name[i]) == 0)
			return i;
	return -1;
}

const char *
tool_arg(const char *long_name)
{
	for (int i = 0; i < self.list.n; i++)
		if (strcmp(self.list.opt[i]->name, long_name) == 0)
			return self.arg[i];
	return NULL;
}

void
tool_progress(const char *line, bool quiet, bool verbose)
{
	struct winsize w;
	int cols = 80;

	if (quiet)
		return;
	if (!isatty(STDERR_FILENO)) {
		if (verbose && line != NULL)
			fprintf(stderr, "%s: %s\n", self.tool->name, line);
		return;
	}
	if (line == NULL) {
		if (self.progress)
			fputs("\r\033[K", stderr);
		self.progress = false;
		return;
	}
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1)
		cols = w.ws_col;
	fprintf(stderr, "\r%.*s\033[K", cols - 1, line);
	self.progress = true;
}

void
tool_progress_of(struct progress *p, int64_t count, const char *what, int64_t done, int64_t total,
    bool quiet, bool verbose)
{
	char line[200];

	if (quiet || !progress_due(p))
		return;
	progress_line(p, line, sizeof(line), count, what, done, total);
	tool_progress(line, quiet, verbose);
}

int
tool_threads(int64_t given, int def)
{
	const char *s = getenv("LLM_THREADS");
	int64_t n = def;
	struct err err;

	if (given > 0)
		n = given;
	else if (s != NULL && *s != '\0' &&
	    (number_count(s, 1000, &n, &err) == -1 || n < 0))
		tool_die("LLM_THREADS: not a count of threads: '%s'", s);
	if (n > TEAM_MAX)
		tool_die("more than %d threads asked for", TEAM_MAX);
	return n > 0 ? (int)n : team_cpus();
}

const char *
tool_name_end(const char *arg)
{
	const char *eq = strchr(arg, '=');

	return eq == NULL || memchr(arg, '/', (size_t)(eq - arg)) != NULL ? NULL : eq;
}

const char *
tool_device(const char *given)
{
	const char *s = getenv("LLM_DEVICE");

	if (given != NULL)
		return given;
	return s != NULL && *s != '\0' ? s : "cpu";
}

const char *
tool_work(const char *given)
{
	const char *s = getenv("TMPDIR");

	if (given != NULL)
		return given;
	return s != NULL && *s != '\0' ? s : "/tmp";
}

int
tool_finish(int status)
{
	int bad = ferror(stdout);

	tool_progress(NULL, false, false);
	errno = 0;
	if (fclose(stdout) != 0 || bad) {
		tool_warn("cannot write standard output%s%s", errno != 0 ? ": " : "",
		    errno != 0 ? strerror(errno) : "");
		return TOOL_FAIL;
	}
	return status;
}
