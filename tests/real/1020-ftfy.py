#!/usr/bin/env python3
"""llm-normalize against ftfy, set as datatrove sets it, on real lines in 33 languages.

Each line of the message catalogues is damaged in the ways that happen: its UTF-8 read in
ten encodings, once and twice, with no-break spaces that became spaces, with bytes that were
lost, in its first half alone; with entities, controls and escapes.  What is asked for is
agreement where the damage is certain, and that ours brings back as many lines as ftfy.
"""
import collections
import json
import random
import sys

from real import done, ok, run, skip, tmp
from texts import MOST_READ, catalogue

try:
    import ftfy
except ImportError as e:
    skip("ftfy", str(e))
    done()
    sys.exit(0)

CONFIG = ftfy.TextFixerConfig(unescape_html="auto", fix_latin_ligatures=False, fix_character_width=False,
                              uncurl_quotes=False, fix_line_breaks=False, normalization=None)


def read_as(encoding):
    """UTF-8 read wrongly; a byte that means nothing there stays a control."""
    def one(byte):
        try:
            return bytes([byte]).decode(encoding)
        except UnicodeDecodeError:
            return chr(byte)
    table = [one(b) for b in range(256)]
    return lambda text: "".join(table[b] for b in text.encode())


cp1252 = read_as("cp1252")
UNDEFINED = dict.fromkeys(map(ord, "\x81\x8d\x8f\x90\x9d"), "\ufffd")
# name -> (damage, least agreement, least that is brought back beside ftfy)
DAMAGE = {
    "none": (lambda s: s, 0.995, 0.995),
    "latin-1": (read_as("latin-1"), 0.98, 0.98),
    "cp1252": (cp1252, 0.98, 0.98),
    "cp1252, twice": (lambda s: cp1252(cp1252(s)), 0.98, 0.98),
    "cp1252, a0 to space": (lambda s: cp1252(s).replace("\xa0", " "), 0.9, 0.95),
    "cp1252, bytes lost": (lambda s: cp1252(s).translate(UNDEFINED), 0.95, 0.95),
    "cp1252, first half": (lambda s: cp1252(s[:len(s) // 2]) + s[len(s) // 2:], 0.85, 1),
    "cp1254": (read_as("cp1254"), 0.95, 0.98),
    "cp1250": (read_as("cp1250"), 0.9, 0.95),
    "cp1257": (read_as("cp1257"), 0.85, 0.95),
    "cp437": (read_as("cp437"), 0.85, 0.95),
    "iso-8859-2": (read_as("iso8859-2"), 0.85, 0.95),
    "cp1251": (read_as("cp1251"), 0, 1),	# ftfy leaves most of it
    "cp1253": (read_as("cp1253"), 0, 1),
    "mac_roman": (read_as("mac_roman"), 0, 1),
    "entities": (lambda s: s.replace("a", "&amp;", 1) + " &eacute;&#8217;&#x4e2d;", 0.995, 0),
    "controls": (lambda s: "\x1b[31m" + s + " \x85 \x93x\x94\x07\x1b[0m", 0.995, 0),
}


def lines():
    rng = random.Random(1)
    for language in MOST_READ:
        some = [" ".join(line.split()) for text in catalogue(language, 200000) for line in text.split("\n")]
        some = [line for line in some if 30 < len(line) < 400 and not line.isascii()]
        rng.shuffle(some)
        yield from some[:60]


def blanks_folded(text):
    """ftfy leaves blanks, which we fold."""
    return " ".join(text.split())


def main():
    real = list(lines())
    if len(real) < 500:
        skip("ftfy", f"only {len(real)} lines of message catalogues are here")
        return
    for name, (damage, agreement, share) in DAMAGE.items():
        broken = [damage(s) for s in real]
        with open(tmp("broken.jsonl"), "w", encoding="utf-8") as f:
            for s in broken:
                f.write(json.dumps({"text": s}, ensure_ascii=False) + "\n")
        mine = [blanks_folded(json.loads(line)["text"]) for line in
                run("llm-normalize", "-q", "-t", "none", tmp("broken.jsonl")).split(b"\n") if line]
        theirs = [blanks_folded(ftfy.fix_text(s, CONFIG)) for s in broken]
        count = collections.Counter()
        apart = []
        for s, m, t in zip(real, mine, theirs):
            count.update(agree=m == t, ours=m == s, theirs=t == s)
            if m != t:
                apart.append(f"{s[:50]!r}: ours {m[:50]!r}, theirs {t[:50]!r}")
        n = len(real)
        ok(len(mine) == n and count["agree"] >= agreement * n and count["ours"] >= share * count["theirs"],
           f"{name}: {count['agree'] / n:.1%} agree; right are {count['ours'] / n:.1%} of ours, "
           f"{count['theirs'] / n:.1%} of ftfy's, of {n}", "\n".join(apart))


main()
done()
