/*
 * http - an HTTP/1.1 answer, read as it comes
 */
#ifndef SERVE_HTTP_ANSWER_H
#define SERVE_HTTP_ANSWER_H

#include "client.h"

enum answer_state { AT_HEAD, AT_LENGTH, AT_SIZE, AT_CHUNK, AT_CHUNK_END, AT_TRAILER, AT_CLOSE };

struct answer_parser {
	enum answer_state state;
	bool		 any;		/* a byte came */
	struct buf	 line;		/* the head, a line */
	int64_t		 left;		/* of the body, of a chunk */
};

void parser_begin(struct answer_parser *p);
void parser_free(struct answer_parser *p);

/* 1: the answer is whole; 0: not yet; -1: e->why says what is wrong. */
int parser_take(struct answer_parser *p, struct exchange *e, str bytes, double now);

/* The connection was closed: does that end the answer? */
bool parser_eof(struct answer_parser *p);

#endif
