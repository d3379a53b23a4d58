/*
 * calibrate - what tools that learn the importance of columns have in common
 *
 * Options (CALIBRATE_OPTIONS), and a run of a text through the model, or a file
 * of what such a run gave.
 */
#ifndef TOOL_CALIBRATE_H
#define TOOL_CALIBRATE_H

#include "base/buf.h"
#include "base/progress.h"
#include "model/imatrix.h"
#include "model/inputs.h"
#include "tool/tool.h"

struct calibrate {
	const char	*imatrix, *text, *field;	/* files, key of records */
	int64_t		 tokens, context;		/* of the text, of a piece */
	bool		 keep;		/* the tokens, for more runs */
	bool		 quiet, verbose;
	struct progress	 progress;
	/* after calibrate_run(): */
	struct model	*model;
	struct imatrix	*im;
	struct inputs	*in;
	struct buf	 run;		/* the tokens, uint32_t */
	int64_t		 seen;		/* how many there were */
};

extern const struct opt calibrate_options[];

#define CALIBRATE_DEFAULTS { .tokens = 65536, .context = 512 }
/* For the option table: CALIBRATE_OPTIONS(struct job, calibrate). */
#define CALIBRATE_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = calibrate_options }

/* The tokenizer is that at path.  A failure ends the tool. */
void calibrate_run(struct calibrate *c, struct model *m, const char *path);

/* Load the file.  A failure ends the tool. */
void calibrate_load(struct calibrate *c);
void calibrate_free(struct calibrate *c);

#endif
