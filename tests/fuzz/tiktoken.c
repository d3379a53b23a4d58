/*
 * Any bytes as a file of ranks: what loads must encode a text, or say which
 * byte has no token.
 */
#include <stdlib.h>

#include "token/tiktoken.h"
#include "token/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char text[] = "The cat's 12345 na\xc3\xafve \n\n  \xe6\xbc\xa2 e\xcc\x81 xxxxxxxx";
	str file = { (const char *)p, (ptrdiff_t)n };
	struct err err = { 0 };
	struct tokenizer *t;
	struct encoder *e;
	struct ids ids = { 0 };

	tiktoken_is(file);
	t = tiktoken_tokenizer(file, S("gpt2"), &err);
	e = t != NULL ? encoder_new(t, &err) : NULL;
	if (e != NULL)
		encode(e, S(text), 0, &ids, &err);
	ids_free(&ids);
	encoder_free(e);
	tokenizer_free(t);
	return 0;
}
