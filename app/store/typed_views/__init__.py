"""Typed views of declared events, made and extended by `rollcall migrate`."""
