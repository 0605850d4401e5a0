#!/usr/bin/env python3
"""Independent verifier of Keyward's audit log, by docs/concepts/audit.md. Uses the standard library and `cryptography` only.

    verify.py --vkeys KEYS --log LOG.ndjson --checkpoint NOTE [--checkpoint NOTE ...]

KEYS is a file of pinned verifier keys, one on each line. Each NOTE is a checkpoint: the newest one, fetched before the log,
and any that were pinned earlier. Prints `ok <entries>` and exits with 0, or prints the error and exits with 1.
"""

import argparse
import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIELDS = {"seq", "at", "actor", "action", "subject", "detail", "previous", "hash"}
ED25519 = 0x01


class VerificationError(Exception):
    """An error in the log, a note or a key."""


def canonical(value):
    """RFC 8785 for the types in entries: null, booleans, strings, integers, lists, objects."""
    if isinstance(value, dict):
        # The RFC sorts by UTF-16 code units.
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def strict_object(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise VerificationError("an entry has a duplicate field")
    return dict(pairs)


def integer(text):
    number = int(text)
    if abs(number) > 2**53 - 1:
        raise VerificationError("a number is not exact")
    return number


def refuse_number(text):
    raise VerificationError(f"a number is not an integer: {text}")


def read_log(data):
    """Entries of an NDJSON export, in the order given."""
    if data and not data.endswith(b"\n"):
        raise VerificationError("the last line is incomplete: the export was cut off")
    entries = []
    for line in data.split(b"\n")[:-1]:
        try:
            entry = json.loads(
                line.decode("utf-8"),
                object_pairs_hook=strict_object,
                parse_int=integer,
                parse_float=refuse_number,
                parse_constant=refuse_number,
            )
        except ValueError as error:
            raise VerificationError(f"line {len(entries) + 1} is not JSON: {error}") from None
        if not isinstance(entry, dict) or set(entry) != FIELDS:
            raise VerificationError(f"line {len(entries) + 1} does not have the fields of an entry")
        entries.append(entry)
    return entries


def verify_chain(entries):
    """Checks each entry's number, link and hash."""
    previous = "0" * 64
    for seq, entry in enumerate(entries, start=1):
        body = {name: value for name, value in entry.items() if name != "hash"}
        expected = hashlib.sha256(canonical(body).encode("utf-8")).hexdigest()
        if type(entry["seq"]) is not int or entry["seq"] != seq:
            raise VerificationError(f"entry {seq} is missing or out of order: found {entry['seq']}")
        if entry["hash"] != expected:
            raise VerificationError(f"entry {seq} was changed: its hash is not that of its content")
        if entry["previous"] != previous:
            raise VerificationError(f"entry {seq} does not follow the one before it")
        previous = entry["hash"]


def decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise VerificationError("a value is not base64") from None


def key_id(name, typed_key):
    return hashlib.sha256(name.encode("utf-8") + b"\n" + typed_key).digest()[:4]


def read_vkeys(text):
    """Verifier keys: `<name>+<key id>+<base64 of 0x01 and the public key>`, one on each line."""
    keys = {}
    for line in text.splitlines():
        parts = line.split("+", 2)
        if len(parts) != 3:
            raise VerificationError("a line is not a verifier key")
        name, identifier, typed_key = parts[0], parts[1], decode(parts[2])
        if len(typed_key) != 33 or typed_key[0] != ED25519:
            raise VerificationError("a verifier key is not Ed25519")
        if key_id(name, typed_key).hex() != identifier:
            raise VerificationError("the id of a verifier key does not match the key")
        keys[(name, bytes.fromhex(identifier))] = Ed25519PublicKey.from_public_bytes(typed_key[1:])
    if not keys:
        raise VerificationError("there is no verifier key")
    return keys


def read_checkpoint(note, keys):
    """Returns size and hash of a checkpoint that a pinned key has signed."""
    text, found, signatures = note.rpartition("\n\n")
    if not found or not signatures.endswith("\n"):
        raise VerificationError("a note has no signatures")
    text += "\n"
    signed_by = None
    for line in signatures.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise VerificationError("a signature line is malformed")
        signature = decode(parts[2])
        key = keys.get((parts[1], signature[:4]))
        if key is None:
            continue  # Signatures of keys that are not pinned are ignored.
        try:
            key.verify(signature[4:], text.encode("utf-8"))
        except InvalidSignature:
            raise VerificationError("a checkpoint's signature is invalid") from None
        signed_by = parts[1]
    if signed_by is None:
        raise VerificationError("no pinned key has signed a checkpoint")
    lines = text.splitlines()
    if len(lines) < 3 or lines[0] != signed_by:
        raise VerificationError("a checkpoint is not of this log")
    if not lines[1].isascii() or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise VerificationError("a checkpoint's size is not a number")
    digest = decode(lines[2])
    if len(digest) != 32:
        raise VerificationError("a checkpoint's hash does not have 32 bytes")
    return int(lines[1]), digest.hex()


def verify_against(entries, size, digest):
    """Checks that the log still starts with the entries that the checkpoint signed."""
    if size > len(entries):
        raise VerificationError(f"the log has {len(entries)} entries and had {size}: it was cut off")
    expected = entries[size - 1]["hash"] if size else "0" * 64
    if digest != expected:
        raise VerificationError(f"the log's first {size} entries are not those that the checkpoint signed: it was rewritten")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vkeys", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--checkpoint", action="append", default=[])
    options = parser.parse_args()
    try:
        with open(options.vkeys, encoding="utf-8") as file:
            keys = read_vkeys(file.read())
        with open(options.log, "rb") as file:
            entries = read_log(file.read())
        verify_chain(entries)
        for path in options.checkpoint:
            with open(path, encoding="utf-8", newline="") as file:
                verify_against(entries, *read_checkpoint(file.read(), keys))
    except VerificationError as error:
        print(error)
        return 1
    print(f"ok {len(entries)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
