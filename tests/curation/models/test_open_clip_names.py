from curation.models.open_clip_names import list_architectures, pretrained_tags


def test_names_are_those_of_open_clip_when_read_from_its_source():
    import open_clip

    assert set(open_clip.list_models()) <= set(list_architectures())
    expected = {}
    for name, tag in open_clip.list_pretrained():
        expected.setdefault(name, set()).add(tag)
    assert {name: set(tags) for name, tags in pretrained_tags().items() if tags} == expected
    assert any(name.endswith("-quickgelu") for name in expected)
