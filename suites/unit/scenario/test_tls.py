"""The caller's own TLS in scenarios."""

from __future__ import annotations

from typing import Any

PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def traffic(tls: str) -> str:
    return f"traffic: {{from: reviews-v2, request: {{url: 'https://ratings/', tls: {tls}}}}}"


def test_certificates_are_read_from_files_beside_the_scenario(files: Any) -> None:
    (files.folder / "client.pem").write_text(PEM)
    (files.folder / "client-key.pem").write_text(PEM.replace("CERTIFICATE", "PRIVATE KEY"))
    tls = "{certificate: client.pem, key: client-key.pem, ca: client.pem, verifyName: true}"
    read = files.one(traffic=traffic(tls)).traffic[0].request.tls
    assert (read.certificate, read.ca, read.verify_name) == (PEM, PEM, True)
    assert "PRIVATE KEY" in read.key
    assert "PRIVATE KEY" not in repr(read)


def test_what_is_no_pem_is_an_error(files: Any) -> None:
    (files.folder / "notes.txt").write_text("no certificate")
    for name in ("nothing.pem", "notes.txt"):
        error = files.error(traffic=traffic(f"{{ca: {name}}}"))
        assert f"no PEM at '{name}'; expected PEM, or a file that holds it" in error
