"""Keys and passwords that anybody would try first; it cannot know them all."""

import re
from typing import Final

PLACEHOLDERS: Final = re.compile(
    r"change.?(me|this|it)|replace|insecure|example|your.?secret|placeholder|dummy"
)
ALPHABETS: Final = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm")
OBVIOUS: Final = re.compile(
    r"(admin|administrator|root|user|pass|password|passwort|word|secret|ledger|decision|default|change|me|"
    r"this|please|letmein|welcome|login|master|test|demo|development|production|qwerty|qwertz|abc|hello)*"
)
LOOKALIKES: Final = str.maketrans("013457@$!", "oieastasi")
ADORNMENTS: Final = "0123456789!?.,:;-_+*#$%&=/ "
# 32 random hexadecimal digits have fewer about once in ten million.
DISTINCT_IN_KEY: Final = 8
DISTINCT_IN_PASSWORD: Final = 5
SHORTEST_RUN: Final = 4


def is_guessable_key(key: str) -> bool:
    """Recognise what people type when they are asked for 32 characters."""
    lower = key.lower()
    is_repeated = (key + key).find(key, 1) < len(key)
    return (
        is_repeated
        or len(set(key)) < DISTINCT_IN_KEY
        or PLACEHOLDERS.search(lower) is not None
        or not _without_runs(lower)
    )


def is_guessable_password(password: str, username: str) -> bool:
    """Recognise the user's own name and obvious words, whatever digits and signs adorn them."""
    lower = password.lower()
    if len(set(password)) < DISTINCT_IN_PASSWORD or not _without_runs(lower):
        return True
    bare = lower.strip(ADORNMENTS)
    spellings = (_letters(lower), _letters(bare.translate(LOOKALIKES)))
    return any(OBVIOUS.fullmatch(word.replace(_letters(username.lower()) or " ", "")) for word in spellings)


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalpha())


def _without_runs(text: str) -> str:
    """Take away what runs along the alphabet or the keyboard, in either direction."""
    for alphabet in ALPHABETS:
        wheel = alphabet * 2
        for length in range(len(alphabet), SHORTEST_RUN - 1, -1):
            for start in range(len(alphabet)):
                run = wheel[start : start + length]
                text = text.replace(run, "").replace(run[::-1], "")
    return text
