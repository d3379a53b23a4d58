#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/number.h"
#include "base/stream.h"
#include "serve/guard_impl.h"

#define WORDS		((ptrdiff_t)16 << 20)	/* bytes of a file of words */
#define PHRASE_MAX	256			/* bytes of a line of it */
#define ARGUMENTS	64			/* of a program */
#define SECONDS		10			/* that a program has */

/* The index of s among n names, or -1. */
static int
choice(str s, const char *const *name, int n)
{
	int i = n - 1;

	while (i >= 0 && !str_eq(s, str_of(name[i])))
		i--;
	return i;
}

/* What stands behind the last slash. */
static str
base_name(str path)
{
	const char *slash = path.n > 0 ? memrchr(path.p, '/', (size_t)path.n) : NULL;

	return slash == NULL ? path : (str){ slash + 1, path.p + path.n - slash - 1 };
}

static int
set_name(struct guard_rule *r, str name, struct err *err)
{
	if (name.n > GUARD_NAME)
		return err_set(err, ERR_LIMIT, "a name of more than %d bytes", GUARD_NAME);
	for (ptrdiff_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || strchr("<>\"\\\x7f", name.p[i]) != NULL)
			return err_set(err, ERR_FORMAT, "a name has no < > \" and \\");
	if (utf8_bad(name) >= 0)
		return err_set(err, ERR_FORMAT, "the name is not UTF-8");
	memcpy(r->name, name.p, (size_t)name.n);
	r->name[name.n] = '\0';
	return 0;
}

static int
nothing_more(str rest, struct err *err)
{
	str word = str_word(&rest);

	return word.n == 0 ? 0 :
	    err_set(err, ERR_FORMAT, "'%.*s' is too much", STR_ARG(word));
}

/* ---- the kinds ---- */

/* /regex/flags name: a slash in it has a \ before it. */
static int
parse_pattern(struct guard_rule *r, str rest, struct err *err)
{
	static const struct {
		char letter;
		uint32_t option;
	} flags[] = { { 'i', PCRE2_CASELESS }, { 'm', PCRE2_MULTILINE }, { 's', PCRE2_DOTALL },
		{ 'x', PCRE2_EXTENDED } };
	str s = str_trim(rest), word;
	uint32_t options = 0;
	ptrdiff_t n = 1;

	while (n < s.n && s.p[n] != '/')
		n += s.p[n] == '\\' ? 2 : 1;
	if (s.n == 0 || s.p[0] != '/' || n >= s.n)
		return err_set(err, ERR_FORMAT, "a pattern stands between slashes");
	rest = (str){ s.p + n + 1, s.n - n - 1 };
	word = rest.n > 0 && (unsigned char)rest.p[0] > ' ' ? str_word(&rest) : (str){ "", 0 };
	for (ptrdiff_t i = 0; i < word.n; i++) {
		size_t k = 0;

		while (k < 4 && flags[k].letter != word.p[i])
			k++;
		if (k == 4)
			return err_set(err, ERR_FORMAT, "'%.*s' are not of the flags imsx",
			    STR_ARG(word));
		options |= flags[k].option;
	}
	word = str_word(&rest);
	if ((word.n > 0 && set_name(r, word, err) < 0) || nothing_more(rest, err) < 0)
		return -1;
	r->code = guard_compile((str){ s.p + 1, n - 1 }, options, err);
	return r->code == NULL ? -1 : 0;
}

static int
parse_pii(struct guard_rule *r, str rest, struct err *err)
{
	str names = str_word(&rest);

	if (pii_select(&r->pii, names.n > 0 ? names : S("all"), err) < 0 ||
	    set_name(r, S("pii"), err) < 0)
		return -1;
	return nothing_more(rest, err);
}

static int
parse_words(struct guard_rule *r, str rest, struct err *err)
{
	str file = str_word(&rest);

	if (file.n == 0)
		return err_set(err, ERR_FORMAT, "the file of words is missing");
	if ((r->file = strndup(file.p, (size_t)file.n)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return set_name(r, base_name(file), err) < 0 ? -1 : nothing_more(rest, err);
}

static int
parse_program(struct guard_rule *r, str rest, struct err *err)
{
	str word[ARGUMENTS];
	char seconds[32];
	double timeout = SECONDS;
	bool pass = false;
	int n = 0;

	while ((word[n] = str_word(&rest)).n > 0) {
		if (n == 0 && str_starts(word[n], S("timeout="))) {
			str value = { word[n].p + 8, word[n].n - 8 };

			if (value.n >= (ptrdiff_t)sizeof(seconds))
				return err_set(err, ERR_FORMAT, "the timeout is no time");
			memcpy(seconds, value.p, (size_t)value.n);
			seconds[value.n] = '\0';
			if (number_seconds(seconds, &timeout, err) < 0)
				return -1;
			if (!(timeout > 0) || timeout > 3600)
				return err_set(err, ERR_FORMAT, "the timeout is at most an hour");
		} else if (n == 0 && str_starts(word[n], S("on-error="))) {
			pass = str_eq(word[n], S("on-error=pass"));
			if (!pass && !str_eq(word[n], S("on-error=block")))
				return err_set(err, ERR_FORMAT, "on-error= is block or pass");
		} else if (++n == ARGUMENTS) {
			return err_set(err, ERR_LIMIT, "a program with more than %d arguments",
			    ARGUMENTS - 2);
		}
	}
	if (n == 0)
		return err_set(err, ERR_FORMAT, "the program is missing");
	if (set_name(r, base_name(word[0]), err) < 0 ||
	    (r->program = guard_program_new(word, n, err)) == NULL)
		return -1;
	r->program->timeout = timeout;
	r->program->pass = pass;
	return 0;
}

/* ---- a file ---- */

static int
parse_line(struct guard_rule *r, str line, struct err *err)
{
	static const char *const sides[] = { "request", "response", "both" };
	static const char *const kinds[] = { "pattern", "pii", "words", "program" };
	static int (*const parse[])(struct guard_rule *, str, struct err *) = {
		parse_pattern, parse_pii, parse_words, parse_program,
	};
	str word = str_word(&line);
	int side = choice(word, sides, 3), action, kind;

	if (side < 0)
		return err_set(err, ERR_FORMAT, "'%.*s' is none of request, response, both",
		    STR_ARG(word));
	word = str_word(&line);
	if ((action = choice(word, guard_action_name, 3)) < 0)
		return err_set(err, ERR_FORMAT, "'%.*s' is none of block, redact, flag",
		    STR_ARG(word));
	word = str_word(&line);
	if ((kind = choice(word, kinds, 4)) < 0)
		return err_set(err, ERR_FORMAT, "'%.*s' is none of pattern, pii, words, program",
		    STR_ARG(word));
	r->sides = (unsigned)side + 1;
	r->action = (enum guard_action)action;
	r->kind = (enum guard_kind)kind;
	return parse[kind](r, line, err);
}

static int
add_rule(struct guards *g, str line, int number, struct err *err)
{
	struct guard_rule *r;

	if (g->n == GUARD_RULES)
		return err_set(err, ERR_LIMIT, "more than %d rules", GUARD_RULES);
	if (g->n == g->cap) {
		int cap = g->cap * 2 + 16;

		if ((r = realloc(g->rule, (size_t)cap * sizeof(*r))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		g->rule = r;
		g->cap = cap;
	}
	r = &g->rule[g->n++];
	*r = (struct guard_rule){ .line = number };
	snprintf(r->name, sizeof(r->name), "rule-%d", number);
	return parse_line(r, line, err);
}

struct guards *
guards_parse(str file, const char *name, struct err *err)
{
	struct guards *g = calloc(1, sizeof(*g));
	int number = 0;

	if (g == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	g->refs = 1;
	while (file.p != NULL && file.n > 0) {
		str line = str_trim(str_cut(&file, '\n'));

		number++;
		if (line.n == 0 || line.p[0] == '#' || add_rule(g, line, number, err) == 0)
			continue;
		err_wrap(err, "%s:%d", name, number);
		guards_free(g);
		return NULL;
	}
	return g;
}

/* ---- what a file names ---- */

static int
add_phrases(struct buf *phrases, str file, struct err *err)
{
	int64_t number = 0;

	while (file.p != NULL && file.n > 0) {
		str line = str_trim(str_cut(&file, '\n'));

		number++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (line.n > PHRASE_MAX)
			return err_set(err, ERR_LIMIT, "line %lld: more than %d bytes",
			    (long long)number, PHRASE_MAX);
		if (utf8_bad(line) >= 0)
			return err_set(err, ERR_FORMAT, "line %lld: not UTF-8", (long long)number);
		buf_add(phrases, (str){ (const char *)&line, sizeof(line) });
	}
	return buf_ok(phrases, err);
}

static int
read_words(struct guard_rule *r, struct err *err)
{
	struct arena a = { 0 };
	struct buf phrases = { 0 };
	str file;

	if (arena_init(&a, 2 * WORDS, err) < 0)
		return -1;
	file = file_slurp(&a, r->file, WORDS, err);
	if (file.p != NULL && add_phrases(&phrases, file, err) < 0)
		err_wrap(err, "%s", r->file);
	else if (file.p != NULL)
		r->words = automaton_new((const str *)(void *)phrases.p,
		    phrases.n / (ptrdiff_t)sizeof(str), err);
	buf_free(&phrases);
	arena_free(&a);
	return r->words == NULL ? -1 : 0;
}

struct guards *
guards_load(const char *path, struct err *err)
{
	struct arena a = { 0 };
	struct guards *g = NULL;
	str file;

	if (arena_init(&a, 2 * GUARD_BYTES, err) < 0)
		return NULL;
	if ((file = file_slurp(&a, path, GUARD_BYTES, err)).p != NULL)
		g = guards_parse(file, path, err);
	arena_free(&a);
	for (int i = 0; g != NULL && i < g->n; i++) {
		struct guard_rule *r = &g->rule[i];

		if ((r->kind == GUARD_WORDS && read_words(r, err) < 0) ||
		    (r->kind == GUARD_PROGRAM && guard_program_start(r->program, err) < 0)) {
			err_wrap(err, "%s:%d", path, r->line);
			guards_free(g);
			g = NULL;
		}
	}
	return g;
}

struct guards *
guards_share(struct guards *g)
{
	if (g != NULL)
		g->refs++;
	return g;
}

void
guards_free(struct guards *g)
{
	if (g == NULL || --g->refs > 0)
		return;
	for (int i = 0; i < g->n; i++) {
		pcre2_code_free(g->rule[i].code);
		automaton_free(g->rule[i].words);
		guard_program_free(g->rule[i].program);
		free(g->rule[i].file);
	}
	free(g->rule);
	free(g);
}
