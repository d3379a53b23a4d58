#!/usr/bin/env python3
"""Tiny random mixtures of experts, as model.py has the others.

usage: moe.py DIR [NAME ...]   writes DIR/NAME/ of these, or of all

Gradients have the names of parameters here: those of all experts of one
matrix are stacked, under the name of its module.  Where transformers has a
balance loss, aux (1) is that of all tokens, without its factor, and aux.NAME
its gradient in the weights of routers.

ahead/ is a DeepSeek-V3 with two layers that predict ahead: ahead.NAME are the
gradients of loss + AHEAD times the mean over these layers of the sum of losses
over the targets of the first, and ahead (2) these sums.
"""
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config,
                          DeepseekV3ForCausalLM, JambaConfig, JambaForCausalLM,
                          MixtralConfig, MixtralForCausalLM,
                          Qwen3MoeConfig, Qwen3MoeForCausalLM)
from transformers.modeling_layers import MtpLayer
from transformers.models.deepseek_v3.modeling_deepseek_v3 import (DeepseekV3DecoderLayer,
                                                                  DeepseekV3RMSNorm)
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from model import SIZES, THETA, expected, randomize

LATENT = SIZES | dict(num_key_value_heads=4, kv_lora_rank=8, qk_nope_head_dim=6,
                      qk_rope_head_dim=4, v_head_dim=5, moe_intermediate_size=12,
                      first_k_dense_replace=1)


def mixtral():
    return MixtralForCausalLM(MixtralConfig(**SIZES | dict(
        num_local_experts=5, sliding_window=6, rope_parameters=THETA)))


def qwen3_moe():
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**SIZES | dict(
        num_hidden_layers=4, head_dim=6, num_experts=6, num_experts_per_tok=3,
        moe_intermediate_size=12, norm_topk_prob=True, mlp_only_layers=[3],
        decoder_sparse_step=2, rope_parameters=THETA)))


def qwen3_moe_all():
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**SIZES | dict(
        head_dim=6, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=12,
        norm_topk_prob=False, rope_parameters=THETA)))


def deepseek_v2():
    rope = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 32,
            "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707,
            "original_max_position_embeddings": 20}
    return DeepseekV2ForCausalLM(DeepseekV2Config(**LATENT | dict(
        q_lora_rank=None, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=2,
        topk_method="greedy", rope_parameters=rope)))


def deepseek_v2_groups():
    return DeepseekV2ForCausalLM(DeepseekV2Config(**LATENT | dict(
        q_lora_rank=7, n_routed_experts=6, num_experts_per_tok=3, n_shared_experts=1,
        topk_method="group_limited_greedy", n_group=3, topk_group=2, attention_bias=True,
        mlp_bias=True, routed_scaling_factor=1.5, rope_parameters=THETA)))


def deepseek_v3():
    rope = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "beta_fast": 32,
            "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 20}
    return DeepseekV3ForCausalLM(DeepseekV3Config(**LATENT | dict(
        q_lora_rank=7, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, n_group=4,
        topk_group=2, num_mtp_layers=0, rope_parameters=rope)))


def jamba():
    return JambaForCausalLM(JambaConfig(**SIZES | dict(
        num_hidden_layers=4, attn_layer_period=3, attn_layer_offset=1, expert_layer_period=2,
        expert_layer_offset=1, num_experts=3, num_experts_per_tok=2, mamba_d_state=5,
        mamba_d_conv=3, mamba_expand=2, mamba_dt_rank=3, mamba_conv_bias=False)))


AHEAD = 0.1


def deepseek_v3_ahead():
    return DeepseekV3ForCausalLM(DeepseekV3Config(**LATENT | dict(
        q_lora_rank=7, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1, n_group=1,
        topk_group=1, num_hidden_layers=1, num_mtp_layers=2, rope_parameters=THETA)))


def ahead(model, where, token, cu):
    """Add layers that predict ahead to the file, and what they make of the tokens."""
    c, model = model.config, model.float()
    layers = [MtpLayer(c, DeepseekV3DecoderLayer, DeepseekV3RMSNorm, c.num_hidden_layers + k)
              for k in range(2)]
    names = {}
    for k, layer in enumerate(layers):
        layer.mtp_block.mlp.experts.config._experts_implementation = "eager"
        g = torch.Generator().manual_seed(17 + k)
        for name, p in layer.named_parameters():
            noise = torch.randn(p.shape, generator=g) * 0.3
            p.data = noise + 1 if "norm" in name else noise
            name = name.replace("mtp_block.", "").replace("post_norm", "shared_head.norm")
            names[f"model.layers.{c.num_hidden_layers + k}.{name}"] = p
    names |= dict(model.named_parameters())
    save_ahead(where, {n: p for n, p in names.items()
                       if int((n.split(".") + ["0"] * 3)[2].replace("weight", "0")
                              if n.startswith("model.layers.") else 0) >= c.num_hidden_layers})
    model.double().zero_grad()
    sums, total, targets = [0, 0], 0, 0
    for a, b in zip(cu[:-1], cu[1:]):
        ids = token[None, a:b].long()
        h = model.model(ids, use_cache=False).last_hidden_state
        nll = -torch.log_softmax(model.lm_head(h)[0], -1)
        total = total + nll[:-1].gather(1, ids[0, 1:, None]).sum()
        targets += int(b - a - 1)
        for k, layer in enumerate(layers):
            n = ids.shape[1] - k - 1
            if n < 2:
                break
            pos = torch.arange(n)[None]
            mask = torch.full((n, n), float("-inf")).triu(1)[None, None].double()
            e = model.model.embed_tokens(ids[:, k + 1:])
            h = layer.double()(e, h[:, :n], model.model.rotary_emb(e, pos), mask, pos, None)
            nll = -torch.log_softmax(model.lm_head(h)[0], -1)
            sums[k] = sums[k] + nll[:-1].gather(1, ids[0, k + 2:, None]).sum()
    (total / targets + AHEAD / 2 * sum(sums) / targets).backward()
    out = {"ahead": torch.stack(sums).detach()}
    for name, p in names.items():
        for k, v in apart(name, p.grad.float()).items():
            out["ahead." + k] = v.contiguous()
    return out


def save_ahead(where, names):
    path = os.path.join(where, "model.safetensors")
    out = load_file(path)
    for name, p in names.items():
        for k, v in apart(name, p.data).items():
            if v.ndim == 3:
                for e, x in enumerate(v):
                    out[k.replace("experts.", f"experts.{e}.")] = x.contiguous()
            else:
                out[k] = v.contiguous()
        if name.endswith("mlp.gate.weight"):
            out[name.replace("weight", "e_score_correction_bias")] = torch.zeros(p.shape[0])
    save_file(out, path, metadata={"format": "pt"})


MODELS = {"mixtral": mixtral, "qwen3-moe": qwen3_moe, "qwen3-moe-all": qwen3_moe_all,
          "deepseek-v2": deepseek_v2, "deepseek-v2-groups": deepseek_v2_groups,
          "deepseek-v3": deepseek_v3, "jamba": jamba, "ahead": deepseek_v3_ahead}


def apart(name, grad):
    """The gradients of stacked experts by the names of their matrices in files."""
    if name.endswith("experts.gate_up_proj"):
        gate, up = grad.chunk(2, 1)
        return {name.replace("gate_up_proj", "gate_proj.weight"): gate,
                name.replace("gate_up_proj", "up_proj.weight"): up}
    if name.endswith("experts.down_proj"):
        return {name + ".weight": grad}
    return {name: grad}


def ours(name):
    """Mixtral's modules have other names in files than in memory."""
    return (name.replace(".mlp.", ".block_sparse_moe.").replace("gate_proj", "w1")
            .replace("up_proj", "w3").replace("down_proj", "w2"))


def balance(model, token, cu):
    """The balance loss over all tokens, and its gradient in the routers."""
    if not hasattr(model.config, "router_aux_loss_coef"):
        return {}
    parts = [model(token[None, a:b].long(), use_cache=False, output_router_logits=True)
             .router_logits for a, b in zip(cu[:-1], cu[1:])]
    logits = tuple(torch.cat(layer) for layer in zip(*parts))
    experts = model.config.num_local_experts
    aux = load_balancing_loss_func(logits, experts, model.config.num_experts_per_tok)
    gates = {n: p for n, p in model.named_parameters() if n.endswith(("gate.weight", "router.weight"))}
    grads = torch.autograd.grad(aux, list(gates.values()))
    return {"aux": aux.reshape(1).double()} | {"aux." + n: g for n, g in zip(gates, grads)}


def main():
    for name in sys.argv[2:] or MODELS:
        where = os.path.join(sys.argv[1], name)
        shutil.rmtree(where, ignore_errors=True)
        torch.manual_seed(7)
        model = MODELS[name]().eval()
        model.set_experts_implementation("eager")
        randomize(model)
        for key, b in model.named_buffers():
            if key.endswith("e_score_correction_bias"):
                b.copy_(torch.randn(b.shape) * 0.1)
        model.save_pretrained(where)
        out = {}
        for key, x in expected(model, model.config.vocab_size).items():
            for k, v in apart(key, x).items():
                out[ours(k) if name == "mixtral" else k] = v.contiguous()
        for key, x in balance(model, out["token"], out["cu_seqlens"]).items():
            out[ours(key) if name == "mixtral" else key] = (
                x if key == "aux" else x.float()).detach().contiguous()
        if name == "ahead":
            out |= ahead(model, where, out["token"], out["cu_seqlens"])
        save_file(out, os.path.join(where, "expected.safetensors"))


if __name__ == "__main__":
    main()
