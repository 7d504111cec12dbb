"""A tiny archive in the official layout stands for the official one; a server on this machine stands for the web."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minicnn.data import DataError, LabelledImages, cifar10, load_cifar10

RECORDS = 20
NAMES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Six small files, as random as pictures, so that the archive does not shrink to nothing."""
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    rng = np.random.default_rng(10)
    records = rng.integers(0, 256, (len(NAMES), RECORDS, 3073), dtype=np.uint8)
    records[:, :, 0] = rng.integers(0, 10, (len(NAMES), RECORDS))
    return {name: each.tobytes() for name, each in zip(NAMES, records, strict=True)}


def pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, data in {"batches.meta.txt": b"airplane\n", **files, "readme.html": b"<html>"}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def official(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The archive that the downloader accepts."""
    archive = pack(files)
    monkeypatch.setattr(cifar10, "ARCHIVE_BYTES", len(archive))
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", hashlib.sha256(archive).hexdigest())
    return archive


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees this user's data, environment or proxy."""
    for name in ("MINICNN_DATA", "MINICNN_CIFAR_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(cifar10, "ARCHIVE_URL", "http://127.0.0.1:9/no-test-goes-to-the-web")


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def check(dataset: LabelledImages, files: dict[str, bytes]) -> None:
    records = np.stack([np.frombuffer(files[name], np.uint8).reshape(RECORDS, 3073) for name in NAMES])
    train = records[:5].reshape(-1, 3073)
    assert dataset.train_images.shape == (5 * RECORDS, 3, 32, 32) and dataset.train_images.dtype == np.uint8
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64
    np.testing.assert_array_equal(dataset.train_labels, train[:, 0])
    np.testing.assert_array_equal(dataset.train_images.reshape(-1, 3072), train[:, 1:])
    np.testing.assert_array_equal(dataset.test_labels, records[5, :, 0])
    np.testing.assert_array_equal(dataset.test_images.reshape(-1, 3072), records[5, :, 1:])
    assert dataset.train_images[2, 1, 3, 4] == train[2, 1 + 1024 + 3 * 32 + 4]  # red plane, then green, by rows
    assert len(dataset.classes) == 10 and dataset.classes[1] == "automobile"


# Where the data are found


def test_reads_the_unpacked_folder_the_folder_above_it_and_the_archive(
    files: dict[str, bytes], official: bytes, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "a" / "cifar-10-batches-bin", files)
    check(load_cifar10(folder), files)
    check(load_cifar10(str(folder.parent)), files)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cifar-10-binary.tar.gz").write_bytes(official)
    check(load_cifar10(tmp_path / "b", download=False), files)
    assert os.listdir(tmp_path / "b") == ["cifar-10-binary.tar.gz"]  # read in memory


def test_the_order_of_the_members_in_the_archive_does_not_matter(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(dict(reversed(files.items())))
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", hashlib.sha256(archive).hexdigest())
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive)
    check(load_cifar10(tmp_path), files)


def test_argument_goes_before_environment_before_cache(
    files: dict[str, bytes], tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(parent: Path, pixel: int) -> Path:
        marked = {name: data[:1] + bytes([pixel]) + data[2:] for name, data in files.items()}
        write_folder(parent / "cifar-10-batches-bin", marked)
        return parent

    def first_pixel(data_dir: Path | None = None) -> int:
        return int(load_cifar10(data_dir, download=False).train_images[0, 0, 0, 0])

    place(own_cache, 1)
    assert first_pixel() == 1
    monkeypatch.setenv("MINICNN_DATA", str(place(tmp_path / "environment", 3)))
    assert first_pixel() == 3
    assert first_pixel(place(tmp_path / "argument", 4)) == 4


def test_nothing_there_and_no_download_says_where_and_what(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no CIFAR-10 in {tmp_path}: expected cifar-10-batches-bin/ or"):
        load_cifar10(tmp_path, download=False)
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"data_dir must be the folder .* got the file .*/file"):
        load_cifar10(tmp_path / "file")


# Damaged files


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], r"data_batch_3\.bin has 61,459 bytes; expected 61,460 \(20 records of 3,073\)"),
        (lambda data: data + b"x", r"data_batch_3\.bin has 61,461 bytes; expected 61,460"),
        (lambda data: b"", r"data_batch_3\.bin has 0 bytes"),
        (
            lambda data: data[: 7 * 3073] + b"\x0a" + data[7 * 3073 + 1 :],
            r"data_batch_3\.bin: record 7 has label 10; expected 0 to 9",
        ),
    ],
    ids=["short", "long", "empty", "label"],
)
def test_a_damaged_file_is_named_with_what_is_wrong(
    files: dict[str, bytes], tmp_path: Path, packed: bool, damage: Callable[[bytes], bytes], message: str
) -> None:
    files["data_batch_3.bin"] = damage(files["data_batch_3.bin"])
    if packed:
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(pack(files))
    else:
        write_folder(tmp_path / "cifar-10-batches-bin", files)
    with pytest.raises(DataError, match=message):
        load_cifar10(tmp_path)


@pytest.mark.parametrize("folder", ["~nobody-of-that-name/data", Path("~nobody-of-that-name")])
def test_a_home_that_does_not_exist_is_named_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str | Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="'~nobody-of-that-name.* begins with ~, but there is no such home folder"):
        load_cifar10(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    del files["data_batch_4.bin"]
    write_folder(tmp_path / "a" / "cifar-10-batches-bin", files)
    with pytest.raises(DataError, match=r"data_batch_4\.bin cannot be read: No such file"):
        load_cifar10(tmp_path / "a")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(pack(files))
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: no data_batch_4\.bin in it"):
        load_cifar10(tmp_path)


def test_a_damaged_archive_is_named_wherever_it_is_cut_or_hit(files: dict[str, bytes], tmp_path: Path) -> None:
    archive, path = pack(files), tmp_path / "cifar-10-binary.tar.gz"
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 1
    checksum = bytearray(archive)
    checksum[-8] ^= 1
    uncompressed_tail = gzip.compress(gzip.decompress(archive)[:100_000])
    cut = [archive[: len(archive) * part // 8] for part in range(8)]
    damaged = [*cut, archive[:-1], bytes(flipped), bytes(checksum), uncompressed_tail, b"<html>not found</html>"]
    for number, data in enumerate(damaged):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz"):
            load_cifar10(tmp_path)
            pytest.fail(f"damage {number} was not noticed")


def test_an_archive_that_is_not_the_official_one_is_refused(
    files: dict[str, bytes], official: bytes, tmp_path: Path
) -> None:
    """Its records are in order, and gzip's checksum is right: only SHA-256 shows that a pixel is another."""
    data = bytearray(files["data_batch_2.bin"])
    data[5000] ^= 1
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(pack({**files, "data_batch_2.bin": bytes(data)}))
    with pytest.raises(DataError, match=r"not the official archive \(SHA-256 .*delete it to download it again"):
        load_cifar10(tmp_path)


def test_an_archive_is_compared_only_once(
    files: dict[str, bytes], official: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file_digest, counted = tmp_path / "cifar-10-binary.tar.gz", hashlib.file_digest, []
    path.write_bytes(official)
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: counted.append(1) or file_digest(*given))
    check(load_cifar10(tmp_path), files)
    check(load_cifar10(tmp_path), files)
    assert len(counted) == 1
    os.utime(path, (1, 1))
    check(load_cifar10(tmp_path), files)
    assert len(counted) == 2


@pytest.mark.parametrize("found", ["cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz", "data_batch_1"])
def test_python_s_pickles_are_named_instead_of_a_download(tmp_path: Path, found: str) -> None:
    (tmp_path / "data" / found).parent.mkdir(parents=True)
    (tmp_path / "data" / found).write_bytes(b"\x80\x02}.")
    with pytest.raises(
        DataError, match=r"is CIFAR-10 as Python's pickles, .* put cifar-10-binary\.tar\.gz from https?:"
    ):
        load_cifar10(tmp_path / "data")
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [found.split("/")[0]]


# The downloader


class Server(ThreadingHTTPServer):
    """Serves `content`; understands Range unless told not to; breaks off after `breaks_after` bytes of an answer."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.ignores_range = False
        self.announces_length = True
        self.breaks_after: int | None = None
        self.on_request: Callable[[], None] = lambda: None
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/cifar-10-binary.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        self.server.on_request()
        content, start = self.server.content, 0
        if self.path != "/cifar-10-binary.tar.gz":
            return self.send_error(404)
        if wanted and not self.server.ignores_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if self.server.announces_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.server.breaks_after])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(official: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(official) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(cifar10, "ARCHIVE_URL", server.url)
        yield server
        server.shutdown()
        thread.join()


def listing(folder: Path) -> list[str]:
    """What lies in a folder beside this test's own cache."""
    return sorted(name for name in os.listdir(folder) if name != "cache")


ARCHIVE = "cifar-10-binary.tar.gz"
PART = ARCHIVE + ".part"


def test_downloads_once_into_the_cache(server: Server, files: dict[str, bytes], own_cache: Path) -> None:
    check(load_cifar10(), files)
    archive, checked = listing(own_cache)
    assert archive == ARCHIVE and checked.endswith(".sha256")
    assert (own_cache / ARCHIVE).read_bytes() == server.content
    check(load_cifar10(), files)
    assert server.ranges == [None]


@pytest.mark.parametrize("length", [True, False], ids=["length", "no-length"])
def test_a_broken_download_goes_on_where_it_broke_off(
    server: Server, files: dict[str, bytes], tmp_path: Path, length: bool
) -> None:
    server.announces_length = length
    server.breaks_after = 100_000
    with pytest.raises(DataError, match=r"cannot download http.*broke off \(100,000 of .* bytes are kept; run again"):
        load_cifar10(tmp_path)
    assert listing(tmp_path) == [PART]
    server.breaks_after = None
    check(load_cifar10(tmp_path), files)
    assert server.ranges == [None, "bytes=100000-"]
    assert listing(tmp_path) == [ARCHIVE]


def test_an_interrupted_download_goes_on_too(
    server: Server, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CtrlC:
        def __init__(self, **arguments: object) -> None:
            self.chunks = 0

        def __enter__(self) -> "CtrlC":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self, count: int) -> None:
            self.chunks += 1
            if self.chunks == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tqdm.auto.tqdm", CtrlC)
        with pytest.raises(KeyboardInterrupt):
            load_cifar10(tmp_path)
    assert listing(tmp_path) == [PART]
    kept = (tmp_path / PART).stat().st_size
    assert 0 < kept < len(server.content)
    check(load_cifar10(tmp_path), files)
    assert server.ranges == [None, f"bytes={kept}-"]


def test_a_server_that_ignores_range_starts_over(server: Server, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(server.content[:5000])
    server.ignores_range = True
    check(load_cifar10(tmp_path), files)
    assert server.ranges == ["bytes=5000-"]
    assert listing(tmp_path) == [ARCHIVE]


def test_a_complete_part_needs_no_server_and_an_overlong_one_starts_over(
    server: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    for folder, extra, requests in (("a", b"", 0), ("b", b"x", 1)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / PART).write_bytes(server.content + extra)
        check(load_cifar10(tmp_path / folder), files)
        assert server.ranges == [None] * requests
        assert listing(tmp_path / folder) == [ARCHIVE]


@pytest.mark.parametrize("kept", [0, 5000], ids=["fresh", "resumed"])
def test_a_wrong_checksum_leaves_nothing_behind(
    server: Server, files: dict[str, bytes], tmp_path: Path, kept: int
) -> None:
    right = server.content
    server.content = right[:-1] + bytes([right[-1] ^ 1])
    if kept:
        (tmp_path / PART).write_bytes(right[:kept])
    with pytest.raises(DataError, match=rf"{server.url} is not the official archive \(SHA-256 .*, expected .* removed"):
        load_cifar10(tmp_path)
    assert listing(tmp_path) == []
    server.content = right
    check(load_cifar10(tmp_path), files)


@pytest.mark.parametrize("kept", [0, 5000], ids=["fresh", "resumed"])
def test_a_file_of_another_size_is_refused_before_it_is_read(server: Server, tmp_path: Path, kept: int) -> None:
    official_bytes = len(server.content)
    server.content += b"more"
    if kept:
        (tmp_path / PART).write_bytes(server.content[:kept])
    with pytest.raises(DataError, match=rf"has {official_bytes + 4:,} bytes; the official archive has"):
        load_cifar10(tmp_path)
    assert listing(tmp_path) == []


def test_a_log_in_page_does_not_cost_what_is_there(server: Server, tmp_path: Path) -> None:
    server.content, server.ignores_range = b"<html>please log in</html>", True
    (tmp_path / PART).write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match="has 26 bytes; the official archive has"):
        load_cifar10(tmp_path)
    assert (tmp_path / PART).stat().st_size == 5000


def test_an_unreachable_server_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot download http://127\.0\.0\.1:9.*MINICNN_CIFAR_URL"):
        load_cifar10(tmp_path)
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{server}/elsewhere.tar.gz", "404"),
        ("nonsense://host/file", "unknown url type"),
        ("{tmp}/no-such-file.tar.gz", "No such file"),
    ],
)
def test_a_bad_mirror_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    url = url.format(server=server.url.rpartition("/")[0], tmp=tmp_path)
    monkeypatch.setenv("MINICNN_CIFAR_URL", url)
    with pytest.raises(DataError, match=rf"cannot download \S*{url} to .*{reason}"):
        load_cifar10(tmp_path / "data")
    assert listing(tmp_path / "data") == []


@pytest.mark.parametrize("form", ["http", "http folder", "path", "path of a folder", "file"])
def test_mirror(
    server: Server, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    (tmp_path / "local copy").mkdir()
    local = tmp_path / "local copy" / ARCHIVE
    local.write_bytes(server.content)
    mirror = {
        "http": server.url,
        "http folder": server.url.removesuffix(ARCHIVE),
        "path": str(local),
        "path of a folder": str(local.parent),
        "file": local.as_uri(),
    }[form]
    monkeypatch.setattr(cifar10, "ARCHIVE_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("MINICNN_CIFAR_URL", mirror)
    check(load_cifar10(tmp_path / "data"), files)
    assert listing(tmp_path / "data") == [ARCHIVE]
    assert local.read_bytes() == server.content


def test_of_two_downloads_at_once_one_waits_for_the_other(
    server: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    """The server holds its first answer back until both processes are under way."""
    both = threading.Event()
    server.on_request = lambda: None if both.wait(20) else None
    program = (
        "import sys, hashlib; from pathlib import Path; from minicnn.data import cifar10\n"
        "url, target, cifar10.ARCHIVE_SHA256, size = sys.argv[1:]\n"
        "cifar10.ARCHIVE_BYTES = int(size)\n"
        "print('ready', flush=True)\n"
        "cifar10.fetch(url, Path(target))\n"
    )
    arguments = [server.url, str(tmp_path / "d" / ARCHIVE), cifar10.ARCHIVE_SHA256, str(len(server.content))]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(cifar10.__file__).parents[2],
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        both.set()
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
    assert server.ranges == [None]
    assert listing(tmp_path / "d") == [ARCHIVE]
    assert (tmp_path / "d" / ARCHIVE).read_bytes() == server.content


def test_many_threads_downloading_at_once(server: Server, tmp_path: Path) -> None:
    errors = []

    def fetch() -> None:
        try:
            cifar10.fetch(server.url, tmp_path / ARCHIVE)
        except DataError as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert server.ranges == [None]
    assert listing(tmp_path) == [ARCHIVE]


def test_a_lock_left_by_a_killed_process_does_not_block(
    server: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / (ARCHIVE + ".lock")).touch()
    check(load_cifar10(tmp_path), files)
    assert listing(tmp_path) == [ARCHIVE]


def test_the_disk_is_full(
    server: Server, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DataError, match="No space left on device"):
        load_cifar10(tmp_path)
    assert listing(tmp_path) == [PART]
