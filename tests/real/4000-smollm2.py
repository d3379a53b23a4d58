#!/usr/bin/env python3
"""SmolLM2-135M from its GGUF: weights, tokenizer, logits and text as others have them."""
import os
import subprocess
import sys

from real import ROOT, corpus, done, ok, read_jsonl, run, same_logits, skip, tmp, write_jsonl
from texts import same_ids, texts

import numpy
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = "The capital of France is"


def permuted_back(x, heads):
    """Rows of heads from neighbours to halves."""
    return x.reshape(heads, -1, 2, x.shape[-1]).swapaxes(1, 2).reshape(x.shape)


def same_weights(gguf, where, config):
    ours = load_file(os.path.join(where, "model.safetensors"))
    heads = {"attn_q.weight": config.num_attention_heads,
             "attn_k.weight": config.num_key_value_heads}
    # Both are in the order of llama.cpp's writer within a layer, by content here.
    theirs = []
    for t in GGUFReader(gguf).tensors:
        x = dequantize(t.data, t.tensor_type).astype(numpy.float32)
        for end, n in heads.items():
            if t.name.endswith(end):
                x = permuted_back(x, n)
        theirs.append(x)
    bytes_of = sorted(x.tobytes() for x in theirs)
    ok(bytes_of == sorted(x.numpy().tobytes() for x in ours.values()),
       f"the {len(ours)} tensors are what gguf makes of them, bit for bit")


def main():
    got = subprocess.run([os.path.join(ROOT, "scripts", "get-model")])
    if got.returncode == 1:
        skip("SmolLM2-135M", "no network")
        done()
        return
    if got.returncode != 0:
        sys.exit("get-model failed")
    gguf, where = os.path.join(ROOT, "obj", "models", "smollm2.gguf"), tmp("smollm2")
    run("llm-convert", "-o", where, gguf)
    model = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
    auto = AutoTokenizer.from_pretrained(where)
    same_weights(gguf, where, model.config)
    peer = Tokenizer.from_file(os.path.join(where, "tokenizer.json"))
    english = corpus()
    same_ids("English", where, peer, english, read_jsonl(english))
    # Some bytes have no token, and a text with one is refused.
    some = [t for t in texts(False) if peer.decode(peer.encode(t).ids, False) == t]
    write_jsonl(tmp("scripts.jsonl"), some)
    same_ids("every script", where, peer, tmp("scripts.jsonl"), some)
    chat = auto.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    ok("<|im_start|>user\nHi<|im_end|>" in chat, "its chat template", chat)
    ids = auto(PROMPT)["input_ids"]
    same_logits("SmolLM2", model, where, ids * 3, close=1e-3)
    theirs = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)
    theirs = auto.decode(theirs[0][len(ids):], skip_special_tokens=True)
    ours = run("llm-generate", "-m", where, "-p", PROMPT, "-n", 24, "-T", 0).decode()
    ok("Paris" in ours and ours == theirs + "\n", f"the same text: {ours.strip()!r}", theirs)
    done()


main()
