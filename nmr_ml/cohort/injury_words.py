"""Body regions and diagnoses: what people write, folded to two closed lists.

Regions and types of pathology are those of the IOC consensus on recording injury and illness
(Bahr et al. 2020), joined where lay-offs are few. Its knee holds the patellar tendon, its lower leg
the Achilles tendon, its thigh the hamstrings, its trunk the buttocks.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from nmr_ml.cohort.cohort import Warned
from nmr_ml.reasons import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Something is written that no list knows, and nothing is written: two different things.
OTHER, UNKNOWN = "other", "unknown"

#: Words of each region, the telling ones before those they are often written with. All words of a
#: phrase stand together; ``*`` stands for any rest of a word.
_REGION_WORDS: Mapping[str, str] = {
    "hip_groin": "hip, groin, adductor, pubi*, iliopsoas, psoas, inguinal, pelvi*, "
    "sportsman hernia",
    "thigh": "thigh, hamstring, quadricep, quad, upper leg, femur, femoral, biceps femoris, "
    "semitend*, semimembr*, rectus femoris, vastus",
    "shoulder": "shoulder, clavic*, collarbone, collar bone, scapul*, rotator cuff, acromi*, "
    "glenohum*, ac joint, supraspin*",
    "upper_arm_elbow": "upper arm, elbow, radial head, humer*, bicep, tricep, epicondyl*, "
    "ulnar collateral",
    "forearm_wrist_hand": "forearm, lower arm, wrist, hand, finger, thumb, scaphoid, carpal, "
    "carpus, metacarp*, radius, ulna, palm, knuckle, arm",
    "foot": "foot, feet, toe, heel, plantar, metatars*, calcan*, midfoot, forefoot, lisfranc, "
    "navicular, sole, arch",
    "ankle": "ankle, syndesmo*, talus, talar, subtalar, atfl, malleol*",
    "knee": "knee, patell*, kneecap, acl, mcl, pcl, lcl, cruciate, menisc*, popliteal, "
    "osgood schlatter",
    "lower_leg": "leg, calf, calves, shin, achill*, tibia, tibial, fibula*, soleus, gastrocnem*, "
    "peroneal, crus",
    "head_neck": "head, neck, face, facial, jaw, nose, nasal, eye, ear, tooth, teeth, dental, "
    "skull, brain, concuss*, cervical, mouth, lip, chin, cheek, orbit*, mandib*",
    "trunk_back": "trunk, back, spine, spinal, lumbar, lumbo*, thora*, torso, core, chest, rib, "
    "sternum, abdom*, abdominal, stomach, belly, buttock, glute, gluteal, gluteus, sacr*, "
    "coccy*, disc, disk, si joint, oblique, flank",
}
REGIONS = (
    "head_neck", "shoulder", "upper_arm_elbow", "forearm_wrist_hand", "trunk_back", "hip_groin",
    "thigh", "knee", "lower_leg", "ankle", "foot", OTHER, UNKNOWN,
)  # fmt: skip

_DIAGNOSIS_WORDS: Mapping[str, str] = {
    "concussion": "concuss*, mtbi, tbi, brain injury",
    "bone_stress": "stress fracture, fatigue fracture, stress reaction, stress injury, "
    "bone stress, bone oedema, bone edema, shin splint, mtss, tibial stress, periost*, spondylol*",
    "bone_fracture": "fractur*, broken, avulsion",
    "contusion": "contus*, bruis*, haematom*, hematom*, dead leg, corked, knock, charley horse",
    "laceration": "lacerat*, wound, abras*, graze, stitches, cut",
    "cartilage_joint": "cartilag*, chondr*, osteochondr*, menisc*, labr*, arthr*, osteoarthr*, "
    "synov*, capsulit*, bursit*, impingement, fai, loose body, loose bodies",
    "ligament_joint_sprain": "sprain*, ligament*, acl, mcl, pcl, lcl, ucl, atfl, cruciate, "
    "syndesmo*, dislocat*, sublux*, instability, joint injury, rolled ankle, twisted",
    "tendon": "tendin*, tendon*, paratenon*, tenosynov*, enthes*, epicondyl*, tennis elbow, "
    "golfer elbow, jumper knee, rotator cuff, plantar fasci*, achill*",
    "muscle": "muscle, muscular, strain*, pulled, myalg*, cramp*, spasm*, doms, soreness, "
    "hamstring, quadricep, quad tear, calf tear, adductor, soleus, gastrocnem*",
    "illness_infection": "infect*, flu, influenza*, covid*, corona*, sars*, cold, virus, viral, "
    "bacteri*, bronchit*, pneumon*, tonsil*, sinusit*, gastroenter*, stomach bug, norovirus, "
    "food poisoning, mononucleos*, mono, glandular fever, urti, uti, sore throat, cough, strep*, "
    "otitis, sepsis, myocardit*",
    "illness_other": "ill, illness, sick, sickness, fever, hayfever, asthma*, allerg*, "
    "migraine, headache, anaem*, anem*, diabet*, nausea, vomit*, diarr*, dehydrat*, heat stroke, "
    "heatstroke, heat exhaustion, period pain, cardiac, heart",
    "overreaching": "overreach*, over reach*, overtrain*, over train*, exhaust*, burnout, "
    "fatigue, staleness",
}
DIAGNOSES = (
    "muscle", "tendon", "ligament_joint_sprain", "bone_fracture", "bone_stress", "contusion",
    "concussion", "cartilage_joint", "laceration", "illness_infection", "illness_other",
    "overreaching", OTHER, UNKNOWN,
)  # fmt: skip

#: What is written where nothing is known.
_NOTHING = (
    "unknown, unspecified, not specified, not known, undiagnosed, none, na, n a, nan, null, tbc"
)
#: By column of free text, its closed list and the words of each of its names.
_LISTS = {"body_region": (REGIONS, _REGION_WORDS), "diagnosis": (DIAGNOSES, _DIAGNOSIS_WORDS)}
_SIDES = frozenset({"left", "right", "bilateral", "lt", "rt", "l", "r"})


def region_of(text: str | None) -> str:
    """Return the one of `REGIONS` that `text` names; `UNKNOWN` where it is missing."""
    return _folded(text, "body_region") or OTHER


def diagnosis_of(text: str | None) -> str:
    """Return the one of `DIAGNOSES` that `text` names; `UNKNOWN` where it is missing."""
    return _folded(text, "diagnosis") or OTHER


def unrecognised(columns: Mapping[str, Iterable[object]], pointer: str) -> tuple[Warned, ...]:
    """Return a warning for each column of episodes with texts that no word of its list is in.

    The texts are health data and are not repeated; the id of an episode says where to look.
    """
    found = [_unrecognised(columns, column, pointer) for column in _LISTS]
    return tuple(warned for warned in found if warned is not None)


def _unrecognised(
    columns: Mapping[str, Iterable[object]], column: str, pointer: str
) -> Warned | None:
    cells = zip(columns["episode_id"], columns[column], strict=True)
    written = [(episode, text) for episode, text in cells if isinstance(text, str)]
    strange = [episode for episode, text in written if _folded(text, column) is None]
    if not strange:
        return None
    return Warned(
        Notice.UNKNOWN_WORDS.value,
        f"episodes: {len(strange)} of {len(written)} texts in {column} are not recognised and "
        f"count as 'other'; the first is that of episode {strange[0]}.",
        pointer,
    )


@lru_cache(maxsize=8192)  # bounded: the texts come from users, and a server lives long
def _folded(text: str | None, column: str) -> str | None:
    """Return what `text` is folded to, None where nothing in it is recognised."""
    said = "" if text is None else _plain(text)
    exact, patterns = _vocabulary(column)
    if said in exact:
        return exact[said]
    return next((name for name, pattern in patterns if pattern.search(said)), None)


def _plain(text: str) -> str:
    """Return the words of `text` without case, accents, punctuation, sides and plurals."""
    letters = unicodedata.normalize("NFKD", text.casefold()).replace("'", "").replace("’", "")
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    words = re.findall(r"[^\W_]+", bare)
    return " ".join(_singular(word) for word in words if word not in _SIDES)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@cache
def _vocabulary(
    column: str,
) -> tuple[Mapping[str, str], tuple[tuple[str, re.Pattern[str]], ...]]:
    """Return the texts that are told as a whole, and the pattern of each name in order."""
    names, words = _LISTS[column]
    exact = dict.fromkeys(["", *map(_plain, _NOTHING.split(","))], UNKNOWN)
    exact |= {_plain(name): name for name in names}
    return exact, tuple((name, _pattern(listed)) for name, listed in words.items())


def _pattern(listed: str) -> re.Pattern[str]:
    phrases = [phrase.strip() for phrase in listed.split(",")]
    parts = [
        re.escape(phrase[:-1]) + r"\w*" if phrase.endswith("*") else re.escape(_plain(phrase))
        for phrase in phrases
    ]
    return re.compile(rf"(?<!\S)(?:{'|'.join(parts)})(?!\S)")
