"""Files that are complete or absent, locks between threads and processes, and the cache."""

import errno
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from minicnn import files
from minicnn.files import cache_folder, load_cached, locked, printable, regular_file, save_cached, write_atomically
from tests.lock_holder import holder

# --- complete or absent ----------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_atomically(path, "näïve")
    assert path.read_text(encoding="utf-8") == "näïve"
    write_atomically(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file.txt"
    write_atomically(path, "old")

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(failing, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


# --- locks -----------------------------------------------------------------------------------------------------


def test_never_two_at_once_though_the_lock_file_comes_and_goes(tmp_path: Path) -> None:
    inside, most = 0, 0

    def enter_and_leave() -> None:
        nonlocal inside, most
        for _ in range(40):
            with locked(tmp_path / "lock", lambda: None):
                inside += 1
                most = max(most, inside)
                time.sleep(1e-4)
                inside -= 1

    threads = [threading.Thread(target=enter_and_leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_another_process_holds_is_refused_at_once(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", "minicnn.files", "locked") as process:
        for _ in range(2):  # the file that is refused stays
            with pytest.raises(BlockingIOError), locked(tmp_path / "lock"):
                pass
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        process.communicate("go on\n")
    assert list(tmp_path.iterdir()) == []


def test_who_waits_is_told_once_and_gets_the_lock(tmp_path: Path) -> None:
    told = []
    with holder(tmp_path / "lock", "minicnn.files", "locked") as process:

        def busy() -> None:
            told.append("busy")
            assert process.stdin is not None
            process.stdin.write("go on\n")
            process.stdin.flush()

        with locked(tmp_path / "lock", busy):
            assert process.wait(20) == 0
    assert told == ["busy"]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", "minicnn.files", "locked") as process:
        process.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]  # only the file
    with locked(tmp_path / "lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_released_after_an_error_and_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_an_error_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: Any, **more: Any) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock, "lock_descriptor", none)
    with pytest.raises(OSError, match="No locks available"), locked(tmp_path / "lock"):
        pytest.fail("there is no lock to hold")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "lock").touch()  # of a process that may hold it
    with pytest.raises(OSError, match="No locks available"), locked(tmp_path / "lock"):
        pytest.fail("there is no lock to hold")
    assert (tmp_path / "lock").exists()


# --- the cache -------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):  # the second is platformdirs' own, for Windows
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return cache_folder()


def test_a_reader_never_sees_half_a_file(own_cache: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(4)]
    writers = [
        threading.Thread(target=lambda content=content: [save_cached("name", content) for _ in range(15)])
        for content in contents
    ]
    save_cached("name", contents[0])
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert load_cached("name") in contents
    assert [path.name for path in own_cache.iterdir()] == ["name"]


def test_an_interrupted_write_leaves_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_cached("name", b"old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_cached("name", b"new")
    assert load_cached("name") == b"old"
    assert [path.name for path in own_cache.iterdir()] == ["name"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders, which platformdirs knows")
def test_where_the_cache_is(own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == own_cache == tmp_path / "cache" / "minicnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "minicnn"
    assert load_cached("nothing") is None


def test_names_are_escaped_for_output() -> None:
    assert printable("Äpfel 🍎 \x1b[2J\n" + os.fsdecode(b"caf\xe9")) == r"Äpfel 🍎 \x1b[2J\n" + r"caf\udce9"


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        regular_file(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        regular_file(tmp_path)
    with pytest.raises(OSError, match="not a regular file"):
        regular_file(os.devnull)
    (tmp_path / "a").write_bytes(b"abc")
    assert regular_file(tmp_path / "a").st_size == 3


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*figure\.png'"):
        write_atomically(tmp_path / "figure.png", b"1")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """As in a container under a user that no user database knows; temporary files are in the folder returned."""
    import pwd

    def unknown(user: int) -> None:
        raise KeyError(user)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    files._temporary_cache.cache_clear()
    yield tmp_path
    files._temporary_cache.cache_clear()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such user database")
def test_without_a_home_the_cache_is_a_temporary_folder_of_this_user_alone(no_home: Path) -> None:
    assert not files.home_is_known()
    assert cache_folder() == no_home / f"minicnn-{os.getuid()}" == cache_folder()
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    save_cached("name", b"content")
    assert load_cached("name") == b"content"
    files._temporary_cache.cache_clear()  # as another process
    assert load_cached("name") == b"content"
    assert [path.name for path in no_home.iterdir()] == [f"minicnn-{os.getuid()}"]  # none is called "~"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such user database")
@pytest.mark.parametrize("made", ["open to all", "a link", "a file"])
def test_a_temporary_cache_that_others_could_have_made_is_not_trusted(no_home: Path, made: str) -> None:
    other = no_home / f"minicnn-{os.getuid()}"
    if made == "open to all":
        other.mkdir()
        other.chmod(0o777)
    elif made == "a link":
        (no_home / "elsewhere").mkdir(mode=0o700)
        other.symlink_to(no_home / "elsewhere")
    else:
        other.write_text("")
    save_cached("name", b"content")
    assert cache_folder() != other and cache_folder().parent == no_home
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    assert load_cached("name") == b"content"
