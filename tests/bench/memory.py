#!/usr/bin/env python3
"""Peak memory of training beside its prediction (scripts/bench-memory calls it).

usage: memory.py LLM-TRAIN WORK SMALL LARGER SHARD

Anonymous memory is polled while a run lives: VmHWM counts mapped files too,
which come and go.
"""
import os
import re
import subprocess
import sys
import time

TRAIN, WORK, SMALL, LARGER, SHARD = sys.argv[1:]
GOAL = 0.95
RUNS = [
    ('small-fp32', SMALL, '--batch 8192'),
    ('small-bf16-block', SMALL, '--batch 8192 --dtype bf16 --recompute block'),
    ('small-muon', SMALL, '--batch 16384 --optimizer muon'),
    ('larger-fp32', LARGER, '--batch 4096'),
    ('larger-bf16-cheap-8bit', LARGER,
     '--batch 4096 --dtype bf16 --recompute cheap --moments 8bit'),
    ('larger-muon-block', LARGER, '--batch 4096 --optimizer muon --recompute block'),
]


def anonymous(pid):
    try:
        with open(f'/proc/{pid}/status') as f:
            return 1024 * int(re.search(r'RssAnon:\s*(\d+)', f.read())[1])
    except (OSError, TypeError):
        return 0        # it ended


def main():
    failed = False
    print('name\tours\tpeer\tratio\tgoal\tunit\truns', flush=True)
    for name, model, options in RUNS:
        command = [TRAIN, '-q', '-m', model, '-o', f'{WORK}/{name}', '--steps', '3',
                   *options.split()]
        out = subprocess.run([*command, '--dry-run', SHARD], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        want = int(re.search(r'^memory\t.*\t(\d+)$', out, re.M)[1])
        p = subprocess.Popen([*command, SHARD])
        most = 0
        while p.poll() is None:
            most = max(most, anonymous(p.pid))
            time.sleep(0.005)
        if p.returncode:
            sys.exit(2)
        ratio = min(most, want) / max(most, want)
        failed = failed or ratio < GOAL
        print(f'{name}\t{most / 2**20:.1f}\t{want / 2**20:.1f}\t{ratio:.3f}\t{GOAL}\tMiB\t1',
              flush=True)
    sys.exit(failed)


main()
