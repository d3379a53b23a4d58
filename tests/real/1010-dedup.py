#!/usr/bin/env python3
"""Near duplicates against brute force, and text-dedup on the same records.

20,000 documents of 300 to 4,500 characters are cut out of what Debian ships, at
random places, so that they overlap by all degrees.  Which pairs share 0.7 of
their shingles of five words is counted, not estimated.  A document is a
duplicate when one that stays before it is that near: these must be dropped (95
percent and more), and no others (with the sets compared, not one).  What a
peer drops is judged more mildly: there need be one such document anywhere.
"""
import collections
import glob
import importlib.util
import json
import os
import random
import re
import sys

from real import ROOT, done, ok, run, skip, tmp

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
import textdedup  # noqa: E402

N, J, WORDS = 20000, 0.7, 5
word = re.compile(r"[a-z0-9]+")


def source():
    """Plain text of /usr/share/doc, ASCII alone."""
    some, size = [], 0
    for path in sorted(glob.glob("/usr/share/doc/*/*")):
        if os.path.isfile(path) and not path.endswith(".gz") and os.path.getsize(path) > 2000:
            with open(path, encoding="ascii", errors="ignore") as f:
                some.append(f.read())
            size += len(some[-1])
            if size > 24_000_000:
                break
    return "".join(some)


def documents(text):
    rng = random.Random(11)
    for i in range(N):
        n = rng.randrange(300, 4500)
        at = rng.randrange(len(text) - n)
        yield {"id": i, "text": text[at:at + n]}


def shingles(text):
    w = word.findall(text.lower())
    if not w:
        return {("", text)}
    return {tuple(w[i:i + WORDS]) for i in range(max(1, len(w) - WORDS + 1))}


def brute(docs):
    """All pairs (i, j), i < j, of that similarity.

    Two sets that share J of what either has share one of the rarest 1 - J of each
    and one more (prefix filtering), so no pair is left out.
    """
    count = collections.Counter()
    sets = [frozenset(map(hash, shingles(d["text"]))) for d in docs]
    for s in sets:
        count.update(s)
    holders = collections.defaultdict(list)
    near = collections.defaultdict(list)
    for j, s in enumerate(sets):
        rare = sorted(s, key=lambda x: (count[x], x))[:int((1 - J) * len(s) + 1e-9) + 1]
        for i in {i for x in rare for i in holders[x]}:
            t = sets[i]
            if min(len(s), len(t)) < J * max(len(s), len(t)):
                continue
            both = len(s & t)
            if both / (len(s) + len(t) - both) >= J:
                near[j].append(i)
        for x in rare:
            if count[x] > 1:
                holders[x].append(j)
    return near


def ours(path, near):
    pairs, kept = tmp("pairs"), tmp("kept.jsonl")
    spent = textdedup.watched(["llm-dedup", "-j2", "-t", "near", "-J", J, "--clusters", pairs,
                               "-o", kept, path])
    with open(pairs) as f:
        told = [json.loads(line) for line in f]
    dropped = {p["index"] for p in told}
    must = set()
    for j in range(N):
        if any(i not in must for i in near[j]):
            must.add(j)
    wrong = sum(p["kept_index"] not in near[p["index"]] or p["kept_index"] in dropped for p in told)
    ok(wrong == 0, f"precision 1: each of {len(told)} that are dropped is near to one that stays",
       f"{wrong} are not")
    # Who had to go, given what stayed: one that stays for want of a candidate counts as missed.
    missed = {j for j in range(N) if j not in dropped and
              any(i not in dropped for i in near[j])}
    recall = len(dropped) / (len(dropped) + len(missed))
    ok(recall >= 0.95, f"recall {recall:.4f}, {len(must)} are duplicates", "0.95 was promised")
    for more in (["--memory", "6M"], ["--work", tmp("work"), "--memory", "8M"]):
        again = run("llm-dedup", "-t", "near", "-J", J, *more, path)
        with open(kept, "rb") as f:
            ok(again == f.read(), f"the same with {' '.join(map(str, more[-2:]))}")
    return spent


def theirs(path, near, spent):
    """text-dedup on the same records: its precision and recall, speed and memory."""
    seconds, kib, kept = textdedup.dedup(path, J)
    any_near = collections.defaultdict(list)
    for j, some in near.items():
        any_near[j] += some
        for i in some:
            any_near[i].append(j)
    dropped = set(range(N)) - kept
    right = sum(j in any_near for j in dropped)
    missed = sum(any(i in kept for i in near[j]) for j in kept if j in near)
    print(f"# text-dedup: {seconds:.1f} s, {kib} KiB, precision {right / len(dropped):.4f}, "
          f"recall {len(dropped) / (len(dropped) + missed):.4f}", flush=True)
    ok(seconds >= 20 * spent[0], f"{seconds / spent[0]:.0f} times as fast as text-dedup",
       "20 was promised")
    ok(4 * spent[1] <= kib, f"in {spent[1] / kib:.3f} of its memory", "a quarter was promised")


with open(tmp("in.jsonl"), "w") as f:
    docs = list(documents(source()))
    for d in docs:
        f.write(json.dumps(d) + "\n")
near = brute(docs)
spent = ours(tmp("in.jsonl"), near)
print(f"# llm-dedup: {spent[0]:.2f} s, {spent[1]} KiB", flush=True)
if importlib.util.find_spec("text_dedup") is None:
    skip("text-dedup", "it is not installed")
else:
    theirs(tmp("in.jsonl"), near, spent)
done()
