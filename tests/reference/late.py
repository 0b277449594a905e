"""Makes late.safetensors: a late-interaction re-ranker with random weights and small towers, pictures and texts, and
what PyTorch makes of them.

Run in this folder with torch and safetensors installed: python late.py
"""

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

# As in `towers` of src/rerank/network/tests.rs.
SIZE, STEM, HEAD, HIDDEN, HEADS, INNER, VOCABULARY, TOKENS, EPS = 16, 8, 20, 24, 4, 48, 30, 12, 1e-12
BLOCKS = [  # kernel, stride, expansion, inputs, outputs, residual
    (3, 1, 1, 8, 8, True),
    (5, 2, 3, 8, 12, False),
]
LAYERS, WIDTH, TOKEN_SCALE, SENTENCE_SCALE = 2, 10, 20.0, 7.0

torch.manual_seed(7)
weights = {}


def linear_weights(name, inputs, outputs, kernel=()):
    fan = inputs
    for side in kernel:
        fan *= side
    weights[f"{name}.weight"] = torch.randn(outputs, inputs, *kernel) * 1.5 / fan**0.5
    weights[f"{name}.bias"] = torch.randn(outputs) * 0.1


def norm_weights(name):
    weights[f"{name}.weight"] = 1 + torch.randn(HIDDEN) * 0.1
    weights[f"{name}.bias"] = torch.randn(HIDDEN) * 0.1


def linear(name, x):
    return F.linear(x, weights[f"{name}.weight"].flatten(1), weights[f"{name}.bias"])


def norm(name, x):
    return F.layer_norm(x, (HIDDEN,), weights[f"{name}.weight"], weights[f"{name}.bias"], EPS)


def convolution(name, x, stride, groups=1):
    """Padding as TensorFlow's SAME: for an odd sum the extra row and column go to the bottom and right."""
    weight = weights[f"{name}.weight"]
    kernel, size = weight.shape[-1], x.shape[-1]
    padding = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    before, after = padding // 2, padding - padding // 2
    x = F.pad(x, [before, after, before, after])
    return F.conv2d(x, weight, weights[f"{name}.bias"], stride, groups=groups)


def attention(query, key, value):
    def heads(x):
        return x.unflatten(-1, (HEADS, HIDDEN // HEADS)).transpose(1, 2)

    attended = F.scaled_dot_product_attention(heads(query), heads(key), heads(value))
    return attended.transpose(1, 2).flatten(2)


linear_weights("image.backbone.stem", 3, STEM, (3, 3))
for number, (kernel, stride, expand, inputs, outputs, residual) in enumerate(BLOCKS):
    name = f"image.backbone.blocks.{number}"
    if expand != 1:
        linear_weights(f"{name}.expand", inputs, inputs * expand, (1, 1))
    linear_weights(f"{name}.depthwise", 1, inputs * expand, (kernel, kernel))
    linear_weights(f"{name}.project", inputs * expand, outputs, (1, 1))
linear_weights("image.backbone.head", BLOCKS[-1][4], HEAD, (1, 1))
weights["token_embeddings"] = torch.randn(VOCABULARY, HIDDEN)
weights["output_tokens"] = torch.tensor([1, 2], dtype=torch.int32)
weights["text.positions"] = torch.randn(TOKENS, HIDDEN) * 0.3
weights["text.token_type"] = torch.randn(HIDDEN) * 0.3
norm_weights("text.embedding_norm")
for layer in range(LAYERS):
    name = f"text.layers.{layer}"
    for part in ["query", "key", "value", "attention_output"]:
        linear_weights(f"{name}.{part}", HIDDEN, HIDDEN)
    linear_weights(f"{name}.intermediate", HIDDEN, INNER)
    linear_weights(f"{name}.output", INNER, HIDDEN)
    for part in ["attention_norm", "output_norm"]:
        norm_weights(f"{name}.{part}")
for name, inputs, outputs in [
    ("picture.patch", HEAD, WIDTH),
    ("picture.pool", HEAD, 1),
    ("picture.whole", HEAD, HIDDEN),
    ("text.token", HIDDEN, WIDTH),
    ("text.gate", HIDDEN, 1),
    ("text.whole", HIDDEN, HIDDEN),
]:
    linear_weights(name, inputs, outputs)

pixels = torch.randint(0, 256, (3, SIZE, SIZE, 3), dtype=torch.uint8)
x = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
x = F.relu6(convolution("image.backbone.stem", x, 2))
for number, (_, stride, expand, _, _, residual) in enumerate(BLOCKS):
    name = f"image.backbone.blocks.{number}"
    y = F.relu6(convolution(f"{name}.expand", x, 1)) if expand != 1 else x
    y = F.relu6(convolution(f"{name}.depthwise", y, stride, y.shape[1]))
    y = convolution(f"{name}.project", y, 1)
    x = x + y if residual else y
states = F.relu6(convolution("image.backbone.head", x, 1)).flatten(2).transpose(1, 2)
patches = F.normalize(linear("picture.patch", states), dim=-1)
shares = linear("picture.pool", states).softmax(1)
picture = F.normalize(linear("picture.whole", (shares * states).sum(1)), dim=-1)
features = torch.cat([picture, patches.flatten(1)], 1)

ids = torch.randint(0, VOCABULARY, (1, 7), dtype=torch.int32)
h = weights["token_embeddings"][ids.long()] + weights["text.positions"][: ids.shape[1]] + weights["text.token_type"]
h = norm("text.embedding_norm", h)
for layer in range(LAYERS):
    name = f"text.layers.{layer}"
    looked = attention(*(linear(f"{name}.{part}", h) for part in ["query", "key", "value"]))
    h = norm(f"{name}.attention_norm", h + linear(f"{name}.attention_output", looked))
    inner = F.gelu(linear(f"{name}.intermediate", h))
    h = norm(f"{name}.output_norm", h + linear(f"{name}.output", inner))
text = F.normalize(linear("text.whole", h.mean(1)), dim=-1)
tokens = F.normalize(linear("text.token", h[0, 1:]), dim=-1)
gates = linear("text.gate", h[0, 1:])[:, 0].softmax(0)
likeness = torch.einsum("tw,npw->ntp", tokens, patches).amax(2)
scores = TOKEN_SCALE * (likeness * gates).sum(1) + SENTENCE_SCALE * (picture @ text[0])

outputs = {"pixels": pixels, "ids": ids, "features": features, "scores": scores}
save_file({name: tensor.contiguous() for name, tensor in (weights | outputs).items()}, "late.safetensors")
print(scores)
