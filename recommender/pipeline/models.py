"""Step 4 of 8: what --model was given -> the full name of a model. Imports no heavy library: a wrong name is refused at once."""

from __future__ import annotations

from pathlib import Path

from recommender.errors import EncoderError

MODEL_FILES = ("modules.json", "config.json")
"""A model folder holds one of these: the first from sentence-transformers, the second from transformers."""

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
"""Links English articles that tell one story in other words. 384 dimensions, 90 MB; about 90 ms per article of 310 words
on one CPU core."""

MULTILINGUAL = "intfloat/multilingual-e5-small"
"""Links articles across languages. 384 dimensions, 470 MB; twice the time of `MINILM`."""

SHORT_NAMES = {"minilm": MINILM, "multilingual": MULTILINGUAL}
"""What --model accepts in place of a full name. A folder of such a name is written ./minilm."""


def resolve_model(name: str) -> str:
    """The absolute path of a model folder, or the full name of a hub model. Resolving a resolved name changes nothing.

    An index stores this, so that it can be used from any working directory. Raises `EncoderError` for a folder without a
    model, and for a path where there is no folder. Whether the hub has such a model is not looked up.
    """
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    folder = _folder(name)
    if folder is not None:
        if not any((folder / file).is_file() for file in MODEL_FILES):
            reason = "this folder holds no sentence-transformers model (no modules.json in it)"
            raise EncoderError(f"model {name!r}: {reason}; name the folder that has one, or a model of the Hugging Face hub")
        return str(folder)
    if _is_path(name):
        raise EncoderError(no_such_folder(name))
    return name


def no_such_folder(name: str) -> str:
    """The message for a name that is neither a folder nor possible on the hub."""
    return f"model {name!r}: no such folder, and no possible name of a model on the Hugging Face hub; check the path"


def _folder(name: str) -> Path | None:
    """The existing folder of that name, absolute, without links; None where there is none."""
    try:
        folder = Path(name).expanduser()
        return folder.resolve() if name and folder.is_dir() else None
    except (OSError, RuntimeError) as error:  # no permission, a name too long, "~nobody"
        reason = f"it cannot be loaded ({error})"
        raise EncoderError(f"model {name!r}: {reason}; download it again or name another with --model") from error


def _is_path(name: str) -> bool:
    """Whether a name cannot be one of the hub, where models are called NAME or OWNER/NAME."""
    return not name or name.startswith((".", "/", "~")) or name.count("/") > 1
