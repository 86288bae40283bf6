"""Text for Markdown widgets. Plain functions; no Streamlit."""

import re


def literal(text: str) -> str:
    """`text` for a Markdown widget, shown as it is: names from logs are data, never markup.

    Punctuation is escaped. A word joiner, which has no width, stands where Streamlit looks for `:red[…]`,
    `:material/…:` and addresses without regard to escapes.
    """
    text = re.sub(r"([\\`*_\[\]<>$~#|&{}!])", r"\\\1", " ".join(text.split()))
    text = re.sub(r"(?<=:)(?=[\w/+-])|(?<=www)(?=\.)|(?<=@)(?=\w)", "\u2060", text)
    return unbroken(re.sub(r"^(?=[-+=])|^(\d+)(?=[.)])", r"\1\\", text))


def unbroken(text: str) -> str:
    """`text` in which no line ends between a number and its percent sign."""
    return re.sub(r"(?<=\d) (?=\\?%)", "\u00a0", text)
