"""Tokens that were signed out before they end, for all web processes; kept as long as they would last."""

from datetime import datetime

from db.pool import Pool
from db.queries import queries


async def sign_out(pool: Pool, digest: bytes, until: datetime) -> None:
    """Take this token no more. Forgets those that have ended meanwhile."""
    async with pool.acquire() as connection:
        await connection.execute(queries["sign_out"], digest, until)


async def is_signed_out(pool: Pool, digest: bytes) -> bool:
    """Whether somebody signed out with this token."""
    async with pool.acquire() as connection:
        found: bool = await connection.fetchval(queries["is_signed_out"], digest)
    return found
