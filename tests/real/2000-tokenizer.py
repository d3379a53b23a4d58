#!/usr/bin/env python3
"""Tokenizers: ours in tokenizers and transformers, the real ones here, id for id."""
import glob
import json
import os
import random
import subprocess
import unicodedata

from real import ROOT, SHARED, corpus, done, ok, read_jsonl, refused, run, skip, tmp, write_jsonl

from tokenizers import Tokenizer
from transformers import AutoTokenizer

# "All human beings are born free and equal in dignity and rights."
LANGUAGES = """Tous les êtres humains naissent libres et égaux en dignité et en droits.
Alle Menschen sind frei und gleich an Würde und Rechten geboren.
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.
Все люди рождаются свободными и равными в своем достоинстве и правах.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.
يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ
人人生而自由，在尊严和权利上一律平等。
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. İIıi""".split("\n")
EDGES = (" \t\n\r\v\f\u00a0\u0085\u2028\u3000'\u2019.,!?-_/\\\"0123456789²Ⅷ٣aZ\u0301\u0308\u200d\ufe0f"
         "éßſİıǅʰªΣςאبकท漢かカ한👍🏽🇩🇪ﬁÅ\u212b\u1e9b\u0323<|endoftext|>")


def texts(assigned):
    """Texts in many scripts; assigned: only with characters that Python knows.
    Patterns that PCRE2 runs have its Unicode, not that of tokenizers, and the
    Python of a system is about as old as its PCRE2."""
    with open(os.path.join(ROOT, "tests", "data", "tokenizer_json", "cases.json")) as f:
        yield from json.load(f)["texts"]
    yield from LANGUAGES
    yield " ".join(LANGUAGES)
    r = random.Random(2)
    for _ in range(3000):
        yield "".join(r.choice(EDGES) for _ in range(r.randrange(1, 60)))
    # Every character, in a word, alone and after a space.
    planes = [*range(1, 0xd800), *range(0xe000, 0x33480), *range(0xe0000, 0xe01f0)]
    for i in range(0, len(planes), 100):
        block = [chr(c) for c in planes[i:i + 100]
                 if not assigned or unicodedata.category(chr(c)) != "Cn"]
        yield "".join(f"a{c}b {c} {c}{c}" for c in block)


def first_difference(text, ours, theirs):
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            at = next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), 0)
            at = max(0, at - 3)
            return (f"text {i}, {text[i][:60]!r}, from {at} on:\n"
                    f"ours   {a[at:at + 20]!r}\ntheirs {b[at:at + 20]!r}")
    return f"{len(ours)} for {len(theirs)}"


def same_ids(name, where, peer, file, text):
    """Our ids are the peer's; what we make of them again is what it makes."""
    ids = tmp("ids")
    run("llm-tokenize", "-q", "-m", where, "-F", "ids", "-o", ids, file)
    with open(ids) as f:
        ours = [[int(i) for i in line.split()] for line in f]
    peer.encode_special_tokens = True
    theirs = [e.ids for e in peer.encode_batch(text, add_special_tokens=False)]
    ok(ours == theirs, f"{name}: the {sum(map(len, theirs))} ids of {len(text)} texts",
       first_difference(text, ours, theirs))
    run("llm-detokenize", "-q", "-m", where, "-F", "ids", "--specials", "-o", tmp("back.jsonl"),
        ids)
    back = read_jsonl(tmp("back.jsonl"))
    decoded = peer.decode_batch(theirs, skip_special_tokens=False)
    ok(back == decoded, f"{name}: the texts of the ids", first_difference(text, back, decoded))
    return theirs, back


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


def check_real(path, sets):
    name = os.path.basename(path).split(".")[0]
    if name == "llama2":
        refused(f"{name} is refused by name",
                ["llm-tokenize", "-m", path, "-F", "ids", sets[1][1]], path, "not supported")
        return
    peer = Tokenizer.from_buffer(subprocess.run(["zstd", "-dc", path], check=True,
                                                capture_output=True).stdout)
    for what, file, text in sets:
        same_ids(f"{name}, {what}", path, peer, file, text)


def main():
    english = corpus(full=True)
    sets = [("English", english, read_jsonl(english))]
    for name in "every script", "assigned characters":
        text = list(texts(name != "every script"))
        file = tmp(name + ".jsonl")
        write_jsonl(file, text)
        sets.append((name, file, text))
    for pattern in "gpt2", "llama3", "qwen2", "none":
        check_ours(pattern, english, sets[:2])
    real = sorted(glob.glob(os.path.join(SHARED, "tokenizers", "*.tokenizer.json.zst")))
    for path in real:
        check_real(path, [sets[0], sets[2]])
    if not real:
        skip("real tokenizers", "no ../shared/data/tokenizers")
    done()


main()
