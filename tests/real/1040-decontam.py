#!/usr/bin/env python3
"""llm-decontam on a gigabyte of real text: with questions planted, and without.

Each question of shared/data/eval goes into a document as it is, in other case,
with other punctuation, and with one word changed; one of fewer than 8 words
comes with its answers, as in a leaked file.
"""
import glob
import json
import os
import random
import re
import sys

from real import ROOT, SHARED, done, ok, run, skip, tmp

SIZE = int(os.environ.get("DECONTAM_BYTES", 10**9))
WORD = re.compile(r"[^\W_]+")


def documents():
    """Records of Debian's documentation; their texts again until there are SIZE bytes."""
    made = os.environ.get("DECONTAM_CORPUS")
    if made is None:
        packages = os.path.join(ROOT, "obj", "corpus")
        run(os.path.join(ROOT, "scripts", "get-corpus"), packages)
        made = tmp("docs.jsonl")
        run("llm-extract", "-q", "-j", 2, "-o", made, *glob.glob(packages + "/*.deb"))
    with open(made, encoding="utf-8") as f:
        return [json.loads(line)["text"] for line in f]


def questions(path):
    """(line, question with as many answers as it takes) of those that have 8 words."""
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        d = json.loads(line)
        q = d.get("query") or d["context"]
        q = q.removeprefix("Question: ").strip()
        choices, gold = d.get("choices", []), d.get("gold")
        if choices:
            answers = [choices[gold]] + choices[:gold] + choices[gold + 1:]
        else:
            answers = [d.get("continuation") or d["answer"]]
        while len(WORD.findall(q)) < 8 and answers:
            q += "\n" + answers.pop(0)
        if len(WORD.findall(q)) >= 8:
            yield number, q


def punctuated(q, rng):
    """Marks taken away, put in and changed; letters stay."""
    q = re.sub(r"[.,;:!?\"()]", lambda m: rng.choice(["", " ", m[0] * 2, " - "]), q)
    q = q.replace("'", "’").replace("\n", rng.choice(["\n\n", " / ", "  "]))
    return re.sub(r" ", lambda m: rng.choice([" "] * 6 + ["  ", ", ", "\n"]), q)


def one_word(q, rng):
    words = list(WORD.finditer(q))
    m = rng.choice(words)
    return q[:m.start()] + "zyxwvu"[:rng.randrange(3, 7)] + q[m.end():]


def variants(q, rng):
    yield "verbatim", q
    yield "re-cased", "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in q)
    yield "re-punctuated", punctuated(q, rng)
    yield "one word changed", one_word(q, rng)


def plant(text, q, rng):
    """Between two words, or at an end."""
    at = text.find(" ", rng.randrange(len(text) + 1))
    at = len(text) if at < 0 else at
    return text[:at] + "\n" + q + "\n" + text[at:]


def corpus(texts, planted, rng, path):
    """Write SIZE bytes of records, one planted question each in those there are."""
    where, size, n = {}, 0, 0
    with open(path, "w", encoding="utf-8") as f:
        while size < SIZE or planted:
            text = texts[n % len(texts)]
            if planted and rng.random() < 0.9 and len(text) < 20000:
                name, number, kind, q = planted.pop()
                text = plant(text, q, rng)
                where[n] = (name, number, kind)
            n += 1
            size += f.write(json.dumps({"id": n - 1, "text": text}) + "\n")
    return where, n


def main():
    evals = sorted(glob.glob(os.path.join(SHARED, "eval", "*.jsonl")))
    if not evals:
        skip("planted questions are found", "shared/data/eval is not here")
        return
    rng = random.Random(1)
    texts = documents()
    flags = [x for e in evals for x in ("-e", e)]
    planted = []
    for e in evals:
        name = os.path.basename(e).removesuffix(".jsonl")
        for number, q in questions(e):
            planted += [(name, number, kind, v) for kind, v in variants(q, rng)]
    rng.shuffle(planted)
    total = len(planted)
    where, n = corpus(texts, planted, rng, tmp("planted.jsonl"))
    for args in ([], ["-t", "ngram", "--ngram", 13], ["-t", "ngram", "--ngram", 8]):
        run("llm-decontam", "-q", "-j", 2, *flags, *args, "--report", tmp("report"), "-o",
            "/dev/null", tmp("planted.jsonl"))
        found, false = set(), []
        for line in open(tmp("report"), encoding="utf-8"):
            r = json.loads(line)
            if r["id"] in where:
                found.add(r["id"])
            else:
                false.append(line)
        kinds = {}
        for i, (name, number, kind) in where.items():
            k = kinds.setdefault(kind, [0, 0])
            k[0] += i in found
            k[1] += 1
        share = ", ".join(f"{k} {a} of {b}" for k, (a, b) in sorted(kinds.items()))
        if args:
            print("#", *args, share, f"{len(false)} false flags", flush=True)
            continue
        missed = [where[i] for i in sorted(set(where) - found)]
        ok(len(where) == total and not missed, f"all planted questions are found: {share}",
           "\n".join(map(str, missed)))
        ok(len(false) <= n / 100000, f"{len(false)} false flags in {n} documents",
           "".join(false))


main()
done()
