#!/usr/bin/env python3
"""llm-quantize on SmolLM2, beside llama.cpp's quantizer and in llama.cpp."""
import ctypes
import json
import math
import os
import subprocess
import sys

from real import L, ROOT, corpus, done, ok, read_jsonl, run, skip, tmp, write_jsonl

import numpy as np
from gguf import GGUFReader

TYPES = {"q4_0": 2, "q4_k_m": 15, "q6_k": 18, "q8_0": 7}	# llama.cpp's numbers
SAME = ("q4_0", "q8_0")	# by the reference's rounding but for the head of q4_0

if subprocess.call([os.path.join(ROOT, "scripts", "get-model")]) != 0:
    skip("llm-quantize on SmolLM2", "no model")
    done()
    sys.exit()

SMALL = os.path.join(ROOT, "obj", "models", "smollm2.gguf")


def divergence(path, reference, text):
    return json.loads(run("llm-eval", "-t", "kl", "-m", path, "--reference", reference, text))


def importances():
    """Of our imatrix, as llama.cpp's quantizer takes them; one without a name ends them."""
    tensors = {t.name: t.data for t in GGUFReader(tmp("imatrix")).tensors}
    means = {k.removesuffix(".in_sum2"): (v / tensors[k.replace(".in_sum2", ".counts")]).ravel()
             for k, v in tensors.items() if k.endswith(".in_sum2")}
    data = (L.llama_model_imatrix_data * (len(means) + 1))()
    for to, (name, x) in zip(data, means.items()):
        to.name, to.size = name.encode(), x.size
        to.data = (ctypes.c_float * x.size)(*x)
    return data


def theirs(source, kind, to, imatrix=None):
    p = L.llama_model_quantize_default_params()
    p.ftype = kind
    p.nthread = 2
    if imatrix is not None:
        p.imatrix = imatrix
    return L.llama_model_quantize(source.encode(), to.encode(), ctypes.byref(p)) == 0


def perplexity(path, texts, context):
    """Of pieces of context tokens, by llama.cpp."""
    m = L.Llama(path, n_ctx=context, n_batch=context, logits_all=True, verbose=False)
    nats = n = 0
    for t in texts:
        ids = m.tokenize(t.encode(), add_bos=False, special=False) + [m.token_eos()]
        for at in range(0, len(ids) - 1, context):
            piece = ids[at:at + context]
            if len(piece) < 2:
                continue
            m.reset()
            m.eval(piece)
            x = m.scores[:len(piece) - 1].astype(np.float64)
            lse = x.max(1) + np.log(np.exp(x - x.max(1, keepdims=True)).sum(1))
            nats += (lse - x[np.arange(len(piece) - 1), piece[1:]]).sum()
            n += len(piece) - 1
    return math.exp(nats / n)


def check_type(name, full, text, texts):
    mine, learnt, other = tmp("mine.gguf"), tmp("learnt.gguf"), tmp("other.gguf")
    run("llm-quantize", "-t", name, "-o", mine, full)
    a = divergence(mine, full, text)
    run("llm-quantize", "-t", name, "--imatrix", tmp("imatrix"), "-o", learnt, full)
    b = divergence(learnt, full, text)
    print(f"# {name}: {a['kl']:.5f}, by importance {b['kl']:.5f}")
    # At eight bits rounding alone is left, whichever way it falls.
    ok(b["kl"] < a["kl"] * (1.05 if name == "q8_0" else 0.95), f"{name}: importance helps", (a, b))
    if L is None:
        skip(f"{name} by llama.cpp", "no llama_cpp")
        return
    ok(theirs(full, TYPES[name], other), f"{name} by llama.cpp")
    x, y = GGUFReader(mine), GGUFReader(other)
    types = [{t.name: t.tensor_type for t in f.tensors} for f in (x, y)]
    ok(types[0] == types[1], f"{name}: the same types of all {len(types[0])} tensors")
    if name in SAME:
        bytes_of = [{t.name: t.data.tobytes() for t in f.tensors} for f in (x, y)]
        ok(bytes_of[0] == bytes_of[1], f"{name}: the same bytes")
    c = divergence(other, full, text)
    # Searches that end elsewhere differ by luck: 1 percent.
    ok(a["kl"] <= c["kl"] * 1.01, f"{name}: no farther from the model than llama.cpp's", (a, c))
    # Its sums of 8-bit activations are its own: 2 percent of a perplexity at most.
    p = perplexity(mine, texts, 512)
    ok(abs(p / a["perplexity"] - 1) < 0.02, f"{name}: the perplexity in llama.cpp",
       (p, a["perplexity"]))
    ok(theirs(full, TYPES[name], other, importances()), f"{name} by llama.cpp, by importance")
    d = divergence(other, full, text)
    print(f"# {name} by llama.cpp: {c['kl']:.5f}, by importance {d['kl']:.5f}")
    ok(b["kl"] <= d["kl"] * 1.01, f"{name}: by importance no farther than llama.cpp's", (b, d))


def main():
    texts = [t[:4000] for t in read_jsonl(corpus())[:30]]
    text, learn, full = tmp("text.jsonl"), tmp("learn.jsonl"), tmp("full.gguf")
    write_jsonl(text, texts[:6])
    write_jsonl(learn, texts[6:])
    run("llm-quantize", "--allow-requantize", "-t", "f32", "-o", full, SMALL)
    run("llm-quantize", "--calibrate", learn, "-n", "8k", "-o", tmp("imatrix"), full)
    for name in TYPES:
        check_type(name, full, text, texts[:6])
    run("llm-quantize", "-t", "q4_0", "-o", tmp("r.gguf"), full)
    r = divergence(tmp("r.gguf"), full, text)
    for how in ["--gptq"], ["--awq"], ["--gptq", "--awq"]:
        run("llm-quantize", "-t", "q4_0", "--calibrate", learn, "-n", "8k", *how,
            "-o", tmp("g.gguf"), full)
        g = divergence(tmp("g.gguf"), full, text)
        ok(g["kl"] < 0.7 * r["kl"], f"{' '.join(how)}: much nearer than rounding, {g['kl']:.5f} of "
           f"{r['kl']:.5f}", (g, r))
    done()


main()
