#!/usr/bin/env python3
"""Time llm-tokenize and llm-vocab beside tokenizers and tiktoken.

usage: token_peer.py RUNS CORPUS.jsonl     (scripts/bench-token calls it)

One thread each, medians of processor time, which is what the clock would show
on a machine with nothing else to do.  Ours is the whole command, from records
to a shard; the peer's time begins with texts in memory and ends with its ids.
Ids are compared before anything is timed.
"""
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import tiktoken
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.path.join(os.path.dirname(ROOT), "shared", "data", "tokenizers")
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


def ours(*command):
    """Processor seconds of a command that writes to /dev/null."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def theirs(f):
    before = time.process_time()
    f()
    return time.process_time() - before


def row(name, size, runs, mine, peer):
    """Runs in turn; rates in MB/s of text."""
    times = [(mine(), peer()) for _ in range(runs)]
    a, b = (size / 1e6 / statistics.median(t) for t in zip(*times))
    print(f"{name}\t{a:.1f}\t{b:.1f}\t{a / b:.2f}\t1\tMB/s\t{runs}", flush=True)
    return a >= b


def byte_of():
    """The byte that each character of a byte-level vocabulary stands for."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}


def as_tiktoken(name, file, pattern):
    doc = json.loads(file)
    special = {t["content"]: t["id"] for t in doc["added_tokens"]}
    chars = byte_of()
    ranks = {bytes(chars[c] for c in s): i for s, i in doc["model"]["vocab"].items()
             if s not in special}
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


def our_ids(where, corpus):
    out = subprocess.run(["llm-tokenize", "-q", "-m", where, "-F", "ids", corpus], check=True,
                         capture_output=True).stdout.decode().splitlines()
    return [[int(i) for i in line.split()] for line in out]


def tokenize(name, where, file, pattern, corpus, texts, runs):
    size = sum(len(t.encode()) for t in texts)
    hf = Tokenizer.from_str(file)
    hf.encode_special_tokens = True
    tik = as_tiktoken(name, file, pattern)
    want = our_ids(where, corpus)
    if [e.ids for e in hf.encode_batch_fast(texts, add_special_tokens=False)] != want:
        sys.exit(f"{name}: tokenizers has other ids")
    if [tik.encode_ordinary(t) for t in texts] != want:
        sys.exit(f"{name}: tiktoken has other ids")

    def mine():
        return ours("llm-tokenize", "-q", "-j", "1", "-m", where, corpus)

    good = row(f"{name}-tokenizers", size, runs, mine, lambda: theirs(
        lambda: hf.encode_batch_fast(texts, add_special_tokens=False)))
    return row(f"{name}-tiktoken", size, runs, mine, lambda: theirs(
        lambda: [tik.encode_ordinary(t) for t in texts])) and good


def train(texts):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=4096, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def vocab(tmp, corpus, texts, runs):
    """The trainers are to agree; where pairs are equally frequent they need not."""
    a = sum(map(len, our_ids(os.path.join(tmp, "tok"), corpus)))
    b = sum(len(e.ids) for e in train(texts).encode_batch_fast(texts))
    if abs(a - b) > 0.001 * b:
        sys.exit(f"vocab: {a} tokens, with the peer's {b}")
    return row("vocab-tokenizers", sum(len(t.encode()) for t in texts), runs,
               lambda: ours("llm-vocab", "-q", "-j", "1", "-n", "4096", "-o",
                            os.path.join(tmp, "again"), corpus),
               lambda: theirs(lambda: train(texts)))


def main():
    runs, corpus = int(sys.argv[1]), sys.argv[2]
    with open(corpus, encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    with tempfile.TemporaryDirectory() as tmp:
        where = os.path.join(tmp, "tok")
        ours("llm-vocab", "-q", "-n", "4096", "-o", where, corpus)
        with open(os.path.join(where, "tokenizer.json"), encoding="utf-8") as f:
            good = tokenize("tokenize-4k", where, f.read(), GPT2, corpus, texts, runs)
        for name in "qwen3", "gpt4o":
            path = os.path.join(SHARED, name + ".tokenizer.json.zst")
            if not os.path.exists(path):
                continue
            file = subprocess.run(["zstd", "-dc", path], check=True,
                                  capture_output=True).stdout.decode()
            pattern = json.loads(file)["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
            good &= tokenize("tokenize-" + name, path, file, pattern, corpus, texts, runs)
        good &= vocab(tmp, corpus, texts, runs)
    return 0 if good else 1


sys.exit(main())
