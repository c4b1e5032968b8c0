"""The words of a text as they are compared: without case and punctuation; of Chinese, each character."""

import re

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")  # Chinese has no spaces


def words_of(text: str) -> list[str]:
    """The words, in their order."""
    return _WORD.findall(text.casefold().replace("'", "").replace("\u2019", ""))
