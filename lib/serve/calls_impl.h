/*
 * calls_impl - how each form writes a call
 *
 * open, then a JSON object or an array of them; or open, a name, args, and the
 * arguments; then close.
 */
#ifndef SERVE_CALLS_IMPL_H
#define SERVE_CALLS_IMPL_H

#include "serve/calls.h"

struct calls_form {
	const char *name;
	str open, args, close; /* empty: none */
	str list, list_end; /* around all calls; may be missing */
	const char *parameters; /* the key of the arguments */
	bool bare; /* a call may be there without its marks */
	bool array; /* calls are written as one */
};

extern const struct calls_form calls_forms[CALLS_FORMATS];

/*
 * JSON byte by byte.  0, or -1 when no value goes on so.  A value is whole when depth
 * is 0 and at is JSON_NEXT.
 */
enum {
	JSON_VALUE,
	JSON_FIRST_VALUE,
	JSON_KEY,
	JSON_FIRST_KEY,
	JSON_COLON,
	JSON_NEXT,
	JSON_TEXT,
	JSON_ESCAPE,
	JSON_HEX,
	JSON_WORD,
	JSON_MINUS,
	JSON_ZERO,
	JSON_WHOLE,
	JSON_POINT,
	JSON_FRACTION,
	JSON_E,
	JSON_SIGN,
	JSON_EXPONENT
};
int calls_json_byte(struct calls_json *j, char c);

#endif
