"""Small language models for tests: the stories of ../shared/models where they are there, or random numbers."""

import os
import pathlib
import random
import shutil
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools" / "models"))
import gguf  # noqa: E402

MODELS = pathlib.Path(os.environ.get("SIS_SHARED_MODELS", harness.ROOT.parent / "shared" / "models"))


def random_model(kind, embedding=64, feed_forward=96, layers=2):
    """A file that knows bytes alone: token 3 + N is the byte N."""
    heads, key_heads, context = 4, 2, 128
    numbers = random.Random(1)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)] + ["\u2581"]
    file = gguf.Writer()
    file.put("general.architecture", "llama")
    for key, value in {"context_length": context, "embedding_length": embedding, "feed_forward_length": feed_forward,
                       "block_count": layers, "attention.head_count": heads, "attention.head_count_kv": key_heads,
                       "attention.layer_norm_rms_epsilon": 1e-5}.items():
        file.put(f"llama.{key}", value)
    file.put("tokenizer.ggml.model", "llama")
    file.put_array("tokenizer.ggml.tokens", tokens, gguf.Kind.STRING)
    file.put_array("tokenizer.ggml.scores", [0.0] * len(tokens), gguf.Kind.F32)
    file.put_array("tokenizer.ggml.token_type", [2, 3, 3] + [6] * 256 + [1], gguf.Kind.I32)
    file.put("tokenizer.ggml.bos_token_id", 1)
    file.put("tokenizer.ggml.eos_token_id", 2)

    def put_tensor(name, rows, columns):
        file.put_tensor(name, [columns, rows], kind, [numbers.gauss(0, 0.2) for _ in range(rows * columns)])

    def put_norm(name):
        file.put_tensor(name, [embedding], gguf.Type.F32, [1.0] * embedding)

    put_tensor("token_embd.weight", len(tokens), embedding)
    put_norm("output_norm.weight")
    keys = embedding // heads * key_heads
    for layer in range(layers):
        put_norm(f"blk.{layer}.attn_norm.weight")
        put_norm(f"blk.{layer}.ffn_norm.weight")
        for name, rows, columns in (("attn_q", embedding, embedding), ("attn_k", keys, embedding),
                                    ("attn_v", keys, embedding), ("attn_output", embedding, embedding),
                                    ("ffn_gate", feed_forward, embedding), ("ffn_up", feed_forward, embedding),
                                    ("ffn_down", embedding, feed_forward)):
            put_tensor(f"blk.{layer}.{name}.weight", rows, columns)
    return file


def put(path, stories, kind="q8_0"):
    """Makes `path` a model; with `stories` one that tells them, if there is one. Returns whether it does."""
    story = MODELS / f"stories260K.{kind}.gguf"
    if stories and story.exists():
        shutil.copyfile(story, path)
        path.chmod(0o644)
        return True
    random_model(gguf.Type[kind.upper()]).save(path)
    return False
