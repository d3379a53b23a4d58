#!/usr/bin/env python3
"""Adapters: ours in PEFT, PEFT's here, with the same logits; merged as PEFT does."""
import os
import sys

from real import ROOT, corpus, done, ok, our_logits, run, tmp

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import adapter as golden	# noqa: E402

IDS = torch.randint(0, 300, (40,), generator=torch.Generator().manual_seed(3)).tolist()
CLOSE = 1e-4
OURS = [
    ("lora", []), ("dora", []), ("ia3", []),
    ("lora", ["--rslora", "--rank", 3, "--alpha", 5]),
    ("lora", ["--targets", "q_proj,up_proj", "--rank-pattern", "up_proj=2",
              "--alpha-pattern", "q_proj=9"]),
    ("dora", ["--targets", r"/.*layers\.1\..*_proj/"]),
]


def far(a, b):
    return (a - b).abs().max().item()


def check(name, base, where):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    alone = model(torch.tensor([IDS])).logits[0]
    model = PeftModel.from_pretrained(model, where).eval()
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor([IDS])).logits[0]
    run("llm-merge", "-m", base, "-o", tmp("merged"), where)
    ours = our_logits(tmp("merged"), IDS, 300)
    ok(far(ours, theirs) <= CLOSE and far(theirs, alone) > 20 * CLOSE,
       f"{name}: logits differ by {far(ours, theirs):.1e}, the model's by "
       f"{far(theirs, alone):.1e}")
    merged = model.merge_and_unload().state_dict()
    worst = max(far(v, merged[k]) for k, v in load_file(
        os.path.join(tmp("merged"), "model.safetensors")).items())
    ok(worst < 1e-5, f"{name}: merged matrices differ by {worst:.1e}")
    run("rm", "-r", tmp("merged"))


def main():
    run("llm-vocab", "-q", "-n", 300, "-o", tmp("tok"), corpus())
    for arch in "llama", "gpt2":
        run("llm-init", "-q", "-a", arch, "-m", tmp("tok"), "--layers", 2, "--width", 32,
            "--heads", 2, "--context", 64, "-o", tmp(arch))
    run("llm-tokenize", "-q", "-m", tmp("tok"), "-o", tmp("tokens"), corpus())
    run("llm-pack", "-q", "-l", 64, "-o", tmp("rows"), tmp("tokens"))
    for i, (kind, options) in enumerate(OURS):
        for arch in ("llama", "gpt2") if not options else ("llama",):
            where = tmp(f"run-{i}-{arch}")
            run("llm-lora", "-q", "-m", tmp(arch), "-t", kind, *options, "-o", where,
                "--steps", 6, "--batch", 256, "--lr", 0.05, "--warmup", 0, tmp("rows"))
            check(f"ours, {arch}, {kind} {' '.join(map(str, options))}", tmp(arch),
                  os.path.join(where, "latest"))
    for name, (base, config) in golden.ADAPTERS.items():
        base = tmp("gpt2" if base == "gpt2" else "llama")
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        model = golden.get_peft_model(model, config)
        golden.randomize(model)
        model.save_pretrained(tmp("theirs"))
        check(f"PEFT's, {name}", base, tmp("theirs"))
    done()


main()
