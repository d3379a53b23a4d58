#!/usr/bin/env python3
"""llm-vocab beside the trainers of tokenizers and of SentencePiece."""
import json
import os
import random

import sentencepiece
from real import corpus, done, ok, read_jsonl, run, tmp, write_jsonl
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

PATTERNS = ("gpt2", "digits", "llama3", "qwen2", "qwen3.5", "o200k", "tekken", "deepseek")
REGEX = r"\w+|[^\w\s]+|\s+"


def model_of(where):
    with open(os.path.join(where, "tokenizer.json"), encoding="utf-8") as f:
        return json.load(f)["model"]


def check_bpe(name, how, file, texts, size):
    where = tmp("bpe-" + name)
    run("llm-vocab", "-q", "-j", 2, "-n", size, *how, "-o", where, file)
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = Tokenizer.from_file(os.path.join(where, "tokenizer.json")).pre_tokenizer
    peer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    ours, theirs = model_of(where), json.loads(peer.to_str())["model"]
    ok(ours["merges"] == theirs["merges"] and ours["vocab"] == theirs["vocab"],
       f"{name}: the merges of tokenizers")


def check_unigram(lines, size):
    """As many tokens on other texts as SentencePiece has, within 0.5 percent, or fewer."""
    cut = len(lines) * 9 // 10
    train, held = lines[:cut], lines[cut:]
    with open(tmp("lines"), "w", encoding="utf-8") as f:
        f.write("".join(s + "\n" for s in train))
    write_jsonl(tmp("lines.jsonl"), train)
    where = tmp("unigram")
    run("llm-vocab", "-q", "-j", 2, "-t", "unigram", "-n", size, "-o", where, tmp("lines.jsonl"))
    sentencepiece.SentencePieceTrainer.train(
        input=tmp("lines"), model_prefix=tmp("sp"), vocab_size=size, model_type="unigram",
        normalization_rule_name="identity", remove_extra_whitespaces=False, num_threads=2,
        max_sentence_length=100000, minloglevel=2)
    peer = sentencepiece.SentencePieceProcessor(model_file=tmp("sp.model"))
    ours = Tokenizer.from_file(os.path.join(where, "tokenizer.json"))
    a = sum(len(e.ids) for e in ours.encode_batch(held, add_special_tokens=False))
    b = sum(len(peer.encode(s)) for s in held)
    ok(a <= 1.005 * b, f"unigram: {a} tokens, {b} with SentencePiece", (a, b))


def main():
    texts = list(read_jsonl(corpus()))
    file = tmp("texts.jsonl")
    write_jsonl(file, texts)
    for pattern in PATTERNS:
        check_bpe(pattern, ("--pattern", pattern), file, texts, 4096)
    check_bpe("regex", ("--regex", REGEX), file, texts, 4096)
    check_bpe("spilled", ("--memory", 0), file, texts, 4096)
    few = tmp("few.jsonl")
    write_jsonl(few, texts[:5])
    check_bpe("none", ("--pattern", "none"), few, texts[:5], 2000)
    texts = read_jsonl(corpus(full=True))
    lines = [s.strip(" ") for t in texts for s in t.replace("\t", " ").split("\n")]
    lines = [s for s in lines if 10 < len(s) < 4000 and not set(s) & set("\r\0\u2581")]
    random.Random(1).shuffle(lines)
    check_unigram(lines[:50000], 2000)
    done()


main()
