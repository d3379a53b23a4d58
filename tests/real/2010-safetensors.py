#!/usr/bin/env python3
"""safetensors: ours in the safetensors library, its own here, and back."""
import glob
import os

from real import corpus, done, ok, run, tmp

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def equal(a, b):
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and
        torch.equal(a[k].flatten().view(torch.uint8), b[k].flatten().view(torch.uint8)) for k in a)


def metadata(path):
    with safe_open(path, "pt") as f:
        return f.metadata() or {}


def check_ours(path, what):
    """The library reads ours, and would have written the same bytes."""
    w = load_file(path)
    ok(w and all(t.isfinite().all() for t in w.values() if t.is_floating_point()),
       f"{what}: the library reads {len(w)} tensors")
    meta = metadata(path)
    ok(meta.get("format") == "pt", f"{what}: transformers' metadata is there", meta)
    save_file(w, tmp("again"), metadata=meta)
    with open(path, "rb") as a, open(tmp("again"), "rb") as b:
        mine, theirs = a.read(), b.read()
    ok(mine == theirs, f"{what}: the library writes the same bytes")


def check_there_and_back(dir):
    """Weights stored again by the library, and by transformers in parts."""
    file = os.path.join(dir, "model.safetensors")
    before = load_file(file)
    logits = {}
    for how in "ours", "theirs", "parts":
        if how == "theirs":
            save_file(dict(reversed(before.items())), file)
        if how == "parts":
            from transformers import AutoModelForCausalLM
            model = AutoModelForCausalLM.from_pretrained(dir, dtype=torch.float32)
            os.remove(file)
            model.save_pretrained(dir, max_shard_size="100KB")
        run("llm-eval", "-t", "logits", "-m", dir, "-o", tmp("logits"), tmp("docs.shard"))
        logits[how] = load_file(tmp("logits"))
    n = len(glob.glob(os.path.join(dir, "*.safetensors")))
    ok(equal(logits["ours"], logits["theirs"]), "stored by the library without metadata: the "
       "same logits, bit for bit")
    ok(n > 2 and equal(logits["ours"], logits["parts"]),
       f"stored by transformers in {n} files: the same logits, bit for bit")


def main():
    run("llm-vocab", "-q", "-n", 500, "-o", tmp("tok"), corpus())
    run("llm-init", "-q", "-m", tmp("tok"), "--layers", 3, "--width", 64, "--heads", 4,
        "--context", 256, "-o", tmp("model"))
    ids = torch.arange(200) * 7 % 500
    ids.numpy().astype("<u2").tofile(tmp("ids.bin"))
    run("llm-shard", "-t", "import", "-F", "nanogpt", "-m", tmp("tok"), "-o", tmp("docs.shard"),
        tmp("ids.bin"))
    run("llm-pack", "-q", "-l", 64, "-o", tmp("rows.shard"), tmp("docs.shard"))
    run("llm-train", "-q", "-m", tmp("model"), "-o", tmp("run"), "--steps", 2, "--batch", 128,
        "--save-every", 2, tmp("rows.shard"))
    run("llm-eval", "-t", "logits", "-m", tmp("model"), "-o", tmp("l.safetensors"),
        tmp("docs.shard"))
    for name, path in (("llm-init", tmp("model", "model.safetensors")),
                       ("llm-train", tmp("run", "latest", "model.safetensors")),
                       ("its optimizer", tmp("run", "latest", "optimizer.safetensors")),
                       ("llm-eval -t logits", tmp("l.safetensors"))):
        check_ours(path, name)
    check_there_and_back(tmp("model"))
    done()


main()
