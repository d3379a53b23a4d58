#!/usr/bin/env python3
"""Write lib/token/uclass.c: the classes that pre-tokenizer patterns ask for,
as the regular expressions of Hugging Face's tokenizers see them (Oniguruma;
Unicode 16.0 in tokenizers 0.23)."""
from tokenizers import Regex, __version__
from tokenizers.pre_tokenizers import Split

TEXT = [''.join(chr(c) for c in range(b, b + 0x1000) if not 0xd800 <= c < 0xe000)
        for b in range(0, 0x110000, 0x1000)]


def ranges(pattern):
    split = Split(Regex(pattern), 'removed', invert=True)
    members = sorted(ord(c) for t in TEXT for piece, _ in split.pre_tokenize_str(t)
                     for c in piece)
    out = []
    for c in members:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


print('/* Made by tests/golden/uclass.py from tokenizers %s.  Do not edit. */' % __version__)
print('#include "token/uclass.h"\n')
print('#include <stdlib.h>\n#include <string.h>\n')
print('static const struct { uint32_t first, last; uint8_t class; } range[] = {')
line = '\t'
for pattern, name in ((r'\p{L}+', 'UC_L'), (r'\p{N}+', 'UC_N'), (r'\s+', 'UC_SPACE')):
    for a, b in ranges(pattern):
        item = '{%#x,%#x,%s},' % (a, b, name)
        if len(line) + len(item) > 88:
            print(line)
            line = '\t'
        line += item
    print(line)
    line = '\t'
print('''};

uint8_t *
uclass_new(struct err *err)
{
	uint8_t *class = calloc(UC_END, 1);

	if (class == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
		memset(class + range[i].first, range[i].class,
		    range[i].last - range[i].first + 1);
	class['\\n'] |= UC_NL;
	class['\\r'] |= UC_NL;
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
