#!/usr/bin/env python3
"""Holds examples of metrics.json and trace.json against their JSON Schemas with a validator that is not ours.

The unit test writes the examples. Each that is changed in one place is refused, so that the schemas say something.

usage: schema_test.py ROOT UNIT_TEST
"""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

WRONG = {
    "metrics": [
        lambda value: value["final"].update({"Upper": 1}),
        lambda value: value["final"].update({"a": -1}),
        lambda value: value["histograms"]["op_demo_camera"]["buckets"].append([1, 2]),
        lambda value: value["history"]["series"].update({"a": ["1"]}),
        lambda value: value.pop("host"),
        lambda value: value.update({"more": 1}),
    ],
    "trace": [
        lambda value: value["traceEvents"].append({"ph": "X", "pid": 1, "tid": 0, "cat": "scheduler", "name": "n", "ts": 1}),
        lambda value: value["traceEvents"].append({"ph": "b", "pid": 3, "tid": 0, "cat": "npu", "name": "n", "ts": 1}),
        lambda value: value["traceEvents"].append({"ph": "i", "pid": 1, "tid": 0, "cat": "host", "name": "n", "ts": 1, "s": "t"}),
        lambda value: value["traceEvents"].append({"ph": "M", "pid": 7, "name": "process_name", "args": {"name": "n"}}),
        lambda value: value["otherData"]["guest"].pop("lost_by_cpu"),
    ],
}


def main():
    root = pathlib.Path(sys.argv[1])
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        files = {name: pathlib.Path(folder) / f"{name}.json" for name in WRONG}
        environment = {f"SIS_{name.upper()}_EXAMPLE": str(path) for name, path in files.items()}
        subprocess.run([sys.argv[2], "--gtest_brief=1", "--gtest_filter=*.same_*"], check=True,
                       env={**os.environ, **environment})
        for name, path in files.items():
            schema = json.loads((root / f"configs/{name}.schema.json").read_text())
            jsonschema.Draft7Validator.check_schema(schema)
            validator = jsonschema.Draft7Validator(schema)
            example = json.loads(path.read_text())
            problems += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(example)]
            for number, change in enumerate(WRONG[name]):
                wrong = copy.deepcopy(example)
                change(wrong)
                if validator.is_valid(wrong):
                    problems.append(f"{name}: the schema accepts the wrong example {number}")
    for problem in problems:
        print(problem)
    print(f"schema_test: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
