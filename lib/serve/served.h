/*
 * served - a model as it is served: it writes texts, or makes vectors of them
 *
 * What requests are read with is there from the start to the end: its sizes, tokenizer and
 * chat template.  What computes comes and goes: its weights, cache and working memory, on a
 * device of its own, so that it is loaded by one thread while others compute.
 *
 * Of the first all may be read by any thread, but the encoder.  The second is whose the
 * house (house.h) says: that of the thread that loads, or of the engine's.
 */
#ifndef SERVE_SERVED_H
#define SERVE_SERVED_H

#include "infer/draft.h"
#include "infer/embed.h"
#include "infer/grammars.h"
#include "infer/scheduler.h"
#include "model/adapters.h"
#include "serve/calls.h"
#include "token/template.h"

struct served_options {
	bool	vectors;	/* it makes vectors, and all else is not looked at */
	const char *device;
	struct team *team;
	const struct adapter_named *adapter;	/* n_adapters of them */
	int	n_adapters;
	int64_t	context;	/* tokens of a text, prompt and answer; 0: the model's */
	int64_t	parallel;	/* texts at once */
	int64_t	cache;		/* tokens in all; 0: 2048 a text, at least a context */
	int64_t	pass;		/* tokens of a pass; 0: the engine's */
	int64_t	lookup;		/* most tokens that are guessed of a text; 0: none */
	const char *draft;	/* a smaller model that guesses them; NULL: lookup */
	dtype	kv;		/* type of the cache; NONE: of activations */
	/* bytes of memory and of a file in a directory for what the cache gives up; 0: none */
	int64_t	spill, spill_disk;
	const char *spill_dir;
	void	(*warn)(void *ctx, const struct err *err);	/* it fails, which costs time */
	void	*ctx;
};

/* What it takes of memory, bytes, and what tells its files from others in their place. */
struct served_size {
	/* A draft's too; engine: its cache, and what a pass needs. */
	int64_t		weights, engine;
	struct engine_offloaded spilled;	/* its memory is the engine's */
	uint64_t	stamp;
};

struct served {
	const char	*name, *path;		/* the caller's */
	struct served_options o;
	struct served_size size;		/* as it was at first */
	int64_t		 context;
	int64_t		 created;		/* seconds of the epoch */
	struct encoder	*encoder;		/* of the thread that reads requests */
	struct embedder	*embedder;		/* of vectors; then there is nothing below */
	json_t		*config;
	struct tokenizer *tok;
	struct template	*template;		/* NULL: it has none, and no chat */
	struct err	 no_template;		/* why not */
	enum calls_format calls;		/* how it writes calls of tools */
	bool		 knows_tools;		/* its template does */
	bool		 special;		/* marks of calls are special tokens */
	struct request	 defaults;		/* the caller's: what requests begin with */
	atomic_llong	 version;		/* another one may write other texts */
	/* what computes; the embedder's is in it */
	struct dev	*dev;
	struct model	 m;
	struct adapters	*adapters;		/* NULL: none */
	struct engine	*engine;
	struct draft	*draft;			/* NULL: nothing is guessed */
	struct scheduler *scheduler;
	struct grammars	*grammars;
};

/*
 * path is a model directory, checkpoint or GGUF; of vectors what llm-embed takes.  All
 * that can be told without its weights is looked at, adapters too; nothing computes yet.
 */
struct served *served_open(const char *name, const char *path,
    const struct served_options *o, struct err *err);
void served_close(struct served *s);		/* NULL: nothing */

/* The number of an adapter, from 1 on, or 0. */
int served_adapter(const struct served *s, str name);
str served_adapter_name(const struct served *s, int number);

/*
 * Look at the files again: would it be loaded, and by what size?  Those of a model of
 * other sizes, tokenizer or template are an error: requests were read with those that
 * were there.  Any thread.
 */
int served_look(const struct served *s, struct served_size *size, struct err *err);
uint64_t served_stamp(const struct served *s);

/* It is loaded whole when this returns 0; *stop ends it early, when nobody waits for it. */
int served_load(struct served *s, const atomic_bool *stop, struct err *err);
void served_unload(struct served *s);		/* also after a failure */

/* Append what it takes, and how much goes in there: lines of names, values and units. */
int served_describe(const struct served *s, struct buf *b, struct err *err);

#endif
