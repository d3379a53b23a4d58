#!/usr/bin/env python3
"""Values of the quality rules by datatrove, for tests/unit/t_quality.c.

    quality.py [-n CHARS] <records.jsonl >tests/data/quality/golden.jsonl

Reads records with a text and writes {"text", "values", "c4"}: the value of
each rule as datatrove's filters compute it, and the text that C4's line rules
leave, or null when the filter drops the record before its last line.  Needs
datatrove and spacy.
"""
import json
import sys

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter
from datatrove.pipeline.filters import gopher_repetition_filter as rep
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.pipeline.filters.fineweb_quality_filter import find_duplicates
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words


def share(part, whole):
    return part / whole if whole else 0


def gopher(text, words):
    real = [w for w in words if any(c not in PUNCTUATION_SET for c in w)]
    mean = float(np.mean([len(w) for w in real])) if real else 0
    lines = text.splitlines()
    n = len(words)
    return {
        "gopher.min-words": len(real),
        "gopher.max-words": len(real),
        "gopher.min-mean-word-length": mean,
        "gopher.max-mean-word-length": mean,
        "gopher.max-hashes": share(text.count("#"), n),
        "gopher.max-ellipses": share(text.count("...") + text.count("…"), n),
        "gopher.max-bullet-lines": share(
            sum(s.lstrip().startswith("•") or s.lstrip().startswith("-") for s in lines), len(lines)),
        "gopher.max-ellipsis-lines": share(
            sum(s.rstrip().endswith("...") or s.rstrip().endswith("…") for s in lines), len(lines)),
        "gopher.min-alpha-words": share(sum(any(c.isalpha() for c in w) for w in words), n),
        "gopher.min-stop-words": len(set(STOP_WORDS) & set(words)),
    }


def repetition(text, words):
    f = rep.GopherRepetitionFilter()
    out = {}
    for name, items in (("paragraph", f.paragraph_exp.split(text.strip())),
                        ("line", f._line_splitter.split(text))):
        n, chars = rep.find_duplicates(items)
        out[f"gopher-rep.max-dup-{name}s"] = n / len(items)
        out[f"gopher-rep.max-dup-{name}-chars"] = share(chars, len(text))
    for n, _ in f.top_n_grams:
        grams = rep.get_n_grams(words, n)
        out[f"gopher-rep.max-top-{n}gram"] = share(rep.find_top_duplicate(grams), len(text)) if grams else 0
    for n, _ in f.dup_n_grams:
        out[f"gopher-rep.max-dup-{n}gram"] = share(rep.find_all_duplicate(words, n), len(text))
    return out


def fineweb(text, words):
    lines = [line for line in text.split("\n") if line.strip()]
    n = len(lines)
    return {
        "fineweb.min-terminal-lines": share(
            sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines), n),
        "fineweb.max-short-lines": share(sum(len(line) <= 30 for line in lines), n),
        "fineweb.max-dup-line-chars": share(find_duplicates(lines)[1], len(text.replace("\n", ""))),
        "fineweb.max-newlines": share(text.count("\n"), len(words)),
    }


def c4(text):
    doc = Document(text=text, id="0")
    got = C4QualityFilter(min_num_sentences=-1, filter_lorem_ipsum=False,
                          filter_curly_bracket=False).filter(doc)
    assert got is True
    whole = Document(text=text, id="0")
    verdict = C4QualityFilter().filter(whole)
    return doc.text, None if verdict is True else verdict[1]


def main():
    limit = int(sys.argv[2]) if sys.argv[1:2] == ["-n"] else 20000
    for line in sys.stdin:
        text = json.loads(line)["text"][:limit]
        words = split_into_words(text)
        edited, why = c4(text)
        json.dump({
            "text": text,
            "values": {**gopher(text, words), **repetition(text, words), **fineweb(text, words)},
            "c4": edited, "c4_reason": why,
        }, sys.stdout, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
