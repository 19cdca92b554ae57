import asyncio
import errno
import importlib
import inspect
import os
import pkgutil
import re
import socket
import ssl
import zlib

import aiohttp
import brotli
import pytest
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from curation.net import inflate
from curation.net.failures import CLIENT_ERRORS, HEALABLE, FetchFailure, failure_of, failure_of_status
from schemas.outcomes import FailureReason as Reason

_KEY = ConnectionKey("h", 80, False, True, None, None, None)
_CERTIFICATE = ssl.CertificateError("no name matches")

# Every exception that aiohttp defines for its client, by name. One that is not here fails the test: what it
# stands for has to be thought about first.
OF_AIOHTTP = {
    "ClientConnectionError": Reason.CONNECTION_FAILED,
    "ClientConnectionResetError": Reason.CONNECTION_RESET,
    "ClientConnectorCertificateError": Reason.TLS_FAILED,
    "ClientConnectorDNSError": Reason.DNS_FAILED,
    "ClientConnectorError": Reason.CONNECTION_FAILED,
    "ClientConnectorSSLError": Reason.TLS_FAILED,
    "ClientError": Reason.CONNECTION_FAILED,
    "ClientHttpProxyError": Reason.HTTP_MALFORMED,
    "ClientOSError": Reason.CONNECTION_FAILED,
    "ClientPayloadError": Reason.TRUNCATED_BODY,
    "ClientProxyConnectionError": Reason.CONNECTION_FAILED,
    "ClientResponseError": Reason.HTTP_MALFORMED,
    "ClientSSLError": Reason.TLS_FAILED,
    "ConnectionTimeoutError": Reason.CONNECT_TIMEOUT,
    "ContentTypeError": Reason.HTTP_MALFORMED,
    "InvalidURL": Reason.INVALID_URL,
    "InvalidUrlClientError": Reason.INVALID_URL,
    "InvalidUrlRedirectClientError": Reason.INVALID_URL,
    "NonHttpUrlClientError": Reason.UNSUPPORTED_SCHEME,
    "NonHttpUrlRedirectClientError": Reason.UNSUPPORTED_SCHEME,
    "RedirectClientError": Reason.CONNECTION_FAILED,
    "ServerConnectionError": Reason.CONNECTION_FAILED,
    "ServerDisconnectedError": Reason.CONNECTION_RESET,
    "ServerFingerprintMismatch": Reason.TLS_FAILED,
    "ServerTimeoutError": Reason.READ_TIMEOUT,
    "SocketTimeoutError": Reason.READ_TIMEOUT,
    "TooManyRedirects": Reason.TOO_MANY_REDIRECTS,
    "UnixClientConnectorError": Reason.CONNECTION_FAILED,
    "UploadAbortedError": Reason.CONNECTION_FAILED,
    "WSServerHandshakeError": Reason.HTTP_MALFORMED,
    # What its parser raises; wrapped in one of the above wherever it is known to come out.
    "BadHttpMessage": Reason.HTTP_MALFORMED,
    "BadHttpMethod": Reason.HTTP_MALFORMED,
    "BadStatusLine": Reason.HTTP_MALFORMED,
    "ContentEncodingError": Reason.BAD_CONTENT_ENCODING,
    "ContentLengthError": Reason.TRUNCATED_BODY,
    "DecompressSizeError": Reason.BODY_TOO_LARGE,
    "HttpBadRequest": Reason.HTTP_MALFORMED,
    "HttpProcessingError": Reason.HTTP_MALFORMED,
    "InvalidHeader": Reason.HTTP_MALFORMED,
    "InvalidURLError": Reason.HTTP_MALFORMED,
    "LineTooLong": Reason.HTTP_MALFORMED,
    "PayloadEncodingError": Reason.HTTP_MALFORMED,
    "TransferEncodingError": Reason.HTTP_MALFORMED,
}
# Raised for what this client never does: inflating, multipart bodies, websockets, looking up payloads by type.
NEVER_RAISED_BY_A_GET = {
    *("TooManyMembersError", "BadContentDispositionHeader", "BadContentDispositionParam", "LookupError"),
    *("EofStream", "WebSocketError", "WSHandshakeError", "WSMessageTypeError"),
}
OF_ASYNCIO = {
    "TimeoutError": Reason.TOTAL_TIMEOUT,
    "IncompleteReadError": Reason.TRUNCATED_BODY,
    "InvalidStateError": Reason.CONNECTION_FAILED,
}
# A cancelled fetch ends no row; the others belong to queues, barriers, sendfile and reading up to a separator.
OF_ASYNCIO_ELSEWHERE = {"CancelledError", "QueueEmpty", "QueueFull", "QueueShutDown", "BrokenBarrierError"} | {
    *("LimitOverrunError", "SendfileNotAvailableError"),
}
# connect(2), recv(2), send(2), getsockopt(2), ip(7), tcp(7) and fcntl(2) of Linux, with accept's network errors.
SOCKET_ERRNOS = re.findall(
    r"\w+",
    "EACCES EPERM EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED EFAULT EINPROGRESS EINTR "
    "EISCONN ENETUNREACH ENOTSOCK EPROTOTYPE ETIMEDOUT ECONNRESET EDESTADDRREQ EINVAL EMSGSIZE ENOBUFS ENOMEM ENOTCONN "
    "EOPNOTSUPP EPIPE ESHUTDOWN ECONNABORTED EMFILE ENFILE EPROTO ENETDOWN ENOPROTOOPT EHOSTDOWN EHOSTUNREACH "
    "ENETRESET EPROTONOSUPPORT EIO ENOENT",
)


def _client_modules() -> list[object]:
    names = [module.name for module in pkgutil.iter_modules(aiohttp.__path__, "aiohttp.")]
    servers = ("web", "pytest_plugin", "test_utils", "worker")
    return [importlib.import_module(name) for name in names if not name.split(".")[1].startswith(servers)]


def _exceptions(modules: list[object], package: str) -> dict[str, type[BaseException]]:
    return {
        value.__name__: value
        for module in modules
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, BaseException) and value.__module__.split(".")[0] == package
    }


def _subclasses(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(_subclasses(sub) for sub in kind.__subclasses__()))


def _instance(kind: type[BaseException]) -> BaseException:
    if kind is aiohttp.ClientConnectorCertificateError:
        return kind(_KEY, _CERTIFICATE)
    if kind is aiohttp.ServerFingerprintMismatch:
        return kind(b"", b"", "h", 80)
    if kind is client_exceptions.UnixClientConnectorError:
        return kind("/x", _KEY, OSError(errno.ENOENT, "x"))
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(_KEY, OSError(errno.EHOSTUNREACH, "x"))
    if issubclass(kind, aiohttp.ClientResponseError):
        return kind(aiohttp.RequestInfo(URL("http://h/"), "GET", None, URL("http://h/")), ())
    if issubclass(kind, http_exceptions.LineTooLong):
        return kind(b"x" * 9, 8)
    if issubclass(kind, asyncio.IncompleteReadError):
        return kind(b"", 1)
    if issubclass(kind, (http_exceptions.BadStatusLine, http_exceptions.InvalidHeader)):
        return kind("x")
    if kind.__module__ == "aiohttp.http_exceptions" and kind is not http_exceptions.HttpProcessingError:
        return kind("x")
    return kind("http://h/") if issubclass(kind, aiohttp.InvalidURL) else kind()


FOUND_IN_AIOHTTP = _exceptions(_client_modules(), "aiohttp")
FOUND_IN_ASYNCIO = _exceptions([asyncio, asyncio.exceptions], "asyncio")


def test_list_is_complete_when_the_client_is_searched_for_exceptions():
    assert len(FOUND_IN_AIOHTTP) >= len(OF_AIOHTTP) > 40
    assert set(FOUND_IN_AIOHTTP) - set(OF_AIOHTTP) - NEVER_RAISED_BY_A_GET == set()
    assert set(OF_AIOHTTP) - set(FOUND_IN_AIOHTTP) == set()
    every_client_error = {
        kind.__name__ for kind in _subclasses(aiohttp.ClientError) if kind.__module__[:7] == "aiohttp"
    }
    assert every_client_error <= set(OF_AIOHTTP)
    assert len(FOUND_IN_ASYNCIO) > 5
    assert set(FOUND_IN_ASYNCIO) - set(OF_ASYNCIO) - OF_ASYNCIO_ELSEWHERE == set()


@pytest.mark.parametrize("name", [*OF_AIOHTTP, *OF_ASYNCIO])
def test_reason_is_the_listed_one_when_the_client_raises_an_exception(name: str):
    kind = FOUND_IN_AIOHTTP.get(name) or FOUND_IN_ASYNCIO.get(name) or getattr(asyncio, name)
    assert issubclass(kind, CLIENT_ERRORS)
    assert failure_of(_instance(kind)).reason is ({**OF_AIOHTTP, **OF_ASYNCIO})[name]


@pytest.mark.parametrize("kind", sorted(_subclasses(ssl.SSLError) | {ssl.CertificateError}, key=str), ids=str)
def test_reason_is_tls_when_ssl_raises_any_of_its_exceptions(kind: type[ssl.SSLError]):
    if not issubclass(kind, aiohttp.ClientError):
        assert failure_of(kind(1, "x")).reason is Reason.TLS_FAILED
        assert failure_of(aiohttp.ClientConnectorSSLError(_KEY, kind(1, "x"))).reason is Reason.TLS_FAILED


def test_list_of_ssl_exceptions_is_not_empty_when_it_is_looked_up():
    assert {"SSLError", "SSLEOFError", "SSLCertVerificationError", "SSLZeroReturnError"} <= {
        kind.__name__ for kind in _subclasses(ssl.SSLError)
    }


@pytest.mark.parametrize("name", SOCKET_ERRNOS)
def test_reason_is_known_when_a_system_call_on_a_socket_fails(name: str):
    number = getattr(errno, name)
    plain, wrapped = OSError(number, os.strerror(number)), aiohttp.ClientOSError(number, os.strerror(number))
    connecting = aiohttp.ClientConnectorError(_KEY, OSError(number, "x"))
    failures = [failure_of(error) for error in (plain, wrapped, connecting)]
    assert len({(failure.reason, failure.detail) for failure in failures}) == 1
    assert failures[0].detail == os.strerror(number)
    assert failures[0].reason in HEALABLE


@pytest.mark.parametrize("kind", sorted(_subclasses(ConnectionError), key=str), ids=str)
def test_reason_is_about_the_connection_when_python_raises_without_a_number(kind: type[ConnectionError]):
    if not issubclass(kind, aiohttp.ClientError):
        assert failure_of(kind()).reason in (
            *(Reason.CONNECTION_RESET, Reason.CONNECTION_REFUSED, Reason.CONNECTION_FAILED),
        )


@pytest.mark.parametrize("name", sorted(name for name in vars(socket) if name.startswith("EAI_")))
def test_reason_is_about_the_name_when_the_resolver_fails(name: str):
    number = getattr(socket, name)
    unknown = name in ("EAI_NONAME", "EAI_NODATA")
    expected = Reason.DNS_NOT_FOUND if unknown else Reason.DNS_FAILED
    assert failure_of(socket.gaierror(number, "x")).reason is expected
    assert failure_of(aiohttp.ClientConnectorDNSError(_KEY, socket.gaierror(number, "x"))).reason is expected


@pytest.mark.parametrize("kind", [zlib.error, brotli.error, inflate.zstd.ZstdError])
def test_damage_is_told_when_a_decompressor_raises_its_exception(kind: type[Exception]):
    assert kind in inflate.BROKEN


@pytest.mark.parametrize(
    ("error", "reason", "detail"),
    [
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), Reason.CONNECTION_RESET, "Connection reset by peer"),
        (OSError(errno.EMFILE, "x"), Reason.CONNECTION_FAILED, "Too many open files"),
        (UnicodeError("label too long"), Reason.INVALID_URL, "UnicodeError"),
        (FetchFailure(Reason.EMPTY_BODY, "why"), Reason.EMPTY_BODY, "why"),
    ],
)
def test_detail_tells_what_happened_when_an_error_is_given(error: Exception, reason: Reason, detail: str):
    failure = failure_of(error)
    assert (failure.reason, failure.detail) == (reason, detail)


def test_mistake_in_the_code_is_no_failure_of_a_row_when_it_is_raised():
    for mistake in (KeyError("x"), AttributeError("x"), AssertionError(), asyncio.CancelledError()):
        assert not isinstance(mistake, CLIENT_ERRORS)
        with pytest.raises(TypeError, match=type(mistake).__name__):
            failure_of(mistake)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, Reason.HTTP_TOO_MANY_REQUESTS),
        (418, Reason.HTTP_CLIENT_ERROR),
        (599, Reason.HTTP_SERVER_ERROR),
        (206, Reason.HTTP_UNEXPECTED_STATUS),
        (999, Reason.HTTP_UNEXPECTED_STATUS),
    ],
)
def test_reason_tells_the_class_of_a_status(status: int, reason: Reason):
    assert failure_of_status(status) is reason
