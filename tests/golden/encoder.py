#!/usr/bin/env python3
"""A tiny random encoder by transformers, with what PyTorch computes from it, and a
table of vectors as model2vec has it.

usage: encoder.py DIR   writes DIR/bert and DIR/table

The model as save_pretrained() leaves it, with the tokenizer of
tests/golden/tokenizer.py, and expected.safetensors: token (T), cu_seqlens
(S + 1) and hidden (T, width), in float64, stored as float32; texts.json has texts
and the vectors of each: the mean of hidden, of length 1, and the table's.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENIZER = os.path.join(HERE, "..", "data", "tokenizer_json", "good", "bert.json")
SEQS = [7, 1, 20, 4]
TEXTS = ["the kernel writes a page of memory", "", "Don't! na\u00efve caf\u00e9", "x \u6f22\u5b57 zzz",
         "the page " * 30]


def table(where, tokenizer):
    """Of 100 rows for 300 tokens, by a mapping, each token with a weight."""
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where)
    g = torch.Generator().manual_seed(17)
    rows = torch.randn((100, 8), generator=g).half()
    weights = torch.rand(300, generator=g).double()
    mapping = torch.randint(0, 100, (300,), generator=g)
    save_file({"embeddings": rows, "weights": weights, "mapping": mapping},
              os.path.join(where, "model.safetensors"))
    shutil.copy(TOKENIZER, os.path.join(where, "tokenizer.json"))
    with open(os.path.join(where, "config.json"), "w") as f:
        json.dump({"model_type": "model2vec", "normalize": True, "hidden_dim": 8}, f)
    out = []
    for text in TEXTS:
        ids = [i for i in tokenizer.encode(text, add_special_tokens=False).ids if i != 1]
        v = torch.zeros(8).double()
        if ids:
            v = (rows[mapping[ids]].double() * weights[ids, None]).mean(0)
        out.append((v / max(v.norm(), 1e-32)).tolist())
    return out


def main():
    where = os.path.join(sys.argv[1], "bert")
    shutil.rmtree(where, ignore_errors=True)
    torch.manual_seed(7)
    model = BertModel(BertConfig(
        vocab_size=300, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=40, attn_implementation="eager")).eval()
    g = torch.Generator().manual_seed(11)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g) * 0.3
        p.data = noise + 1 if name.endswith("LayerNorm.weight") else noise
    model.save_pretrained(where)
    shutil.copy(TOKENIZER, os.path.join(where, "tokenizer.json"))
    g = torch.Generator().manual_seed(13)
    token = torch.randint(0, 300, (sum(SEQS),), generator=g)
    cu = torch.tensor([0] + SEQS).cumsum(0)
    model = model.double()
    with torch.no_grad():
        hidden = [model(token[None, a:b]).last_hidden_state[0] for a, b in zip(cu[:-1], cu[1:])]
    save_file({"token": token.int(), "cu_seqlens": cu.int(), "hidden": torch.cat(hidden).float()},
              os.path.join(where, "expected.safetensors"))
    tokenizer = Tokenizer.from_file(TOKENIZER)
    mean = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            ids = ids[:39] + ids[-1:] if len(ids) > 40 else ids
            h = model(torch.tensor([ids])).last_hidden_state[0].mean(0)
            mean.append((h / h.norm()).tolist())
    with open(os.path.join(sys.argv[1], "texts.json"), "w") as f:
        json.dump({"texts": TEXTS, "bert": mean,
                   "table": table(os.path.join(sys.argv[1], "table"), tokenizer)}, f)
        f.write("\n")


main()
