#!/usr/bin/env python3
"""Write tests/data/spm/ and tests/data/tiktoken/: small models that the package
SentencePiece trained, small files of ranks, and the ids that it and tiktoken give."""
import base64
import io
import json
import os
import struct
import tempfile

import sentencepiece
import tiktoken

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data')
JSON = os.path.join(DATA, 'tokenizer_json')
with open(os.path.join(JSON, 'cases.json')) as f:
    TEXTS = json.load(f)['texts']
with open(os.path.join(JSON, 'train.jsonl')) as f:
    TRAIN = [line for x in f for line in json.loads(x)['text'].split('\n') if line]
TEXTS += ['  a  b ', ' \t<sep>x', 'a<sep>  kernel\n\nfoo', 'foofoo', 'kernelfoo', 'a\n  ', 'x!\n \n ',
          ' ' * 70 + '\n ', 'a the kernel, ' * 1000]
RULES = [('\t', ' '), ('\n', ' '), ('\r', ' '), ('\x7f', ''), ('\u3000', ' '), ('\u00a0', ' '),
         ('\ufb01', 'fi'), ('\u00b2', '2'), ('e\u0301', '\u00e9'), ('A', 'a'), ('\u2168', 'IX'),
         ('\u2026', '...'), ('\u0133', 'ij')]
USER = ['<sep>', '\n', '\u2581\u2581', 'foo']
MODELS = {
    'unigram': {},
    'unigram-bytes': {'byte_fallback': True, 'user_defined_symbols': USER,
                      'remove_extra_whitespaces': False},
    'unigram-across': {'split_by_whitespace': False, 'add_dummy_prefix': False,
                       'user_defined_symbols': ['kernel']},
    'bpe': {'model_type': 'bpe', 'control_symbols': ['<ctl>']},
    'bpe-bytes': {'model_type': 'bpe', 'byte_fallback': True, 'user_defined_symbols': USER,
                  'remove_extra_whitespaces': False, 'split_digits': True, 'pad_id': 3},
}
R50K = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
CL100K = (r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
          r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s""")


def model(options):
    out = io.BytesIO()
    with tempfile.NamedTemporaryFile('w') as rules:
        for a, b in RULES:
            rules.write('%s\t%s\n' % tuple(' '.join('%X' % ord(c) for c in x) for x in (a, b)))
        rules.flush()
        if 'byte_fallback' in options:
            options = dict(options, normalization_rule_name='identity')
        else:
            options = dict(options, normalization_rule_tsv=rules.name)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TRAIN), model_writer=out, vocab_size=600, minloglevel=2,
            hard_vocab_limit=False, **options)
    return out.getvalue()


def varint(x):
    return bytes([x]) if x < 128 else bytes([x & 127 | 128]) + varint(x >> 7)


def bytes_of(number, b):
    return varint(number << 3 | 2) + varint(len(b)) + b


def piece(text, score, kind):
    return bytes_of(1, bytes_of(1, text.encode()) + varint(2 << 3 | 5) + struct.pack('<f', score) +
                    varint(3 << 3) + varint(kind))


def flags(number, **fields):
    return bytes_of(number, b''.join(varint(int(k[1:]) << 3) + varint(v)
                                     for k, v in fields.items()))


def write(name, b):
    with open(os.path.join(DATA, name), 'wb') as f:
        f.write(b)


def spm():
    cases = {'texts': TEXTS, 'ids': {}, 'decoded': {}}
    for name, options in MODELS.items():
        b = model(options)
        write('spm/good/%s.model' % name, b)
        sp = sentencepiece.SentencePieceProcessor(model_proto=b)
        cases['ids'][name] = [sp.encode(x) for x in TEXTS]
        if 'byte_fallback' in options:
            cases['decoded'][name] = [sp.decode(x) for x in cases['ids'][name]]
    some = piece('<unk>', 0, 2) + piece('a', -1, 1)
    for name, b in {
            'no-unknown': piece('a', -1, 1), 'two-unknown': some + piece('<u>', 0, 2),
            'empty-piece': some + piece('', -1, 1), 'nan': some + piece('b', float('nan'), 1),
            'type': some + piece('b', -1, 9), 'byte': some + piece('<0x41>', 0, 6),
            'word': some + flags(2, f3=3), 'suffix': some + flags(2, f24=1),
            'spaces': some + flags(3, f5=0), 'unused': some + piece('b', -1, 5) + flags(2, f3=2),
            'twice': some + piece('a', -2, 1) + flags(2, f3=2), 'cut': some + b'\x0a\x40\x0a',
            'wire': some + b'\x0b', 'varint': some + b'\xff' * 11,
            'charsmap': some + bytes_of(3, bytes_of(2, b'\0\0\0\1')),
            'utf8': some + bytes_of(1, bytes_of(1, b'\xff')), 'only': some[:9]}.items():
        write('spm/bad/%s.model' % name, b)
    with open(os.path.join(DATA, 'spm', 'cases.json'), 'w') as f:
        json.dump(cases, f)
        f.write('\n')


def ranks():
    with open(os.path.join(JSON, 'good', 'gpt2.json')) as f:
        vocab = json.load(f)['model']['vocab']
    same = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in same]
    byte = {**{chr(b): b for b in same}, **{chr(256 + i): b for i, b in enumerate(rest)}}
    words = sorted((i, bytes(byte[c] for c in k)) for k, i in vocab.items() if k != '<|endoftext|>')
    table = {b: i for i, (_, b) in enumerate(words)}
    lines = ['%s %d\n' % (base64.b64encode(b).decode(), i) for b, i in table.items()]
    cases = {'texts': TEXTS, 'ids': {}}
    for name, pattern in ('gpt2', R50K), ('cl100k', CL100K):
        write('tiktoken/good/%s.tiktoken' % name, ''.join(lines).encode())
        enc = tiktoken.Encoding('x', pat_str=pattern, mergeable_ranks=table, special_tokens={})
        cases['ids'][name] = [enc.encode_ordinary(x) for x in TEXTS]
    for name, text in {
            'which': ''.join(lines), 'rank': 'YQ== 0\nYg== x\n', 'large': 'YQ== 0\nYg== 99999999\n',
            'gpt2-base64': 'YQ== 0\nY!== 1\n', 'gpt2-twice': 'YQ== 0\nYg== 0\n',
            'gpt2-empty': 'YQ== 0\n 1\n', 'gpt2-special': 'YQ== 50256\n',
            'gpt2-same': 'YQ== 0\nYQ== 1\n'}.items():
        write('tiktoken/bad/%s' % name, text.encode())
    with open(os.path.join(DATA, 'tiktoken', 'cases.json'), 'w') as f:
        json.dump(cases, f)
        f.write('\n')


spm()
ranks()
