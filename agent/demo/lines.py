"""What the two people of the demo say. Their voices were rendered once, by `python -m agent.demo.render`."""

from pathlib import Path

from agent.demo.speech import Speech

FOLDER = Path(__file__).with_name("voices")

STUDENT = "student"
COUNSELOR = "counselor"

LINES = {
    "welcome": (COUNSELOR, "Hello, and welcome. What would you like to talk about today?"),
    "biology": (STUDENT, "I want to study biology, but I am not sure where to apply."),
    "list": (COUNSELOR, "Let us make a list together. A few dream schools, and a few safe choices."),
    "deadline": (STUDENT, "That sounds great. When is the deadline for early applications?"),
    "wait": (COUNSELOR, "I think I lost you. I will wait until you are back."),
    "back": (STUDENT, "I am back. Sorry, I lost my connection for a moment."),
    "november": (COUNSELOR, "No problem. Early applications are due at the beginning of November."),
    "essay": (STUDENT, "What should I write about in the essay?"),
    "letters": (COUNSELOR, "You should also ask your teachers for letters."),
    "story": (COUNSELOR, "Keep the essay short, and tell a story that only you can tell."),
    "thanks": (STUDENT, "Thank you very much. I will send you a draft on Friday."),
    "goodbye": (COUNSELOR, "Wonderful. I am looking forward to reading it. Goodbye."),
}


def load(line: str) -> Speech:
    """The rendered speech of one of LINES."""
    return Speech.load(FOLDER / f"{line}.ogg", LINES[line][1])
