#include "serve/served.h"

#include <stdlib.h>
#include <time.h>

#include "model/adapters.h"
#include "model/chat.h"

int64_t
served_cache(int64_t context, int64_t parallel)
{
	return parallel * 2048 > context ? parallel * 2048 : context;
}

static int
open_engine(struct served *s, const struct served_options *o, struct err *err)
{
	struct engine_options e = { .pass = o->pass, .seqs = o->parallel, .kv = o->kv,
	    .keep = true };
	int64_t most = s->m.config.context;

	s->context = o->context > 0 && o->context < most ? o->context : most;
	e.cache = o->cache > 0 ? o->cache : served_cache(s->context, o->parallel);
	if ((s->engine = engine_new(&s->m, &e, err)) == NULL ||
	    (s->scheduler = scheduler_new(s->engine, s->tok, err)) == NULL ||
	    (s->grammars = grammars_new(s->tok, &s->m.config, err)) == NULL)
		return -1;
	return 0;
}

/* What the template says of calls.  A model that was not taught them is told. */
static void
read_template(struct served *s)
{
	str source = template_source(s->template);

	s->knows_tools = memmem(source.p, (size_t)source.n, "tools", 5) != NULL;
	s->calls = s->knows_tools ? calls_format(source) : CALLS_JSON;
	s->special = calls_special(s->calls, s->tok);
}

static int
open_all(struct served *s, const char *path, struct dev *dev, const struct served_options *o,
    struct err *err)
{
	s->m.adapters = s->adapters;
	if (model_load(&s->m, path, dev, false, err) < 0 ||
	    (s->tok = model_tokenizer(path, err)) == NULL)
		return -1;
	if (tokenizer_vocab(s->tok) > s->m.config.vocab)
		return err_set(err, ERR_FORMAT, "%s: the tokenizer has %d tokens, the model %lld",
		    path, tokenizer_vocab(s->tok), (long long)s->m.config.vocab);
	if ((s->template = template_load(path, NULL, &s->no_template)) != NULL)
		read_template(s);
	return open_engine(s, o, err);
}

struct served *
served_open(const char *name, const char *path, struct dev *dev, struct adapters *adapters,
    const struct served_options *o, struct err *err)
{
	struct served *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		adapters_free(adapters);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->name = name;
	s->adapters = adapters;
	s->created = (int64_t)time(NULL);
	if (open_all(s, path, dev, o, err) < 0) {
		served_close(s);
		return NULL;
	}
	return s;
}

void
served_close(struct served *s)
{
	if (s == NULL)
		return;
	grammars_free(s->grammars);
	scheduler_free(s->scheduler);
	engine_free(s->engine);
	template_free(s->template);
	tokenizer_free(s->tok);
	model_free(&s->m);
	adapters_free(s->adapters);
	free(s);
}
