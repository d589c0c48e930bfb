#!/usr/bin/env python3
"""Checks that every module includes only headers of modules that it declares as dependencies, and that there is no cycle.

Reads sis_module(), sis_test() and sis_fuzzer() calls in the CMakeLists.txt files. A module's public headers lie in
<folder>/include/<folder>/, so an include "vmm/base/x.hpp" belongs to the module of the folder vmm/base.

usage: module_deps.py ROOT        exit 1 and one line for each violation
"""

import pathlib
import re
import sys

CALL = re.compile(r"\b(sis_module|sis_test|sis_fuzzer)\s*\(([^)]*)\)", re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
KEYWORDS = {"SOURCES", "DEPENDS", "PRIVATE_DEPENDS", "CORPUS"}


def parse_call(text):
    """Splits the words of a call: the name, and the words after each keyword."""
    words = re.sub(r"#.*", "", text).split()
    fields = {keyword: [] for keyword in KEYWORDS}
    current = None
    for word in words[1:]:
        if word in KEYWORDS:
            current = word
        elif current:
            fields[current].append(word)
    return words[0], fields


def load(root):
    """All targets: name -> (kind, folder, sources, public dependencies, private dependencies)."""
    targets = {}
    for path in sorted(root.glob("**/CMakeLists.txt")):
        if "build" in path.relative_to(root).parts:
            continue
        for match in CALL.finditer(path.read_text()):
            name, fields = parse_call(match.group(2))
            targets[name] = (match.group(1), path.parent, fields["SOURCES"], fields["DEPENDS"], fields["PRIVATE_DEPENDS"])
    return targets


def reachable(targets, name):
    """The targets whose headers `name` may include: its own dependencies and what those pass on."""
    seen = set()
    queue = list(targets[name][3]) + list(targets[name][4])
    while queue:
        dependency = queue.pop()
        if dependency in seen or dependency not in targets:
            continue
        seen.add(dependency)
        queue += targets[dependency][3]
    return seen


def files_of(target):
    """A target's sources, its public headers, and the private headers that those include."""
    kind, folder, sources, _, _ = target
    found = [folder / source for source in sources if "$" not in source and (folder / source).is_file()]
    if kind == "sis_module":
        found += sorted((folder / "include").glob("**/*.hpp"))
    queue = list(found)
    while queue:
        path = queue.pop()
        for include in INCLUDE.findall(path.read_text()):
            header = path.parent / include
            if header.is_file() and header not in found:
                found.append(header)
                queue.append(header)
    return found


def cycles(targets):
    """Names on a dependency cycle."""
    state = {}

    def visit(name, path):
        if state.get(name) == "done" or name not in targets:
            return []
        if name in path:
            return [" -> ".join(path[path.index(name):] + [name])]
        found = []
        for dependency in targets[name][3] + targets[name][4]:
            found += visit(dependency, path + [name])
        state[name] = "done"
        return found

    return [cycle for name in targets for cycle in visit(name, [])]


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    targets = load(root)
    owner = {}
    for name, (kind, folder, _, _, _) in targets.items():
        if kind == "sis_module":
            for header in (folder / "include").glob("**/*.hpp"):
                owner[str(header.relative_to(folder / "include"))] = name
    problems = ["dependency cycle: " + cycle for cycle in cycles(targets)]
    for name, target in targets.items():
        allowed = reachable(targets, name) | {name}
        for path in files_of(target):
            for include in INCLUDE.findall(path.read_text()):
                if include in owner and owner[include] not in allowed:
                    problems.append(f"{path.relative_to(root)}: includes {include} of {owner[include]}, "
                                    f"which {name} does not declare as a dependency")
    for problem in problems:
        print(problem)
    print(f"module_deps: {len(targets)} targets, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
