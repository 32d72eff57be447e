"""Read CSV from bytes."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from app.cli.input.file import make_input
from app.cli.input.items import BlankItem, DecodedItem, UnreadableItem
from app.cli.input.table.options import read_csv_options
from app.cli.input.table.reader import RowReader, allow_long_fields
from tests.support.pipeline.verdicts import POLICY

Item = DecodedItem | UnreadableItem | BlankItem

announced: list[str] = []


def read(
    content: bytes,
    maps: Sequence[str],
    constants: Sequence[str] = (),
    types: Sequence[str] = (),
    **options: Any,
) -> Iterator[Item]:
    """The rows of a file; its announcements are in `announced`."""
    allow_long_fields(POLICY)
    reader = RowReader(
        make_input("e.csv", io.BytesIO(content), total=None),
        mapping=read_csv_options(
            map_=[*maps], set_=[*constants], map_type=[*types], **options
        ),
        policy=POLICY,
        announce=announced.append,
    )
    return reader.items()


def values(found: Iterator[Item]) -> list[Any]:
    """The events of rows; other items unchanged."""
    return [each.value if isinstance(each, DecodedItem) else each for each in found]
