#!/usr/bin/env python3
"""llm-quantize -t w8a8 on SmolLM2: its integers, and in PyTorch with inputs of eight bits too.

Every Linear module rounds its inputs as vLLM does, with a scale a token: that is
what SmoothQuant is for.
"""
import json
import os
import subprocess
import sys

from real import ROOT, corpus, done, ok, read_jsonl, run, skip, tmp, write_jsonl

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

if subprocess.call([os.path.join(ROOT, "scripts", "get-model")]) != 0:
    skip("llm-quantize -t w8a8 on SmolLM2", "no model")
    done()
    sys.exit()


def tensors(name):
    return safe_open(os.path.join(tmp(name), "model.safetensors"), "pt")


def weights(name):
    """What the integers stand for, by the names of the model."""
    f, all = tensors(name), {}
    for k in f.keys():
        x = f.get_tensor(k)
        if x.dtype == torch.int8:
            x = x.float() * f.get_tensor(k + "_scale").float()
        if not k.endswith("_scale"):
            all[k] = x.float()
    return all


def check_layout():
    run("llm-convert", "-t", "f32", "-o", tmp("back"), tmp("plain"))
    full, plain, back, ours = tensors("full"), tensors("plain"), tensors("back"), weights("plain")
    with open(os.path.join(tmp("plain"), "config.json")) as f:
        config = json.load(f)["quantization_config"]
    n = rounded = 0
    for k in plain.keys():
        q = plain.get_tensor(k)
        if q.dtype != torch.int8:
            continue
        n += 1
        x = full.get_tensor(k).float()
        scale = (x.abs().amax(1, keepdim=True) / 127).bfloat16()
        rounded += torch.equal(scale, plain.get_tensor(k + "_scale")) and \
            torch.equal((x / scale.float()).round().clamp(-127, 127).to(torch.int8), q)
    ok(n == 210 and rounded == n, f"integers and scales of {n} matrices are PyTorch's", rounded)
    same = sum(torch.equal(ours[k], back.get_tensor(k)) for k in back.keys())
    ok(same == len(ours), "they are read as PyTorch reads them", same)
    group = config["config_groups"]["group_0"]
    ok(config["format"] == "int-quantized" and group["weights"]["strategy"] == "channel" and
       group["input_activations"]["dynamic"] and
       group["input_activations"]["strategy"] == "token", "config.json says so", config)


def round_inputs(module, args):
    x, = args
    scale = x.abs().amax(-1, keepdim=True).clamp(min=1e-10) / 127
    return (x / scale).round() * scale,


def log_probabilities(name, pieces):
    model = AutoModelForCausalLM.from_pretrained(tmp("full"), dtype=torch.float32).eval()
    model.load_state_dict(weights(name), strict=False)
    for path, module in model.named_modules():
        if name != "full" and isinstance(module, torch.nn.Linear) and path != "lm_head":
            module.register_forward_pre_hook(round_inputs)
    with torch.no_grad():
        return [model(x[None]).logits[0].log_softmax(-1) for x in pieces]


def main():
    texts = [t[:4000] for t in read_jsonl(corpus())[:30]]
    learn = tmp("learn.jsonl")
    write_jsonl(learn, texts[6:])
    run("llm-convert", "-o", tmp("full"), os.path.join(ROOT, "obj", "models", "smollm2.gguf"))
    run("llm-quantize", "-t", "w8a8", "-o", tmp("plain"), tmp("full"))
    run("llm-quantize", "-t", "w8a8", "--calibrate", learn, "-n", "8k", "--smooth", "0.5",
        "-o", tmp("smooth"), tmp("full"))
    check_layout()
    tokenizer = AutoTokenizer.from_pretrained(tmp("full"))
    pieces = [torch.tensor(tokenizer(t)["input_ids"][:400]) for t in texts[:4]]
    want = log_probabilities("full", pieces)
    kl = {}
    for name in "plain", "smooth":
        got = log_probabilities(name, pieces)
        kl[name] = sum((p.exp() * (p - q)).sum(-1).mean().item()
                       for p, q in zip(want, got)) / len(want)
    ok(0 < kl["plain"] < 0.1, f"near with inputs of eight bits, {kl['plain']:.5f}")
    ok(kl["smooth"] < 0.7 * kl["plain"], f"SmoothQuant: much nearer, {kl['smooth']:.5f}")
    done()


main()
