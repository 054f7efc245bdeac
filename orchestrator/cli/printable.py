"""Text of others on a terminal: what would steer it is shown, and not sent."""

import re

# C0, DEL, C1, what turns the direction of text or is not seen, and halves of characters, which no output can encode.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """One line of text in which a control character is written as \\xNN or \\uNNNN."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
