#!/usr/bin/env python3
"""Holds scenarios against configs/scenario.schema.json with a validator that is not ours.

Every scenario in configs/ is valid, and so is every example of docs/scenario.md. Of the bad files of the loader's tests, those
that another YAML parser reads at all are invalid, but for rules that JSON Schema cannot say (BEYOND).

usage: schema_test.py ROOT
"""

import json
import pathlib
import re
import sys

import jsonschema
import yaml

# Rules between values, ranges within texts, limits in bytes, and what is wrong with the YAML rather than with its values.
BEYOND = {
    "accel-not-of-backend", "icount-with-kvm", "step-name-twice", "expect-code-without-error", "expect-result-of-error",
    "expect-message-of-success", "condition-absent-and-more", "condition-min-above-max", "condition-regex",
    "condition-regex-look-ahead", "condition-null-part", "memory-too-small", "memory-too-large", "memory-uneven",
    "memory-overflow", "timeout-zero", "timeout-too-long", "duplicate-key", "duplicate-top-key", "duplicate-args-key",
    "args-octal", "args-hex", "args-underscore", "args-overflow", "args-infinite", "cpus-octal", "cpus-hex", "cpus-float",
    "merge-key", "tagged-value", "test-services-word", "long-key", "unclosed-quote", "yaml-version", "recursive-alias",
    "utf16", "server-references", "task-program-names", "schemas", "graph-channels",
    "graph-operators", "graph-operator-names", "graph-files", "legacy-socket-both", "legacy-socket-neither", "npu-faults",
    "expect-audit-without-log", "expect-trace-not-recorded", "expect-trace-without-trace",
}


def load(text):
    return yaml.safe_load(text)


def main():
    root = pathlib.Path(sys.argv[1])
    schema = json.loads((root / "configs/scenario.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    problems = []
    good = [(path.name, path.read_text()) for path in sorted((root / "configs").glob("*.yaml"))]
    examples = re.findall(r"^```yaml\n(.*?)^```", (root / "docs/scenario.md").read_text(), re.M | re.S)
    good += [(f"docs/scenario.md, example {number}", text) for number, text in enumerate(examples, 1)]
    for name, text in good:
        problems += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(load(text))]
    bad = sorted((root / "vmm/scenario/tests/bad").glob("*.yaml"))
    refused = 0
    for path in bad:
        if path.stem in BEYOND:
            continue
        try:
            value = load(path.read_bytes())
        except (yaml.YAMLError, ValueError):
            continue
        if validator.is_valid(value):
            problems.append(f"{path.name}: the schema accepts what the loader refuses")
        refused += 1
    for problem in problems:
        print(problem)
    print(f"schema_test: {len(good)} valid, {refused} of {len(bad)} bad files refused, {len(problems)} problems")
    return 1 if problems or not good or not refused else 0


if __name__ == "__main__":
    sys.exit(main())
