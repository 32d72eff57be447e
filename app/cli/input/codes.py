"""Warnings that only files have; all others are those of the pipeline."""

from enum import StrEnum


class FileWarning(StrEnum):
    """A code of a warning; `docs/backfill.md` explains each."""

    TIME_CONVERTED = "time_converted"
    CELL_KEPT_AS_TEXT = "cell_kept_as_text"
    ID_LOOKS_REWRITTEN = "id_looks_rewritten"
