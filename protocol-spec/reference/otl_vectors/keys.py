# SPDX-License-Identifier: MIT OR Apache-2.0
"""The test keys: ``vectors/keys.toml``."""

import tomllib

from otl.drbg import Drbg
from otl.keyring import Keyring, TerminalEntry

_HEADER = """\
# SPDX-License-Identifier: MIT OR Apache-2.0
# Test keys of the vectors, for `kenshin decode --keys`. Produced by protocol-spec/reference; worth nothing outside tests.
#
# Real deployments never keep these together: link masters belong to the server, command and key-encryption
# masters to the signer (KEY-10). A file of real keys in this form would let one thief read meters and move valves.
#
# utility: 8 opaque octets (ID-4); masters by version, with state NEW, ACTIVE, EXPIRED or WITHDRAWN (KEY-8).
# terminal: identity is maker u16, serial u48; maker 0 is for tests (ID-3). imported: a base key instead of a derived
# one (KEY-6). promoted_link_version: lower link key versions are refused as key_retired (ROT-7).
"""

_STATES_A = {"link": [(1, "EXPIRED"), (2, "ACTIVE"), (3, "NEW"), (4, "WITHDRAWN")],
             "command": [(1, "ACTIVE"), (2, "NEW")], "kek": [(1, "ACTIVE")]}
_STATES_B = {"link": [(1, "ACTIVE"), (2, "NEW"), (3, "WITHDRAWN")], "command": [(1, "ACTIVE")], "kek": [(1, "ACTIVE")]}
_UTILITIES = [("a1b2c3d4e5f60718", "Example Gas A", 16, _STATES_A), ("0f1e2d3c4b5a6978", "Example Gas B", 32, _STATES_B)]

# name in this package -> serial, utility, mode, remark, further lines
_TERMINALS: dict[str, tuple[int, int, int, str, str]] = {
    "mode0": (10000000000, 0, 0, "laboratory, mode 0 allowed", "allow_mode0 = true\n"),
    "mode0_closed": (10000000001, 0, 0, "mode 0 pinned but not allowed", ""),
    "mode1": (12345678901, 0, 1, "16-octet masters", ""),
    "mode1_b": (12345678902, 1, 1, "32-octet masters in mode 1", ""),
    "mode2": (22345678901, 0, 2, "16-octet masters", ""),
    "mode2_b": (22345678902, 1, 2, "32-octet masters, promoted to link version 2", "promoted_link_version = 2\n"),
    "mode3": (32345678901, 1, 3, "32-octet masters", ""),
    "mode3_short": (32345678902, 0, 3, "16-octet masters, so that mode 3 cannot be derived (KEY-5)", ""),
    "imported1": (42345678901, 0, 1, "imported base keys, 16 octets", "16"),
    "imported3": (42345678903, 0, 3, "imported base keys, 32 octets", "32"),
}


def identity(name: str) -> str:
    """The identity of a test terminal, as hex."""
    return f"0000{_TERMINALS[name][0]:012x}"


def keys_toml() -> str:
    """The text of the keys file."""
    rng, out = Drbg("keys"), _HEADER
    for number, name, octets, states in _UTILITIES:
        out += f'\n[[utility]]\nid = "{number}"\nname = "{name}"\n'
        for purpose, versions in states.items():
            for version, state in versions:
                out += (f'[[utility.{purpose}_master]]\nversion = {version}\nstate = "{state}"\n'
                        f'key = "{rng.octets(octets).hex()}"\n')
    for name, (_, utility, mode, remark, further) in _TERMINALS.items():
        out += (f'\n# {remark}\n[[terminal]]\nidentity = "{identity(name)}"\nutility = "{_UTILITIES[utility][0]}"\n'
                f'mode = {mode}\n')
        if further.isdigit():
            out += "allow_mode0 = false\n"
            for purpose, version in (("link", 7), ("command", 7), ("kek", 7)):
                out += (f'[[terminal.imported]]\npurpose = "{purpose}"\nversion = {version}\n'
                        f'key = "{rng.octets(int(further)).hex()}"\n')
        else:
            out += further if further.startswith("allow") else "allow_mode0 = false\n" + further
    return out


def keyring() -> Keyring:
    """A fresh keyring of the test keys."""
    return Keyring(tomllib.loads(keys_toml()))


def entry(name: str) -> TerminalEntry:
    """A registered test terminal."""
    return keyring().terminals[bytes.fromhex(identity(name))]
