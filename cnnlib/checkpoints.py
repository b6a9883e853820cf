"""Checkpoints: what a run needs to go on where it ended, and what tells it from another run."""

import hashlib
import io
import os
import warnings
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten

import torch


def save_checkpoint(path, run, model, optimizer, draw, history, best):
    """Write all that a run needs to go on after this epoch. A full disk costs the checkpoint, not the run.

    Provided.
    """
    state = {"run": run, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
    state |= {"best": best, "draw": draw.get_state(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    content = io.BytesIO()
    torch.save(state, content)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getbuffer())
    except OSError as error:
        warnings.warn(
            f"no checkpoint of epoch {len(history)} at {path}: {error.strerror or error}. Training goes on; "
            "make room, or an interruption will cost the epochs since the last one.",
            RuntimeWarning,
            stacklevel=3,
        )


def identity(model, x, y, config, seed, keep, held_out, augmented, alternate):
    """What makes a run this run and no other, for its checkpoint: a dict of plain values.

    The first weights are not part of it: the checkpoint brings its own, and a run that is called again in the same
    notebook has others than it began with. Nor are steps, device and memory format: they change no more than roundings.
    held_out: (x, y) or None    augmented: what augmentation makes of the first images, or None
    Provided.
    """
    asleep = [name for name, module in model.named_modules() if not module.training]
    asleep = [] if len(asleep) == len(list(model.modules())) else asleep
    weights = [f"{name} {tuple(p.shape)} {p.dtype}" for name, p in model.state_dict().items()]
    listed = hashlib.sha256(" ".join(weights).encode()).hexdigest()[:16]
    return {
        "config": asdict(config),
        "seed": seed,
        "examples": len(y),
        "network": str(model),
        "list of weights": f"{len(weights)} of {sorted({str(p.dtype) for p in model.parameters()})}, {listed}",
        "list of frozen parts": asleep + [name for name, p in model.named_parameters() if not p.requires_grad],
        "keep": keep,
        "alternate": alternate,
        "digest of the images": digest(x),
        "digest of the labels": digest(y),
        "digest of the images held out": digest(*held_out) if held_out else "none",
        "digest of augmented images": digest(augmented) if augmented is not None else "none",
    }


def digest(*tensors):
    """SHA-256 of tensors, 16 digits of it: of their dtypes, shapes and values, wherever and however they are stored.

    Provided.
    """
    sha = hashlib.sha256()
    for t in tensors:
        sha.update(f"{t.dtype} {tuple(t.shape)}".encode())
        sha.update(t.detach().cpu().contiguous().view(torch.uint8).numpy())
    return sha.hexdigest()[:16]


def read_checkpoint(path, run, epochs):
    """The state of a run in its checkpoint; None if there is no file.

    run: the identity of this run    epochs: as many as it may have at most
    Raises RuntimeError if the file cannot be read or is damaged, ValueError if it belongs to another run or is further
    on than this one goes; the file stays as it is.
    Provided.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RuntimeError(f"the checkpoint {path} cannot be read: {error.strerror}. Give another file.") from error
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        saved, _ = state["run"], [state[key] for key in ("model", "optimizer", "draw", "torch", "best")]
        done = len(state["history"])
    except Exception as error:  # torch.load raises whatever the broken bytes lead it to
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        raise RuntimeError(
            f"the checkpoint {path} is damaged ({problem}). Move it away to train from the start."
        ) from error
    for key, value in run.items():
        if (other := saved.get(key, "not told")) != value:
            hint = " An augmentation must draw from its generator alone." if "augmented" in key else ""
            raise ValueError(
                f"the checkpoint {path} belongs to another run: its {key} is {shorten(str(other), 200)}, "
                f"this one's is {shorten(str(value), 200)}.{hint} Give this run another file, or move that one away."
            )
    if done > epochs:
        raise ValueError(f"the checkpoint {path} holds {done} epochs, and steps ends this run after {epochs} of them.")
    return state


def restore(state, model, optimizer, draw):
    """Put a run back to where its checkpoint was written.

    Returns the history and the best weights so far.
    Provided.
    """
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    draw.set_state(state["draw"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    return state["history"], state["best"]


def write_atomically(path, content):
    """Write bytes so that a reader finds the old file or the new one, never a half.

    Provided.
    """
    part = Path(path).with_name(f"{Path(path).name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
