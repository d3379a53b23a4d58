/*
 * bertclass - what BERT's tokenizers and the reference's normal forms take characters for
 */
#ifndef TOKEN_BERTCLASS_H
#define TOKEN_BERTCLASS_H

#include <stdint.h>

enum {
	BERT_DROP = 1,		/* controls and the like, which a clean text has none of */
	BERT_PUNCT = 2,		/* a word of its own */
	BERT_MARK = 4,		/* an accent */
	BERT_NEW = 8		/* a mark or composite, but unknown to the reference's forms */
};

unsigned bert_class(int32_t c);

#endif
