"""Claims: what tables of other people say in plain English of how their numbers were made.

Words are all there is, and words are read wrongly now and then: what is taken for an accusation is
narrow, and what is meant the other way round is taken out first.
"""

import re
from typing import Literal

from seqrl.tasks.d4rl import BODIES

Choice = Literal["checkpoint", "target"]
"""What may be chosen by the very scores that are then reported."""

CHOSEN = re.compile(
    r"\b(?:best|better|highest|higher|top|peak|max(?:imum)?)\b|(?:selected|chosen) (?:by|on|with)|"
    r"model selection|cherry|early.?stopp|\b(?:argmax|oracle|tuned|grid search|sweep|swept)\b",
    re.IGNORECASE,
)
NOT_CHOSEN = re.compile(
    r"\b(?:not|no|never|without|rather than|instead of)\b(?:(?!\bbut\b)[^,;.)])*|"
    r"[^,;]*\b(?:validation loss|held.?out|OPE|FQE|in bold|would)\b[^,;]*|"
    r"best_in_data|\bmax\w*\.? \d|\btop-k\b|"
    r"\b(?:best|highest|max\w*)\b[^,;]*\bdata(?:set)?\b|"
    r"\b(?:top|highest)\b[^,;]*\b(?:percentile|quantile|decile)\b",
    re.IGNORECASE,
)
"""What a rule says that needs no score of the policy's: what was not done; a validation by data; a
return in the data."""
SPEAKS_OF = {
    "checkpoint": re.compile(
        r"checkpoint|evaluation|\bevals?\b|epoch|during training", re.IGNORECASE
    ),
    "target": re.compile(r"target|return-to-go|\bRTG", re.IGNORECASE),
}
"""Which part of a note is about what."""
LAST = re.compile(r"\b(?:final|last) (?:checkpoint|(?:training )?step|epoch|iterate|evaluation)\b")
OF_SEEDS = re.compile(r"\b(?:best|top)(?: \d+)? of \d+ seeds", re.IGNORECASE)
TUNED = re.compile(
    r"best hyper\w+|\btuned (?:per|for each|on each|by)\b|hand-set per task", re.IGNORECASE
)
ONLINE = re.compile(
    r"(?<!before )(?<!no )(?<!without )\bonline (?:fine-?tun|train)|"
    r"\b(?:fine-?tuned|trained) (?:online|in the environment)",
    re.IGNORECASE,
)
DELAYED = re.compile(r"(?<!no )(?<!not )\b(?:delayed|sparse) rewards?\b", re.IGNORECASE)
NOTHING = re.compile(
    r"unknown|unclear|tbd|not (?:stated|said|given|reported|specified)|unspecified|n/?a|none|-+|"
    r"\?+",
    re.IGNORECASE,
)
"""How tables say that something is not known."""
OLD_SIMULATOR = "mujoco-py"
OVER_EPISODES = re.compile(r"rollout|episode|trajector|standard error|\bSEM?\b", re.IGNORECASE)
OVER_SEEDS = re.compile(r"\b(?:over|across|of)\b[^,;]*\b(?:seeds|runs|models)\b", re.IGNORECASE)
AN_INTERVAL = re.compile(r"\bCI\b|confidence|interval", re.IGNORECASE)

SPELT = {name: environment.partition("-")[0] for name, (environment, *_) in BODIES.items()}
"""How the names of D4RL's bodies are written in environments."""


def chosen(what: Choice, rule: str, notes: str) -> str:
    """Return what says that it was chosen by its score: the rule, or a part of the notes; nothing
    if nothing does."""
    parts = [rule, *(note for note in re.split(r"[;,]", notes) if SPEAKS_OF[what].search(note))]
    return next((part for part in parts if CHOSEN.search(NOT_CHOSEN.sub("", part))), "").strip()


def environment_in(text: str, body: str) -> str:
    """Return the id of the environment; of several, the one that is named as the `body` is."""
    ids = {
        (SPELT.get(name.lower(), name), version)
        for name, version in re.findall(r"(?<![\w-])([A-Za-z]\w*)-(v\d+)", text)
    }
    if len(ids) > 1:
        ids = {(name, version) for name, version in ids if name.lower() == body}
    return "-".join(ids.pop()) if len(ids) == 1 else ""


def simulator_in(text: str) -> str:
    """Return whether it is the old binding of MuJoCo, or MuJoCo's own."""
    if OLD_SIMULATOR in text.lower():
        return OLD_SIMULATOR
    own = re.search(r"gymnasium|\bmujoco [3-9]|-v[45]\b", text, re.IGNORECASE)
    return "MuJoCo's own" if own else ""
