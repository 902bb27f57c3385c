from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.backend import Backend
from tests.gateway.running import PROTOBUF, config_of, running
from tests.gateway.span_requests import traces

trustme = pytest.importorskip("trustme", reason="certificates for these tests are made with trustme")


class Papers:
    """A certificate authority, a server's certificate for 127.0.0.1 and a client's."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        for name, certificate in (
            ("server", authority.issue_cert("127.0.0.1")),
            ("client", authority.issue_cert("client@example.com")),
        ):
            (directory / f"{name}.pem").write_bytes(
                b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
            )
            certificate.private_key_pem.write_to_path(directory / f"{name}.key")
        self.server = {"cert_file": directory / "server.pem", "key_file": directory / "server.key"}
        self.client = {"cert_file": directory / "client.pem", "key_file": directory / "client.key"}


def test_a_receiver_with_a_client_ca_lets_in_its_clients_only(tmp_path: Path) -> None:
    papers = Papers(tmp_path)

    async def run() -> None:
        tls = {**papers.server, "client_ca_file": papers.ca_file}
        async with Backend() as backend:
            config = config_of(tmp_path, {"endpoint": backend.endpoint}, http={"port": 0, "tls": tls})
            async with running(config) as client:
                url = client.url.replace("http:", "https:") + "/v1/traces"
                with_papers = ssl.create_default_context(cafile=papers.ca_file)
                without = ssl.create_default_context(cafile=papers.ca_file)
                with_papers.load_cert_chain(papers.client["cert_file"], papers.client["key_file"])
                headers = {"Content-Type": PROTOBUF}
                async with client.session.post(
                    url, data=traces(2), headers=headers, ssl=with_papers
                ) as response:
                    assert response.status == 200
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await client.session.post(url, data=traces(2), headers=headers, ssl=without)
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await client.post(traces(2))
                await backend.has(2)
                assert len(backend.span_keys) == 2

    asyncio.run(run())


def test_a_destination_with_a_ca_of_its_own_that_asks_for_our_certificate(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers.ca_file)
    context.load_cert_chain(papers.server["cert_file"], papers.server["key_file"])
    context.verify_mode = ssl.CERT_REQUIRED

    async def run() -> None:
        async with Backend() as backend:
            await web.TCPSite(backend._runner, "127.0.0.1", 0, ssl_context=context).start()
            port = backend._runner.addresses[1][1]
            tls = {**papers.client, "ca_file": papers.ca_file}
            endpoint = f"https://127.0.0.1:{port}"
            config = config_of(
                tmp_path, {"endpoint": endpoint, "tls": tls}, {"endpoint": endpoint}, drain_s=0.1
            )
            async with running(config) as client:
                await client.post(traces(3))
                await backend.has(3)
                tally = client.gateway.durable.forwarders["d1"].tally
                async with asyncio.timeout(5):
                    while not tally.attempts:
                        await asyncio.sleep(0.01)
                assert set(tally.attempts) == {"ClientConnectorCertificateError"}
                assert len(backend.span_keys) == 3

    asyncio.run(run())
