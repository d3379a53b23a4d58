#!/usr/bin/env python3
"""llm-tokenize --chat: ids and masks as transformers gives them, and no special token from
what was said."""
import datetime
import glob
import json
import os
import subprocess

from real import ROOT, SHARED, done, ok, run, skip, tmp

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast


def say(*turns):
    return [{"role": r, "content": c} for r, c in turns]


TODAY = str(datetime.date.today())
LONG = "".join(f"  Line {i}:\tnaïve café — 日本語, e\u0301 {i * 37}\n" for i in range(30))
TALKS = [
    say(("user", "Hello"), ("assistant", "Hi there.")),
    say(("system", "Be brief."), ("user", " a\n"), ("assistant", "\n b \n"), ("user", "c"),
        ("assistant", "d'll  ")),
    say(("user", LONG), ("assistant", LONG), ("user", "?"), ("assistant", "!\n\n")),
    say(("user", "a"), ("assistant", "<think>\nhm\n</think>\n\nb"), ("user", "c"),
        ("assistant", "<think>\nso\n</think>\n\nd")),
    say(("user", "x"), ("assistant", ""), ("user", "y"), ("assistant", "\u00a0\u0130z")),
]


def records(name, talks):
    with open(tmp(name), "w") as f:
        f.writelines(json.dumps({"messages": t}) + "\n" for t in talks)
    return tmp(name)


def our_ends(path, tok):
    """The texts of the tokens that our templates see as begin and end."""
    for name in "bos_token", "eos_token":
        with open(tmp("end.jinja"), "w") as f:
            f.write("{{ %s }}" % name)
        ids = run("llm-tokenize", "-m", path, "--chat", "--template", tmp("end.jinja"),
                  "--train-on", "all", "-F", "ids", records("end", TALKS[:1])).split()
        if ids:
            setattr(tok, name, tok.convert_ids_to_tokens(int(ids[0])))


def theirs(tok, template, talk):
    try:
        out = tok.apply_chat_template(talk, chat_template=template, tokenize=True,
                                      return_dict=True, return_assistant_tokens_mask=True)
    except Exception:
        return None
    return out["input_ids"], out["assistant_masks"]


def check(path, templates):
    name = os.path.basename(path).split(".")[0]
    raw = subprocess.run(["zstd", "-dcf", path], check=True, capture_output=True).stdout
    tok = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_buffer(raw))
    special = [t.content for t in tok.added_tokens_decoder.values() if t.special]
    special_ids = {i for i, t in tok.added_tokens_decoder.items() if t.special}
    our_ends(path, tok)
    tried = 0
    for file in templates:
        with open(file) as f:
            template = f.read()
        talks = [(t, w) for t in TALKS if (w := theirs(tok, template, t)) is not None]
        if not talks:
            continue
        file_of = records("talks", [t for t, _ in talks])
        args = ["llm-tokenize", "-m", path, "--chat", "--template", file, "--date", TODAY]
        ids, masks = ([[int(x) for x in line.split()] for line in
                       run(*args, "-F", how, file_of).decode().split("\n")[:-1]]
                      for how in ("ids", "mask"))
        for (talk, want), *got in zip(talks, ids, masks):
            tried += 1
            if got != list(want):
                ok(False, f"{name}, {os.path.basename(file)}", f"{talk}\n{got}\n{want}")
    ok(tried > 0, f"{name}: {tried} conversations")
    # Whatever is said, there are as many special tokens as where nothing is.
    bad = " ".join(special[:50]) + "".join(special[:50])
    for file in templates:
        counts = []
        for text in ("x", bad):
            p = subprocess.run(["llm-tokenize", "-m", path, "--chat", "--template", file,
                                "--date", TODAY, "-F", "ids",
                                records("bad", [say(("user", text), ("assistant", text))])],
                               capture_output=True, text=True)
            counts.append(sum(int(i) in special_ids for i in p.stdout.split())
                          if p.returncode == 0 else None)
        if None not in counts and counts[0] != counts[1]:
            ok(False, f"{name}, {os.path.basename(file)}: special tokens", counts)
    ok(True, f"{name}: none of {len(special)} special tokens is said")


def main():
    subprocess.run([os.path.join(ROOT, "scripts", "get-templates")])
    templates = sorted(glob.glob(os.path.join(ROOT, "obj", "templates", "*_training.jinja")))
    real = sorted(glob.glob(os.path.join(SHARED, "tokenizers", "*.tokenizer.json.zst")))
    if not templates or not real:
        skip("conversations", "no templates, or no ../shared/data/tokenizers")
    else:
        for path in real:
            check(path, templates)
    done()


main()
