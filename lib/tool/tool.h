/*
 * tool - what every main() in cmd/ shares; lib/ may not include it
 *
 * One table per tool gives parsing, the usage line, -h, and the completions.
 * A group embeds a shared table, so that an option that many tools have means
 * the same in all.  The exit status is 0 for done, 1 for done with a negative
 * answer or bad records, 2 for everything else.
 */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define TOOL_NO		1	/* ran, and the answer is no, or records were bad */
#define TOOL_FAIL	2	/* bad usage, or could not do the work */

enum opt_type {
	OPT_END,
	OPT_FLAG,	/* bool */
	OPT_STR,	/* const char *, as given */
	OPT_I64,	/* int64_t: counts, k M G T decimal */
	OPT_BYTES,	/* int64_t: sizes, k M G T binary */
	OPT_F64,	/* double; "2%" is 0.02 */
	OPT_TIME,	/* double seconds: 90, 90s, 15m, 4h, 2d */
	OPT_CALL,	/* int (*)(void *into, const char *arg, struct err *) in call */
	OPT_GROUP,	/* the table in group, its fields at at + its own at */
};

struct opt {
	char		 letter;	/* 0: long name only */
	const char	*name;		/* long name without dashes */
	enum opt_type	 type;
	size_t		 at;		/* offsetof the field it sets */
	const char	*arg;		/* name of its argument, or NULL */
	const char	*help;		/* one line, no full stop */
	const struct opt *group;
	int		(*call)(void *into, const char *arg, struct err *err);
	double		 min, max;	/* limits of a number when max > min */
};

struct tool {
	const char		*name;
	const char		*synopsis;	/* operands only: "[file ...]" */
	const char		*summary;	/* as in .Nd of the man page */
	const struct opt	*opts;		/* ends with { 0 } */
};

/*
 * Set the fields of *into from argv and return the operands, ended by NULL.
 * -h, -V and --completion bash|zsh are answered here; a usage error exits
 * TOOL_FAIL and says which option and why.
 */
char **tool_start(const struct tool *t, int argc, char **argv, void *into);

/* Was this option (by long name) on the command line? */
bool tool_given(const char *long_name);

/* Its argument as it was given last, or NULL. */
const char *tool_arg(const char *long_name);

/* The index of what was given among n names; 0 for NULL, -1 for another. */
int tool_choice(const char *given, const char *const *name, int n);

/* Say "name: message" on stderr, control characters replaced. */
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void tool_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void tool_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* tool_die() with err's message, after "what: " when what is not NULL. */
_Noreturn void tool_fail(const char *what, const struct err *err);

/*
 * A progress line on stderr when that is a terminal or verbose, never with
 * quiet.  NULL clears it.
 */
void tool_progress(const char *line, bool quiet, bool verbose);

/* When one is due (base/progress.h): count of what, done of total. */
struct progress;
void tool_progress_of(struct progress *p, int64_t count, const char *what, int64_t done,
    int64_t total, bool quiet, bool verbose);

/* The '=' of NAME=PATH; NULL where what stands before it is a part of a path. */
const char *tool_name_end(const char *arg);

/* The thread count: -j if given (> 0), else LLM_THREADS, else def (0: all). */
int tool_threads(int64_t given, int def);

/* The device: -d if given, else LLM_DEVICE, else "cpu". */
const char *tool_device(const char *given);

/* The directory of temporary files: --work if given, else TMPDIR, else /tmp. */
const char *tool_work(const char *given);

/* Close standard output and give back status, or TOOL_FAIL if bytes were lost. */
int tool_finish(int status);

#endif
