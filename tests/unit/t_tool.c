/* Options: each type, its limits, and what a wrong one says.  Messages. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool/tool.h"
#include "../tap.h"

struct shared {
	const char	*output;
	bool		 quiet;
};

struct opts {
	struct shared	 io;
	bool		 all;
	int64_t		 count, size;
	double		 rate, time;
	int		 calls;
};

static int
take(void *into, const char *arg, struct err *err)
{
	if (strcmp(arg, "bad") == 0)
		return err_set(err, ERR_ARG, "'%s' is not for me", arg);
	*(int *)into += (int)strlen(arg);
	return 0;
}

static const struct opt group[] = {
	{ 'o', "output", OPT_STR, offsetof(struct shared, output), "FILE", "write to FILE",
	  NULL, NULL, 0, 0 },
	{ 'q', "quiet", OPT_FLAG, offsetof(struct shared, quiet), NULL, "say less",
	  NULL, NULL, 0, 0 },
	{ 0 }
};

static const struct opt table[] = {
	{ 'a', "all", OPT_FLAG, offsetof(struct opts, all), NULL, "take it all", NULL, NULL, 0, 0 },
	{ 'n', "count", OPT_I64, offsetof(struct opts, count), "N", "how many",
	  NULL, NULL, 1, 5e6 },
	{ 0, "memory", OPT_BYTES, offsetof(struct opts, size), "SIZE", "room to use",
	  NULL, NULL, 0, 0 },
	{ 'r', "rate", OPT_F64, offsetof(struct opts, rate), "RATE", "it's [a] rate: 0 to 1",
	  NULL, NULL, 0, 1 },
	{ 0, "max-time", OPT_TIME, offsetof(struct opts, time), "TIME", "when to stop",
	  NULL, NULL, 0, 0 },
	{ 't', "type", OPT_CALL, offsetof(struct opts, calls), "left|right", "which one",
	  NULL, take, 0, 0 },
	{ .type = OPT_GROUP, .at = offsetof(struct opts, io), .group = group },
	{ 0 }
};

static const struct tool tool = { "llm-try", "[file ...]", "try the options", table };

static char got[16384];		/* what the child wrote */
static int status;

/* What the child does when its options were good. */
static int
show(struct opts *o, char **files)
{
	printf("all=%d count=%lld size=%lld rate=%g time=%g calls=%d output=%s quiet=%d", o->all,
	    (long long)o->count, (long long)o->size, o->rate, o->time, o->calls,
	    o->io.output != NULL ? o->io.output : "-", o->io.quiet);
	for (; *files != NULL; files++)
		printf(" %s", *files);
	printf(" given:%s%s%s\n", tool_given("all") ? " all" : "",
	    tool_given("quiet") ? " quiet" : "", tool_given("nonsense") ? " nonsense" : "");
	return tool_finish(0);
}

static void
capture(int fd)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	got[n] = '\0';
}

/* Run fn in a child and keep what it wrote and its status. */
static void
child(int (*fn)(char **argv), char **argv)
{
	int p[2], st = 0;
	pid_t pid;

	fflush(stdout);
	if (pipe(p) == -1 || (pid = fork()) == -1)
		exit(2);
	if (pid == 0) {
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		exit(fn(argv));
	}
	close(p[1]);
	capture(p[0]);
	close(p[0]);
	waitpid(pid, &st, 0);
	status = WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
}

static int
parse(char **argv)
{
	struct opts o = { .count = 1 };
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	return show(&o, tool_start(&tool, argc, argv, &o));
}

/* tool_start() with these arguments, then NULL. */
static void
with(const char *first, ...)
{
	char *argv[20] = { (char *)(uintptr_t)"llm-try" };
	int argc = 1;
	va_list ap;

	va_start(ap, first);
	for (const char *a = first; a != NULL; a = va_arg(ap, const char *))
		argv[argc++] = (char *)(uintptr_t)a;
	va_end(ap);
	child(parse, argv);
}

/* Bad usage: this message, then the usage line, exit 2. */
static int
refused(const char *why)
{
	char want[500];

	snprintf(want, sizeof(want), "llm-try: %s\nusage: llm-try [options] [file ...]\n", why);
	if (status != TOOL_FAIL || strcmp(got, want) != 0)
		printf("# status %d: %s", status, got);
	return status == TOOL_FAIL && strcmp(got, want) == 0;
}

static int
said(const char *want)
{
	if (status != 0 || strcmp(got, want) != 0)
		printf("# status %d: %s", status, got);
	return status == 0 && strcmp(got, want) == 0;
}

#define NONE "all=0 count=1 size=0 rate=0 time=0 calls=0 output=- quiet=0"

static void
test_forms(void)
{
	with(NULL);
	ok(said(NONE " given:\n"), "no arguments, defaults stay");
	with("-aq", "-n", "3", "-oout", "x", "y", NULL);
	ok(said("all=1 count=3 size=0 rate=0 time=0 calls=0 output=out quiet=1 x y "
	    "given: all quiet\n"), "short ones together, with and without a space");
	with("--all", "--count=4", "--output", "f", "--quiet", NULL);
	ok(said("all=1 count=4 size=0 rate=0 time=0 calls=0 output=f quiet=1 "
	    "given: all quiet\n"), "long ones, with = and without");
	with("x", "-a", "y", NULL);
	ok(said("all=1 count=1 size=0 rate=0 time=0 calls=0 output=- quiet=0 x y "
	    "given: all\n"), "options after operands");
	with("--", "-a", "-", NULL);
	ok(said(NONE " -a - given:\n"), "-- ends options, - is an operand");
	with("-t", "abc", "--type=de", NULL);
	ok(said("all=0 count=1 size=0 rate=0 time=0 calls=5 output=- quiet=0 given:\n"),
	    "a call, each time");
	with("-n", "1", "-n", "2", NULL);
	ok(strstr(got, "count=2 ") != NULL, "the last one counts");
}

static void
test_numbers(void)
{
	static const struct {
		const char *option, *arg, *want;
	} t[] = {
		{ "-n", "5k", "count=5000 " }, { "-n", "1.5M", "count=1500000 " },
		{ "-n", "1e6", "count=1000000 " }, { "-n", "2K", "count=2000 " },
		{ "--memory", "2k", "size=2048 " }, { "--memory", "1.5G", "size=1610612736 " },
		{ "--memory", "3MiB", "size=3145728 " }, { "--memory", "7B", "size=7 " },
		{ "--memory", "8T", "size=8796093022208 " },
		{ "-r", "2%", "rate=0.02 " }, { "-r", "1e-3", "rate=0.001 " },
		{ "--max-time", "90", "time=90 " }, { "--max-time", "90s", "time=90 " },
		{ "--max-time", "1.5m", "time=90 " }, { "--max-time", "4h", "time=14400 " },
		{ "--max-time", "2d", "time=172800 " }, { "--max-time", "1h30m", "time=5400 " },
	};
	static const struct {
		const char *option, *arg, *why;
	} f[] = {
		{ "-n", "", "-n, --count: '' is not a number" },
		{ "-n", "x", "-n, --count: 'x' is not a number" },
		{ "-n", "3x", "-n, --count: '3x' is not a number" },
		{ "-n", "0x10", "-n, --count: '0x10' is not a number" },
		{ "-n", " 3", "-n, --count: ' 3' is not a number" },
		{ "-n", "nan", "-n, --count: 'nan' is not a number" },
		{ "-n", "1MiB", "-n, --count: '1MiB' is not a number" },
		{ "-n", "1.5", "-n, --count: '1.5' is not a whole number" },
		{ "-n", "0", "-n, --count: 0 is not between 1 and 5000000" },
		{ "-n", "-1", "-n, --count: -1 is not between 1 and 5000000" },
		{ "-n", "6M", "-n, --count: 6M is not between 1 and 5000000" },
		{ "-n", "99999999999999999999",
		  "-n, --count: '99999999999999999999' is too large" },
		{ "--memory", "9999999T", "--memory: '9999999T' is too large" },
		{ "--memory", "-1", "--memory: -1 is below 0" },
		{ "-r", "1.01", "-r, --rate: 1.01 is not between 0 and 1" },
		{ "-r", "101%", "-r, --rate: 101% is not between 0 and 1" },
		{ "-r", "nan", "-r, --rate: 'nan' is not a number" },
		{ "--max-time", "3w",
		  "--max-time: '3w' is not a time, as 90, 90s, 15m, 4h and 2d are" },
		{ "--max-time", "-3",
		  "--max-time: '-3' is not a time, as 90, 90s, 15m, 4h and 2d are" },
		{ "--max-time", "",
		  "--max-time: '' is not a time, as 90, 90s, 15m, 4h and 2d are" },
		{ "-t", "bad", "-t, --type: 'bad' is not for me" },
	};
	int bad = 0;

	for (int i = 0; i < (int)(sizeof(t) / sizeof(t[0])); i++) {
		with(t[i].option, t[i].arg, NULL);
		if (status != 0 || strstr(got, t[i].want) == NULL) {
			printf("# %s %s: %s", t[i].option, t[i].arg, got);
			bad++;
		}
	}
	ok(bad == 0, "numbers, sizes, rates and times");
	for (int i = 0; i < (int)(sizeof(f) / sizeof(f[0])); i++) {
		with(f[i].option, f[i].arg, NULL);
		bad += !refused(f[i].why);
	}
	ok(bad == 0, "and what is none");
}

static void
test_usage(void)
{
	with("-x", NULL);
	ok(refused("unknown option '-x'"), "unknown short");
	with("-ax", NULL);
	ok(refused("unknown option '-x'"), "unknown short after a known one");
	with("--frob=3", NULL);
	ok(refused("unknown option '--frob=3'"), "unknown long");
	with("-n", NULL);
	ok(refused("-n, --count: N is missing"), "missing argument, short");
	with("--memory", NULL);
	ok(refused("--memory: SIZE is missing"), "missing argument, long");
	with("--all=1", NULL);
	ok(refused("-a, --all: takes no argument"), "argument of a flag");
	with("--completion", "fish", NULL);
	ok(refused("--completion: no script for 'fish': bash and zsh are known"), "unknown shell");
}

static void
test_answers(void)
{
	with("-h", NULL);
	ok(said("usage: llm-try [options] [file ...]\ntry the options\n\n"
	    "  -a, --all                  take it all\n"
	    "  -n, --count N              how many\n"
	    "      --memory SIZE          room to use\n"
	    "  -r, --rate RATE            it's [a] rate: 0 to 1\n"
	    "      --max-time TIME        when to stop\n"
	    "  -t, --type left|right      which one\n"
	    "  -o, --output FILE          write to FILE\n"
	    "  -q, --quiet                say less\n"
	    "  -h, --help                 print this help and exit\n"
	    "  -V, --version              print the version and exit\n"
	    "      --completion bash|zsh  print a completion script for the shell and exit\n"),
	    "-h");
	with("--version", NULL);
	ok(said("llm-try " VERSION "\n"), "--version");
	with("--completion", "bash", NULL);
	ok(status == 0 && strstr(got, "complete -F _llm_try llm-try\n") != NULL &&
	    strstr(got, "-o|--output)") != NULL && strstr(got, "compgen -W 'left right'") != NULL,
	    "--completion bash");
	with("--completion=zsh", NULL);
	ok(status == 0 && strstr(got, "#compdef llm-try\n") == got &&
	    strstr(got, "'(-r --rate)'{-r+,--rate=}'[it'\\''s \\[a\\] rate\\: 0 to 1]:RATE:' \\\n")
	    != NULL && strstr(got, ":(left right)'") != NULL, "--completion zsh");
}

static int
messages(char **argv)
{
	struct opts o = { .count = 1 };
	struct err err = { .code = ERR_IO, .msg = "cause" };

	tool_start(&tool, 1, argv, &o);
	tool_progress("half", false, false);
	tool_progress("half", false, true);
	tool_progress("half", true, true);
	tool_progress(NULL, false, true);
	tool_warn("a\nb\tc\033[31m\177 \xc2\x9b \xc3\xa4 %d", 7);
	tool_fail("file", &err);
}

static int
long_message(char **argv)
{
	struct opts o = { .count = 1 };
	char x[9000];

	memset(x, 'x', sizeof(x));
	x[sizeof(x) - 1] = '\0';
	tool_start(&tool, 1, argv, &o);
	tool_die("%s", x);
}

static int
threads(char **argv)
{
	struct opts o = { .count = 1 };

	tool_start(&tool, 1, argv, &o);
	printf("%d", tool_threads(3, 1));
	setenv("LLM_THREADS", "5", 1);
	printf(" %d %d", tool_threads(3, 1), tool_threads(0, 1));
	unsetenv("LLM_THREADS");
	unsetenv("LLM_DEVICE");
	printf(" %d %d", tool_threads(0, 1), tool_threads(0, 0) >= 1);
	printf(" %s %s", tool_device(NULL), tool_device("cuda"));
	setenv("LLM_DEVICE", "cpu:avx2", 1);
	printf(" %s\n", tool_device(NULL));
	fflush(stdout);
	setenv("LLM_THREADS", "many", 1);
	tool_threads(0, 1);
	return 0;
}

static int
lost(char **argv)
{
	struct opts o = { .count = 1 };

	if (freopen("/dev/full", "w", stdout) == NULL)
		return 99;
	tool_start(&tool, 1, argv, &o);
	puts("gone");
	return tool_finish(1);
}

static int
closed(char **argv)
{
	struct opts o = { .count = 1 };

	close(0);
	close(1);
	tool_start(&tool, 1, argv, &o);
	/* A file that is opened now is not the standard output. */
	if (fileno(stdout) != 1 || dup(2) <= 2)
		return 98;
	puts("gone");
	return tool_finish(0);
}

static int
closed_unused(char **argv)
{
	struct opts o = { .count = 1 };

	close(1);
	tool_start(&tool, 1, argv, &o);
	return tool_finish(0);
}

static void
test_messages(void)
{
	char *argv[] = { (char *)(uintptr_t)"llm-try", NULL };

	child(messages, argv);
	ok(status == TOOL_FAIL && strcmp(got, "llm-try: half\nllm-try: a?b?c?[31m? ?? \xc3\xa4 7\n"
	    "llm-try: file: cause\n") == 0, "messages, control characters, progress");
	child(long_message, argv);
	ok(status == TOOL_FAIL && strlen(got) > 1000 && strlen(got) < 5000 &&
	    got[strlen(got) - 1] == '\n', "a message that is too long is cut");
	child(threads, argv);
	ok(status == TOOL_FAIL && strcmp(got, "3 3 5 1 1 cpu cuda cpu:avx2\n"
	    "llm-try: LLM_THREADS: not a count of threads: 'many'\n") == 0, "threads and device");
	child(lost, argv);
	ok(status == TOOL_FAIL && strcmp(got, "llm-try: cannot write standard output: "
	    "No space left on device\n") == 0, "lost output is a failure");
	child(closed, argv);
	ok(status == TOOL_FAIL && strstr(got, "cannot write standard output") != NULL,
	    "so is a closed one");
	child(closed_unused, argv);
	ok(status == 0 && got[0] == '\0', "but not when nothing was written");
}

int
main(void)
{
	test_forms();
	test_numbers();
	test_usage();
	test_answers();
	test_messages();
	return tap_done();
}
