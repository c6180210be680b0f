"""A connection of the web server that is closed when its client is idle."""

import asyncio
import time

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 15.0  # in which a request must be whole, or some of an answer be taken
ALMOST = 0.8  # of the limit on connections: from there on the longest idle one is closed


class Connection(H11Protocol):
    """A connection that is closed once its client is idle; uvicorn's own waits for ever.

    A client is idle while no request of it is being answered. It has `SECONDS` for the lines of a
    request, however many bytes come meanwhile, and each time as many to take part of an answer that
    has been written. Where there are nearly as many connections as there may be, each new one ends
    that which has been idle the longest: silent clients keep nobody out.
    """

    _deadline: asyncio.TimerHandle | None = None  # None while a request is answered
    _since = 0.0  # when the wait began; a timer of uvloop knows whole milliseconds only
    _untaken = 0  # bytes of an answer, at the last look

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Starts to wait for a request, and makes room for other connections."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > ALMOST * (self.limit_concurrency or float("inf")):
            self._end_longest_idle()

    def data_received(self, data: bytes) -> None:
        """Takes bytes, which may complete a request."""
        super().data_received(data)
        if self._is_answering() and not self.transport.get_write_buffer_size():
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Refuses malformed requests; a request that turns malformed gets no second answer."""
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # an answer was begun
            self.transport.close()

    def on_response_complete(self) -> None:
        """Waits for the client to take the answer and to ask again, unless it has done so."""
        super().on_response_complete()
        if not self._is_answering() or self.transport.get_write_buffer_size():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._untaken = self.transport.get_write_buffer_size()
        self._since = time.monotonic()
        self._deadline = self.loop.call_later(SECONDS, self._end_unless_taking)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_unless_taking(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        if 0 < untaken < self._untaken:
            self._wait()
        elif untaken:
            self.transport.abort()  # `close` would wait until the client takes all
        elif self._is_answering():  # a request that came before the answer to another was taken
            self._stop_waiting()
        else:
            self.transport.close()

    def _end_longest_idle(self) -> None:
        others = (c for c in self.connections if isinstance(c, Connection) and c is not self)
        idle = [c for c in others if c._deadline is not None]
        if idle:
            oldest = min(idle, key=lambda c: c._since)
            oldest._stop_waiting()
            oldest.transport.abort()
