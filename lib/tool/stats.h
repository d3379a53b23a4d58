/*
 * stats - the report of llm-stats: surveys as JSON, and JSON as text, TSV and HTML
 *
 * Jansson must have been given a malloc that does not fail.
 */
#ifndef TOOL_STATS_H
#define TOOL_STATS_H

#include <jansson.h>

#include "base/buf.h"
#include "text/survey.h"

#define STATS_CORPORA	8
#define STATS_TOP	20	/* leaders that are told */
#define STATS_BINS	40

/*
 * {"corpora": [...], "fields": [...], "dropped": {...}}: n corpora and, unless it is
 * NULL, what was dropped.  The other formats are made of this one.
 */
json_t *stats_report(const struct survey *c, int n, const struct survey *dropped);

void stats_text(const json_t *report, struct buf *b);
void stats_tsv(const json_t *report, struct buf *b);

/* One page that needs no other file. */
void stats_html(const json_t *report, struct buf *b);

/* 12345678 as "12 345 678"; a number with a fraction with four digits. */
void stats_number(struct buf *b, const json_t *number);

#endif
