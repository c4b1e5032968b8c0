"""Sessions under way and workers as staff would see them, written straight into the database."""

from typing import Any
from uuid import UUID

from db.pool import Pool

HELD, LOST, TOLD = (UUID(int=n) for n in (1, 2, 3))


async def three_under_way(pool: Pool) -> None:
    """One with a recorder, one whose recorder is gone, one that only a client told of."""
    await pool.executemany(
        "insert into sessions (session_id, room_name, mode, status, start_time, lease_owner, lease_epoch,"
        " lease_expires_at) values ($1, 'coaching-' || $1::uuid, 'video', 'in_progress',"
        " now() - make_interval(secs => $2), $3, $4, now() + make_interval(secs => $5))",
        [
            (HELD, 3_600, "worker-a+1", 1, 10),
            (LOST, 5_400, "worker-b+7", 3, -90),
            (TOLD, 10_000, None, 0, None),
        ],
    )


def report(**more: Any) -> dict[str, Any]:
    nothing = {state: {"files": 0, "bytes": 0} for state in ("waiting", "rejected")}
    told = {"max_rooms": 10, "draining": False, "reconciled_ago": 2.0, "trouble": None}
    return told | {"disk": {"spool": nothing, "audio": nothing}} | more
