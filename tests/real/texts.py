"""Texts in many scripts, and what two tokenizers make of them."""
import gettext
import gzip
import json
import os
import random
import struct
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


# ---- what this machine has to read ----

def files(roots, ends, most):
    """The texts of the files there, each once, up to so many bytes."""
    for root in roots:
        for where, dirs, names in os.walk(root):
            dirs.sort()
            for name in sorted(names):
                path = os.path.join(where, name)
                if not name.endswith(ends) or os.path.islink(path):
                    continue
                try:
                    with gzip.open(path) if name.endswith(".gz") else open(path, "rb") as f:
                        text = f.read(1 << 20).decode()
                except (OSError, EOFError, UnicodeDecodeError):
                    continue
                yield text
                most -= len(text.encode())
                if most < 0:
                    return


def catalogue(language, most):
    """The translations of a language, as documents of a few of them."""
    where = f"/usr/share/locale/{language}/LC_MESSAGES"
    some = []
    for name in sorted(os.listdir(where)) if os.path.isdir(where) else []:
        try:
            with open(os.path.join(where, name), "rb") as f:
                messages = gettext.GNUTranslations(f)._catalog.values()
        except (OSError, ValueError, IndexError, struct.error):
            continue
        for text in messages:
            some.append(text)
            most -= len(text.encode())
            if len(some) == 50:
                yield "\n".join(some)
                some = []
            if most < 0:
                return
    yield "\n".join(some)


MOST_READ = """uk fr ru sv de es it ja zh_CN tr sr pl ko bg id vi ca pt zh_TW cs nl ro el hu fi da ka
mr ta pa th or he ar hi fa""".split()


def prose(most):
    """English, code, and 20 languages and more, a third of the bytes each."""
    yield from files(["/usr/share/doc", "/usr/share/info"], (".txt", ".gz", "README", "copyright"), most // 3)
    yield from files(["/usr/include", "/usr/lib/python3", "/usr/share/perl"], (".h", ".py", ".pm"), most // 3)
    for language in MOST_READ:
        yield from catalogue(language, most // 3 // len(MOST_READ))


# ---- what nobody writes ----

PARTS = ["'s", "'S", "'\u017f", "'ll", "'LL", "'Re", "I'm", " ", "  ", "    ", "\t", "\n", "\r\n", "\n\n", "\u00a0",
         "\u3000", "\u2028", "\u180e", "\u200b", "\u200d", "\u0301", "\u0308\u0301", "\u0323", "\ufe0f", "\u20e3",
         "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "0", "12",
         "1234567", "\u0663", "\u00b2", "\u2167", "a", "Z", "the", "The", "THE", "\u00e9", "e\u0301", "\u00df", "\u0130",
         "\u01c5", "\ufb01", "\u6f22", "\u5b57", "\u304b\u306a", "\ud55c", "\u1112\u1161\u11ab", "\u0e01\u0e33", "\u0915\u094d\u0937",
         "\u05d0", "\u0627\u0644", ".", "...", "!?", "/", "//", "_", "-", "=>", "(", "\u2581", "\u0120", "<s>",
         "<|endoftext|>", "</s>", "<0x41>", "[UNK]", "\x00", "\x01", "\x7f", "\ufeff", "\ufffd", "\U0010ffff"]


def strange(n, seed=1):
    """Strings of all of Unicode, and of what tokenizers trip over."""
    r = random.Random(seed)
    for i in range(n):
        kind, size = i % 8, r.randrange(1, 24)
        if kind < 4:
            yield "".join(r.choices(PARTS, k=size))
        elif kind < 6:		# characters of one block, with what joins and parts them
            block = r.choice(range(0, 0x30000, 128))
            some = [c for c in range(block, block + 128) if not 0xd800 <= c < 0xe000] or [65]
            yield "".join(r.choice(PARTS) if r.random() < 0.2 else chr(r.choice(some)) for _ in range(size))
        elif kind == 6:		# runs
            yield "".join(r.choice(PARTS) * r.choice([1, 2, 3, 17, 100]) for _ in range(size // 4 + 1))
        else:
            yield "".join(chr(r.choice([r.randrange(0x80), r.randrange(0x800), r.randrange(0xe000, 0x110000),
                                        r.randrange(0xd800)])) for _ in range(size))


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
