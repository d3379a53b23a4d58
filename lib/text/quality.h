/*
 * quality - the published heuristics that tell prose from what is none
 *
 * Families of rules, each a number with a limit: gopher (quality) and
 * gopher-rep (repetition) of Rae et al., Scaling Language Models (2021), c4 of
 * Raffel et al., JMLR 21 (2020), mc4 of Xue et al. (2021), fineweb of Penedo
 * et al. (2024), as datatrove defines them; lines of Penedo et al., RefinedWeb (2023),
 * as DCLM does; nemo of NeMo Curator, code of BigCode; tokens; words and url, which
 * look in lists of the user's.  Limits are the published ones; lengths are in
 * characters, words are those of english.h.  Two n-grams are the same when their
 * words are.
 *
 * Families are judged in the order they were selected in.  The rules of c4 and lines
 * remove lines and parts of them first and judge what is left, and the families
 * after them judge that too.
 */
#ifndef TEXT_QUALITY_H
#define TEXT_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "text/english.h"

enum quality_rule {
	GOPHER_MIN_WORDS, GOPHER_MAX_WORDS, GOPHER_MIN_MEAN_LENGTH, GOPHER_MAX_MEAN_LENGTH,
	GOPHER_HASHES, GOPHER_ELLIPSES, GOPHER_BULLET_LINES, GOPHER_ELLIPSIS_LINES,
	GOPHER_ALPHA_WORDS, GOPHER_STOP_WORDS,
	REP_PARAGRAPHS, REP_PARAGRAPH_CHARS, REP_LINES, REP_LINE_CHARS,
	REP_TOP_2GRAM, REP_TOP_3GRAM, REP_TOP_4GRAM,
	REP_DUP_5GRAM, REP_DUP_6GRAM, REP_DUP_7GRAM, REP_DUP_8GRAM, REP_DUP_9GRAM, REP_DUP_10GRAM,
	C4_WORD_CHARS, C4_CITATIONS, C4_TERMINAL, C4_LINE_WORDS, C4_LOREM_IPSUM, C4_JAVASCRIPT,
	C4_CURLY_BRACKET, C4_POLICY, C4_SENTENCES,
	MC4_PARAGRAPHS, MC4_PARAGRAPH_CHARS,
	FINEWEB_TERMINAL_LINES, FINEWEB_SHORT_LINES, FINEWEB_SHORT_LINE_CHARS,
	FINEWEB_DUP_LINE_CHARS, FINEWEB_NEWLINES,
	LINES_UPPER, LINES_DIGITS, LINES_COUNTERS, LINES_WORDS, LINES_PHRASES, LINES_NEWLINES,
	LINES_REMOVED,
	NEMO_SYMBOLS, NEMO_DIGITS, NEMO_URLS, NEMO_WHITE, NEMO_BRACKETS, NEMO_BOILERPLATE,
	NEMO_OPEN_SENTENCES, NEMO_WORD_CHARS,
	CODE_MIN_CHARS, CODE_MAX_CHARS, CODE_LINE_CHARS, CODE_MEAN_LINE_CHARS, CODE_ALNUM,
	CODE_MIN_COMMENTS, CODE_MAX_COMMENTS, CODE_XML, CODE_TOKEN_CHARS,
	TOKENS_MIN, TOKENS_MAX,
	WORDS_BAD,
	URL_DOMAINS, URL_PAGES, URL_HARD, URL_SOFT, URL_PARTS,
	QUALITY_RULES
};

enum quality_family {
	FAMILY_GOPHER, FAMILY_REP, FAMILY_C4, FAMILY_MC4, FAMILY_FINEWEB, FAMILY_LINES,
	FAMILY_NEMO, FAMILY_CODE, FAMILY_TOKENS, FAMILY_WORDS, FAMILY_URL,
	QUALITY_FAMILIES
};

#define QUALITY_STOP_SLOTS 256

enum quality_bound {
	BOUND_UPPER,	/* a record with a higher value is dropped */
	BOUND_LOWER,	/* a record with a lower value is dropped */
	BOUND_LINE,	/* a line is removed: the limit, if any, is its own */
	BOUND_EDIT,	/* text is removed; no limit */
	BOUND_PARAMETER	/* no rule, but a number that one uses */
};

struct quality_rule_info {
	const char	*name;		/* family.rule */
	double		 limit;		/* published default */
	enum quality_bound bound;
	const char	*unit;		/* "" without a limit */
	const char	*what;		/* one line */
};
extern const struct quality_rule_info quality_rules[QUALITY_RULES];
extern const char *const quality_bounds[];	/* their names, for people */

/* Lists of the user's that rules look in. */
enum quality_list {
	LIST_BAD, LIST_DOMAINS, LIST_PAGES, LIST_HARD, LIST_SOFT, LIST_PARTS, QUALITY_LISTS
};
struct quality_set;
struct automaton;

/* What is asked of a text.  Read-only once set up, for any thread. */
struct quality {
	bool		 on[QUALITY_RULES];
	/* What a rule's value is called: as the rule, without min- and max-; n 0: as the last. */
	struct quality_name {
		uint8_t	n;
		char	p[39];
	}		 name[QUALITY_RULES];
	double		 limit[QUALITY_RULES];
	int		 family[QUALITY_FAMILIES];	/* in order of selection */
	int		 nfamilies;
	struct english *words;
	/* hashes of stop words, by their low bits */
	uint64_t	 stop[QUALITY_STOP_SLOTS];
	uint8_t		 stop_bit[QUALITY_STOP_SLOTS];
	struct quality_set *list[QUALITY_LISTS];
	struct automaton *places[QUALITY_LISTS];
	uint64_t	 list_hash[QUALITY_LISTS];	/* of the file; 0: none */
	/*
	 * How many tokens text has, or -1; counter is that of the state.  NULL: they
	 * are words.
	 */
	int64_t		(*count)(void *counter, str text, struct err *err);
	uint64_t	 counter_hash;			/* which tokenizer; 0: words */
};

/* Published limits, and no rule selected.  Return 0 or -1. */
int quality_init(struct quality *q, struct err *err);

/*
 * Select by name, comma-separated: a family, a rule, a rule without its "min-"
 * or "max-"; "gopher" is gopher and gopher-rep; "-name" takes back.
 */
int quality_select(struct quality *q, str names, struct err *err);

/* "name=number". */
int quality_set(struct quality *q, str setting, struct err *err);

/* "rule=file", such as "words.bad=list.txt": an entry a line.  Lists are for any thread. */
int quality_read_list(struct quality *q, str setting, struct err *err);
int quality_list_of(int rule);		/* enum quality_list, or -1 */
bool quality_has_list(const struct quality *q, int list);
void quality_list_free(struct quality *q, enum quality_list list);
void quality_free(struct quality *q);

int quality_family_of(int rule);

/* The first rule whose value has this name, or -1. */
int quality_value_find(const struct quality *q, str name);

/* Memory of one thread, kept from text to text; all zero to begin with. */
struct quality_state {
	struct english_words	 words;
	struct buf	 text[2], line;	/* edited */
	struct buf	 items, table, grams, place[2], sums;
	str		 url;		/* of the record: the caller sets it; p NULL: none */
	void		*counter;	/* for count(): the caller's */
};
void quality_state_free(struct quality_state *s);

struct quality_verdict {
	int	 rule;			/* the first that failed, or -1 */
	double	 value;			/* of that rule */
	bool	 edited;		/* text differs from what was given */
	str	 text;			/* good until the next call with the state */
	int64_t	 removed[QUALITY_RULES];	/* lines, citations: by the rule that did it */
};

/* Return 0, or -1 when memory fails. */
int quality_judge(const struct quality *q, struct quality_state *s, str text,
    struct quality_verdict *v, struct err *err);

/*
 * The values of all rules of the selected families, whatever their limits
 * say; the verdict is that nothing failed.
 */
int quality_measure(const struct quality *q, struct quality_state *s, str text,
    double value[QUALITY_RULES], struct quality_verdict *v, struct err *err);

/*
 * The values of all rules of families (a bit for each) on the text as the selected
 * rules edit it: editing comes first.  Families that edit, of which no rule is
 * selected, say what they would find and remove.  What is not known is NAN.
 */
int quality_signals(const struct quality *q, struct quality_state *s, str text,
    unsigned families, double value[QUALITY_RULES], struct quality_verdict *v,
    struct err *err);

/* The values of the rules of URLs, for s->url. */
int quality_url_values(const struct quality *q, struct quality_state *s,
    double value[QUALITY_RULES], struct err *err);

/* The first selected rule that these values fail, in v->rule and v->value; or -1 there. */
void quality_apply(const struct quality *q, const double value[QUALITY_RULES],
    struct quality_verdict *v);

/* Does a value break a rule's limit?  One that is not known breaks none. */
bool quality_breaks(int rule, double value, double limit);

bool quality_edits(int family);		/* has it rules that remove text? */
bool quality_selected(const struct quality *q, int family);	/* is a rule of it? */

#endif
