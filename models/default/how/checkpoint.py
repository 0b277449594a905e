"""A checkpoint of distil.py, image.py or text.py in the form that export.py reads: FROM TO."""

import sys

from common import *

source, target = sys.argv[1:3]
v1, late = torch.load("cache/v1.pt"), torch.load("cache/late.pt")
m = checkpoint(source)
rows = torch.tensor(json.load(open("cache/outputs.json")))
for tower in ("image", "text"):
    bias = v1[tower + ".decoder_bias"].clone()
    bias[rows] = m.pop(tower + ".bias")
    m[tower + ".decoder_bias"] = bias
m["text.positions"] = torch.cat([m["text.positions"], v1["text.positions"][40:]])
m["token_embeddings"] = v1["token_embeddings"]
missing = {k for k in v1 if not k.startswith("image.backbone")} - set(m) - {"output_tokens", "query_table"}
print(len(m), "tensors; missing", missing)
torch.save(dict(model={"p." + k.replace(".", "/"): v for k, v in m.items()}), target)
