"""A mask that comes while sound is being sent stops it within a second (T21; must-show 2)."""

from __future__ import annotations

import os
import random

from callreel.errors import MaskChanged
from callreel.model import AudioSpec, OutputChannels, RecordingId, Role, Span
from callreel.web.outlet import Body
from tests.counts import FULL, Shown
from tests.flows.house import SOUND_S, House, token_of
from tests.flows.pouring import line

ARRIVALS = 200 if FULL else 24
FORMATS = ("wav", "wav-ulaw", "wav-alaw", "mp3", "opus", "flac", "m4a", "webm")


def test_no_sound_leaves_after_a_new_mask_but_the_piece_that_was_on_its_way(
    house: House, shown: Shown
) -> None:
    """Wherever in the answer it arrives and whatever it covers, in every format. What is fetched
    afterwards has another tag, and no file joins two revisions.
    """
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    draw = random.Random(7)  # noqa: S311  # a fixed seed, on purpose
    for arrival in range(ARRIVALS):
        channels = draw.choice(list(OutputChannels))
        spec = AudioSpec(FORMATS[arrival % len(FORMATS)], channels)
        delivery = house.deliver.open(
            token_of(house.ask(ann, recording, spec)), head=False, address=None
        )
        assert delivery.size is not None
        start = draw.randrange(delivery.size)
        if arrival % 3 == 0:
            start = 0
        delivery.started()
        body = Body(delivery, by_kernel=arrival % 2 == 0)
        body.select(start, delivery.size)
        sent = 0
        for _ in range(draw.randrange(SOUND_S)):
            sent += len(body.pull())
        left = start + sent < delivery.size
        begin = draw.uniform(0, SOUND_S - 0.2)
        # Narrower than a frame of every codec it may be: it counts all the same.
        span = Span(begin, begin + draw.choice([0.0002, 0.1, 5.0]))
        house.masking.add(ann, recording, span, "card", address=None)
        if left:
            with line() as (ours, _):
                refused = body.pour(os.dup(ours.fileno()), sent)
            assert refused.sent == 0
            assert isinstance(refused.error, MaskChanged)
            shown.one("masks that came during an answer and stopped it at once")
        assert body.pull() == b""
        old = delivery.etag
        delivery.close(sent).result()
        again = house.deliver.open(
            token_of(house.ask(ann, recording, spec)), head=True, address=None
        )
        assert again.etag != old
        again.close()
