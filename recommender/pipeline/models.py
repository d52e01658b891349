"""Step 4 of 8: what --model was given -> the full name of a model. Imports no heavy library."""

from __future__ import annotations

from pathlib import Path

from recommender.errors import EncoderError


def resolve_model(name: str) -> str:
    """The absolute path of a model folder, or the name of a hub model as given. Resolving a resolved name changes nothing.

    An index stores this, so that it can be used from any working directory. Raises `EncoderError` for a folder that cannot
    be read.
    """
    folder = _folder(name)
    return name if folder is None else str(folder)


def _folder(name: str) -> Path | None:
    """The existing folder of that name, absolute, without links; None where there is none."""
    try:
        folder = Path(name).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError) as error:  # no permission, a name too long, "~nobody"
        reason = f"it cannot be loaded ({error})"
        raise EncoderError(f"model {name!r}: {reason}; download it again or name another with --model") from error
