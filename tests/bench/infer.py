#!/usr/bin/env python3
"""Time prompts and tokens beside llama.cpp (scripts/bench-infer calls it).

usage: infer.py [--quick] MODELS PYTHON PATTERN TYPE...

Each contestant is a process that reads a prompt and writes tokens after it for
each line of its input, and answers with the milliseconds of both, so that they go
in turn.  HOLD is a command that keeps other work off the machine while its
arguments run.
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

from machine import hold

QUICK = '--quick' in sys.argv
MODELS, PYTHON, PATTERN, *TYPES = [a for a in sys.argv[1:] if a != '--quick']
RUNS = 3 if QUICK else 5
PROMPT, TOKENS = 512, 128
HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(HERE, '..', '..', 'bin')
SMOL = os.path.join(HERE, '..', '..', 'obj', 'models', 'smollm2.gguf')
# Of the prompt: so many times llama.cpp's.
GOAL = {'q4_0': 2.2, 'q4_k_s': 2.5, 'q6_k': 3, 'q8_0': 3, 'bf16': 2, 'f16': 2}
# Of tokens: the lesser of so many times llama.cpp's, and a part of the speed of memory.
TOKEN_GOAL, READ_GOAL, BUSY_GOAL = 1.25, 0.85, 3
failed = False


def wanted(name):
    return re.search(PATTERN, name)


def row(name, mine, peer, goal, unit='tokens/s'):
    global failed
    failed = failed or mine / peer < goal
    print(f'{name}\t{mine:.4g}\t{peer:.4g}\t{mine / peer:.3f}\t{goal:.3g}\t{unit}\t{RUNS}',
          flush=True)


class Contestant:
    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        self.turns = []
        if self.p.stdout.readline().strip() != 'ready':
            sys.exit('infer.py: not ready: ' + ' '.join(command))

    def turn(self):
        self.p.stdin.write('\n')
        self.p.stdin.flush()
        self.turns.append([float(x) for x in self.p.stdout.readline().split()])

    def rates(self):
        """Tokens a second of the prompt, and after it."""
        prompt, tokens = (statistics.median(x) for x in zip(*self.turns))
        return PROMPT / prompt * 1e3, TOKENS / tokens * 1e3

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def contestants(path, threads):
    shape = [str(PROMPT), str(TOKENS)]
    return [Contestant([f'{BIN}/llm-bench', 'infer', '--turns', '-m', path, '--prompt', shape[0],
                        '--tokens', shape[1], '-j', str(threads)]),
            Contestant([PYTHON, f'{HERE}/peer/llama_infer.py', path, *shape, str(threads)])]


def read_rate(threads):
    out = subprocess.run([f'{BIN}/llm-bench', 'peak', '-j', str(threads)], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    return float(re.search(rf'^read\t{threads}\t([0-9.]+)', out, re.M)[1]) * 1e9


def duel(kind, threads, busy):
    name = f'1.1b-{kind}-{threads}t' + ('-busy' if busy else '')
    path = f'{MODELS}/1b-{kind}.gguf'
    if not wanted(name):
        return
    pair = contestants(path, threads)
    for _ in range(RUNS):
        with hold():
            # The busy process has the last processor, and does not give way.
            load = subprocess.Popen(['taskset', '-c', str(max(os.sched_getaffinity(0))), 'sh',
                                     '-c', 'while :; do :; done']) if busy else None
            time.sleep(0.1 if busy else 0)
            for c in pair:
                c.turn()
            if load:
                load.kill()
                load.wait()
    with hold():
        read = read_rate(threads)
    (our_prompt, our_tokens), (prompt, tokens) = (c.rates() for c in pair)
    for c in pair:
        c.close()
    # Rows of the table of embeddings are not read, but for one a token.
    bound = READ_GOAL * read / (os.path.getsize(path) * (1 - 32000 * 2048 / 1.1e9))
    row(name + f'/pp{PROMPT}', our_prompt, prompt, BUSY_GOAL if busy else GOAL[kind])
    row(name + f'/tg{TOKENS}', our_tokens, tokens,
        BUSY_GOAL if busy else min(TOKEN_GOAL, bound / tokens))


QUANTIZED = {'q4_0': 2, 'q4_k_s': 14, 'q6_k': 18, 'q8_0': 7}	# llama.cpp's numbers


def quantizing(kind, threads):
    """Both write the same file of fp16, in turn."""
    name = f'1.1b-{kind}-{threads}t/quantize'
    path, to = f'{MODELS}/1b-f16.gguf', f'{MODELS}/1b-new.gguf'
    if not wanted(name) or kind not in QUANTIZED or not os.path.exists(path):
        return
    commands = [[f'{BIN}/llm-quantize', '-q', '-t', kind, '--pure', '-j', str(threads), '-o', to,
                 path],
                [PYTHON, f'{HERE}/peer/llama_quantize.py', path, to, str(QUANTIZED[kind]),
                 str(threads)]]
    seconds = [[], []]
    for _ in range(RUNS):
        with hold():
            for command, times in zip(commands, seconds):
                start = time.monotonic()
                subprocess.run(command, check=True)
                times.append(time.monotonic() - start)
                os.remove(to)
    size = os.path.getsize(path) / 1e6
    row(name, *(size / statistics.median(x) for x in seconds), 1, 'MB/s')


QUOTE = ('Repeat this list, word for word, three times.\n' + 'apples, pears, plums, cherries, '
         'grapes, oranges, lemons, peaches, figs and dates\n' * 3)
PROSE = 'In the spring of that year the old lighthouse keeper told us'


def generate(prompt, *more):
    """Tokens a second of llm-generate, its text, and the part of guesses that was right."""
    p = subprocess.run([f'{BIN}/llm-generate', '-m', SMOL, '-p', prompt, '-n', '160', '-T', '0',
                        '--ignore-eos', '-v', *more], check=True, text=True,
                       capture_output=True)
    speed = float(re.search(r'more at ([0-9.]+) a second', p.stderr)[1])
    guessed = re.search(r'(\d+) tokens guessed, (\d+)', p.stderr)
    part = int(guessed[2]) / max(1, int(guessed[1])) if guessed else 0
    return speed, p.stdout, part


def guesses():
    """Faster where most are right, and nowhere slower by more than 5 percent."""
    for name, prompt, how in (('quote/lookup', QUOTE, ['--lookup']),
                              ('prose/lookup', PROSE, ['--lookup']),
                              ('prose/early-exit', PROSE, ['--early-exit', '8']),
                              ('prose/same-model', PROSE, ['--draft', SMOL])):
        if not wanted('smollm2-guess-' + name):
            continue
        with_, without, parts = [], [], []
        for _ in range(RUNS):
            with hold():
                a, b = generate(prompt, *how), generate(prompt)
            if a[1] != b[1]:
                sys.exit(f'infer.py: {name}: guesses change the text')
            with_.append(a[0])
            without.append(b[0])
            parts.append(a[2])
        part = statistics.median(parts)
        print(f'# {name}: {part:.2f} of guesses were right', flush=True)
        row('smollm2-guess-' + name, statistics.median(with_), statistics.median(without),
            1 if part > 0.6 and 'same' not in name else 0.95)


MASKS = (('regex', '--regex', '[A-Za-z ,.]*'),
         ('schema', '--json-schema', '{"type":"array","items":{"type":"string"},"minItems":200}'),
         ('grammar', '--grammar', 'root ::= (word " ")*\nword ::= [a-z]+ | [0-9]+ [.,]?\n'))


def masks():
    """Tokens a second of a grammar's, beside those without one."""
    for name, option, text in MASKS:
        if not wanted('smollm2-mask-' + name):
            continue
        with tempfile.NamedTemporaryFile('w') as f:
            f.write(text)
            f.flush()
            how = [option, text if name == 'regex' else f.name]
            speeds = [[], []]
            for _ in range(RUNS):
                with hold():
                    for speed, more in zip(speeds, (how, [])):
                        speed.append(generate(PROSE, *more)[0])
        row('smollm2-mask-' + name, *map(statistics.median, speeds), 0.9)


def main():
    many = min(2, len(os.sched_getaffinity(0)))
    print(f'# 1.1b: TinyLlama\'s shape, random weights; pp{PROMPT} and tg{TOKENS} as llama-bench '
          'has them; peer: llama.cpp, or llm-generate without guesses and masks')
    print('name\tours\tpeer\tratio\tgoal\tunit\truns', flush=True)
    for kind in TYPES:
        for threads in range(1, many + 1):
            duel(kind, threads, False)
            quantizing(kind, threads)
    if many > 1:
        duel(TYPES[0], many, True)
    if os.path.exists(SMOL):
        guesses()
        masks()
    else:
        print('# no SmolLM2: run scripts/get-model')
    sys.exit(1 if failed else 0)


main()
