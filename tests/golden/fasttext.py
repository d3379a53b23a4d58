#!/usr/bin/env python3
"""Small models by fastText of each kind, with what it says of some texts.

usage: fasttext.py DATA   writes DATA/fasttext/good/*.{bin,ftz} and DATA/fasttext/expected.tsv

A line is a model, a text, and the probability of each label in the model's order.
Needs fasttext-wheel and numpy.
"""
import os
import random
import sys
import tempfile

import fasttext

LABELS = ["kernel", "file", "été", "memory"]
WORDS = ["the", "a", "small", "page", "of", "été", "naïve", "日本", "I/O", "reads", "x", "."]
TEXTS = ["the small kernel", "a page of memory.", "", "été naïve 日本 日本語 x", "unknown words only",
         "__label__kernel </s> the\tpage  reads", "I/O I/O I/O file file"]
KINDS = {
    "softmax": dict(loss="softmax", wordNgrams=2, bucket=40),
    "plain": dict(loss="softmax", bucket=0),
    "hs": dict(loss="hs", wordNgrams=3, minn=2, maxn=3, bucket=50),
    "ns": dict(loss="ns", minn=1, maxn=2, bucket=50),
    "ova": dict(loss="ova", wordNgrams=2, bucket=30),
}


def main():
    out = os.path.join(sys.argv[1], "fasttext")
    os.makedirs(os.path.join(out, "good"), exist_ok=True)
    r = random.Random(7)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        for i in range(200):
            label = r.choice(LABELS[:1 + i % 4])
            f.write(f"__label__{label} {label} " + " ".join(r.choices(WORDS, k=6)) + "\n")
        f.flush()
        with open(os.path.join(out, "expected.tsv"), "w") as e:
            for name, kind in KINDS.items():
                write(out, e, name + ".bin", fasttext.train_supervised(
                    f.name, dim=3, epoch=5, lr=0.5, thread=1, verbose=0, **kind))
            # Rows are quantized where there are 256 of them.
            m = fasttext.train_supervised(f.name, dim=4, epoch=5, lr=0.5, thread=1, verbose=0,
                                          wordNgrams=2, bucket=300)
            m.quantize(f.name, qnorm=True, verbose=0)
            write(out, e, "quant.ftz", m)
            m = fasttext.train_supervised(f.name, dim=5, epoch=5, lr=0.5, thread=1, verbose=0,
                                          wordNgrams=2, bucket=900, minn=2, maxn=3)
            m.quantize(f.name, cutoff=280, verbose=0)
            write(out, e, "pruned.ftz", m)


def write(out, expected, name, model):
    model.save_model(os.path.join(out, "good", name))
    labels = model.get_labels()
    for text in TEXTS:
        said = {label: p for p, label in
                model.f.predict(text + "\n", len(labels), 0.0, "strict")}
        expected.write("\t".join([name, text.replace("\t", "\\t")] +
                                 [f"{min(said.get(label, 0), 1):.7f}" for label in labels]) + "\n")


if __name__ == "__main__":
    main()
