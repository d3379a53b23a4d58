#include "serve/served.h"

#include <stdlib.h>
#include <time.h>

#include "model/adapters.h"
#include "model/chat.h"

static int
open_engine(struct served *s, const struct served_options *o, struct err *err)
{
	struct engine_options e = { .pass = o->pass, .seqs = o->parallel, .kv = o->kv,
	    .keep = true };
	int64_t most = s->m.config.context;

	if (o->lookup > 0)
		e.rows = o->parallel + DRAFT_MAX;
	s->context = o->context > 0 && o->context < most ? o->context : most;
	e.cache = o->cache > 0 ? o->cache :
	    o->parallel * 2048 > s->context ? o->parallel * 2048 : s->context;
	if ((s->engine = engine_new(&s->m, &e, err)) == NULL ||
	    (s->scheduler = scheduler_new(s->engine, s->tok, err)) == NULL ||
	    (s->grammars = grammars_new(s->tok, &s->m.config, err)) == NULL)
		return -1;
	if (o->lookup > 0) {
		if ((s->draft = draft_lookup(o->lookup, err)) == NULL)
			return -1;
		scheduler_guess(s->scheduler, s->draft);
	}
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
	if (o->n_adapters > 0 &&
	    (s->adapters = adapters_open(o->adapter, o->n_adapters, err)) == NULL)
		return -1;
	s->m.adapters = s->adapters;
	if (model_load(&s->m, path, dev, false, err) < 0 ||
	    (s->tok = model_tokenizer(path, err)) == NULL ||
	    (s->encoder = encoder_new(s->tok, err)) == NULL)
		return -1;
	if (tokenizer_vocab(s->tok) > s->m.config.vocab)
		return err_set(err, ERR_FORMAT, "%s: the tokenizer has %d tokens, the model %lld",
		    path, tokenizer_vocab(s->tok), (long long)s->m.config.vocab);
	if ((s->template = template_load(path, NULL, &s->no_template)) != NULL)
		read_template(s);
	return open_engine(s, o, err);
}

static int
open_embedder(struct served *s, const char *path, struct dev *dev, struct err *err)
{
	const struct embed_options o = { .pooling = POOL_AUTO, .normalize = -1 };

	if ((s->embedder = embed_open(path, dev, &o, err)) == NULL)
		return -1;
	s->context = embed_settings(s->embedder)->most;
	s->encoder = encoder_new(embed_tokenizer(s->embedder), err);
	return s->encoder == NULL ? -1 : 0;
}

struct served *
served_open(const char *name, const char *path, struct dev *dev,
    const struct served_options *o, struct err *err)
{
	struct served *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->name = name;
	s->created = (int64_t)time(NULL);
	if ((o->vectors ? open_embedder(s, path, dev, err) :
	    open_all(s, path, dev, o, err)) < 0) {
		served_close(s);
		return NULL;
	}
	return s;
}

static int64_t
weight_bytes(const struct params *ps)
{
	int64_t sum = 0;

	for (int i = 0; i < ps->n; i++)
		sum += dtype_bytes(ps->p[i].type, ps->p[i].n);
	return sum;
}

int
served_describe(struct served *s, struct buf *b, struct err *err)
{
	struct engine_options o;
	int64_t bytes, cache, whole;

	buf_fmt(b, "model\t%s\n", s->name);
	if (s->embedder == NULL) {
		o = *engine_settings(s->engine);
		cache = engine_cache(s->engine);
		whole = cache / s->context < o.seqs ? cache / s->context : o.seqs;
		if ((bytes = engine_bytes(&s->m, &o, err)) < 0)
			return -1;
		buf_fmt(b, "weights\t%lld\tbytes\nengine\t%lld\tbytes\n",
		    (long long)weight_bytes(&s->m.params), (long long)bytes);
		buf_fmt(b, "cache\t%lld\ttokens\ntexts\t%lld\tat once\n"
		    "full\t%lld\ttexts of the whole context at once\n", (long long)cache,
		    (long long)o.seqs, (long long)whole);
	}
	buf_fmt(b, "context\t%lld\ttokens\n", (long long)s->context);
	return buf_ok(b, err);
}

void
served_close(struct served *s)
{
	if (s == NULL)
		return;
	encoder_free(s->encoder);
	embed_close(s->embedder);
	grammars_free(s->grammars);
	scheduler_free(s->scheduler);
	draft_free(s->draft);
	engine_free(s->engine);
	template_free(s->template);
	tokenizer_free(s->tok);
	model_free(&s->m);
	adapters_free(s->adapters);
	free(s);
}
