# SPDX-License-Identifier: MIT OR Apache-2.0
"""The one exception of the decoders: a refusal with its registered name and its offset."""


class OtlError(Exception):
    """A refusal. ``kind`` is an id of ``registries/close-codes.toml``.

    ``offset`` counts from the first octet of the frame and names the first octet that is wrong or
    missing.  # spec: ERR-3
    """

    def __init__(self, kind: str, offset: int, message: str) -> None:
        super().__init__(f"{kind} at {offset}: {message}")
        self.kind = kind
        self.offset = offset
        self.message = message
