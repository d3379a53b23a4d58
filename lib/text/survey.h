/*
 * survey - what is in a corpus, record by record, in memory that has a limit
 *
 * A record is read once, on any thread, into a survey_record; these are counted
 * in order, so the survey is the same for any number of threads.  What it holds:
 * spreads of lengths and of every number in the records, the leading languages,
 * domains, sources and lines, distinct texts, lines and words (see sketch.h),
 * how words grew with the text, and records as examples, chosen by hash.
 *
 * Numbers are named by their path: .language_score, .llm.filter.value.
 * A word is a run of letters, marks and digits; a line, one that is not blank.
 */
#ifndef TEXT_SURVEY_H
#define TEXT_SURVEY_H

#include "base/json.h"
#include "text/records.h"
#include "text/sketch.h"

#define SURVEY_FIELDS	64	/* numbers that are told apart */
#define SURVEY_NAME	96	/* bytes of a name */
#define SURVEY_RULES	64
#define SURVEY_EXAMPLES	3	/* of a rule; of a corpus, twice that */
#define SURVEY_EXCERPT	600	/* bytes */

struct survey_record {
	int64_t		 chars, words, lines;
	int64_t		 tokens;	/* the caller's; -1: not counted */
	uint64_t	 hash;
	uint64_t	*word;		/* their hashes */
	struct survey_line {
		uint64_t hash;
		str	 text;
	}		*line;
};

/* Read the text of a record; what is returned lies in its scratch. */
struct survey_record *survey_read(const struct record *r, struct err *err);

struct survey_example {
	uint64_t hash;		/* 0: none */
	char	 text[SURVEY_EXCERPT];
	int	 len;
	int64_t	 bytes;		/* of the whole text */
	char	 value[SURVEY_NAME];	/* with a rule: "12, limit 50", or "" */
};

struct survey {
	const char	*name;
	int64_t		 records, bytes, text, lines, words, tokens;
	struct survey_field {
		char	 name[SURVEY_NAME];
		struct spread spread;
	}		 field[SURVEY_FIELDS];	/* lengths first */
	int		 nfields;
	int64_t		 more_fields;	/* values of fields beyond these */
	struct leaders	 languages, domains, sources, repeated;
	struct tally	 texts, all_lines, all_words;
	struct survey_growth {
		int64_t	words, distinct;
	}		*growth;	/* after ever more words */
	int		 ngrowth, growth_cap;
	struct survey_rule {
		char	 name[SURVEY_NAME];
		int64_t	 records, text;
		struct survey_example example[SURVEY_EXAMPLES];
	}		*rule;		/* why a record was dropped, as it says itself */
	int		 nrules;
	struct survey_example example[2 * SURVEY_EXAMPLES];
};

/* Keys that a survey wants in member[], in this order. */
enum { SURVEY_LANGUAGE, SURVEY_SOURCE, SURVEY_URL, SURVEY_LLM, SURVEY_KEYS };
extern const str survey_keys[SURVEY_KEYS];

/* Count a record.  Return 0 or -1. */
int survey_add(struct survey *c, const struct record *r, const struct survey_record *read,
    struct err *err);

/* When all is counted: the last point of growth, and the leaders in order. */
int survey_end(struct survey *c, struct err *err);
void survey_free(struct survey *c);

/* Heaps' law, distinct = k * words^beta, through the points of growth; false without enough. */
bool survey_heaps(const struct survey *c, double *k, double *beta);

#endif
