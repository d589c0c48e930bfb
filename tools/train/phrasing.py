"""Questions from patterns (wordings.py), and as hasty people write them."""

import re

import wordings

CHOICE = re.compile(r"\(([^()]*)\)")
LABEL = re.compile(r"[ocs]\d")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BEFORE = ("please", "can you tell me", "tell me", "do you know", "i want to know", "hey", "ok", "and", "so", "now", "well",
          "say", "could you say", "i wonder", "hello", "but", "then")
BEHIND = ("please", "now", "right now", "today", "at the moment", "here", "thanks", "then", "exactly", "again", "and why", "in my graph")
SMALL_WORDS = frozenset("a an the is are was were did does do its of to our my any".split())
HELD_OUT = frozenset(w for kinds in (wordings.VALIDATION, wordings.TEST) for texts in kinds.values() for w in texts)


def expanded(chance, pattern):
    """One of the texts that a pattern stands for."""
    while (found := CHOICE.search(pattern)) is not None:
        pattern = pattern[:found.start()] + chance.choice(found[1].split("|")) + pattern[found.end():]
    return " ".join(pattern.split())


def drawn(chance, kind, words):
    """A question of this kind, with {} for labels. @param words  trained, validation or test: of which wordings"""
    if words != "trained":
        return chance.choice({"validation": wordings.VALIDATION, "test": wordings.TEST}[words][kind])
    while True:
        text = expanded(chance, chance.choice(wordings.TRAINED[kind]))
        if text not in HELD_OUT:
            return text


def mistyped(chance, word):
    """With two letters swapped, one left out, doubled or another one."""
    at = chance.randrange(len(word) - 1)
    return chance.choice((word[:at] + word[at + 1] + word[at] + word[at + 2:], word[:at] + word[at + 1:], word[:at] + word[at] + word[at:],
                          word[:at] + chance.choice(LETTERS) + word[at + 1:]))


def disturbed(chance, question):
    """With words around it, small ones left out, or one mistyped. Still not one of the held-out wordings."""
    words = question.split()
    if chance.random() < 0.12:
        words = [w for w in words if w not in SMALL_WORDS or chance.random() < 0.5] or words
    if chance.random() < 0.08:
        at = chance.randrange(len(words))
        if len(words[at]) > 3:
            words[at] = mistyped(chance, words[at])
    if chance.random() < 0.15:
        words.insert(0, chance.choice(BEFORE))
    if chance.random() < 0.1:
        words.append(chance.choice(BEHIND))
    if chance.random() < 0.04:
        words.insert(chance.randrange(len(words) + 1), "".join(chance.choice(LETTERS) for _ in range(chance.randint(3, 7))))
    made = " ".join(words)
    return question if LABEL.sub("{}", made) in HELD_OUT else made
