/*
 * lines - records of files as bytes, one after another, for who checked them before
 *
 * Gives what records_run() calls a record: each line that is not blank, without
 * the space around it, bad ones too.  Number i here is number i there.
 */
#ifndef TEXT_LINES_H
#define TEXT_LINES_H

#include "base/err.h"
#include "base/str.h"

struct lines;

/* The paths stay the caller's. */
struct lines *lines_open(char *const *files, int n, struct err *err);

/*
 * The next record, good until the next call; p NULL stands for one that is longer
 * than RECORDS_MAX.  Return 1, 0 at the end, -1 with the file's name.
 */
int lines_next(struct lines *l, str *line, struct err *err);
void lines_close(struct lines *l);

#endif
