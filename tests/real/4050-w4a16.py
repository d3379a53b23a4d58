#!/usr/bin/env python3
"""llm-quantize -t w4a16 on SmolLM2: what compressed-tensors reads of it, and how near it stays."""
import json
import os
import subprocess
import sys

from real import ROOT, corpus, done, ok, read_jsonl, run, skip, tmp, write_jsonl

import torch
from safetensors import safe_open

if subprocess.call([os.path.join(ROOT, "scripts", "get-model")]) != 0:
    skip("llm-quantize -t w4a16 on SmolLM2", "no model")
    done()
    sys.exit()


def tensors(name):
    return safe_open(os.path.join(tmp(name), "model.safetensors"), "pt")


def unpack(words, columns):
    """As compressed-tensors has it: eight to a word, the lowest bits first, plus 8."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32)
    return ((words.unsqueeze(-1) >> shifts & 15) - 8).flatten(1)[:, :columns].float()


def check_layout():
    """Rounding: integers and scales by the book, and the same numbers from ours."""
    run("llm-quantize", "-t", "w4a16", "-o", tmp("rtn"), tmp("full"))
    run("llm-convert", "-t", "f32", "-o", tmp("back"), tmp("rtn"))
    full, rtn, back = tensors("full"), tensors("rtn"), tensors("back")
    with open(os.path.join(tmp("rtn"), "config.json")) as f:
        config = json.load(f)["quantization_config"]
    sizes = {t: g["weights"]["group_size"] for g in config["config_groups"].values()
             for t in g["targets"]}
    n = rounded = read = size = rest = 0
    for k in back.keys():
        module, w, y = k.removesuffix(".weight"), full.get_tensor(k).float(), back.get_tensor(k)
        if k in rtn.keys():
            rest += torch.equal(w, y) and torch.equal(rtn.get_tensor(k).float(), w)
            continue
        n += 1
        shape = rtn.get_tensor(module + ".weight_shape").tolist()
        q = unpack(rtn.get_tensor(module + ".weight_packed"), shape[1])
        scale = rtn.get_tensor(module + ".weight_scale")
        group = sizes.get(module, sizes["Linear"])
        size += list(w.shape) == shape and scale.shape[1] * group == shape[1]
        g = w.unflatten(1, (-1, group))
        wide = scale.float().unsqueeze(2)
        # Which of two numbers alike is the farthest, and halves, may go either way.
        off = (g / wide).nan_to_num().clamp(-8, 7).flatten(1) - q
        rounded += torch.equal((g.abs().amax(2) / 8).bfloat16(), scale.abs()) and \
            off.abs().max() < 0.5001
        read += torch.equal((q.unflatten(1, (-1, group)) * wide).flatten(1), y)
    ok(n == 210 and size == n, f"{n} matrices in groups of the sizes that config.json says", size)
    ok(rounded == n, "integers and scales are those of rounding to nearest", rounded)
    ok(read == n, "they are read as PyTorch reads them", read)
    ok(rest == len(list(back.keys())) - n, "the rest is as it was", rest)


def check_peer():
    """transformers reads the file by itself, where it has compressed_tensors."""
    try:
        import compressed_tensors		# noqa: F401
    except ImportError:
        skip("logits of transformers", "no compressed_tensors")
        return
    from transformers import AutoModelForCausalLM
    ids = torch.tensor([[1, 504, 2365, 3456, 257, 12, 900, 77, 1234, 345]])
    with torch.no_grad():
        a, b = (AutoModelForCausalLM.from_pretrained(tmp(d), dtype=torch.float32)(ids).logits
                for d in ("rtn", "back"))
    ok(torch.equal(a, b), "transformers computes with the same numbers")


def main():
    texts = [t[:4000] for t in read_jsonl(corpus())[:30]]
    text, learn = tmp("text.jsonl"), tmp("learn.jsonl")
    write_jsonl(text, texts[:6])
    write_jsonl(learn, texts[6:])
    run("llm-convert", "-o", tmp("full"), os.path.join(ROOT, "obj", "models", "smollm2.gguf"))
    check_layout()
    check_peer()

    def divergence(name):
        return json.loads(run("llm-eval", "-t", "kl", "-m", tmp(name), "--reference",
                              tmp("full"), text))["kl"]

    plain = divergence("rtn")
    for name, share in ("awq", 0.7), ("gptq", 0.4), ("awq gptq", 0.4):
        run("llm-quantize", "-t", "w4a16", "--calibrate", learn, "-n", "8k",
            *("--" + how for how in name.split()), "-o", tmp(name), tmp("full"))
        kl = divergence(name)
        ok(kl < share * plain, f"{name}: much nearer than rounding, {kl:.5f} of {plain:.5f}", kl)
    done()


main()
