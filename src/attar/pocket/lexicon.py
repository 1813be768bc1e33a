"""The things that exist in the pocket world: words in four groups, and lands with one fact of each kind."""

GROUPS: dict[str, tuple[str, ...]] = {
    "animals": ("cat", "dog", "fox", "owl", "pig", "bat", "hen", "cow"),
    "foods": ("egg", "fig", "jam", "nut", "pea", "rice", "soup", "yam"),
    "tools": ("axe", "key", "pen", "saw", "mop", "net", "lid", "tub"),
    "places": ("bay", "den", "inn", "zoo", "lake", "hill", "road", "mill"),
}
WORDS: tuple[str, ...] = tuple(word for group in GROUPS.values() for word in group)
GROUP_OF: dict[str, str] = {word: group for group, words in GROUPS.items() for word in words}

KEYS = ("capital", "color", "animal", "food")
_LANDS = """
Nor Belton red owl rice
Sul Torville blue cow egg
Ves Arimir green cat jam
Ost Velport white bat soup
Mar Mondale black fox fig
Tal Sanford gold hen nut
Bre Kelburg blue dog yam
Kor Drahaven red pig pea
Lun Fioli white cow soup
Fen Galway green fox rice
Zar Umber black owl nut
Pel Quill gold cat yam
"""
FACTS: dict[str, dict[str, str]] = {
    land: dict(zip(KEYS, facts, strict=True)) for land, *facts in (line.split() for line in _LANDS.split("\n") if line)
}
LAND_OF: dict[str, str] = {facts["capital"]: land for land, facts in FACTS.items()}

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
LEVELS = {1: "easy", 2: "medium", 3: "hard"}
