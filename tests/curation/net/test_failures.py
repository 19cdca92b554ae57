import errno
import inspect
import socket
import ssl

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from curation.net.failures import failure_of, failure_of_status
from schemas.outcomes import FailureReason as Reason

_KEY = ConnectionKey("h", 80, False, True, None, None, None)
_CERTIFICATE = ssl.CertificateError("no name matches")
# These say no more than that there was no connection to be had.
_GENERAL = {
    *("ClientError", "ClientConnectionError", "ClientOSError", "ServerConnectionError", "ClientConnectorError"),
    *("ClientProxyConnectionError", "UnixClientConnectorError", "UploadAbortedError", "RedirectClientError"),
}


def _exceptions_of_the_client() -> list[type[aiohttp.ClientError]]:
    members = [value for _, value in inspect.getmembers(client_exceptions, inspect.isclass)]
    found = [value for value in members if issubclass(value, aiohttp.ClientError)]
    assert len(found) > 20
    return found


def _instance(kind: type[aiohttp.ClientError]) -> aiohttp.ClientError:
    if kind is aiohttp.ClientConnectorCertificateError:
        return aiohttp.ClientConnectorCertificateError(_KEY, _CERTIFICATE)
    if kind is aiohttp.ServerFingerprintMismatch:
        return aiohttp.ServerFingerprintMismatch(b"", b"", "h", 80)
    if kind is client_exceptions.UnixClientConnectorError:
        return client_exceptions.UnixClientConnectorError("/x", _KEY, OSError(errno.ENOENT, "x"))
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(_KEY, OSError(errno.EHOSTUNREACH, "x"))
    if issubclass(kind, aiohttp.ClientResponseError):
        info = aiohttp.RequestInfo(URL("http://h/"), "GET", None, URL("http://h/"))
        return kind(info, ())
    return kind("http://h/") if issubclass(kind, aiohttp.InvalidURL) else kind()


@pytest.mark.parametrize("kind", _exceptions_of_the_client(), ids=lambda kind: kind.__name__)
def test_reason_is_found_when_the_client_raises_any_of_its_exceptions(kind: type[aiohttp.ClientError]):
    reason = failure_of(_instance(kind)).reason
    assert (reason is Reason.CONNECTION_FAILED) == (kind.__name__ in _GENERAL)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (aiohttp.ConnectionTimeoutError(), Reason.CONNECT_TIMEOUT),
        (aiohttp.SocketTimeoutError(), Reason.READ_TIMEOUT),
        (TimeoutError(), Reason.TOTAL_TIMEOUT),
        (aiohttp.ClientConnectorError(_KEY, OSError(errno.ECONNREFUSED, "x")), Reason.CONNECTION_REFUSED),
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), Reason.CONNECTION_RESET),
        (OSError(errno.EMFILE, "x"), Reason.CONNECTION_FAILED),
        (aiohttp.ClientConnectorDNSError(_KEY, socket.gaierror(socket.EAI_NONAME, "x")), Reason.DNS_NOT_FOUND),
        (aiohttp.ClientConnectorDNSError(_KEY, socket.gaierror(socket.EAI_AGAIN, "x")), Reason.DNS_FAILED),
        (socket.gaierror(socket.EAI_FAIL, "x"), Reason.DNS_FAILED),
        (ssl.SSLError(1, "x"), Reason.TLS_FAILED),
        (UnicodeError("label too long"), Reason.INVALID_URL),
        (aiohttp.ClientPayloadError("cut"), Reason.TRUNCATED_BODY),
    ],
)
def test_reason_tells_what_happened_when_an_error_is_given(error: Exception, reason: Reason):
    assert failure_of(error).reason is reason


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
