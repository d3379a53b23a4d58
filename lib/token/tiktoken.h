/*
 * tiktoken - byte-level BPE from files of ranks
 *
 * Lines of Base64 and a number: bytes, and the rank at which two tokens become
 * the one that has them, which is its id too.  How text is cut and which tokens
 * are special the file does not say: that goes by one of the known names.
 */
#ifndef TOKEN_TIKTOKEN_H
#define TOKEN_TIKTOKEN_H

#include "base/err.h"
#include "base/str.h"

/* Do the bytes of a file look like that? */
bool tiktoken_is(str file);

/* Is it one of the names: "cl100k", "o200k", ...? */
bool tiktoken_known(str name);

/*
 * name: as "cl100k", or of a file, which may begin like that ("cl100k_base.tiktoken");
 * when it tells nothing, the number of ranks does.
 */
struct tokenizer;
struct tokenizer *tiktoken_tokenizer(str file, str name, struct err *err);

#endif
