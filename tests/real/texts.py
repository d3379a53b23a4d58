"""Texts in many scripts, and what two tokenizers make of them."""
import json
import os
import random
import unicodedata

from real import ROOT, ok, read_jsonl, run, tmp

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
