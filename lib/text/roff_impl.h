/*
 * roff_impl - what roff.c, roff_text.c and roff_mdoc.c share
 */
#ifndef TEXT_ROFF_IMPL_H
#define TEXT_ROFF_IMPL_H

#include "text/roff.h"

#define ROFF_ARGS	64	/* of one macro line; more are left out */
#define ROFF_LISTS	16	/* mdoc lists in lists */
#define ROFF_INDENT	4	/* columns of one level */
#define ROFF_DEEP	64	/* columns at most */

enum list { LIST_TAG, LIST_ITEM, LIST_NUMBER, LIST_PLAIN, LIST_COLUMN };

struct roff {
	struct buf	*out, *title;
	bool		 md;
	ptrdiff_t	 start;		/* of this page in out */
	struct buf	 para;		/* the paragraph being filled */
	struct buf	 name;		/* mdoc: of .Nm */
	bool		 join;		/* no space before the next word */
	int		 base, indent;	/* columns; indent is the paragraph's */
	int		 gap;		/* newlines due before the next text */
	int		 literal;	/* inside .nf, .EX, .Bd -literal */
	bool		 fenced;	/* markdown: ``` is open */
	bool		 want_tag;	/* .TP: the next line is a tag */
	int		 heading;	/* .SH without words: its level */
	bool		 skip;		/* inside a .de or a condition that is false */
	int		 braces;	/* \{ open in it */
	bool		 else_of;	/* the last .ie was true */
	int		 nlists;
	struct { enum list kind; int number, base; bool compact; } list[ROFF_LISTS];
	char		 marker[16];	/* "- ": before the next paragraph */
};

/* Append text with escapes resolved. */
void roff_text(struct roff *r, str s, struct buf *to);

/* The arguments of a macro, quotes taken off but escapes left.  Return how many. */
int roff_args(str line, str *arg, int max);

/* Add words to the paragraph. */
void roff_word(struct roff *r, str s);

/* End the paragraph; the next text starts after so many newlines. */
void roff_break(struct roff *r, int gap);

void roff_heading(struct roff *r, int level);
void roff_literal(struct roff *r, bool on);

/* An mdoc macro.  Return false when there is none of this name. */
bool roff_mdoc(struct roff *r, str name, str rest);

#endif
