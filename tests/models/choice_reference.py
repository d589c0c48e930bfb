"""Tokens that the sampler chooses, worked out from docs/models.md, Sampling, with Python's own e^x and sort.

usage: choice_reference.py > guest/llm/sampler/tests/data/choices.txt

Each line: temperature, top_k, top_p, min_p, penalty (thousandths but for top_k), window, seed, logits as bits of f32,
the tokens that are seen before the first choice, and those that are chosen from these logits again and again.
"""

import math
import random
import struct

MASK = 2**64 - 1


def rotl(x, k):
    return (x << k | x >> (64 - k)) & MASK


class Generator:
    def __init__(self, seed):
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & MASK
            z = seed
            z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
            self.s.append(z ^ z >> 31)

    def next(self):
        s = self.s
        result = (rotl(s[1] * 5 & MASK, 7) * 9) & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 45)
        return result


def choose(logits, temperature, top_k, top_p, min_p, penalty, recent, draw):
    scored = []
    for token, logit in enumerate(logits):
        if token in recent:
            logit = logit / penalty if logit > 0 else logit * penalty
        if logit > -math.inf:
            scored.append((-logit, token))
    scored.sort()
    if not scored:
        return None
    if temperature == 0 or scored[0][0] == -math.inf:
        return scored[0][1]
    if min_p:
        scored = [(l, t) for l, t in scored if -l >= -scored[0][0] + math.log(min_p)]
    scored = scored[:top_k or None]
    best = scored[0][0]
    if top_p < 1:
        weights = [math.exp(best - l) for l, _ in scored]
        wanted, total, kept = sum(weights) * top_p, 0, 0
        while total < wanted and kept < len(scored):
            total += weights[kept]
            kept += 1
        scored = scored[:kept]
    weights = [math.exp((best - l) / temperature) for l, _ in scored]
    wanted, total = sum(weights) * draw / 2**53, 0
    for (_, token), weight in zip(scored, weights):
        total += weight
        if total > wanted:
            return token
    return scored[-1][1]


def bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def line(source):
    rules = [source.choice([0, 300, 700, 1000, 1500, 5000]), source.choice([0, 0, 1, 3, 10, 1000]),
             source.choice([1000, 1000, 950, 500, 1]), source.choice([0, 0, 50, 500, 1000]),
             source.choice([1000, 1100, 2000, 500])]
    window, seed = source.choice([0, 3, 16]), source.getrandbits(64)
    logits = [f32(source.choice([source.gauss(0, 3), source.randint(-3, 3)])) for _ in range(source.randint(1, 24))]
    if source.random() < 0.2:
        logits[source.randrange(len(logits))] = source.choice([math.nan, math.inf, -math.inf, -0.0])
    seen = [source.randrange(len(logits)) for _ in range(source.randint(0, 5))]
    generator, history, chosen = Generator(seed), list(seen), []
    milli = [rules[0] / 1000, rules[1], rules[2] / 1000, rules[3] / 1000, rules[4] / 1000]
    for _ in range(20):
        token = choose(logits, *milli, history[-window:] if window else [], generator.next() >> 11)
        if token is None:
            break
        chosen.append(token)
        history.append(token)
    return " ".join(map(str, [*rules, window, seed, len(logits), *map(bits, logits), len(seen), *seen, len(chosen), *chosen]))


def lines():
    source = random.Random(11)
    return [line(source) for _ in range(80)]


if __name__ == "__main__":
    print("\n".join(lines()))
