"""The error tree."""

from collections.abc import Iterator

from app.request_errors import REQUEST_ERRORS, RequestError


def classes_below(parent: type[RequestError]) -> Iterator[type[RequestError]]:
    for child in parent.__subclasses__():
        yield child
        yield from classes_below(child)


def test_request_errors_holds_one_class_for_each_code() -> None:
    codes = [error.code for error in REQUEST_ERRORS]
    assert len(codes) == len(set(codes))
    assert {error.code for error in classes_below(RequestError)} == set(codes)
