"""sis-model as a program: a package from keygen to verify, its completion, and its manual page."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "models"))

import gguf  # noqa: E402
from gguf import Kind, Type  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("SIS_BUILD", ROOT / "build/host-debug")) / "tools/model/sis-model"
COMPLETION = ROOT / "tools/completion"
PAGE = ROOT / "docs/man/sis-model.1"
COMMANDS = {"keygen", "hash", "sign", "verify", "inspect"}
DRIVER = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_sis_model
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "${COMPREPLY[@]}"
"""


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60, check=False, **options)


def options(*words):
    """The long options that `sis-model [COMMAND] --help` lists."""
    return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", run(PROGRAM, *words, "--help").stdout, re.MULTILINE))


def tiny_model():
    writer = gguf.Writer()
    writer.put("general.architecture", "llama")
    writer.put("llama.context_length", 16, Kind.U32)
    writer.put_array("tokenizer.ggml.tokens", ["<unk>", "a", "b"], Kind.STRING)
    writer.put_tensor("token_embd.weight", [32, 3], Type.Q8_0, [0.5] * 96)
    return writer.bytes()


class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "tiny.gguf").write_bytes(tiny_model())

    def model(self, *words, code=0):
        done = run(PROGRAM, *words, cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_a_package_from_its_key_to_its_check(self):
        self.model("keygen", "ours")
        self.assertEqual(stat.S_IMODE((self.folder / "ours.key").stat().st_mode), 0o600)
        sign = ("sign", "tiny.gguf", "--key", "ours.key", "--wcet-cycles", "1200", "--revision")
        self.model(*sign, "2")
        answer = json.loads(self.model("--json", "verify", "tiny.gguf", "--public-key", "@ours.pub").stdout)
        self.assertEqual((answer["manifest"]["revision"], answer["manifest"]["quantisation"]), (2, "Q8_0"))
        refused = self.model("verify", "tiny.gguf", "--public-key", "@ours.pub", "--min-revision", "3", code=1)
        self.assertIn("package-replayed", refused.stderr)
        self.assertIn("--force", self.model(*sign, "3", code=2).stderr)
        self.model(*sign, "3", "--force")
        (self.folder / "tiny.gguf").write_bytes(tiny_model()[:-1])
        self.assertIn("package-model-truncated", self.model("verify", "tiny.gguf", "--public-key", "@ours.pub",
                                                            code=1).stderr)
        self.assertIn("a manifest", self.model("inspect", "tiny.sig").stdout)

    def test_the_hash_is_what_others_say(self):
        self.assertEqual(self.model("hash", "tiny.gguf").stdout, run("sha256sum", "tiny.gguf", cwd=self.folder).stdout)

    def test_a_full_disk_is_told(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([PROGRAM, "hash", "tiny.gguf"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  cwd=self.folder, check=False)
        self.assertEqual((done.returncode, done.stderr), (7, "sis-model: cannot write to the standard output\n"))

    @unittest.skipUnless(shutil.which("bash"), "there is no bash here")
    def test_bash_completes_what_the_program_has(self):
        def complete(*words):
            done = run("bash", "--norc", "-c", DRIVER, "bash", COMPLETION / "sis-model.bash", PROGRAM, *words,
                       cwd=self.folder)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return done.stdout.splitlines()

        offered = complete("")
        self.assertEqual({word for word in offered if not word.startswith("-")}, COMMANDS)
        self.assertEqual({word for word in offered if word.startswith("--")}, options())
        for command in COMMANDS:
            offered = {word for word in complete(command, "-") if word.startswith("--")}
            self.assertEqual(offered, options() - {"--version"} | options(command), command)
        self.assertEqual(complete("--json", "si"), ["sign"])
        self.assertEqual(complete("inspect", "ti"), ["tiny.gguf"])
        self.assertEqual(complete("verify", "tiny.gguf", "--public-key", "@ti"), ["@tiny.gguf"])
        self.assertEqual(complete("sign", "tiny.gguf", "--revision", ""), [])


class Texts(unittest.TestCase):
    def test_the_commands_are_those_of_the_program(self):
        self.assertEqual(set(re.search(r"allowed: (.*)", run(PROGRAM).stderr)[1].split(", ")), COMMANDS)

    def test_zsh_names_the_same(self):
        text = (COMPLETION / "_sis-model").read_text()
        self.assertEqual(set(re.findall(r"^    '([a-z]+):", text, re.MULTILINE)), COMMANDS)
        for option in options().union(*(options(command) for command in COMMANDS)):
            self.assertIn(option, text)

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh here")
    def test_zsh_reads_it(self):
        done = run("zsh", "-n", COMPLETION / "_sis-model")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_page_names_all_that_the_program_has(self):
        text = PAGE.read_text().replace("\\-", "-")
        for command in COMMANDS:
            self.assertRegex(text, rf'(?m)^\.BI?R? "?{command}\b', command)
        for option in options().union(*(options(command) for command in COMMANDS)):
            self.assertIn(option, text)
        for code in re.findall(r"^  (\d+)  ", run(PROGRAM, "--help").stdout, re.MULTILINE):
            self.assertIn(f"\n.B {code}\n", text)

    @unittest.skipUnless(shutil.which("man"), "there is no man here")
    def test_the_page_is_formatted_without_a_warning(self):
        done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", PAGE,
                   env={**os.environ, "MANROFFSEQ": "", "LC_ALL": "C.UTF-8"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
