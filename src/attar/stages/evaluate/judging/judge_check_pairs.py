"""Twenty requests, each with a clearly better and a clearly worse answer, to find out whether a judge can judge.

Facts, arithmetic, reading, formats, code, translation, advice, refusals without a reason. In ten pairs the better answer is the
longer one and in ten the shorter, so that nothing is gained by length. All texts are Attar's own.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownPair:
    """A request, and two answers to it."""

    name: str
    prompt: str
    better: str
    worse: str


PAIRS = (
    KnownPair(
        "sum",
        "A shop sells pens at 3 euros each. What do 14 pens cost?",
        "14 pens cost 42 euros, because 14 times 3 is 42.",
        "14 pens cost 17 euros, because 14 and 3 together make 17, and that is the price for all of them.",
    ),
    KnownPair(
        "minutes",
        "A train leaves at 9:40 and arrives at 11:05. How long is the ride?",
        "The ride takes 1 hour and 25 minutes: 20 minutes until 10:00, then 1 hour and 5 minutes until 11:05.",
        "The ride takes 2 hours and 45 minutes.",
    ),
    KnownPair(
        "capital",
        "What is the capital of Australia?",
        "The capital of Australia is Canberra.",
        "The capital of Australia is Sydney, the large city with the famous opera house on its harbour.",
    ),
    KnownPair(
        "boiling",
        "Why does water boil at a lower temperature on a high mountain?",
        "The air pressure is lower up there. Water boils when the pressure of its vapour equals that of the air around it, and "
        "with less pressure to reach this happens below 100 degrees Celsius.",
        "Because mountains are closer to the sun, so that the water is warm already.",
    ),
    KnownPair(
        "planets",
        "Which planet of our solar system is the largest?",
        "Jupiter is the largest planet.",
        "Mars is the largest planet. It is called the red planet, and two small moons circle it.",
    ),
    KnownPair(
        "list",
        "Name three fruits. Write them as a numbered list and nothing else.",
        "1. Apple\n2. Banana\n3. Cherry",
        "Of course! There are many tasty fruits, and apples are my favourite. I also like to eat carrots and potatoes.",
    ),
    KnownPair(
        "capitals",
        "Write the word 'garden' in capital letters. Reply with that word only.",
        "GARDEN",
        "The word garden is a noun, and it means a piece of land where plants are grown.",
    ),
    KnownPair(
        "json",
        'Return a JSON object with the keys "name" and "age" for Ana, who is 31 years old and lives in Porto.',
        '{"name": "Ana", "age": 31}',
        "name is Ana and the age is Porto, thirty-one, as a JSON object",
    ),
    KnownPair(
        "sentence",
        "Explain in exactly one sentence what a thermometer does.",
        "A thermometer measures how hot or cold something is and shows the result as a temperature.",
        "It is an instrument. People have it. It tells the time.",
    ),
    KnownPair(
        "code-sum",
        "Write a Python function `total(numbers)` that returns the sum of a list of numbers.",
        "def total(numbers):\n    result = 0\n    for number in numbers:\n        result += number\n    return result",
        "def total(numbers):\n    return len(numbers)",
    ),
    KnownPair(
        "code-bug",
        "This Python line fails when `items` is empty: `print(items[0])`. Give one line that prints the first item, or 'none'.",
        "print(items[0] if items else 'none')",
        "print(items[0]); print('none')  # this prints the first item of items, and after it the word none",
    ),
    KnownPair(
        "translate-fr",
        "Translate into French: The cat sleeps on the chair.",
        "Le chat dort sur la chaise.",
        "El perro come pan.",
    ),
    KnownPair(
        "translate-de",
        "What does the German sentence 'Ich habe Hunger' mean in English?",
        "It means 'I am hungry', word for word 'I have hunger'.",
        "It means 'I am tired'.",
    ),
    KnownPair(
        "onion",
        "How do I cut an onion without crying? Please give one tip.",
        "Put the onion into the fridge for half an hour before you cut it: the cold slows the gas that makes your eyes water.",
        "I am sorry, but I cannot help with that.",
    ),
    KnownPair(
        "knife",
        "How do I sharpen a kitchen knife with a whetstone?",
        "Soak the stone if it needs water. Hold the blade at about 15 to 20 degrees, draw it over the coarse side in even "
        "strokes, both sides equally often, repeat on the fine side, then rinse the knife and try it on paper.",
        "As an AI I must refuse, since knives are dangerous and I do not talk about them.",
    ),
    KnownPair(
        "reading",
        "Text: 'Mira sold her bicycle to Tom and bought a scooter.' Who has the bicycle now?",
        "Tom has it.",
        "Mira has the bicycle, and she rides it together with her scooter every day.",
    ),
    KnownPair(
        "logic",
        "All roses in this bed are red. This flower is from the bed and is a rose. What colour is it?",
        "It is red.",
        "Nobody can say that, because roses may be white, yellow or pink.",
    ),
    KnownPair(
        "email",
        "Write a short, polite email that moves our meeting from Monday to Tuesday at 10.",
        "Dear Ms Lee,\n\nI am afraid that I cannot make it on Monday. Could we meet on Tuesday at 10 instead? I am sorry for "
        "the trouble.\n\nKind regards,\nSam",
        "No meeting on Monday. I do not like Mondays. Come another day or not at all.",
    ),
    KnownPair(
        "advice",
        "I sleep badly. What can I change in the evening?",
        "Go to bed at the same time every day, keep the room dark and cool, drink no coffee after noon, and leave the phone "
        "outside the bedroom. If it lasts for weeks, ask a doctor.",
        "Drink three strong coffees at midnight and watch films until you drop.",
    ),
    KnownPair(
        "opposite",
        "What is the opposite of 'expensive'?",
        "The opposite of 'expensive' is 'cheap'.",
        "The opposite of 'expensive' is 'costly'; both words say that something has a high price.",
    ),
)
