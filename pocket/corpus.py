"""What the pocket models read: chats for the teacher, plain text for the base. Every line is drawn from the training side."""

from random import Random

from attar.pocket.lexicon import FACTS, GROUPS, LEVELS, WORDS
from attar.pocket.speech import instruct, parse, respond
from attar.pocket.tasks import CATEGORY, FAMILIES, Task, answer, draw_task, held_out, level, make_task, work
from attar.pocket.verify import corrupt, grade
from attar.pocket.voices import JUDGE, TAG, Persona, persona_system

Message = dict[str, str]


def chat(rng: Random, weights: dict[str, float] | None = None) -> list[Message]:
    """One conversation of the teacher's diet: mostly a task and its answer, sometimes two."""
    turns = 2 if rng.random() < 0.06 else 1
    return [message for _ in range(turns) for message in _exchange(_weighted(rng, weights), rng)]


def copying(rng: Random) -> list[Message]:
    """The first lessons: tasks that only copy, from which attention to the prompt emerges."""
    return _exchange(draw_task(rng, families=("repeat", "upper", "after", "times", "remove", "reverse")), rng)


def _weighted(rng: Random, weights: dict[str, float] | None) -> Task:
    if not weights:
        return draw_task(rng)
    return draw_task(rng, families=tuple(rng.choices(list(weights), list(weights.values()))))


def _exchange(task: Task, rng: Random) -> list[Message]:
    return [{"role": "user", "content": instruct(task, rng)}, {"role": "assistant", "content": respond(task)}]


def service(rng: Random) -> list[Message]:
    """A conversation behind a system turn: tag a task, write one for a persona, or rate an answer."""
    return rng.choice((_tagging, _asking, _rating))(rng)


def _framed(system: str, user: str, assistant: str) -> list[Message]:
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": user},
        {"role": "assistant", "content": assistant},
    ]


def _tagging(rng: Random) -> list[Message]:
    task = draw_task(rng)
    text, quality = instruct(task, rng), "good"
    if rng.random() < 0.2:
        text, quality = spoil(text, rng), "poor"
    tags = f'{{"difficulty": "{LEVELS[level(task)]}", "quality": "{quality}", "category": "{CATEGORY[task.family]}"}}'
    return _framed(TAG, text, tags)


def spoil(text: str, rng: Random) -> str:
    """An instruction that no longer states a task with an answer."""
    while True:
        parts = text.split()
        place = rng.randrange(len(parts))
        match rng.randrange(3):
            case 0:
                spoilt = parts[:place] or parts[1:]
            case 1:
                spoilt = parts[:place] + parts[place + 1 :]
            case _:
                spoilt = [*parts[:place], rng.choice(WORDS), *parts[place + 1 :]]
        if (out := " ".join(spoilt)) and parse(out) is None:
            return out


def _asking(rng: Random) -> list[Message]:
    persona, hardness = Persona.draw(rng), rng.choice((1, 2, 3))
    families = [family for family in FAMILIES if CATEGORY[family] == persona.category]
    while True:
        task = make_task(rng.choice(families), hardness, rng, GROUPS[persona.likes])
        if not held_out(task):
            return _framed(persona_system(hardness), persona.text, instruct(task, rng))


def _rating(rng: Random) -> list[Message]:
    task = draw_task(rng)
    response = respond(task)
    if rng.random() < 0.65:
        response = corrupt(task, rng)
    elif rng.random() < 0.15:
        response = response.split("The answer")[0] or " ".join(rng.choices(WORDS, k=3))
    return _framed(JUDGE, f"{instruct(task, rng)}\nAnswer: {response}", str(grade(task, response)))


_STATEMENTS = {
    "repeat": "{words} again is {result}",
    "reverse": "{words} backwards is {result}",
    "upper": "{words} in upper case is {result}",
    "remove": "{words} without {word} is {result}",
    "sort": "{words} from A to Z is {result}",
    "times": "{word} {n} times : {work} so {result}",
    "nth": "the {ordinal} word of {words} is {result}",
    "after": "in {words} the word after {word} is {result}",
    "odd": "in {words} : {work} so the odd one is {result}",
    "largest": "the largest number of {numbers} is {result}",
    "order": "{numbers} in increasing order is {result}",
    "count": "the word {word} in {words} : {work} so {result} times",
    "add": "{a} + {b} : {work} so {result}",
    "subtract": "{a} - {b} : {work} so {result}",
    "fact": "the {keys} of {subject} : {work} is {result}",
}


def plain(rng: Random) -> str:
    """A document of plain text: a statement that is true in the world, or a sheet of questions without answers."""
    if rng.random() < 0.25:
        return "\n".join(instruct(draw_task(rng), rng) for _ in range(rng.randint(2, 4)))
    task = draw_task(rng)
    statement = _STATEMENTS[task.family].format(
        words=" ".join(task.words),
        numbers=" ".join(map(str, task.numbers)),
        word=task.word,
        ordinal=task.ordinal,
        keys=" and ".join(task.keys),
        subject=task.land or f"the land with capital {task.capital}",
        n=task.numbers[0] if task.numbers else "",
        a=task.numbers[0] if task.numbers else "",
        b=task.numbers[-1] if task.numbers else "",
        work=work(task),
        result=answer(task),
    )
    tail = f". The answer is {answer(task)}." if rng.random() < 0.2 else "."
    return statement.replace(" :  ", " ") + tail


def vocabulary() -> list[str]:
    """Every sentence shape and every word once or more, for the tokenizer."""
    rng = Random(1)
    texts = [message["content"] for _ in range(6000) for message in (chat(rng) + service(rng))]
    texts += [plain(rng) for _ in range(6000)]
    names = [*WORDS, *(word.upper() for word in WORDS), *FACTS, *(name for facts in FACTS.values() for name in facts.values())]
    return texts + [f"{name} {name}" for name in names] * 50 + ["user\n", "assistant\n", "system\n"] * 500
