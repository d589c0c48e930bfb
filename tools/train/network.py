"""The transformer of sis-explain, as guest/llm/model runs it (docs/models.md, Models), and its file.

RMSNorm, rotated pairs (2i, 2i + 1), SwiGLU, the output's weights are the embedding's.
"""

import math
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import gguf  # noqa: E402

EMBEDDING, FEED_FORWARD, LAYERS, HEADS, CONTEXT = 128, 256, 4, 4, 512
EPSILON = 1e-5
ROPE_BASE = 10_000.0
MATRICES = {"attn_q": (EMBEDDING, EMBEDDING), "attn_k": (EMBEDDING, EMBEDDING), "attn_v": (EMBEDDING, EMBEDDING),
            "attn_output": (EMBEDDING, EMBEDDING), "ffn_gate": (FEED_FORWARD, EMBEDDING), "ffn_up": (FEED_FORWARD, EMBEDDING),
            "ffn_down": (EMBEDDING, FEED_FORWARD)}  # [rows, elements of a row]


def normed(x, weight):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * weight


def rotation(positions):
    """cos and sin of each position's angles, [batch, 1, positions, elements of a head / 2]."""
    half = EMBEDDING // HEADS // 2
    angles = positions[:, None, :, None].float() * ROPE_BASE ** (-torch.arange(half) / half)
    return angles.cos(), angles.sin()


def rotated(x, turn):
    a, b = x[..., 0::2].float(), x[..., 1::2].float()
    cos, sin = turn
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class Network(nn.Module):
    """@param features  [tokens, features]: what tokens have in common, for training (initial.py)"""

    def __init__(self, embedding, features=None):
        super().__init__()
        self.embedding = nn.Parameter(embedding)
        self.features = features
        self.common = None if features is None else nn.Parameter(torch.zeros(features.shape[1], EMBEDDING))
        self.output_norm = nn.Parameter(torch.ones(EMBEDDING))
        self.layers = nn.ModuleList()
        for _ in range(LAYERS):
            layer = nn.ParameterDict({"attn_norm": nn.Parameter(torch.ones(EMBEDDING)), "ffn_norm": nn.Parameter(torch.ones(EMBEDDING))})
            for name, (rows, columns) in MATRICES.items():
                out = name in ("attn_output", "ffn_down")
                layer[name] = nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns) * (0.1 if out else 1))
            self.layers.append(layer)

    def table(self):
        """The embeddings of all tokens."""
        if self.features is None:
            return self.embedding
        with torch.autocast("cpu", enabled=False):
            return self.embedding + self.features @ self.common

    def attended(self, layer, x, batch):
        h = normed(x, layer["attn_norm"])
        q, k, v = (functional.linear(h, layer[n]).view(*x.shape[:2], HEADS, -1).transpose(1, 2) for n in ("attn_q", "attn_k", "attn_v"))
        q = rotated(q * (EMBEDDING // HEADS) ** -0.5, batch.turn).to(v.dtype)
        k = rotated(k, batch.turn).to(v.dtype)
        size = batch.context
        ck, cv = k[:, :, :size], v[:, :, :size]
        context = torch.softmax(q[:, :, :size] @ ck.transpose(-1, -2) + batch.hidden_context, -1).to(v.dtype) @ cv
        # What follows the context, question by question, each of which sees the context and itself.
        q, k, v = (t[:, :, size:].unflatten(2, (batch.asked, -1)) for t in (q, k, v))
        far = q.flatten(2, 3) @ ck.transpose(-1, -2)
        scores = torch.cat((far.unflatten(2, (batch.asked, -1)), q @ k.transpose(-1, -2)), -1) + batch.hidden_asked
        weights = torch.softmax(scores, -1).to(v.dtype)
        far = weights[..., :size].flatten(2, 3) @ cv
        asked = far + (weights[..., size:] @ v).flatten(2, 3)
        return functional.linear(torch.cat((context, asked), 2).transpose(1, 2).flatten(2), layer["attn_output"])

    def forward(self, batch):
        """Logits after the places of a Batch that want some."""
        table = self.table()
        x = functional.embedding(batch.tokens, table)
        for layer in self.layers:
            x = x + self.attended(layer, x, batch)
            h = normed(x, layer["ffn_norm"])
            gate, up = functional.linear(h, layer["ffn_gate"]), functional.linear(h, layer["ffn_up"])
            x = x + functional.linear(functional.silu(gate) * up, layer["ffn_down"])
        return functional.linear(normed(x[batch.wanted], self.output_norm), table)


def save(network, tokens, path, kind=gguf.Type.Q8_0):
    """Writes the model file."""
    file = gguf.Writer()
    file.put("general.architecture", "llama")
    file.put("general.name", "sis-explain")
    for key, value in {"context_length": CONTEXT, "embedding_length": EMBEDDING, "feed_forward_length": FEED_FORWARD,
                       "block_count": LAYERS, "attention.head_count": HEADS, "vocab_size": len(tokens)}.items():
        file.put(f"llama.{key}", value)
    file.put("llama.attention.layer_norm_rms_epsilon", EPSILON)
    file.put("llama.rope.freq_base", ROPE_BASE)
    file.put("tokenizer.ggml.model", "llama")
    file.put_array("tokenizer.ggml.tokens", [t for t, _, _ in tokens], gguf.Kind.STRING)
    file.put_array("tokenizer.ggml.scores", [s for _, _, s in tokens], gguf.Kind.F32)
    file.put_array("tokenizer.ggml.token_type", [k for _, k, _ in tokens], gguf.Kind.I32)
    for key, value in {"bos": 1, "eos": 2, "unknown": 0}.items():
        file.put(f"tokenizer.ggml.{key}_token_id", value)
    file.put("tokenizer.ggml.add_bos_token", True)
    file.put("tokenizer.ggml.add_space_prefix", False)
    put = lambda name, p, k: file.put_tensor(name, list(reversed(p.shape)), k, p.detach().float().flatten().tolist())
    put("token_embd.weight", network.table(), kind)
    put("output_norm.weight", network.output_norm, gguf.Type.F32)
    for number, layer in enumerate(network.layers):
        for name in ("attn_norm", "ffn_norm"):
            put(f"blk.{number}.{name}.weight", layer[name], gguf.Type.F32)
        for name in MATRICES:
            put(f"blk.{number}.{name}.weight", layer[name], kind)
    file.save(path)


def load(path):
    """(the network, its tokens) of a model file: its weights as they are after quantisation."""
    file = gguf.read(pathlib.Path(path).read_bytes())
    tokens = list(zip(*(file.keys[f"tokenizer.ggml.{k}"] for k in ("tokens", "token_type", "scores"))))
    values = lambda name, shape: torch.tensor(list(file.tensors[name].values())).view(shape)
    network = Network(values("token_embd.weight", (len(tokens), EMBEDDING)))
    with torch.no_grad():
        network.output_norm.copy_(values("output_norm.weight", (EMBEDDING,)))
        for number, layer in enumerate(network.layers):
            for name, parameter in layer.items():
                parameter.copy_(values(f"blk.{number}.{name}.weight", parameter.shape))
    return network, tokens
