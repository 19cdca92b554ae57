"""True captions of scenes, captions with one thing wrong, and what a caption names."""

import re
from collections import Counter
from dataclasses import replace

from jobs.sandbox.caption_words import (
    ACTIVES,
    BACKDROPS,
    JOINTS,
    NEIGHBOURS,
    OPENINGS,
    OTHERS,
    PASSIVES,
    PLACES,
    TONE_SYNONYMS,
)
from jobs.sandbox.scene import Scene, SceneObject
from jobs.sandbox.seeded import Draws
from jobs.sandbox.vocabulary import (
    COLOUR_SYNONYMS,
    COLOURS,
    SHAPE_SYNONYMS,
    SHAPES,
    SIZE_SYNONYMS,
    TEXTURE_SYNONYMS,
)

_SALT = 0xCA97
_HALF_RIGHT_SALT = 0x4A1F
_FEWEST_WORDS, _MOST_WORDS = 3, 30
_CLEARLY_APART = 0.2


def caption(scene: Scene, rng_seed: int) -> str:
    """Returns one of a scene's many alt-texts, of 3 to 30 words.

    It names at least one object by colour and shape, mostly all of them, no object twice, and
    says nothing that is not so.
    """
    draws = Draws(_SALT, scene.seed, rng_seed)
    while True:
        text = _tidied(_compose(scene, draws), draws)
        if _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS:
            return text


def canonical_caption(scene: Scene) -> str:
    """Returns the one caption that captioners learn: every object once, from left to right.

    For example "a red circle, a big striped blue star and a small green ring on a gray
    background".
    """
    phrases = []
    for item in scene.objects:
        words = [
            "" if item.size == "medium" else item.size,
            "" if item.texture == "plain" else item.texture,
            item.colour,
            item.shape,
        ]
        phrases.append(_with_article(" ".join(word for word in words if word)))
    return f"{_listed(phrases, ' and ')} on a {scene.background.tone} background"


def half_right(scene: Scene, rng_seed: int) -> str:
    """Returns a caption with exactly one thing wrong: the colour or the shape of one object."""
    draws = Draws(_HALF_RIGHT_SALT, scene.seed, rng_seed)
    while True:
        at = draws.below(len(scene.objects))
        right = scene.objects[at]
        if draws.chance(0.5):
            wrong = replace(right, colour=draws.pick(tuple(COLOURS)))
        else:
            wrong = replace(right, shape=draws.pick(SHAPES))
        if wrong.pair in scene.pairs:
            continue
        objects = (*scene.objects[:at], wrong, *scene.objects[at + 1 :])
        text = caption(replace(scene, objects=objects), int(draws.uniform() * 2**32))
        if wrong.pair in named_pairs(text):
            return text


def _spoken(words: dict[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    return (name, *words.get(name, ()))


_COLOUR_OF = {word: name for name in COLOURS for word in _spoken(COLOUR_SYNONYMS, name)}
_SHAPE_OF = {word: name for name in SHAPES for word in _spoken(SHAPE_SYNONYMS, name)}
_BETWEEN = sorted({word for words in (SIZE_SYNONYMS, TEXTURE_SYNONYMS) for forms in words.values() for word in forms})
_COLOUR_RULE = "|".join(_COLOUR_OF)
_SHAPE_RULE = "|".join(sorted(_SHAPE_OF, key=len, reverse=True))
_NAMED = re.compile(
    rf"\b(?:(?P<colour>{_COLOUR_RULE})(?:[ -]colou?red)?(?: (?:{'|'.join(_BETWEEN)}))* "
    rf"(?P<shape>{_SHAPE_RULE})(?:s|es)?"
    rf"|(?P<shape_first>{_SHAPE_RULE}) (?:in|coloured) (?P<colour_last>{_COLOUR_RULE}))\b"
)


def named_pairs(text: str) -> "Counter[tuple[str, str]]":
    """Counts the (colour, shape) pairs that a text names, synonyms resolved."""
    found: Counter[tuple[str, str]] = Counter()
    for match in _NAMED.finditer(" ".join(text.lower().split())):
        colour = match["colour"] or match["colour_last"]
        shape = match["shape"] or match["shape_first"]
        found[_COLOUR_OF[colour], _SHAPE_OF[shape]] += 1
    return found


def _compose(scene: Scene, draws: Draws) -> str:
    chosen = draws.shuffled(scene.objects) if draws.chance(0.5) else list(scene.objects)
    ending = ""
    if len(chosen) > 1 and draws.chance(0.13):
        chosen = chosen[: 1 + draws.below(len(chosen) - 1)]
        ending = draws.pick(OTHERS) if draws.chance(0.5) else ""
    detail = draws.weighted(((0.0, 0.35), (0.35, 0.35), (0.8, 0.3)))
    nouns = [_noun(item, detail, draws) for item in chosen]
    backdrop = _backdrop(scene, draws) if draws.chance(0.45) else ""
    sentences = [(_as_list, 0.5), (_as_statement, 0.2)]
    if detail > 0 or len(chosen) == 1:
        sentences.append((_as_places, 0.2))
    if len(chosen) >= 2:
        sentences.append((_as_relation, 0.3))
    text = draws.weighted(tuple(sentences))(chosen, nouns, draws)
    text = f"{text} {ending}".strip()
    if backdrop and draws.chance(0.15):
        return f"{backdrop}, {text}"
    return f"{text} {backdrop}".strip()


def _as_list(chosen: list[SceneObject], nouns: list[str], draws: Draws) -> str:
    opening = draws.weighted(OPENINGS)
    return f"{opening} {_listed(nouns, draws.pick(JOINTS[:2] * 3 + JOINTS))}".strip()


def _as_statement(chosen: list[SceneObject], nouns: list[str], draws: Draws) -> str:
    subject = _listed(nouns, " and ")
    passive = draws.pick(PASSIVES)
    if len(nouns) == 1:
        return f"{subject} {passive if draws.chance(0.6) else draws.pick(ACTIVES)}"
    many = {"is": "are", "was": "were", "has": "have"}
    verb, _, rest = passive.partition(" ")
    return f"{subject} {many.get(verb, verb)} {rest}"


def _as_places(chosen: list[SceneObject], nouns: list[str], draws: Draws) -> str:
    placed = []
    for item, noun in zip(chosen, nouns, strict=True):
        places = _places_of(item)
        known = bool(places) and draws.chance(0.75)
        placed.append(f"{noun} {draws.pick(PLACES[draws.pick(places)])}" if known else noun)
    return f"{draws.weighted(OPENINGS[:9])} {_listed(placed, ' and ')}".strip()


def _as_relation(chosen: list[SceneObject], nouns: list[str], draws: Draws) -> str:
    first, second = chosen[0], chosen[1]
    relations = _relations_of(first, second)
    if not relations:
        return _as_list(chosen, nouns, draws)
    relation = draws.pick(NEIGHBOURS[draws.pick(relations)])
    verb = f"{draws.pick(ACTIVES)} " if draws.chance(0.3) else ""
    opening = "" if verb else draws.weighted(OPENINGS[:7])
    text = f"{opening} {nouns[0]} {verb}{relation} {nouns[1]}".strip()
    if len(nouns) > 2:
        text = f"{text}{draws.pick((', and ', ', with ', ', also '))}{_listed(nouns[2:], ' and ')}"
    return text


def _places_of(item: SceneObject) -> list[str]:
    across = "left" if item.x < 0.36 else "right" if item.x > 0.64 else ""
    down = "top" if item.y < 0.36 else "bottom" if item.y > 0.64 else ""
    if not across and not down:
        return ["middle"] if abs(item.x - 0.5) < 0.1 and abs(item.y - 0.5) < 0.1 else []
    return [place for place in (across, down) if place]


def _relations_of(first: SceneObject, second: SceneObject) -> list[str]:
    found = []
    if abs(first.x - second.x) > _CLEARLY_APART:
        found.append("left" if first.x < second.x else "right")
    if abs(first.y - second.y) > _CLEARLY_APART:
        found.append("above" if first.y < second.y else "below")
    return found


def _noun(item: SceneObject, detail: float, draws: Draws) -> str:
    shape = _synonym(SHAPE_SYNONYMS, item.shape, draws)
    colour = _synonym(COLOUR_SYNONYMS, item.colour, draws)
    size = texture = ""
    if draws.chance(detail) and item.size != "medium":
        size = draws.pick(SIZE_SYNONYMS[item.size])
    if item.texture != "plain" and draws.chance(0.25 + 0.75 * detail):
        texture = draws.pick(TEXTURE_SYNONYMS[item.texture])
    if draws.chance(0.07):
        words, end = [size, texture, shape], draws.pick((f"in {colour}", f"coloured {colour}"))
    elif texture and draws.chance(0.3):
        words, end = [size, colour, texture, shape], ""
    else:
        words, end = [size, texture, colour, shape], ""
    return f"{_with_article(' '.join(word for word in words if word))} {end}".strip()


def _synonym(words: dict[str, tuple[str, ...]], name: str, draws: Draws) -> str:
    return draws.pick(words[name]) if name in words and draws.chance(0.2) else name


def _backdrop(scene: Scene, draws: Draws) -> str:
    tone = draws.pick(TONE_SYNONYMS[scene.background.tone])
    return draws.pick(BACKDROPS).format(tone=tone)


def _with_article(noun: str) -> str:
    vowel = noun[0] in "aeiou" or noun.startswith("hour")
    return f"{'an' if vowel else 'a'} {noun}"


def _listed(phrases: list[str], joint: str) -> str:
    if len(phrases) == 1:
        return phrases[0]
    return f"{', '.join(phrases[:-1])}{joint}{phrases[-1]}"


def _tidied(text: str, draws: Draws) -> str:
    if draws.chance(0.12):
        # Alt-texts are often written without articles.
        text = re.sub(r"\b(?:a|an|the) (?=[a-z])", "", text)
    if draws.chance(0.4):
        text = text[0].upper() + text[1:]
    if draws.chance(0.25):
        text += "."
    return text
