#!/usr/bin/python3
"""Trains sis-explain on situations that are drawn as it goes, and writes models/sis-explain.gguf (docs/explain.md).

Hidden matrices are trained with Muon, all else with AdamW, on the answers alone. A situation is asked several questions at
once, none of which sees another. The same file comes out for the same options and kind of processor, in one thread; a run
that was stopped goes on from its checkpoint as if it had not been. Needs Debian's python3-torch and python3-numpy.

usage: train_explain.py OUTPUT --steps N [--decay N] [--seed N] [--checkpoint FILE] [--minutes N]
"""

import argparse
import math
import os
import pathlib
import random
import time

os.environ["OMP_NUM_THREADS"] = "1"  # before they are loaded: what libraries of linear algebra compute depends on it, too
import torch
from torch.nn import functional

import initial
import network as net
import phrasing
import questions
import situation
import vocabulary

BATCH = 5  # situations
POOL = 8  # batches that are drawn together, so that those of a batch are of like length
ALWAYS = ("slowest", "bottleneck")  # asked of each situation: hardest to learn
ASKED = 9  # questions of each situation
# From which step on: how many of the other questions that search for something are asked, and how much more often than its
# weight says the one that compares.
SEARCHED = ((0, 3, 1), (1200, 5, 3))
RATE_MATRICES = 0.01
RATE_OTHERS = 0.001
HALF = True  # bf16 for what is multiplied
WARM_UP = 50  # steps
CURRICULUM = ((160, 2), (400, 4), (0, situation.MAX_OPERATORS))  # until which step, how many operators


def chosen_kinds(chance, drawn, cited, words, step=0):
    """[(kind, question, answer)], ASKED of them: all of ALWAYS, some more of SEARCHES, else by their weights. None twice that
    would have the same answer."""
    _, searched, compared = [each for each in SEARCHED if step >= each[0]][-1]
    kinds = [k for k in questions.KINDS if k not in questions.SEARCHES]
    weights = [questions.KINDS[k][1] * (compared if k == "compare" else 1) for k in kinds]
    wanted = list(ALWAYS) + chance.sample([k for k in questions.SEARCHES if k not in ALWAYS], searched)
    asked = []
    while len(asked) < ASKED:
        kind = wanted[len(asked)] if len(asked) < len(wanted) else chance.choices(kinds, weights)[0]
        if not questions.KINDS[kind][0] and any(kind == k for k, _, _ in asked):
            continue
        made = questions.ask(chance, drawn, kind, words, cited)
        if made is not None:
            asked.append((kind, *made))
    return asked


def example(chance, tokenizer, step=0, largest=situation.MAX_OPERATORS, part="training", words="trained"):
    """(tokens of the context, [(kind, tokens of a question, of its answer)])."""
    drawn = situation.draw_part(chance, part, largest)
    cited, asked = questions.Cited(drawn), []
    for kind, question, answer in chosen_kinds(chance, drawn, cited, words, step):
        if part == "training":
            question = phrasing.disturbed(chance, question)
        asked.append((kind, tokenizer.encode(f" ? {question} ="), tokenizer.encode(f" {answer}") + [vocabulary.END]))
    return [vocabulary.BEGIN] + tokenizer.encode(cited.context), asked


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
        with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
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
def right_answers(network, tokenizer, count, words):
    """Share of answers right in every token, of situations for validation; and of each kind."""
    chance = random.Random("watch")
    kinds = {}
    for _ in range(count):
        examples = [example(chance, tokenizer, part="validation", words=words) for _ in range(BATCH)]
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
        embedding, growing = initial.embedding(self.tokens)
        self.network = net.Network(embedding, initial.features(self.tokens))
        initial.attention(self.network.layers, growing)
        matrices = [p for layer in self.network.layers for name, p in layer.items() if name in net.MATRICES]
        chosen = set(map(id, matrices))
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW([p for p in self.network.parameters() if id(p) not in chosen], lr=RATE_OTHERS,
                                      betas=(0.9, 0.98), weight_decay=0.001)
        self.step = 0
        self.pool = (None, [])  # its number, batches

    def state(self):
        return {"network": self.network.state_dict(), "adam": self.adam.state_dict(), "muon": self.muon.momentum, "step": self.step}

    def resume(self, path):
        saved = torch.load(path)
        self.network.load_state_dict(saved["network"])
        self.adam.load_state_dict(saved["adam"])
        self.muon.momentum, self.step = saved["muon"], saved["step"]

    def watch(self, count):
        for words in ("trained", "validation"):
            share, kinds = right_answers(self.network, self.tokenizer, count, words)
            print(f"validation, {words} wordings: {share:.3f} {kinds}", flush=True)

    def examples(self):
        """Those of this step: the same whenever it comes."""
        number, at = divmod(self.step, POOL)
        if self.pool[0] != number:
            chance = random.Random(f"{self.options.seed} {number}")
            largest = next(size for until, size in CURRICULUM if self.step < until or until == 0)
            drawn = [example(chance, self.tokenizer, number * POOL, largest) for _ in range(BATCH * POOL)]
            drawn.sort(key=lambda each: len(each[0]))
            self.pool = number, chance.sample([drawn[i:i + BATCH] for i in range(0, len(drawn), BATCH)], POOL)
        return self.pool[1][at]

    def advance(self):
        batch = Batch(self.examples())
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
    torch.set_num_threads(1)  # more would wait for each other on a machine that does something else, too
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
            training.watch(4)
    net.save(training.network, training.tokens, options.output)
    training.watch(40)


if __name__ == "__main__":
    main()
