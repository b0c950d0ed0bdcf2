"""A client that waits for more than it gets: client.py ADDRESS PORT."""

import socket
import sys

s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(b"hello\n")
print("answer", s.recv(100), flush=True)
try:
    got = s.recv(100)
except OSError as e:
    print("told", e, flush=True)
    sys.exit(4)
print("told", got, flush=True)
sys.exit(3)
