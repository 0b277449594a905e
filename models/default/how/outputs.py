"""Which tokens a picture or a text may have (cache/outputs.json)."""

from common import *
from safetensors.numpy import load_file

v0 = load_file(M + "model.safetensors")
OLD = set(v0["output_tokens"].tolist())
inv = {i: w for w, i in json.load(open(M + "tokenizer.json"))["model"]["vocab"].items()}
rows = {int(k): w for k, w in json.load(open("cache/rows.json")).items()}
BAD = set(
    """naked nude sex sexy fat ugly bitch ass dick cock cum pussy piss penis vagina porn porno erotic breast breasts boobs butt butts crotch groin nipple nipples bra lingerie panties condom condoms condo
rape raped kill killed killer killing murder dead death deaths die dies dying corpse nazi nazis slave slaves whore hooker hookers prostitute prostitutes negro nigger niger gypsy gypsies retard retarded idiot idiots stupid dumb moron fool freak
jew jews jewish muslim muslims islamic hindu arab arabs arabic christian catholic mormon sikh buddhist caucasian oriental asiatic hispanic latino latina blacks whites africans indians gay lesbian homosexual heterosexual transgender queer
homo obscene obese chubby pregnant disabled handicapped crippled homeless drunk drunken alcoholic addict beggar begging terrorist terrorists terror criminal criminals crime thief thug suspect victim victims inmate prisoner gangster mob
suicide bloody blood bleeding wounded injured injury injuries torture abuse abused weird creepy scary nasty gross filthy crap shit damn hell fuck screw sucker suck sucks sucking poop feces pee urine urinating toilet_ savage savages primitive ape apes
bastard douche slut pervert virgin erect bust cleavage busty hairy wrinkled elderly_ senile lame dwarf midget dwarfs midgets fatty skinny_ ethnic ethnicity race_ racial tribal_ refugee immigrant immigrants migrant poor poverty peasant servant insane mad crazy psycho maniac
heroin cocaine drug drugs marijuana weed_ vomit cancer disease sick ill penal jail prison coffin casket funeral execution executing lynch hitler holocaust kkk
bondage stripper stripping stripped topless genital anus bum bums tit tits coon spade_ chink yank dyke homos tranny pimp hoe ho hos sodom nun_ redneck hillbilly peasant cripple lunatic bomber fiend satan devil demon""".split()
)
BAD = {b.rstrip("_") if not b.endswith("_") else "" for b in BAD} - {""}
STOP = (
    set(
        """a an the and or but if then else of at by for with about against between into through during before after above below to from up down in out on off over under again further once here there when where why how all any both each few more most other some such no nor not only own same so than too very s t can will just don should now i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself they them their theirs themselves what which who whom this that these those am is are was were be been being have has had having do does did doing would could ought as until while because though whose upon onto toward towards near next along among around across behind beside besides inside outside within without per via also another one ones something someone anything anyone thing things get gets getting got go goes going us may might must shall let even still ever never yet quite rather almost already away together perhaps maybe however although whether either neither else every since till unless whatever whoever amid amidst amongst atop beneath underneath alongside seem seems seemed appear appears
make makes made making take takes taken taking use used using like said says say able like new like various several many much lot lots way kind type part""".split()
    )
    - {"taking"}
)
extra = json.load(open("cache/coco_val_caps.json"))
tj = json.load(open("cache/tokenizer.json"))
V = tj["model"]["vocab"]
recs = load_recs()
trc = [c for r in recs if r["split"] in ("train", "extra") for c in r["captions"]]
cnt = collections.Counter(w for c in trc + extra for w in re.findall(r"[a-z]+", c.lower()))
classes = json.load(open(D + "classes.json"))
lab = set()
for r in recs:
    for l in r["labels"]:
        lab |= set(re.findall("[a-z]+", l.lower()))
for c in classes:
    lab |= set(re.findall("[a-z]+", c["name"].lower())) | {w.lower() for w in c["words"]}
first = {}
off = {}
for l in open("/usr/share/wordnet/data.noun", encoding="latin1"):
    if not l.startswith("  "):
        p = l.split(" ")
        off[p[0]] = int(p[1])
for l in open("/usr/share/wordnet/index.noun", encoding="latin1"):
    if not l.startswith("  "):
        p = l.split()
        n = int(p[2])
        first[p[0]] = off[p[-n]]
THING = {5, 6, 8, 13, 17, 20, 27}


def thing(w):
    for x in (
        w,
        w[:-1] if w.endswith("s") else w,
        w[:-2] if w.endswith("es") else w,
        w[:-3] + "y" if w.endswith("ies") else w,
    ):
        if first.get(x) in THING:
            return True
    return False


out = []
why = collections.Counter()
for w, i in V.items():
    if not re.fullmatch("[a-z]{2,}", w) or w in STOP or w in BAD:
        continue
    if len(w) == 2 and w not in ("tv", "dj", "ox", "ax", "pc"):
        continue
    isnew = i in rows
    if isnew:
        why["row"] += 1
    elif cnt[w] >= 3:
        why["cap"] += 1
    elif w in lab:
        why["lab"] += 1
    elif i in OLD and thing(w):
        why["thing"] += 1
    else:
        continue
    out.append(i)
out = sorted(out)
print(len(out), why)
json.dump(out, open("cache/outputs.json", "w"))
print([w for w in lab if w in BAD or (w not in V)][:60])
