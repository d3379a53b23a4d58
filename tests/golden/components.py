#!/usr/bin/env python3
"""Write tests/data/components.json: what each component that a tokenizer.json may
name does in Hugging Face's tokenizers.  components.py N [FILE] makes more texts."""
import itertools
import json
import os
import random
import sys

from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, '..', 'data', 'components.json')
TEXTS = [
    '', ' ', '   ', 'a', ' a', 'a ', 'The Kernel, it\'s  here.', 'don\'t 12 3,4 x_y', '\t\n a\r\n\nb ',
    'e\u0301 \u00e9 \u0301 \u00c5', 'Caf\u00c9 \u0130\u00df', 'a\u00a0b\u3000c\u2028d\u200b',
    '\u2581a\u2581\u2581b \u2581', 'a--b...c!!', '\u6f22\u5b57\u304b\u306a\u30ab\u30fc\uac00',
    '12345 \u0663\u00b2\u2167x1y22', '\u00b2a_\u200db\u203f', 'ABC abc', '<t> a <t>b', 'a<t>b <s>  c',
    ' x  x xx x.', '\x01\x7fa\ufffd\ufeffb', '\ufb01 \u1e9b\u0323 \uac01', '$+<=>^`|~',
]
ALPHABET = ' \t\n\u00a0aAbB\u00e9e\u0301\u0308\u00df\u0130\u01301\u0663\u00b2.,-_\'!\u3002\u6f22\u304b\u2581\U0001f44d<t>'


def T(type_, **more):
    return dict(type=type_, **more)


def split(pattern, behavior, invert=False):
    kind = 'Regex' if isinstance(pattern, tuple) else 'String'
    pattern = pattern[0] if isinstance(pattern, tuple) else pattern
    return T('Split', pattern={kind: pattern}, behavior=behavior, invert=invert)


def metaspace(scheme='always', split=True, mark='\u2581'):
    return T('Metaspace', replacement=mark, prepend_scheme=scheme, split=split)


def byte_level(prefix=False, regex=True):
    return T('ByteLevel', add_prefix_space=prefix, trim_offsets=True, use_regex=regex)


def replace(content, **pattern):
    return T('Replace', pattern=pattern, content=content)


def seq(key, *parts):
    return {'type': 'Sequence', key: list(parts)}


BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']
BERT = dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
WHITE, WORDS = T('WhitespaceSplit'), T('Whitespace')
NORMALIZERS = [
    *map(T, ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents', 'Nmt', 'ByteLevel']),
    T('Strip', strip_left=True, strip_right=True), T('Strip', strip_left=True, strip_right=False),
    T('Strip', strip_left=False, strip_right=True), T('Prepend', prepend='\u2581'),
    T('Prepend', prepend='ab'), replace('\u2581', String=' '), replace('', String='a'),
    replace('<>', Regex=r'\s+'), replace('-', Regex=r'(?i)ab?|$'), replace('.', Regex=r' {2,}'),
    T('BertNormalizer', **BERT), T('BertNormalizer', **{**BERT, 'lowercase': False}),
    T('BertNormalizer', **{**BERT, 'strip_accents': False, 'clean_text': False}),
    seq('normalizers', T('NFKD'), T('Lowercase'), T('StripAccents')),
    seq('normalizers', replace('"', String="''"), T('Strip', strip_left=True, strip_right=True),
        seq('normalizers', T('NFC'), T('Prepend', prepend='\u2581'))),
]
PRE = [
    *[split(p, b, i) for p, b, i in itertools.product(['a', ('[a-b1]+',)], BEHAVIORS, [False, True])],
    split((r'(?=[A-Z])',), 'Isolated'), split((r'\b',), 'MergedWithNext'), split((r'$|^',), 'Removed'),
    split((r'\w+',), 'Isolated'), split((r'\W',), 'MergedWithPrevious'), split((r'[\w]+|\s',), 'Removed'),
    split((r'[[:alpha:]]+|[[:punct:]]',), 'Isolated'), split((r'\p{Lu}\p{Ll}*|\d{1,2}+|\h',), 'Isolated'),
    split((r'[^\s\p{L}]+|(?m:.)',), 'Isolated'), split((r"(?i:'s|'t|k)|x\B",), 'Contiguous'),
    *[T('Punctuation', behavior=b) for b in BEHAVIORS],
    T('Digits', individual_digits=True), T('Digits', individual_digits=False), WORDS, WHITE,
    T('BertPreTokenizer'), T('CharDelimiterSplit', delimiter='a'),
    T('CharDelimiterSplit', delimiter='\u2581'), T('FixedLength', length=3),
    *[metaspace(s, b) for s, b in itertools.product(['always', 'first', 'never'], [True, False])],
    metaspace(mark='_'), T('Metaspace', replacement='\u2581', add_prefix_space=True),
    *[byte_level(p, r) for p, r in itertools.product([True, False], [True, False])],
    seq('pretokenizers', WHITE, metaspace()), seq('pretokenizers', WHITE, metaspace('first')),
    seq('pretokenizers', T('Digits', individual_digits=True), byte_level(True)),
    seq('pretokenizers', byte_level(False), split('\u0120', 'MergedWithNext')),
    seq('pretokenizers', WHITE, byte_level(True, False), byte_level(False)),
    seq('pretokenizers', T('Punctuation', behavior='Contiguous'), T('FixedLength', length=2), WORDS),
    seq('pretokenizers', metaspace('first', False), split('\u2581', 'Isolated'), T('BertPreTokenizer')),
]
STRIP = T('Strip', content=' ', start=1, stop=0)
SPACES = replace(' ', String='\u2581')
DECODERS = [
    None, byte_level(), metaspace(), metaspace('never'), T('WordPiece', prefix='##', cleanup=True),
    T('WordPiece', prefix='##', cleanup=False), T('BPEDecoder', suffix='</w>'),
    T('CTC', pad_token='<pad>', word_delimiter_token='|', cleanup=True),
    T('CTC', pad_token='<pad>', word_delimiter_token='|', cleanup=False), T('ByteFallback'),
    SPACES, replace('', Regex=r'[a-c]+$'), T('Fuse'), STRIP, T('Strip', content='a', start=2, stop=0),
    T('Strip', content='c', start=0, stop=1),
    seq('decoders', SPACES, T('ByteFallback'), T('Fuse'), STRIP),
    seq('decoders', SPACES, T('Fuse'), T('Strip', content=' ', start=2, stop=0)),
    seq('decoders', SPACES, T('Fuse'), T('Strip', content='b', start=0, stop=2)),
    seq('decoders', T('Fuse'), replace('-', String='a')), seq('decoders', T('ByteFallback'), metaspace()),
    seq('decoders', replace(' ', Regex='</w>|##'), byte_level(), STRIP),
]
PIECES = ['a', 'b', '\u2581', '\u2581a', '\u2581\u2581b', '##a', '##b', 'a</w>', '</w>', 'x</w>y', '.', ' .', ',',
          '<pad>', '|', 'c', "n't", " do not", " ' ", '<0x41>', '<0x20>', '<0x61>', '\u0120', '\u0120a', '\u0120\u2581',
          ' ', '  ', 'aa', 'aaa', '\u00e9', '\u6f22', 'abc']


def tokenizer(model, normalizer=None, pre=None, decoder=None, added=()):
    return Tokenizer.from_str(json.dumps({
        'version': '1.0', 'truncation': None, 'padding': None, 'added_tokens': list(added),
        'normalizer': normalizer, 'pre_tokenizer': pre, 'post_processor': None, 'decoder': decoder,
        'model': model}))


def encode(t, texts, special=False):
    t.encode_special_tokens = not special
    return [t.encode(x, add_special_tokens=False).ids for x in texts]


def pieces(texts, cases):
    """A model that shows the characters of each word, and where it begins."""
    seen = set()

    for normalizer, pre in cases:
        t = tokenizer(T('WordLevel', vocab={'?': 0}, unk_token='?'), normalizer, pre)
        for x in texts:
            x = t.normalizer.normalize_str(x) if normalizer else x
            for word, _ in t.pre_tokenizer.pre_tokenize_str(x) if pre else [(x, 0)]:
                seen.update(word)
    names = ['[UNK]'] + [prefix + c for c in sorted(seen) for prefix in ('', '##')]
    return {'type': 'WordPiece', 'unk_token': '[UNK]', 'continuing_subword_prefix': '##',
            'max_input_chars_per_word': 1000, 'vocab': {n: i for i, n in enumerate(names)}}


def bpe(**more):
    affix = more.get('continuing_subword_prefix') or ''
    end = more.get('end_of_word_suffix') or ''
    names = ['<unk>', *('<0x%02X>' % i for i in range(256) if more.get('byte_fallback'))]
    names += [p + c + s for c in 'abAe\u0301.\u2581' for p in {'', affix} for s in {'', end}]
    merges = [['a', affix + 'b'], ['a', affix + 'b' + end], ['ab', affix + 'a'], [affix + 'e', affix + '\u0301' + end],
              ['\u2581', affix + 'a'], [affix + '.', affix + '.']]
    merges = [m for m in dict.fromkeys(map(tuple, merges)) if set(m) <= {*names, 'ab'}]
    names += [a + b[len(affix):] for a, b in merges] + ['<t>', 'aab', 'A.A']
    names = list(dict.fromkeys(names))
    return T('BPE', vocab={n: i for i, n in enumerate(names)}, merges=list(map(list, merges)),
             **{'dropout': None, 'unk_token': None, 'fuse_unk': False, 'byte_fallback': False,
                'ignore_merges': False, **more})


def token(i, content, **flags):
    return {'id': i, 'content': content, **{k: flags.get(k, False) for k in (
        'single_word', 'lstrip', 'rstrip', 'normalized', 'special')}}


def added(vocab):
    """Tokens of each kind; what the vocabulary has keeps its id."""
    one = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special']
    sets = [{'<t>': {}, 'A': {'normalized': True}, 'xx': {}}]
    sets += [{'<t>': {flag: True}, '.': {'special': flag == 'special'},
              ' ': {'normalized': flag == 'rstrip'}} for flag in one]
    sets += [{'B': {f: True for f in one[:3]}, 'E\u0301': {'normalized': True},
              'AB': {'single_word': True, 'normalized': True, 'lstrip': True}}]
    for tokens in sets:
        new = itertools.count(len(vocab))
        yield [token(vocab[t] if t in vocab else next(new), t, **flags) for t, flags in tokens.items()]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    random.seed(n)
    texts = TEXTS + [''.join(random.choices(ALPHABET, k=random.randrange(1, 24))) for _ in range(n)]
    shown = [(x, None) for x in NORMALIZERS] + [(None, x) for x in PRE]
    shown += random.sample(list(itertools.product(NORMALIZERS, PRE)), max(8, n // 10))
    model = pieces(texts, shown)
    plain = dict(unk_token='<unk>')
    models = [bpe(**plain), bpe(**plain, fuse_unk=True), bpe(**plain, byte_fallback=True),
              bpe(**plain, ignore_merges=True), bpe(**plain, end_of_word_suffix='</w>'),
              bpe(**plain, continuing_subword_prefix='@@', fuse_unk=True),
              T('WordLevel', unk_token='?', vocab={'?': 0, 'a': 1, 'b': 2, 'abc': 3, '\u2581a': 4})]
    out = {'texts': texts, 'pieces': model, 'models': models, 'names': PIECES, 'cases': []}
    put = out['cases'].append
    for normalizer, pre in shown:
        put({'normalizer': normalizer, 'pre_tokenizer': pre,
             'ids': encode(tokenizer(model, normalizer, pre), texts)})
    for i, m in enumerate(models):
        put({'model': i, 'pre_tokenizer': WHITE, 'ids': encode(tokenizer(m, None, WHITE), texts)})
    for tokens in added(model['vocab']):
        for normalizer, pre in (None, WORDS), (T('Lowercase'), metaspace('first')), (T('Prepend', prepend='\u2581'), None):
            t = tokenizer(model, normalizer, pre, added=tokens)
            put({'normalizer': normalizer, 'pre_tokenizer': pre, 'added_tokens': tokens,
                 'ids': encode(t, texts), 'special': encode(t, texts, True)})
    names = T('WordLevel', unk_token='a', vocab={p: i for i, p in enumerate(PIECES)})
    # The reference panics where Strip finds less than it is to cut, so there is a letter first.
    streams = [[random.randrange(len(PIECES)) for _ in range(random.randrange(2, 12))] for _ in range(n + 20)]
    streams += [[0, 0, 1, *x[:3], 1, 1, 1] for x in streams]
    out['streams'] = streams
    for decoder in DECODERS:
        t = tokenizer(names, decoder=decoder)
        put({'decoder': decoder, 'decoded': [t.decode(x, skip_special_tokens=False) for x in streams]})
    with open(sys.argv[2] if len(sys.argv) > 2 else FILE, 'w') as f:
        json.dump(out, f, separators=(',', ':'))
        f.write('\n')


main()
