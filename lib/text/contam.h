/*
 * contam - is a question of an evaluation in this text?
 *
 * Questions and texts are taken as folded words (text/folded.h): case,
 * punctuation and spaces make no difference.
 *
 * CONTAM_SCORED finds a question where a share of its words (score) stands in
 * a text in the question's order, near each other: their longest common
 * subsequence in a window.  Where to look is told by seeds: a question is cut
 * into runs of 5 words, at least two, of 4 or 3 words if it is short, and a
 * text that has none of them word by word is not looked at.  With s seeds, a
 * question of which s - 1 words were changed, left out or put in still has a
 * seed whole.  A question of more than CONTAM_WORDS words is several.
 *
 * CONTAM_NGRAM finds n words in a row of a question, as GPT-3's authors did
 * (Brown et al. 2020, appendix C), and a question of fewer words as a whole.
 *
 * A question of fewer than min_words words says too little to be known again:
 * its answers are taken along until there are enough, or it is left out.
 *
 * Memory: 8 bytes a word, 16 to 32 a seed and the questions' texts.  An index
 * that is ready is read-only, for any thread.
 */
#ifndef TEXT_CONTAM_H
#define TEXT_CONTAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "text/folded.h"

#define CONTAM_WORDS	256	/* words of a question that are one */
#define CONTAM_NGRAM_MAX 32
#define CONTAM_HITS	10000	/* of one text; what is beyond is not told */

enum contam_type { CONTAM_SCORED, CONTAM_NGRAM };

struct contam_opts {
	enum contam_type type;
	double		 score;		/* CONTAM_SCORED: (0, 1] */
	int		 ngram;		/* CONTAM_NGRAM: 2 .. CONTAM_NGRAM_MAX */
	int		 min_words;	/* at least 6 for CONTAM_SCORED */
};

/* One question, as it is remembered. */
struct contam_item {
	int		 eval;		/* the caller's number of it */
	int64_t		 number;	/* line in its file */
	char		*text;		/* as given, ended by NUL */
	int64_t		 first;		/* of its words in all words */
	int		 n;		/* words */
	int		 slack;		/* words more that a text may have between */
};

struct contam;
struct contam *contam_new(const struct contam_opts *o, struct err *err);

/*
 * A question with its answers, most telling first; they are taken along, one
 * by one, while there are too few words.  Return 1; 0 when
 * it is left out, for it is too short or was there before; -1.
 */
int contam_add(struct contam *x, int eval, int64_t number, str question,
    const str *answer, int answers, struct err *err);

/* Names of keys, separated by commas: the first that a record has counts. */
struct contam_keys {
	const char	*question, *choices, *answer;
};

#define CONTAM_KEYS { \
	.question = "question,query,problem,goal,prompt,ctx,context,sentence,input,text", \
	.choices = "choices,options,endings", \
	.answer = "gold,answer,answers,answerKey,label,continuation,target,solution" \
}

/* Add the records of an evaluation file (JSON lines).  Return 0 or -1. */
int contam_load(struct contam *x, int eval, const char *path,
    const struct contam_keys *keys, struct err *err);

/* All are added: make the index.  Return 0 or -1. */
int contam_ready(struct contam *x, struct err *err);

struct contam_hit {
	int		 item;
	int		 same;		/* words in common */
	ptrdiff_t	 from, to;	/* words of the text */
};

/* A thread's room.  Zeroed at first. */
struct contam_search {
	struct folded	 folded;
	struct contam_hit *hit;
	ptrdiff_t	 n, cap;
	struct contam_seen *seen;	/* by item */
	int64_t		 text;		/* texts searched */
};

/*
 * The questions in text, in the order of their places; each place of a
 * question is one hit.  They are in s->hit, s->n of them.  Return 0 or -1.
 */
int contam_find(const struct contam *x, struct contam_search *s, str text, struct err *err);

/* In characters: what goes around a question; the shortest piece that stays. */
struct contam_cut {
	int64_t		 margin, min_chars;
};

/*
 * Write what is left of the text of s to out, which is emptied first: pieces
 * with an empty line between.  Return how many cuts there were, or -1.
 */
int64_t contam_cut(const struct contam_search *s, str text, const struct contam_cut *how,
    struct buf *out, struct err *err);

const struct contam_item *contam_item(const struct contam *x, int item);
int contam_items(const struct contam *x);

/* Questions that were left out: too short, there before. */
int64_t contam_short(const struct contam *x);
int64_t contam_again(const struct contam *x);

void contam_search_free(struct contam_search *s);
void contam_free(struct contam *x);		/* NULL is allowed */

#endif
