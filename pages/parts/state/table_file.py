"""A table of runs that a visitor uploaded: the file, which of its columns is which, and what it took the place of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from optlaws_core.readers.frames import read_frame


@dataclass
class TableFile:
    """An uploaded table of runs."""

    name: str
    content: bytes
    sure: bool = False  # whether the visitor said that unlikely units are right
    columns: dict[str, str] = field(default_factory=dict)  # its names by ours, as they were chosen
    unit: str = ""  # tokens in one unit of its batch column, as typed; empty for 1
    before: TableFile | None = None  # the table that it took the place of, to be had back

    @property
    def frame(self) -> pd.DataFrame:
        """The table as it is. Raises `LogError` for one that cannot be read."""
        return read_frame(self.content, self.name)

    def over(self, held: TableFile | None) -> TableFile:
        """This table in the place of the one that is held, which can be had back."""
        same = held is not None and (held.name, held.content) == (self.name, self.content)
        return held if same else replace(self, before=held and replace(held, before=None))
