#!/usr/bin/env python3
"""Logits of texts with a moving window, by transformers.

usage: window.py MODELS DIR [NAME ...]   reads MODELS/NAME, writes DIR/NAME.safetensors

The models are those of model.py, and a file has token (T) and logits (T, V),
where each token sees SINKS first tokens and those from the oldest whole step
on that are at most WINDOW + STEP before it.  Keys and values are those of
when a token was read; positions go on, and the sinks are read anew at the
positions right before what is left, by themselves.  Float64 arithmetic on the
weights as they are stored; stored as float32.
"""
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, DynamicCache

SINKS, WINDOW, STEP, TOKENS = 16, 32, 16, 150
NAMES = ["llama", "mistral", "gemma3"]


def mask(queries, keys, reach):
    """The last queries of so many keys in a row, each to the last reach of them."""
    far = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
    seen = (far >= 0) & (far < reach)
    return torch.where(seen, 0.0, -torch.inf).double()[None, None]


def masks(config, queries, keys):
    full, reach = mask(queries, keys, keys), getattr(config, "sliding_window", None)
    if not reach:
        return full
    local = mask(queries, keys, reach)
    if "full_attention" not in getattr(config, "layer_types", []):
        return local
    return {"full_attention": full, "sliding_attention": local}


def read(model, ids, first, past):
    """Logits of ids at positions from first on, and keys and values of each layer."""
    cache = DynamicCache()
    for i, (k, v) in enumerate(past):
        cache.update(k, v, i)
    keys = len(ids) + (past[0][0].shape[2] if past else 0)
    out = model(torch.tensor([ids]), past_key_values=cache, use_cache=True,
                position_ids=torch.arange(first, first + len(ids))[None],
                attention_mask=masks(model.config, len(ids), keys))
    return out.logits[0], [(x.keys, x.values) for x in cache.layers]


def join(a, b):
    return [(torch.cat((k, m), 2), torch.cat((v, w), 2)) for (k, v), (m, w) in zip(a, b)]


def stream(model, ids):
    logits, past, dropped = [], [], 0
    for i, token in enumerate(ids):
        drop = max(0, (i - SINKS - WINDOW) // STEP * STEP)
        if drop != dropped:
            _, sinks = read(model, ids[:SINKS], drop, [])
            rest = [(k[:, :, SINKS + drop - dropped:], v[:, :, SINKS + drop - dropped:])
                    for k, v in past]
            past, dropped = join(sinks, rest), drop
        row, past = read(model, [token], i, past)
        logits.append(row[0])
    return torch.stack(logits)


def main():
    torch.set_grad_enabled(False)
    for name in sys.argv[3:] or NAMES:
        model = AutoModelForCausalLM.from_pretrained(
            os.path.join(sys.argv[1], name), dtype=torch.float64, attn_implementation="eager")
        g = torch.Generator().manual_seed(13)
        token = torch.randint(model.config.vocab_size, (TOKENS,), generator=g)
        save_file({"token": token.int(), "logits": stream(model, token.tolist()).float()},
                  os.path.join(sys.argv[2], name + ".safetensors"))


if __name__ == "__main__":
    main()
