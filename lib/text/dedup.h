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

#include "base/hash.h"
#include "base/spill.h"
#include "text/cut.h"
#include "text/minhash.h"
#include "text/records.h"

struct dedup {
	/* the caller's */
	str		 field;		/* that texts are in */
	double		 jaccard;
	struct out	*clusters;	/* a line for each dropped record, or NULL; borrowed */
	bool		 named;		/* records need their names, clusters or not */
	void		*user;		/* for a sink */
	struct spill	 spill;		/* for all that is remembered */
	int64_t		 bytes;		/* of the input files */
	int64_t		 length;	/* units of the shortest repeat; 0: the method's own */
	bool		 length_bytes;	/* these are bytes */
	enum cut_at	 at;		/* where cuts begin and end */
	int64_t		 min_bytes;	/* drop what is shorter after a cut */
	const char	*spans;		/* a key to write the repeats to instead, or NULL */
	/*
	 * Not 0: remember so many at most, by their numbers; names are not kept,
	 * nor sets, which get gives back.
	 */
	int64_t		 room;
	near_get	*get;
	void		*get_ctx;
	/* the method's */
	const struct dedup_method *method;
	void		*state;
	int64_t		 candidates;	/* pairs that were compared, of states that are closed */
	int64_t		 passes;	/* that it took; 0: it was done at once */
	struct buf	 line;
};

/* What a record is known by.  Methods use one of hash and doc. */
struct dedup_sign {
	hash128		hash;
	struct near_doc	doc;
	str		name;		/* p NULL: not asked for */
};

/* Take a piece of what a method knows. */
typedef int dedup_put(void *ctx, str piece, struct err *err);

struct dedup_method {
	const char		*name;
	const char *const	*takes;	/* options that not all methods have; NULL ends */
	/* field, keys, map, order, state_size and state_free are used. */
	struct records_job	 job;
	int			(*open)(struct dedup *d, struct err *err);
	/*
	 * Jobs with a sink that see all of the input before the job does, and what
	 * comes between; records have the same index in all.
	 */
	const struct records_job *ahead;
	int			 nahead;
	int			(*settle)(struct dedup *d, struct team *team, struct err *err);
	/*
	 * All that was found by the first of these, or by all and settle(), in pieces; and
	 * piece by piece back, of so many of these.
	 */
	int			(*save)(const struct dedup *d, dedup_put *put, void *ctx,
				    struct err *err);
	int			(*load)(struct dedup *d, int done, str piece, struct err *err);
	/* Numbers of its own; may be NULL. */
	void			(*stats)(const struct dedup *d, void *to,
				    void (*put)(void *to, const char *name, double value));
	void			(*close)(struct dedup *d);	/* also after a failed open() */
	/*
	 * A method that knows a record by a sign has these, and job.map and
	 * job.order are dedup_map() and dedup_order(): it can then work in
	 * stages, and with an index.
	 */
	int			(*sign)(const struct dedup *d, void *state, const struct record *r,
				    struct dedup_sign *s, struct err *err);
	int			(*find)(struct dedup *d, const struct dedup_sign *s,
				    struct near_hit *hit, struct err *err);
	int			(*add)(struct dedup *d, const struct dedup_sign *s, int64_t number,
				    struct err *err);
	/* For how many records so much memory is room. */
	int64_t			(*fits)(const struct dedup *d, int64_t memory);
	int64_t			(*key_bytes)(const struct dedup *d);	/* of a sign that is kept */
	/*
	 * Members of a JSON object, each after a comma: what signs, or saved pieces, depend
	 * on; may be NULL.
	 */
	void			(*settings)(const struct dedup *d, struct buf *b);
	bool			 sets;	/* signs are doc, not hash */
};

extern const struct dedup_method dedup_exact, dedup_url, dedup_near, dedup_substring,
    dedup_sentence, dedup_line, dedup_paragraph;

/* All of them; NULL ends. */
extern const struct dedup_method *const dedup_methods[];

const struct dedup_method *dedup_method_of(const char *name);	/* or NULL */
bool dedup_takes(const struct dedup_method *m, const char *option);

int dedup_open(struct dedup *d, const struct dedup_method *m, struct err *err);
void dedup_close(struct dedup *d);

/* What signs depend on, as a JSON object, into b, which is emptied first. */
int dedup_settings(const struct dedup *d, struct buf *b, struct err *err);

/* Sign a record into its scratch, at tag[0]; and drop those whose like was added. */
int dedup_map(const void *ctx, void *state, struct record *r, struct err *err);
int dedup_order(void *ctx, struct record *r, struct err *err);

/*
 * What a record is called in the clusters file: its id (the first of the job's
 * keys) as it stands there, or else the hash of its text.  In r->scratch;
 * p NULL after a failure.
 */
str dedup_name(const struct record *r, struct err *err);

/*
 * A line of the clusters file: the record index, called name, repeats the
 * record kept, -1 where it has no number, called kept_name.
 */
int dedup_tell(struct dedup *d, int64_t index, str name, int64_t kept, str kept_name,
    double jaccard, struct err *err);

#endif
