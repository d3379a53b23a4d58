#!/usr/bin/env python3
"""Time training steps beside PyTorch and llm.c (scripts/bench-train calls it).

usage: train.py [--quick] LLM-BENCH MODELS LLMC PYTHON [PATTERN]

Each contestant is a process that takes one step for each line it reads and
answers with milliseconds and the loss, so that all go in turn.  The weights
(MODELS/gpt2, MODELS/llama, MODELS/gpt2.bin), the tokens, and so the losses are
the same.  Rows whose names do not have PATTERN (a regular expression) are
passed over.  HOLD is a command that keeps other work off the machine while its
arguments run.
"""
import os
import re
import select
import statistics
import subprocess
import sys
import time

from machine import hold

QUICK = '--quick' in sys.argv
BENCH, MODELS, LLMC, PYTHON, *rest = [a for a in sys.argv[1:] if a != '--quick']
PATTERN = re.compile(rest[0] if rest else '')
PROFILE = os.path.join(os.path.dirname(BENCH), 'llm-profile')
RUNS = 3 if QUICK else 5
PATIENCE = 900          # seconds until a step is taken, at most
SLOW = 10               # a peer so many times slower than ours is not waited for
HERE = os.path.dirname(os.path.abspath(__file__))
GOAL = {('fp32', 'torch'): 1.3, ('fp32', 'llm.c'): 3, ('bf16', 'torch'): 1.5}
PEAK_GOAL = 0.65
failed = False


def say(*words):
    print('#', *words, flush=True)


class Contestant:
    def __init__(self, name, command, env):
        self.name, self.ms, self.loss, self.ready = name, [], [], ''
        self.slow = self.killed = False     # killed: for want of memory, most likely
        self.p = subprocess.Popen(command, env=os.environ | env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def line(self, patience):
        """Its next line of output, or '' when it ends or takes too long."""
        text = b''
        end = time.monotonic() + patience
        while not text.endswith(b'\n'):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.p.stdout], [], [], left)[0]:
                return ''
            c = os.read(self.p.stdout.fileno(), 1)
            if not c:
                return ''
            text += c
        return text.decode()

    def start(self, patience=PATIENCE):
        """Wait until it is ready.  False when it failed or takes too long: then slow says so."""
        while True:
            text = self.line(patience)
            if not text or text.startswith('ready'):
                self.ready = text.strip()
                break
        if not self.ready and self.p.poll() is not None and self.p.returncode:
            self.killed = self.p.returncode == -9
            say(self.name + ':', self.p.stderr.read().decode().strip().split('\n')[-1] or
                f'ended with {self.p.returncode}')
        elif not self.ready:
            self.slow = True
            say(self.name + ':', f'no step within {patience:.0f} s')
        return bool(self.ready)

    def step(self, count=True):
        self.p.stdin.write(b'\n')
        self.p.stdin.flush()
        ms, loss = self.line(PATIENCE).split()
        if count:
            self.ms.append(float(ms))
        self.loss.append(float(loss))

    def median(self):
        return statistics.median(self.ms)

    def memory(self):
        """Bytes that are not file mappings, now; the plan's memory stays."""
        with open(f'/proc/{self.p.pid}/status') as f:
            return 1024 * int(re.search(r'RssAnon:\s*(\d+)', f.read())[1])

    def close(self):
        self.p.kill()
        self.p.communicate()


def moments(name):
    """What AdamW's moments are in, in that peer's mode: those of ours beside it are the same."""
    return 'bf16' if name.endswith('bf16') else 'fp32'


def ours(model, rows, context, dtype, threads, *more):
    return Contestant('ours', [BENCH, 'step', '--turns', '-m', f'{MODELS}/{model}',
                               '-b', str(rows), '-c', str(context), '-j', str(threads)] +
                      (['--dtype', dtype] if dtype != 'fp32' else []) + list(more), {})


def peers(model, rows, context, dtype, threads):
    """Functions that start them: name, function."""
    kinds = {'fp32': ['fp32', 'compile-fp32'],
             'bf16': ['amp', 'bf16', 'compile-amp', 'compile-bf16']}[dtype]
    for kind in kinds:
        yield 'torch ' + kind, lambda kind=kind: Contestant(
            'torch ' + kind, [PYTHON, HERE + '/peer/torch_step.py', f'{MODELS}/{model}', str(rows),
                              str(context), str(threads), kind], {})
    if model == 'gpt2' and dtype == 'fp32' and os.path.exists(LLMC):
        yield 'llm.c', lambda: Contestant(
            'llm.c', [LLMC, f'{MODELS}/gpt2.bin', str(rows), str(context)],
            {'OMP_NUM_THREADS': str(threads)})


def row(name, mine, peer, ratio, goal, unit, counts=True):
    global failed
    failed = failed or counts and ratio < goal
    print(f'{name}\t{mine:.4g}\t{peer:.4g}\t{ratio:.3f}\t{goal if counts else "-"}\t{unit}'
          f'\t{RUNS}', flush=True)


def peak(threads, dtype='fp32'):
    """Of that type's instructions, or of fp32's where there are none."""
    best = 0
    for _ in range(3):
        out = subprocess.run([BENCH, 'peak', '-j', str(threads)], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        rate = (re.search(rf'^{dtype}\t{threads}\t([0-9.]+)', out, re.M) or
                re.search(rf'^fp32\t{threads}\t([0-9.]+)', out, re.M))
        best = max(best, float(rate[1]))
    return best * 1e9


def same_loss(a, b, dtype):
    """As far as both went: both started from the same weights."""
    for i, (x, y) in enumerate(zip(a.loss, b.loss)):
        if abs(x - y) > (1e-3 if dtype == 'fp32' else 5e-2) * abs(y):
            say(f'{b.name}: loss {y} at step {i}, ours {x}')
            return False
    return True


def rounds(group, runs=RUNS):
    for _ in range(runs):
        with hold():
            for c in group:
                c.step()


def suffix(of_moments):
    return '' if of_moments == 'fp32' else '-m' + of_moments


def duel(shape, dtype, threads):
    """Ours and every peer at one shape.  Large ones are not in memory all at once."""
    model, rows, context = shape
    name = f'{model}-b{rows}-t{context}-{dtype}-{threads}t'
    if not PATTERN.search(name):
        return
    best, top, mine, flops, slow, large = {}, 0, {}, 0, [], []

    def judge(c, us):
        say(f'{name}: {c.name} {c.median():.1f} ms, ours {us.median():.1f}')
        ratio = c.median() / us.median()
        kind = c.name.split()[0], moments(c.name)
        if same_loss(us, c, dtype) and ratio < best.get(kind, (1e9,))[0]:
            best[kind] = ratio, us.median(), c.median()

    todo = list(peers(*shape, dtype, threads))
    size = 1 if rows * context > 1024 else len(todo)
    for i in range(0, len(todo), size):
        us = {m: ours(*shape, dtype, threads, '--moments', m)
              for m in sorted({moments(peer) for peer, _ in todo[i:i + size]})}
        for c in us.values():
            if not c.start():
                return say(name + ': not measured')
            flops = float(c.ready.split()[1])
            c.step(False)       # as the peers do before they are ready
            first = time.monotonic()
            c.step(False)
        group = list(us.values())
        # Long enough to load and compile, and for SLOW steps.
        patience = 240 + SLOW * 2 * (time.monotonic() - first)
        for _, make in todo[i:i + size]:
            c = make()
            if c.start(patience):
                group.append(c)
            elif c.killed:
                large.append((make, us, patience))
            else:
                slow.append(c)
            if c not in group:
                c.close()
        rounds(group)
        with hold():
            top = max(top, peak(threads, dtype))
        for m, c in us.items():
            mine[m] = mine.get(m, []) + c.ms
        for c in group[len(us):]:
            judge(c, us[moments(c.name)])
        for c in group:
            c.close()
    # What has no room in memory beside ours goes alone, after it.
    for make, us, patience in large:
        c = make()
        if c.start(patience):
            rounds([c])
            judge(c, us[moments(c.name)])
        c.close()
    t = {m: statistics.median(ms) / 1e3 for m, ms in mine.items()}
    instead = set()
    # Of a kind that was too slow in all its modes it is known how slow at least.
    for kind in {(c.name.split()[0], moments(c.name)) for c in slow if c.slow} - set(best):
        best[kind] = SLOW, t[kind[1]] * 1e3, SLOW * t[kind[1]] * 1e3
        say(f'{name}: {kind[0]} takes more than {SLOW} times as long as ours')
    for (kind, m), (ratio, a, b) in best.items():
        goal = GOAL[dtype, kind]
        beyond = flops / (b / 1e3 / goal) > PEAK_GOAL * top
        instead |= {m} if beyond else set()
        row(f'{name}/{kind}{suffix(m)}', a, b, ratio, goal, 'ms', not beyond)
    for m in t:
        row(f'{name}/peak{suffix(m)}', flops / t[m] / 1e9, top / 1e9, flops / t[m] / top,
            PEAK_GOAL, 'GFLOP/s', m in instead)


def products(threads):
    """The matrix products of the 124M alone, beside the peak of the same run."""
    name = f'gpt2-b4-t{64 if QUICK else 1024}-fp32-{threads}t/products'
    if not PATTERN.search(name):
        return
    with hold():
        out = subprocess.run([PROFILE, '-m', f'{MODELS}/gpt2', '-b', '4', '-c',
                              '64' if QUICK else '1024', '-n', '5', '-j', str(threads)],
                             check=True, text=True, stdout=subprocess.PIPE).stdout
        top = peak(threads)
    got = float(re.search(r'^all\tmatmul\t.*?([0-9.]+) GFLOP/s', out, re.M)[1]) * 1e9
    row(name, got / 1e9, top / 1e9, got / top, 0.8, 'GFLOP/s')


def long_rows(threads):
    """Tokens a second as rows grow, and memory at 16384 of them, without what is cheap."""
    for rows, context in (16, 1024), (4, 4096), (1, 16384):
        name = f'llama-b{rows}-t{context}-fp32-{threads}t'
        if not PATTERN.search(name) or QUICK and context < 16384:
            continue
        long = context == 16384
        c = ours('llama', rows, context, 'fp32', threads,
                 '--recompute', 'cheap' if long else 'none')
        if c.start():
            rounds([c], 1 if QUICK else RUNS)
            speed = rows * context / c.median() * 1e3
            print(f'{name}\t{speed:.4g}\t-\t-\t-\ttokens/s\t{RUNS}', flush=True)
            if long:
                row(name + '/memory', c.memory() / 2**30, 4, 4 * 2**30 / c.memory(), 1, 'GiB')
        c.close()


def busy(threads):
    """A step while another process keeps the last processor busy."""
    name = 'llama-b8-t512-busy'
    last = max(os.sched_getaffinity(0))
    if threads < 2 or not PATTERN.search(name):
        return
    c = ours('llama', 8, 512, 'fp32', threads)
    idle, loaded = [], []
    if c.start():
        for _ in range(RUNS):
            with hold():
                c.step()
                idle.append(c.ms[-1])
                p = subprocess.Popen(['taskset', '-c', str(last), 'sh', '-c',
                                      'while :; do :; done'])
                time.sleep(0.1)
                c.step()
                loaded.append(c.ms[-1])
                p.kill()
                p.wait()
        a, b = statistics.median(loaded), 1.75 * statistics.median(idle)
        row(name, a, b, b / a, 1, 'ms')
    c.close()


def versions():
    say(subprocess.run([PYTHON, '-c', 'import torch, platform; print("torch", '
                        'torch.__version__, "python", platform.python_version(), '
                        'torch.backends.cpu.get_cpu_capability())'],
                       stdout=subprocess.PIPE, text=True).stdout.strip())
    say('GPT-2 124M: 12 layers, width 768, 12 heads, vocabulary 50257; AdamW, tied')
    say('llama: 12 layers, width 384, 6 heads, 2 kv heads, MLP 1024, vocabulary 16384')
    say('rows of 16384: --recompute cheap')
    say('name: model, rows, tokens a row, type, threads; ms of one step, medians in turn')
    say('-mbf16: weights of the peer are in bf16, its moments and ours too; else fp32')
    say('goal -: the peer\'s would be above', PEAK_GOAL, 'of the peak, which counts instead')


def main():
    many = min(2, len(os.sched_getaffinity(0)))
    versions()
    print('name\tours\tpeer\tratio\tgoal\tunit\truns', flush=True)
    for threads in [many] if QUICK or many == 1 else [many, 1]:
        for shape in ('gpt2', 4, 64), ('llama', 8, 512), ('gpt2', 4, 1024):
            for dtype in 'fp32', 'bf16':
                if not QUICK or shape[2] < 1024 and dtype == 'fp32':
                    duel(shape, dtype, threads)
    products(many)
    long_rows(many)
    busy(many)
    sys.exit(1 if failed else 0)


main()
