#!/usr/bin/env python3
"""Write lib/token/bertclass.c: the classes of characters that BertNormalizer and
BertPreTokenizer of Hugging Face's tokenizers know, found by asking them; and what
its normal forms, which are those of Unicode 9.0, do not know and utf8proc does."""
import ctypes

from tokenizers import __version__, normalizers, pre_tokenizers


def bert(**on):
    return normalizers.BertNormalizer(**{k: k in on for k in (
        'clean_text', 'handle_chinese_chars', 'strip_accents', 'lowercase')})


CLEAN, STRIP = bert(clean_text=1), bert(strip_accents=1)
CUT = pre_tokenizers.BertPreTokenizer()


FORMS = ((normalizers.NFD(), 0x12), (normalizers.NFKD(), 0x16))	# STABLE, DECOMPOSE, COMPAT
ACCENTS = normalizers.StripAccents()
UTF8PROC = ctypes.CDLL('libutf8proc.so.2')
UTF8PROC.utf8proc_map.argtypes = (ctypes.c_char_p, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_char_p),
                                  ctypes.c_int)


def form(text, options):
    to, text = ctypes.c_char_p(), text.encode()
    n = UTF8PROC.utf8proc_map(text, len(text), ctypes.byref(to), options)
    return to.value.decode() if n > 0 else ''


def is_new(c):
    mark = 6 <= UTF8PROC.utf8proc_category(ord(c)) <= 8
    if c != '\0' and mark == bool(ACCENTS.normalize_str(c)):
        return True
    return c != '\0' and any(
        f.normalize_str(x) != form(x, options) for f, options in FORMS
        for x in (c, 'a\u0301' + c, 'a' + c + '\u0323', 'a\u0345' + c, 'a' + c + '\u0334'))


def classes(c):
    text = 'a' + c + 'b'
    if CLEAN.normalize_str(text) == 'ab':
        yield 'BERT_DROP'
    if [piece for piece, _ in CUT.pre_tokenize_str(text)] == ['a', c, 'b']:
        yield 'BERT_PUNCT'
    if STRIP.normalize_str(text) == 'ab':
        yield 'BERT_MARK'
    if is_new(c):
        yield 'BERT_NEW'


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
