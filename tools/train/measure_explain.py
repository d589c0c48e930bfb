#!/usr/bin/env python3
"""Measures sis-explain on situations whose structures it was never trained with (docs/explain.md, Accuracy).

The model is the file's, with its tokens and its weights as they are after quantisation. With PROGRAM the answers are those of the
kernel's own code, run on the host: tokenizer, transformer and the NPU's kernels, which make integers of what goes into a
multiplication, too. Without, those of python3-torch; with --compare both, and where they differ. What is measured are facts:
names, numbers and stances of an answer, in order.

usage: measure_explain.py MODEL [PROGRAM] [--situations N] [--seed N] [--part validation|test]
                          [--words trained|validation|test] [--compare] [--show-wrong N]
   PROGRAM is build/host-release/guest/llm/explain/answer_prompts (ninja -C build/host-release answer_prompts)
"""

import argparse
import difflib
import itertools
import random
import re
import subprocess

import questions
import situation

# What a fact is: a figure's word, a label, a number with its unit, or a word that says which way an answer goes.
FACT = re.compile(r"\b(?:[ocs]\d|audit|npu|llm)\.[a-z]+|\b[ocs]\d\b|(?<![\w.])\d+(?:\.\d+)?(?:us|ms|s|k|M|%)?(?![\w%])|(?<= )-|"
                  r"\b(?:no|not|none|within|over|slower|slowest|bottleneck|saturated|lost|raise|faster|nothing|guessing|npu|llm|figures"
                  r"|runs|deadline|budget|limit)\b")


def facts(answer):
    return FACT.findall(answer)


def right_facts(wanted, given):
    """How many of the wanted ones are there, in order."""
    matcher = difflib.SequenceMatcher(None, wanted, given, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


def draw(options):
    """[(kind, prompt, answer)]: of each held-out situation one question of each kind that it has."""
    chance = random.Random(f"measure {options.seed}")
    made = []
    for _ in range(options.situations):
        drawn = situation.draw_part(chance, options.part)
        cited = questions.Cited(drawn)
        for kind in questions.KINDS:
            asked = questions.ask(chance, drawn, kind, options.words, cited)
            if asked is not None:
                made.append((kind, situation.prompt(drawn, asked[0]), asked[1]))
    return made


def torch_answers(options, asked):
    """Greedy ones, of all that say something else than the right answer at any place."""
    import torch
    import network
    import train_explain
    import vocabulary

    net, tokens = network.load(options.model)
    tokenizer = vocabulary.Tokenizer(tokens)

    def likeliest(figures, asked):
        """Of each (question, what was said) of one situation what is likeliest at each place."""
        batch = train_explain.Batch([([vocabulary.BEGIN] + tokenizer.encode(figures), [("", q, said) for q, said in asked])])
        found = net(batch).argmax(-1).tolist()
        return [[found.pop(0) for _ in said] for _, said in asked]

    made = []
    with torch.no_grad():
        for figures, group in itertools.groupby(asked, key=lambda each: each[1].split(" ? ")[0]):
            pairs = [(tokenizer.encode(prompt[len(figures):]), tokenizer.encode(" " + wanted) + [vocabulary.END])
                     for _, prompt, wanted in group]
            for (question, wanted), said in zip(pairs, likeliest(figures, pairs)):
                # What is likeliest at each place of the right answer is what it says, if that is the right answer.
                if said != wanted:
                    said = []
                    while len(said) < 64 and (not said or said[-1] != vocabulary.END):
                        said.append(likeliest(figures, [(question, said + [vocabulary.END])])[0][-1])
                made.append(tokenizer.decode(said).strip())
    return made


def kernel_answers(options, prompts):
    text = "".join(p + "\n" for p in prompts)
    out = subprocess.run([options.program, options.model], input=text, capture_output=True, text=True, check=True).stdout
    return [line.strip() for line in out.splitlines()]


class Count:
    def __init__(self):
        self.answers = self.right = self.facts = self.right_facts = 0

    def add(self, wanted, given):
        wanted, given = facts(wanted), facts(given)
        self.answers += 1
        self.right += wanted == given
        self.facts += max(len(wanted), len(given))
        self.right_facts += right_facts(wanted, given)

    def row(self, name):
        return (f"| {name} | {self.answers} | {100 * self.right / self.answers:.1f} % | "
                f"{100 * self.right_facts / self.facts:.1f} % of {self.facts} |")


def parse():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("model")
    parser.add_argument("program", nargs="?")
    parser.add_argument("--situations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--words", choices=("trained", "validation", "test"), default="trained")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--show-wrong", type=int, default=0)
    return parser.parse_args()


def report(asked, given, show_wrong):
    """Prints the table, and so many of the answers that are wrong."""
    counts, total, shown = {kind: Count() for kind in questions.KINDS}, Count(), 0
    for (kind, prompt, wanted), answer in zip(asked, given, strict=True):
        counts[kind].add(wanted, answer)
        total.add(wanted, answer)
        if facts(wanted) != facts(answer) and shown < show_wrong:
            shown += 1
            print(f"{prompt}\n  wanted: {wanted}\n  given:  {answer}\n")
    print("| question | answers | all facts right | facts right |\n|---|---|---|---|")
    for kind, count in counts.items():
        print(count.row(kind))
    print(total.row("all"))


def compare(asked, ours, theirs, show):
    """Says how often two engines answer the same, and of how many of the others which one is right."""
    other = [each for each in zip(asked, ours, theirs, strict=True) if each[1] != each[2]]
    right = [sum(facts(wanted) == facts(each[i]) for (_, _, wanted), *each in other) for i in (0, 1)]
    print(f"{len(asked) - len(other)} of {len(asked)} answers are the same; of the others the kernel's are right {right[0]} times, "
          f"python3-torch's {right[1]} times")
    for (_, prompt, wanted), our, their in other[:show]:
        print(f"{prompt}\n  wanted: {wanted}\n  kernel: {our}\n  torch:  {their}\n")


def main():
    options = parse()
    asked = draw(options)
    given = kernel_answers(options, [prompt for _, prompt, _ in asked]) if options.program else torch_answers(options, asked)
    report(asked, given, options.show_wrong)
    if options.program and options.compare:
        compare(asked, given, torch_answers(options, asked), options.show_wrong)


if __name__ == "__main__":
    main()
