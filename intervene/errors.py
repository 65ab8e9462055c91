"""What a person is told on one line: what, where, what to do."""


class InterveneError(Exception):
    """A mistake that the user can mend; entry points print it as one line without a traceback.

    Args:
        what: what is wrong, with the value and its unit.
        where: the config key, or the file (with the byte offset where there is one).
        remedy: what to do about it.
    """

    def __init__(self, what: str, where: str, remedy: str) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(f"{where}: {what}; {remedy}")

    def __reduce__(self) -> tuple[type["InterveneError"], tuple[str, str, str]]:
        return type(self), (self.what, self.where, self.remedy)


class LostError(InterveneError):
    """No mistake: a process or a node was lost, and the same once more may go well."""
