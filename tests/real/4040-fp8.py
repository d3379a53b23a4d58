#!/usr/bin/env python3
"""llm-quantize -t fp8 on SmolLM2: the bytes and scales are PyTorch's, and read back so."""
import os
import subprocess
import sys

from real import ROOT, done, ok, run, skip, tmp

import torch
from safetensors import safe_open

if subprocess.call([os.path.join(ROOT, "scripts", "get-model")]) != 0:
    skip("llm-quantize -t fp8 on SmolLM2", "no model")
    done()
    sys.exit()


def main():
    run("llm-convert", "-o", tmp("full"), os.path.join(ROOT, "obj", "models", "smollm2.gguf"))
    run("llm-quantize", "-t", "fp8", "-o", tmp("fp8"), tmp("full"))
    run("llm-convert", "-t", "f32", "-o", tmp("back"), tmp("fp8"))
    full, fp8, back = [safe_open(os.path.join(tmp(d), "model.safetensors"), "pt")
                       for d in ("full", "fp8", "back")]
    n = cast = read = rest = 0
    for k in back.keys():
        q, x, w = fp8.get_tensor(k), full.get_tensor(k).float(), back.get_tensor(k)
        if q.dtype != torch.float8_e4m3fn:
            rest += torch.equal(q.float(), w) and torch.equal(x, w)
            continue
        n += 1
        scale = x.abs().amax(1, keepdim=True) / 448
        theirs = (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
        cast += torch.equal(theirs.view(torch.uint8), q.view(torch.uint8)) and \
            torch.equal(scale, fp8.get_tensor(k + "_scale"))
        read += torch.equal(q.float() * scale, w)
    ok(n == 210 and cast == n, f"bytes and scales of {n} matrices are PyTorch's", cast)
    ok(read == n, "they are read as PyTorch reads them", read)
    ok(rest == len(list(back.keys())) - n, "the rest is as it was", rest)
    done()


main()
