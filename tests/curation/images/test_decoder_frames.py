from dataclasses import replace

import pytest

from curation.images.decoder_frames import BrokenFrameError, ChildSettings, Result, ResultBuffer, pack_result
from curation.images.delivery import Delivery, DeliverySettings, Refusal
from schemas.outcomes import FailureReason, Outcome

DELIVERIES = [
    Delivery("jpg", (640, 480), b"\xff\xd8 image", (341, 256), False, None, 0.25),
    Delivery("png", (5, 6), None, (5, 6), True, None, 0.5),
    Delivery("avif", (9, 2), refusal=Refusal(Outcome.REJECTED, "min_side", "2 < 9"), seconds=0.0),
    Delivery(refusal=Refusal(Outcome.FAILED, FailureReason.NOT_AN_IMAGE), seconds=0.125),
    Delivery(refusal=Refusal(Outcome.FAILED, FailureReason.CORRUPT_IMAGE, ""), seconds=0.125),
    Delivery(refusal=Refusal(Outcome.FAILED, FailureReason.CORRUPT_IMAGE, "schräg"), seconds=0.125),
    Delivery("webp", (4, 4), bytes(100_000), (4, 4), False, None, 1.0),
]


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_results_are_what_they_were_when_they_arrive_in_pieces(step: int):
    sent = b"".join(b"".join(pack_result(Result(delivery, leaving=False))) for delivery in DELIVERIES)
    if step == 1:
        sent = sent[:400]
    buffer, arrived = ResultBuffer(64, 10**6), []
    for at in range(0, len(sent), step):
        piece = memoryview(sent)[at : at + step]
        while piece:
            space = buffer.space()
            length = min(len(space), len(piece))
            space[:length] = piece[:length]
            space.release()
            buffer.filled(length)
            piece = piece[length:]
        while (result := buffer.take_result()) is not None:
            arrived.append(result.delivery)
    assert arrived == DELIVERIES[: len(arrived)]
    assert len(arrived) == (6 if step == 1 else len(DELIVERIES))


def test_leaving_is_told_when_the_process_leaves():
    buffer = ResultBuffer(1000, 10**6)
    frame = b"".join(pack_result(Result(DELIVERIES[0], leaving=True)))
    buffer.space()[: len(frame)] = frame
    buffer.filled(len(frame))
    assert buffer.take_result() == Result(DELIVERIES[0], leaving=True)


@pytest.mark.parametrize("flaw", [{"image": bytes(1001)}, {"size": (0, 5)}, {"seconds": float("nan")}])
def test_frame_is_refused_when_no_delivery_looks_like_it(flaw: dict[str, object]):
    sound = Delivery("jpg", (640, 480), b"image", (341, 256), False, None, 0.25)
    buffer = ResultBuffer(4000, max_image_bytes=1000)
    frame = b"".join(pack_result(Result(replace(sound, **flaw), leaving=False)))
    buffer.space()[: len(frame)] = frame
    buffer.filled(len(frame))
    with pytest.raises(BrokenFrameError):
        buffer.take_result()


def test_settings_are_what_they_were_when_they_went_over_the_command_line():
    settings = ChildSettings(DeliverySettings(side_px=None, max_aspect=2.5, formats=("jpg", "gif")), 10**9, 5, 7)
    assert ChildSettings.of_text(settings.to_text()) == settings
