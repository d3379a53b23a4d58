#!/usr/bin/env python3
"""Write tests/data/tokenizer_json/ (and charsmap/): small tokenizers of the kinds that models
have, trained by Hugging Face's tokenizers, texts, and the ids that it gives."""
import json
import os
import random
import tempfile

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, '..', 'data', 'tokenizer_json')
WORDS = """the kernel writes a page of memory to disk and waits until it is there
it's what they've said: we'll see, you're right, I'd go, I'm here, don't
naïve café déjà vu über straße größe Привет мир 漢字 かな 한국어 नमस्ते 👍🏽 👩‍👩‍👧
0 1 12 123 1234 12345 3.14 2024-01-01 0xff x=y; if (a != b) { return -1; }
\tint main(void)\n{\n\tprintf("hello, world\\n");\n}\n""".split(' ')
TRICKY = [
    '', ' ', '  ', '   a', 'a   ', '\n', '\n\n', ' \n ', '\r\n\r\n', '\t\tx', 'a\n\n  b', ' \u00a0 x',
    '\u0085', '\u180e x', '\u3000漢字\u3000', "it's IT'S it'S 'sx ''s 's", "we'LL 'Ll 've 'RE 'd'm",
    "'ſ I'ſ 'ſt", '1234567 12 ٣٤٥ ²½Ⅷ', 'abc123def', 'e\u0301 é \u0301', 'Å Å 각', 'ﬁ ǅ İ ß ʰ ª',
    'x\r\ny', 'ﬁ\u0301 ĳ\u0308\u0308 e\u0301\u0301 ªª ª\u1ab0', '漢字\u0301 …', 'a  \t b ',
    '\x01', ' \x01 ', 'Ⅸ²', '▁▁a▁b', '<0x41> <s> </s><unk>', '<extra_id_0> x A b A\u3000b', '漢 漢漢 \U00020000',
    '👍🏽👩‍👩‍👧🇩🇪', '!!! ... --- ?!', 'foo_bar.baz(qux)[0]', '<|endoftext|>', 'a<|endoftext|>b',
    '<think>x</think>', 'x  <think>  y', '\x00\x01\x7f', '\ufeffx', '\U0010ffff\U00020000',
    'a' * 100, 'ab' * 60, ' ' * 100, '!' * 70, '漢' * 30, ' the kernel', 'The Kernel', "\u2028\u2029x",
]
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace('{1,3}', '')
MARKS = r"\p{N}{1,3}|[\p{L}\p{M}]+| ?[\p{P}\p{S}]{1,2}+[\r\n]*|\s+(?!\S)|\s+"


def byte_level(regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), 'isolated'),
                                    byte_level(False)])


def texts():
    random.seed(1)
    out = [' '.join(random.choice(WORDS) for _ in range(random.randrange(1, 40)))
           for _ in range(60)]
    return out


def train(pre, size=400):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(texts(), trainers.BpeTrainer(
        vocab_size=size, special_tokens=['<|endoftext|>'], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def sentence(pre, prefix):
    """SentencePiece's BPE: bytes are tokens of the vocabulary, spaces U+2581."""
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token='<unk>', fuse_unk=True))
    space = [normalizers.Replace(' ', '\u2581')]
    t.normalizer = normalizers.Sequence(space)
    t.pre_tokenizer = pre
    t.train_from_iterator(texts(), trainers.BpeTrainer(
        vocab_size=700, show_progress=False,
        special_tokens=['<unk>', '<s>', '</s>'] + ['<0x%02X>' % i for i in range(256)]))
    d = json.loads(t.to_str())
    d['added_tokens'] = d['added_tokens'][:3]
    d['pre_tokenizer'] = None
    t = Tokenizer.from_str(json.dumps(d))
    t.normalizer = normalizers.Sequence([normalizers.Prepend('\u2581')] * prefix + space)
    t.decoder = decoders.Sequence(
        [decoders.Replace('\u2581', ' '), decoders.ByteFallback(), decoders.Fuse()] +
        [decoders.Strip(' ', 1, 0)] * prefix)
    return t


def field(message, number):
    """The last bytes with this number in a message of protocol buffers."""
    def varint():
        nonlocal at
        x = shift = 0
        while True:
            x |= (message[at] & 127) << shift
            shift += 7
            at += 1
            if message[at - 1] < 128:
                return x
    at, found = 0, b''
    while at < len(message):
        key = varint()
        if key & 7 == 2:
            n = varint()
            at += n
            if key >> 3 == number:
                found = message[at - n:at]
        elif key & 7 == 0:
            varint()
        else:
            at += 4 if key & 7 == 5 else 8
    return found


def charsmap(rules):
    """A small table, made by SentencePiece of lines of code points."""
    with tempfile.TemporaryDirectory() as d:
        with open(d + '/rules.tsv', 'w') as f:
            for a, b in rules:
                f.write('%s\t%s\n' % tuple(' '.join('%X' % ord(c) for c in x) for x in (a, b)))
        with open(d + '/text', 'w') as f:
            f.write('\n'.join(texts()))
        sentencepiece.SentencePieceTrainer.train(
            input=d + '/text', model_prefix=d + '/m', vocab_size=200, hard_vocab_limit=False,
            normalization_rule_tsv=d + '/rules.tsv', minloglevel=2)
        with open(d + '/m.model', 'rb') as f:
            return field(field(f.read(), 3), 2)	# normalizer_spec, precompiled_charsmap


METASPACE = pre_tokenizers.Metaspace()
RULES = [('\t', ' '), ('\n', ' '), ('\r', ' '), ('\x7f', ''), ('\x01', ''), ('\u3000', ' '),
         ('\u00a0', ' '), ('\u0085', ' '), ('\ufb01', 'fi'), ('\u0133', 'ij'), ('\u00b2', '2'),
         ('e\u0301', '\u00e9'), ('\u212b', '\u00c5'), ('\u00aa', 'a'), ('A', 'a'),
         ('\u1100\u1161\u11a8', '\uac01'), ('\u2168', 'IX'), ('\u2026', '...')]


def unigram(pre, fallback=False):
    """Unigram as Hugging Face trains it; a few special tokens and, perhaps, the bytes."""
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = METASPACE
    t.train_from_iterator(texts(), trainers.UnigramTrainer(
        vocab_size=300, show_progress=False, unk_token='<unk>',
        special_tokens=['<pad>', '<unk>', '</s>', '<s>']))
    d = json.loads(t.to_str())
    if fallback:
        d['model']['vocab'] += [['<0x%02X>' % i, -20.0] for i in range(256)]
        d['model']['byte_fallback'] = True
    t = Tokenizer.from_str(json.dumps(d))
    t.pre_tokenizer = pre
    t.decoder = decoders.Metaspace()
    return t


def edit(t, change):
    d = json.loads(t.to_str())
    change(d)
    return Tokenizer.from_str(json.dumps(d))


def shorter(d):
    """ignore_merges matters where a token cannot be reached by merges."""
    d['model']['ignore_merges'] = True
    d['model']['merges'] = d['model']['merges'][:80]


def hide(d):
    """Special tokens get names that no text has."""
    for a in d['added_tokens']:
        if a['special'] and a['id'] < len(d['model']['vocab']):
            d['model']['vocab'][a['id']][0] = '\U000f0000%d' % a['id']
    d['added_tokens'] = [a for a in d['added_tokens'] if not a['special']]
    d['post_processor'] = None


made = {'gpt2': train(byte_level(True)), 'llama3': edit(train(split(LLAMA3)), shorter)}
made['llama3'].add_special_tokens(['<|begin|>'])
made['llama3'].post_processor = processors.TemplateProcessing(
    single='<|begin|> $A', special_tokens=[('<|begin|>', 400)])
made['qwen2'] = train(split(QWEN2))
made['qwen2'].normalizer = normalizers.NFC()
made['qwen2'].add_tokens([AddedToken('<think>', lstrip=True, rstrip=True, normalized=False),
                          AddedToken('</think>', normalized=False),
                          AddedToken('e\u0301 ', normalized=True)])
made['smollm2'] = train(pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), byte_level(True)]))
made['marks'] = train(split(MARKS))
made['bert'] = Tokenizer(models.WordPiece(unk_token='[UNK]', max_input_chars_per_word=50))
made['bert'].normalizer = normalizers.BertNormalizer()
made['bert'].pre_tokenizer = pre_tokenizers.BertPreTokenizer()
made['bert'].decoder = decoders.WordPiece()
made['bert'].train_from_iterator(texts(), trainers.WordPieceTrainer(
    vocab_size=300, special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]'], show_progress=False))
made['bert'].post_processor = processors.BertProcessing(('[SEP]', 3), ('[CLS]', 2))
made['bert-cased'] = edit(made['bert'], lambda d: d['normalizer'].update(
    lowercase=False, clean_text=False, handle_chinese_chars=False))
made['bert-cased'].add_tokens([AddedToken('Caf\u00e9', normalized=True), '<think>'])
made['llama2'] = sentence(pre_tokenizers.Metaspace(), True)
made['llama2'].post_processor = processors.TemplateProcessing(
    single='<s> $A', special_tokens=[('<s>', 1)])
made['gemma'] = sentence(None, False)	# some tokens have a space inside
made['gemma'].add_tokens([AddedToken('  ', normalized=False), '<think>'])
made['mistral'] = sentence(pre_tokenizers.Metaspace(), True)
made['mistral'].normalizer = None
made['mistral'].pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='first', split=False)
made['mistral'].decoder = decoders.Metaspace(prepend_scheme='first', split=False)
made['mistral'].add_special_tokens(['[INST]'])
made['t5'] = unigram(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), METASPACE]))
made['t5'].normalizer = normalizers.Precompiled(charsmap(RULES))
made['t5'].add_special_tokens(['<extra_id_0>'])
made['t5'].post_processor = processors.TemplateProcessing(
    single='$A </s>', special_tokens=[('</s>', 2)])
made['xglm'] = unigram(METASPACE)
made['xglm'].normalizer = normalizers.Precompiled(charsmap(RULES))
made['xglm'].add_tokens(['<extra_id_0>', 'A\u3000b'])
made['unigram'] = unigram(METASPACE, True)	# bytes where there is no piece
made['unigram'].pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='first', split=False)
made['unigram'].decoder = decoders.Sequence(
    [decoders.Replace('\u2581', ' '), decoders.ByteFallback(), decoders.Fuse()])
made['prefix'] = train(pre_tokenizers.ByteLevel(add_prefix_space=True))

os.makedirs(os.path.join(OUT, 'good'), exist_ok=True)
with open(os.path.join(OUT, '..', 'charsmap', 'good', 'rules'), 'wb') as f:
    f.write(charsmap(RULES))
cases = {'texts': TRICKY + texts()[:20], 'ids': {}, 'special': {}, 'decoded': {}}
for name, t in made.items():
    with open(os.path.join(OUT, 'good', name + '.json'), 'w') as f:
        f.write(t.to_str() + '\n')
    cases['special'][name] = [t.encode(x, add_special_tokens=False).ids for x in cases['texts']]
    t.encode_special_tokens = True
    if isinstance(t.model, models.Unigram):	# would find them as pieces all the same
        t = edit(t, hide)
    cases['ids'][name] = [t.encode(x, add_special_tokens=False).ids for x in cases['texts']]
for name in 'bert', 'bert-cased', 'llama2', 'gemma', 't5', 'unigram':
    cases['decoded'][name] = [made[name].decode(ids) for ids in cases['ids'][name]]
with open(os.path.join(OUT, 'cases.json'), 'w') as f:
    json.dump(cases, f)
    f.write('\n')
with open(os.path.join(OUT, 'train.jsonl'), 'w') as f:
    for x in texts():
        f.write(json.dumps({'text': x}) + '\n')
