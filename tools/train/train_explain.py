#!/usr/bin/python3
"""Trains sis-explain on situations that are drawn as it goes, and writes models/sis-explain.gguf (docs/explain.md).

Hidden matrices are trained with Muon, all else with AdamW, on the answers alone. A situation is asked several questions at
once, none of which sees another. The same numbers come out for the same seed, steps, threads and processor; a run that was
stopped goes on from its checkpoint as if it had not been. Needs Debian's python3-torch and python3-numpy.

usage: train_explain.py OUTPUT --steps N [--decay N] [--seed N] [--checkpoint FILE] [--minutes N]
"""

import argparse
import math
import pathlib
import random
import time

import torch
from torch.nn import functional

import network as net
import questions
import situation
import vocabulary

BATCH = 5  # situations
ASKED = 9  # questions of each
RATE_MATRICES = 0.01
RATE_OTHERS = 0.001
WARM_UP = 50  # steps
CURRICULUM = ((150, 2), (400, 4), (0, situation.MAX_OPERATORS))  # until which step, how many operators
PLACES = net.EMBEDDING // net.HEADS  # elements
# What all tokens have in common, so that heads can look at places whatever is there.
SHARED = torch.ones(net.EMBEDDING - PLACES) / math.sqrt(net.EMBEDDING - PLACES)
# From which step on how much more often than their weights say questions are asked, of those that are learnt last.
EMPHASIS = ((0, {}), (1900, dict.fromkeys(questions.SEARCHES, 4)),
            (2800, {**dict.fromkeys(questions.SEARCHES, 4), "slowest": 10, "bottleneck": 7, "compare": 2}))
ONCE_FROM = 2400  # from which step on no situation is asked the same twice
FILLERS = ("please", "now", "can you tell me", "tell me", "well", "so")


def value_of(text):
    """(kind, logarithm of the value) of a token that is a number; None of others."""
    body = text[1:] if text.startswith(vocabulary.SPACE) else ""
    for suffix, kind, scale in (("us", 1, 10), ("ms", 1, 1e4), ("s", 1, 1e7), ("%", 2, 10), ("k", 0, 1e3), ("M", 0, 1e6), ("", 0, 1)):
        if body.endswith(suffix):
            number = body[:len(body) - len(suffix)]
            if number and number.replace(".", "", 1).isdigit() and number[-1] != ".":
                return kind, math.log10(max(float(number) * scale, 0.3))
    return None


def first_embedding(tokens):
    """Random, but numbers begin with how large they are, and words before figures with whose they are.

    The last PLACES elements are left for what heads say of neighbours.
    """
    size = net.EMBEDDING - PLACES
    made = torch.randn(len(tokens), size) / math.sqrt(size)
    frame = torch.linalg.qr(torch.randn(size, size))[0]
    index = {text: i for i, (text, _, _) in enumerate(tokens)}
    for i, (text, kind, _) in enumerate(tokens):
        value = value_of(text) if kind == 1 else None
        if value is not None:
            features = [value[1] / 3 - 1] + [1.0 * (value[0] == k) for k in range(3)]
            for turn in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8):
                features += [0.5 * math.sin(2 * math.pi * turn * value[1]), 0.5 * math.cos(2 * math.pi * turn * value[1])]
            made[i] = 0.6 * made[i] + 0.4 * torch.tensor(features) @ frame[:len(features)]
    for text in vocabulary.fields():
        whose, word = (made[index[vocabulary.SPACE + part]] for part in text[1:].split("."))
        made[index[text]] = 0.4 * made[index[text]] + 0.6 * whose + 0.6 * word
    return torch.cat((made + 0.5 * SHARED, torch.zeros(len(tokens), PLACES)), 1)


def rows_of(head):
    size = net.EMBEDDING // net.HEADS
    return slice(head * size, (head + 1) * size)


def look_back(layer, head, distance):
    """Begins with a head that looks at the place so many tokens before."""
    half = net.EMBEDDING // net.HEADS // 2
    angles = -distance * net.ROPE_BASE ** (-torch.arange(half) / half)
    near = (torch.arange(half) < half // 2).float() * 2
    shared = functional.pad(SHARED, (0, PLACES))
    layer["attn_q"][rows_of(head)] = torch.stack((angles.cos() * near, angles.sin() * near), -1).flatten()[:, None] * shared
    layer["attn_k"][rows_of(head)] = torch.stack((near, 0 * near), -1).flatten()[:, None] * shared


def look_for(layer, head, wanted):
    """Begins with a head that looks for places whose last elements are `wanted` of the token here: those behind another like it.
    The slower half of a head's pairs hardly turns within a prompt."""
    half = net.EMBEDDING // net.HEADS // 2
    query, key = (torch.zeros(2 * half, net.EMBEDDING) for _ in range(2))
    query[half:] = 1.7 * wanted[:half]
    key[half:, net.EMBEDDING - PLACES:net.EMBEDDING - PLACES + half] = 1.7 * torch.eye(half)
    layer["attn_q"][rows_of(head)] = query
    layer["attn_k"][rows_of(head)] = key


@torch.no_grad()
def first_attention(layers):
    """What heads begin with: looking for tokens like their own and saying what they see, as those of trained models do
    (A. Trockman, J. Kolter, "Mimetic Initialization of Self-Attention Layers", 2023, arXiv:2305.09828); in the first layer one
    that says what the token before is, in the second two that look for what stands behind a token like their own (C. Olsson
    et al., "In-context Learning and Induction Heads", 2022, arXiv:2209.11895). They would come by themselves, later."""
    size = net.EMBEDDING - PLACES
    for layer in layers:
        alike = torch.randn(net.EMBEDDING, net.EMBEDDING) / math.sqrt(net.EMBEDDING)
        layer["attn_q"].copy_(0.8 * alike + 0.4 * layer["attn_q"])
        layer["attn_k"].copy_(0.8 * alike + 0.4 * layer["attn_k"])
        value = torch.linalg.qr(torch.randn(net.EMBEDDING, net.EMBEDDING))[0]
        layer["attn_v"].copy_(value)
        layer["attn_output"].copy_(0.1 * value.T)
    said = functional.pad(torch.linalg.qr(torch.randn(size, size))[0], (0, PLACES))
    look_back(layers[0], 0, 1)
    layers[0]["attn_v"][rows_of(0)] = said[:PLACES]
    layers[0]["attn_output"][:, rows_of(0)] = 0
    layers[0]["attn_output"][size:, rows_of(0)] = 0.1 * torch.eye(PLACES)
    for head in (0, 1, 2):
        look_for(layers[1], head, said)
        layers[1]["attn_v"][rows_of(head)] = said[rows_of(head)]
        layers[1]["attn_output"][:, rows_of(head)] = 0.2 * said[rows_of(head)].T


def noisy(chance, question):
    """With words around it that say nothing, or one that nobody knows."""
    if chance.random() < 0.12:
        question = f"{chance.choice(FILLERS)} {question}"
    if chance.random() < 0.05:
        question += " " + chance.choice(("please", "now", "".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(5))))
    return question


def example(chance, tokenizer, largest, emphasis={}, once=False, held_out=False):
    """(tokens of the context, [(kind, tokens of a question, of its answer)]).

    @param emphasis  by what weights of kinds are multiplied
    @param once      no question twice that has but one answer
    """
    drawn = situation.draw_split(chance, held_out, largest)
    kinds = list(questions.KINDS)
    weights = [questions.KINDS[k][1] * emphasis.get(k, 1) for k in kinds]
    asked = []
    while len(asked) < ASKED:
        kind = chance.choices(kinds, weights)[0]
        if once and not questions.KINDS[kind][0] and any(kind == k for k, _, _ in asked):
            continue  # the same answer again
        made = questions.ask(chance, drawn, kind)
        if made is not None:
            question = made[0] if held_out else noisy(chance, made[0])
            asked.append((kind, tokenizer.encode(f" ? {question} ="), tokenizer.encode(f" {made[1]}") + [vocabulary.END]))
    return [vocabulary.BEGIN] + tokenizer.encode(situation.context(drawn)), asked


class Batch:
    """Situations side by side, each with as many questions: [batch, context + asked * text] tokens.

    The context's places come first, then those of one question and its answer after the other's, each padded. What is
    padded sees what it likes, and nobody sees it: questions are padded at their ends, contexts by a mask.
    """

    def __init__(self, examples):
        self.context = max(len(c) for c, _ in examples)
        self.asked = len(examples[0][1])
        length = max(len(q) + len(a) - 1 for _, asked in examples for _, q, a in asked)
        rows = []
        for context, asked in examples:
            row = self.padded([(t, i, -1) for i, t in enumerate(context)], self.context)
            for _, question, answer in asked:
                text, said = question + answer[:-1], [-1] * (len(question) - 1) + answer
                row += self.padded([(t, len(context) + i, say) for i, (t, say) in enumerate(zip(text, said))], length)
            rows.append(row)
        self.tokens, positions, said = torch.tensor(rows).unbind(-1)
        self.wanted = said >= 0
        self.said = said[self.wanted]
        self.turn = net.rotation(positions)
        sizes = torch.tensor([len(c) for c, _ in examples])
        outside = (torch.arange(self.context) >= sizes[:, None])[:, None, None, :]
        later = lambda size: torch.ones(size, size).triu(1).bool()
        self.hidden_context = self.mask(later(self.context))
        hidden = outside[:, :, None].expand(-1, 1, 1, length, -1)
        self.hidden_asked = self.mask(torch.cat((hidden, later(length).expand(len(rows), 1, 1, -1, -1)), -1))

    @staticmethod
    def padded(places, size):
        return places + [(0, 0, -1)] * (size - len(places))

    @staticmethod
    def mask(hidden):
        return torch.zeros(hidden.shape).masked_fill_(hidden, -math.inf)

    def logits(self, network):
        with torch.autocast("cpu", torch.bfloat16):
            return network(self).float()


def orthogonal(g):
    """Of each of a stack of matrices the nearest with orthogonal rows or columns, nearly: five steps of a Newton-Schulz
    iteration (K. Jordan, "Muon: An optimizer for hidden layers", 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = (x.transpose(1, 2) if tall else x).bfloat16()
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Muon:
    """For matrices, those of one shape at a time."""

    def __init__(self, parameters):
        self.groups = {}
        for p in parameters:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {shape: torch.zeros(len(ps), *shape) for shape, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, rate):
        for shape, ps in self.groups.items():
            gradient = torch.stack([p.grad for p in ps])
            momentum = self.momentum[shape].mul_(0.95).add_(gradient)
            change = orthogonal(gradient + 0.95 * momentum) * max(1, shape[0] / shape[1]) ** 0.5
            for p, d in zip(ps, change):
                p.mul_(1 - rate * 0.01).sub_(d, alpha=rate)


@torch.no_grad()
def right_answers(network, tokenizer, count):
    """Share of answers right in every token, of held-out situations; and of each kind."""
    chance = random.Random("watch")
    kinds = {}
    for _ in range(count):
        examples = [example(chance, tokenizer, situation.MAX_OPERATORS, held_out=True) for _ in range(BATCH)]
        batch = Batch(examples)
        good = iter((batch.logits(network).argmax(-1) == batch.said).tolist())
        for _, asked in examples:
            for kind, _, answer in asked:
                right = all([next(good) for _ in answer])
                kinds.setdefault(kind, []).append(right)
    share = lambda x: sum(x) / len(x)
    return share(sum(kinds.values(), [])), {k: round(share(v), 2) for k, v in sorted(kinds.items())}


def schedule(step, options):
    return min(1, (step + 1) / WARM_UP, max(0, (options.steps - step) / options.decay))


class Training:
    def __init__(self, options):
        self.options = options
        torch.manual_seed(options.seed)
        self.tokens = vocabulary.build()
        self.tokenizer = vocabulary.Tokenizer(self.tokens)
        self.network = net.Network(first_embedding(self.tokens))
        first_attention(self.network.layers)
        matrices = [p for layer in self.network.layers for name, p in layer.items() if name in net.MATRICES]
        chosen = set(map(id, matrices))
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW([p for p in self.network.parameters() if id(p) not in chosen], lr=RATE_OTHERS,
                                      betas=(0.9, 0.98), weight_decay=0.001)
        self.step = 0

    def state(self):
        return {"network": self.network.state_dict(), "adam": self.adam.state_dict(), "muon": self.muon.momentum, "step": self.step}

    def resume(self, path):
        saved = torch.load(path)
        self.network.load_state_dict(saved["network"])
        self.adam.load_state_dict(saved["adam"])
        self.muon.momentum, self.step = saved["muon"], saved["step"]

    def advance(self):
        chance = random.Random(f"{self.options.seed} {self.step}")
        largest = next(size for until, size in CURRICULUM if self.step < until or until == 0)
        emphasis = [of for since, of in EMPHASIS if self.step >= since][-1]
        once = self.step >= ONCE_FROM
        batch = Batch([example(chance, self.tokenizer, largest, emphasis, once) for _ in range(BATCH)])
        loss = functional.cross_entropy(batch.logits(self.network), batch.said)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([self.network.embedding], 1.0)
        rate = schedule(self.step, self.options)
        self.muon.step(RATE_MATRICES * rate)
        for group in self.adam.param_groups:
            group["lr"] = RATE_OTHERS * rate
        self.adam.step()
        self.step += 1
        return loss.item()


def parse():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("output")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--decay", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=math.inf)
    return parser.parse_args()


def main():
    options = parse()
    training = Training(options)
    if options.checkpoint and options.checkpoint.exists():
        training.resume(options.checkpoint)
    begin, sums = time.monotonic(), []
    while training.step < options.steps and time.monotonic() - begin < 60 * options.minutes:
        sums.append(training.advance())
        if training.step % 50 == 0:
            print(f"step {training.step}: loss {sum(sums) / len(sums):.4f}, {time.monotonic() - begin:.0f} s, "
                  f"{time.process_time():.0f} s of processor time", flush=True)
            sums = []
            if options.checkpoint:
                torch.save(training.state(), options.checkpoint.with_suffix(".new"))
                options.checkpoint.with_suffix(".new").replace(options.checkpoint)
        if training.step % 200 == 0:
            print("held out:", *right_answers(training.network, training.tokenizer, 4), flush=True)
    net.save(training.network, training.tokens, options.output)
    print("held out:", *right_answers(training.network, training.tokenizer, 40))


if __name__ == "__main__":
    main()
