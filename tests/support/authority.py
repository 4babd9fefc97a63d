"""A time-stamping authority on this machine, made of ``openssl ts``."""

import subprocess
from pathlib import Path
from typing import Final

import msgspec

CONFIG: Final = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[stamping]
basicConstraints = CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = stamper
[stamper]
dir = .
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
"""
KEY: Final = ("-newkey", "rsa:2048", "-nodes", "-config", "openssl.cnf")


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """Its folder, and the certificate that an auditor was given."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    def stamp(self, content: bytes) -> bytes:
        """Its answer to who asks for a stamp of ``content``."""
        (self.folder / "content").write_bytes(content)
        self._run("ts", "-query", "-data", "content", "-sha256", "-cert", "-out", "asked.tsq")
        self._run("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "asked.tsq", "-out", "answered.tsr")
        return (self.folder / "answered.tsr").read_bytes()

    def make(self) -> None:
        (self.folder / "openssl.cnf").write_text(CONFIG)
        (self.folder / "serial").write_text("01\n")
        self._run("req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Root", "-days", "30",
                  "-extensions", "authority")  # fmt: skip
        self._run("req", "-new", *KEY, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Stamps")
        self._run("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                  "30", "-out", "tsa.pem", "-extfile", "openssl.cnf", "-extensions", "stamping")  # fmt: skip

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


def authority_in(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    made = Authority(folder=folder)
    made.make()
    return made
