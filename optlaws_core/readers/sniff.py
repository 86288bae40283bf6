"""What is never read, by its first bytes, and text in the encodings of spreadsheets.

Archives and binary formats are refused and never unpacked.
"""

import codecs

from ..errors import LogError

HEAD = 65_536  # bytes at the beginning of a file by which it is judged

# First bytes, what they are, what to do instead.
REFUSED = (
    (b"PK\x03\x04", "a ZIP archive", "unpack it and give the logs inside"),
    (b"PK\x05\x06", "an empty ZIP archive", "give the logs themselves"),
    (b"\x1f\x8b", "a gzip archive", "unpack it and give the logs inside"),
    (b"BZh", "a bzip2 archive", "unpack it and give the logs inside"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it and give the logs inside"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the logs inside"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it and give the logs inside"),
    (b"Rar!", "a RAR archive", "unpack it and give the logs inside"),
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"\xd0\xcf\x11\xe0", "an Office document, as old Excel writes them", "save the sheet as CSV"),
    (b"\x89HDF", "an HDF5 file", "export it as CSV"),
    (b"\x93NUMPY", "a NumPy array", "export it as CSV"),
    (b"%PDF", "a PDF", "give the log itself"),
    (b"\x89PNG", "a picture", "give the log itself"),
)
_TEXT = bytes({7, 8, 9, 10, 12, 13, 27}) + bytes(range(0x20, 0x100))


def check_text(head: bytes, file: str) -> None:
    """Raises `LogError` for a file that is never read: one that is empty, or whose `head` is not that of a text."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise LogError(
            f"{file}: this is a Git LFS pointer, not the file itself; run 'git lfs pull' and give it again.", file
        )
    if not head.strip():
        raise LogError(f"{file}: the file is empty.", file)
    for magic, what, instead in REFUSED:
        if head.startswith(magic):
            raise LogError(f"{file}: this is {what}; {instead}.", file)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise LogError(f"{file}: this is a Python pickle, which could run code when opened; export it as CSV.", file)
    if head[257:262] == b"ustar":
        raise LogError(f"{file}: this is a tar archive; unpack it and give the logs inside.", file)
    if not is_utf16(head) and (b"\x00" in head or head.translate(None, _TEXT)):
        raise LogError(
            f"{file}: a log must be text, a Parquet file or a TensorBoard event file, but this holds binary data.", file
        )


def is_utf16(head: bytes) -> bool:
    """Whether bytes open UTF-16 text, as some spreadsheets export it."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff"))


def as_utf8(data: bytes, file: str, whole: bool = True) -> bytes:
    """Text, or the head of one where not `whole`, as UTF-8. Raises `LogError` when it opens as UTF-16 and is not."""
    if not is_utf16(data):
        return data
    try:
        return codecs.getincrementaldecoder("utf-16")().decode(data, whole).encode()
    except UnicodeDecodeError:
        raise LogError(f"{file}: a log must be text, but this begins like UTF-16 text and is not.", file) from None
