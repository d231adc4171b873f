#!/usr/bin/python3
"""device.py: a device in Python, by docs/spec/device.md.

It makes its key if there is none, signs statements, stores each durably before it sends it (QoS 1), keeps it until the
ledger has acknowledged it, and goes on where it stopped after a crash. One process, one stream.

    device.py --key FILE --chain ID --stream NAME --show [--organisation ID]
    device.py --key FILE --chain ID --stream NAME --store DIR --broker HOST:PORT --bridge KEY --count N

--show prints ids as JSON; with --organisation also the proof of possession that the organisation needs to enrol the
device. Otherwise it appends N statements and ends when nothing is pending. Standard output has one JSON object a line: one
for each acknowledged statement, one at the end. Exit code 0: all committed; 1: refused or still pending.
"""

import argparse
import base64
import fcntl
import json
import os
import queue
import random
import sys
import time

import paho.mqtt.client as mqtt

import mtm_formats as f
from mtm_ed25519 import Key


def sync_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path, data, mode=0o600, replace=True):
    """The file is there whole, and stays, once this returns; a crash before leaves the old one, or none."""
    temporary = path + ".tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        os.rename(temporary, path)
    else:
        os.link(temporary, path)  # fails if there is one
        os.unlink(temporary)
    sync_directory(os.path.dirname(path) or ".")


def load_key(path):
    """signatures.md, section 3: PKCS#8, mode 0600, refused when others may read it; made if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        key = Key()
        write_durably(path, key.pem(), replace=False)
        return key
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_mode & 0o077:
            raise SystemExit(f"{path}: others can read it; chmod 600")
        return Key.from_pem(file.read(4096))


class Store:
    """What a device keeps of one stream: a file for each statement that is pending or refused, and `next`, the number
    that comes next. `next` is written before a statement is forgotten, so it never falls back."""

    def __init__(self, directory, stream):
        self.directory = os.path.join(directory, f.id_text(stream))
        self.pending_dir = os.path.join(self.directory, "pending")
        self.refused_dir = os.path.join(self.directory, "refused")
        for d in (self.pending_dir, self.refused_dir):
            os.makedirs(d, mode=0o700, exist_ok=True)
        for d in (directory, self.directory, os.path.dirname(os.path.abspath(directory))):
            sync_directory(d)
        self.lock = open(os.path.join(self.directory, "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two processes would use numbers twice
        self.pending, self.refused, self.next = self._read(self.pending_dir), self._read(self.refused_dir), 1
        try:
            with open(os.path.join(self.directory, "next"), encoding="ascii") as file:
                self.next = int(file.read())
        except FileNotFoundError:
            pass
        for s in [*self.pending.values(), *self.refused.values()]:
            self.next = max(self.next, s.last + 1)

    @staticmethod
    def _read(directory):
        """The statements in a directory, by digest, the lowest number first. Nothing of what was being written when the
        power went is left, and what was renamed but perhaps not synced is synced before anything is sent."""
        statements = []
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.endswith(".tmp"):
                os.unlink(path)
                continue
            with open(path, "rb") as file:
                statements.append(f.parse_statement(file.read()))
        sync_directory(directory)
        return {s.digest: s for s in sorted(statements, key=lambda s: s.first)}

    @staticmethod
    def _name(statement):
        return f"{statement.first:019d}"

    def append(self, message):
        statement = f.parse_statement(message)
        write_durably(os.path.join(self.pending_dir, self._name(statement)), message)
        self.pending[statement.digest] = statement
        self.next = statement.last + 1
        return statement

    def forget(self, statement):
        write_durably(os.path.join(self.directory, "next"), str(self.next).encode())
        for known, directory in ((self.pending, self.pending_dir), (self.refused, self.refused_dir)):
            if known.pop(statement.digest, None):
                os.unlink(os.path.join(directory, self._name(statement)))

    def refuse(self, statement):
        """Kept apart: no longer sent, its numbers stay used."""
        if self.pending.pop(statement.digest, None):
            name = self._name(statement)
            os.rename(os.path.join(self.pending_dir, name), os.path.join(self.refused_dir, name))
            sync_directory(self.refused_dir)
            sync_directory(self.pending_dir)
            self.refused[statement.digest] = statement


class Device:
    def __init__(self, args, key, device, stream):
        self.args, self.key, self.device, self.stream = args, key, device, stream
        self.bridges = [f.parse_public_text(b) for b in args.bridge]
        self.store = Store(args.store, stream)
        self.events = queue.Queue()  # from the network's thread
        self.subscribed = False
        self.sent = {}  # digest: when to send again, and the pause after that
        self.failed = 0

    def connect(self):
        host, _, port = self.args.broker.rpartition(":")
        client = self.client = mqtt.Client(client_id=f.id_text(self.device), clean_session=True)
        client.on_connect = lambda c, u, flags, rc: self.events.put(("connected", rc))
        client.on_disconnect = lambda c, u, rc: self.events.put(("lost", rc))
        client.on_subscribe = lambda c, u, mid, granted: self.events.put(("subscribed", granted))
        client.on_message = lambda c, u, m: self.events.put(("message", m.payload))
        client.reconnect_delay_set(1, 30)
        client.connect_async(host, int(port), keepalive=30)
        client.loop_start()

    def append(self):
        """device.md, section 2: take the number, sign, store, and only then send."""
        first = self.store.next
        now = 0 if self.args.no_clock else time.time_ns() // 1000
        readings = [(now and now + i, b"reading %d" % (first + i)) for i in range(self.args.readings)]
        message = f.make_statement(self.key, self.device, self.stream, first, self.args.media, readings)
        self.send(self.store.append(message))

    def send(self, statement):
        if not self.subscribed:
            return
        self.client.publish(f.topic_up(self.device, self.stream), statement.message.bytes, qos=1)
        pause = self.sent.get(statement.digest, (0, 10))[1]
        self.sent[statement.digest] = (time.monotonic() + pause * random.uniform(0.8, 1.2), min(2 * pause, 300))

    def handle(self, event, value):
        if event == "connected" and value == 0:
            self.client.subscribe(f.topic_ack(self.device), qos=1)
        elif event == "lost":
            self.subscribed = False
        elif event == "subscribed":
            if 0x80 in value:
                raise SystemExit("the broker refuses the subscription")
            self.subscribed = True
            for s in list(self.store.pending.values()):
                self.send(s)
        elif event == "message":
            self.acknowledged(value)

    def acknowledged(self, payload):
        """Checked as mqtt.md, section 2, says; whatever fails is ignored and the statement kept."""
        try:
            ack = f.parse_acknowledgement(payload)
        except f.Refused:
            return
        if f.believed(ack, self.args.chain, self.bridges):
            for outcome in ack.outcomes:
                self.settled(outcome)

    def settled(self, outcome):
        statement = self.store.pending.get(outcome.digest) or self.store.refused.get(outcome.digest)
        if statement is None or not f.answers(outcome, statement):
            return
        if outcome.code == 0:
            self.store.forget(statement)
        elif outcome.digest in self.store.pending:
            self.store.refuse(statement)
            self.failed += 1
        else:
            return
        self.sent.pop(outcome.digest, None)
        print(json.dumps({"first": statement.first, "last": statement.last, "code": outcome.code_name,
                          "height": outcome.height, "index": outcome.index}), flush=True)

    def run(self):
        deadline = time.monotonic() + self.args.timeout
        self.connect()
        left = self.args.count
        while (left or self.store.pending) and time.monotonic() < deadline:
            if left:
                self.append()
                left -= 1
            try:
                pause = self.args.every if left else 0.5
                self.handle(*self.events.get(timeout=pause) if pause else self.events.get_nowait())
            except queue.Empty:
                pass
            now = time.monotonic()
            for digest, (when, _) in list(self.sent.items()):
                if when <= now and digest in self.store.pending:
                    self.send(self.store.pending[digest])
        self.client.disconnect()
        self.client.loop_stop()
        print(json.dumps({"next": self.store.next, "pending": len(self.store.pending),
                          "refused": len(self.store.refused)}), flush=True)
        return 0 if not left and not self.store.pending and not self.failed else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", required=True, help="private key, PKCS#8 PEM, made if there is none")
    parser.add_argument("--chain", required=True)
    parser.add_argument("--stream", required=True, help="name of the stream")
    parser.add_argument("--device", help="id of the device, if its key was rotated")
    parser.add_argument("--show", action="store_true", help="print ids and stop")
    parser.add_argument("--organisation", help="with --show: id of the organisation for the proof of possession")
    parser.add_argument("--broker", help="HOST:PORT")
    parser.add_argument("--bridge", action="append", default=[], help="public key of a bridge to trust, base64")
    parser.add_argument("--store", help="folder of what must not be lost")
    parser.add_argument("--count", type=int, default=0, help="statements to append")
    parser.add_argument("--readings", type=int, default=3, help="readings in a statement")
    parser.add_argument("--media", default="text/plain")
    parser.add_argument("--no-clock", action="store_true", help="declare no times")
    parser.add_argument("--every", type=float, default=0, help="seconds between statements")
    parser.add_argument("--timeout", type=float, default=60, help="seconds to run at most")
    args = parser.parse_args()

    key = load_key(args.key)
    f.check_chain(args.chain)
    f.check_name(args.stream)
    device = f.parse_id(args.device) if args.device else f.device_id(key.public)
    stream = f.stream_id(args.chain, device, args.stream)
    if args.show:
        shown = {"device": f.id_text(device), "stream": f.id_text(stream), "kid": f.key_id(key.public).hex(),
                 "public": base64.b64encode(key.public).decode()}
        if args.organisation:
            possession = f.make_possession(key, args.chain, f.parse_id(args.organisation))
            shown["possession"] = base64.b64encode(possession).decode()
        print(json.dumps(shown))
        return 0
    if not (args.broker and args.bridge and args.store):
        parser.error("--broker, --bridge and --store are needed")
    return Device(args, key, device, stream).run()


if __name__ == "__main__":
    sys.exit(main())
