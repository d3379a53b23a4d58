#!/usr/bin/env python3
"""Models that SentencePiece trains here, of both types and with what they may have:
its ids, and those of tokenizers for the same Unigram in tokenizer.json."""
import io
import json
import subprocess

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from real import corpus, done, ok, read_jsonl, tmp, write_jsonl
from texts import LANGUAGES, first_difference, texts

USER = ["<sep>", "\n", "\u2581\u2581", "foo"]
PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False,
         "byte_fallback": True, "user_defined_symbols": USER}
KINDS = {
    "unigram": {},
    "unigram with bytes": PLAIN,
    "unigram across words": {"normalization_rule_name": "nmt_nfkc_cf", "add_dummy_prefix": False,
                             "split_by_whitespace": False, "user_defined_symbols": ["kernel"]},
    "bpe": {"model_type": "bpe"},
    "bpe with bytes": {"model_type": "bpe", "split_digits": True, **PLAIN},
}


def ids(model, file):
    out = subprocess.run(["llm-tokenize", "-q", "-m", model, "-F", "ids", file], check=True,
                         capture_output=True, text=True).stdout
    return [[int(i) for i in line.split()] for line in out.splitlines()]


def field(message, number):
    """The last bytes with this number in a message of protocol buffers."""
    at, found = 0, b""

    def varint():
        nonlocal at
        x = shift = 0
        while True:
            at += 1
            x |= (message[at - 1] & 127) << shift
            shift += 7
            if message[at - 1] < 128:
                return x
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


def hugging(sp, charsmap, words):
    """The same pieces in tokenizer.json; and as a reference that finds no special ones."""
    pieces = [(sp.id_to_piece(i), sp.get_score(i)) for i in range(sp.vocab_size())]
    t = Tokenizer(models.Unigram(pieces, 0, False))
    t.normalizer = normalizers.Precompiled(charsmap)
    meta = pre_tokenizers.Metaspace()
    t.pre_tokenizer = meta if not words else pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), meta])
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    d = json.loads(t.to_str())
    for a in d.pop("added_tokens"):
        d["model"]["vocab"][a["id"]][0] = "\U000f0000%d" % a["id"]
    return t, Tokenizer.from_str(json.dumps(dict(d, added_tokens=[])))


def main():
    english = read_jsonl(corpus(full=True))[:2000]
    sets = {"English": english, "every script": list(texts(False))}
    train = [line for t in english[:300] for line in t.split("\n") if line] + LANGUAGES * 20
    for name, text in sets.items():
        write_jsonl(tmp(name + ".jsonl"), text)
    for kind, options in KINDS.items():
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(train), model_writer=out, vocab_size=4000, minloglevel=2,
            hard_vocab_limit=False, **options)
        with open(tmp("spm.model"), "wb") as f:
            f.write(out.getvalue())
        sp = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
        for name, text in sets.items():
            ours = ids(tmp("spm.model"), tmp(name + ".jsonl"))
            theirs = sp.encode(text)
            ok(ours == theirs, f"{kind}, {name}: the {sum(map(len, theirs))} ids",
               first_difference(text, ours, theirs))
        if kind != "unigram":
            continue
        for words in False, True:
            t, reference = hugging(sp, field(field(out.getvalue(), 3), 2), words)
            t.save(tmp("unigram.json"))
            for name, text in sets.items():
                ours = ids(tmp("unigram.json"), tmp(name + ".jsonl"))
                theirs = [e.ids for e in reference.encode_batch(text, add_special_tokens=False)]
                ok(ours == theirs, f"tokenizer.json{' of words' if words else ''}, {name}: the "
                   f"{sum(map(len, theirs))} ids", first_difference(text, ours, theirs))
    done()


main()
