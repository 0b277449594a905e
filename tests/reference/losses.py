"""Makes losses.safetensors: every loss of src/train/losses in PyTorch, value and gradient.

    python tests/reference/losses.py      (PyTorch and safetensors; any recent version)
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(1)
out = {}


def keep(loss, f, inputs, others=None):
    """Keeps inputs, value and gradients; computed in 64-bit floats."""
    variables = {name: x.double().requires_grad_() for name, x in inputs.items()}
    value = f(**variables)
    value.backward()
    for name, x in variables.items():
        out[f"{loss}.{name}"] = x.detach().float()
        out[f"{loss}.grad.{name}"] = x.grad.float()
    for name, x in (others or {}).items():
        out[f"{loss}.{name}"] = x
    out[f"{loss}.value"] = value.detach().float()


B, A = 12, 60
weights = lambda: torch.log1p(F.relu(torch.randn(B, A)))

# Pictures of one label are each other's positives.
group = torch.tensor([0, 1, 2, 3, 3, 3, 6, 7, 8, 8, 10, 11])
positives = (group[:, None] == group[None]).float()
positives = positives / positives.sum(1, keepdim=True)


def itc(pictures, texts, log_scale):
    scores = pictures @ texts.T * log_scale.exp()
    target = positives.double()
    one = F.cross_entropy(scores, target, label_smoothing=0.05)
    other = F.cross_entropy(scores.T, target.T, label_smoothing=0.05)
    return (one + other) / 2


keep("itc", itc, {"pictures": weights(), "texts": weights(), "log_scale": torch.tensor(-1.2)}, {"positives": positives})

keep("flops", lambda z: (z.mean(0) ** 2).sum(), {"z": weights()})

frequency = torch.rand(A) ** 3
frequency[:2] = torch.tensor([0.0, 1.0])


def df_flops(z, alpha=0.1, beta=10.0):
    x = frequency.double()
    weight = torch.where(x > 0, 1 / (1 + (x.clamp(min=1e-9) ** math.log(2, alpha) - 1) ** beta), 0.0)
    return (weight * z.mean(0) ** 2).sum()


keep("df_flops", df_flops, {"z": weights()}, {"document_frequency": frequency})

target = torch.rand(B, A) * (torch.rand(B, A) < 0.1)
target = target / target.sum(1, keepdim=True).clamp(min=1e-6) * torch.rand(B, 1)
target[3] = 0
keep("grounding", lambda pooled: F.cross_entropy(pooled, target.double()), {"pooled": torch.randn(B, A) * 3}, {"target": target})

teacher = torch.rand(B, B)


def distillation(student):
    soft = lambda x: (x.double() / 0.05).log_softmax(1)
    kl = lambda s, t: F.kl_div(s.log_softmax(1), soft(t), log_target=True, reduction="batchmean")
    return (kl(student, teacher) + kl(student.T, teacher.T)) / 2


keep("distillation", distillation, {"student": torch.randn(B, B) * 4}, {"teacher": teacher})

targets = torch.randint(0, A, (9,))
keep("mlm", lambda logits: F.cross_entropy(logits, targets), {"logits": torch.randn(9, A) * 3}, {"targets": targets.to(torch.uint32)})

features = torch.randn(9, 20)
keep("mvm", lambda predicted: (1 - F.cosine_similarity(predicted, features.double())).mean(), {"predicted": torch.randn(9, 20)}, {"target": features})


def itm(pairs, wrong_pictures, wrong_texts):
    logits = torch.cat([pairs, wrong_pictures, wrong_texts])
    labels = torch.cat([torch.ones_like(pairs), torch.zeros_like(wrong_pictures), torch.zeros_like(wrong_texts)])
    return F.binary_cross_entropy_with_logits(logits, labels)


keep("itm", itm, {name: torch.randn(B) * 4 for name in ("pairs", "wrong_pictures", "wrong_texts")})

even = lambda z: z * (4 / (z**2).sum(1, keepdim=True).sqrt()) ** 0.4
keep(
    "itc_evened",
    lambda pictures, texts, log_scale: itc(even(pictures), even(texts), log_scale),
    {"pictures": weights(), "texts": weights(), "log_scale": torch.tensor(-1.2)},
)

save_file(out, Path(__file__).parent / "losses.safetensors")
