#!/usr/bin/env python3
"""Chat templates of real models: our text and answers against those of transformers."""
import glob
import os
import re
import subprocess
import sys

from real import ROOT, SHARED, done, ok, skip, tmp


def main():
    subprocess.run([os.path.join(ROOT, "scripts", "get-templates")])
    files = sorted(glob.glob(os.path.join(ROOT, "obj", "templates", "*.jinja")) +
                   glob.glob(os.path.join(SHARED, "tokenizers", "*.tokenizer_config.json")))
    if not files:
        skip("real chat templates", "PyPI gives none")
        return done()
    ok(len(files) >= 30, "at least 30 templates", len(files))
    subprocess.run([sys.executable, os.path.join(ROOT, "tests", "golden", "template.py"),
                    tmp("cases.json")] + files, check=True)
    subprocess.run(["make", "-s", "obj/tests/unit/t_template"], cwd=ROOT, check=True)
    out = subprocess.run([os.path.join(ROOT, "obj", "tests", "unit", "t_template"),
                          tmp("cases.json")], cwd=ROOT, capture_output=True, text=True).stdout
    wrong = re.findall(r"^not ok \d+ - (.*)\n((?:#.*\n)*)", out, re.M)
    n = len(re.findall(r"^ok ", out, re.M))
    ok(n > 10 * len(files) and not wrong, f"{len(files)} templates, {n} conversations",
       wrong[0] if wrong else out[-300:])
    done()


main()
