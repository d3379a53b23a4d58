#!/usr/bin/env python3
"""Texts that a model without sense writes by a schema are instances, as jsonschema has it."""
import json
import os

from real import ROOT, corpus, done, ok, run, skip, tmp

try:
    from jsonschema import Draft202012Validator, Draft7Validator
except ImportError:
    Draft202012Validator = None

CASES = os.path.join(ROOT, "tests", "data", "schema", "cases.jsonl")
TEXTS = 20


def model():
    """Random weights and a small vocabulary of English and of JSON."""
    text = tmp("both.jsonl")
    with open(corpus(), encoding="utf-8") as f, open(text, "w", encoding="utf-8") as out:
        for line in f:
            out.write(line)
            out.write(json.dumps({"text": line}) + "\n")
    run("llm-vocab", "-n", 2000, "-o", tmp("tok"), text)
    run("llm-init", "-m", tmp("tok"), "--layers", 2, "--width", 64, "--heads", 4, "--kv-heads", 2,
        "--context", 512, "-q",
        "-o", tmp("model"))


def checker(schema):
    old = "definitions" in schema or isinstance(schema.get("items"), list)
    kind = Draft7Validator if old or "additionalItems" in schema else Draft202012Validator
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def is_ours_alone(schema):
    """Keywords of OpenAPI and of draft 4, which this validator does not know."""
    return "nullable" in schema or isinstance(schema.get("exclusiveMinimum"), bool)


def main():
    if Draft202012Validator is None:
        skip("schemas", "no jsonschema")
        done()
        return
    model()
    whole = 0
    for line in open(CASES, encoding="utf-8"):
        case = json.loads(line)
        schema = case["schema"]
        if "error" in case or case.get("closed") or is_ours_alone(schema):
            continue
        with open(tmp("schema.json"), "w", encoding="utf-8") as f:
            json.dump(schema, f)
        out = run("llm-generate", "-q", "-m", tmp("model"), "--json-schema", tmp("schema.json"), "-p", "x",
                  "-T", 2, "-n", 200, "--texts", TEXTS, "-F", "jsonl", "-j", 1)
        bad = []
        for record in map(json.loads, out.splitlines()):
            if record["end"] == "count":
                continue
            whole += 1
            try:
                value = json.loads(record["completion"])
            except ValueError as e:
                bad.append(f"{record['completion']}: {e}")
                continue
            bad += [f"{record['completion']}: {e.message}"
                    for e in checker(schema).iter_errors(value)]
        ok(not bad, case["what"], "\n".join(bad))
    ok(whole > 500, f"{whole} texts were whole")
    done()


main()
