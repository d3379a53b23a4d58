#!/usr/bin/env python3
"""Write lib/token/uclass.c: the classes that pre-tokenizer patterns ask for,
as the regular expressions of Hugging Face's tokenizers see them (Oniguruma;
Unicode 16.0 in tokenizers 0.23)."""
from tokenizers import Regex, __version__
from tokenizers.pre_tokenizers import Split

TEXT = [''.join(chr(c) for c in range(b, b + 0x1000) if not 0xd800 <= c < 0xe000)
        for b in range(0, 0x110000, 0x1000)]


def members(pattern):
    split = Split(Regex(pattern), 'removed', invert=True)
    return [ord(c) for t in TEXT for piece, _ in split.pre_tokenize_str(t) for c in piece]


CLASS = [0] * 0x110000
for pattern, bits in ((r'[\p{Lu}\p{Lt}]+', 1), (r'\p{Ll}+', 2), (r'[\p{Lm}\p{Lo}]+', 4),
                      (r'\p{M}+', 8), (r'\p{N}+', 16), (r'[\p{P}\p{S}]+', 32), (r'\s+', 64),
                      (r'[\r\n]', 128)):
    for c in members(pattern):
        CLASS[c] |= bits

print('/* Made by tests/golden/uclass.py from tokenizers %s.  Do not edit. */' % __version__)
print('#include "token/uclass.h"\n')
print('#include <stdlib.h>\n#include <string.h>\n')
print('/* Each run of one class: its first character << 8 | the class. */')
print('static const uint32_t runs[] = {')
line = '\t'
for c in range(0x110000):
    if c == 0 or CLASS[c] != CLASS[c - 1]:
        item = '%#x,' % (c << 8 | CLASS[c])
        if len(line) + len(item) > 91:
            print(line)
            line = '\t'
        line += item
print(line)
print('''};

uint8_t *
uclass_new(struct err *err)
{
	uint8_t *class = calloc(UC_END, 1);

	if (class == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		uint32_t first = runs[i] >> 8;
		uint32_t next = i + 1 < sizeof(runs) / sizeof(runs[0]) ? runs[i + 1] >> 8 : UC_END;

		if ((runs[i] & 0xff) != 0)
			memset(class + first, runs[i] & 0xff, next - first);
	}
	return class;
}

unsigned
uclass_wide(const uint8_t *class, const char *p, const char *end, int *len)
{
	const uint8_t *b = (const uint8_t *)p;
	uint32_t c = b[0];
	int n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

	*len = 1;
	if (n == 1 || end - p < n)
		return 0;
	c &= 0x7fu >> n;
	for (int i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c >= UC_END)
		return 0;
	*len = n;
	return class[c];
}''')
