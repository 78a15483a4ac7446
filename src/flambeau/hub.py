"""Models of other people: files at an address, and repositories with a ``hubconf.py``.

What has been fetched is kept, and is found again without a network. Where there is none, the error
says so, and where the file would have to be put by hand.
Source: https://docs.pytorch.org/docs/stable/hub.html
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import re
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

from ._missing import missing as _missing
from .serialization._atomic import replacing
from .serialization._load import load as _load_file

HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")  # the checksum in a file's name: resnet18-f37072fd.pth
_CHUNK = 1 << 17
_directory: str | None = None


def _get_torch_home() -> str:
    """``$TORCH_HOME``, or the folder "torch" in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir() -> str:
    """The folder of what has been fetched: ``set_dir``'s, ``$TORCH_HOME/hub``, or the cache's."""
    if _directory is not None:
        return _directory
    return os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike) -> None:
    """Keep what is fetched in the folder ``d``."""
    global _directory
    _directory = os.path.expanduser(d)


# ---- files -----------------------------------------------------------------------------------


class tqdm:
    """How much of ``total`` is done, on one line of stderr.

    Named and called as the package is that libraries take from here.
    """

    def __init__(
        self, total: int | None = None, disable: bool = False, desc: str = "", **look: Any
    ) -> None:
        self.total, self.disable, self.desc, self.n = total, disable, desc, 0

    def update(self, n: int) -> None:
        """``n`` more are done."""
        self.n += n
        if not self.disable:
            share = f"{100 * self.n // self.total} %" if self.total else f"{self.n:,}"
            sys.stderr.write(f"\r{self.desc}: {share}\x1b[K")
            sys.stderr.flush()

    def set_description(self, desc: str) -> None:
        """What the line begins with."""
        self.desc = desc

    def close(self) -> None:
        """End the line."""
        if not self.disable:
            sys.stderr.write("\n")
            self.disable = True

    def __enter__(self) -> tqdm:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def download_url_to_file(
    url: str, dst: str, hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Fetch ``url`` into the file ``dst``, which is replaced only by a complete one.

    RuntimeError if the SHA-256 of what came does not start with ``hash_prefix``; urllib's URLError
    with advice if nothing came.
    """
    digest = hashlib.sha256()
    with _open(url, dst) as answer, replacing(os.path.expanduser(dst)) as file:
        size = int(answer.headers.get("Content-Length") or 0)
        quiet = not (progress and sys.stderr.isatty())
        with tqdm(total=size or None, desc=os.path.basename(dst), disable=quiet) as bar:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
        if size and bar.n != size:
            raise RuntimeError(f"{url} broke off after {bar.n:,} of {size:,} bytes")
        if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(
                f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")'
            )


@contextlib.contextmanager
def _open(url: str, dst: str) -> Iterator[Any]:
    """The answer of ``url``; where there is none, what can be done about it."""
    request = urllib.request.Request(url, headers={"User-Agent": "torch.hub"})
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        error.add_note(f"  {url} answered {error.code}: is the address right?")
        raise
    except urllib.error.URLError as error:
        raise urllib.error.URLError(
            f"{url} cannot be reached ({error.reason}): is this machine offline?\n"
            f"  fetch it elsewhere and put it to {dst}, where it is looked for first"
        ) from error
    with answer:
        yield answer


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """The state_dict in the file at ``url``, fetched once into ``model_dir`` (``get_dir()``'s
    ``checkpoints``). ``check_hash``: compare with the checksum in its name.

    Unlike in PyTorch nothing in the file is run even if ``weights_only`` is left out: a file from
    somewhere else is the last one to trust. ``load(path, weights_only=False)`` reads such a file.
    """
    folder = model_dir or os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        found = HASH_REGEX.search(name) if check_hash else None
        print(f'Downloading: "{url}" to {path}', file=sys.stderr)
        download_url_to_file(url, path, found[1] if found else None, progress)
    if zipfile.is_zipfile(path) and (inner := _only_file(path)) is not None:
        return _load_file(inner, map_location=map_location)
    return _load_file(path, map_location=map_location)


def _only_file(path: str) -> io.BytesIO | None:
    """The file in a zip that holds a single checkpoint of the formats before zip."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) == 1 and not names[0].endswith("data.pkl"):
            if archive.getinfo(names[0]).file_size > 100 * os.path.getsize(path):
                raise RuntimeError(f"{path}: {names[0]} unpacks to more than 100 times the file")
            return io.BytesIO(archive.read(names[0]))
    return None


# ---- repositories ----------------------------------------------------------------------------


def load(
    repo_or_dir: str | os.PathLike,
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: bool | str | None = "check",
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """What the function ``model`` of a repository's ``hubconf.py`` returns.

    ``repo_or_dir``  "owner/name[:branch]" on GitHub, or a folder if ``source`` is "local"
    ``trust_repo``   True runs the repository's code; otherwise it must have been trusted before
    PermissionError for a repository that was never trusted: its code can do whatever you can.
    """
    return _entry(_hubconf(repo_or_dir, source, trust_repo, force_reload), model)(*args, **kwargs)


def list(
    github: str | os.PathLike,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str | None = "check",
    verbose: bool = True,
    source: str = "github",
) -> Sequence[str]:
    """The names that ``load`` knows in a repository."""
    module = _hubconf(github, source, trust_repo, force_reload)
    return [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]


def help(
    github: str | os.PathLike,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str | None = "check",
    source: str = "github",
) -> str | None:
    """The docstring of the function ``model`` of a repository's ``hubconf.py``."""
    return _entry(_hubconf(github, source, trust_repo, force_reload), model).__doc__


def _entry(module: ModuleType, name: str) -> Callable:
    found = getattr(module, name, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return found


def _hubconf(
    place: str | os.PathLike, source: str, trust: bool | str | None, reload: bool
) -> ModuleType:
    """The module ``hubconf.py`` of a repository, run with the repository on ``sys.path``."""
    source = source.lower()
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    folder = os.fspath(place) if source == "local" else _fetched(str(place), trust, reload)
    path = os.path.join(folder, "hubconf.py")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is not there: a repository for torch.hub has one")
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location("hubconf", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    needed = [n for n in getattr(module, "dependencies", ()) if not _is_there(n)]
    if needed:
        raise RuntimeError(f"Missing dependencies: {', '.join(needed)}")
    return module


def _is_there(name: str) -> bool:
    return name == "torch" or importlib.util.find_spec(name) is not None


def _fetched(repository: str, trust: bool | str | None, reload: bool) -> str:
    """The folder of a GitHub repository's copy, fetched unless it is there."""
    match = re.fullmatch(r"([\w.-]+)/([\w.-]+)(?::([\w./-]+))?", repository)
    if match is None:
        raise ValueError(f'"owner/name[:branch]" was expected, got {repository!r}')
    owner, name, branch = match.groups()
    branch = branch or "main"
    folder = os.path.join(get_dir(), f"{owner}_{name}_{branch.replace('/', '_')}")
    trusted = os.path.join(get_dir(), "trusted_list")
    _check_trust(f"{owner}_{name}", trusted, trust)
    if os.path.isdir(folder) and not reload:
        return folder
    os.makedirs(get_dir(), exist_ok=True)
    url = f"https://github.com/{owner}/{name}/zipball/{branch}"
    with tempfile.TemporaryDirectory(dir=get_dir()) as work:
        packed = os.path.join(work, "repository.zip")
        with _open(url, folder) as answer, open(packed, "wb") as file:
            shutil.copyfileobj(answer, file)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(work)  # zipfile keeps every path inside
            top = archive.namelist()[0].partition("/")[0]
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(os.path.join(work, top), folder)
    return folder


def _check_trust(repository: str, path: str, trust: bool | str | None) -> None:
    known = set()
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        known = set(file.read().split())
    if repository in known:
        return
    if trust is not True and str(trust).lower() != "true":
        raise PermissionError(
            f"the code of {repository} would run with all your rights, and was never trusted\n"
            "  if you do: torch.hub.load(..., trust_repo=True)"
        )
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{repository}\n")


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
