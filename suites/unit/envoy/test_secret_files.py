from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshtest.envoy import sds
from meshtest.envoy.secret_files import EVERYBODY, Disk

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_a_certificate_and_its_key(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("CERT")
    (tmp_path / "k.pem").write_text("KEY")
    found = Disk().read("a", f"file-cert:{tmp_path}/c.pem~{tmp_path}/k.pem")
    assert found == {"cert": "CERT", "key": "KEY"}


def test_reads_a_root(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("ROOT")
    assert Disk().read("a", f"file-root:{tmp_path}/ca.pem") == {"ca": "ROOT"}


def test_the_systems_roots_are_there() -> None:
    found = Disk().read("a", "file-root:system")
    assert found is not None
    assert "BEGIN CERTIFICATE" in found["ca"]


def test_the_system_trusts_whom_it_is_told_to_besides() -> None:
    disk = Disk()
    assert disk.trust("MINE")
    assert not disk.trust("MINE")
    found = disk.read("a", "file-root:system")
    assert found is not None
    assert found["ca"].endswith("MINE")


def test_a_missing_file_is_no_secret() -> None:
    assert Disk().read("a", "file-root:/nowhere/ca.pem") is None
    assert Disk().read("a", "kubernetes://name") is None


def test_a_proxys_own_file_lies_over_everybodys_and_that_over_the_machines(tmp_path: Path) -> None:
    path = f"{tmp_path}/ca.pem"
    (tmp_path / "ca.pem").write_text("MACHINE")
    disk = Disk()
    disk.put(EVERYBODY, {path: "EVERYBODY"})
    disk.put("a", {path: "A"})
    assert [disk.read(node, f"file-root:{path}") for node in "ab"] == [{"ca": "A"}, {"ca": "EVERYBODY"}]
    disk.put("a", {})
    disk.put(EVERYBODY, {})
    assert disk.read("a", f"file-root:{path}") == {"ca": "MACHINE"}


def test_sds_answers_for_files_and_reads_them_again_when_they_change() -> None:
    secrets = sds.Secrets()
    name = "file-root:/etc/certs/ca.pem"
    assert secrets.find("a", name) is None
    secrets.disk.put("a", {"/etc/certs/ca.pem": "ONE"})
    secrets.read_again()
    first = secrets.find("a", name)
    secrets.disk.put("a", {"/etc/certs/ca.pem": "TWO"})
    assert first is not None
    assert secrets.find("a", name) == first
    secrets.read_again()
    assert secrets.find("a", name) != first
    assert secrets.find("b", name) is None


def test_who_waits_for_a_file_in_vain_is_known() -> None:
    secrets = sds.Secrets()
    name = "file-root:/etc/certs/ca.pem"
    watch = sds._Watch("a", name, asyncio.Event())
    secrets._watches.append(watch)
    assert (secrets.starved("a"), secrets.starved("b"), secrets.files_known()) == ([name], [], True)
    secrets.disk.put("a", {"/etc/certs/ca.pem": "ONE"})
    secrets.read_again()
    assert watch.wanted.is_set()
    assert (secrets.starved("a"), secrets.files_known()) == ([], False)
    secret = secrets.find("a", name)
    assert secret is not None
    watch.refused = f"{secret.version} no PEM"
    assert (secrets.starved("a"), secrets.files_known()) == ([name], True)
    watch.acknowledged, watch.refused = secret.version, ""
    assert (secrets.starved("a"), secrets.files_known()) == ([], True)
