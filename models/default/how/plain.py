"""Plain photos of SIZE as the re-ranker sees them (cache/late_photos.pt) and in the words of FIRST
(cache/first_photos.pt): what tails.py is for 256 pixels."""

from towers import *

torch.set_num_threads(2)
jobs = [i for i, r in enumerate(recs) if r["split"] != "test"]
words = torch.zeros(len(recs), A, dtype=torch.float16)
patches = torch.zeros(len(recs), (SIZE // 32) ** 2, 256, dtype=torch.float16)
whole = torch.zeros(len(recs), 384, dtype=torch.float16)
with torch.no_grad():
    for part in chunks(jobs, 50):
        front = getf(part, [0] * len(part))
        p, z = tpictures(teacher.tail(front))
        patches[part], whole[part] = p.half(), z.half()
        words[part] = cut(act2(first.image(first.tail(front))), 160).half()
torch.save((patches, whole), "cache/late_photos.pt")
torch.save(words, "cache/first_photos.pt")
