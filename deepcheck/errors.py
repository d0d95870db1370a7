"""Errors that are meant for the user: a sentence that says what is wrong, and a hint at the way out."""


class DeepcheckError(Exception):
    """Anything that the user can put right.

    `message` says what is wrong and with which value; `hint`, if there is one, what to do about it.
    The command line prints both and exits with 1; nothing else in the package catches it, except
    where one bad file must not cost the results of the others.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class AudioError(DeepcheckError):
    """A recording that cannot be decoded; `message` is the reason, ready for the report."""


class ConfigError(DeepcheckError):
    """A setting that does not exist or has no such value."""


class DataError(DeepcheckError):
    """A manifest, folder or protocol that does not hold what was asked for."""


class ModelError(DeepcheckError):
    """A model that cannot be found, read or built."""
