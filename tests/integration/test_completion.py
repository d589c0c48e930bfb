"""The shells' completion of sisctl, and its manual page: both name what the program has."""

import json
import os
import re
import shutil
import subprocess
import unittest

import harness
from test_terminal import Terminal

COMPLETION = harness.ROOT / "tools/completion"
PAGE = harness.ROOT / "docs/man/sisctl.1"
# What bash has set when it calls the function: the words, and which of them is completed.
DRIVER = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_sisctl
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""


def commands():
    """Those that sisctl knows: it lists them when one is missing."""
    return set(re.search(r"allowed: (.*)", harness.run(harness.SISCTL).stderr)[1].split(", "))


def options(*words):
    """The long options that `sisctl [COMMAND] --help` lists."""
    text = harness.run(harness.SISCTL, *words, "--help").stdout
    return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.MULTILINE))


@unittest.skipUnless(shutil.which("bash"), "there is no bash here")
class Bash(harness.MachineTest):
    def complete(self, *words, **extra):
        done = harness.run("bash", "--norc", "-c", DRIVER, "bash", COMPLETION / "sisctl.bash", harness.SISCTL, *words,
                           env=harness.environment(**extra), cwd=self.folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_commands_and_options_are_those_of_the_program(self):
        offered = self.complete("")
        self.assertEqual({word for word in offered if not word.startswith("-")}, commands())
        self.assertEqual({word for word in offered if word.startswith("--")}, options())
        self.assertEqual(self.complete("sn"), ["snapshot"])
        self.assertEqual(self.complete("--json", "--timeout", "5", "sh"), ["shell", "shutdown"])
        for command in ("ping", "shutdown", "call", "batch", "metrics"):
            offered = {word for word in self.complete(command, "-") if word.startswith("--")}
            self.assertEqual(offered, options() - {"--version"} | options(command), command)

    def test_values_of_options(self):
        (self.folder / "some.key").touch()
        (self.folder / "saved").mkdir()
        self.assertEqual(self.complete("--key", "so"), ["some.key"])
        self.assertEqual(self.complete("--timeout", ""), [])
        self.assertEqual(self.complete("ping", "-n", ""), [])
        self.assertEqual(self.complete("snapshot", "s"), ["saved"])
        self.assertEqual(self.complete("graph", "import", "some"), ["some.key"])
        self.assertEqual(self.complete("graph", "export", "g", "--d"), ["--dot"])
        self.assertEqual(self.complete("llm", "load-pkg", "some"), ["some.key"])
        self.assertEqual(self.complete("llm", "load-pkg", "--m"), ["--manifest"])
        self.assertEqual(self.complete("det", "re"), ["reset", "remove"])
        self.assertEqual(self.complete("det", "admit", "re"), [])
        self.assertEqual(self.complete("shell", "--js"), [])

    def test_machines_by_their_names(self):
        machine = self.machine().wait_ready()
        self.assertIn(machine.name, self.complete("--machine", ""))
        self.assertEqual(self.complete("-m", machine.name[:-1]), [machine.name])
        self.assertEqual(self.complete("--machine", "=", machine.name), [machine.name])
        # Machines of other tests come and go meanwhile.
        self.assertIn(machine.name, self.complete("--machine", "="))
        self.assertEqual(self.complete("ping", "-m", machine.name), [machine.name])
        self.assertEqual(self.complete("-m", "", XDG_RUNTIME_DIR=str(self.folder)), [])
        # Behind it a command comes.
        self.assertEqual(self.complete("-m", machine.name, "pin"), ["ping"])
        self.assertEqual(self.complete("--machine", "=", machine.name, "pin"), ["ping"])

        listed = json.loads(machine.ctl("--json", "call", "help").stdout)["commands"]
        actions = {each["name"].split()[1] for each in listed if each["name"].startswith("graph ")}
        offered = {word for word in self.complete("graph", "") if not word.startswith("-")}
        self.assertEqual(offered, actions | {"export", "import"})
        zsh = [set(actions.split()) for actions in
               re.findall(r"actions=\(([^)]*)\)", (COMPLETION / "_sisctl").read_text())]
        self.assertIn(offered, zsh)
        watched = {each["name"].split()[1] for each in listed if each["name"].startswith("watch ")}
        self.assertEqual({word for word in self.complete("watch", "") if not word.startswith("-")}, watched)
        self.assertIn(watched, zsh)
        self.assertIn("--count", self.complete("watch", "log", "--"))
        npu = {each["name"].split()[1] for each in listed if each["name"].startswith("npu ")}
        self.assertEqual({word for word in self.complete("npu", "") if not word.startswith("-")}, npu)
        self.assertIn(npu, zsh)
        self.assertEqual(self.complete("npu", "power", "g"), ["gated"])
        llm = {word for word in self.complete("llm", "") if not word.startswith("-")}
        told = re.search(r"allowed: (.*)", harness.run(harness.SISCTL, "llm").stderr)[1]
        self.assertEqual(llm, set(told.split()))
        self.assertIn(llm, zsh)
        for action in llm - {"load-pkg"}:
            command = ("llmctl " if f"llmctl {action}" in {each["name"] for each in listed} else "llm") + action
            told = json.loads(machine.ctl("--json", "call", "help", "--args", json.dumps({"command": command})).stdout)
            offered = {word for word in self.complete("llm", action, "--") if word not in ("--stream", "--json")}
            self.assertEqual(offered, {"--" + each["name"].replace("_", "-") for each in told.get("arguments", [])}, action)
        for command in ("ask", "audit"):
            told = json.loads(machine.ctl("--json", "call", "help", "--args", json.dumps({"command": command})).stdout)
            offered = {word for word in self.complete(command, "--") if word != "--help"}
            self.assertEqual(offered, {"--" + each["name"] for each in told["arguments"]} - {"--question"}, command)


@unittest.skipUnless(shutil.which("zsh"), "there is no zsh here")
class Zsh(harness.MachineTest):
    """A zsh at a terminal: what Tab makes of a line."""

    def setUp(self):
        super().setUp()
        path = f"{harness.SISCTL.parent}:{os.environ['PATH']}"
        self.zsh = Terminal(["zsh", "-f", "-i"], harness.environment(PATH=path, TERM="xterm", HOME=str(self.folder)),
                            size=(60, 160))
        self.addCleanup(self.zsh.close)
        for line in (f"fpath=({COMPLETION} $fpath); autoload -U compinit; compinit -u -D", "LISTMAX=1000; PS1='%% '",
                     "show() { print -r -- \"<<$BUFFER>>\"; BUFFER= }; zle -N show; bindkey '^Xs' show",
                     f"cd {self.folder}; unsetopt beep; print rea''dy"):
            self.zsh.type(line.encode() + b"\r")
        self.zsh.wait_for(b"ready")

    def complete(self, line):
        """The line behind Tab."""
        self.zsh.forget()
        self.zsh.type(line.encode() + b"\t")
        self.zsh.type(b"\x18s")
        self.zsh.wait_for(b">>")
        return re.search(rb"<<(.*?)>>", self.zsh.output, re.DOTALL)[1].decode()

    def test_tab_completes_commands_options_and_actions(self):
        (self.folder / "requests.txt").touch()
        for typed, completed in (("sisctl sna", "sisctl snapshot "), ("sisctl --js", "sisctl --json "),
                                 ("sisctl --timeout 5 ba", "sisctl --timeout 5 batch "),
                                 ("sisctl batch req", "sisctl batch requests.txt "),
                                 ("sisctl batch --pi", "sisctl batch --pipeline "),
                                 ("sisctl metrics --wa", "sisctl metrics --watch "),
                                 ("sisctl graph exp", "sisctl graph export "),
                                 ("sisctl graph export g --d", "sisctl graph export g --dot "),
                                 ("sisctl llm rel", "sisctl llm release "),
                                 ("sisctl llm graph --ref", "sisctl llm graph --refused "),
                                 ("sisctl llm infer --max-t", "sisctl llm infer --max-tokens "),
                                 ("sisctl llm poll --fr", "sisctl llm poll --from "),
                                 ("sisctl llm load-pkg req", "sisctl llm load-pkg requests.txt "),
                                 ("sisctl ask x --gr", "sisctl ask x --graph "),
                                 ("sisctl audit ver", "sisctl audit verify "),
                                 ("sisctl audit verify req", "sisctl audit verify requests.txt "),
                                 ("sisctl det adm", "sisctl det admit ")):
            self.assertEqual(self.complete(typed), completed)

    def test_tab_lists_all_commands(self):
        self.complete("sisctl ")
        for command in commands():
            self.assertIn(command.encode(), self.zsh.output)


class Texts(unittest.TestCase):
    def test_zsh_names_the_same_commands(self):
        text = (COMPLETION / "_sisctl").read_text()
        self.assertEqual(set(re.findall(r"^    '([a-z_]+):", text, re.MULTILINE)), commands())
        for option in options():
            self.assertIn(option, text)

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh here")
    def test_zsh_reads_it(self):
        done = harness.run("zsh", "-n", COMPLETION / "_sisctl")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_page_names_all_that_the_program_has(self):
        text = PAGE.read_text().replace("\\-", "-")
        for command in commands():
            self.assertRegex(text, rf'(?m)^\.BI?R? "?{command}\b', command)
        for option in options().union(*(options(command) for command in ("ping", "shutdown", "call", "batch", "metrics"))):
            self.assertIn(option, text)
        for code in re.findall(r"^  (\d+)  ", harness.run(harness.SISCTL, "--help").stdout, re.MULTILINE):
            self.assertIn(f"\n.B {code}\n", text)

    @unittest.skipUnless(shutil.which("man"), "there is no man here")
    def test_the_page_is_formatted_without_a_warning(self):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", PAGE], capture_output=True,
                              env={**os.environ, "MANROFFSEQ": "", "LC_ALL": "C.UTF-8"}, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main()
