"""Asks by the requests package: requests_client.py URL [AUTHORITY.pem]"""
import sys

import requests

url = sys.argv[1]
with requests.Session() as session:
    # No proxies and authorities of this machine.
    session.trust_env = False
    if len(sys.argv) > 2:
        session.verify = sys.argv[2]
    for number in range(200):
        answer = session.get(f"{url}/any/{number}", params={"q": "a b&c"}, headers={"x-own": "1"}, timeout=60)
        assert answer.status_code == 200 and answer.json()["path"] == f"/any/{number}?q=a+b%26c", answer.text
        assert answer.headers["mesh-trace"]
    for length in (0, 1, 65_536, 5_000_000):
        answer = session.put(f"{url}/upload", data=b"x" * length, timeout=60)
        assert answer.json()["body_bytes"] == length, answer.text
    answer = session.post(f"{url}/upload", data=(b"y" * 10_000 for _ in range(100)), timeout=60)
    assert answer.json()["body_bytes"] == 1_000_000, answer.text
    with session.get(f"{url}/bytes/5000000", stream=True, timeout=60) as answer:
        assert sum(len(piece) for piece in answer.iter_content(100_000)) == 5_000_000
    for status in (204, 304, 404, 503):
        assert session.get(f"{url}/status/{status}", timeout=60).status_code == status
    assert session.head(f"{url}/bytes/1000", timeout=60).headers["content-length"] == "1000"
    assert session.options(f"{url}/any", timeout=60).status_code == 200
