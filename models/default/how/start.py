"""What distil.py begins with: the model and the re-ranker as 32-bit floats, and captions without photos.

`DEFAULT` and `RERANKER` are the folders of v1 and late-1, `MULTI30K` that of Multi30k's data (task2)."""

import gzip, shutil

from common import *
from safetensors.torch import load_file

os.makedirs("cache", exist_ok=True)


def floats(folder):
    tensors = load_file(folder + "/model.safetensors")
    out = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8:
            scale = tensors[name + ".scale"]
            tensor = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        if not name.endswith(".scale"):
            out[name] = tensor.float() if tensor.is_floating_point() else tensor
    return out


v1, late = floats(os.environ["DEFAULT"]), floats(os.environ["RERANKER"])
torch.save(v1, "cache/v1.pt")
torch.save(late, "cache/late.pt")
json.dump(v1["output_tokens"].tolist(), open("cache/outputs.json", "w"))
shutil.copy(os.environ["DEFAULT"] + "/tokenizer.json", "cache/tokenizer.json")

# Flickr30k holds Flickr8k: photos of its dev and test splits are left out by their number on Flickr, and their
# captions by text.
held = [r for r in load_recs() if r["set"] == "flickr8k" and r["split"] in ("dev", "test")]
numbers = {r["id"].split("_")[0] for r in held}
plain = lambda text: text.strip().lower().rstrip(" .")
texts = {plain(c) for r in held for c in r["captions"]}
folder, more = os.environ["MULTI30K"], []
for part in ("train", "val"):
    photos = open(f"{folder}/image_splits/{part}_images.txt").read().split()
    five = [gzip.open(f"{folder}/raw/{part}.{k}.en.gz", "rt").read().rstrip("\n").split("\n") for k in range(1, 6)]
    for photo, captions in zip(photos, zip(*five, strict=True), strict=True):
        captions = [c.strip() for c in captions if plain(c) not in texts]
        if photo.split(".")[0] not in numbers and len(captions) > 1:
            more.append(captions)
print(len(more), "photos' captions")
json.dump(more, open("cache/more.json", "w"))
