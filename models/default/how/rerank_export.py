"""A checkpoint of rerank.py as a re-ranker folder in half precision: CHECKPOINT FOLDER SPARSE_WEIGHT.

`DEFAULT` is the folder of the model that it is for."""

import sys

ck, out, sparse = sys.argv[1], sys.argv[2], float(sys.argv[3])
import blake3
from common import *
from safetensors.torch import save_file

os.makedirs(out, exist_ok=True)
P = {
    k[2:].replace("/", "."): v.float()
    for k, v in torch.load(ck, map_location="cpu")["model"].items()
    if k.startswith("p.")
}
T = {}
for k, (w, b) in folded().items():
    if k in ("head", "fc") or (k[0].isdigit() and int(k.split(".")[0]) >= SPLIT):
        continue
    n = "image.backbone." + ("stem" if k == "stem" else "blocks." + k)
    T[n + ".weight"], T[n + ".bias"] = w, b
T |= {k: v for k, v in P.items() if k.startswith(("image.backbone.", "text."))}
T |= {
    "picture.patch.weight": P["late.image.weight"],
    "picture.patch.bias": P["late.image.bias"],
    "picture.pool.weight": P["pool.weight"],
    "picture.pool.bias": torch.zeros(1),
    "picture.whole.weight": P["global.image.weight"],
    "picture.whole.bias": P["global.image.bias"],
    "text.token.weight": P["late.text.weight"],
    "text.token.bias": torch.zeros(len(P["late.text.weight"])),
    "text.gate.weight": P["late.gate.weight"],
    "text.gate.bias": P["late.gate.bias"],
    "text.whole.weight": P["global.text.weight"],
    "text.whole.bias": torch.zeros(len(P["global.text.weight"])),
}
save_file({k: v.half().contiguous() for k, v in T.items()}, out + "/model.safetensors")
hash = blake3.blake3()
for name in ("config.json", "model.safetensors", "tokenizer.json"):
    hash.update(open(os.environ["DEFAULT"] + "/" + name, "rb").read())
config = {
    "format": "sightword-reranker/2",
    "name": "late-1",
    "towers": hash.hexdigest(),
    "layers": 1 + max(int(k.split(".")[2]) for k in P if k.startswith("text.layers.")),
    "width": len(P["late.text.weight"]),
    "token_scale": round(float(P["scale.late"].exp()), 4),
    "sentence_scale": round(float(P["scale.global"].exp()), 4),
    "logit_weight": 1.0,
    "sparse_weight": sparse,
}
json.dump(config, open(out + "/config.json", "w"), indent=1)
print(config)
