#include "token/known.h"

#include <stddef.h>

const char *const known_bos[] = {
	"<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>",
	"<\xef\xbd\x9c" "begin\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
	"[BOS]", "<|endoftext|>", NULL
};

const char *const known_eos[] = {
	"<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>",
	"<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
	"[EOS]", "<|im_end|>", "<|eot_id|>", NULL
};
