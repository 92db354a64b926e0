"""Keeps a TLS connection in use while the gateway's certificate is changed: keep_connection.py HOST PORT AUTHORITY.pem

Prints the certificate's serial number, and that of the next one that new connections are shown; then that the old one still serves.
"""
import http.client
import ssl
import sys
import time

host, port, authority = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def connect():
    context = ssl.create_default_context(cafile=authority)
    # The next certificate is for another name.
    context.check_hostname = False
    connection = http.client.HTTPSConnection(host, port, timeout=60, context=context)
    connection.connect()
    return connection


def ask(connection):
    line = connection.sock
    connection.request("GET", "/", headers={"Host": "localhost"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    assert connection.sock is line, "the gateway closed the connection"


def serial(connection):
    return connection.sock.getpeercert()["serialNumber"]


kept = connect()
first = serial(kept)
ask(kept)
print(first, flush=True)
while True:
    ask(kept)
    other = connect()
    ask(other)
    shown = serial(other)
    other.close()
    if shown != first:
        break
    time.sleep(0.02)
print(shown, flush=True)
for _ in range(100):
    ask(kept)
print("kept", flush=True)
