/*
 * quality - the published heuristics that tell prose from what is none
 *
 * Families of rules, each a number with a limit: gopher (quality) and
 * gopher-rep (repetition) of Rae et al., Scaling Language Models (2021), c4 of
 * Raffel et al., JMLR 21 (2020), mc4 of Xue et al. (2021), fineweb of Penedo
 * et al. (2024).  Definitions and default limits are those of datatrove; lengths
 * are in characters, words are those of english.h.  Two n-grams are the same when
 * their words are.
 *
 * Families are judged in the order they were selected in.  The c4 rules remove
 * lines and citations first and judge what is left, and the families after
 * c4 judge that too.
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
	QUALITY_RULES
};

#define QUALITY_FAMILIES 5
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

/* What is asked of a text.  Read-only once set up, for any thread. */
struct quality {
	bool		 on[QUALITY_RULES];
	double		 limit[QUALITY_RULES];
	int		 family[QUALITY_FAMILIES];	/* in order of selection */
	int		 nfamilies;
	struct english *words;
	/* hashes of stop words, by their low bits */
	uint64_t	 stop[QUALITY_STOP_SLOTS];
	uint8_t		 stop_bit[QUALITY_STOP_SLOTS];
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
void quality_free(struct quality *q);

/* Memory of one thread, kept from text to text; all zero to begin with. */
struct quality_state {
	struct english_words	 words;
	struct buf	 text;		/* edited by c4 */
	struct buf	 items, table, grams, place[2], sums;
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

#endif
