"""Words of texts, as the pre-tokenizers of byte pairs find them: the published expressions, run by Python's `re` over
the characters' classes, since `re` has none of Unicode's.

usage: word_reference.py > guest/llm/tokenizer/tests/data/words.txt
"""

import random
import re
import unicodedata

SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}
CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
# One letter for each class: L letters, N numbers, S spaces, B the blank, R line ends, O others; contractions are looked
# for in the text itself.
EXPRESSIONS = {
    "gpt-2": (CONTRACTIONS, "B?L+|B?N+|B?O+|[SBR]+(?![^SBR])|[SBR]+"),
    "llama-bpe": (f"(?i:{CONTRACTIONS})", "[SBO]?L+|N{1,3}|B?O+R*|[SBR]*R+|[SBR]+(?![^SBR])|[SBR]+"),
}
ALPHABET = list("abZs'tTrReEvVmMlLdD 123  \t\n\r\n!?.,-_()") + ["\xe4", "\u03a9", "\u4e2d", "\u0661", "\xb2", "\u2167",
                                                            "\xa0", "\u2003", "\u20ac", "\U0001f600", "\u0301"]


def class_of(char):
    if char in "\r\n":
        return "R"
    if char in SPACES:
        return "B" if char == " " else "S"
    category = unicodedata.category(char)[0]
    return category if category in "LN" else "O"


def words(kind, text):
    first, rest = map(re.compile, EXPRESSIONS[kind])
    classes = "".join(map(class_of, text))
    at = 0
    while at < len(text):
        end = (first.match(text, at) or rest.match(classes, at)).end()
        yield text[at:end]
        at = end


def texts():
    yield "Hello, world! It's 12345 o'clock; WE'LL see.\n\n  Next   line\t\tend  "
    yield "\u00dcber 100\u20ac f\u00fcr \u4e2d\u6587 \U0001f600\U0001f600 a\u0301"
    source = random.Random(5)
    for _ in range(120):
        yield "".join(source.choices(ALPHABET, k=source.randint(1, 24)))


def lines():
    for text in texts():
        for kind in EXPRESSIONS:
            sizes = " ".join(str(len(word.encode())) for word in words(kind, text))
            yield f"{kind} {text.encode().hex()} {sizes}"


if __name__ == "__main__":
    print("\n".join(lines()))
