"""A small web for the stages that fetch."""

import pytest
from pictures import gradient, saved
from raw_web import RawWeb


@pytest.fixture(scope="module")
def web():
    web = RawWeb()
    web.on("/picture.jpg", body=saved(gradient(60, 40), "jpg"), headers={"Content-Type": "image/jpeg"})
    web.on("/gone", status=410)
    web.on("/page", body=b"<html>", headers={"Content-Type": "text/html"})
    yield web
    web.close()
