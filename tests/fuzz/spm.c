/*
 * Any bytes as a model file of SentencePiece: what loads must encode texts and
 * decode them again without a fault.
 */
#include <stdlib.h>

#include "token/spm.h"
#include "token/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char text[] = "  The cat's 12345 <sep> na\xc3\xafve \n\n  \xe6\xbc\xa2\xe5\xad\x97 "
	    "e\xcc\x81 \xef\xac\x81 foofoo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx!? ";
	str file = { (const char *)p, (ptrdiff_t)n };
	struct err err = { 0 };
	struct tokenizer *t;
	struct encoder *e;
	struct ids ids = { 0 };
	struct decoder d = { 0 };
	struct buf out = { 0 };

	spm_is(file);
	t = spm_tokenizer(file, &err);
	e = t != NULL ? encoder_new(t, &err) : NULL;
	if (e != NULL && encode(e, S(text), ENCODE_SPECIAL, &ids, &err) == 0 &&
	    decode(t, &d, ids.id, ids.n, &out, &err) == 0)
		decode_end(&d, &out, &err);
	buf_free(&out);
	ids_free(&ids);
	encoder_free(e);
	tokenizer_free(t);
	return 0;
}
