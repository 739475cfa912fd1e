"""The transport, against a real server: connections are kept, and what may be tried again is."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from millstream.errors import Unavailable
from millstream.transport import Patience, Transport
from tests.unit.millstream.loopback import Answer, Asked, free_port, loopback, one_by_one


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def read(self) -> float:
        return self.now


class Buffer:
    """A sink in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def rewind(self) -> None:
        self.data.clear()

    def write(self, data: bytes) -> None:
        self.data += data


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport(clock: Clock) -> Transport:
    return Transport(Patience(seconds=30, refused=1, timeout=10), sleep=clock.sleep, clock=clock.read)


def test_a_request_arrives_as_it_was_sent_and_its_answer_comes_back(transport: Transport) -> None:
    with loopback(lambda _: Answer(201, b"made", {"X-Note": "yes"})) as server:
        response = transport.request("POST", f"{server.url}/a/b?c=d%20e", headers={"X-Ask": "1"}, body=b"hello")
        transport.close()
    assert (response.status, response.body, response.headers["x-note"]) == (201, b"made", "yes")
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.headers["x-ask"], asked.body) == ("POST", "/a/b?c=d%20e", "1", b"hello")


def test_one_connection_serves_many_requests(transport: Transport) -> None:
    with loopback(lambda _: Answer(200, b"x")) as server:
        for _ in range(5):
            transport.request("GET", server.url)
        transport.close()
    assert {asked.connection for asked in server.asked} == {1}


def test_each_thread_at_work_has_a_connection_and_they_are_used_again(transport: Transport) -> None:
    meeting = threading.Barrier(4, timeout=10)

    def answer(asked: Asked) -> Answer:
        if asked.path == "/meet":
            meeting.wait()
        return Answer()

    with loopback(answer) as server, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: transport.request("GET", f"{server.url}/meet"), range(4)))
        list(pool.map(lambda _: transport.request("GET", server.url), range(20)))
        transport.close()
    assert {asked.connection for asked in server.asked} == {1, 2, 3, 4}


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_without_a_pause(
    transport: Transport, clock: Clock
) -> None:
    with loopback(lambda _: Answer(close=True, headers={})) as server:
        for _ in range(3):
            assert transport.request("GET", server.url).status == 200
        transport.close()
    assert len(server.asked) == 3
    assert clock.slept == []


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_answers_that_ask_for_patience_are_tried_again_ever_later(
    transport: Transport, clock: Clock, status: int
) -> None:
    with loopback(one_by_one(*[Answer(status)] * 4, Answer(200, b"at last"))) as server:
        assert transport.request("GET", server.url).body == b"at last"
        transport.close()
    assert len(clock.slept) == 4
    assert clock.slept[3] > clock.slept[0]
    assert all(0 < pause <= 3 for pause in clock.slept)


def test_the_server_may_say_how_long_to_wait(transport: Transport, clock: Clock) -> None:
    with loopback(one_by_one(Answer(429, headers={"Retry-After": "7"}), Answer())) as server:
        transport.request("GET", server.url)
        transport.close()
    (slept,) = clock.slept
    assert 7.0 <= slept <= 8.75


def test_who_is_told_to_wait_longer_than_they_have_patience_is_not_kept(transport: Transport, clock: Clock) -> None:
    with loopback(lambda _: Answer(429, b"later", headers={"Retry-After": "60"})) as server:
        response = transport.request("GET", server.url)
        transport.close()
        assert len(server.asked) == 1
    assert (response.status, clock.slept) == (429, [])


def test_who_are_told_the_same_do_not_come_back_at_once(transport: Transport, clock: Clock) -> None:
    with loopback(one_by_one(*[Answer(429, headers={"Retry-After": "2"})] * 8, Answer())) as server:
        transport.request("GET", server.url)
        transport.close()
    assert len({round(slept, 6) for slept in clock.slept}) == 8
    assert all(2.0 <= slept <= 3.0 for slept in clock.slept)


def test_patience_ends_with_the_last_answer(transport: Transport, clock: Clock) -> None:
    with loopback(lambda _: Answer(503, b"busy")) as server:
        response = transport.request("GET", server.url)
        transport.close()
    assert (response.status, response.body) == (503, b"busy")
    assert 20 < clock.now <= 30


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500])
def test_other_answers_are_final(transport: Transport, clock: Clock, status: int) -> None:
    with loopback(lambda _: Answer(status)) as server:
        assert transport.request("GET", server.url).status == status
        transport.close()
    assert clock.slept == []


@pytest.mark.parametrize("cut", [-1, 0, 5])
def test_an_answer_that_breaks_off_is_asked_for_again(transport: Transport, clock: Clock, cut: int) -> None:
    answers = one_by_one(Answer(), Answer(200, b"0123456789", cut=cut), Answer(200, b"0123456789"))
    with loopback(answers) as server:
        transport.request("GET", server.url)
        assert transport.request("POST", server.url, body=b"x").body == b"0123456789"
        transport.close()
    assert len(server.asked) >= 3
    assert server.asked[-1].body == b"x"


def test_where_nothing_has_ever_answered_patience_is_short(transport: Transport, clock: Clock) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=rf"{url} does not answer: .*refused.*scripts/up"):
        transport.request("GET", url)
    assert 0 < clock.now <= 1


def test_a_service_that_has_answered_before_is_waited_for(transport: Transport, clock: Clock) -> None:
    with loopback(lambda _: Answer()) as server:
        transport.request("GET", server.url)
    with pytest.raises(Unavailable):
        transport.request("GET", server.url)
    assert 20 < clock.now <= 30


def test_a_file_is_sent_whole_again_after_a_failure(transport: Transport) -> None:
    body = io.BytesIO(b"abc" * 100_000)
    with loopback(one_by_one(Answer(503), Answer(cut=-1), Answer(201))) as server:
        assert transport.request("PUT", server.url, body=body).status == 201
        transport.close()
    assert all(asked.body == body.getvalue() for asked in server.asked)
    assert server.asked[0].headers["content-length"] == "300000"


def test_an_answer_streams_into_a_file_from_its_beginning(transport: Transport) -> None:
    data = b"0123456789" * 200_000
    sink = Buffer()
    with loopback(one_by_one(Answer(200, data, cut=1_000_000), Answer(200, data))) as server:
        response = transport.request("GET", server.url, sink=sink)
        transport.close()
    assert response.body == b""
    assert bytes(sink.data) == data


def test_the_words_of_an_error_do_not_go_into_the_file(transport: Transport) -> None:
    sink = Buffer()
    with loopback(lambda _: Answer(404, b"no such blob")) as server:
        assert transport.request("GET", server.url, sink=sink).body == b"no such blob"
        transport.close()
    assert not sink.data
