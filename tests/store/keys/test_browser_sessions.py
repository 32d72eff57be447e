from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.keys.browser_sessions import SESSION_LIFE, Sessions
from app.store.keys.codes import CODE_LIFE, create_code, starting_keys
from app.store.keys.keys import create_key, hash_key, key_id, revoke_key
from tests.support.limits import PATIENCE_S
from tests.support.store.sabotage import run


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return Sessions(engine, timeout_s=PATIENCE_S)


async def make_key(engine: AsyncEngine, scope: str = "read") -> str:
    async with engine.begin() as connection:
        return await create_key(connection, source="ann", scope=scope)


async def make_code(engine: AsyncEngine, key: str) -> str:
    async with engine.begin() as connection:
        return await create_code(connection, key=key)


async def revoke(engine: AsyncEngine, key: str) -> None:
    async with engine.begin() as connection:
        await revoke_key(connection, id_=key_id(hash_key(key.encode())))


async def sign_in(sessions: Sessions, key: str) -> str:
    token = await sessions.sign_in(key.encode(), is_code=False)
    assert token is not None
    return token


async def reader_of(sessions: Sessions, token: str) -> str | None:
    found = await sessions.reader_of(hash_key(token.encode()))
    return found and found.name


async def test_read_key_begins_a_session_whose_token_is_stored_nowhere(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    key = await make_key(engine)
    token = await sign_in(sessions, key)

    assert await reader_of(sessions, token) == "ann"
    assert token not in key
    assert len(token) * 6 >= 256
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM sessions"))).one()
    assert row.token_hash == hash_key(token.encode())
    assert row.key_id == hash_key(key.encode()).hex()[:12]
    assert row.expires_at - row.created_at == SESSION_LIFE


@pytest.mark.parametrize("is_code", [False, True])
async def test_other_keys_begin_no_session(
    engine: AsyncEngine, sessions: Sessions, *, is_code: bool
) -> None:
    dead = await make_key(engine)
    code_of_dead = await make_code(engine, dead)
    await revoke(engine, dead)
    write = await make_key(engine, "write")
    code_of_write = await make_code(engine, write)
    key = await make_key(engine)
    code = await make_code(engine, key)
    wrong = [dead, write, "", "rc_read_unknown", hash_key(key.encode()).hex()]
    wrong += [code_of_dead, code_of_write, key] if is_code else [code]

    for secret in wrong:
        assert await sessions.sign_in(secret.encode(), is_code=is_code) is None
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM sessions")) == 0


async def test_code_is_used_once_and_dies_with_the_hour(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    key = await make_key(engine)
    first, late = await make_code(engine, key), await make_code(engine, key)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT * FROM sign_in_codes"))
        lives = {row.expires_at - row.created_at for row in rows}
    assert lives == {CODE_LIFE} == {timedelta(hours=1)}

    token = await sessions.sign_in(first.encode(), is_code=True)
    assert token is not None
    assert await reader_of(sessions, token) == "ann"
    assert await sessions.sign_in(first.encode(), is_code=True) is None

    await run(engine, "UPDATE sign_in_codes SET expires_at = now()")
    assert await sessions.sign_in(late.encode(), is_code=True) is None


async def test_session_ends_with_its_key_and_no_other(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    keys = [await make_key(engine), await make_key(engine)]
    first, second = [await sign_in(sessions, key) for key in keys]
    await revoke(engine, keys[0])

    assert await reader_of(sessions, first) is None
    assert await reader_of(sessions, second) == "ann"


async def test_session_ends_when_one_signs_out(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    key = await make_key(engine)
    first, second = [await sign_in(sessions, key) for _ in range(2)]
    await sessions.sign_out(first.encode())
    await sessions.sign_out(first.encode())

    assert await reader_of(sessions, first) is None
    assert await reader_of(sessions, second) == "ann"


async def test_expired_session_is_refused_and_deleted(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    key = await make_key(engine)
    await make_code(engine, key)
    over = await sign_in(sessions, key)
    await run(engine, "UPDATE sessions SET expires_at = now()")
    await run(engine, "UPDATE sign_in_codes SET expires_at = now()")
    lives = await sign_in(sessions, key)
    await make_code(engine, key)

    assert await reader_of(sessions, over) is None
    assert await sessions.expire() == 1
    assert await reader_of(sessions, lives) == "ann"
    async with engine.connect() as connection:
        codes = await connection.scalar(text("SELECT count(*) FROM sign_in_codes"))
    assert codes == 1


async def test_new_session_keeps_live_ones(engine: AsyncEngine) -> None:
    async def start(write: str = "", read: str = "") -> tuple[str, str, str]:
        async with engine.begin() as connection:
            return await starting_keys(
                connection, source="quickstart", write=write, read=read
            )

    write, read, code = await start()
    assert await start(write, read) != (write, read, code)
    assert (await start(write, read))[:2] == (write, read)
    await revoke(engine, read)
    again = await start(write, read)
    assert again[0] == write
    assert again[1] not in {read, write}
    # One in the place of the other is none.
    swapped = await start(again[1], write)
    assert {*swapped[:2]} & {again[1], write} == set()
