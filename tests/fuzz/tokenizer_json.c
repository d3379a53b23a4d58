/*
 * Any bytes as a tokenizer.json: what loads must encode a text and decode it
 * again without a fault.
 */
#include <stdlib.h>

#include "token/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char text[] = "The cat's 12345 <|endoftext|> na\xc3\xafve \n\n  \xe6\xbc\xa2"
	    "\xe5\xad\x97 e\xcc\x81 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx!?";
	struct err err = { 0 };
	struct tokenizer *t = tokenizer_parse((str){ (const char *)p, (ptrdiff_t)n }, &err);
	struct encoder *e = t != NULL ? encoder_new(t, &err) : NULL;
	struct ids ids = { 0 };
	struct decoder d = { 0 };
	struct buf out = { 0 };

	if (e != NULL && encode(e, S(text), ENCODE_SPECIAL, &ids, &err) == 0 &&
	    decode(t, &d, ids.id, ids.n, &out, &err) == 0)
		decode_end(&d, &out, &err);
	/* Ids that the file never spoke of. */
	for (int32_t id = -1; t != NULL && id < 300; id++)
		decode(t, &d, &id, 1, &out, &err);
	buf_free(&out);
	ids_free(&ids);
	encoder_free(e);
	tokenizer_free(t);
	return 0;
}
