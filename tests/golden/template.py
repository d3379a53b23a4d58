#!/usr/bin/env python3
"""Write tests/data/template/cases.json: what transformers renders of the templates
in tests/data/template/good, and of expressions, for some conversations.

    template.py [OUT TEMPLATE...]

With arguments: the same of other templates (.jinja, or tokenizer_config.json)."""
import json
import os
import sys
import transformers.utils.chat_template_utils as utils

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, '..', 'data', 'template')
TIME = (2026, 11, 28, 9, 5, 7, 5, 332, 0)

TOOLS = [{'type': 'function', 'function': {
    'name': 'get_weather', 'description': 'The "weather" of a <city> & more', 'parameters': {
        'type': 'object', 'required': ['city'], 'properties': {
            'city': {'type': 'string', 'description': 'name, e.g. Zürich'},
            'days': {'type': 'integer', 'default': 3, 'minimum': 0.5},
            'unit': {'type': 'string', 'enum': ['c', 'f']}}},
    'return': {'type': 'number'}}}]
CALL = [{'id': 'call00001', 'type': 'function', 'function': {
    'name': 'get_weather', 'arguments': {'city': 'Zürich', 'days': 2, 'exact': True, 'x': None}}}]
TEXT_CALL = [{'id': 'call00001', 'type': 'function', 'function': {
    'name': 'get_weather', 'arguments': '{"city": "Z"}'}}]


def say(*turns):
    return [{'role': r, 'content': c} for r, c in turns]


TALK = say(('user', ' Hello, wörld!\n'), ('assistant', 'Hi <there>.'), ('user', '2 + 2?'))
INPUTS = {
    'one': dict(messages=say(('user', 'Hello')), add_generation_prompt=True),
    'talk': dict(messages=TALK, add_generation_prompt=True),
    'done': dict(messages=TALK + say(('assistant', 'It is 4.\n')), add_generation_prompt=False),
    'system': dict(messages=say(('system', 'Be brief.')) + TALK, add_generation_prompt=True,
                   enable_thinking=False),
    'think': dict(messages=say(('user', 'a'), ('assistant', '<think>\nhm\n</think>\n\nb'),
                               ('user', 'c'), ('assistant', '<think>\nso\n</think>\n\nd')),
                  add_generation_prompt=False, enable_thinking=True),
    'tools': dict(messages=say(('system', 'S'), ('user', 'Weather?')) + [
        {'role': 'assistant', 'content': '', 'tool_calls': CALL},
        {'role': 'tool', 'name': 'get_weather', 'tool_call_id': 'call00001', 'content': '{"c": 7}'}],
        tools=TOOLS, add_generation_prompt=True),
    'called': dict(messages=say(('user', 'Weather?')) + [
        {'role': 'assistant', 'content': None, 'tool_calls': TEXT_CALL},
        {'role': 'tool', 'name': 'get_weather', 'tool_call_id': 'call00001', 'content': '7'},
        {'role': 'assistant', 'content': 'Seven.', 'reasoning_content': 'r'}],
        tools=TOOLS, add_generation_prompt=False),
    'parts': dict(messages=[
        {'role': 'system', 'content': [{'type': 'text', 'text': 'sys'}]},
        {'role': 'user', 'content': [{'type': 'text', 'text': 'look:'}, {'type': 'image'},
                                     {'type': 'text', 'text': 'well?'}]},
        {'role': 'assistant', 'content': [{'type': 'text', 'text': 'Nice.'}]}],
        add_generation_prompt=False),
    'twice': dict(messages=say(('user', 'a'), ('user', 'b')), add_generation_prompt=True),
    'none': dict(messages=[], add_generation_prompt=True),
    'odd': dict(messages=[{'role': 'user'}, {'content': 7}], add_generation_prompt=False),
}


class Clock(utils.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*TIME[:6])


def render(source, given):
    """As apply_chat_template does, with offsets in bytes."""
    template = utils._compile_jinja_template(source)
    given = dict({'tools': None, 'documents': None, 'bos_token': '<s>', 'eos_token': '</s>'}, **given)
    blocks, spans = [], []
    with template.environment.activate_tracker(blocks, spans):
        for block in template.generate(**given):
            blocks.append(block)
    text = ''.join(blocks)
    text.encode()
    return text, [[len(text[:i].encode()) for i in span] for span in spans]


def case(name, source, given):
    out = {'name': name, 'source': source, 'input': given}
    try:
        out['text'], spans = render(source, given)
        if spans:
            out['spans'] = spans
    except Exception as e:
        out['error'] = '%s: %s' % (type(e).__name__, str(e).split('\n')[0][:100])
    return out


def sources(files):
    for path in files:
        with open(path) as f:
            text = f.read()
        name = os.path.basename(path)
        if name.endswith('.json'):
            text = json.loads(text)['chat_template']
        yield name, text


def expressions():
    """Lines of good/expressions.txt, each with the variables below."""
    given = dict(messages=TALK, s='Hello, wörld', e='', n=7, f=2.5, big=1e300, t=True, z=None,
                 l=[3, 1, 2], ll=[[1, 'b'], [2, 'a']], d={'b': 1, 'a': [1, 2.0, None, True, 'x"\'é']},
                 objs=[{'k': 'x', 'v': 2}, {'k': 'Y', 'v': 1}, {'k': 'x', 'v': None}],
                 text='one\ntwo\n\n three \n', odd='a\u00a0\t\u200b\u2028"\'\\\x07ß')
    with open(os.path.join(DATA, 'expressions.txt')) as f:
        for line in f:
            line = line.rstrip('\n').replace('\u240a', '\n')
            if line and not line.startswith('##'):
                yield case(line, line if '{%' in line or '{{' in line else '{{ %s }}' % line, given)


utils.datetime = Clock
good = os.path.join(DATA, 'good')
files = sys.argv[2:] or sorted(os.path.join(good, n) for n in os.listdir(good))
cases = [case('%s, %s' % (name, about), source, given) for name, source in sources(files)
         for about, given in INPUTS.items()]
if len(sys.argv) < 2:
    cases += expressions()
with open(sys.argv[1] if len(sys.argv) > 1 else os.path.join(DATA, 'cases.json'), 'w') as f:
    f.write('[\n' + ',\n'.join(json.dumps(c, ensure_ascii=False) for c in cases) + '\n]\n')
