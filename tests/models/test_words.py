"""The words that guest_llm_tokenizer_test expects are those of the reference."""

import pathlib
import unittest

import word_reference

WORDS = pathlib.Path(__file__).resolve().parents[2] / "guest" / "llm" / "tokenizer" / "tests" / "data" / "words.txt"


class Words(unittest.TestCase):
    def test_the_kernels_expectations_are_the_references(self):
        self.assertEqual(list(word_reference.lines()), WORDS.read_text().splitlines())

    def test_examples_of_the_publications(self):
        self.assertEqual(list(word_reference.words("gpt-2", "Hello world's  end")), ["Hello", " world", "'s", " ", " end"])
        self.assertEqual(list(word_reference.words("llama-bpe", "12345 (a)\n\n b")),
                         ["123", "45", " (", "a", ")\n\n", " b"])


if __name__ == "__main__":
    unittest.main()
