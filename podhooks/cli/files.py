"""Where manifests come from: files, directories and stdin."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from podhooks.errors import InputError, ManifestError
from podhooks.yamltext.stream import Stream, parse

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")
FILE_HELP = "manifest to read: a file, a directory (its .yaml, .yml and .json files), or - for stdin (the default)"


def add_file_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--filename", action="append", default=[], metavar="FILE|DIR|-", help=FILE_HELP)


def read_streams(names: Sequence[str]) -> list[Stream]:
    """What the files hold. InputError, with the file's name, for the first that can't be read or used."""
    streams = [parse(text, name) for name, text in _texts(names)]
    for note in (note for stream in streams for note in stream.notes):
        print(note, file=sys.stderr)
    if not any(stream.documents for stream in streams):
        raise ManifestError(f"{', '.join(stream.name for stream in streams)}: there is no object in it")
    return streams


def joined(streams: Sequence[Stream], texts: Sequence[str]) -> str:
    """The texts of several streams as one. A single one stays as it is, to the byte."""
    whole = ""
    for stream, text in zip(streams, texts, strict=True):
        if whole and not whole.endswith("\n"):
            whole += "\n"
        separate = whole and not text.startswith("---") and not (stream.is_json and all(s.is_json for s in streams))
        whole += ("---\n" if separate else "") + text
    return whole


def _texts(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not names and sys.stdin.isatty():
        raise InputError("nothing to read: name a manifest with -f FILE, or pipe one in")
    for name in names or [STDIN]:
        if name != STDIN:
            yield from ((str(path), _decoded(data, str(path))) for path, data in _read(Path(name)))
            continue
        if sys.stdin.isatty():
            print("reading a manifest from the terminal; end it with Ctrl-D", file=sys.stderr)
        yield "<stdin>", _decoded(sys.stdin.buffer.read(), "<stdin>")


def _read(name: Path) -> Iterator[tuple[Path, bytes]]:
    path = name
    try:
        for path in _files(name):
            yield path, path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: can't be read: {error.strerror or error}") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES and each.is_file())
    if not found:
        raise ManifestError(f"{path}: there is no .yaml, .yml or .json file in this directory")
    return found


def _decoded(data: bytes, name: str) -> str:
    """UTF-8, with or without a byte order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError(f"{name}: is UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{name}:{line}: isn't UTF-8 text: byte 0x{data[error.start]:02x}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ManifestError(f"{name}:{line}: has a NUL byte, so it isn't a text file")
    return text
