#!/usr/bin/env python3
"""Tokenizers: ours in tokenizers and transformers, the real ones here, id for id."""
import glob
import os
import subprocess

from real import SHARED, corpus, done, ok, read_jsonl, refused, run, skip, tmp, write_jsonl
from texts import first_difference, same_ids, texts

from tokenizers import Tokenizer
from transformers import AutoTokenizer


def check_ours(pattern, file, sets):
    where = tmp("tok-" + pattern)
    run("llm-vocab", "-q", "-n", 4096, "--pattern", pattern, "-o", where, file)
    peer = Tokenizer.from_file(os.path.join(where, "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(where)
    ok(auto.eos_token == "<|endoftext|>" and len(auto) == 4096,
       f"llm-vocab {pattern}: AutoTokenizer knows its end and size", auto)
    for name, file, text in sets:
        name = f"llm-vocab {pattern}, {name}"
        theirs, back = same_ids(name, where, peer, file, text)
        ok(back == text, f"{name}: the same texts as before", first_difference(text, back, text))
        if pattern != "gpt2":
            continue
        plain = [i for i, t in enumerate(text) if "<|" not in t]
        got = auto([text[i] for i in plain])["input_ids"]
        ok(got == [theirs[i] for i in plain], f"{name}: AutoTokenizer's ids",
           first_difference([text[i] for i in plain], got, [theirs[i] for i in plain]))


def check_real(path, sets):
    name = os.path.basename(path).split(".")[0]
    if name == "tokenizer":
        name = os.path.basename(os.path.dirname(path))
    peer = Tokenizer.from_buffer(subprocess.run(["zstd", "-dcf", path], check=True,
                                                capture_output=True).stdout)
    for what, file, text in sets:
        same_ids(f"{name}, {what}", path, peer, file, text)


def main():
    english = corpus(full=True)
    sets = [("English", english, read_jsonl(english))]
    for name in "every script", "assigned characters":
        text = list(texts(name != "every script"))
        file = tmp(name + ".jsonl")
        write_jsonl(file, text)
        sets.append((name, file, text))
    for pattern in "gpt2", "llama3", "qwen2", "none":
        check_ours(pattern, english, sets[:2])
    real = sorted(glob.glob(os.path.join(SHARED, "tokenizers", "*.tokenizer.json.zst")) +
                  glob.glob(os.path.join(SHARED, "models", "*", "tokenizer.json")))
    for path in real:
        check_real(path, [sets[0], sets[2]])
    if not real:
        skip("real tokenizers", "no ../shared/data/tokenizers")
    done()


main()
