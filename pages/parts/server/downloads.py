"""What visitors download and pictures that pages show are told apart by all of their bytes.

Streamlit keeps such files under a hash of what they hold, shared by all visitors. Of more than 1 MB it looks at three
samples, so that two files of one name, kind and length that differ between these would be one: a visitor would get
what another made.
"""

import sys

from streamlit.runtime import memory_media_file_storage as kept


def told_apart() -> None:
    """Let every file be hashed whole, which takes two seconds for a gigabyte."""
    kept._PARTIAL_HASH_THRESHOLD = sys.maxsize
