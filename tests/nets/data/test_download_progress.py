import io
import sys

from nets.data.download import terminal_progress


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
