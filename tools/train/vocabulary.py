"""The tokens of sis-explain, and text to tokens as guest/llm/tokenizer does it for SentencePiece models.

Each word of questions and answers is one token, as is each number with its unit, and a figure's word with whose it is. What
they are merged from are tokens, too, and so are all bytes: any text has tokens.
"""

import re

import phrasing
import wordings
from situation import MAX_CHANNELS, MAX_OPERATORS, MAX_SERVERS

SPACE = "\u2581"
UNKNOWN, BEGIN, END = range(3)
BYTES = 3  # the token of byte 0
SIGNS = [SPACE + sign for sign in "?=-"]
FIELDS = {"o": "busy run max limit over input", "c": "writer reader top room lost stalled",
          "s": "budget period jobs over missed throttled worst", "audit": "accepted refused links", "npu": "jobs missed top",
          "llm": "asked refused missed"}


def fields():
    """The words before figures."""
    return [f"{SPACE}{whose}.{word}" for whose in labels() + ["audit", "npu", "llm"]
            for word in FIELDS[whose if whose in FIELDS else whose[0]].split()]


def labels():
    return ([f"o{i + 1}" for i in range(MAX_OPERATORS)] + [f"c{i + 1}" for i in range(MAX_CHANNELS)] +
            [f"s{i + 1}" for i in range(MAX_SERVERS)])


def numbers():
    """Every text that situation.py writes for a number, with the space before it."""
    decimals = [f"{i // 10}.{i % 10}" for i in range(100)]
    whole = [str(i) for i in range(10, 100)]
    tens = [f"{i}0" for i in range(10, 100)]
    made = [str(i) for i in range(10)] + whole + tens
    made += [n + "k" for n in decimals[10:] + whole + tens] + [n + "M" for n in decimals[10:] + whole + tens]
    made += [n + "us" for n in decimals + whole + tens]
    made += [n + u for u in ("ms", "s") for n in decimals[10:] + whole + tens]
    made += [n + "%" for n in decimals + whole] + ["100%"]
    return [SPACE + n for n in made]


def words():
    """Of all texts, each once, in order. Those of wordings that are held out are not among them."""
    texts = [ANSWERS, *phrasing.BEFORE, *phrasing.BEHIND] + [w for patterns in wordings.TRAINED.values() for w in patterns]
    found = dict.fromkeys(" ".join(FIELDS.values()).split())
    found.update(dict.fromkeys(re.findall(r"[a-z]+", " ".join(texts).lower())))
    return [SPACE + w for w in found]


# What the answers are made of, for their words alone.
ANSWERS = (
    "no operator runs is the bottleneck slowest slower not jobs took more than the budget job deadline was missed none server over "
    "within its channel saturated lost tensors it looks like token guessing does look raise of make faster nothing or limit "
    "exceeded has there npu llm figures do say"
)


def number_pieces():
    """What numbers are merged from, in the order in which they are: units, a digit with its point, then from the left."""
    pieces = ["us", "ms"] + [f".{d}" for d in range(10)] + [f"{SPACE}{d}" for d in range(10)]
    pieces += [f"{SPACE}{n}" for n in range(10, 100)] + [f"{SPACE}{n}0" for n in range(10, 100)]
    pieces += [f"{SPACE}{i // 10}.{i % 10}" for i in range(100)]
    return list(dict.fromkeys(pieces + numbers()))


def merge_all(symbols, pair):
    out, at = [], 0
    while at < len(symbols):
        if at + 1 < len(symbols) and symbols[at] + symbols[at + 1] == pair:
            out.append(pair)
            at += 2
        else:
            out.append(symbols[at])
            at += 1
    return out


def best_pair(texts):
    counts = {}
    for symbols in texts:
        for a, b in zip(symbols, symbols[1:]):
            counts[a + b] = counts.get(a + b, 0) + 1
    return min(counts, key=lambda p: (-counts[p], p)) if counts else None


def build():
    """[(text, type, score)] as the model file has them; docs/models.md has the types."""
    ranked = number_pieces()
    wanted = words() + SIGNS + fields() + [SPACE + label for label in labels()]
    texts = [list(w) for w in wanted]
    for piece in ("us", "ms"):
        texts = [merge_all(t, piece) for t in texts]
    while (pair := best_pair(texts)) is not None:
        ranked.append(pair)
        texts = [merge_all(t, pair) for t in texts]
    single = [SPACE] + list("abcdefghijklmnopqrstuvwxyz0123456789.,:;%-?=kM")
    single = list(dict.fromkeys(single))
    tokens = [("<unk>", 2, 0.0), ("<s>", 3, 0.0), ("</s>", 3, 0.0)]
    tokens += [(f"<0x{b:02X}>", 6, 0.0) for b in range(256)]
    tokens += [(c, 1, -1e6) for c in single]
    tokens += [(piece, 1, -float(rank)) for rank, piece in enumerate(dict.fromkeys(ranked)) if piece not in single]
    return tokens


class Tokenizer:
    """As guest/llm/tokenizer, of kind llama without a space prefix. No token has a space but at its front, so a text
    is tokenised piece by piece from one to the next, which is remembered."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.number = {text: i for i, (text, kind, _) in enumerate(tokens) if kind == 1}
        self.known = {}

    def piece(self, text):
        symbols = list(text)
        while True:
            best = None
            for i in range(len(symbols) - 1):
                found = self.number.get(symbols[i] + symbols[i + 1])
                if found is not None and (best is None or self.tokens[found][2] > best[0]):
                    best = (self.tokens[found][2], i)
            if best is None:
                break
            symbols[best[1]:best[1] + 2] = [symbols[best[1]] + symbols[best[1] + 1]]
        out = []
        for symbol in symbols:
            found = self.number.get(symbol)
            out += [found] if found is not None else [BYTES + b for b in symbol.encode()]
        return out

    def encode(self, text):
        out = []
        for piece in re.findall(r"\u2581?[^\u2581]+|\u2581", text.replace(" ", SPACE)):
            if piece not in self.known:
                self.known[piece] = self.piece(piece)
            out += self.known[piece]
        return out

    def decode(self, tokens):
        return "".join(self.tokens[t][0] for t in tokens if self.tokens[t][1] == 1).replace(SPACE, " ")


if __name__ == "__main__":
    print(len(build()), "tokens")
