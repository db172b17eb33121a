"""What a page runs in a browser: fetched once by npm, to the byte what is expected, or a sentence that says what to do."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import web_assets  # noqa: E402


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """An npm that packs `content` as the one asset there is; npm.calls counts how often it was asked."""
    asset = ("thing@1.0", "dist/thing.js", "static/thing.js", web_assets._digest(b"good"))
    monkeypatch.setattr(web_assets, "ASSETS", [asset])
    monkeypatch.setattr(web_assets.shutil, "which", lambda name: f"/bin/{name}")

    def pack(command, cwd, **_):
        pack.calls.append(command)
        if pack.content is not None:
            with tarfile.open(Path(cwd) / "thing-1.0.tgz", "w:gz") as tar:
                info = tarfile.TarInfo("package/dist/thing.js")
                info.size = len(pack.content)
                tar.addfile(info, io.BytesIO(pack.content))
        return subprocess.CompletedProcess(command, pack.content is None, "", "npm error network\nmore")

    pack.calls, pack.content = [], b"good"
    monkeypatch.setattr(web_assets.subprocess, "run", pack)
    return pack


def test_what_is_there_is_not_fetched_again_and_what_was_changed_is(npm, tmp_path):
    assert web_assets.fetch(tmp_path) == ["thing@1.0"]
    assert web_assets.fetch(tmp_path) == [] and len(npm.calls) == 1
    (tmp_path / "static" / "thing.js").write_bytes(b"changed")
    assert web_assets.fetch(tmp_path) == ["thing@1.0"]
    assert (tmp_path / "static" / "thing.js").read_bytes() == b"good"
    assert npm.calls[0][1:] == ["pack", "--silent", "--no-update-notifier", "thing@1.0"]


def test_other_bytes_than_expected_are_refused(npm, tmp_path):
    npm.content = b"bad!"
    with pytest.raises(web_assets.AssetError, match=r"dist/thing.js of thing@1.0 has the SHA-256 \w+, expected \w+"):
        web_assets.fetch(tmp_path)
    assert not (tmp_path / "static").exists()


def test_no_network_and_no_npm_are_said_plainly(npm, tmp_path, monkeypatch, capsys):
    npm.content = None
    with pytest.raises(
        web_assets.AssetError, match=r"npm pack thing@1\.0 failed: npm error network\. Is there a network\?"
    ):
        web_assets.fetch(tmp_path)
    monkeypatch.setattr(web_assets.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        web_assets, "fetch", lambda: (_ for _ in ()).throw(web_assets.AssetError("npm is not installed."))
    )
    monkeypatch.setattr(sys, "argv", ["web_assets.py"])
    assert web_assets.main() == 2 and capsys.readouterr().err == "make book: npm is not installed.\n"
    monkeypatch.setattr(sys, "argv", ["web_assets.py", "--optional"])
    assert web_assets.main() == 0 and "Only make book needs this" in capsys.readouterr().err


def test_every_asset_is_pinned_and_ignored_by_git():
    places = [place for _, _, place, _ in web_assets.ASSETS]
    assert all("@" in package[1:] and len(digest) == 64 for package, _, _, digest in web_assets.ASSETS)
    ignored = subprocess.run(["git", "check-ignore", *places], cwd=ROOT, capture_output=True, text=True)
    if ignored.returncode == 128:
        pytest.skip("this is no git checkout")
    assert ignored.stdout.split() == places
