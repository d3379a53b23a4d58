#!/usr/bin/env python3
"""SmolLM2 beside llama.cpp: the same choices along its text, perplexity, and transformers' logits.

With weights of floats the two engines have to agree.  Beside weights of few
bits both quantize what is multiplied to 8 bits, each its own way, and err by
about as much: ours must be no farther from the floats than llama.cpp is.  They
choose otherwise at 1 place in 50, for what sums differ by is rounded away or
grows to a step: llama.cpp does so beside itself, reading token by token.
"""
import math
import os
import subprocess
import sys

from real import L, ROOT, corpus, done, ok, our_logits, read_jsonl, run, skip, their_logits, tmp

import numpy
import torch
from transformers import AutoModelForCausalLM

TOKENS = 200		# of each answer
WINDOW, WINDOWS = 512, 8
PROMPTS = (
    "The capital of France is", "Once upon a time there was", "def fibonacci(n):",
    "The three laws of thermodynamics are", "Dear Sir or Madam,", "1, 1, 2, 3, 5, 8,",
    "To bake bread you need", "SELECT name, count(*) FROM", "The French Revolution began",
    "In C, a pointer is", "Photosynthesis is the process", "My favourite book is",
    "Q: What is the boiling point of water?\nA:", "The recipe calls for two cups of",
    "Chapter 1\n\nIt was a dark night", "The difference between a cat and a dog",
    "Climate change affects", "# Introduction\n\nThis document", "She opened the door and",
    "The largest planet of the solar system",
)


def greedy(model, ids):
    """The ids with llama.cpp's greedy continuation, and its logits (T, V)."""
    ids = list(ids)
    model.reset()
    model.eval(ids)
    for _ in range(TOKENS):
        ids.append(int(model.scores[len(ids) - 1].argmax()))
        model.eval(ids[-1:])
    return ids, model.scores[:len(ids)].copy()


def off(a, b):
    return numpy.linalg.norm(a - b) / numpy.linalg.norm(b)


def same_choices(path, model):
    same = far = count = 0
    worst = 0
    for prompt in PROMPTS:
        ids, theirs = greedy(model, model.tokenize(prompt.encode(), add_bos=False))
        ours = our_logits(path, ids, theirs.shape[1]).float().numpy()
        first = len(ids) - TOKENS - 1
        ours, theirs = ours[first:-1], theirs[first:-1]
        a, b, at = ours.argmax(1), theirs.argmax(1), numpy.arange(TOKENS)
        # By how much we prefer ours, and they theirs: their sum is a difference of the engines.
        gap = numpy.minimum(ours[at, a] - ours[at, b], theirs[at, b] - theirs[at, a])
        far += int((gap > numpy.abs(ours - theirs).max(1)).sum())
        same += int((a == b).sum())
        count += TOKENS
        worst = max(worst, off(ours, theirs))
    ok(same >= 0.99 * count, f"{len(PROMPTS)} prompts: {same} of {count} choices along "
       f"llama.cpp's text are its own", "0.99 of them was promised")
    ok(far == 0, f"elsewhere two are nearer than the engines are (logits within {worst:.1e})", far)


def nats(logits, ids):
    x = numpy.asarray(logits[:-1], numpy.float64)
    most = x.max(1)
    lse = most + numpy.log(numpy.exp(x - most[:, None]).sum(1))
    return float((lse - x[numpy.arange(len(ids) - 1), ids[1:]]).sum())


def same_perplexity(path, model):
    text = "\n".join(read_jsonl(corpus())).encode()[:WINDOW * WINDOWS * 8]
    ids = model.tokenize(text, add_bos=False)[:WINDOW * WINDOWS]
    sums = [0.0, 0.0]
    for i in range(0, len(ids), WINDOW):
        window = ids[i:i + WINDOW]
        model.reset()
        model.eval(window)
        theirs = model.scores[:len(window)]
        sums[0] += nats(our_logits(path, window, theirs.shape[1]).float().numpy(), window)
        sums[1] += nats(theirs, window)
    n = len(ids) - -(-len(ids) // WINDOW)
    ours, theirs = (math.exp(s / n) for s in sums)
    ok(abs(ours / theirs - 1) < 1e-3, f"perplexity of {n} tokens: {ours:.4f}, llama.cpp's "
       f"{theirs:.4f}", f"{ours / theirs - 1:.2%}, 0.1 % was promised")


def as_near(path, model):
    """Of the file's own types: logits of a window beside transformers'."""
    where = tmp("smollm2")
    run("llm-convert", "-o", where, path)
    reference = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
    ids = [int(i) for i in run("llm-tokenize", "-q", "-F", "ids", "-m", path,
                               corpus()).decode().split()[:WINDOW]]
    exact = their_logits(reference, ids).numpy()
    d = off(our_logits(path, ids, exact.shape[1]).float().numpy(), exact)
    ok(d < 2e-2, f"logits are within {d:.1e} of transformers' with the weights as floats",
       "2e-2 was promised")
    if model is not None:
        model.reset()
        model.eval(ids)
        other = off(model.scores[:len(ids)], exact)
        ok(d < 1.1 * other, f"llama.cpp's within {other:.1e}", d)


def opened(path):
    return L.Llama(path, n_ctx=WINDOW, n_batch=WINDOW, n_threads=2, logits_all=True,
                   verbose=False)


def main():
    got = subprocess.call([os.path.join(ROOT, "scripts", "get-model")])
    if got == 1:
        skip("SmolLM2 beside llama.cpp", "no network")
        done()
        return
    if got != 0:
        sys.exit("get-model failed")
    path = os.path.join(ROOT, "obj", "models", "smollm2.gguf")
    as_near(path, L and opened(path))
    if L is None:
        skip("choices and perplexity", "no llama_cpp")
    else:
        full = tmp("full.gguf")
        run("llm-quantize", "--allow-requantize", "-t", "f32", "-o", full, path)
        model = opened(full)
        same_choices(full, model)
        same_perplexity(full, model)
    done()


main()
