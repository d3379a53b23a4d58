#!/usr/bin/env python3
"""A run's checkpoint in transformers: weights, logits, tokenizer, generation."""
import warnings

from real import corpus, done, ok, our_logits, run, same_logits, tmp

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging

SAID = []	# what transformers warns of
NEW = 50
PROMPTS = ["The file", "a", " \n", "été 漢字"]


class Keep(__import__("logging").Handler):
    def emit(self, record):
        SAID.append(record.getMessage())


def train(arch):
    """A model after 20 steps on the manual, as a user would make it."""
    run("llm-init", "-q", "-a", arch, "-m", tmp("tok"), "--layers", 2, "--width", 64, "--heads", 4,
        "--context", 128, "--init-std", 0.2, "-o", tmp(arch))
    run("llm-train", "-q", "-m", tmp(arch), "-o", tmp("run-" + arch), "--steps", 20, "--batch",
        1024, "--lr", "3e-3", "--save-every", 10, tmp("train.shard"))
    return tmp("run-" + arch, "latest")


def check_open(arch, where):
    model, info = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32,
                                                       output_loading_info=True)
    bad = {k: v for k, v in info.items() if v}
    ok(not bad, f"{arch}: AutoModelForCausalLM takes every weight", bad)
    config = GenerationConfig.from_pretrained(where)
    config.validate(strict=True)
    ok(config.eos_token_id == model.config.eos_token_id,
       f"{arch}: generation_config.json ends where config.json does", config)
    return model.eval()


def check_tokens(arch, tok, model):
    text = "The kernel été 漢字\r\n\t x<|endoftext|>"
    ids = tok(text)["input_ids"]
    ok(tok.decode(ids) == text, f"{arch}: AutoTokenizer gives back its text", tok.decode(ids))
    ok(len(tok) <= model.config.vocab_size, f"{arch}: every token has a row of the embedding")
    ok(tok.eos_token_id == model.config.eos_token_id and tok.model_input_names,
       f"{arch}: the end of text is the model's")


def check_greedy(arch, where, tok, model, prompt):
    x = tok(prompt, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**x, max_new_tokens=NEW, do_sample=False)[0].tolist()
    new = ids[x["input_ids"].shape[1]:]
    best = our_logits(where, ids[:-1], model.config.vocab_size).argmax(-1).tolist()
    ok(best[-len(new):] == new, f"{arch}: {prompt!r}: each of {len(new)} greedy ids is ours")
    got = run("llm-generate", "-m", where, "-p", prompt, "-n", NEW, "-T", 0).decode()
    want = tok.decode(new, skip_special_tokens=True) + "\n"
    ok(got == want, f"{arch}: {prompt!r}: llm-generate writes the same text",
       f"ours   {got!r}\ntheirs {want!r}")


def main():
    logging.get_logger("transformers").addHandler(Keep())
    run("llm-vocab", "-q", "-n", 800, "-o", tmp("tok"), corpus())
    run("llm-tokenize", "-q", "-m", tmp("tok"), "-o", tmp("docs.shard"), corpus())
    run("llm-pack", "-q", "-l", 128, "-o", tmp("train.shard"), tmp("docs.shard"))
    for arch in "llama", "gpt2":
        where = train(arch)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model = check_open(arch, where)
            tok = AutoTokenizer.from_pretrained(where)
            check_tokens(arch, tok, model)
            ids = torch.randint(0, model.config.vocab_size, (100,),
                                generator=torch.Generator().manual_seed(5)).tolist()
            same_logits(arch, model, where, ids)
            for prompt in PROMPTS:
                check_greedy(arch, where, tok, model, prompt)
        said = SAID + [str(w.message) for w in seen]
        ok(not said, f"{arch}: transformers warns of nothing", "\n".join(said))
    done()


main()
