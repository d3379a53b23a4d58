#!/usr/bin/env python3
"""Adapters by PEFT of the tiny models of model.py, with what PyTorch computes.

usage: adapter.py DATA   writes DATA/adapter/NAME/ for models of DATA/model

Each has the adapter as save_pretrained() leaves it and expected.safetensors:
token, cu_seqlens, logits, loss and grad.NAME of every parameter of the adapter
(as model.py, whose rules hold here), NAME as in PEFT's file, and merged.NAME:
the adapted matrices with the adapter merged into them.
"""
import json
import os
import shutil
import sys

import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

SEQS = [7, 1, 12, 4]
ATTENTION = ["q_proj", "v_proj"]
ADAPTERS = {
    "lora": ("llama", LoraConfig(
        r=4, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM",
        rank_pattern={"k_proj": 2, r"layers\.1\.mlp\.up_proj": 3},
        alpha_pattern={"mlp.down_proj": 20})),
    "rslora-regex": ("llama-tied", LoraConfig(
        r=3, lora_alpha=5, use_rslora=True, task_type="CAUSAL_LM",
        target_modules=r".*\.(q_proj|gate_proj)")),
    "dora": ("llama-tied", LoraConfig(
        r=2, lora_alpha=3, use_dora=True, target_modules=ATTENTION + ["o_proj", "up_proj"],
        task_type="CAUSAL_LM")),
    "dora-gpt2": ("gpt2", LoraConfig(
        r=2, lora_alpha=4, use_dora=True, target_modules=["c_attn", "mlp.c_proj"],
        fan_in_fan_out=True, task_type="CAUSAL_LM")),
    "ia3": ("llama-tied", IA3Config(
        target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"],
        task_type="CAUSAL_LM")),
    "ia3-gpt2": ("gpt2", IA3Config(
        target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"],
        fan_in_fan_out=True, task_type="CAUSAL_LM")),
}


def randomize(model):
    g = torch.Generator().manual_seed(17)
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        noise = torch.randn(p.shape, generator=g) * 0.3
        p.data = p.data + noise if "magnitude" in name or "ia3" in name else noise


def file_name(name):
    """As in PEFT's file: without the adapter's name."""
    name = name.replace(".default", "")
    return name[:-len(".weight")] if name.endswith("vector.weight") else name


def expected(model, vocab):
    g = torch.Generator().manual_seed(13)
    token = torch.randint(0, vocab, (sum(SEQS),), generator=g)
    cu = torch.tensor([0] + SEQS).cumsum(0)
    logits, total, targets = [], 0, 0
    for a, b in zip(cu[:-1], cu[1:]):
        y = model(input_ids=token[None, a:b]).logits[0]
        logits.append(y)
        total = total - torch.log_softmax(y[:-1], -1).gather(1, token[a + 1:b, None]).sum()
        targets += int(b - a - 1)
    loss = total / targets
    loss.backward()
    out = {"token": token.int(), "cu_seqlens": cu.int(),
           "logits": torch.cat(logits).float(), "loss": loss.reshape(1).double()}
    for name, p in model.named_parameters():
        if p.requires_grad:
            out["grad." + file_name(name)] = p.grad.float()
    return out


def main():
    for name, (base, config) in ADAPTERS.items():
        where = os.path.join(sys.argv[1], "adapter", name)
        shutil.rmtree(where, ignore_errors=True)
        model = AutoModelForCausalLM.from_pretrained(
            os.path.join(sys.argv[1], "model", base), dtype=torch.float32)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        model = get_peft_model(model, config).eval()
        randomize(model)
        model.save_pretrained(where)
        with open(os.path.join(where, "adapter_config.json")) as f:
            c = json.load(f)
        c["base_model_name_or_path"] = base
        with open(os.path.join(where, "adapter_config.json"), "w") as f:
            json.dump(c, f, indent=2)
            f.write("\n")
        os.remove(os.path.join(where, "README.md"))
        model = model.double()
        out = expected(model, model.config.vocab_size)
        after = model.merge_and_unload().state_dict()
        for k, v in before.items():
            if k != "lm_head.weight" and not torch.equal(v, after[k].float()):
                out["merged." + k] = after[k].float()
        assert any(k.startswith("merged.") for k in out)
        save_file({k: v.detach().contiguous() for k, v in out.items()},
                  os.path.join(where, "expected.safetensors"))


if __name__ == "__main__":
    main()
