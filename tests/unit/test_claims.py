"""Claims, where the file system knows no locks."""

import errno
import fcntl

from vidrnn.claims import Claims


def test_a_file_system_without_locks_lets_all_work(tmp_path, monkeypatch):
    def refuse(*_request: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with Claims(tmp_path / ".claims") as claims:
        for video in ("a.mp4", "b.mp4"):
            assert claims.take(video)
            claims.give_back(video)
