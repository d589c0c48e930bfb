"""The choices that guest_llm_sampler_test expects are those of the reference."""

import pathlib
import unittest

import choice_reference

CHOICES = pathlib.Path(__file__).resolve().parents[2] / "guest" / "llm" / "sampler" / "tests" / "data" / "choices.txt"


class Choices(unittest.TestCase):
    def test_the_kernels_expectations_are_the_references(self):
        self.assertEqual(choice_reference.lines(), CHOICES.read_text().splitlines())


if __name__ == "__main__":
    unittest.main()
