#!/usr/bin/env python3
"""Tiny models as quantizers leave them, and what their weights are.

usage: packed.py DATA   writes DATA/packed/NAME/ from DATA/model/mistral

Layouts are those that the formats' own documents give: FP8 of DeepSeek-V3 and
of compressed-tensors, GPTQ (both versions of zeros, columns in an order of
their own), AWQ's gemm, and compressed-tensors' int-quantized and
pack-quantized.  model.safetensors is the model, expected.safetensors its
matrices in fp32, computed here from integers and scales before they are packed.
"""
import json
import os
import sys

import torch
from safetensors.torch import load_file, save_file

GROUP = 8
AWQ = [0, 2, 4, 6, 1, 3, 5, 7]


def words(x, bits, dim, order=None):
    """Pack 32 / bits numbers along dim into each int32, the first lowest."""
    each = 32 // bits
    x = x.movedim(dim, -1).to(torch.int64)
    x = torch.nn.functional.pad(x, (0, -x.shape[-1] % each)).reshape(*x.shape[:-1], -1, each)
    if order is not None:
        x = x[..., order]
    w = sum(x[..., i] << bits * i for i in range(each))
    w = torch.where(w >= 2**31, w - 2**32, w).to(torch.int32)
    return w.movedim(-1, dim).contiguous()


def rounded(w, bits, group, symmetric):
    """Integers (n, k), scales and zeros (n, k / group)."""
    g = w.reshape(w.shape[0], -1, group)
    top = 2**bits - 1
    if symmetric:
        scale = g.abs().amax(-1) / (top / 2)
        zero = torch.full_like(scale, (top + 1) / 2)
    else:
        scale = (g.amax(-1) - g.amin(-1)) / top
        zero = (-g.amin(-1) / scale).round().clamp(0, top)
    scale = scale.half().float()
    q = (g / scale[..., None] + zero[..., None]).round().clamp(0, top)
    return q.reshape(w.shape), scale, zero


def value(q, scale, zero, index):
    return (q - zero[:, index]) * scale[:, index]


def gptq(w, v2=False, order=False):
    q, scale, zero = rounded(w, 4, GROUP, False)
    zero = zero.clamp(1, 15)
    index = torch.arange(w.shape[1]) // GROUP
    if order:
        index = index[torch.randperm(len(index))]
    parts = {"qweight": words(q, 4, 1).T.contiguous(),
             "qzeros": words(zero.T - (0 if v2 else 1), 4, 1),
             "scales": scale.half().T.contiguous(), "g_idx": index.to(torch.int32)}
    return parts, value(q, scale, zero, index)


def awq(w):
    q, scale, zero = rounded(w, 4, GROUP, False)
    index = torch.arange(w.shape[1]) // GROUP
    return {"qweight": words(q.T, 4, 1, AWQ), "qzeros": words(zero.T, 4, 1, AWQ),
            "scales": scale.half().T.contiguous()}, value(q, scale, zero, index)


def packed(w):
    q, scale, zero = rounded(w, 4, GROUP, False)
    index = torch.arange(w.shape[1]) // GROUP
    return {"weight_packed": words(q, 4, 1), "weight_scale": scale.half(),
            "weight_zero_point": words(zero, 4, 0),
            "weight_shape": torch.tensor(w.shape)}, value(q, scale, zero, index)


def symmetric(w):
    q, scale, zero = rounded(w, 4, GROUP, True)
    index = torch.arange(w.shape[1]) // GROUP
    return {"weight_packed": words(q, 4, 1), "weight_scale": scale.half(),
            "weight_shape": torch.tensor(w.shape)}, value(q, scale, zero, index)


def int8(w):
    scale = (w.abs().amax(1, keepdim=True) / 127).bfloat16().float()
    q = (w / scale).round().clamp(-128, 127)
    return {"weight": q.to(torch.int8), "weight_scale": scale.bfloat16()}, q * scale


def fp8_blocks(w):
    n, k = w.shape
    scale = torch.rand(-(-n // 10), -(-k // 7)) + 0.5
    full = scale.repeat_interleave(10, 0).repeat_interleave(7, 1)[:n, :k]
    q = (w / full).to(torch.float8_e4m3fn)
    return {"weight": q, "weight_scale_inv": scale}, q.float() * full


def fp8_channel(w):
    scale = (w.abs().amax(1, keepdim=True) / 448).bfloat16().float()
    q = (w / scale).to(torch.float8_e4m3fn)
    return {"weight": q, "weight_scale": scale.bfloat16(),
            "input_scale": torch.tensor([1.0])}, q.float() * scale


def fp8_tensor(w):
    scale = (w.abs().max() / 57344).reshape(1)
    q = (w / scale).to(torch.float8_e5m2)
    return {"weight": q, "weight_scale": scale}, q.float() * scale


def compressed(form, **weights):
    return {"quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": False}
LAYOUTS = {
    "gptq": (gptq, dict(GPTQ, checkpoint_format="gptq", desc_act=False)),
    "gptq-v2": (lambda w: gptq(w, v2=True), dict(GPTQ, checkpoint_format="gptq_v2")),
    "gptq-order": (lambda w: gptq(w, order=True), dict(GPTQ, desc_act=True)),
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm",
                  "zero_point": True}),
    "packed": (packed, compressed("pack-quantized", num_bits=4, type="int", symmetric=False,
                                  strategy="group", group_size=GROUP)),
    "packed-symmetric": (symmetric, compressed("pack-quantized", num_bits=4, type="int",
                                               symmetric=True, strategy="group",
                                               group_size=GROUP)),
    "int8": (int8, compressed("int-quantized", num_bits=8, type="int", strategy="channel")),
    "fp8-channel": (fp8_channel, compressed("float-quantized", num_bits=8, type="float",
                                            strategy="channel")),
    "fp8-blocks": (fp8_blocks, {"quant_method": "fp8", "fmt": "e4m3",
                                "weight_block_size": [10, 7]}),
    "fp8-tensor": (fp8_tensor, {"quant_method": "fp8", "activation_scheme": "static"}),
}


def bad(data):
    """The same with one thing wrong."""
    def put(name, like, change, **settings):
        source, out = (os.path.join(data, "packed", x) for x in (like, name))
        os.makedirs(out, exist_ok=True)
        tensors = load_file(os.path.join(source, "model.safetensors"))
        change(tensors)
        save_file(tensors, os.path.join(out, "model.safetensors"))
        with open(os.path.join(source, "config.json")) as f:
            config = json.load(f)
        config["quantization_config"].update(settings)
        with open(os.path.join(out, "config.json"), "w") as f:
            json.dump(config, f, indent=1)
            f.write("\n")

    def order(t):
        t["model.layers.0.mlp.up_proj.g_idx"][3] = 2

    def scale(t):
        key = "model.layers.1.self_attn.q_proj.scales"
        t[key] = t[key][:, 1:].contiguous()

    put("bad-order", "gptq", order)
    put("bad-scale", "awq", scale)
    put("bad-method", "awq", lambda t: None, quant_method="hqq")


def main():
    torch.manual_seed(3)
    source = os.path.join(sys.argv[1], "model", "mistral")
    with open(os.path.join(source, "config.json")) as f:
        config = json.load(f)
    for name, (pack, settings) in LAYOUTS.items():
        out = os.path.join(sys.argv[1], "packed", name)
        os.makedirs(out, exist_ok=True)
        tensors, want = {}, {}
        for key, w in load_file(os.path.join(source, "model.safetensors")).items():
            if not key.endswith("_proj.weight"):
                tensors[key] = w
                continue
            parts, want[key] = pack(w.float())
            for part, x in parts.items():
                tensors[key[:-len("weight")] + part] = x
        save_file(tensors, os.path.join(out, "model.safetensors"))
        save_file({k: v.contiguous() for k, v in want.items()},
                  os.path.join(out, "expected.safetensors"))
        with open(os.path.join(out, "config.json"), "w") as f:
            json.dump(dict(config, quantization_config=settings), f, indent=1)
            f.write("\n")
    bad(sys.argv[1])


if __name__ == "__main__":
    main()
