"""How values get from one process to another quickly."""

from typing import Any, ClassVar


class ByValues:
    """
    A dataclass that is pickled as a call with its values: all of its fields are arguments, in their order.

    What frozen dataclasses with slots do of their own accord asks for the fields of each object anew, and takes three
    times as long: too long for what goes to another process, and comes back, with every row.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]]

    def __reduce__(self) -> tuple[type[Any], tuple[Any, ...]]:
        return type(self), tuple(map(self.__getattribute__, self.__match_args__))
