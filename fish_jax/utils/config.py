"""The type of a configuration, for annotations."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol


class Config(Protocol):
    """Fields and sections by name: a `ConfigDict` or a plain dict."""

    def __getitem__(self, name: str, /) -> Any: ...

    def __iter__(self) -> Iterator[str]: ...

    def get(self, name: str, default: Any = None, /) -> Any:
        """A field or section, or the default if there is none."""
        ...

    def keys(self) -> Iterable[str]:
        """The names of the fields."""
        ...

    def items(self) -> Iterable[tuple[str, Any]]:
        """The fields with their values."""
        ...
