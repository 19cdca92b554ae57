import pytest

from curation.net.domains import registrable_domain


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("i.pinimg.com", "pinimg.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("example.co.uk.", "example.co.uk"),
        ("someone.github.io", "someone.github.io"),
        ("www.someone.github.io", "someone.github.io"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("a.b.nosuchtld", "b.nosuchtld"),
        ("www.xn--80ak6aa92e.xn--p1ai", "xn--80ak6aa92e.xn--p1ai"),
        ("93.184.216.34", "93.184.216.34"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_domain_is_what_somebody_registered_when_a_host_is_given(host: str, domain: str):
    assert registrable_domain(host) == domain
