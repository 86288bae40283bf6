"""Downloads: everybody gets their own."""

from streamlit.runtime import memory_media_file_storage as kept
from streamlit.runtime.media_file_storage import MediaFileKind

from pages.parts.server import downloads


def test_large_downloads_of_one_name_that_differ_in_one_byte_are_two(monkeypatch):
    monkeypatch.setattr(kept, "_PARTIAL_HASH_THRESHOLD", kept._PARTIAL_HASH_THRESHOLD)
    downloads.told_apart()
    storage, size = kept.MemoryMediaFileStorage("/media"), 1_500_000
    mine, others = bytes(size), bytes(size // 4) + b"x" + bytes(size - size // 4 - 1)
    ids = [
        storage.load_and_get_id(data, "text/csv", MediaFileKind.DOWNLOADABLE, "optlaws-curves.csv")
        for data in (mine, others)
    ]
    assert ids[0] != ids[1] and [storage.get_file(id).content for id in ids] == [mine, others]
