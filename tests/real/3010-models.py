#!/usr/bin/env python3
"""Models that transformers wrote, here: logits, training on, and back again."""
import json
import os
import shutil
import subprocess
import sys

from real import ROOT, done, ok, run, same_logits, tmp

import torch
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig,
                          LlamaForCausalLM)

sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))
import model as golden	# noqa: E402
import moe	# noqa: E402

VOCAB, CONTEXT = 90, 64
IDS = torch.randint(0, 40, (24,), generator=torch.Generator().manual_seed(3)).tolist()
LLAMA = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=40, num_hidden_layers=3,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=CONTEXT,
             bos_token_id=0, eos_token_id=1)
GPT2 = dict(vocab_size=VOCAB, n_embd=32, n_layer=3, n_head=4, n_positions=CONTEXT,
            bos_token_id=0, eos_token_id=0)
ROPE3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 32}


def llama(**change):
    return LlamaForCausalLM(LlamaConfig(**(LLAMA | change)))


def gpt2(**change):
    return GPT2LMHeadModel(GPT2Config(**(GPT2 | change)))


def models():
    yield from golden.models()
    for name, make in moe.MODELS.items():
        if name != "ahead":	# which transformers does not run
            model = make()
            model.set_experts_implementation("eager")
            yield name, model
    yield "llama, one head of keys", llama(num_key_value_heads=1)
    yield "llama, as many heads of keys", llama(num_key_value_heads=4)
    yield "llama, tied", llama(tie_word_embeddings=True)
    yield "llama, rope of llama3", llama(rope_parameters=ROPE3)
    yield "llama, rope's base", llama(rope_parameters={"rope_type": "default",
                                                       "rope_theta": 1e6})
    yield "llama, biases of attention", llama(attention_bias=True)
    yield "llama, biases of ffn", llama(mlp_bias=True)
    yield "llama, wide heads", llama(head_dim=16)
    yield "llama, gelu", llama(hidden_act="gelu", rms_norm_eps=1e-3)
    yield "llama, no ends", llama(bos_token_id=None, eos_token_id=None)
    yield "gpt2, untied", gpt2(tie_word_embeddings=False)
    yield "gpt2, relu, narrow ffn", gpt2(activation_function="relu", n_inner=48)
    yield "gpt2, dropout", gpt2()


def check(name, model, where):
    same_logits(name, model, where, IDS)
    run("llm-train", "-q", "-m", where, "-o", tmp("run"), "--steps", 2, "--batch", 128,
        "--save-every", 2, tmp(f"{model.config.vocab_size}.shard"))
    after = AutoModelForCausalLM.from_pretrained(tmp("run", "latest"), dtype=torch.float32).eval()
    same_logits(f"{name}, two steps on", after, tmp("run", "latest"), IDS)
    ok((after.get_input_embeddings().weight != model.get_input_embeddings().weight).any(),
       f"{name}: they were steps")
    shutil.rmtree(tmp("run"))


def token_shard(vocab):
    """Rows to train on, of random tokens."""
    g = torch.Generator().manual_seed(vocab)
    torch.randint(0, vocab, (1024,), generator=g).numpy().astype("<u2").tofile(tmp("ids.bin"))
    run("llm-shard", "-t", "import", "-F", "nanogpt", "--vocab", vocab, "--eos", 1, "-o",
        tmp("docs.shard"), tmp("ids.bin"))
    run("llm-pack", "-q", "-l", 32, "-o", tmp(f"{vocab}.shard"), tmp("docs.shard"))


def check_runs(*names):
    """Runs from these directories are one and the same."""
    results = []
    for name in names:
        run("llm-train", "-q", "-m", tmp(name), "-o", tmp("run"), "--steps", 2, "--batch", 128,
            "--save-every", 2, tmp(f"{VOCAB}.shard"))
        with open(tmp("run", "run.json")) as f:
            results.append((json.load(f)["inputs"], load_file(tmp("run", "latest",
                                                                  "model.safetensors"))))
        shutil.rmtree(tmp("run"))
    (a, x), (b, y) = results
    ok(a == b and "model" in a, f"run.json knows {names} as one model", f"{a}\n{b}")
    ok(x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x),
       f"the same checkpoint from {names}")


def check_layouts():
    """One model, stored in all ways."""
    model = llama().eval()
    golden.randomize(model)
    model.save_pretrained(tmp("one"))
    model.save_pretrained(tmp("parts"), max_shard_size="20KB")
    n = len([f for f in os.listdir(tmp("parts")) if f.endswith(".safetensors")])
    ok(n > 3, f"transformers has stored {n} files")
    same_logits("one file", model, tmp("one"), IDS)
    same_logits("several files", model, tmp("parts"), IDS)
    same_logits("a directory with a slash", model, tmp("one") + "/", IDS)
    check_runs("one", "parts")
    os.symlink("parts", tmp("link"))
    same_logits("a link", model, tmp("link"), IDS)
    for kind in torch.float16, torch.bfloat16, torch.float64:
        half = llama().to(kind)
        half.load_state_dict(model.state_dict())
        where = tmp(str(kind))
        half.save_pretrained(where)
        half = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
        # Where the processor multiplies bf16, activations are rounded to it too.
        os.environ["LLM_DEVICE"] = "cpu:base"
        same_logits(f"weights in {kind}", half, where, IDS)
        del os.environ["LLM_DEVICE"]


def check_old():
    """Files as releases of years ago have them."""
    old = gpt2().eval()
    golden.randomize(old)
    old.save_pretrained(tmp("old"))
    file = tmp("old", "model.safetensors")
    w = {k.removeprefix("transformer."): v for k, v in load_file(file).items()}
    for i in range(3):
        w[f"h.{i}.attn.bias"] = torch.ones(1, 1, CONTEXT, CONTEXT).tril()
        w[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(w, file, metadata={"format": "pt"})
    same_logits("gpt2 without prefixes, with masks", old, tmp("old"), IDS)
    model = llama(tie_word_embeddings=True).eval()
    golden.randomize(model)
    model.save_pretrained(tmp("copy"))
    file = tmp("copy", "model.safetensors")
    w = load_file(file)
    w["lm_head.weight"] = w["model.embed_tokens.weight"].clone()
    w["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(w, file, metadata={"format": "pt"})
    same_logits("llama with its tied head stored", model, tmp("copy"), IDS)


def check_init():
    """What llm-init makes of each family opens there."""
    err = subprocess.run(["llm-init", "-a", "none", "--vocab", "9", "-o", tmp("no")],
                         capture_output=True).stderr.decode().splitlines()[0]
    for name in err.split("'none': ")[1].split(", "):
        run("llm-init", "-q", "-a", name, "--vocab", VOCAB, "--width", 64,
            "--layers", 6 if name == "jamba" else 2,	# its fifth attends
            "--context", CONTEXT, "-o", tmp("init-" + name))
        model, info = AutoModelForCausalLM.from_pretrained(
            tmp("init-" + name), dtype=torch.float32, output_loading_info=True)
        ok(not any(info.values()), f"llm-init -a {name}: the tensors that it has", info)
        same_logits(f"llm-init -a {name}", model.eval(), tmp("init-" + name), IDS)


def main():
    torch.manual_seed(7)
    for vocab in 40, 48, VOCAB:
        token_shard(vocab)
    for name, model in models():
        model.eval()
        golden.randomize(model)
        model.save_pretrained(tmp(name))
        check(name, model, tmp(name))
    check_layouts()
    check_old()
    check_init()
    done()


main()
