#!/usr/bin/env python3
"""Writes guest/llm/explain/tests/data/situations.txt: what guest/llm/explain must make of situations, questions and answers.

    o BUSY RUN MAX LIMIT OVER INPUT         figures as situation.py has them
    c WRITER READER TOP CAPACITY DROPS HITS
    s BUDGET PERIOD JOBS OVER MISSES THROTTLES WORST
    a, n, l ...                             audit, NPU, LLM
    f TEXT                                  the prompt up to the question, but for its first blank
    q TEXT                                  a question as a person asks it: operators are called op-1 ..., servers task.1 ...
    p TEXT                                  as the prompt has it
    r TEXT                                  the answer that is right

usage: vectors.py OUTPUT
"""

import dataclasses
import random
import re
import sys

import questions
import situation

COUNT = 14


def asked(question):
    """(the question with names, as the prompt has it)."""
    shown = re.sub(r"(?<!channel )\b(c\d)", r"channel \1", question)
    named = re.sub(r"\bo(\d)\b", r"OP-\1", shown)
    named = re.sub(r"\bs(\d)\b", r"task.\1", named)
    named = re.sub(r"channel c(\d)\b", r"channel 10\1", named)
    return named[0].upper() + named[1:] + "?", shown


def lines_of(s):
    for letter, items in (("o", s.operators), ("c", s.channels), ("s", s.servers)):
        for item in items:
            yield " ".join([letter] + [str(int(v)) for v in dataclasses.astuple(item)])
    for letter, values in (("a", s.audit), ("n", s.npu), ("l", s.llm)):
        if values:
            yield " ".join([letter] + [str(v) for v in values])
    yield "f" + situation.context(s)


def main():
    chance = random.Random("vectors")
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("# Written by tools/train/vectors.py, not by hand.\n")
        for _ in range(COUNT):
            drawn = situation.draw(chance)
            out.write("".join(line + "\n" for line in lines_of(drawn)))
            for kind in questions.KINDS:
                made = questions.ask(chance, drawn, kind)
                if made is not None:
                    named, shown = asked(made[0])
                    out.write(f"q {named}\np {shown}\nr {made[1]}\n")


if __name__ == "__main__":
    main()
