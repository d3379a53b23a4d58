#include "token/tallies.h"

#include <stdlib.h>

#include "base/json.h"
#include "text/script.h"
#include "text/unicode.h"
#include "token/tokenizer_impl.h"

struct tally {
	int64_t	bytes, chars, words, tokens;
};

struct language {
	char		*name;
	int64_t		 n;
	struct tally	 tally[TALLIES_MOST];
};

/* How one tokenizer fares. */
struct fares {
	const struct tokenizer *t;
	struct encoder	*encoder;
	uint8_t		*used;		/* by id */
	struct tally	 all, script[SCRIPT_MAX];
};

struct tallies {
	int		 n;
	struct fares	 of[TALLIES_MOST];
	struct language	*language;
	int		 nlanguages;
	struct ids	 ids;
	uint8_t		*script;	/* of each byte of the text: that of its token */
	int64_t		 cap;
};

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

struct tallies *
tallies_new(const struct tokenizer *const *t, int n, struct err *err)
{
	struct tallies *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		no_memory(err);
		return NULL;
	}
	for (r->n = 0; r->n < n; r->n++) {
		struct fares *f = &r->of[r->n];

		f->t = t[r->n];
		f->used = calloc((size_t)tokenizer_vocab(f->t) + 1, 1);
		f->encoder = encoder_new(f->t, err);
		if (f->used == NULL)
			no_memory(err);
		if (f->used == NULL || f->encoder == NULL) {
			r->n++;
			tallies_free(r);
			return NULL;
		}
	}
	return r;
}

void
tallies_free(struct tallies *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < r->n; i++) {
		encoder_free(r->of[i].encoder);
		free(r->of[i].used);
	}
	for (int i = 0; i < r->nlanguages; i++)
		free(r->language[i].name);
	free(r->language);
	ids_free(&r->ids);
	free(r->script);
	free(r);
}

static void
add_tally(struct tally *to, const struct tally *from)
{
	to->bytes += from->bytes;
	to->chars += from->chars;
	to->words += from->words;
	to->tokens += from->tokens;
}

/* The language with this name, which is made; NULL: no memory. */
static struct language *
language_of(struct tallies *r, str name, struct err *err)
{
	struct language *l;
	char *copy;

	if (r->nlanguages >= TALLIES_LANGUAGES)
		name = S("other");
	for (int i = 0; i < r->nlanguages; i++)
		if (str_eq((str){ r->language[i].name, r->language[i].n }, name))
			return &r->language[i];
	l = realloc(r->language, (size_t)(r->nlanguages + 1) * sizeof(*l));
	copy = malloc((size_t)name.n + 1);
	if (l != NULL)
		r->language = l;
	if (l == NULL || copy == NULL) {
		free(copy);
		no_memory(err);
		return NULL;
	}
	memcpy(copy, name.p, (size_t)name.n);
	l += r->nlanguages++;
	*l = (struct language){ .name = copy, .n = name.n };
	return l;
}

/* ---- a text ---- */

static bool
has_script(int script)
{
	return script != SCRIPT_COMMON && script != SCRIPT_INHERITED;
}

/* Count characters and words, and mark each byte with its character's script. */
static void
count_text(struct tallies *r, const uint8_t *script, str text, struct tally *all,
    struct tally by[SCRIPT_MAX])
{
	const char *p = text.p, *end = p + text.n;
	int word = -1;			/* the script of the word that p is in */

	while (p < end) {
		const char *was = p;
		int32_t c = utf8_next(&p, end);
		int s = script[c];
		bool space = (uni_class(c) & UNI_SPACE) != 0;

		memset(r->script + (was - text.p), s, (size_t)(p - was));
		by[s].bytes += p - was;
		by[s].chars++;
		all->chars++;
		if (!space && (word < 0 || (!has_script(word) && has_script(s))))
			word = s;
		if (word >= 0 && (space || p == end)) {
			by[word].words++;
			all->words++;
			word = -1;
		}
	}
	all->bytes = text.n;
}

/* The script of the token that spells these bytes of the text. */
static int
token_script(const struct tallies *r, ptrdiff_t at, ptrdiff_t n)
{
	for (ptrdiff_t i = 0; i < n; i++)
		if (has_script(r->script[at + i]))
			return r->script[at + i];
	return n > 0 ? r->script[at] : SCRIPT_COMMON;
}

/* Tokens by script.  False when they do not spell the text. */
static bool
spell(const struct tallies *r, const struct fares *f, str text, int64_t tokens[SCRIPT_MAX])
{
	ptrdiff_t at = 0;

	for (int64_t i = 0; i < r->ids.n; i++) {
		str b = f->t->bytes[r->ids.id[i]];

		/* A space that comes before each text. */
		if (i == 0 && f->t->sentence.prefix && b.n > 0 && b.p[0] == ' ' &&
		    (text.n == 0 || text.p[0] != ' '))
			b = (str){ b.p + 1, b.n - 1 };
		if (b.n > text.n - at || memcmp(b.p, text.p + at, (size_t)b.n) != 0)
			return false;
		tokens[token_script(r, at, b.n)]++;
		at += b.n;
	}
	return at == text.n;
}

/* Encode the text, whose other counts are known. */
static int
count_tokens(struct tallies *r, int k, str text, const struct tally *all,
    const struct tally by[SCRIPT_MAX], struct language *l, struct err *err)
{
	struct fares *f = &r->of[k];
	struct tally sum = *all;
	int64_t tokens[SCRIPT_MAX] = { 0 };
	int most = SCRIPT_COMMON;

	r->ids.n = 0;
	if (encode(f->encoder, text, ENCODE_CHECKED, &r->ids, err) < 0)
		return -1;
	for (int64_t i = 0; i < r->ids.n; i++)
		f->used[r->ids.id[i]] = 1;
	if (!spell(r, f, text, tokens)) {
		memset(tokens, 0, sizeof(tokens));
		for (int s = 0; s < SCRIPT_MAX; s++)
			if (has_script(s) && by[s].bytes > (has_script(most) ? by[most].bytes : 0))
				most = s;
		tokens[most] = r->ids.n;
	}
	for (int s = 0; s < SCRIPT_MAX; s++) {
		add_tally(&f->script[s], &by[s]);
		f->script[s].tokens += tokens[s];
	}
	sum.tokens = r->ids.n;
	add_tally(&f->all, &sum);
	if (l != NULL)
		add_tally(&l->tally[k], &sum);
	return 0;
}

int
tallies_text(struct tallies *r, const uint8_t *script, str text, str language, struct err *err)
{
	struct tally all = { 0 }, by[SCRIPT_MAX] = { { 0 } };
	struct language *l = NULL;

	if (text.n > r->cap) {
		free(r->script);
		r->cap = 0;
		if ((r->script = malloc((size_t)text.n)) == NULL)
			return no_memory(err);
		r->cap = text.n;
	}
	if (language.p != NULL && (l = language_of(r, language, err)) == NULL)
		return -1;
	count_text(r, script, text, &all, by);
	for (int k = 0; k < r->n; k++)
		if (count_tokens(r, k, text, &all, by, l, err) < 0)
			return -1;
	return 0;
}

int
tallies_add(struct tallies *r, const struct tallies *from, struct err *err)
{
	for (int k = 0; k < r->n; k++) {
		struct fares *f = &r->of[k];

		add_tally(&f->all, &from->of[k].all);
		for (int s = 0; s < SCRIPT_MAX; s++)
			add_tally(&f->script[s], &from->of[k].script[s]);
		for (int32_t i = 0; i < tokenizer_vocab(f->t); i++)
			f->used[i] |= from->of[k].used[i];
	}
	for (int i = 0; i < from->nlanguages; i++) {
		const struct language *x = &from->language[i];
		struct language *l = language_of(r, (str){ x->name, x->n }, err);

		if (l == NULL)
			return -1;
		for (int k = 0; k < r->n; k++)
			add_tally(&l->tally[k], &x->tally[k]);
	}
	return 0;
}

/* ---- writing ---- */

struct sink {
	struct buf	*out;
	bool		 json;
	const char	*name;		/* of the tokenizer */
	const char	*comma;		/* before the next member */
};

static void
put_ratio(struct sink *s, const char *key, int64_t a, int64_t b)
{
	const char *none = s->json ? "null" : "-";

	buf_add(s->out, str_of(s->json ? key : "\t"));
	if (b == 0)
		buf_add(s->out, str_of(none));
	else
		buf_fmt(s->out, "%.4f", (double)a / (double)b);
}

static void
put_tally(struct sink *s, const char *group, str name, const struct tally *t)
{
	if (s->json) {
		buf_fmt(s->out, "%s\n      ", s->comma);
		json_quote(s->out, name);
		buf_fmt(s->out, ": {\"bytes\": %lld, \"characters\": %lld, \"words\": %lld, "
		    "\"tokens\": %lld", (long long)t->bytes, (long long)t->chars,
		    (long long)t->words, (long long)t->tokens);
		s->comma = ",";
	} else {
		buf_fmt(s->out, "%s\t%s\t", s->name, group);
		for (ptrdiff_t i = 0; i < name.n; i++)
			buf_byte(s->out, (uint8_t)name.p[i] < ' ' ? '?' : name.p[i]);
		buf_fmt(s->out, "\t%lld\t%lld\t%lld\t%lld", (long long)t->bytes,
		    (long long)t->chars, (long long)t->words, (long long)t->tokens);
	}
	put_ratio(s, ", \"bytes_per_token\": ", t->bytes, t->tokens);
	put_ratio(s, ", \"tokens_per_word\": ", t->tokens, t->words);
	buf_byte(s->out, s->json ? '}' : '\n');
}

static int
by_name(const void *a, const void *b)
{
	const struct language *x = a, *y = b;
	int d = memcmp(x->name, y->name, (size_t)(x->n < y->n ? x->n : y->n));

	return d != 0 ? d : (x->n > y->n) - (x->n < y->n);
}

static void
put_group(struct sink *s, const char *group, bool begin)
{
	if (s->json && begin)
		buf_fmt(s->out, ",\n    \"%s\": {", group);
	else if (s->json)
		buf_add(s->out, S("\n    }"));
	s->comma = "";
}

static void
put_tallies(struct sink *s, const struct tallies *r, int k)
{
	const struct fares *f = &r->of[k];

	put_group(s, "all", true);
	put_tally(s, "all", S("all"), &f->all);
	put_group(s, "all", false);
	put_group(s, "languages", true);
	for (int i = 0; i < r->nlanguages; i++)
		put_tally(s, "language", (str){ r->language[i].name, r->language[i].n },
		    &r->language[i].tally[k]);
	put_group(s, "languages", false);
	put_group(s, "scripts", true);
	for (int i = 0; script_name(i) != NULL; i++)
		if (f->script[i].bytes > 0 || f->script[i].tokens > 0)
			put_tally(s, "script", str_of(script_name(i)), &f->script[i]);
	put_group(s, "scripts", false);
}

/* The tokens that no text had, and of them those that none can have; JSON lists them. */
static int
put_tokens(struct sink *s, struct tallies *r, struct fares *f, bool unreachable, struct err *err)
{
	int64_t n = 0;

	if (s->json)
		buf_fmt(s->out, ",\n    \"%s\": [", unreachable ? "unreachable" : "unused");
	for (int32_t i = 0; i < f->t->n; i++) {
		int got = 0;

		if (f->used[i] || f->t->kind[i] == 0 || tokenizer_is_special(f->t, i))
			continue;
		if (unreachable && (got = token_reachable(f->t, f->encoder, i, &r->ids, err)) == -2)
			return -1;
		if (got != 0)
			continue;
		if (s->json)
			buf_fmt(s->out, "%s%d", n > 0 ? ", " : "", (int)i);
		n++;
	}
	if (s->json)
		buf_byte(s->out, ']');
	else
		buf_fmt(s->out, "%s\tvocabulary\t%s\t-\t-\t-\t%lld\t-\t-\n", s->name,
		    unreachable ? "unreachable" : "unused", (long long)n);
	return 0;
}

int
tallies_write(struct tallies *r, const char *const *name, bool json, struct buf *out,
    struct err *err)
{
	struct sink s = { .out = out, .json = json };

	if (r->nlanguages > 0)
		qsort(r->language, (size_t)r->nlanguages, sizeof(*r->language), by_name);
	buf_add(out, json ? S("{\"tokenizers\": [") : S("tokenizer\tgroup\tname\tbytes\tcharacters"
	    "\twords\ttokens\tbytes_per_token\ttokens_per_word\n"));
	for (int k = 0; k < r->n; k++) {
		s.name = name[k];
		if (json) {
			buf_fmt(out, "%s\n  {\"name\": ", k > 0 ? "," : "");
			json_quote(out, str_of(name[k]));
			buf_fmt(out, ",\n    \"vocab\": %d", (int)r->of[k].t->n);
		}
		put_tallies(&s, r, k);
		if (!json)
			buf_fmt(out, "%s\tvocabulary\tsize\t-\t-\t-\t%d\t-\t-\n", name[k],
			    (int)r->of[k].t->n);
		if (put_tokens(&s, r, &r->of[k], false, err) < 0 ||
		    put_tokens(&s, r, &r->of[k], true, err) < 0)
			return -1;
		if (json)
			buf_byte(out, '}');
	}
	if (json)
		buf_add(out, S("\n]}\n"));
	return buf_ok(out, err);
}
