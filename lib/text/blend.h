/*
 * blend - records of several sources as one stream, with the shares that are asked for
 *
 * A source is files and a weight.  blend_index() reads all once and remembers 8
 * bytes of each record, its size and the hash of its name (sample.h), 16 when
 * they are sorted.  blend_plan() says from that how often each source is taken:
 * whole times, and once more the records whose hash is below a limit, so what a
 * smaller rate takes a larger one takes too.  blend_next() gives the records in an
 * order in which the sizes that were taken are at each point as near to the
 * shares as one more record can bring them: it takes the one that leaves the
 * least sum of squared differences.  The records of each source come in the order
 * of its files, or shuffled, or sorted by a number in them.
 *
 * Everything follows from the records, their order and the options.
 */
#ifndef TEXT_BLEND_H
#define TEXT_BLEND_H

#include "base/spill.h"
#include "text/records.h"

#define BLEND_SOURCES	4096
#define BLEND_STAGES	64

enum blend_unit { BLEND_BYTES, BLEND_RECORDS, BLEND_TOKENS };

struct blend_entry {
	uint32_t	size, hash;
};

struct blend_source {
	str		 name;
	char		**file;
	int		 nfiles;
	double		*weight;	/* one, or one a stage; -1: its size */
	int		 nweights;
	double		 times;		/* instead: how often it is taken; below 0: weights count */
	double		 most;		/* epochs at most; below 0: as the mix says */
	/* What blend_index() found. */
	int64_t		 records, bad, size;
	struct records_count count;
	struct blend_entry **entry;	/* of all lines, in pieces */
	uint64_t	**key;
	int64_t		 nlines, cap;
	/* What blend_plan() decided. */
	double		*share;		/* in each stage */
	double		 asked;		/* share of all */
	double		 epochs;
	int64_t		 whole;		/* times it is taken whole */
	uint64_t	 limit;		/* and hashes below this once more, of 2^32 */
	int64_t		 records_out, size_out;
	struct blend_run	*run;
};

struct blend {
	/* The caller's to set; all else is 0. */
	enum blend_unit	 unit;
	str		 field, count_key;	/* of the text; of the number of tokens */
	int64_t		 seed;
	int64_t		 wanted;	/* size of it all; 0: what there is */
	double		 temperature;	/* weights to the power of 1 / this */
	double		 epochs;	/* a source is taken this often at most */
	const double	*stage;		/* nstages shares of the whole; NULL: equal ones */
	int		 nstages;
	bool		 fill;		/* what a source lacks, others give */
	bool		 shuffle, descending;
	str		 sort_key;	/* p NULL: not sorted */
	str		 source_key;	/* gets the source's name; p NULL: none does */
	const char	*work;		/* directory of what does not fit into memory */
	int64_t		 memory;
	/* The number of tokens of a text, on any thread, with state_size bytes of its own. */
	int		(*measure)(const void *ctx, void *state, str text, int64_t *n,
			    struct err *err);
	int64_t		 state_size;
	void		(*state_free)(void *state);
	const void	*ctx;

	struct blend_source *source;
	int		 n;
	int64_t		 read, bad;		/* records in all */
	int64_t		 size, records;		/* as planned */
	bool		 lacks;			/* with fill: there is not so much */
	struct arena	*arena;			/* names and weights are here */
	struct spill	 spill;
	struct sorter	*sorter;
	struct buf	 line, named;
	int64_t		 taken;			/* size that was given */
};

/*
 * The sources that words name: "name=weight", each followed by its files.  A weight is
 * a number, several with commas, one for each stage, nothing for the source's
 * size, or a number and x for how often to take it; ":number" behind a weight is the
 * most epochs.  Files alone are a source, and no words the standard input.  NULL ends words; they
 * stay the caller's.  path: a file with words before them, or NULL; there patterns stand
 * for the files they match.
 */
int blend_words(struct blend *m, struct arena *a, const char *path, char **word, struct err *err);

/* Read all sources, as io says of bad records.  Files must be such as can be read twice. */
int blend_index(struct blend *m, struct team *team, const struct records_io *io, struct err *err);

/* Decide.  Return 0, or -1 with what is missing. */
int blend_plan(struct blend *m, struct err *err);

/* The next record, good until the next call.  Return 1, 0 at the end, -1. */
int blend_next(struct blend *m, str *line, struct err *err);

/* What was found and decided: an object, or NULL without memory; a table with tabs. */
json_t *blend_stats(const struct blend *m);
void blend_table(const struct blend *m, struct buf *b);
void blend_free(struct blend *m);

#endif
