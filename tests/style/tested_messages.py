#!/usr/bin/env python3
"""Checks that each message of an error that a command can be refused with stands in a test.

In the folders of SOURCES, the texts in calls of refuse(), fail() and the like are messages. Of each, the longest piece
between placeholders must be in the text of a test, as it would be printed.

usage: tested_messages.py ROOT        exit 1 and one line for each message without a test
"""

import pathlib
import re
import sys

SOURCES = ("guest/control/src", "guest/graph/src", "guest/graph/run/src", "guest/graph/operators/src",
           "guest/gguf/src", "guest/llm/constraint/src", "guest/llm/model/src", "guest/llm/package/src", "guest/llm/sampler/src", "guest/llm/tokenizer/src",
           "guest/ml/src", "guest/shell/src", "guest/tasks/src", "tools")
TESTS = ("guest/**/tests/*.?pp", "tools/**/tests/*.?pp", "vmm/**/tests/*.?pp", "tests/**/*.py")
CALL = re.compile(r"\b(?:refuse|fail|send_error|bad_frame|notice)\s*\(|\b(?:refuse|fail)_\w+\(")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def joined(text):
    """Without comments; texts that stand one after the other are one."""
    text = re.sub(r"(?m)^\s*(//|#).*$", "", text)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def arguments_of(text, start):
    """The text of a call's arguments, which begin at `start`."""
    depth, at = 1, start
    while depth and at < len(text):
        if text[at] == '"':
            at = LITERAL.match(text, at).end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[start:at - 1]


def messages(text):
    for call in CALL.finditer(text):
        for literal in LITERAL.findall(arguments_of(text, call.end())):
            if " " in literal:  # one word is a code or the name of an argument
                yield literal


def piece(message):
    """The longest part of a message that does not depend on values."""
    return max((part.strip() for part in PLACEHOLDER.split(message)), key=len)


def main():
    root = pathlib.Path(sys.argv[1])
    tests = "\n".join(joined(path.read_text()) for pattern in TESTS for path in sorted(root.glob(pattern)))
    found = problems = 0
    for folder in SOURCES:
        for path in sorted((root / folder).glob("*.cpp")):
            for message in messages(joined(path.read_text())):
                found += 1
                if piece(message) not in tests:
                    print(f"{path.relative_to(root)}: no test has the message \"{message}\"")
                    problems += 1
    print(f"tested_messages: {found} messages, {problems} without a test")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
