"""What the training of sis-explain begins with: embeddings that say how large a number is, heads that look where they should."""

import math

import torch
from torch.nn import functional

import network as net
import vocabulary

PLACES = net.EMBEDDING // net.HEADS  # elements
# What all tokens have in common, so that heads can look at places whatever is there.
SHARED = torch.ones(net.EMBEDDING - PLACES) / math.sqrt(net.EMBEDDING - PLACES)
TURNS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
# Of counts, durations, shares: the logarithm in the middle, and how far it goes from there.
RANGES = ((2, 2.5), (4, 4), (1.5, 1.5))


def value_of(text):
    """(kind, logarithm of the value) of a token that is a number; None of others."""
    body = text[1:] if text.startswith(vocabulary.SPACE) else ""
    for suffix, kind, scale in (("us", 1, 10), ("ms", 1, 1e4), ("s", 1, 1e7), ("%", 2, 10), ("k", 0, 1e3), ("M", 0, 1e6), ("", 0, 1)):
        if body.endswith(suffix):
            number = body[:len(body) - len(suffix)]
            if number and number.replace(".", "", 1).isdigit() and number[-1] != ".":
                return kind, math.log10(max(float(number) * scale, 0.3))
    return None


def number_features(text):
    """What a number's token says of its value: how large it is among those of its kind, and where at several scales."""
    kind, logarithm = value_of(text)
    middle, reach = RANGES[kind]
    made = [max(-1.2, min(1.2, (logarithm - middle) / reach))] + [0.5 * (kind == k) for k in range(3)]
    for turn in TURNS:
        made += [0.4 * math.sin(2 * math.pi * turn * logarithm), 0.4 * math.cos(2 * math.pi * turn * logarithm)]
    return made


def features(tokens):
    """[tokens, features]: what tokens have in common that are numbers, labels or words before figures. A row of weights
    for each of these is trained and added to the embeddings, so that what is learnt of one number goes for all."""
    size = 4 + 2 * len(TURNS)
    places = {name: size + i for i, name in enumerate(dict.fromkeys(
        vocabulary.labels() + ["audit", "npu", "llm"] + [w for words in vocabulary.FIELDS.values() for w in words.split()]))}
    fields = set(vocabulary.fields())
    made = torch.zeros(len(tokens), size + len(places))
    for i, (text, kind, _) in enumerate(tokens):
        if kind == 1 and value_of(text) is not None:
            made[i, :size] = torch.tensor(number_features(text))
        elif text in fields or (text.startswith(vocabulary.SPACE) and text[1:] in places):
            for part in text[1:].split("."):
                made[i, places[part]] = 0.5
    return made


def embedding(tokens):
    """Random, but numbers begin with how large they are, and words before figures with whose they are; and the direction
    in which numbers grow.

    The last PLACES elements are left for what heads say of neighbours.
    """
    size = net.EMBEDDING - PLACES
    made = torch.randn(len(tokens), size) / math.sqrt(size)
    frame = torch.linalg.qr(torch.randn(size, size))[0]
    frame[0] -= (frame[0] @ SHARED) * SHARED
    index = {text: i for i, (text, _, _) in enumerate(tokens)}
    for i, (text, kind, _) in enumerate(tokens):
        if kind == 1 and value_of(text) is not None:
            known = 0.6 * torch.tensor(number_features(text))
            made[i] = 0.5 * made[i] + known @ frame[:len(known)]
    for text in vocabulary.fields():
        whose, word = (made[index[vocabulary.SPACE + part]] for part in text[1:].split("."))
        made[index[text]] = 0.4 * made[index[text]] + 0.6 * whose + 0.6 * word
    return torch.cat((made + 0.5 * SHARED, torch.zeros(len(tokens), PLACES)), 1), functional.pad(frame[0], (0, PLACES))


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


def look_for_large(layer, head, growing):
    """Begins with a head that looks for large numbers, of whatever figure. Of its pairs the slowest ones hardly turn."""
    size = net.EMBEDDING // net.HEADS
    slow = torch.zeros(size)
    slow[size * 3 // 4::2] = 0.5
    layer["attn_q"][rows_of(head)] += slow[:, None] * functional.pad(SHARED, (0, PLACES))
    layer["attn_k"][rows_of(head)] += slow[:, None] * growing


@torch.no_grad()
def attention(layers, growing):
    """What heads begin with: looking for tokens like their own and saying what they see, as those of trained models do
    (A. Trockman, J. Kolter, "Mimetic Initialization of Self-Attention Layers", 2023, arXiv:2305.09828); in the first layer one
    that says what the token before is, in the second two that look for what stands behind a token like their own (C. Olsson
    et al., "In-context Learning and Induction Heads", 2022, arXiv:2209.11895); in the third two that prefer large numbers.
    They would come by themselves, later.

    @param growing  direction in which embeddings of numbers grow
    """
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
    for head in (0, 1):
        look_for_large(layers[2], head, growing)
