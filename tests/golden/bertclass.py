#!/usr/bin/env python3
"""Write lib/token/bertclass.c: the classes of characters that BertNormalizer and
BertPreTokenizer of Hugging Face's tokenizers know, found by asking them."""
from tokenizers import __version__, normalizers, pre_tokenizers


def bert(**on):
    return normalizers.BertNormalizer(**{k: k in on for k in (
        'clean_text', 'handle_chinese_chars', 'strip_accents', 'lowercase')})


CLEAN, STRIP = bert(clean_text=1), bert(strip_accents=1)
CUT = pre_tokenizers.BertPreTokenizer()


def classes(c):
    text = 'a' + c + 'b'
    if CLEAN.normalize_str(text) == 'ab':
        yield 'BERT_DROP'
    if [piece for piece, _ in CUT.pre_tokenize_str(text)] == ['a', c, 'b']:
        yield 'BERT_PUNCT'
    if STRIP.normalize_str(text) == 'ab':
        yield 'BERT_MARK'


ranges = []
for c in range(0x110000):
    name = '' if 0xd800 <= c < 0xe000 else ' | '.join(classes(chr(c)))
    if name and ranges and ranges[-1][1:] == [c - 1, name]:
        ranges[-1][1] = c
    elif name:
        ranges.append([c, c, name])

print('/* Made by tests/golden/bertclass.py from tokenizers %s.  Do not edit. */' % __version__)
print('#include "token/bertclass.h"\n')
print('static const struct { int32_t first, last; unsigned class; } range[] = {')
line = '\t'
for a, b, name in ranges:
    item = '{%#x,%#x,%s},' % (a, b, name)
    if len(line) + len(item) > 88:
        print(line)
        line = '\t'
    line += item
print(line)
print('''};

unsigned
bert_class(int32_t c)
{
	int low = 0, high = (int)(sizeof(range) / sizeof(range[0]));

	while (low < high) {
		int middle = (low + high) / 2;

		if (range[middle].last < c)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == (int)(sizeof(range) / sizeof(range[0])) || c < range[low].first)
		return 0;
	return range[low].class;
}''')
