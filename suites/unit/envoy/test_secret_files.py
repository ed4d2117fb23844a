from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.envoy import sds, secret_files

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_a_certificate_and_its_key(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("CERT")
    (tmp_path / "k.pem").write_text("KEY")
    assert secret_files.read(f"file-cert:{tmp_path}/c.pem~{tmp_path}/k.pem") == {"cert": "CERT", "key": "KEY"}


def test_reads_a_root(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("ROOT")
    assert secret_files.read(f"file-root:{tmp_path}/ca.pem") == {"ca": "ROOT"}


def test_the_systems_roots_are_there() -> None:
    found = secret_files.read("file-root:system")
    assert found is not None
    assert "BEGIN CERTIFICATE" in found["ca"]


def test_a_missing_file_is_no_secret() -> None:
    assert secret_files.read("file-root:/nowhere/ca.pem") is None
    assert secret_files.read("kubernetes://name") is None


def test_sds_answers_for_files(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("ROOT")
    secrets = sds.Secrets()
    assert secrets.find("anybody", f"file-root:{tmp_path}/ca.pem") is not None
    assert secrets.missing("anybody") == []
