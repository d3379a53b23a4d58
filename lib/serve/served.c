#include "serve/served.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hash.h"
#include "model/chat.h"

static int64_t
context_of(const struct config *c, const struct served_options *o)
{
	return o->context > 0 && o->context < c->context ? o->context : c->context;
}

static struct engine_options
settings(const struct served_options *o, int64_t context)
{
	struct engine_options e = { .pass = o->pass, .seqs = o->parallel, .kv = o->kv,
	    .keep = true, .spill = o->spill, .spill_disk = o->spill_disk,
	    .spill_dir = o->spill_dir, .warn = o->warn, .warn_ctx = o->ctx };

	if (o->lookup > 0)
		e.rows = draft_rows(o->parallel);
	e.cache = o->cache > 0 ? o->cache :
	    o->parallel * 2048 > context ? o->parallel * 2048 : context;
	return e;
}

/* ---- what tells files from others ---- */

static void
stamp_file(uint64_t *stamp, const char *name, const struct stat *st)
{
	const int64_t id[] = { (int64_t)st->st_dev, (int64_t)st->st_ino, st->st_size,
	    st->st_mtim.tv_sec, st->st_mtim.tv_nsec };

	/* In any order. */
	*stamp += hash64_seed((str){ (const char *)id, sizeof(id) }, hash64(str_of(name)));
}

/* A file, or the files of a directory. */
static void
stamp_path(uint64_t *stamp, const char *path)
{
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		stamp_file(stamp, path, &st);
	if ((d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			stamp_file(stamp, e->d_name, &st);
	closedir(d);
}

uint64_t
served_stamp(const struct served *s)
{
	uint64_t stamp = 0;

	stamp_path(&stamp, s->path);
	for (int i = 0; i < s->o.n_adapters; i++)
		stamp_path(&stamp, s->o.adapter[i].dir);
	if (s->o.draft != NULL)
		stamp_path(&stamp, s->o.draft);
	return stamp;
}

/* ---- adapters ---- */

int
served_adapter(const struct served *s, str name)
{
	for (int i = 0; i < s->o.n_adapters; i++)
		if (str_eq(s->o.adapter[i].name, name))
			return i + 1;
	return 0;
}

str
served_adapter_name(const struct served *s, int number)
{
	return s->o.adapter[number - 1].name;
}

static int
open_adapters(const struct served *s, struct adapters **a, struct err *err)
{
	*a = NULL;
	if (s->o.n_adapters == 0)
		return 0;
	return (*a = adapters_open(s->o.adapter, s->o.n_adapters, err)) == NULL ? -1 : 0;
}

/* ---- what requests are read with ---- */

/* What the template says of calls.  A model that was not taught them is told. */
static void
read_template(struct served *s)
{
	str source = template_source(s->template);

	s->knows_tools = memmem(source.p, (size_t)source.n, "tools", 5) != NULL;
	s->calls = s->knows_tools ? calls_format(source) : CALLS_JSON;
	s->special = calls_special(s->calls, s->tok);
}

/* Its sizes, and the memory that it takes. */
static int
look_at_model(const struct served *s, struct config *c, struct served_size *size, struct err *err)
{
	struct engine_options e;
	struct model m = { 0 };
	struct adapters *a;
	int ret = -1;

	if (open_adapters(s, &a, err) == 0) {
		m.adapters = a;
		if (model_open(&m, s->path, err) == 0 &&
		    (size->weights = model_weights(&m, err)) >= 0) {
			*c = m.config;
			e = settings(&s->o, context_of(c, &s->o));
			size->engine = engine_bytes(&m, &e, err);
			ret = size->engine < 0 ? -1 : engine_spill(&m, &e, &size->spilled, err);
		}
	}
	model_free(&m);
	adapters_free(a);
	return ret;
}

/* What its draft takes besides. */
static int
look_at_draft(const struct served *s, struct served_size *size, struct err *err)
{
	struct engine_options e = settings(&s->o, s->context);
	int64_t weights, engine;

	if (s->o.draft == NULL)
		return 0;
	if (draft_model_size(s->o.draft, s->tok, e.seqs, e.cache, &weights, &engine, err) < 0)
		return -1;
	size->weights += weights;
	size->engine += engine;
	return 0;
}

static int
open_writer(struct served *s, struct err *err)
{
	struct config c;

	if (look_at_model(s, &c, &s->size, err) < 0 ||
	    (s->config = config_write(&c, err)) == NULL ||
	    (s->tok = model_tokenizer(s->path, err)) == NULL ||
	    (s->encoder = encoder_new(s->tok, err)) == NULL)
		return -1;
	if (tokenizer_vocab(s->tok) > c.vocab)
		return err_set(err, ERR_FORMAT, "%s: the tokenizer has %d tokens, the model %lld",
		    s->path, tokenizer_vocab(s->tok), (long long)c.vocab);
	s->context = context_of(&c, &s->o);
	if (draft_check(&c, err) < 0) {
		if (s->o.draft != NULL)
			return err_wrap(err, "%s", s->path);
		s->o.lookup = 0;
	}
	if (look_at_draft(s, &s->size, err) < 0)
		return -1;
	if ((s->template = template_load(s->path, NULL, &s->no_template)) != NULL)
		read_template(s);
	return 0;
}

static struct embedder *
declare_embedder(const struct served *s, struct served_size *size, struct err *err)
{
	const struct embed_options o = { .pooling = POOL_AUTO, .normalize = -1 };
	struct embedder *e = embed_declare(s->path, &o, err);

	/* What a pass takes is little, and not told apart. */
	if (e != NULL && (size->weights = embed_bytes(e, err)) < 0) {
		embed_close(e);
		return NULL;
	}
	size->engine = 0;
	return e;
}

static int
open_embedder(struct served *s, struct err *err)
{
	if ((s->embedder = declare_embedder(s, &s->size, err)) == NULL)
		return -1;
	embed_unload(s->embedder);
	s->context = embed_settings(s->embedder)->most;
	s->encoder = encoder_new(embed_tokenizer(s->embedder), err);
	return s->encoder == NULL ? -1 : 0;
}

struct served *
served_open(const char *name, const char *path, const struct served_options *o,
    struct err *err)
{
	struct served *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->name = name;
	s->path = path;
	s->o = *o;
	s->created = (int64_t)time(NULL);
	s->size.stamp = served_stamp(s);
	if ((o->vectors ? open_embedder(s, err) : open_writer(s, err)) < 0) {
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
	served_unload(s);
	encoder_free(s->encoder);
	embed_close(s->embedder);
	template_free(s->template);
	tokenizer_free(s->tok);
	json_decref(s->config);
	free(s);
}

/* ---- are they the same still? ---- */

static bool
same_template(const struct served *s)
{
	struct err ignored;
	struct template *t = template_load(s->path, NULL, &ignored);
	bool same = (t == NULL) == (s->template == NULL) &&
	    (t == NULL || template_fingerprint(t) == template_fingerprint(s->template));

	template_free(t);
	return same;
}

static bool
same_tokenizer(const struct tokenizer *a, const struct tokenizer *b)
{
	hash128 x = tokenizer_fingerprint(a), y = tokenizer_fingerprint(b);

	return memcmp(&x, &y, sizeof(x)) == 0;
}

static int
look_at_writer(const struct served *s, struct served_size *size, struct err *err)
{
	struct tokenizer *tok = NULL;
	json_t *config = NULL;
	struct config c;
	int ret = -1;

	if (look_at_model(s, &c, size, err) == 0 && (config = config_write(&c, err)) != NULL &&
	    (tok = model_tokenizer(s->path, err)) != NULL)
		ret = json_equal(config, s->config) && same_tokenizer(tok, s->tok) &&
		    same_template(s) ? 0 : err_set(err, ERR_FORMAT, "%s: it is another model "
		    "now, or has another tokenizer or template: start anew", s->path);
	if (ret == 0)
		ret = look_at_draft(s, size, err);
	tokenizer_free(tok);
	json_decref(config);
	return ret;
}

static int
look_at_embedder(const struct served *s, struct served_size *size, struct err *err)
{
	struct embedder *e = declare_embedder(s, size, err);
	bool same = e != NULL && embed_width(e) == embed_width(s->embedder) &&
	    memcmp(embed_settings(e), embed_settings(s->embedder),
	    sizeof(struct embed_options)) == 0 &&
	    same_tokenizer(embed_tokenizer(e), embed_tokenizer(s->embedder));

	if (e != NULL && !same)
		err_set(err, ERR_FORMAT, "%s: it is another model now: start anew", s->path);
	embed_close(e);
	return same ? 0 : -1;
}

int
served_look(const struct served *s, struct served_size *size, struct err *err)
{
	size->stamp = served_stamp(s);
	return s->embedder != NULL ? look_at_embedder(s, size, err) :
	    look_at_writer(s, size, err);
}

/* ---- what computes ---- */

static int
load_writer(struct served *s, const atomic_bool *stop, struct err *err)
{
	struct engine_options e = settings(&s->o, s->context);

	if (open_adapters(s, &s->adapters, err) < 0)
		return -1;
	s->m.adapters = s->adapters;
	if (model_load(&s->m, s->path, s->dev, false, err) < 0 ||
	    (s->engine = engine_new(&s->m, &e, err)) == NULL ||
	    (s->scheduler = scheduler_new(s->engine, s->tok, err)) == NULL ||
	    (s->grammars = grammars_new(s->tok, &s->m.config, err)) == NULL)
		return -1;
	if (s->o.draft != NULL)
		s->draft = draft_model(s->o.draft, s->dev, s->tok, e.seqs, e.cache, s->o.lookup,
		    err);
	else if (s->o.lookup > 0)
		s->draft = draft_lookup(s->o.lookup, err);
	if (s->draft != NULL)
		scheduler_guess(s->scheduler, s->draft);
	else if (s->o.lookup > 0)
		return -1;
	model_touch(&s->m, stop);
	return 0;
}

int
served_load(struct served *s, const atomic_bool *stop, struct err *err)
{
	if ((s->dev = dev_open(s->o.device, s->o.team, 0, err)) == NULL)
		return -1;
	if (s->embedder == NULL)
		return load_writer(s, stop, err);
	if (embed_load(s->embedder, s->dev, err) < 0)
		return -1;
	embed_touch(s->embedder, stop);
	return 0;
}

void
served_unload(struct served *s)
{
	if (s->embedder != NULL)
		embed_unload(s->embedder);
	grammars_free(s->grammars);
	scheduler_free(s->scheduler);
	draft_free(s->draft);
	engine_free(s->engine);
	model_free(&s->m);
	adapters_free(s->adapters);
	dev_close(s->dev);
	s->grammars = NULL;
	s->scheduler = NULL;
	s->draft = NULL;
	s->engine = NULL;
	s->adapters = NULL;
	s->dev = NULL;
	/* Of what lay in small pieces too, the system has back what it can. */
	malloc_trim(0);
}

/* ---- what it takes ---- */

int
served_describe(const struct served *s, struct buf *b, struct err *err)
{
	struct engine_options e = settings(&s->o, s->context);
	int64_t whole = e.cache / s->context < e.seqs ? e.cache / s->context : e.seqs;
	const struct engine_offloaded *beyond = &s->size.spilled;

	buf_fmt(b, "model\t%s\nweights\t%lld\tbytes\n", s->name, (long long)s->size.weights);
	if (s->embedder == NULL)
		buf_fmt(b, "engine\t%lld\tbytes\ncache\t%lld\ttokens\n"
		    "texts\t%lld\tat once\nfull\t%lld\ttexts of the whole context at once\n",
		    (long long)s->size.engine, (long long)e.cache, (long long)e.seqs,
		    (long long)whole);
	if (beyond->memory > 0)
		buf_fmt(b, "spill\t%lld\tbytes, of the engine's\nspill-disk\t%lld\tbytes\n"
		    "spilled\t%lld\ttokens beyond the cache, at most\n",
		    (long long)(beyond->memory * beyond->block_bytes),
		    (long long)(beyond->disk * beyond->block_bytes),
		    (long long)((beyond->memory + beyond->disk) * CACHE_BLOCK));
	buf_fmt(b, "context\t%lld\ttokens\n", (long long)s->context);
	return buf_ok(b, err);
}
