#include <ctype.h>
#include <glob.h>
#include <math.h>
#include <stdlib.h>

#include "base/stream.h"
#include "text/blend_impl.h"

#define FILE_MAX	((ptrdiff_t)64 << 20)

/* "name=" and a number or nothing: a source begins.  Its name, or p NULL. */
static str
source_name(const char *word)
{
	const char *eq = strchr(word, '=');

	if (eq == NULL || eq == word)
		return (str){ NULL, 0 };
	for (const char *p = word; p < eq; p++)
		if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			return (str){ NULL, 0 };
	if (eq[1] != '\0' && eq[1] != '.' && eq[1] != ':' && !isdigit((unsigned char)eq[1]))
		return (str){ NULL, 0 };
	return (str){ word, eq - word };
}

static int
no_weight(const char *word, struct err *err)
{
	return err_set(err, ERR_ARG, "%s: a weight is 0.5, 0.5,0.2 (one a stage), 0.5:4 (at most "
	    "4 epochs), 2.5x (so often) or nothing (its size)", word);
}

/* A number that is not negative.  Return what is behind it, or NULL. */
static const char *
number(const char *p, double *x)
{
	char *end;

	if (!isdigit((unsigned char)*p) && *p != '.')
		return NULL;
	*x = strtod(p, &end);
	return end == p || !isfinite(*x) ? NULL : end;
}

static int
parse_weights(struct blend_source *s, struct arena *a, const char *word, struct err *err)
{
	const char *p = word + s->name.n + 1;
	double x;

	s->times = s->most = -1;
	s->weight = arena_new(a, double, BLEND_STAGES, err);
	if (s->weight == NULL)
		return -1;
	if (*p == '\0' || *p == ':') {
		s->weight[s->nweights++] = -1;
	} else {
		for (;; p++) {
			if ((p = number(p, &x)) == NULL || s->nweights == BLEND_STAGES)
				return no_weight(word, err);
			s->weight[s->nweights++] = x;
			if (*p != ',')
				break;
		}
		if (strcmp(p, "x") == 0 && s->nweights == 1) {
			s->times = x;
			return 0;
		}
	}
	if (*p == ':' && ((p = number(p + 1, &s->most)) == NULL || s->most == 0))
		return no_weight(word, err);
	return *p == '\0' ? 0 : no_weight(word, err);
}

static struct blend_source *
new_source(struct blend *m, str name, struct err *err)
{
	for (int i = 0; i < m->n; i++)
		if (str_eq(m->source[i].name, name)) {
			err_set(err, ERR_ARG, "%.*s: two sources of this name", STR_ARG(name));
			return NULL;
		}
	if (m->n == BLEND_SOURCES) {
		err_set(err, ERR_LIMIT, "more than %d sources", BLEND_SOURCES);
		return NULL;
	}
	m->source[m->n] = (struct blend_source){ .name = name };
	return &m->source[m->n++];
}

/* Weights of one kind, of each stage.  The number of stages follows from them. */
static int
check_words(struct blend *m, struct err *err)
{
	bool times = m->n > 0 && m->source[0].times >= 0;

	for (int i = 0; i < m->n; i++) {
		const struct blend_source *s = &m->source[i];

		if (s->nfiles == 0)
			return err_set(err, ERR_ARG, "%.*s: no files follow", STR_ARG(s->name));
		if ((s->times >= 0) != times)
			return err_set(err, ERR_ARG, "%.*s: some sources have a weight, others say "
			    "how often (x)", STR_ARG(s->name));
		if (m->stage == NULL && s->nweights > m->nstages)
			m->nstages = s->nweights;
	}
	if (m->nstages == 0)
		m->nstages = 1;
	for (int i = 0; i < m->n; i++)
		if (m->source[i].nweights != 1 && m->source[i].nweights != m->nstages)
			return err_set(err, ERR_ARG, "%.*s: %d weights for %d stages",
			    STR_ARG(m->source[i].name), m->source[i].nweights, m->nstages);
	if (times && (m->wanted > 0 || m->nstages > 1))
		return err_set(err, ERR_ARG, "where sources say how often they are taken (x), the "
		    "whole has neither a size nor stages");
	return 0;
}

/* Words that grow. */
struct words {
	char	**word;
	int	n, cap;
};

static int
add_word(struct words *w, struct arena *a, str word, struct err *err)
{
	str copy = arena_str(a, word, err);

	if (copy.p == NULL)
		return -1;
	if (w->n + 1 >= w->cap) {
		int cap = w->cap > 0 ? 2 * w->cap : 64;
		char **p = arena_new(a, char *, cap, err);

		if (p == NULL)
			return -1;
		if (w->n > 0)
			memcpy(p, w->word, (size_t)w->n * sizeof(*p));
		w->word = p;
		w->cap = cap;
	}
	w->word[w->n++] = (char *)copy.p;
	w->word[w->n] = NULL;
	return 0;
}

/* A word of a file: a source, or files by name or by a pattern. */
static int
add_files(struct words *w, struct arena *a, str word, struct err *err)
{
	str copy = arena_str(a, word, err);
	glob_t found;
	int ret;

	if (copy.p == NULL)
		return -1;
	if (source_name(copy.p).p != NULL || strpbrk(copy.p, "*?[") == NULL)
		return add_word(w, a, copy, err);
	ret = glob(copy.p, 0, NULL, &found);
	if (ret != 0) {
		if (ret != GLOB_NOMATCH)
			return err_set(err, ERR_IO, "cannot look for '%s'", copy.p);
		return err_set(err, ERR_ARG, "no file matches '%s'", copy.p);
	}
	for (size_t i = 0; i < found.gl_pathc && ret == 0; i++)
		ret = add_word(w, a, str_of(found.gl_pathv[i]), err);
	globfree(&found);
	return ret;
}

/* The words of a file.  Return 0 or -1. */
static int
file_words(struct words *w, struct arena *a, const char *path, struct err *err)
{
	str rest = file_slurp(a, path, FILE_MAX, err);

	if (rest.p == NULL)
		return -1;
	for (int line = 1; rest.p != NULL; line++) {
		str left = str_cut(&rest, '\n');

		left = str_cut(&left, '#');
		for (ptrdiff_t i = 0, from; i < left.n;) {
			while (i < left.n && isspace((unsigned char)left.p[i]))
				i++;
			for (from = i; i < left.n && !isspace((unsigned char)left.p[i]);)
				i++;
			if (i > from && add_files(w, a, (str){ left.p + from, i - from }, err) < 0)
				return err_wrap(err, "%s:%d", path, line);
		}
	}
	return w->n > 0 ? 0 : err_set(err, ERR_FORMAT, "%s: no sources", path);
}

int
blend_words(struct blend *m, struct arena *a, const char *path, char **word, struct err *err)
{
	static const char all[] = "all=";
	struct blend_source *s = NULL;
	struct words w = { 0 };

	m->arena = a;
	if (path != NULL && file_words(&w, a, path, err) < 0)
		return -1;
	for (int i = 0; word[i] != NULL; i++)
		if (add_word(&w, a, str_of(word[i]), err) < 0)
			return -1;
	if (w.n == 0 && add_word(&w, a, S("-"), err) < 0)
		return -1;
	m->source = arena_new(a, struct blend_source, BLEND_SOURCES, err);
	if (m->source == NULL)
		return -1;
	for (int i = 0; i < w.n; i++) {
		str name = source_name(w.word[i]);
		bool named = name.p != NULL;

		if (!named && s != NULL) {
			s->nfiles++;
			continue;
		}
		if (!named && m->n > 0)
			return err_set(err, ERR_ARG, "%s: of which source?", w.word[i]);
		if ((s = new_source(m, named ? name : S("all"), err)) == NULL ||
		    parse_weights(s, a, named ? w.word[i] : all, err) < 0)
			return -1;
		s->file = &w.word[i + named];
		s->nfiles = !named;
	}
	return check_words(m, err);
}
