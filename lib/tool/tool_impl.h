/*
 * tool_impl - the parts of tool that print or parse options
 */
#ifndef TOOL_TOOL_IMPL_H
#define TOOL_TOOL_IMPL_H

#include "tool/tool.h"

#define OPTIONS_MAX	128	/* options of one tool, groups included */
#define OPTIONS_BASE	256	/* getopt_long() values above are list indices + 1 */

/* The rows of a tool's table and of its groups, in order. */
struct option_list {
	const struct opt *opt[OPTIONS_MAX];
	size_t	 at[OPTIONS_MAX];
	int	 n;
};

/* Store arg at *at as o says.  Return 0, or -1 with what is wrong with it. */
int option_set(const struct opt *o, const char *arg, void *at, struct err *err);

/* What -h and --completion print. */
void options_help(const struct tool *t, const struct option_list *l);
void options_bash(const struct tool *t, const struct option_list *l);
void options_zsh(const struct tool *t, const struct option_list *l);

#endif
