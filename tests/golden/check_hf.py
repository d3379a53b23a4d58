#!/usr/bin/env python3
"""Open a model directory of ours with Hugging Face's Auto classes.

usage: check_hf.py DIR [LOGITS.safetensors]

Checks that every weight is taken, that the tokenizer loads when it is there,
and, given what `llm-eval -t logits' wrote (token (T), logits (T, V)), that
transformers computes the same within 1e-4.  Exits 0 when all is well.
"""
import os
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    where = sys.argv[1]
    model, info = AutoModelForCausalLM.from_pretrained(
        where, dtype=torch.float32, output_loading_info=True)
    bad = {k: v for k, v in info.items() if v}
    if bad:
        sys.exit(f"{where}: {bad}")
    model.eval()
    print(where, type(model).__name__, sum(p.numel() for p in model.parameters()),
          "parameters")
    if os.path.exists(os.path.join(where, "tokenizer.json")):
        t = AutoTokenizer.from_pretrained(where)
        text = "The kernel \u00e9t\u00e9 \u6f22\u5b57\n"
        if t.decode(t(text, add_special_tokens=False)["input_ids"]) != text:
            sys.exit(f"{where}: the tokenizer does not give back its text")
        if len(t) > model.config.vocab_size:
            sys.exit(f"{where}: more tokens than rows of the embedding")
    if len(sys.argv) > 2:
        want = load_file(sys.argv[2])
        with torch.no_grad():
            got = model(want["token"].long()[None]).logits[0]
        far = (got - want["logits"]).abs().max().item()
        print("logits differ by at most", far)
        if not far <= 1e-4:
            sys.exit(f"{where}: logits differ by {far}")


main()
