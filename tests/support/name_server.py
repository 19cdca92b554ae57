"""A nameserver on loopback whose every answer a test writes by hand; it counts the questions, also those at a time."""

import socket
import threading
import time
from collections import Counter

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers A questions from `records`: lists of answers, each used once and the last one for ever.

    An answer is a list of lines like `5 A 127.0.0.1` or `5 CNAME other.example`, or the name of an
    error (`NXDOMAIN`, `SERVFAIL`), or None for no answer at all.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.records: dict[str, list[list[str] | str | None]] = {}
        self.asked: Counter[str] = Counter()
        self.most_together = 0
        self._together = 0
        self._delay_s = delay_s
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def on(self, name: str, *answers: list[str] | str | None) -> None:
        self.records[name] = list(answers)

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                data, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self._answer, args=(data, sender), daemon=True).start()

    def _answer(self, data: bytes, sender: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        if question.rdtype != dns.rdatatype.A:
            self._send(dns.message.make_response(query), sender)
            return
        name = question.name.to_text().rstrip(".")
        with self._lock:
            self.asked[name] += 1
            self._together += 1
            self.most_together = max(self.most_together, self._together)
            answers = self.records.get(name, ["NXDOMAIN"])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        time.sleep(self._delay_s)
        with self._lock:
            self._together -= 1
        if answer is not None:
            self._send(_response(query, name, answer), sender)

    def _send(self, response: dns.message.Message, sender: tuple[str, int]) -> None:
        try:
            self._socket.sendto(response.to_wire(), sender)
        except OSError:
            return


def _response(query: dns.message.Message, name: str, answer: list[str] | str) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    if isinstance(answer, str):
        response.set_rcode(dns.rcode.from_text(answer))
        return response
    for line in answer:
        ttl, kind, value = line.split()
        value = value if kind == "A" else f"{value}."
        response.answer.append(dns.rrset.from_text(f"{name}.", int(ttl), "IN", kind, value))
        name = value.rstrip(".") if kind == "CNAME" else name
    return response
