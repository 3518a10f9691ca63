# SPDX-License-Identifier: MIT OR Apache-2.0
"""vectors/crypto: published vectors of the primitives, each checked against a second library before it is written."""

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM
from otl import crypto
from .toml import LICENCE

_RFC4493 = "RFC 4493, section 4"
_SP38B = "NIST SP 800-38B, appendix D.3 (as published with the AES-CMAC examples)"
_KEY128 = "2b7e151628aed2a6abf7158809cf4f3c"
_KEY256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
_MESSAGE = ("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
            "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
# name, source, key, message octets, mac
_CMAC = [
    ("rfc4493_empty", _RFC4493, _KEY128, 0, "bb1d6929e95937287fa37d129b756746"),
    ("rfc4493_16", _RFC4493, _KEY128, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
    ("rfc4493_40", _RFC4493, _KEY128, 40, "dfa66747de9ae63030ca32611497c827"),
    ("rfc4493_64", _RFC4493, _KEY128, 64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ("sp800_38b_aes256_empty", _SP38B, _KEY256, 0, "028962f61b7bf89efc6b551f4667d983"),
    ("sp800_38b_aes256_16", _SP38B, _KEY256, 16, "28a7023f452e8f82bd4bf28d8c37c35c"),
    ("sp800_38b_aes256_40", _SP38B, _KEY256, 40, "aaf3d8f1de5640c232f5b169b9c911e6"),
    ("sp800_38b_aes256_64", _SP38B, _KEY256, 64, "e1992190549f6ed5696a2c056c315410"),
]
_SP38C, _RFC3610 = "NIST SP 800-38C, appendix C", "RFC 3610, section 8"
# name, source, key, nonce, aad, plaintext, ciphertext and tag, tag octets
_CCM = [
    ("sp800_38c_example_3", _SP38C + ", example 3 (12-octet nonce, 8-octet tag: the parameters of OTL)",
     "404142434445464748494a4b4c4d4e4f", "101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213",
     "202122232425262728292a2b2c2d2e2f3031323334353637",
     "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", 8),
    ("rfc3610_packet_vector_1", _RFC3610 + ", packet vector 1 (13-octet nonce, 8-octet tag; not the parameters of OTL)",
     "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5", "0001020304050607",
     "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e", "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0", 8),
]
_GCM_SOURCE = "McGrew and Viega, The Galois/Counter Mode of Operation (GCM), appendix B, test case "
_K256 = "feffe9928665731c6d6a8f9467308308" * 2
_GCM_P = ("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
_GCM_C = ("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662")
_GCM = [
    ("test_case_13", _GCM_SOURCE + "13", "00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b", 16),
    ("test_case_14", _GCM_SOURCE + "14", "00" * 32, "00" * 12, "", "00" * 16,
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919", 16),
    ("test_case_16", _GCM_SOURCE + "16", _K256, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     _GCM_P, _GCM_C + "76fc6ece0f4e1768cddf8853bb2d551b", 16),
]
_RFC3394 = "RFC 3394, section "
_WRAP = [
    ("rfc3394_4_1", _RFC3394 + "4.1", "000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff",
     "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
    ("rfc3394_4_3", _RFC3394 + "4.3", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "00112233445566778899aabbccddeeff", "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
    ("rfc3394_4_6", _RFC3394 + "4.6", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
     "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"),
]


def _text(title: str, rows: list[dict[str, object]]) -> str:
    out = LICENCE + f"# {title}\n# Published vectors; each was verified with a library before it was written here.\n"
    for row in rows:
        out += "\n[[vector]]\n" + "".join(
            f"{key} = {value}\n" if isinstance(value, int) else f'{key} = "{value}"\n' for key, value in row.items())
    return out


def _aead(cases: list[tuple[str, str, str, str, str, str, str, int]], gcm: bool) -> list[dict[str, object]]:
    rows = []
    for name, source, key, nonce, aad, plain, sealed, tag in cases:
        raw = bytes.fromhex(key)
        cipher = AESGCM(raw) if gcm else AESCCM(raw, tag_length=tag)
        if cipher.encrypt(bytes.fromhex(nonce), bytes.fromhex(plain), bytes.fromhex(aad)).hex() != sealed:
            raise AssertionError(name)
        rows.append({"name": name, "source": source, "key": key, "nonce": nonce, "aad": aad, "plaintext": plain,
                     "ciphertext_and_tag": sealed, "tag_octets": tag})
    return rows


def files() -> dict[str, str]:
    """All files of this module."""
    macs = []
    for name, source, key, octets, mac in _CMAC:
        message = _MESSAGE[:2 * octets]
        if crypto.cmac(bytes.fromhex(key), bytes.fromhex(message)).hex() != mac:
            raise AssertionError(name)
        macs.append({"name": name, "source": source, "key": key, "message": message, "mac": mac})
    wraps = []
    for name, source, key, plain, wrapped in _WRAP:
        if crypto.wrap(bytes.fromhex(key), bytes.fromhex(plain)).hex() != wrapped:
            raise AssertionError(name)
        wraps.append({"name": name, "source": source, "kek": key, "key": plain, "wrapped": wrapped})
    return {
        "crypto/cmac.toml": _text("AES-CMAC.", macs),
        "crypto/ccm.toml": _text("AES-CCM.", _aead(_CCM, False)),
        "crypto/gcm.toml": _text("AES-256-GCM.", _aead(_GCM, True)),
        "crypto/key_wrap.toml": _text("AES key wrap.", wraps),
    }
