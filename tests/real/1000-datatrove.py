#!/usr/bin/env python3
"""Rules of quality against datatrove's, on 20,000 documents and more of this machine.

Documents are pieces of what Debian ships: documentation and manual pages as
llm-extract reads them, and message catalogues in other languages.  First datatrove
is given our words: all values are the same to 1e-6 and all verdicts are equal.  But it
joins the words of an n-gram with nothing between, and takes "a bc" for a repeat of "ab c":
where that happens, the value is that of its rule over the words themselves.  Then
it has its own (spaCy's): verdicts agree on 98 percent, and each that does not is
told with the first word that is another one.
"""
import collections
import functools
import glob
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys

from real import ROOT, done, ok, run, skip, tmp
from texts import MOST_READ, catalogue

try:
    from datatrove.data import Document
    from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                            GopherRepetitionFilter, c4_filters, fineweb_quality_filter,
                                            gopher_quality_filter, gopher_repetition_filter)
    from datatrove.utils.text import split_into_sentences, split_into_words
    split_into_words("Is spaCy there?")
except ImportError as e:
    skip("datatrove", str(e))
    done()
    sys.exit(0)
sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import quality  # noqa: E402

LEAST, MOST = 20000, 24000
TOOL = os.path.join(os.environ.get("BUILD", os.path.join(ROOT, "obj")), "tests", "tools", "words")
FAMILIES = {"gopher": ("gopher,-gopher-rep", GopherQualityFilter),
            "gopher-rep": ("gopher-rep", GopherRepetitionFilter),
            "c4": ("c4", C4QualityFilter),
            "fineweb": ("fineweb", FineWebQualityFilter)}


def pieces(text, rng):
    """Documents of some 300 to 4,000 characters, cut where paragraphs end."""
    some, size, want = [], 0, rng.randrange(300, 4000)
    for part in re.split(r"(\n\n+)", text):
        some.append(part)
        size += len(part)
        if size >= want:
            yield "".join(some)[:20000].strip()
            some, size, want = [], 0, rng.randrange(300, 4000)
    yield "".join(some)[:20000].strip()


def documents():
    rng = random.Random(7)
    roots = sorted(glob.glob("/usr/share/doc/*") + glob.glob("/usr/share/man/man[1-8]"))
    rng.shuffle(roots)
    english, foreign = [], []
    p = subprocess.Popen(["llm-extract", "-q", "-k", *roots], stdout=subprocess.PIPE)
    for line in p.stdout:
        english += list(pieces(json.loads(line)["text"], rng))[:4]
        if len(english) > 2 * MOST:
            p.kill()
            break
    p.wait()
    for language in MOST_READ:
        for text in catalogue(language, 300000):
            foreign += pieces(text, rng)
    rng.shuffle(english)
    rng.shuffle(foreign)
    foreign = foreign[:MOST // 8]
    text = [t for t in english[:MOST - len(foreign)] + foreign if t.strip()]
    return list(dict.fromkeys(text))


class Words:
    """Our words and sentences, by a process that answers line by line."""

    def __init__(self):
        self.p = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @functools.lru_cache(maxsize=64)
    def ask(self, text):
        self.p.stdin.write(json.dumps(text, ensure_ascii=False).encode() + b"\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def words(self, text, language=None):
        return self.ask(text)["words"]

    def sentences(self, text, language=None):
        return [""] * self.ask(text)["sentences"]


def use(words, sentences):
    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = words
    c4_filters.split_into_sentences = sentences


def dup_by_words(words, n):
    """find_all_duplicate() of datatrove, of n-grams that are lists of words."""
    seen, chars, at = set(), 0, 0
    while at <= len(words) - n:
        gram = tuple(words[at:at + n])
        if gram in seen:
            chars += len("".join(gram))
            at += n
        else:
            seen.add(gram)
            at += 1
    return chars


def joined_alike(text, words):
    """The values of datatrove that n-grams which only look alike have changed, as they should be."""
    out = {}
    for n in range(5, 11):
        right = dup_by_words(words, n)
        if right != gopher_repetition_filter.find_all_duplicate(words, n):
            out[f"gopher-rep.max-dup-{n}gram"] = right / len(text)
    return out


def verdicts(text):
    out = {}
    for name, (_, kind) in FAMILIES.items():
        got = kind().filter(Document(text=text, id="0"))
        out[name] = got is True
    return out


def theirs(text):
    """Values and verdicts with our words, verdicts with theirs, and where words differ."""
    global ours
    if ours is None:
        ours = Words()
    use(ours.words, ours.sentences)
    words = ours.words(text)
    values = {**quality.gopher(text, words), **quality.repetition(text, words), **quality.fineweb(text, words)}
    alike = joined_alike(text, words)
    count = 0

    def counted(line, language=None):
        nonlocal count
        n = ours.sentences(line)
        count += len(n)
        return n
    c4_filters.split_into_sentences = counted
    whole = Document(text=text, id="0")
    C4QualityFilter(min_num_sentences=0, filter_lorem_ipsum=False, filter_curly_bracket=False).filter(whole)
    values["c4.min-sentences"] = count
    use(ours.words, ours.sentences)
    injected = verdicts(text)
    use(split_into_words, split_into_sentences)
    own = verdicts(text)
    why = None
    if own != injected:
        other = split_into_words(text)
        at = next((i for i, (a, b) in enumerate(zip(words, other)) if a != b), None)
        why = "sentences" if at is None else classify(words[at], other[at])
    return values, whole.text, injected, own, why, alike


def classify(a, b):
    if "/" in a + b or "@" in a + b or "www." in a + b:
        return "URLs and paths"
    if any(ord(c) > 0x24f and c.isalpha() for c in a + b):
        return "letters beyond Latin"
    if any(c.isdigit() for c in a + b):
        return "numbers and units"
    if any(ord(c) > 0x7f for c in a + b):
        return "signs beyond ASCII"
    return "signs in words"


ours = None


def our_values(file, names):
    """name -> value by the record, and the text."""
    args = ["-r", names] if names else []
    for line in run("llm-filter", "-q", "--signals", *args, file).split(b"\n"):
        if line:
            record = json.loads(line)
            yield record["signals"], record["text"]


def our_verdicts(file, names):
    return ["filter" not in json.loads(line).get("llm", {})
            for line in run("llm-filter", "-q", "--explain", "-r", names, file).split(b"\n") if line]


def same_values(texts, found, file):
    wrong, compared, told = [], 0, 0
    for (signals, _), (values, *_, alike), text in zip(our_values(file, None), found, texts):
        for name, value in values.items():
            if name.startswith("c4."):
                continue
            mine = signals[name.replace("min-", "").replace("max-", "")]
            compared += 1
            told += name in alike
            if abs(mine - alike.get(name, value)) > 1e-6:
                wrong.append(f"{name}: {mine}, not {value}: {text[:60]!r}")
    ok(not wrong and compared, f"{compared} values of Gopher and FineWeb are within 1e-6", "\n".join(wrong))
    ok(told <= compared // 10000, f"{told} of them are datatrove's rule over words, not joined words")
    wrong = []
    for (signals, edited), (values, left, *_), text in zip(our_values(file, "c4"), found, texts):
        if edited != left or signals["c4.sentences"] != values["c4.min-sentences"]:
            wrong.append(f"{signals['c4.sentences']}, not {values['c4.min-sentences']} sentences: "
                         f"{edited[:60]!r}, not {left[:60]!r}")
    ok(not wrong, f"C4 leaves the same of {len(texts)} texts, and the same sentences", "\n".join(wrong))


def main():
    if not os.path.exists(TOOL):
        skip("datatrove", f"no {TOOL}: make check-real builds it")
        return
    texts = documents()
    if len(texts) < LEAST:
        print(f"# only {len(texts)} documents are here: install documentation packages")
    file = tmp("documents.jsonl")
    with open(file, "w", encoding="utf-8") as f:
        for i, t in enumerate(texts):
            f.write(json.dumps({"id": i, "text": t}, ensure_ascii=False) + "\n")
    with multiprocessing.Pool(2) as pool:
        found = pool.map(theirs, texts, chunksize=50)
    print(f"# {len(texts)} documents, {sum(map(len, texts)) / 1e6:.1f} M characters")
    same_values(texts, found, file)
    for name, (names, _) in FAMILIES.items():
        mine = our_verdicts(file, names)
        wrong = [t for t, m, x in zip(texts, mine, found) if m != x[2][name]]
        ok(not wrong and len(mine) == len(texts), f"{name}: verdicts with our words are equal "
           f"({sum(mine)} of {len(mine)} kept)", "\n".join(repr(t[:200]) for t in wrong))
        apart = [x[4] or "sentences" for m, x in zip(mine, found) if m != x[3][name]]
        agree = 1 - len(apart) / len(texts)
        ok(agree >= 0.98, f"{name}: verdicts with spaCy's words agree on {agree:.2%}")
        for why, n in collections.Counter(apart).most_common():
            print(f"# {name}: {n} apart by {why}")


if __name__ == "__main__":
    main()
    done()
