/*
 * reread - inputs that are read twice: what cannot be is kept in a file without a name
 */
#ifndef TOOL_REREAD_H
#define TOOL_REREAD_H

#include <sys/types.h>

/*
 * Make every one of n files ("-", or none at all: standard input) one that can be
 * read again by its name; names may be replaced.  work: --work, or NULL.  Return where
 * the standard input starts, -1 when it is not read.  A failure ends the tool.
 */
off_t reread_prepare(char **files, int n, const char *work);

/* Before it is read again. */
void reread_stdin(off_t start);

/* The same for readers of several files at once: "-" gets a name of its own too. */
void reread_named(char **files, int n, const char *work);

#endif
