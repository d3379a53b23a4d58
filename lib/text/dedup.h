/*
 * dedup - ways to tell that a record repeats an earlier one
 *
 * A method is what llm-dedup -t names: a job for the document stream (its ctx
 * is the struct dedup) and what is set up before and freed after it.  map()
 * computes on any thread what a text is known by; order() decides, in input
 * order.  A method that is new has a file of its own here and a line in
 * dedup_methods.
 */
#ifndef TEXT_DEDUP_H
#define TEXT_DEDUP_H

#include "base/spill.h"
#include "text/records.h"

struct dedup {
	/* the caller's */
	double		 jaccard;
	struct out	*clusters;	/* a line for each dropped record, or NULL; borrowed */
	struct spill	 spill;		/* for all that is remembered */
	/* the method's */
	const struct dedup_method *method;
	void		*state;
	struct buf	 line;
};

struct dedup_method {
	const char		*name;
	const char *const	*takes;	/* options that not all methods have; NULL ends */
	/* field, keys, map, order, state_size and state_free are used. */
	struct records_job	 job;
	int			(*open)(struct dedup *d, struct err *err);
	/* Numbers of its own; may be NULL. */
	void			(*stats)(const struct dedup *d, void *to,
				    void (*put)(void *to, const char *name, double value));
	void			(*close)(struct dedup *d);	/* also after a failed open() */
};

extern const struct dedup_method dedup_exact, dedup_near;

/* All of them; NULL ends. */
extern const struct dedup_method *const dedup_methods[];

const struct dedup_method *dedup_method_of(const char *name);	/* or NULL */
bool dedup_takes(const struct dedup_method *m, const char *option);

int dedup_open(struct dedup *d, const struct dedup_method *m, struct err *err);
void dedup_close(struct dedup *d);

/*
 * What a record is called in the clusters file: its id (the first of the job's
 * keys) as it stands there, or else the hash of its text.  In r->scratch;
 * p NULL after a failure.
 */
str dedup_name(const struct record *r, struct err *err);

/* Tell that r, called name, repeats the record kept_name with number kept. */
int dedup_tell(struct dedup *d, const struct record *r, str name, str kept_name, int64_t kept,
    double jaccard, struct err *err);

#endif
