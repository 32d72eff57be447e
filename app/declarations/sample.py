"""Trying the sample of a declaration on the pipeline."""

from datetime import datetime

from app.events.catalog import Catalog
from app.events.declaration import Declaration
from app.pipeline.json_decode import decode
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, Record, RequestContext
from app.pipeline.timestamp import TimestampPolicy
from app.request_errors import InvalidJsonError


def sample_errors(declaration: Declaration, *, received_at: datetime) -> list[str]:
    """The reasons why the service would reject the sample."""
    catalog = Catalog((), [declaration])
    policy = Policy(TimestampPolicy(), catalog=catalog)
    payload = declaration.sample.encode(errors="surrogatepass")
    try:
        decoded = decode(payload, max_depth=policy.max_depth)
    except InvalidJsonError as error:
        return [f"The sample is not JSON: {error.detail}"]
    processed = process_event(
        decoded.value,
        request_context=RequestContext("sample", received_at, "sample"),
        policy=policy,
        body=BodyTraits(plain=decoded.plain, deep=decoded.deep, large=True),
    )
    if isinstance(processed, Record):
        return []
    return [
        f"The sample is rejected: {error.path}: {error.message}"
        if error.path
        else f"The sample is rejected: {error.message}"
        for error in processed.errors
    ]
