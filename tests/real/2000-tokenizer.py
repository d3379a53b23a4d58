#!/usr/bin/env python3
"""Tokenizers: ours in tokenizers and transformers, the real ones here, id for id.

    2000-tokenizer.py [--bytes N] [--strings N] [--tokenizer NAME ...]

The real ones are those of obj/tokenizers (scripts/get-tokenizers) and ../shared/data,
and unigram.model, which the package sentencepiece trains from what is read.
Each reads N bytes of what this machine has, in English, code and 36 languages, and N
strings of its own; where words are bytes, all must come back."""
import argparse
import glob
import itertools
import json
import os
import subprocess
import sys
import types

from real import ROOT, SHARED, corpus, done, ok, read_jsonl, run, skip, tmp, write_jsonl
from texts import first_difference, prose, same_ids, strange, texts

from tokenizers import Tokenizer
from transformers import AutoTokenizer

try:
    import sentencepiece
except ImportError:
    sentencepiece = None

SLICE = 4 << 20


def check_ours(pattern, file, sets):
    where = tmp("tok-" + pattern)
    run("llm-vocab", "-q", "-n", 4096, "--pattern", pattern, "-o", where, file)
    peer = Tokenizer.from_file(os.path.join(where, "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(where)
    ok(auto.eos_token == "<|endoftext|>" and len(auto) == 4096,
       f"llm-vocab {pattern}: AutoTokenizer knows its end and size", auto)
    for name, file, text in sets:
        name = f"llm-vocab {pattern}, {name}"
        theirs, back = same_ids(name, where, peer, file, text)
        ok(back == text, f"{name}: the same texts as before", first_difference(text, back, text))
        if pattern != "gpt2":
            continue
        plain = [i for i, t in enumerate(text) if "<|" not in t]
        got = auto([text[i] for i in plain])["input_ids"]
        ok(got == [theirs[i] for i in plain], f"{name}: AutoTokenizer's ids",
           first_difference([text[i] for i in plain], got, [theirs[i] for i in plain]))


# ---- the real ones ----

def name_of(path):
    name = os.path.basename(path)
    if name.endswith(".model"):
        return name
    name = name.split(".")[0]
    return os.path.basename(os.path.dirname(path)) if name == "tokenizer" else name


def real_ones():
    own = os.path.join(ROOT, "obj", "tokenizers")
    models = sorted(glob.glob(os.path.join(own, "*.model")))
    return sorted(glob.glob(os.path.join(SHARED, "tokenizers", "*.tokenizer.json.zst")) +
                  glob.glob(os.path.join(SHARED, "models", "*", "tokenizer.json")) +
                  glob.glob(os.path.join(own, "*.json"))) + (
        models + [tmp("unigram.model")] if sentencepiece is not None else [])


def train_unigram(where):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter("\n".join(prose(3000000)).split("\n")),
        model_prefix=where[: -len(".model")], vocab_size=16000, model_type="unigram",
        byte_fallback=True, minloglevel=2)


class Piece:
    """SentencePiece, called as tokenizers' Tokenizer is."""

    def __init__(self, path):
        self.model = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text, add_special_tokens=False):
        assert not add_special_tokens
        return types.SimpleNamespace(ids=self.model.encode(text))

    def encode_batch(self, some, add_special_tokens=False):
        return [self.encode(t, add_special_tokens) for t in some]

    def decode_batch(self, some, skip_special_tokens=False):
        assert not skip_special_tokens
        return self.model.decode(some)


def load(path):
    """The reference, and whether each byte of a text is in its ids."""
    if path.endswith(".model"):
        if not os.path.exists(path):
            train_unigram(path)
        return Piece(path), False
    raw = subprocess.run(["zstd", "-dcf", path], check=True, capture_output=True).stdout
    doc = json.loads(raw)
    peer = Tokenizer.from_buffer(raw)
    peer.no_truncation()
    peer.no_padding()
    peer.encode_special_tokens = True
    # The decoder takes the characters of bytes in added tokens for bytes, so those are left out.
    whole = '"ByteLevel"' in json.dumps(doc["pre_tokenizer"]) and not doc["normalizer"]
    return peer, whole


def slices(text):
    """Lists of texts of about SLICE bytes."""
    some, size = [], 0
    for t in text:
        some.append(t)
        size += len(t.encode())
        if size > SLICE:
            yield some
            some, size = [], 0
    if some:
        yield some


def ids_of(path, text):
    write_jsonl(tmp("in.jsonl"), text)
    run("llm-tokenize", "-q", "-m", path, "-F", "ids", "-o", tmp("ids"), tmp("in.jsonl"))
    with open(tmp("ids")) as f:
        return [list(map(int, line.split())) for line in f]


def check_texts(name, what, path, peer, whole, text):
    """All ids are the reference's; and the bytes come back."""
    n = size = tokens = 0
    why, lost = "", ""
    for some in slices(text):
        ours = ids_of(path, some)
        theirs = [e.ids for e in peer.encode_batch(some, add_special_tokens=False)]
        if ours != theirs and not why:
            why = first_difference(some, ours, theirs)
        if whole and not lost:
            run("llm-detokenize", "-q", "-m", path, "-F", "ids", "--specials", "-o",
                tmp("back.jsonl"), tmp("ids"))
            back = read_jsonl(tmp("back.jsonl"))
            lost = "" if back == some else first_difference(some, back, some)
        n += len(some)
        size += sum(len(t.encode()) for t in some)
        tokens += sum(map(len, theirs))
    ok(not why, f"{name}, {what}: the {tokens} ids of {n} texts, {size} bytes", why)
    if whole:
        ok(not lost, f"{name}, {what}: all bytes come back", lost)


def check_broken(path, peer):
    """Bytes that are no UTF-8 make a record bad, and the others keep their ids."""
    name, good = name_of(path), ["a", "\u00e9 x", "the end"]
    with open(tmp("broken.jsonl"), "wb") as f:
        for i, bad in enumerate([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"]):
            f.write(b'{"text":"a ' + bad + b'b"}\n')
            f.write(json.dumps({"text": good[i % 3]}).encode() + b"\n")
    got = run("llm-tokenize", "-qk", "-m", path, "-F", "ids", tmp("broken.jsonl"), exits=1)
    want = [peer.encode(good[i % 3], add_special_tokens=False).ids for i in range(4)]
    ok([list(map(int, x.split())) for x in got.decode().splitlines()] == want,
       f"{name}: what is not UTF-8 is a bad record", got.decode())


def check_real(path, o, sets):
    name = name_of(path)
    peer, whole = load(path)
    for what, file, text in sets:
        same_ids(f"{name}, {what}", path, peer, file, text)
    check_texts(name, "prose", path, peer, whole, prose(o.bytes))
    known = itertools.islice(strange(o.strings, seed=len(name)), o.strings)
    check_texts(name, "strange strings", path, peer, whole, known)
    check_broken(path, peer)


def number(s):
    return int(float(s.rstrip("kM")) * {"k": 1000, "M": 1000000}.get(s[-1], 1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=number, default=1000000)
    parser.add_argument("--strings", type=number, default=10000)
    parser.add_argument("--tokenizer", nargs="*", default=[])
    o = parser.parse_args()
    english = corpus(full=True)
    sets = [("English", english, read_jsonl(english))]
    for name in "every script", "assigned characters":
        text = list(texts(name != "every script"))
        file = tmp(name + ".jsonl")
        write_jsonl(file, text)
        sets.append((name, file, text))
    for pattern in () if o.tokenizer else ("gpt2", "llama3", "qwen2", "none"):
        check_ours(pattern, english, sets[:2])
    real = [p for p in real_ones() if not o.tokenizer or name_of(p) in o.tokenizer]
    if o.tokenizer and len({name_of(p) for p in real}) < len(set(o.tokenizer)):
        sys.exit(f"of {' '.join(o.tokenizer)} there are {' '.join(map(name_of, real))}")
    for path in real:
        check_real(path, o, [sets[0], sets[2]])
    if not real:
        skip("real tokenizers", "no ../shared/data/tokenizers")
    done()


main()
