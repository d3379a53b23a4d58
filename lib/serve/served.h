/*
 * served - a model as it is served: it writes texts, or makes vectors of them
 *
 * All may be read by any thread but the embedder, the scheduler and its grammars, which
 * are the engine's, and the encoder.
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
	const struct adapter_named *adapter;	/* n_adapters of them */
	int	n_adapters;
	int64_t	context;	/* tokens of a text, prompt and answer; 0: the model's */
	int64_t	parallel;	/* texts at once */
	int64_t	cache;		/* tokens in all; 0: 2048 a text, at least a context */
	int64_t	pass;		/* tokens of a pass; 0: the engine's */
	int64_t	lookup;		/* most tokens that are guessed for a text alone; 0: none */
	dtype	kv;		/* type of the cache; NONE: of activations */
};

struct served {
	const char	*name;			/* the caller's */
	int64_t		 context;
	int64_t		 created;		/* seconds of the epoch: when it was loaded */
	struct encoder	*encoder;		/* of the thread that reads requests */
	struct embedder	*embedder;		/* of vectors; then there is nothing below */
	struct model	 m;
	struct adapters	*adapters;		/* NULL: none */
	struct tokenizer *tok;
	struct template	*template;		/* NULL: it has none, and no chat */
	struct err	 no_template;		/* why not */
	enum calls_format calls;		/* how it writes calls of tools */
	bool		 knows_tools;		/* its template does */
	bool		 special;		/* marks of calls are special tokens */
	struct request	 defaults;		/* the caller's: what requests begin with */
	struct engine	*engine;
	struct draft	*draft;			/* NULL: nothing is guessed */
	struct scheduler *scheduler;
	struct grammars	*grammars;
};

/* path is a model directory, checkpoint or GGUF; of vectors what llm-embed takes. */
struct served *served_open(const char *name, const char *path, struct dev *dev,
    const struct served_options *o, struct err *err);

/* Append what it takes, and how much goes in there: lines of names, values and units. */
int served_describe(struct served *s, struct buf *b, struct err *err);
void served_close(struct served *s);

#endif
