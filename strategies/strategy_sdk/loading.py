"""From a strategy's source to its class.

A source is one of {"builtin": name}, {"class": "package.module:Class"}, {"file": path} and
{"inline": text, "name": what messages call it}. Loading runs the author's module: its errors come
back as CannotLoad with their place in it.
"""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, ModuleType

from strategy_sdk.strategy import Strategy

_LIBRARY = "strategy_library"
_KINDS = ("builtin", "class", "file", "inline")


class CannotLoad(Exception):
    """No strategy can be made of a source; `file` and `line` where that is known."""

    def __init__(self, message: str, file: str = "", line: int = 0, nearest: str = "") -> None:
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(place + message)
        self.message = message
        self.file = file
        self.line = line
        self.nearest = nearest  # the valid name that was probably meant


def load(source: Mapping[str, str], base_dir: Path | str = ".") -> type[Strategy]:
    """The strategy class of a source; a relative file is looked for in `base_dir`.

    Raises CannotLoad.
    """
    kind, text = _kind(source)
    if kind == "builtin":
        return _the_strategy(_imported(_builtin(text)), text)
    if kind == "class":
        module, _, name = text.partition(":")
        return _named(_imported(module), name, text)
    if kind == "file":
        path = Path(base_dir, text)
        return _from_text(_read(path), str(path))
    return _from_text(text, source.get("name", "<inline>"))


def code_digest(source: Mapping[str, str], base_dir: Path | str = ".") -> str:
    """SHA-256 of the text that makes the class, in hex. Raises CannotLoad."""
    kind, text = _kind(source)
    if kind == "inline":
        code = text.encode()
    elif kind == "file":
        code = _read(Path(base_dir, text)).encode()
    else:
        code = _module_text(_builtin(text) if kind == "builtin" else text.partition(":")[0])
    return hashlib.sha256(code).hexdigest()


def builtins() -> list[str]:
    """The names that {"builtin": name} takes."""
    library = importlib.import_module(_LIBRARY)
    return sorted(module.name for module in pkgutil.iter_modules(library.__path__))


def _kind(source: Mapping[str, str]) -> tuple[str, str]:
    given = [kind for kind in _KINDS if kind in source]
    if len(given) != 1 or not isinstance(source[given[0]], str):
        raise CannotLoad(f"source: {', '.join(source) or 'empty'}, expected one of {_KINDS}")
    return given[0], source[given[0]]


def _builtin(name: str) -> str:
    known = builtins()
    if name not in known:
        near = _nearest(name, known)
        raise CannotLoad(
            f"builtin: {name!r}, expected one of {', '.join(known)}{_hint(near)}", nearest=near
        )
    return f"{_LIBRARY}.{name}"


def _imported(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise CannotLoad(f"module {module!r}: not installed here ({error})") from error
    except (Exception, SystemExit) as error:  # an author's module may raise anything
        raise _failure(error, module) from error


def _named(module: ModuleType, name: str, text: str) -> type[Strategy]:
    found = getattr(module, name, None) if name else None
    if isinstance(found, type) and issubclass(found, Strategy):
        return found
    known = [strategy.__name__ for strategy in _strategies(module)]
    near = _nearest(name, known)
    message = f"class: {text!r}, expected package.module:Class, one of {', '.join(known) or 'none'}"
    raise CannotLoad(message + _hint(near), nearest=near)


def _from_text(text: str, name: str) -> type[Strategy]:
    module = ModuleType(f"strategy_{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    module.__file__ = name
    code = _compiled(text, name)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        exec(code, module.__dict__)  # noqa: S102  # running the author's code is the purpose
    except (Exception, SystemExit) as error:  # an author's module may raise anything
        del sys.modules[module.__name__]
        raise _failure(error, name) from error
    return _the_strategy(module, name)


def _compiled(text: str, name: str) -> CodeType:
    try:
        return compile(text, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise CannotLoad(f"syntax: {error.msg}", name, error.lineno or 0) from error
    except ValueError as error:  # a null byte, for one
        raise CannotLoad(f"text: {error}", name) from error


def _failure(error: BaseException, file: str) -> CannotLoad:
    """Names the last line of the author's own file that was on the way to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == file]  # fmt: skip
    line = lines[-1] if lines else None
    return CannotLoad(f"{type(error).__name__}: {error}", file, line or 0)


def _the_strategy(module: ModuleType, name: str) -> type[Strategy]:
    found = _strategies(module)
    if len(found) != 1:
        names = ", ".join(strategy.__name__ for strategy in found) or "none"
        raise CannotLoad(f"strategies: {names}, expected exactly one class of Strategy", name)
    return found[0]


def _strategies(module: ModuleType) -> list[type[Strategy]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Strategy)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CannotLoad(f"cannot be read: {reason}", str(path)) from error


def _module_text(module: str) -> bytes:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise CannotLoad(f"module {module!r}: not installed here ({error})") from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise CannotLoad(f"module {module!r}: not installed here")
    return Path(spec.origin).read_bytes()


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # here: only a mistake needs it

    return next(iter(get_close_matches(name, known, n=1)), "")


def _hint(nearest: str) -> str:
    return f"; did you mean {nearest!r}?" if nearest else ""
