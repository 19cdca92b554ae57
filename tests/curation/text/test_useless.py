import polars as pl
import pytest

from curation.text.useless import FILE_NAME, PLACEHOLDER, URL, fold


def _matches(text: str, pattern: str) -> bool:
    return bool(pl.Series([text]).str.contains(pattern).item())


@pytest.mark.parametrize(
    "text",
    [
        *("IMG_2034.JPG", "DSC01234.jpg", "photo.png?w=300", "red star.webp", "logo.svg", "x.jpg (1)"),
        *(
            "IMG 2034",
            "DSC_0042 (1)",
            "Screenshot 2021-03-04 at 11.22.33",
            "image-12",
            "Photo 3",
            "P1020304",
            "WP_20130405",
        ),
        *("front_view", "lake%20view", "banner-800x600", "product-1234567-blue", "9f8a33bc21d0", "image (3)"),
    ],
)
def test_file_name_matches_when_text_names_a_file(text: str) -> None:
    assert _matches(text, FILE_NAME)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a red star",
            "Lake in the hills.jpg",
            "Image of 3 dogs",
            "photo 51 years later",
            "black-and-white",
            "T-shirt",
        ),
        *(
            "iPhone 12",
            "P-51 Mustang",
            "Figure 3: a red star",
            "The difference between png and jpg",
            "facade",
            "蓝色方形",
        ),
    ],
)
def test_file_name_does_not_match_when_text_describes(text: str) -> None:
    assert not _matches(text, FILE_NAME)


@pytest.mark.parametrize(
    "text", ["see https://example.com/a", "www.example.com", "shop at WWW.shop.de now", "blog.example.org"]
)
def test_url_matches_when_text_holds_an_address(text: str) -> None:
    assert _matches(text, URL)


@pytest.mark.parametrize(
    "text", ["a red star", "the www of things", "Node.js logo", "Dr. No", "http: a protocol", "U.S. flag"]
)
def test_url_does_not_match_when_there_is_no_address(text: str) -> None:
    assert not _matches(text, URL)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "image",
            "Photo",
            "untitled",
            "alt text",
            "no description",
            "Image 3",
            "Click to enlarge",
            "default product photo",
        ),
        *("[placeholder]", "2017", "***", "❤", "picture of", "loading image..."),
    ],
)
def test_placeholder_matches_when_every_word_fits_any_image(text: str) -> None:
    assert _matches(text, PLACEHOLDER)


@pytest.mark.parametrize(
    "text", ["image of a star", "photo by Ann", "imagery", "homes", "蓝", "no dogs", "logo design red"]
)
def test_placeholder_does_not_match_when_one_word_says_something(text: str) -> None:
    assert not _matches(text, PLACEHOLDER)


def test_fold_makes_phrases_equal_when_only_case_and_punctuation_differ() -> None:
    frame = pl.DataFrame({"text": ["Click -- HERE!", "click here", "  "]})
    assert frame.select(fold(pl.col("text"))).to_series().to_list() == ["click here", "click here", ""]
