"""Classifiers beside fastText.

usage: classify_peer.py make DIR       writes DIR/{train,test}.jsonl: snippets of the manual,
                                       of sections 2 and 3 ("api") and of others ("other")
       classify_peer.py fasttext DIR   prints its training and labelling rate in MB/s of text,
                                       one thread, and the area under the curve on test
"""
import bisect
import glob
import gzip
import json
import os
import random
import re
import sys
import time


def make(where):
    r = random.Random(9)
    rows = {"train": [], "test": []}
    for path in sorted(glob.glob("/usr/share/man/man[1-8]/*.gz")):
        with gzip.open(path, "rt", errors="ignore") as f:
            text = re.sub(r"[^\n\t\x20-\x7e]", "", f.read())
        if len(text) < 800:
            continue
        part = "test" if r.random() < 0.2 else "train"
        label = "api" if path.split("/man")[2][0] in "23" else "other"
        for _ in range(4):
            at = r.randrange(len(text) - 400)
            rows[part].append((label, text[at:at + r.randint(100, 400)]))
    for part, all_of in rows.items():
        r.shuffle(all_of)
        with open(os.path.join(where, part + ".jsonl"), "w") as f:
            for i, (label, text) in enumerate(all_of):
                f.write(json.dumps({"id": f"{part}-{i}", "label": label, "text": text}) + "\n")


def read(where, part):
    with open(os.path.join(where, part + ".jsonl")) as f:
        rows = [json.loads(line) for line in f]
    return [(x["label"], " ".join(x["text"].split())) for x in rows]


def auc(scored):
    has = sorted(p for p, label in scored if label == "api")
    not_ = sorted(p for p, label in scored if label != "api")
    return sum(bisect.bisect_left(not_, p) + bisect.bisect_right(not_, p)
               for p in has) / 2 / len(has) / len(not_)


def fast(where):
    import fasttext
    train, test = read(where, "train"), read(where, "test")
    path = os.path.join(where, "train.txt")
    with open(path, "w") as f:
        for label, text in train:
            f.write(f"__label__{label} {text}\n")
    size = sum(len(text) for _, text in train) / 1e6
    from_ = time.perf_counter()
    model = fasttext.train_supervised(path, wordNgrams=2, thread=1, verbose=0)
    learnt = time.perf_counter()
    said = [model.f.predict(text + "\n", 2, 0.0, "strict") for _, text in test]
    ended = time.perf_counter()
    scored = [(next((p for p, name in s if name == "__label__api"), 0), label)
              for s, (label, _) in zip(said, test)]
    print(f"{size / (learnt - from_):.2f} "
          f"{sum(len(t) for _, t in test) / 1e6 / (ended - learnt):.2f} {auc(scored):.5f}")


if __name__ == "__main__":
    {"make": make, "fasttext": fast}[sys.argv[1]](sys.argv[2])
