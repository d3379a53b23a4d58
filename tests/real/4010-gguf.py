#!/usr/bin/env python3
"""GGUF files of ours in llama.cpp: its reader's tensors, its tokens, its logits."""
import glob
import json
import os

from real import L, ROOT, corpus, done, ok, our_logits, read_jsonl, run, skip, tmp

import numpy
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import load_file

DATA = os.path.join(ROOT, "tests", "data", "model")

# What llama.cpp does not compute as the models do, and why.
OTHER = {
    "gemma2": "scores are divided by the width of a head",
    "gemma3": "scores are divided by the width of a head",
    "phi3": "long factors in any context of 256 tokens",
    "qwen3-moe-all": "weights of experts are normalized always",
}
REFUSED = {
    "deepseek-v2": "no rank of queries", "deepseek-v2-groups": "biases", "jamba": "no bias",
    "mamba": "biases", "qwen3-moe": "layers without experts",
}
# GELU is a table of fp16 there.
ROUNDED = {"gemma": 1e-3, "gpt2": 1e-3, "gemma3": 1e-3}

# Before the window of some (5 and more tokens) is full, for it is not honoured there.
TOKENS = 5


def load(path, vocab_only=False):
    params = L.llama_model_default_params()
    params.vocab_only = vocab_only
    return L.llama_model_load_from_file(path.encode(), params)


def logits(path, tokens):
    model = load(path)
    if not model:
        return None
    params = L.llama_context_default_params()
    params.n_ctx, params.n_batch = 64, 64
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0
    params.flash_attn_type = 0
    context = L.llama_init_from_model(model, params)
    batch = L.llama_batch_init(64, 0, 1)
    batch.n_tokens = len(tokens)
    for i, t in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = t, i, 1, 1
        batch.seq_id[i][0] = 0
    if L.llama_decode(context, batch) != 0:
        return None
    n = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    got = numpy.ctypeslib.as_array(L.llama_get_logits(context), shape=(len(tokens) * n,))
    got = got.reshape(len(tokens), n).copy()
    L.llama_free(context)
    L.llama_model_free(model)
    return got


def check_model(name):
    path = tmp(name + ".gguf")
    run("llm-convert", "-o", path, os.path.join(DATA, name))
    reader = GGUFReader(path)
    ours = load_file_f32(os.path.join(DATA, name, "model.safetensors"))
    embed = next(t for t in reader.tensors if t.name == "token_embd.weight")
    want = next(x for k, x in ours.items() if k.endswith(("embed_tokens.weight", "wte.weight",
                                                          "embeddings.weight")))
    got = dequantize(embed.data, embed.tensor_type).astype(numpy.float32)
    ok(numpy.array_equal(got.reshape(want.shape), want), f"{name}: package gguf reads it")
    if L is None:
        skip(f"{name}: logits", "no llama_cpp")
        return
    run("llm-convert", "-t", "f32", "-o", path, os.path.join(DATA, name))
    expected = load_file(os.path.join(DATA, name, "expected.safetensors"))
    got = logits(path, expected["token"][:TOKENS].tolist())
    if name in REFUSED:
        ok(got is None, f"{name}: refused by llama.cpp as before: {REFUSED[name]}")
    elif name in OTHER:
        ok(got is not None, f"{name}: runs in llama.cpp, but {OTHER[name]}")
    else:
        want = expected["logits"][:TOKENS]
        off = numpy.inf if got is None else (numpy.linalg.norm(got - want) /
                                             numpy.linalg.norm(want))
        ok(off < ROUNDED.get(name, 1e-5), f"{name}: the logits of transformers in llama.cpp", off)


def check_made(arch):
    """What llm-init makes of a family, which the tiny models are unlike."""
    where, path, ids = tmp(arch), tmp(arch + "-made.gguf"), [5, 9, 33, 70, 12, 8, 100, 3, 77, 41]
    kind = os.path.join(ROOT, "tests", "data", "tokenizer_json", "good", "gpt2.json")
    run("llm-init", "-q", "-a", arch, "-m", kind, "--layers", "8", "--width", "64", "--heads", "2",
        "--context", "64", "-o", where)
    run("llm-convert", "-o", path, where)
    want, got = our_logits(where, ids, 400).float().numpy(), logits(path, ids)
    off = numpy.inf if got is None else numpy.linalg.norm(got - want) / numpy.linalg.norm(want)
    ok(off < ROUNDED.get(arch, 1e-5), f"{arch} of llm-init: our logits in llama.cpp", off)


def load_file_f32(path):
    import torch
    from safetensors.torch import load_file as load_torch
    return {k: v.to(torch.float32).numpy() for k, v in load_torch(path).items()}


def same_tokens(name, path, texts):
    model = load(path, True)
    vocab = L.llama_model_get_vocab(model)
    file = tmp("texts.jsonl")
    with open(file, "w", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t}) + "\n")
    lines = run("llm-tokenize", "-q", "-F", "ids", "-m", path, file).decode().split("\n")
    bos, wrong = L.llama_vocab_bos(vocab), 0
    for text, line in zip(texts, lines):
        raw = text.encode()
        ids = (L.llama_token * (len(raw) + 16))()
        n = L.llama_tokenize(vocab, raw, len(raw), ids, len(ids), False, False)
        got = [int(i) for i in line.split()]
        wrong += got[got[:1] == [bos]:] != ids[:n]
    ok(wrong == 0 and len(texts) > 0, f"{name}: {len(texts)} texts become the same tokens", wrong)
    L.llama_model_free(model)


def check_tokens():
    texts = [t for t in read_jsonl(corpus())[:200]] + [
        "  two  spaces", "a\nb\n\n\n\tc", "\u00e9t\u00e9 \u4f60\u597d \U0001f642 \u2581x", "3.14 12345"]
    kinds = os.path.join(ROOT, "tests", "data", "tokenizer_json", "good")
    for kind in "gpt2", "smollm2", "llama2", "gemma":
        where, path = tmp(kind), tmp(kind + "-tokens.gguf")
        run("llm-init", "-q", "-m", os.path.join(kinds, kind + ".json"), "--layers", "1",
            "--width", "32", "--heads", "2", "--context", "64", "-o", where)
        run("llm-convert", "-o", path, where)
        same_tokens(kind, path, texts)


def main():
    for path in sorted(glob.glob(os.path.join(DATA, "*"))):
        check_model(os.path.basename(path))
    if L is None:
        skip("tokens", "no llama_cpp")
    else:
        for arch in "mamba", "jamba", "phi3", "gemma3":
            check_made(arch)
        check_tokens()
    done()


main()
