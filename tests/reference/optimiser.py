"""Makes optimiser.safetensors: some steps of PyTorch's AdamW with clipped gradients, and averaged weights.

    python tests/reference/optimiser.py      (PyTorch and safetensors; any recent version)
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

STEPS, RATE = 6, 0.01
torch.manual_seed(2)
shapes = {"text.matrix": (5, 7), "text.vector": (7,), "image.matrix": (3, 4), "log_scale": ()}
rate = {"text": 0.25, "image": 1.0, "log_scale": 1.0}

# In 64 bits, from what 32 bits can hold.
weights = {name: torch.randn(shape).double() for name, shape in shapes.items()}
average = {name: w.clone() for name, w in weights.items()}
out = {f"start.{name}": w.float() for name, w in weights.items()}
for w in weights.values():
    w.requires_grad_()
groups = [
    {"params": [w], "lr": RATE * rate[name.split(".")[0]], "weight_decay": 0.05 if w.ndim > 1 else 0.0}
    for name, w in weights.items()
]
optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)
for step in range(STEPS):
    for name, w in weights.items():
        # The first ones are large enough to be clipped.
        gradient = torch.randn(w.shape) * (10.0 if step < 3 else 0.1)
        out[f"gradient.{step}.{name}"] = gradient
        w.grad = gradient.double()
    norm = torch.nn.utils.clip_grad_norm_(weights.values(), 2.0)
    out[f"norm.{step}"] = norm.float()
    optimiser.step()
    decay = min(0.995, (2 + step) / (11 + step))
    for name, w in weights.items():
        average[name] = decay * average[name] + (1 - decay) * w.detach()
        out[f"weights.{step}.{name}"] = w.detach().float()
        out[f"average.{step}.{name}"] = average[name].float()
path = Path(__file__).parent / "optimiser.safetensors"
save_file({name: x.contiguous().clone() for name, x in out.items()}, path)
