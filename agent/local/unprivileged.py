"""As root, PostgreSQL has to run as somebody else, who must reach its programs and its data."""

import pwd
import stat
from pathlib import Path

USER = "nobody"  # there on every system; no user is added for a development database


def unprivileged_user() -> tuple[int, int]:
    """The user's id and group."""
    user = pwd.getpwnam(USER)
    return user.pw_uid, user.pw_gid


def let_others_reach(folder: Path) -> None:
    """Let the unprivileged user pass through (not list) this folder and those above it."""
    for step in (folder, *folder.parents):
        mode = step.stat().st_mode
        if not mode & stat.S_IXOTH:
            step.chmod(mode | stat.S_IXOTH)


def let_others_use(tree: Path) -> None:
    """Let the unprivileged user run what a careful root (umask 077) installed for itself alone."""
    if not tree.is_dir():  # wheels for some systems need no libraries of their own
        return
    let_others_reach(tree)
    for path in tree.rglob("*"):
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)
