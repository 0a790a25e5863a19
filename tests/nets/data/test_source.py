"""download"""

import hashlib
import http.server
import io
import sys
import threading
from pathlib import Path

import pytest

from nets.data.source import DownloadError, PublishedFile, download, terminal_progress

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path == "/cut":
            self.wfile.write(CONTENT[:1000])
        elif self.path == "/tampered":
            self.wfile.write(CONTENT[:-1] + b"!")
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def published(*urls: str, size: int = len(CONTENT)) -> PublishedFile:
    return PublishedFile("file.bin", (hashlib.md5(CONTENT).hexdigest(),), size, urls)


def test_whole_file_arrives_with_progress(tmp_path, site):
    seen = []
    path = download(published(f"{site}/good"), tmp_path / "new", lambda *step: seen.append(step))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 1


def test_the_next_address_is_tried(tmp_path, site):
    file = published(f"{site}/missing", f"{site}/cut", f"{site}/tampered", f"{site}/good")
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("missing", "Not Found"),
        ("cut", "has 1000 bytes|IncompleteRead"),
        ("tampered", "has md5 .* is published"),
        ("elsewhere", "redirect|file"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_why(tmp_path, site, address, reason):
    with pytest.raises(DownloadError, match=reason):
        download(published(f"{site}/{address}"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_longer_than_published_is_cut_short(tmp_path, site):
    with pytest.raises(DownloadError, match="longer than the 1000 bytes"):
        download(published(f"{site}/good", size=1000), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_survives_a_failure(tmp_path, site):
    (tmp_path / "file.bin").write_bytes(b"before")
    with pytest.raises(DownloadError):
        download(published(f"{site}/tampered"), tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == b"before"


def test_only_the_web_is_asked(tmp_path):
    with pytest.raises(DownloadError, match="only http and https"):
        download(published(Path("/etc/hostname").as_uri()), tmp_path)
    with pytest.raises(DownloadError, match=r"refused|Connection"):
        download(published("http://127.0.0.1:9/file.bin"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_silent_where_there_is_no_terminal():
    with terminal_progress("file") as progress:
        assert progress is None


def test_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with terminal_progress("file.tar.gz") as progress:
        for done in (500_000, 1_000_000):
            progress(done, 2_000_000)
    assert "file.tar.gz" in sys.stderr.getvalue()
