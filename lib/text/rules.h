/*
 * rules - what is done with a record, by the values of its signals: llm-rules(5)
 *
 * A file of lines: "use" and "set" are as -r and --set of llm-filter(1); "keep",
 * "drop" and "tag NAME" have conditions, and act in order when all of them hold.
 */
#ifndef TEXT_RULES_H
#define TEXT_RULES_H

#include "text/quality.h"

#define RULES_BYTES		((ptrdiff_t)1 << 20)	/* of a file */
#define RULES_LINES		1000			/* that act */
#define RULES_CONDITIONS	16			/* of a line */
#define RULES_TAG_MAX		63			/* bytes of a tag */

enum rules_op { OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE };

struct rules_condition {
	int		 rule;		/* whose value */
	enum rules_op	 op;
	double		 limit;
};

enum rules_action { RULES_KEEP, RULES_DROP, RULES_TAG };

struct rules_line {
	enum rules_action action;
	int		 number;	/* in its file, from 1 */
	char		 tag[RULES_TAG_MAX + 1];
	struct rules_condition condition[RULES_CONDITIONS];
	int		 n;
};

/* Owns its lines; all zero is one without any. */
struct rules {
	struct rules_line *line;
	int		 n, cap;
};

/*
 * Add the lines of a file, whose name is for messages; use and set change q.
 * Return 0, or -1 with the file's name, the line and the cause.
 */
int rules_parse(struct rules *r, struct quality *q, str file, const char *name,
    struct err *err);
void rules_free(struct rules *r);

/* The families whose values are asked for. */
unsigned rules_families(const struct rules *r);

/* Has one of the conditions the value of this rule? */
bool rules_ask(const struct rules *r, int rule);

/*
 * The next line from *at on whose conditions hold, or NULL; *at moves behind it.
 * A value that is not known fulfils no condition.
 */
const struct rules_line *rules_next(const struct rules *r, int *at,
    const double value[QUALITY_RULES]);

#endif
